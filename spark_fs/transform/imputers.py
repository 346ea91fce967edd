"""Transformations that put a value in the place of what is missing: of nulls, and of NaN.

Those of categories give strings, whatever type their feature has, as Hopsworks' do.
"""

import math
from typing import Any

from spark_fs.transform.array_values import to_zero_filled_doubles
from spark_fs.transform.learning import Formula, Options, TrainStatistics
from spark_fs.transform.states import State


def fit_mean(statistics: TrainStatistics, _: Options) -> dict[str, Any]:
    """The mean of the train split."""
    return {"value": statistics.mean}


def fit_median(statistics: TrainStatistics, _: Options) -> dict[str, Any]:
    """The median of the train split."""
    return {"value": statistics.compute_quantiles(MEDIAN)[0]}


def fit_mode(statistics: TrainStatistics, _: Options) -> dict[str, Any]:
    """The most frequent category; of several the least."""
    return {"value": to_text(statistics.frequent_categories[0])}


def fit_constant(_: TrainStatistics, options: Options) -> dict[str, Any]:
    """The value that was set."""
    return {"value": options["value"]}


MEDIAN = (0.5,)


def make_number_imputer(state: State) -> Formula:
    """X, or the value where x is null or NaN."""
    value = state["value"]
    return lambda x: value if x is None or math.isnan(x) else x


def fill_numbers(column: Any, type_: str, state: State) -> list[Any]:
    """The same of a column."""
    import numpy as np
    import pyarrow as pa

    values = to_zero_filled_doubles(column, type_)
    is_missing = np.isnan(values)
    if column.null_count:
        is_missing = is_missing | column.is_null().to_numpy()
    return [pa.chunked_array([pa.array(np.where(is_missing, state["value"], values))])]


def make_text_imputer(state: State) -> Formula:
    """X as a string, or the value where x is null."""
    value = state["value"]
    return lambda x: value if x is None else to_text(x)


def fill_texts(column: Any, _: str, state: State) -> list[Any]:
    """The same of a column."""
    import pyarrow.compute as pc

    return [pc.fill_null(to_text_column(column), state["value"])]


# -- rare categories


def fit_frequent_categories(statistics: TrainStatistics, options: Options) -> dict[str, Any]:
    """The most frequent categories as strings, of equally frequent ones the least first."""
    frequent = statistics.frequent_categories[: options["top_n"]]
    return {"frequent": list(map(to_text, frequent)), "other": options["other_label"]}


def make_top_k_binner(state: State) -> Formula:
    """X as a string, or the label of all that is not frequent."""
    frequent = set(state["frequent"])
    other = state["other"]

    def group(x: Any) -> str:
        text = to_text(x)
        return text if text in frequent else other

    return group


def group_rare_categories(column: Any, _: str, state: State) -> list[Any]:
    """The same of a column; a null stays null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = to_text_column(column)
    is_kept = pc.or_(pc.is_in(texts, pa.array(state["frequent"], pa.string())), pc.is_null(texts))
    return [pc.if_else(is_kept, texts, state["other"])]


# -- categories as strings


def to_text(category: Any) -> str:
    """A category as Python writes it."""
    return str(category)


def to_text_column(column: Any) -> Any:
    """A column of categories as Python writes them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "True", "False")
    return column.cast(pa.string())
