"""What transformations learn in chains, by Spark and by the local engine: the same to the last bit."""

import pandas as pd
from pandas.testing import assert_frame_equal

import spark_fs
from spark_fs.builtin_transformations import (
    impute_median,
    impute_mode,
    label_encoder,
    quantile_transformer,
    standard_scaler,
    winsorize,
)
from spark_fs.transformation_statistics import TransformationStatistics

of_value = TransformationStatistics("value")


@spark_fs.udf(float)
def centered(value, statistics=of_value):
    return (value - statistics.value.percentiles[49]) / statistics.value.std_dev


def test_files_made_by_spark_are_those_of_the_local_engine(fs):
    rows = pd.DataFrame(
        {
            "id": range(60),
            "at": pd.date_range("2024-01-01", periods=60, tz="UTC"),
            "v": [None if i % 7 == 0 else i * 1.5 for i in range(60)],
            "w": [None if i % 5 == 0 else i % 11 / 3 for i in range(60)],
            "kind": [None if i % 9 == 0 else "abc"[i % 3] for i in range(60)],
        }
    )
    group = fs.create_feature_group("chained", primary_key=["id"], event_time="at")
    group.insert(rows)
    view = fs.create_feature_view(
        "chained",
        group.select(["v", "w", "kind"]),
        transformation_functions=[
            standard_scaler(winsorize("v")),
            quantile_transformer("w").alias("place"),
            centered(impute_median("w")).alias("w_centered"),
            label_encoder(impute_mode("kind")),
        ],
    )
    made = {}
    for engine in ("spark", "local"):
        by_time, _ = view.create_train_test_split(train_end="2024-02-10", engine=engine)
        by_chance, _ = view.create_train_test_split(test_size=0.3, seed=3, engine=engine)
        made[engine] = [by_time, by_chance]
    states = {dataset.version: dataset.states for dataset in view.get_training_datasets()}
    for by_spark, by_local in zip(made["spark"], made["local"], strict=True):
        assert states[by_spark] == states[by_local]
        one = view.get_train_test_split(by_spark, dataframe_type="pandas")
        other = view.get_train_test_split(by_local, dataframe_type="pandas")
        for frame, same in zip(one[:2], other[:2], strict=True):
            assert_frame_equal(frame, same, check_exact=True)
