"""Transformations: the values they give, and the same bits for a column as for one entry."""

import math
import pickle
import re
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import LabelEncoder, MinMaxScaler, RobustScaler, StandardScaler

from spark_fs.api.transformation_lists import to_transformation_specs
from spark_fs.api.transformations import TransformationFunction, udf
from spark_fs.base import arrow_types
from spark_fs.engine.training.in_memory import build_splits
from spark_fs.engine.training.transform_rows import DatasetTransform
from spark_fs.errors import (
    InvalidNameError,
    NotFoundError,
    QueryError,
    SchemaError,
    SettingsError,
    SparkFSError,
)
from spark_fs.spec.transformation import FunctionSpec, TransformationSpec
from spark_fs.transform.arrays import transform_table
from spark_fs.transform.builtin import BUILTINS
from spark_fs.transform.transformer import Transformer

RATE = 3.6  # a constant that a function below uses


def builtin(name: str) -> TransformationFunction:
    return TransformationFunction(FunctionSpec(name))


def fitted(
    functions: Sequence[TransformationFunction], types: Mapping[str, str], train: pa.Table
) -> Transformer:
    recipe = DatasetTransform(Transformer(to_transformation_specs(functions), types), {}, {})
    _, learned = build_splits(train, recipe)
    return learned.transformer


def table(types: Mapping[str, str], columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    return pa.table(
        {
            name: pa.chunked_array([pa.array(values, arrow_types.to_arrow_type(types[name]))])
            for name, values in columns.items()
        }
    )


def one(
    function: str, train: Sequence[Any], values: Sequence[Any], type_: str = "double"
) -> list[Any]:
    """What a built-in that was fitted on some values makes of others: as a column, which must be what it makes of each alone."""
    transformer = fitted([builtin(function)("x")], {"x": type_}, table({"x": type_}, {"x": train}))
    columns = transform_table(transformer, table({"x": type_}, {"x": values})).to_pydict()
    rows = [transformer.make_row_function()([value]) for value in values]
    assert bits(list(zip(*columns.values(), strict=True))) == bits([tuple(row) for row in rows])
    return [row[0] if len(row) == 1 else row for row in rows]


def bits(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Floats as their bits, so that -0.0 is not 0.0 and NaN is NaN."""
    return [
        tuple(struct.pack("d", v) if isinstance(v, float) else (type(v), v) for v in row)
        for row in rows
    ]


TRAIN = [3.0, -1.5, 10.0, 4.25, 4.25, 0.0, None]
SEEN = [3.0, -1.5, 100.0, None, float("nan"), float("inf")]


@pytest.mark.parametrize(
    ("function", "oracle"),
    [
        ("min_max_scaler", MinMaxScaler()),
        ("standard_scaler", StandardScaler()),
        ("robust_scaler", RobustScaler()),
    ],
)
def test_scalers_are_those_of_scikit_learn(function: str, oracle: Any) -> None:
    oracle.fit(np.array([v for v in TRAIN if v is not None])[:, None])
    found = one(function, TRAIN, SEEN)
    assert found[:3] == pytest.approx(oracle.transform(np.array(SEEN[:3])[:, None])[:, 0].tolist())
    assert found[3] is None
    assert math.isnan(found[4])


def test_a_constant_feature_is_moved_to_zero() -> None:
    for function in ("min_max_scaler", "standard_scaler", "robust_scaler"):
        assert one(function, [0.1, 0.1, 0.1, None], [0.1, 1.1, None]) == [0.0, 1.1 - 0.1, None]


def test_nan_and_infinities_teach_nothing() -> None:
    assert one("min_max_scaler", [0.0, math.nan, math.inf, 10.0], [5.0]) == [0.5]
    assert one("standard_scaler", [-1.0, math.nan, 1.0], [3.0]) == [3.0]


def test_the_logarithm_is_natural_and_of_positive_numbers() -> None:
    found = one("log_transform", [1.0], [math.e, 1.0, 0.0, -1.0, None, 10**6])
    assert found[:2] == [1.0, 0.0]
    assert [math.isnan(v) for v in found[2:4]] == [True, True]
    assert found[4:] == [None, math.log(10**6)]


@pytest.mark.slow
def test_a_column_of_logarithms_has_the_bits_of_each() -> None:
    values = np.random.default_rng(0).lognormal(0, 20, 200_000).tolist()
    one("log_transform", [1.0], values)


def test_bins_of_equal_width_are_those_of_pandas() -> None:
    train = [0.0, 1.0, 2.5, 7.0, 10.0]
    values = [0.0, 0.5, 1.0, 1.0000001, 5.0, 9.99, 10.0, -5.0, 50.0]
    edges = np.linspace(0, 10, 11)
    edges[0], edges[-1] = -np.inf, np.inf
    assert (
        one("equal_width_binner", train, values)
        == pd.cut(pd.Series(values), edges, labels=False, include_lowest=True).tolist()
    )
    assert one("equal_width_binner", [2.0, 2.0], [1.0, 2.0, None, math.nan]) == [0, 0, None, None]


def test_bins_between_quartiles_are_those_of_pandas() -> None:
    train = np.random.default_rng(0).normal(size=101).tolist()
    values = [*train, -9.0, 9.0]
    edges = [-np.inf, *np.percentile(train, [25, 50, 75]), np.inf]
    assert (
        one("quantile_binner", train, values)
        == pd.cut(pd.Series(values), edges, labels=False).tolist()
    )
    assert one("quantile_binner", [1.0, 1.0, 1.0, 1.0, 5.0], [0.0, 1.0, 5.0]) == [0, 0, 1]


def test_labels_are_numbered_in_sorted_order() -> None:
    train = ["pear", "apple", None, "Fig", "apple"]
    codes = dict(
        zip(
            ["Fig", "apple", "pear"],
            LabelEncoder().fit_transform(["Fig", "apple", "pear"]).tolist(),
            strict=True,
        )
    )
    assert one("label_encoder", train, ["pear", "apple", "Fig", "kiwi", None, ""], "string") == [
        codes["pear"],
        codes["apple"],
        codes["Fig"],
        -1,
        None,
        -1,
    ]


@pytest.mark.parametrize(
    ("type_", "train", "unseen"),
    [
        ("bigint", [3, 1, 2], 9),
        ("boolean", [True, False], None),
        ("date", [date(2024, 1, 2), date(2024, 1, 1)], date(2025, 1, 1)),
        ("string", ["b", "a"], "c"),
    ],
)
def test_categories_of_every_type(type_: str, train: list[Any], unseen: Any) -> None:
    assert one("label_encoder", train, [*sorted(train), unseen], type_) == [
        *range(len(train)),
        None if unseen is None else -1,
    ]
    assert one("one_hot_encoder", train, [min(train), unseen], type_) == [
        [True] + [False] * (len(train) - 1),
        [False] * len(train),
    ]


def one_hot(type_: str, train: list[Any], states: list[Any] | None = None) -> list[str]:
    """The names of the columns of a feature c of these categories; states: what a dataset has recorded."""
    types = {"a": "bigint", "c": type_, "b": "double"}
    rows = table(types, {"a": [1] * len(train), "c": train, "b": [1.0] * len(train)})
    transformer = fitted([builtin("one_hot_encoder")("c")], types, rows)
    if states is not None:
        transformer = transformer.with_states(states)
    first, *names, last = transformer.columns
    assert (first, last) == ("a", "b")
    for place, category in enumerate(sorted(train)):
        assert transformer.make_row_function()([1, category, 2.0]) == [
            1,
            *(other == place for other in range(len(train))),
            2.0,
        ]
    return names


def test_one_hot_columns_say_the_value_they_stand_for() -> None:
    assert one_hot("bigint", [-2, -1, 0, 1, 2]) == ["c_minus_2", "c_minus_1", "c_0", "c_1", "c_2"]
    assert one_hot("string", ["harbour", "old_town", "zone_3"]) == [
        "c_harbour",
        "c_old_town",
        "c_zone_3",
    ]
    assert one_hot("boolean", [True, False]) == ["c_false", "c_true"]
    assert one_hot("date", [date(2024, 1, 31)]) == ["c_2024_01_31"]
    begins = [
        "c_empty_",
        "c_u0020_",
        "c_1_5_",
        "c_minus_1_",
        "c_a_b_",
        "c_gas_oil_",
        "c_u00e4_",
        "c_u65e5_u672c_",
    ]
    for name, begin in zip(
        one_hot("string", ["", " ", "+1.5", "-1", "A b", "gas & oil", "ä", "日本"]),
        begins,
        strict=True,
    ):
        assert re.fullmatch(begin + "[0-9a-f]{6}", name)


@settings(deadline=None, max_examples=50)
@given(
    texts=st.sets(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
        | st.sampled_from(["a b", "a-b", "a_b", "A", "a", "ä", "", "_", "-1", "1"]),
        min_size=1,
        max_size=8,
    )
)
def test_a_category_has_one_valid_name_whatever_others_there_are(texts: set[str]) -> None:
    names = dict(zip(sorted(texts), one_hot("string", list(texts)), strict=True))
    assert len(set(names.values())) == len(texts)
    for text, name in names.items():
        assert re.fullmatch("[a-z][a-z0-9_]{0,62}", name)
        assert one_hot("string", [text]) == [name]


def test_datasets_of_earlier_versions_keep_the_names_that_they_have() -> None:
    assert one_hot("bigint", [-2, -1, 0, 1, 2], [{"categories": [-2, -1, 0, 1, 2]}]) == [
        "c_2",
        "c_1",
        "c_0",
        "c_1_2",
        "c_2_2",
    ]
    assert one_hot(
        "string", ["a b", "a-b", "a_b", "Ü"], [{"categories": ["a b", "a-b", "a_b", "Ü"]}]
    ) == ["c_a_b", "c_a_b_2", "c_a_b_3", "c_"]


@pytest.mark.parametrize(
    "type_", ["tinyint", "smallint", "int", "bigint", "float", "decimal(10,2)"]
)
def test_every_number_is_scaled_as_a_double(type_: str) -> None:
    values = (
        [Decimal("1.10"), Decimal("2.20"), Decimal("-3.35")]
        if type_.startswith("decimal")
        else [1.5, 2.25, -3.5]
        if type_ == "float"
        else [1, 2, -3]
    )
    doubles = [float(v) for v in values]
    assert one("standard_scaler", values, values, type_) == one("standard_scaler", doubles, doubles)


numbers = st.none() | st.floats(-1e9, 1e9) | st.sampled_from([math.nan, math.inf, -math.inf, -0.0])
texts = st.none() | st.sampled_from(["a", "b", "ä", "", " a", "a "])


@udf(float, mode="python")
def added(x, whole):
    return None if x is None or whole is None else x + whole * RATE


@udf([str, "bigint"], mode="python")
def parts(text, whole):
    return (text or "").upper(), None if whole is None else abs(whole)


@udf(float, mode="pandas")
def halved(x):
    return np.abs(x) / 2


@udf([float, bool], mode="pandas")
def compared(x, whole):
    return x - whole.astype("Float64").fillna(0.5), whole > 0


@udf("timestamp", mode="python")
def next_hour(when):
    from datetime import timedelta  # noqa: PLC0415 # as a user may

    return when and when + timedelta(hours=1)


TYPES = {"x": "double", "y": "double", "text": "string", "whole": "bigint", "when": "timestamp"}
times = st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(
    lambda t: t.replace(tzinfo=UTC)
)
ROWS = st.lists(
    st.tuples(numbers, numbers, texts, st.none() | st.integers(-(2**62), 2**62), times),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_a_column_and_one_entry_have_the_same_bits(rows: list[tuple[Any, ...]]) -> None:
    check_bits(rows)


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(ROWS)
def test_of_many_columns_each_entry_has_the_same_bits(rows: list[tuple[Any, ...]]) -> None:
    check_bits(rows)


def check_bits(rows: list[tuple[Any, ...]]) -> None:
    given_rows = table(TYPES, dict(zip(TYPES, zip(*rows, strict=True), strict=True)))
    teaching = (1.5, -2.0, "a", 3, datetime(2024, 1, 1, tzinfo=UTC))
    train = pa.concat_tables(
        [given_rows, table(TYPES, dict(zip(TYPES, ([v] for v in teaching), strict=True)))]
    )
    own = [added, parts, halved, compared, next_hour]
    for name, row in BUILTINS.items():
        feature = "y" if row.accepts == "number" else "text"
        transformer = fitted([builtin(name)(feature), *own], TYPES, train)
        columns = transform_table(transformer, given_rows)
        single = [
            transformer.make_row_function()(values)
            for values in zip(*given_rows.to_pydict().values(), strict=True)
        ]
        alone = [
            list(transform_table(transformer, given_rows.slice(i, 1)).to_pylist()[0].values())
            for i in range(len(rows))
        ]
        whole = [list(row.values()) for row in columns.to_pylist()]
        assert (
            bits([tuple(row) for row in whole])
            == bits([tuple(row) for row in single])
            == bits([tuple(row) for row in alone])
        )
        assert {
            name: arrow_types.to_arrow_type(type_) for name, type_ in transformer.columns.items()
        } == {f.name: f.type for f in columns.schema}


def test_outputs_have_their_places_and_names() -> None:
    transformer = Transformer(
        to_transformation_specs(
            [
                added("x", "whole"),
                parts("text", "whole"),
                halved("y"),
                next_hour("when").alias("later"),
            ]
        ),
        TYPES,
    )
    assert list(transformer.columns) == [
        "x",
        "y",
        "text",
        "whole",
        "later",
        "added_x_whole",
        "parts_text_whole_0",
        "parts_text_whole_1",
    ]
    assert transformer.make_row_function()([1.0, -3.0, "a", 2, None]) == [
        1.0,
        1.5,
        "a",
        2,
        None,
        8.2,
        "A",
        2,
    ]


def test_an_argument_may_go() -> None:
    @udf(float, ["b"], "python")
    def total(a, b):
        return a + b

    transformer = Transformer(
        to_transformation_specs([total]), {"a": "double", "b": "double", "c": "double"}
    )
    assert list(transformer.columns) == ["a", "c", "total_a_b"]
    assert transformer.make_row_function()([1.0, 2.0, 3.0]) == [1.0, 3.0, 3.0]


def test_a_parameter_with_a_default_is_no_feature() -> None:
    @udf(float, mode="python")
    def powered(x: float, exponent: int = 3) -> float:
        return x**exponent

    assert powered.spec.arguments == ("x",)
    assert Transformer(to_transformation_specs([powered]), {"x": "double"}).make_row_function()(
        [2.0]
    ) == [8.0]


def test_a_helper_column_is_taken_and_does_not_come_out() -> None:
    transformer = Transformer(
        to_transformation_specs([added("x", "whole")]),
        {"x": "double"},
        {"whole": "bigint", "other": "int"},
    )
    assert list(transformer.inputs) == ["whole", "x"]
    assert list(transformer.columns) == ["x", "added_x_whole"]


def test_a_function_is_its_source() -> None:
    spec = FunctionSpec.from_json(added.spec.to_json())
    assert spec == added.spec
    assert spec.names == {"RATE": {"value": 3.6}}
    assert halved.spec.names == {"np": {"module": "numpy"}}
    assert "udf" not in spec.source
    assert TransformationFunction(spec).run(1.0, 2) == 8.2
    again = pickle.loads(pickle.dumps(Transformer(to_transformation_specs([added]), TYPES)))
    assert again.make_row_function()([1.0, 0.0, "a", 2, None])[-1] == 8.2
    assert (
        TransformationSpec.from_json(added("y", "whole").attached().to_json())
        == added("y", "whole").attached()
    )


def test_a_function_whose_source_loses_something_is_refused() -> None:
    outside = object()

    def closing(x):
        return outside and x

    with pytest.raises(
        SettingsError, match=r"'closing' uses outside of the function that it is defined in"
    ):
        udf(float)(closing)
    with pytest.raises(SettingsError, match=r"is not a function defined by def"):
        udf(float)(math.sqrt)
    with pytest.raises(SettingsError, match=r"is not defined by def"):
        udf(float)(lambda x: x)
    with pytest.raises(
        SettingsError, match=r"uses 'TRAIN' \(list\), which cannot be kept|uses 'SEEN' \(list\)"
    ):
        udf(float)(_uses_nan)
    with pytest.raises(SettingsError, match=r"uses 'not_there', which is not defined"):
        udf(float)(_uses_nothing)
    with pytest.raises(SchemaError, match=r"<class 'complex'> is not a type of features"):
        udf(complex)(_uses_nothing)
    with pytest.raises(SettingsError, match=r"mode 'spark' of a transformation is not known"):
        udf(float, mode="spark")(_uses_nothing)
    with pytest.raises(SettingsError, match=r"drop names 'z', which is not one of its arguments x"):
        udf(float, drop=["z"])(_uses_nothing)


def _uses_nan(x):
    return x in SEEN


def _uses_nothing(x):
    return not_there + x  # noqa: F821 # that is the point


@udf(int, mode="python")
def wrong(x):
    return x / 2


def test_a_function_that_fails_says_for_what() -> None:
    transformer = Transformer(to_transformation_specs([wrong]), {"x": "double"})
    with pytest.raises(
        SparkFSError,
        match=(
            r"Transformation 'wrong' failed for x=3.0: ValueError: 1.5 is not an integer. It must"
            r" give bigint"
        ),
    ):
        transformer.make_row_function()([3.0])
    with pytest.raises(SparkFSError, match=r"Transformation 'wrong' failed for x=None: TypeError"):
        transform_table(transformer, table({"x": "double"}, {"x": [2.0, None]}))

    @udf([float, float], mode="pandas")
    def short(x):
        return x.head(1)

    with pytest.raises(
        SparkFSError, match=r"'short' of 2 rows must give 2 Series of as many rows, not \[1\]"
    ):
        transform_table(
            Transformer(to_transformation_specs([short]), {"x": "double"}),
            table({"x": "double"}, {"x": [2.0, 3.0]}),
        )


def test_what_cannot_be_attached() -> None:
    with pytest.raises(
        NotFoundError,
        match=(
            r"Feature of transformation 'min_max_scaler' 'amuont' does not exist; did you mean"
            r" 'amount'"
        ),
    ):
        Transformer(
            to_transformation_specs({"amuont": builtin("min_max_scaler")}), {"amount": "double"}
        )
    with pytest.raises(
        QueryError, match=r"'standard_scaler' takes tinyint, .*, and feature 'text' is string"
    ):
        Transformer(to_transformation_specs([builtin("standard_scaler")("text")]), TYPES)
    with pytest.raises(QueryError, match=r"'label_encoder' takes .*, and feature 'x' is double"):
        Transformer(to_transformation_specs([builtin("label_encoder")("x")]), TYPES)
    with pytest.raises(
        QueryError,
        match=(
            r"Two training columns would be named 'x': give one of the transformations another name"
        ),
    ):
        Transformer(
            to_transformation_specs(
                [builtin("log_transform")("x"), builtin("min_max_scaler")("x")]
            ),
            TYPES,
        )
    with pytest.raises(SettingsError, match=r"takes 1 features \(feature\), not 2 \(x, y\)"):
        to_transformation_specs([builtin("log_transform")("x", "y")])
    with pytest.raises(
        SettingsError, match=r"stands under feature 'y': name the feature in one of the two places"
    ):
        to_transformation_specs({"y": builtin("log_transform")("x")})
    with pytest.raises(
        SettingsError, match=r"3 is not a transformation function \(of feature 'x'\)"
    ):
        to_transformation_specs({"x": 3})
    with pytest.raises(
        SettingsError, match=r"attached to features by their names, and 3.5 is not a feature name"
    ):
        builtin("log_transform")(3.5)  # type: ignore[arg-type] # as the test says
    with pytest.raises(InvalidNameError, match=r"Output of a transformation 'No good'"):
        added.alias("No good")
    with pytest.raises(SettingsError, match=r"has 2 outputs and alias names 1: name each once"):
        Transformer(to_transformation_specs([parts("text", "whole").alias("one")]), TYPES)


def test_a_category_each_is_too_many_columns() -> None:
    with pytest.raises(
        SettingsError,
        match=(
            r"'one_hot_encoder' of feature 'x' would make 10,001 columns, one for each category; at"
            r" most 10,000"
        ),
    ):
        one("one_hot_encoder", list(range(10_001)), [1], "bigint")


def test_a_feature_without_values_teaches_nothing() -> None:
    for function, type_ in (
        ("standard_scaler", "double"),
        ("label_encoder", "string"),
        ("robust_scaler", "double"),
    ):
        with pytest.raises(
            SettingsError,
            match=(
                rf"'{function}' cannot learn from feature 'x': of the 2 rows of the train split"
                r" none has a value"
            ),
        ):
            one(function, [None, None], [None], type_)
