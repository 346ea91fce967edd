"""A random split takes the rows with the least hashes, however the rows lie; an order hangs on what rows hold."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_fs.engine.training import splits
from spark_fs.engine.training.row_order import compute_row_order
from spark_fs.errors import SettingsError
from spark_fs.spec.training_dataset import RandomSplit

IDENTITY = {"t": "timestamp", "k": "string"}
rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "ä ", None]), st.none() | st.integers(0, 3), st.integers(0, 2)
    ),
    max_size=40,
)
shares = st.sampled_from(
    [{"test": 0.3}, {"test": 0.25, "validation": 0.25}, {"test": 0.01, "validation": 0.98}]
)


def table(listed: list[tuple[str | None, int | None, int]]) -> pa.Table:
    keys, times, values = zip(*listed, strict=True) if listed else ([], [], [])
    return pa.table(
        {
            "k": pa.array(keys, pa.string()),
            "t": pa.array(times, pa.timestamp("us", "UTC")),
            "v": pa.array(values, pa.int64()),
        }
    )


def ordered(found: pa.Table) -> pa.Table:
    return found.take(pa.array(compute_row_order(found, list(IDENTITY))))


@settings(max_examples=300, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_the_order_is_by_time_then_key_then_all_else(
    listed: list[tuple[str | None, int | None, int]], random: object
) -> None:
    shuffled = list(listed)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # Hypothesis' own class
    wanted = sorted(
        listed, key=lambda r: (r[1] is not None, r[1] or 0, r[0] is not None, r[0] or "", r[2])
    )
    assert ordered(table(shuffled)).equals(table(wanted))


@settings(max_examples=200, deadline=None)
@given(rows, shares, st.integers(0, 3), st.integers(1, 4), st.randoms(use_true_random=False))
def test_any_files_give_the_split_of_the_whole(
    listed: list[tuple[str | None, int | None, int]],
    given_shares: dict[str, float],
    seed: int,
    files: int,
    random: object,
) -> None:
    split = RandomSplit(seed, given_shares)
    whole = splits.split_table(ordered(table(listed)), split, IDENTITY)
    shuffled = list(listed)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # Hypothesis' own class
    waiting = table(shuffled)
    waiting = waiting.append_column(
        splits.HASH_COLUMN, pa.array(splits.hash_rows(waiting, IDENTITY, seed))
    )
    places = np.arange(len(shuffled))
    waiting = waiting.append_column(splits.FILE_COLUMN, pa.array(places % files)).append_column(
        splits.ROW_COLUMN, pa.array(places // files)
    )
    found = waiting.column(splits.HASH_COLUMN).to_numpy()
    counts = splits.count_cells(found)
    near = waiting.filter(
        pa.array(np.isin(splits.get_cells(found), splits.find_threshold_cells(counts, split)))
    )
    cuts = splits.find_thresholds(near.column(splits.HASH_COLUMN).to_numpy(), counts, split)
    assert (cuts is None) <= (len(set(found.tolist())) < len(found))
    by_content = splits.find_thresholds_by_content(near, counts, split, list(IDENTITY))
    assert (
        cuts is None
        or splits.assign_splits(cuts, waiting).tolist()
        == splits.assign_splits(by_content, waiting).tolist()
    )
    numbers = splits.assign_splits(by_content, waiting)
    for number, name in enumerate([*split.shares, "train"]):
        part = waiting.filter(pa.array(numbers == number)).select(["k", "t", "v"])
        assert ordered(part).equals(whole[name])
        assert len(part) == (
            split.compute_sizes(len(listed))[number]
            if name != "train"
            else len(listed) - sum(split.compute_sizes(len(listed)))
        )


def test_a_hash_hangs_on_values_not_on_their_width() -> None:
    keys = [1, 2, -3, None]
    narrow, wide = (pa.table({"k": pa.array(keys, width)}) for width in (pa.int8(), pa.int64()))
    assert (
        splits.hash_rows(narrow, {"k": "tinyint"}, 5).tolist()
        == splits.hash_rows(wide, {"k": "bigint"}, 5).tolist()
    )
    assert len(set(splits.hash_rows(wide, {"k": "bigint"}, 5).tolist())) == 4
    assert (
        splits.hash_rows(wide, {"k": "bigint"}, 5).tolist()
        != splits.hash_rows(wide, {"k": "bigint"}, 6).tolist()
    )


def test_the_ends_of_many_rows_are_where_they_are_looked_for() -> None:
    split = RandomSplit(1, {"test": 0.2, "validation": 0.13})
    found = splits.hash_rows(pa.table({"k": np.arange(200_000)}), {"k": "bigint"}, 1)
    near = splits.find_threshold_cells(splits.count_cells(found), split)
    assert splits.has_only_likely_cells(near, split)
    likely = splits.select_likely_hashes(found, split)
    assert len(likely) < 0.02 * len(found)
    assert set(found[np.isin(splits.get_cells(found), near)].tolist()) <= set(likely.tolist())
    cuts = splits.find_thresholds(
        likely[np.isin(splits.get_cells(likely), near)], splits.count_cells(found), split
    )
    assert cuts is not None
    assert np.bincount(
        splits.assign_splits(cuts, pa.table({splits.HASH_COLUMN: found}))
    ).tolist() == [40_000, 26_000, 134_000]


def test_a_share_is_drawn_evenly() -> None:
    whole = table([("a", n, n % 3) for n in range(30_000)])
    test = splits.split_table(ordered(whole), RandomSplit(1, {"test": 0.2}), IDENTITY)["test"]
    tenths = np.bincount(test.column("t").cast(pa.int64()).to_numpy() // 3_000)
    assert len(test) == 6_000
    assert abs(tenths - 600).max() < 120  # five deviations


@pytest.mark.parametrize(
    ("given_shares", "said"),
    [
        ({"test": 0}, "test_ratio 0 is not between 0 and 1"),
        ({"test": 1.0}, "test_ratio 1.0 is not between 0 and 1"),
        ({"test": -0.5}, "test_ratio -0.5"),
        ({"test": float("nan")}, "test_ratio nan"),
        ({"test": True}, "test_ratio True"),
        (
            {"test": 0.5, "validation": 0.5},
            "test_ratio 0.5 and validation_ratio 0.5 leave nothing to train on",
        ),
    ],
)
def test_shares_that_are_none(given_shares: dict[str, float], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        RandomSplit(1, given_shares)
