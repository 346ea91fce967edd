"""How a group lies in online tables: which column where, how long, and what the server would say of it."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_fs.errors import SettingsError
from spark_fs.online.mysql.store import CAPABILITIES
from spark_fs.online.sqlite.store import CAPABILITIES as SQLITE
from spark_fs.online.table_layout import OnlineTable, build_online_table, choose_column_lengths
from spark_fs.online.text_format import format_number, format_values
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec

TYPES = [
    "double",
    "string",
    "binary",
    "bigint",
    "array<double>",
    "timestamp",
    "boolean",
    "decimal(38,9)",
]


def table(
    types: list[str], key: tuple[str, ...] = ("c0",), event_time: str | None = None, name: str = "g"
) -> OnlineTable:
    features = tuple(FeatureSpec(f"c{i}", type_) for i, type_ in enumerate(types))
    return build_online_table(
        GroupSpec(name, 1, primary_key=key, features=features, event_time=event_time), CAPABILITIES
    )


@settings(max_examples=60, deadline=None)
@given(
    types=st.lists(st.sampled_from(TYPES), min_size=1, max_size=400).map(
        lambda found: ["string", *found]
    ),
    lengths=st.integers(0, 5_000),
)
def test_every_column_lies_in_one_table_and_every_row_fits(types: list[str], lengths: int) -> None:
    found = table(types)
    assert [c.name for part in found.part_columns for c in part if c.name != "c0"] == [
        f"c{i}" for i in range(1, len(types))
    ]
    for part in found.part_columns:
        room = choose_column_lengths(
            found, part, {c.name: min(lengths, 768) if c.name == "c0" else lengths for c in part}
        )
        declared = sum(
            (room[c.name] or 3) * (4 if c.type == "string" else 1) if c.name in room else 20
            for c in part
        )
        assert declared <= 65_535
        assert len(part) <= 1_017
        for c in part:
            if c.name in room and room[c.name] is not None:
                assert room[c.name] >= min(lengths, 768 if c.name == "c0" else 5_000)  # type: ignore[operator] # it is a number


def test_an_appended_column_moves_no_other() -> None:
    types = ["string", *(["double", "string"] * 600)]
    before, after = table(types), table([*types, "double", "string"])
    assert {name: after.part_by_column[name] for name in before.part_by_column} == dict(
        before.part_by_column
    )


@pytest.mark.parametrize(
    ("length", "room"),
    [(0, 100), (99, 100), (100, 200), (3_999, 4_000), (4_000, None), (9_999, None)],
)
def test_a_text_has_the_next_hundred_above_its_longest(length: int, room: int | None) -> None:
    found = table(["bigint", "string"])
    assert choose_column_lengths(found, found.part_columns[0], {"c1": length}) == {"c1": room}


def test_where_a_row_has_no_room_the_longest_texts_lie_elsewhere() -> None:
    found = table(["bigint", *["string"] * 10])
    room = choose_column_lengths(
        found, found.part_columns[0], {f"c{i}": i * 390 for i in range(1, 11)}
    )
    assert [name for name, length in room.items() if length is None] == ["c9", "c10"]


def test_a_name_without_room_for_the_numbers_of_its_tables_is_refused() -> None:
    assert len(table(["bigint", *["double"] * 2_000], name="g" * 60).part_columns) == 3
    with pytest.raises(
        SettingsError,
        match=(
            r"it takes 3 tables, and 'g+_1' has no room for their numbers: mysql takes 64"
            r" characters"
        ),
    ):
        table(["bigint", *["double"] * 2_000], name="g" * 62)
    assert SQLITE.max_columns < 2_000


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_gives_it_back(value: float) -> None:
    assert float(format_number(value)) == value
    column = table(["bigint", "double"]).columns[1]
    assert [
        float(text) for text in format_values(pa.chunked_array([[value]]), column).to_pylist()
    ] == [value]
