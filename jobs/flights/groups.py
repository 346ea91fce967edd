"""The feature groups of the flights, and what builds the rows of each in an interval."""

from collections.abc import Callable
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from flights import features, source
from spark_fs import FeatureGroup, FeatureStore, FeatureView


def flight_delays(fs: FeatureStore) -> FeatureGroup:
    """The flights and their labels."""
    return fs.get_or_create_feature_group(
        "flight_delays",
        description=(
            "Flights out of New York: schedule, plane and whether they came more than 15 minutes"
            " late"
        ),
        primary_key=["carrier", "flight", "origin"],
        event_time="sched_dep",
        partition_key=["month"],
        online_enabled=True,
    )


def weather(fs: FeatureStore) -> FeatureGroup:
    """The weather where they leave."""
    return fs.get_or_create_feature_group(
        "weather",
        description="Hourly weather at the three airports of New York",
        primary_key=["origin"],
        event_time="observed_at",
        online_enabled=True,
    )


def planes(fs: FeatureStore) -> FeatureGroup:
    """The planes that fly them."""
    return fs.get_or_create_feature_group(
        "planes",
        description="Make, age and size of each plane",
        primary_key=["tailnum"],
        online_enabled=True,
    )


def carrier_delays(fs: FeatureStore) -> FeatureGroup:
    """The recent delays of their carriers."""
    return fs.get_or_create_feature_group(
        "carrier_delays",
        description=(
            "Arrival delays known in the 4 and 24 hours before a departure, per origin and carrier"
        ),
        primary_key=["origin", "carrier"],
        event_time="sched_dep",
        online_enabled=True,
    )


def _within(frame: DataFrame, time: str, start: datetime, end: datetime) -> DataFrame:
    return frame.filter((F.col(time) >= F.lit(start)) & (F.col(time) < F.lit(end)))


def build_flight_delays(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """Flights scheduled in the interval."""
    return _within(
        features.flight_delays(source.flights(spark, start, end)), "sched_dep", start, end
    )


def build_weather(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """Observations made in the interval."""
    return _within(features.weather(source.weather(spark)), "observed_at", start, end)


def build_planes(spark: SparkSession, _start: datetime, _end: datetime) -> DataFrame:
    """The register as it is: planes have no event time."""
    return features.planes(source.planes(spark))


def build_carrier_delays(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """Windows before the departures of the interval, from all flights that can reach into them."""
    flights = source.flights(spark, start - features.LOOKBACK, end)
    return _within(
        features.carrier_delays(flights, source.airports(spark)), "sched_dep", start, end
    )


PIPELINE: dict[
    Callable[[FeatureStore], FeatureGroup], Callable[[SparkSession, datetime, datetime], DataFrame]
] = {
    flight_delays: build_flight_delays,
    weather: build_weather,
    planes: build_planes,
    carrier_delays: build_carrier_delays,
}


def delay_view(fs: FeatureStore) -> FeatureView:
    """What is known of a flight when it is due to leave, with its label.

    Flights that never arrived have none.
    """
    flights = flight_delays(fs)
    spine = flights.select(["weekday", "hour", "distance", "late"]).filter(
        ~flights["late"].is_null()
    )
    query = (
        spine.join(weather(fs).select_features())
        .join(planes(fs).select(["year_built", "engines", "seats"]), on=["tailnum"])
        .join(carrier_delays(fs).select_features())
    )
    return fs.get_or_create_feature_view(
        "late_arrivals", query, labels=["late"], description="Will the flight arrive late?"
    )
