"""A random split takes the rows with the least hashes, however the rows lie; an order hangs on what rows hold."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_fs.engine import splits
from spark_fs.errors import SettingsError
from spark_fs.spec.datasets import RandomSplit

IDENTITY = {"t": "timestamp", "k": "string"}
rows = st.lists(st.tuples(st.sampled_from(["a", "b", "ä ", None]), st.none() | st.integers(0, 3), st.integers(0, 2)), max_size=40)
shares = st.sampled_from([{"test": 0.3}, {"test": 0.25, "validation": 0.25}, {"test": 0.01, "validation": 0.98}])


def table(listed: list[tuple[str | None, int | None, int]]) -> pa.Table:
    keys, times, values = zip(*listed, strict=True) if listed else ([], [], [])
    return pa.table({"k": pa.array(keys, pa.string()), "t": pa.array(times, pa.timestamp("us", "UTC")), "v": pa.array(values, pa.int64())})


def ordered(found: pa.Table) -> pa.Table:
    return found.take(pa.array(splits.canonical(found, list(IDENTITY))))


@settings(max_examples=300, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_the_order_is_by_time_then_key_then_all_else(listed: list[tuple[str | None, int | None, int]], random: object) -> None:
    shuffled = list(listed)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # Hypothesis' own class
    wanted = sorted(listed, key=lambda r: (r[1] is not None, r[1] or 0, r[0] is not None, r[0] or "", r[2]))
    assert ordered(table(shuffled)).equals(table(wanted))


@settings(max_examples=200, deadline=None)
@given(rows, shares, st.integers(0, 3), st.integers(1, 4), st.randoms(use_true_random=False))
def test_any_files_give_the_split_of_the_whole(listed: list[tuple[str | None, int | None, int]], given_shares: dict[str, float], seed: int, files: int, random: object) -> None:
    split = RandomSplit(seed, given_shares)
    whole = splits.divided(ordered(table(listed)), split, IDENTITY)
    shuffled = list(listed)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # Hypothesis' own class
    waiting = table(shuffled)
    waiting = waiting.append_column(splits.HASH, pa.array(splits.hashes(waiting, IDENTITY, seed)))
    places = np.arange(len(shuffled))
    waiting = waiting.append_column(splits.FILE, pa.array(places % files)).append_column(splits.ROW, pa.array(places // files))
    found = waiting.column(splits.HASH).to_numpy()
    counts = splits.counted(found)
    near = waiting.filter(pa.array(np.isin(splits.cells(found), splits.cells_of_cuts(counts, split))))
    cuts = splits.cuts(near.column(splits.HASH).to_numpy(), counts, split)
    assert (cuts is None) <= (len(set(found.tolist())) < len(found))
    by_content = splits.cuts_by_content(near, counts, split, list(IDENTITY))
    assert cuts is None or splits.parts(cuts, waiting).tolist() == splits.parts(by_content, waiting).tolist()
    numbers = splits.parts(by_content, waiting)
    for number, name in enumerate([*split.shares, "train"]):
        part = waiting.filter(pa.array(numbers == number)).select(["k", "t", "v"])
        assert ordered(part).equals(whole[name])
        assert len(part) == (split.sizes(len(listed))[number] if name != "train" else len(listed) - sum(split.sizes(len(listed))))


def test_a_hash_hangs_on_values_not_on_their_width() -> None:
    keys = [1, 2, -3, None]
    narrow, wide = (pa.table({"k": pa.array(keys, width)}) for width in (pa.int8(), pa.int64()))
    assert splits.hashes(narrow, {"k": "tinyint"}, 5).tolist() == splits.hashes(wide, {"k": "bigint"}, 5).tolist()
    assert len(set(splits.hashes(wide, {"k": "bigint"}, 5).tolist())) == 4
    assert splits.hashes(wide, {"k": "bigint"}, 5).tolist() != splits.hashes(wide, {"k": "bigint"}, 6).tolist()


def test_the_ends_of_many_rows_are_where_they_are_looked_for() -> None:
    split = RandomSplit(1, {"test": 0.2, "validation": 0.13})
    found = splits.hashes(pa.table({"k": np.arange(200_000)}), {"k": "bigint"}, 1)
    near = splits.cells_of_cuts(splits.counted(found), split)
    assert splits.are_likely(near, split)
    likely = splits.likely(found, split)
    assert len(likely) < 0.02 * len(found)
    assert set(found[np.isin(splits.cells(found), near)].tolist()) <= set(likely.tolist())
    cuts = splits.cuts(likely[np.isin(splits.cells(likely), near)], splits.counted(found), split)
    assert cuts is not None
    assert np.bincount(splits.parts(cuts, pa.table({splits.HASH: found}))).tolist() == [40_000, 26_000, 134_000]


def test_a_share_is_drawn_evenly() -> None:
    whole = table([("a", n, n % 3) for n in range(30_000)])
    test = splits.divided(ordered(whole), RandomSplit(1, {"test": 0.2}), IDENTITY)["test"]
    tenths = np.bincount(test.column("t").cast(pa.int64()).to_numpy() // 3_000)
    assert len(test) == 6_000
    assert abs(tenths - 600).max() < 120  # five deviations


@pytest.mark.parametrize(("given_shares", "said"), [
    ({"test": 0}, "test_ratio 0 is not between 0 and 1"), ({"test": 1.0}, "test_ratio 1.0 is not between 0 and 1"),
    ({"test": -0.5}, "test_ratio -0.5"), ({"test": float("nan")}, "test_ratio nan"), ({"test": True}, "test_ratio True"),
    ({"test": 0.5, "validation": 0.5}, "test_ratio 0.5 and validation_ratio 0.5 leave nothing to train on"),
])
def test_shares_that_are_none(given_shares: dict[str, float], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        RandomSplit(1, given_shares)
