"""The pipeline of jobs/ over the whole year, beside pandas on the package's own files."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs
from flights import features, groups, source
from spark_fs import Aggregation, to_utc
from spark_fs import aggregate as agg
from spark_fs.api.feature_store import FeatureStore

from oracles import merge_asof, same_rows

pytestmark = pytest.mark.slow

START, END = (
    "2013-01-01",
    "2014-01-02",
)  # in UTC the last departures of the year are on the first of January


@pytest.fixture(scope="module")
def year(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """A store with the whole year, all but its last two days by backfill."""
    fs = spark_fs.login({"home": tmp_path_factory.mktemp("year")}).get_feature_store()
    for declare, build in groups.PIPELINE.items():
        declare(fs).backfill(build, START, "2013-12-31")
        declare(fs).run_incremental(build, END, every=timedelta(days=2))
    return fs


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    """The flights as pandas reads them, with the scheduled departure from the local columns."""
    frame = source.table("flights.csv.zip")
    local = pd.to_datetime(frame[["year", "month", "day", "hour", "minute"]]).dt.tz_localize(
        "America/New_York"
    )
    return frame.assign(sched_dep=local.dt.tz_convert("UTC"))


def test_every_row_of_the_sources_is_there(year: FeatureStore, flights: pd.DataFrame) -> None:
    found = {group.name: group.read().count() for group in year.get_feature_groups()}
    assert found == {
        "flight_delays": len(flights),
        "weather": len(source.table("weather.csv")),
        "planes": len(source.table("planes.csv")),
        "carrier_delays": len(flights.drop_duplicates(["origin", "carrier", "sched_dep"])),
    }
    assert len(source.table("airports.csv")) == 1_458
    assert (found["flight_delays"], found["weather"], found["planes"]) == (336_776, 26_115, 3_322)


def test_a_flight_is_its_carrier_number_and_origin_on_one_day(flights: pd.DataFrame) -> None:
    day = ["year", "month", "day"]
    assert not flights.duplicated(["carrier", "flight", "origin", "sched_dep"]).any()
    assert not flights.duplicated(["carrier", "flight", "origin", *day]).any()
    assert flights.duplicated(["carrier", "flight", *day]).sum() == 24
    assert flights.duplicated(["flight", "origin", *day]).any()


def test_labels_and_instants_are_those_of_the_source(
    year: FeatureStore, flights: pd.DataFrame
) -> None:
    found = (
        groups.flight_delays(year)
        .select(["carrier", "flight", "origin", "sched_dep", "tailnum", "late"])
        .read("pandas")
    )
    late = (flights["arr_delay"] > 15).astype(float).where(flights["arr_delay"].notna())
    wanted = flights[["carrier", "flight", "origin", "sched_dep", "tailnum"]].assign(late=late)
    same_rows(found, wanted, ["carrier", "flight", "origin", "sched_dep"])


def test_the_join_with_the_weather_is_pandas_merge_asof_row_for_row(year: FeatureStore) -> None:
    spine, weather = groups.flight_delays(year), groups.weather(year)
    identity = ["carrier", "flight", "origin", "sched_dep"]
    found = spine.select(identity).join(weather.select_features()).read("pandas")
    observed = source.table("weather.csv").assign(
        observed_at=lambda w: pd.to_datetime(w["time_hour"])
    )
    right = observed[["origin", "observed_at", *weather.select_features().spec.columns]]
    left = spine.select(identity).read("pandas")
    wanted = merge_asof(left, right, "sched_dep", "observed_at", ["origin"]).drop(
        columns="observed_at"
    )
    assert len(found) == 336_776
    assert wanted["temp"].isna().sum() < 3_000 < wanted["wind_gust"].isna().sum()
    same_rows(found, wanted, identity)


def arrival(flights: pd.DataFrame) -> pd.Series:
    """When each flight landed, another way than the pipeline's: its schedule in the destination's zone, plus its delay."""
    zones = source.table("airports.csv").set_index("faa")["tzone"]
    landed = flights[flights["arr_delay"].notna()]
    times = []
    for zone, part in landed.groupby(landed["dest"].map(zones).fillna(features.CARIBBEAN)):
        leaves = part["sched_dep"].dt.tz_convert(ZoneInfo(str(zone)))
        clock = part["sched_arr_time"] // 100 * 60 + part["sched_arr_time"] % 100
        flying = (clock - leaves.dt.hour * 60 - leaves.dt.minute) % 1440
        times.append(part["sched_dep"] + pd.to_timedelta(flying + part["arr_delay"], "min"))
    return pd.concat(times)


def test_windows_hold_the_delays_known_at_each_departure(
    year: FeatureStore, flights: pd.DataFrame
) -> None:
    known = dict(
        list(
            flights.assign(arrived=arrival(flights))
            .dropna(subset="arrived")
            .groupby(["origin", "carrier"])
        )
    )
    found = groups.carrier_delays(year).read("pandas")
    counted = 0
    for row in found.sample(400, random_state=1).itertuples():
        own = known[row.origin, row.carrier]
        for name, length in features.WINDOWS.items():
            inside = own[
                (own["arrived"] >= row.sched_dep - length) & (own["arrived"] < row.sched_dep)
            ]["arr_delay"].to_numpy()
            assert getattr(row, f"arr_delay_count_{name}") == len(inside), row
            if len(inside):
                counted += 1
                assert getattr(row, f"arr_delay_mean_{name}") == pytest.approx(
                    inside.mean(), rel=1e-12
                )
                assert getattr(row, f"arr_delay_stddev_{name}") == pytest.approx(
                    inside.std(), rel=1e-9, abs=1e-6
                )
    assert counted > 500


@pytest.mark.long
def test_declared_windows_at_departures_are_those_that_are_stored(
    year: FeatureStore, spark: SparkSession
) -> None:
    landed = year.create_feature_group(
        "arrivals", primary_key=["origin", "carrier", "flight"], event_time="arrived_at"
    )
    flown = source.flights(spark, to_utc(START), to_utc(END))
    landed.insert(features.arrivals(flown, source.airports(spark)))
    windows = [
        declare("arr_delay", over=list(features.WINDOWS))
        for declare in (agg.count, agg.mean, agg.stddev)
    ]
    declared = Aggregation(landed, windows, by=["origin", "carrier"])
    stored = groups.carrier_delays(year)
    names = [feature.name for feature in declared.features]
    query = stored.select(names).join(declared.select_all(), prefix="declared_")
    found = query.read("pandas")
    landed.delete()
    assert len(found) > 200_000
    for name in names:
        np.testing.assert_array_equal(found[f"declared_{name}"], found[name], err_msg=name)


@pytest.mark.long
def test_increments_are_what_a_backfill_gives(year: FeatureStore, spark: SparkSession) -> None:
    start = pd.Timestamp("2013-12-31", tz="UTC").to_pydatetime()
    for declare, build in groups.PIPELINE.items():
        group = declare(year)
        if group.event_time:
            rows = build(spark, start, start + timedelta(days=2)).toPandas()
            rows[group.event_time] = rows[group.event_time].dt.tz_localize("UTC")
            found = group.read("pandas")
            same_rows(
                found[found[group.event_time] >= start][list(rows.columns)],
                rows,
                list(group.spec.identity),
            )


@pytest.mark.long
def test_the_jobs_run_by_hand_find_nothing_left_to_do(year: FeatureStore) -> None:
    before = {group.name: group.commit_details() for group in year.get_feature_groups()}
    for declare, build in groups.PIPELINE.items():
        assert declare(year).run_incremental(build, END) == []
    assert {group.name: group.commit_details() for group in year.get_feature_groups()} == before


@pytest.fixture(scope="module")
def serving(year: FeatureStore) -> FeatureStore:
    """The year, with its view and its online tables."""
    groups.delay_view(year)
    for group in year.get_feature_groups():
        group.sync_online()
    return year


@pytest.mark.long
def test_vectors_are_the_offline_latest(serving: FeatureStore) -> None:
    view = serving.get_feature_view("late_arrivals", 1)
    newest = (
        groups.flight_delays(serving)
        .read("pandas")
        .sort_values("sched_dep")
        .groupby(["carrier", "flight", "origin"])
        .tail(1)
    )
    asked = newest.sample(200, random_state=2).sort_values("sched_dep").reset_index(drop=True)
    entries = asked[["carrier", "flight", "origin"]].to_dict("records")
    found = view.get_feature_vectors(entry=entries, return_type="pandas")
    weather = (
        groups.weather(serving).read("pandas").sort_values("observed_at").groupby("origin").tail(1)
    )
    planes = groups.planes(serving).read("pandas")
    delays = (
        groups.carrier_delays(serving)
        .read("pandas")
        .sort_values("sched_dep")
        .groupby(["origin", "carrier"])
        .tail(1)
    )
    wanted = (
        asked.merge(weather, on="origin", how="left")
        .merge(planes, on="tailnum", how="left")
        .merge(delays.drop(columns="sched_dep"), on=["origin", "carrier"], how="left")
    )
    same_rows(found.assign(n=range(200)), wanted[list(view.schema)].assign(n=range(200)), ["n"])
