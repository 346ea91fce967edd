"""One pass of the join in memory, from scattered rows to matches, beside plain Python that looks at every row, and beside DuckDB."""

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_fs.engine.join import shuffle
from spark_fs.engine.join.columnar import SideScatter
from spark_fs.engine.join.matching import KeyedRows
from spark_fs.engine.join.skewed_keys import KeySample, SkewedKeys, detect_skewed_keys
from spark_fs.engine.join.stages import JoinStage, MatchRule, get_key_columns, join_bucket

DUCKDB = duckdb.connect()
LEFT = pa.schema(
    [
        ("n0_k", pa.int32()),
        ("n0_s", pa.string()),
        ("n0_at", pa.timestamp("us", "UTC")),
        ("n0_id", pa.int64()),
    ]
)
RIGHT = pa.schema(
    [
        ("n1_k", pa.int64()),
        ("n1_s", pa.string()),
        ("n1_t", pa.timestamp("us", "UTC")),
        ("n1__ingested", pa.timestamp("us", "UTC")),
        ("n1_v", pa.int64()),
    ]
)
AT, TIME, INGESTED = ("n0_at", "timestamp"), ("n1_t", "timestamp"), ("n1__ingested", "timestamp")

keys = st.tuples(st.none() | st.integers(-1, 2), st.sampled_from([None, "", "a", "ä"]))
instants = st.integers(-3, 12)  # microseconds: neighbours, equals, and some before 1970
left_rows = st.lists(st.tuples(keys, st.none() | instants), max_size=12)
right_rows = st.lists(
    st.tuples(keys.filter(lambda k: None not in k), instants, st.integers(-3, 12)),
    max_size=14,
    unique_by=lambda r: (r[0], r[1], r[2]),
)
hot_keys = st.lists(
    st.tuples(keys, st.lists(instants, min_size=1, max_size=3, unique=True)),
    max_size=3,
    unique_by=lambda h: h[0],
)
rules = st.fixed_dictionaries(
    {
        "timed": st.booleans(),
        "history": st.booleans(),
        "known": st.booleans(),
        "ttl": st.none() | st.integers(1, 8),
        "inner": st.booleans(),
    }
)


def tables(left: Sequence[Any], right: Sequence[Any], scale: int = 1) -> tuple[pa.Table, pa.Table]:
    lefts = [
        [k[0] for k, _ in left],
        [k[1] for k, _ in left],
        [None if at is None else at * scale for _, at in left],
        list(range(len(left))),
    ]
    rights = [
        [k[0] for k, *_ in right],
        [k[1] for k, *_ in right],
        [t * scale for _, t, _ in right],
        [i * scale for *_, i in right],
        list(range(len(right))),
    ]
    return pa.table(
        [pa.array(c, f.type) for c, f in zip(lefts, LEFT, strict=True)], LEFT
    ), pa.table([pa.array(c, f.type) for c, f in zip(rights, RIGHT, strict=True)], RIGHT)


def one_pass(rule: dict[str, Any], scale: int = 1) -> JoinStage:
    known = INGESTED if rule["known"] and rule["timed"] else None
    rule_ = MatchRule(
        1,
        (("n1_k", "bigint"), ("n1_s", "string")),
        TIME if rule["history"] else None,
        ("n1__ingested",),
        known,
        rule["ttl"] * scale if rule["history"] and rule["ttl"] else None,
        rule["inner"],
        ("n1_v",),
    )
    return JoinStage(
        (("n0_k", "int"), ("n0_s", "string")), AT if rule["timed"] else None, (rule_,), ("n0_id",)
    )


def brute(
    left: Sequence[Any], right: Sequence[Any], rule: dict[str, Any]
) -> list[tuple[int, int | None]]:
    """Per left row the number of its match, by looking at every right row."""
    found = []
    for number, (key, at) in enumerate(left):
        looks = rule["timed"] and (rule["history"] or rule["known"])
        seen = [
            (t if rule["history"] else 0, ingested, i)
            for i, (k, t, ingested) in enumerate(right)
            if k == key and None not in key
        ]
        if looks and at is None:
            seen = []
        if looks and rule["history"]:
            seen = [s for s in seen if s[0] <= at]
        if looks and rule["known"]:
            seen = [s for s in seen if s[1] <= at]
        best = max(seen, default=None)
        if (
            best
            and looks
            and rule["history"]
            and rule["ttl"] is not None
            and at - best[0] > rule["ttl"]
        ):
            best = None
        if best or not rule["inner"]:
            found.append((number, best[2] if best else None))
    return found


def unambiguous(right: Sequence[Any], rule: dict[str, Any]) -> list[Any]:
    """The rows without those that nothing tells from another: without history the instant of ingestion decides alone."""
    return right if rule["history"] else list({(k, i): (k, t, i) for k, t, i in right}.values())


def rows(table: pa.Table) -> list[tuple[int, int | None]]:
    return sorted(
        zip(table.column("n0_id").to_pylist(), table.column("n1_v").to_pylist(), strict=True),
        key=lambda r: r[0],
    )


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(left_rows, right_rows, rules, st.sampled_from([1, 10**6, 10**16]))
def test_every_row_gets_the_match_that_a_look_at_every_row_finds(
    left: list[Any], right: list[Any], rule: dict[str, Any], scale: int
) -> None:
    right = unambiguous(right, rule)
    mine, theirs = tables(left, right, scale)  # microseconds, seconds, or centuries apart
    assert rows(join_bucket(mine, {1: theirs}, one_pass(rule, scale))) == brute(left, right, rule)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("shared"))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(
    left_rows,
    right_rows,
    rules,
    st.integers(1, 5),
    hot_keys,
    st.integers(1, 3),
    st.sampled_from([0, 400, 1 << 20]),
    st.booleans(),
)
def test_scattered_rows_match_as_rows_in_one_place(
    folder: str,
    left: list[Any],
    right: list[Any],
    rule: dict[str, Any],
    buckets: int,
    hot_keys: list[Any],
    tasks: int,
    sent: int,
    in_files: bool,
) -> None:
    right = unambiguous(right, rule)
    one, (mine, theirs) = one_pass(rule), tables(left, right)
    hashed = {
        int(shuffle.hash_keys(get_key_columns(tables([(key, 0)], [])[0], one.keys))[0]): tuple(
            sorted(bounds)
        )
        for key, bounds in hot_keys
    }
    spread = SkewedKeys(buckets, tuple(hashed), tuple(hashed.values()))
    scatters = {
        0: (SideScatter(0, one.keys, spread, one.time), mine),
        1: (SideScatter(1, one.rules[0].keys, spread, one.time, one.rules[0]), theirs),
    }
    packed = [
        batch
        for scatter, table in scatters.values()
        for task in range(tasks)
        for batch in shuffle.pack_tables(
            [
                scatter(part)
                for part in [table.take(np.arange(task, table.num_rows, tasks))]
                if part.num_rows
            ],
            folder if in_files else None,
            sent,
        )
    ]
    gathered = [
        join_bucket(sides.pop(0), sides, one)
        for sides in shuffle.unpack_batches(packed, {0: LEFT, 1: RIGHT}, in_files)
    ]
    found = rows(pa.concat_tables(gathered)) if gathered else []
    assert found == brute(left, right, rule)
    assert all(
        0 <= bucket < spread.bucket_count
        for batch in packed
        for bucket in batch.column(0).to_pylist()
    )


def test_a_table_of_which_no_row_is_moved_packs_nothing() -> None:
    (table, _) = tables([], [])
    nothing = shuffle.BucketAssignment(0, table, None, np.empty(0, np.uint16))
    assert list(shuffle.pack_tables([nothing])) == []


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(left_rows, right_rows)
def test_duckdb_finds_the_same_times(left: list[Any], right: list[Any]) -> None:
    rule = {"timed": True, "history": True, "known": False, "ttl": None, "inner": False}
    mine, theirs = tables(left, right)
    times = theirs.column("n1_t").cast(pa.int64()).to_pylist()
    found = [
        (i, None if v is None else times[v])
        for i, v in rows(join_bucket(mine, {1: theirs}, one_pass(rule)))
    ]
    query = (
        "SELECT n0_id, epoch_us(n1_t) FROM mine ASOF LEFT JOIN theirs ON n0_k = n1_k AND n0_s ="
        " n1_s AND n0_at >= n1_t ORDER BY n0_id"
    )
    DUCKDB.register("mine", mine)
    DUCKDB.register("theirs", theirs)
    assert DUCKDB.execute(query).fetchall() == found


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("boolean", [True, False]),
        ("tinyint", [1, -1]),
        ("date", [0, 19_000]),
        ("double", [0.5, float("inf")]),
        ("string", ["", "a", "ab", "ba"]),
        ("binary", [b"", b"\0", b"\0\0"]),
        ("decimal(9,2)", ["1.00", "1.01"]),
        ("timestamp", [0, -1, 1]),
    ],
)
def test_values_that_differ_are_keys_that_differ(type_: str, values: list[Any]) -> None:
    arrow = {
        "boolean": pa.bool_(),
        "tinyint": pa.int8(),
        "date": pa.date32(),
        "double": pa.float64(),
        "string": pa.string(),
        "binary": pa.binary(),
        "decimal(9,2)": pa.decimal128(9, 2),
        "timestamp": pa.timestamp("us", "UTC"),
    }[type_]
    column = pa.chunked_array(
        [pa.array(values).cast(arrow) if type_.startswith("decimal") else pa.array(values, arrow)]
    )
    hashes = shuffle.hash_keys([shuffle.to_canonical_key(column, type_)])
    assert len(set(hashes.tolist())) == len(values)


def test_keys_are_equal_where_spark_says_so() -> None:
    narrow, wide = (
        shuffle.hash_keys(
            [shuffle.to_canonical_key(pa.chunked_array([pa.array([7, -7, 0], t)]), "int")]
        )
        for t in (pa.int8(), pa.int64())
    )
    assert narrow.tolist() == wide.tolist()
    fractions = pa.chunked_array([pa.array([0.0, -0.0, float("nan"), -float("nan")], pa.float64())])
    zero, minus, nan, other = shuffle.hash_keys([shuffle.to_canonical_key(fractions, "double")])
    assert zero == minus
    assert nan == other
    assert (
        shuffle.get_key_kind("decimal(9,2)")
        == shuffle.get_key_kind("decimal(20,2)")
        != shuffle.get_key_kind("decimal(9,3)")
    )


def test_a_key_with_too_many_rows_is_found_and_its_slices_are_even() -> None:
    draw = np.random.default_rng(3)
    hashes = draw.integers(0, 1000, 10_000).astype(np.uint64)
    hashes[:3_000] = 77
    times = draw.integers(0, 10**9, 10_000)
    found = detect_skewed_keys([KeySample(hashes, times, 100.0)], 16, 100_000)
    assert found.hashes == (77,)
    assert found.bucket_count == 16 + 4
    _, placed = found.assign_right(
        hashes, np.zeros(10_000, np.int32), KeyedRows(hashes.view(np.int64), times), True
    )
    sizes = np.bincount(placed)[16:]
    assert sizes.max() < 1.1 * 3_000 / 4
