"""Transformations of categories into numbers: labels, and a column for each."""

from typing import Any

from spark_fs.base.literals import to_literal
from spark_fs.transform.array_values import to_masked_column
from spark_fs.transform.category_names import make_category_names, make_legacy_category_names
from spark_fs.transform.learning import Formula, Options, TrainStatistics
from spark_fs.transform.states import State, get_categories


def fit_categories(statistics: TrainStatistics, _: Options) -> dict[str, Any]:
    """The categories, sorted."""
    return {"categories": [to_literal(category) for category in statistics.categories]}


def fit_named_categories(statistics: TrainStatistics, options: Options) -> dict[str, Any]:
    """The categories, with the names of their columns where earlier versions had others.

    States of versions that recorded no names stand for ``make_legacy_category_names``.
    """
    state = fit_categories(statistics, options)
    names = make_category_names(statistics.feature, statistics.categories)
    if names != make_legacy_category_names(statistics.feature, statistics.categories):
        state["names"] = names
    return state


def make_label_encoder(state: State) -> Formula:
    """The number of a category; -1 of one that the train split lacks."""
    codes = {category: code for code, category in enumerate(get_categories(state))}
    return lambda x: codes.get(x, -1)


def make_one_hot_encoder(state: State) -> Formula:
    """Whether x is each of the categories."""
    categories = get_categories(state)
    no_category = (False,) * len(categories)
    rows: dict[Any, tuple[bool, ...]] = {}
    for code, category in enumerate(categories):
        rows[category] = (*no_category[:code], True, *no_category[code + 1 :])
    return lambda x: rows.get(x, no_category)


def _find_category_codes(column: Any, state: State) -> Any:
    """The number of each value's category; -1 of a value of no category."""
    import pyarrow as pa
    import pyarrow.compute as pc

    categories = pa.array(get_categories(state), column.type)
    return pc.fill_null(pc.index_in(column, categories), -1).to_numpy().astype("int64")


def compute_labels(column: Any, _: str, state: State) -> list[Any]:
    """The numbers of a column's categories."""
    import pyarrow as pa

    return [to_masked_column(_find_category_codes(column, state), column, pa.int64())]


def compute_one_hot(column: Any, _: str, state: State) -> list[Any]:
    """A column for each category."""
    import numpy as np
    import pyarrow as pa

    codes = np.where(column.is_null().to_numpy(), -1, _find_category_codes(column, state))
    outputs = []
    for code in range(len(state["categories"])):
        outputs.append(pa.chunked_array([pa.array(codes == code)]))
    return outputs
