"""A group of window features keeps tiles of its source, and its rows are those of all events."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import spark_fs
from spark_fs import aggregate as agg
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.engine.windows import tiled_rows
from spark_fs.flows import event_source, window_tiles

START = datetime(2024, 1, 1, tzinfo=UTC)


def make_events(first: int, last: int, count: int) -> pd.DataFrame:
    """Payments of ten cards between two days."""
    random = np.random.default_rng(first)
    seconds = random.choice(np.arange(first * 86_400, last * 86_400), count, replace=False)
    return pd.DataFrame(
        {
            "card": random.integers(0, 10, count),
            "at": pd.Timestamp(START) + pd.to_timedelta(seconds, unit="s"),
            "amount": random.gamma(2.0, 30.0, count).round(2),
        }
    )


def declare(fs: FeatureStore, name: str, source: FeatureGroup) -> FeatureGroup:
    features = [
        agg.mean("amount", over=["4h", "5d"]),
        agg.mean("amount", over=None),
        agg.stddev("amount", over="5d"),
        agg.max("amount", over="5d", where=source["amount"] < 100),
        agg.distinct_count("amount", over="5d", delay="1d"),
        agg.time_since_last("amount", over=None),
    ]
    aggregation = spark_fs.Aggregation(source, features)
    return fs.create_feature_group(name, aggregation=aggregation)


def read_sorted(group: FeatureGroup) -> pd.DataFrame:
    frame = group.read(dataframe_type="pandas")
    return frame.sort_values(["card", "at"]).reset_index(drop=True)


@pytest.mark.slow
def test_days_from_tiles_are_those_of_one_backfill(
    fs: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = fs.create_feature_group("payments", primary_key=["card"], event_time="at")
    source.insert(make_events(0, 12, 400))
    daily = declare(fs, "daily", source)
    with monkeypatch.context() as patch:
        patch.setattr(event_source, "LOCAL_BYTES", 0)  # threads make the first tiles of shares
        daily.backfill(START, START + timedelta(days=12))
    folder = Path(f"{daily.location}_tiles")
    assert (folder / "state.arrow").exists()

    served: list[int] = []
    build = tiled_rows.build_tiled_rows

    def count_events(events, *others):  # type: ignore[no-untyped-def]
        served.append(len(events))
        return build(events, *others)

    monkeypatch.setattr(window_tiles, "build_tiled_rows", count_events)
    source.insert(make_events(12, 13, 40))
    daily.run_incremental(START + timedelta(days=13))
    source.insert(make_events(13, 14, 40))
    source.insert(make_events(2, 9, 5))  # late
    source.delete_records(source.read(dataframe_type="pandas").head(3))
    daily.run_incremental(START + timedelta(days=14))
    assert len(served) == 2
    assert max(served) < 250  # of 500

    once = declare(fs, "once", source)
    once.backfill(START, START + timedelta(days=14))
    pd.testing.assert_frame_equal(read_sorted(daily), read_sorted(once), check_exact=True)

    daily.delete()
    assert not folder.exists()
