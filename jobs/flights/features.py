"""The features of a flight, as functions from DataFrames to DataFrames.

The columns ``year`` to ``minute`` are local times of New York, ambiguous for an hour in November
and missing one in March. ``time_hour`` is the same hour as a UTC instant, so every instant here is
made from it.
"""

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_fs import Events, rolling

LATE = 15  # minutes
WINDOWS = {"4h": timedelta(hours=4), "24h": timedelta(hours=24)}
# How far before an instant a flight may have been scheduled and still land in its longest window:
# the latest arrival of the year came 32.7 hours after its scheduled departure.
LOOKBACK = max(WINDOWS.values()) + timedelta(hours=48)
# Four destinations are not in the airports table; all lie in Puerto Rico and the Virgin Islands.
CARIBBEAN = "America/Puerto_Rico"


def scheduled_departure() -> Column:
    """The instant at which a flight was to leave."""
    return F.to_timestamp("time_hour") + F.make_interval(mins=F.col("minute").cast("int"))


def flight_delays(flights: DataFrame) -> DataFrame:
    """What is known of a flight when it is scheduled, and its label.

    One row per flight, cancelled ones too.

    ``late`` is 1 for an arrival more than 15 minutes late, 0 for another, null where the flight
    never arrived (cancelled or diverted). A flight is one (carrier, flight, origin) at one
    scheduled departure: without the origin 24 pairs of a day coincide.
    """
    return flights.select(
        "carrier",
        F.col("flight").cast("int").alias("flight"),
        "origin",
        scheduled_departure().alias("sched_dep"),
        "dest",
        "tailnum",
        F.col("month").cast("int").alias("month"),
        F.weekday(F.make_date("year", "month", "day")).alias("weekday"),
        F.col("hour").cast("int").alias("hour"),
        F.col("distance").cast("int").alias("distance"),
        (F.col("arr_delay") > LATE).cast("int").alias("late"),
    )


def weather(observations: DataFrame) -> DataFrame:
    """The weather at an airport, one row per observation; hours without one are simply absent."""
    measured = (
        "temp",
        "dewp",
        "humid",
        "wind_dir",
        "wind_speed",
        "wind_gust",
        "precip",
        "pressure",
        "visib",
    )
    return observations.select(
        "origin", F.to_timestamp("time_hour").alias("observed_at"), *measured
    )


def planes(register: DataFrame) -> DataFrame:
    """The make of each plane; planes have no history."""
    return register.select(
        "tailnum",
        F.col("year").cast("int").alias("year_built"),
        "manufacturer",
        "model",
        F.col("engines").cast("int").alias("engines"),
        F.col("seats").cast("int").alias("seats"),
    )


def arrivals(flights: DataFrame, airports: DataFrame) -> DataFrame:
    """The flights that landed where they should.

    Each has the instant at which its delay became known: its arrival.

    The source has the arrival as a local time of day at the destination. It is the first such time
    after the actual departure; so read, it equals the scheduled arrival plus the delay for every
    one of the 327,346 flights.
    """
    zones = F.broadcast(airports.select(F.col("faa").alias("dest"), F.col("tzone").alias("zone")))
    departed = scheduled_departure() + F.make_interval(mins=F.col("dep_delay").cast("int"))
    local = F.from_utc_timestamp("departed", F.coalesce("zone", F.lit(CARIBBEAN)))
    arrived = F.col("arr_time").cast("int")
    elapsed = F.floor(arrived / 100) * 60 + arrived % 100 - F.hour(local) * 60 - F.minute(local)
    landed = flights.filter(F.col("arr_delay").isNotNull()).join(zones, on="dest", how="left")
    return landed.withColumn("departed", departed).select(
        "origin",
        "carrier",
        F.col("flight").cast("int").alias("flight"),
        (F.col("departed") + F.make_interval(mins=F.pmod(elapsed, F.lit(1440)).cast("int"))).alias(
            "arrived_at"
        ),
        F.col("arr_delay").cast("int").alias("arr_delay"),
    )


def carrier_delays(flights: DataFrame, airports: DataFrame) -> DataFrame:
    """Arrival delays of an airport's carrier over the hours before its scheduled departures.

    At the departure t a window holds the flights that landed in [t - length, t): whatever is still
    in the air is not known yet, however late it already is.

    These are rows at other instants than the events', so they are not declared: an aggregation of
    the arrivals has rows at arrivals. Its ``select_all()`` gives the same windows at departures in
    training, but stores nothing that a vector could be read from.
    """
    instants = flights.select(
        "origin", "carrier", scheduled_departure().alias("sched_dep")
    ).distinct()
    landed = Events(arrivals(flights, airports), known_at="arrived_at", value="arr_delay")
    return rolling(landed, instants, at="sched_dep", by=["origin", "carrier"], windows=WINDOWS)
