"""The feature groups of the fraud system, what builds their rows, and the views of two models."""

from collections.abc import Callable
from datetime import datetime, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from credit_card_fraud import features, source
from spark_fs import Feature, FeatureGroup, FeatureStore, FeatureView

CARD = ["cc_num"]
PLAIN = ["category", "amt", "unix_time", "age_at_transaction", "days_until_card_expires"]
DELTAS = ["loc_delta_t_minus_1", "time_delta_t_minus_1"]
BEFORE = ["merch_lat", "merch_long"]  # of the transaction before, for the next one's distance
# Declared, since the windows are declared over these columns before there is a row.
TRANSACTION = {
    "cc_num": "bigint",
    "datetime": "timestamp",
    "known_at": "timestamp",
    "trans_num": "string",
    "merchant": "string",
    "category": "string",
    "amt": "double",
    "merch_lat": "double",
    "merch_long": "double",
    "unix_time": "bigint",
    "age_at_transaction": "double",
    "days_until_card_expires": "bigint",
    "loc_delta_t_minus_1": "double",
    "time_delta_t_minus_1": "double",
}


def labels(fs: FeatureStore) -> FeatureGroup:
    """Which transactions were fraud."""
    return fs.get_or_create_feature_group(
        "transactions_fraud_label",
        description="Whether a transaction was fraud",
        primary_key=CARD,
        event_time="datetime",
    )


def transactions(fs: FeatureStore) -> FeatureGroup:
    """The transactions themselves."""
    return fs.get_or_create_feature_group(
        "cc_trans_fraud",
        description=(
            "Each transaction, with what was known of its card and holder, and the distance from"
            " the one before"
        ),
        primary_key=CARD,
        event_time="datetime",
        online_enabled=True,
        features=[Feature(name, type_) for name, type_ in TRANSACTION.items()],
    )


def windows(fs: FeatureStore) -> FeatureGroup:
    """Their windows; one that is older than the window says nothing of now."""
    return fs.get_or_create_feature_group(
        "cc_trans_fraud_4h",
        description="Number, amounts and distances of a card's transactions over four hours",
        online_enabled=True,
        ttl=features.WINDOW,
        aggregation=features.windows(transactions(fs)),
    )


def profiles(fs: FeatureStore) -> FeatureGroup:
    """The holders, updated weekly."""
    return fs.get_or_create_feature_group(
        "cc_profiles",
        description="The holders of the cards",
        primary_key=CARD,
        event_time="updated_at",
        online_enabled=True,
    )


def cards(fs: FeatureStore) -> FeatureGroup:
    """The cards, updated daily."""
    return fs.get_or_create_feature_group(
        "cc_cards",
        description="When each card expires",
        primary_key=CARD,
        event_time="updated_at",
        online_enabled=True,
    )


def predictions(fs: FeatureStore) -> FeatureGroup:
    """What the batch inference predicted."""
    return fs.get_or_create_feature_group(
        "cc_fraud_predictions",
        description="The probability of fraud of each transaction, and by which model",
        primary_key=CARD,
        event_time="datetime",
    )


def _within(frame: DataFrame, time: str, start: datetime, end: datetime) -> DataFrame:
    return frame.filter((F.col(time) >= F.lit(start)) & (F.col(time) < F.lit(end)))


def build_labels(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """The labels of the interval's transactions."""
    return source.transactions(spark, start, end).select(
        "cc_num", "datetime", "trans_num", "is_fraud"
    )


def build_transactions(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """The interval's transactions with their features, which need earlier ones too."""
    events = source.transactions(spark, start - features.LOOKBACK, end)
    known = features.transactions(
        events, source.updated(spark, "cards", end), source.updated(spark, "profiles", end)
    )
    return _within(known, "datetime", start, end)


def build_profiles(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """The holders of whom something new was known in the interval."""
    return _within(source.updated(spark, "profiles", end), "updated_at", start, end)


def build_cards(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """The cards that were issued in the interval."""
    return _within(source.updated(spark, "cards", end), "updated_at", start, end)


PIPELINE: dict[
    Callable[[FeatureStore], FeatureGroup],
    Callable[[SparkSession, datetime, datetime], DataFrame] | None,
] = {
    labels: build_labels,
    transactions: build_transactions,
    windows: None,  # built by its aggregation, of the transactions before it
    profiles: build_profiles,
    cards: build_cards,
}
EVERY = {
    profiles: timedelta(days=7),
    cards: timedelta(days=1),
}  # the others go as often as the job is run


def fraud_view(fs: FeatureStore, with_windows: bool = True) -> FeatureView:
    """What is known of a transaction when it is made.

    Without windows and distances it is what the transaction says by itself.
    """
    function = fs.get_transformation_function
    columns = [*PLAIN, *BEFORE, *(DELTAS if with_windows else [])]
    query = labels(fs).select(["is_fraud"]).join(transactions(fs).select(columns))
    if with_windows:
        query = query.join(windows(fs).select_features())
    query = query.join(profiles(fs).select(["gender", "city_pop", "dob"])).join(
        cards(fs).select(["cc_expiration_date"])
    )
    return fs.get_or_create_feature_view(
        "cc_fraud" if with_windows else "cc_fraud_plain",
        query,
        labels=["is_fraud"],
        description="Is the transaction fraud? "
        + ("With windows and distances" if with_windows else "From the transaction alone"),
        transformation_functions={
            "category": function("one_hot_encoder"),
            "gender": function("label_encoder"),
            "amt": function("log_transform"),
            "city_pop": function("log_transform"),
            "unix_time": features.hour_of_day.alias("hour_of_day"),
        },
        inference_helper_columns=[*BEFORE, "unix_time", "dob", "cc_expiration_date"],
    )
