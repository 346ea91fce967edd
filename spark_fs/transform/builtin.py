"""The built-in transformations: one row each. Adding one is adding a row.

A formula takes a number or an array of them alike, so training, batch and online compute the same
bits; where an array needs a way of its own, the row has an array formula, and a test holds the two
together.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from spark_fs.transform import category_formulas as categories
from spark_fs.transform import imputers
from spark_fs.transform import number_formulas as numbers
from spark_fs.transform import percentile_formulas as percentiles
from spark_fs.transform.builtin_options import (
    Option,
    to_bin_count,
    to_category_count,
    to_finite_number,
    to_percent,
)
from spark_fs.transform.learning import (
    PERCENTILES,
    QUARTILES,
    ArrayFormula,
    Formula,
    Options,
    RequiredStatistic,
    fit_nothing,
)
from spark_fs.transform.states import State

MAX_ONE_HOT_CATEGORIES = 10_000  # at most for one-hot columns
MISSING_CATEGORY = "__MISSING__"  # as Hopsworks names it
ListShares = Callable[[Options], tuple[float, ...]]


@dataclass(frozen=True)
class Builtin:
    """What a built-in learns, and its formula.

    Attributes:
        name: the name of the function.
        accepts: which features it takes.
        required_statistic: what it must know of the train split; None: nothing.
        fit: the state from that and its settings, as plain JSON.
        returns: the type of its outputs.
        formula: for a state, the function of one value; nulls never reach it but where
            fills_nulls.
        array_formula: the outputs of a column, where the formula of one value does not take an
            array of doubles, or has other bits for it.
        multi_output: whether it has an output for each category.
        fills_nulls: whether it makes something of a null.
        list_shares: the quantiles that it must know, by its settings.
        options: what can be set of it.
    """

    name: str
    accepts: Literal["number", "category"]
    required_statistic: RequiredStatistic | None
    fit: Callable[[Any, Options], dict[str, Any]]  # TrainStatistics, or None where it needs none
    returns: str
    formula: Callable[[State], Formula]
    array_formula: ArrayFormula | None = None
    multi_output: bool = False
    fills_nulls: bool = False
    list_shares: ListShares = lambda _: ()
    options: Mapping[str, Option] = field(default_factory=dict)


def _list_quartiles(_: Options) -> tuple[float, ...]:
    return QUARTILES


def _list_percentiles(_: Options) -> tuple[float, ...]:
    return PERCENTILES


def _list_median(_: Options) -> tuple[float, ...]:
    return imputers.MEDIAN


_ROWS = (
    Builtin(
        "min_max_scaler",
        "number",
        "range",
        numbers.fit_range,
        "double",
        numbers.make_min_max_scaler,
    ),
    Builtin(
        "standard_scaler",
        "number",
        "moments",
        numbers.fit_moments,
        "double",
        numbers.make_standard_scaler,
    ),
    Builtin(
        "robust_scaler",
        "number",
        "quantiles",
        numbers.fit_quartiles,
        "double",
        numbers.make_robust_scaler,
        list_shares=_list_quartiles,
    ),
    Builtin(
        "log_transform",
        "number",
        None,
        fit_nothing,
        "double",
        numbers.make_logarithm,
        numbers.compute_logarithms,
    ),
    Builtin(
        "equal_width_binner",
        "number",
        "range",
        numbers.fit_equal_width_cuts,
        "bigint",
        numbers.make_binner,
        numbers.compute_bins,
        options={"n_bins": Option(10, to_bin_count, "a whole number of bins, 2 at least")},
    ),
    Builtin(
        "equal_frequency_binner",
        "number",
        "quantiles",
        numbers.fit_quartile_cuts,
        "bigint",
        numbers.make_binner,
        numbers.compute_bins,
        list_shares=_list_quartiles,
    ),
    Builtin(
        "quantile_binner",
        "number",
        "quantiles",
        numbers.fit_quartile_cuts,
        "bigint",
        numbers.make_binner,
        numbers.compute_bins,
        list_shares=_list_quartiles,
    ),
    Builtin(
        "quantile_transformer",
        "number",
        "quantiles",
        percentiles.fit_percentiles,
        "double",
        percentiles.make_quantile_transformer,
        percentiles.compute_quantile_places,
        list_shares=_list_percentiles,
    ),
    Builtin(
        "rank_normalizer",
        "number",
        "quantiles",
        percentiles.fit_percentiles,
        "double",
        percentiles.make_rank_normalizer,
        percentiles.compute_ranks,
        list_shares=_list_percentiles,
    ),
    Builtin(
        "winsorize",
        "number",
        "quantiles",
        percentiles.fit_clip_bounds,
        "double",
        percentiles.make_winsorizer,
        percentiles.compute_clipped,
        list_shares=percentiles.list_clip_shares,
        options={
            "p_low": Option(1, to_percent, "a percentage from 0 to 100"),
            "p_high": Option(99, to_percent, "a percentage from 0 to 100"),
        },
    ),
    Builtin(
        "label_encoder",
        "category",
        "categories",
        categories.fit_categories,
        "bigint",
        categories.make_label_encoder,
        categories.compute_labels,
    ),
    Builtin(
        "one_hot_encoder",
        "category",
        "categories",
        categories.fit_named_categories,
        "boolean",
        categories.make_one_hot_encoder,
        categories.compute_one_hot,
        multi_output=True,
    ),
    Builtin(
        "top_k_categorical_binner",
        "category",
        "counts",
        imputers.fit_frequent_categories,
        "string",
        imputers.make_top_k_binner,
        imputers.group_rare_categories,
        options={
            "top_n": Option(10, to_category_count, "a whole number of categories, 1 at least"),
            "other_label": Option("Other", str, "a string"),
        },
    ),
    Builtin(
        "impute_mean",
        "number",
        "moments",
        imputers.fit_mean,
        "double",
        imputers.make_number_imputer,
        imputers.fill_numbers,
        fills_nulls=True,
    ),
    Builtin(
        "impute_median",
        "number",
        "quantiles",
        imputers.fit_median,
        "double",
        imputers.make_number_imputer,
        imputers.fill_numbers,
        fills_nulls=True,
        list_shares=_list_median,
    ),
    Builtin(
        "impute_constant",
        "number",
        None,
        imputers.fit_constant,
        "double",
        imputers.make_number_imputer,
        imputers.fill_numbers,
        fills_nulls=True,
        options={"value": Option(0.0, to_finite_number, "a number")},
    ),
    Builtin(
        "impute_mode",
        "category",
        "counts",
        imputers.fit_mode,
        "string",
        imputers.make_text_imputer,
        imputers.fill_texts,
        fills_nulls=True,
    ),
    Builtin(
        "impute_category",
        "category",
        None,
        imputers.fit_constant,
        "string",
        imputers.make_text_imputer,
        imputers.fill_texts,
        fills_nulls=True,
        options={"value": Option(MISSING_CATEGORY, str, "a string")},
    ),
)
BUILTINS: dict[str, Builtin] = {row.name: row for row in _ROWS}
