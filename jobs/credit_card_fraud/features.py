"""The features of a transaction.

One module for the backfill, the hourly runs, the notebook, and a single transaction online.

A formula is written once, over a module of functions: ``pyspark.sql.functions`` gives a column,
Python's ``math`` a number.

At the instant of a transaction its own amount and place are known, and everything of the card's
earlier ones. So its window holds the earlier transactions alone: what is made of a transaction is
known from one microsecond after it, ``known_at``, and the next one finds it by the point-in-time
join, in training as online.
"""

import math
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

import spark_fs
from spark_fs import Aggregation, FeatureGroup, to_utc
from spark_fs import aggregate as agg

WINDOW = timedelta(hours=4)
# How far back the transaction before is looked for, so that a run over any interval finds the same
# one.
LOOKBACK = timedelta(days=30)
EARTH = 6_371.0  # kilometres
DAYS_OF_YEAR = 365.25


def distance(m: Any, lat: Any, long: Any, lat_before: Any, long_before: Any) -> Any:
    """Kilometres between two places on the sphere, in degrees (the haversine formula)."""
    up, along = m.radians(lat - lat_before) / 2, m.radians(long - long_before) / 2
    a = m.sin(up) * m.sin(up) + m.cos(m.radians(lat)) * m.cos(m.radians(lat_before)) * m.sin(
        along
    ) * m.sin(along)
    return 2 * EARTH * m.asin(m.sqrt(a))


def transactions(events: DataFrame, cards: DataFrame, profiles: DataFrame) -> DataFrame:
    """What is known of each transaction.

    Itself, its card and holder then, and how far and how long after the one before it was.

    Times in seconds, distances in kilometres, age in years. The first transaction in thirty days
    has no one before. ``known_at`` is when the card's windows first count the transaction.
    """
    before = Window.partitionBy("cc_num").orderBy("datetime")
    moved = events.select(
        "*",
        *(
            F.lag(name).over(before).alias(f"before_{name}")
            for name in ("datetime", "merch_lat", "merch_long")
        ),
    )
    recent = (
        F.unix_micros("datetime") - F.unix_micros("before_datetime")
        <= int(LOOKBACK.total_seconds()) * 1_000_000
    )
    moved = moved.withColumns(
        {name: F.when(recent, F.col(name)) for name in moved.columns if name.startswith("before_")}
    )
    known = moved.join(as_of(moved, profiles, "dob"), on=["cc_num", "datetime"], how="left")
    known = known.join(
        as_of(moved, cards, "cc_expiration_date"), on=["cc_num", "datetime"], how="left"
    )
    places = ("merch_lat", "merch_long", "before_merch_lat", "before_merch_long")
    return known.select(
        "cc_num",
        "datetime",
        F.timestamp_micros(F.unix_micros("datetime") + 1).alias("known_at"),
        "trans_num",
        "merchant",
        "category",
        "amt",
        "merch_lat",
        "merch_long",
        "unix_time",
        (F.datediff(F.to_date("datetime"), "dob") / DAYS_OF_YEAR).alias("age_at_transaction"),
        F.datediff("cc_expiration_date", F.to_date("datetime"))
        .cast("bigint")
        .alias("days_until_card_expires"),
        distance(F, *map(F.col, places)).alias("loc_delta_t_minus_1"),
        ((F.unix_micros("datetime") - F.unix_micros("before_datetime")) / 1_000_000).alias(
            "time_delta_t_minus_1"
        ),
    )


def as_of(events: DataFrame, history: DataFrame, value: str) -> DataFrame:
    """The value that was known of a card at each event."""
    then = history.select(F.col("cc_num").alias("of"), F.col("updated_at"), value)
    pairs = events.select("cc_num", "datetime").join(
        then, on=(F.col("cc_num") == F.col("of")) & (F.col("updated_at") <= F.col("datetime"))
    )
    return pairs.groupBy("cc_num", "datetime").agg(F.max_by(value, "updated_at").alias(value))


def windows(featured: FeatureGroup) -> Aggregation:
    """Number, amounts and distances of a card's last four hours, as of each transaction."""
    return Aggregation(
        featured,
        [
            agg.mean("amt", over=WINDOW, name="trans_volume_mavg"),
            agg.stddev("amt", over=WINDOW, name="trans_volume_mstd"),
            agg.count("amt", over=WINDOW, name="trans_freq"),
            agg.mean("loc_delta_t_minus_1", over=WINDOW, name="loc_delta_mavg"),
        ],
        known_at="known_at",
        closed="both",  # the transaction that has just become known is one of them
    )


def of_one(transaction: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The features of one transaction that is just made, from what is known of its card.

    They are the same as ``transactions`` gives.

    transaction: category, amt, merch_lat, merch_long and datetime. known: dob, cc_expiration_date,
    and merch_lat, merch_long and unix_time of the transaction before, where there is one.
    """
    when = to_utc(transaction["datetime"])
    today, dob, expiry = when.date(), known.get("dob"), known.get("cc_expiration_date")
    seconds = None if known.get("unix_time") is None else when.timestamp() - known["unix_time"]
    recent = seconds is not None and seconds <= LOOKBACK.total_seconds()
    places = (
        transaction["merch_lat"],
        transaction["merch_long"],
        known.get("merch_lat"),
        known.get("merch_long"),
    )
    return {
        "category": transaction["category"],
        "amt": transaction["amt"],
        "unix_time": int(when.timestamp()),
        "age_at_transaction": _days(today, dob) / DAYS_OF_YEAR if dob else None,
        "days_until_card_expires": _days(expiry, today) if expiry else None,
        "loc_delta_t_minus_1": distance(math, *places) if recent else None,
        "time_delta_t_minus_1": seconds if recent else None,
    }


def _days(later: date, earlier: date) -> int:
    return (later - earlier).days


@spark_fs.udf(int, mode="python")
def hour_of_day(unix_time):  # type: ignore[no-untyped-def] # its source is kept without annotations
    """The hour in UTC: of a stored transaction in training, of the one that is asked for online."""
    return None if unix_time is None else unix_time // 3600 % 24
