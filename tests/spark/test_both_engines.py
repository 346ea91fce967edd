"""Both engines give the same rows in the same order, to the last bit, of tables of every kind."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from engines import read_by_both

from spark_fs import Aggregation, Feature
from spark_fs import aggregate as agg
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.query import Query

pytestmark = pytest.mark.slow
START = datetime(2024, 1, 1, tzinfo=UTC)
INSTANTS = ["2024-01-01 00:00:00.000001", "1969-12-31 23:59:59.5", None, "2024-05-05"]
# Of each type that a table can be partitioned by, what Delta writes in odd ways.
PARTITIONS = {
    "texts": ["a b", "x=y", None, "ü/%"],
    "decimals": [Decimal("1.50"), Decimal("-2.25"), None, Decimal("4.00")],
    "fractions": [1.5, -0.0, float("nan"), 1e300],
    "instants": list(pd.to_datetime(INSTANTS, utc=True, format="ISO8601")),
}


def histories(seed: int = 0) -> pd.DataFrame:
    """The rows of eight keys at hours that none shares."""
    rng = np.random.default_rng(seed)
    hours = rng.permutation(120)[:40]
    values = np.round(rng.random(40), 3)
    values[::9] = np.nan
    times = [START + timedelta(hours=int(hour)) for hour in hours]
    return pd.DataFrame({"k": rng.integers(0, 8, 40), "t": times, "v": values})


def fill(fs: FeatureStore, group: Callable[..., FeatureGroup]) -> None:
    rows = histories()
    keys = {"primary_key": ["k"], "event_time": "t"}
    labels = rows.assign(id=np.arange(40)[::-1], y=1.0)[["id", "k", "t", "y"]]
    group("labels", labels, primary_key=["id"], event_time="t")
    for name, values in PARTITIONS.items():
        group(name, rows.assign(p=values * 10), partition_key=["p"], **keys)
    twice = group("twice", rows, **keys)
    twice.insert(rows.assign(v=rows["v"] + 100)[:15], operation="insert")
    corrected = group("corrected", rows, keep_corrections=True, **keys)
    corrected.insert(rows.assign(v=rows["v"] + 7)[:12])
    grown = group("grown", rows, **keys)
    grown.append_features([Feature("amount", "decimal(10,2)"), Feature("tags", "array<double>")])
    added = {
        "k": pa.array([1, 2]),
        "t": pa.array([START + timedelta(days=9)] * 2, pa.timestamp("us", "UTC")),
        "v": [1.0, None],
        "amount": pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
        "tags": [[1.0, None], None],
    }
    grown.insert(pa.table(added))


@pytest.mark.parametrize("name", [*PARTITIONS, "twice", "corrected", "grown"])
def test_a_group_is_read_joined_filtered_and_aggregated_the_same(
    fs: FeatureStore, name: str
) -> None:
    labels = fs.get_feature_group("labels", 1)
    group = fs.get_feature_group(name, 1)
    windows = Aggregation(group, [agg.sum("v", over="7d"), agg.last("v", over=None)], by=["k"])
    few = group.select_all().filter(group["v"] > 0.5)
    queries: list[Query] = [
        group.select_all(),
        few,
        labels.select(["y"]).join(group.select_all(), on=["k"], prefix="p_"),
        labels.select(["y"]).join(few, on=["k"], prefix="p_", join_type="inner"),
        labels.select(["y"]).join(windows.select_all(), on=["k"], prefix="w_"),
    ]
    for query in queries:
        assert len(read_by_both(query))


def test_what_was_known_is_the_same(fs: FeatureStore) -> None:
    labels = fs.get_feature_group("labels", 1)
    corrected = fs.get_feature_group("corrected", 1)
    query = labels.select(["y"]).join(corrected.select_all(), on=["k"], prefix="p_")
    assert read_by_both(query.as_known())["p_v"].isna().all()  # it was ingested today
    asked = histories().drop_duplicates("k").assign(t=datetime.now(UTC))
    spine = fs.create_spine(asked[["k", "t"]], primary_key=["k"], event_time="t")
    known = spine.select_all().join(corrected.select(["v"]), on=["k"]).as_known()
    assert read_by_both(known)["v"].notna().any()


def test_both_engines_add_the_rows_of_outer_joins(fs: FeatureStore) -> None:
    """Those of the joined group that no row of the spine matched, with its newest values."""
    labels, twice, corrected = (
        fs.get_feature_group(name, 1) for name in ("labels", "twice", "corrected")
    )
    spine = labels.select(["id", "k", "t"]).filter(labels["id"] < 20)
    rows = histories()
    values = rows["v"].where(rows.index >= 15, rows["v"] + 100)
    newest = dict(zip(zip(rows["k"], rows["t"], strict=True), values, strict=True))
    asked = [(rows["k"][39 - id_], rows["t"][39 - id_]) for id_ in range(20)]
    for kind in ("right", "outer"):
        query = spine.join(twice.select(["v"]), on="k", join_type=kind)
        query = query.join(corrected.select(["v"]), on="k", prefix="c_")
        found = read_by_both(query)
        added = found[found["id"].isna()]
        at = list(zip(added["k"], added["t"], strict=True))
        assert sorted(at) == sorted(set(newest) - set(asked))
        np.testing.assert_array_equal(added["v"], [newest[key] for key in at])
        assert len(found) == 40
        assert query.read("spark").count() == 40
        assert query.limit(7).read("spark").count() == 7
        bounded = query.read("spark", start_time=START + timedelta(hours=60))
        assert bounded.count() == (found["t"] >= START + timedelta(hours=60)).sum()
        assert bounded.columns == list(found.columns)
