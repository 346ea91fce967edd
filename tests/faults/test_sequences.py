"""Any sequence of upserts, inserts and deletes leaves what a dictionary holds: ``make faults``."""

import os
import tempfile
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

import spark_fs

EXAMPLES = int(os.environ.get("SPARK_FS_SEQUENCES", "25"))
HOUR = pd.Timestamp("2024-01-31 22:00", tz="UTC")
ROWS = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 5)),
    st.one_of(st.none(), st.integers(-2, 2)),
    max_size=6,
)
KEYS = st.sets(st.integers(0, 3), min_size=1, max_size=2)
STEPS = st.one_of(
    st.tuples(st.just("upsert"), ROWS),
    st.tuples(st.just("insert"), ROWS),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("delete rows"), ROWS.filter(bool)),
)


def frame(rows: dict[tuple[int, int], int | None]) -> pd.DataFrame:
    times = pd.DatetimeIndex(
        [HOUR + pd.Timedelta(hours=h) for _, h in rows], dtype="datetime64[us, UTC]"
    )
    return pd.DataFrame(
        {
            "k": pd.array([k for k, _ in rows], "int64"),
            "t": times,
            "v": pd.array(list(rows.values()), "Int64"),
        }
    )


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(STEPS, min_size=1, max_size=7), grain=st.sampled_from([[], ["day"], ["month"]])
)
def test_any_sequence_leaves_what_a_dictionary_holds(
    spark: SparkSession, steps: list[tuple[str, Any]], grain: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as home:
        group = (
            spark_fs.login({"home": home})
            .get_feature_store()
            .create_feature_group(
                "g",
                primary_key=["k"],
                event_time="t",
                partition_key=grain,
                features=[
                    spark_fs.Feature("k", "bigint"),
                    spark_fs.Feature("t", "timestamp"),
                    spark_fs.Feature("v", "bigint"),
                ],
            )
        )
        group.insert(frame({(0, 0): 1}))
        model: dict[tuple[int, int], int | None] = {(0, 0): 1}
        for operation, given_ in steps:
            if operation.startswith("delete"):
                keys = (
                    pd.DataFrame({"k": sorted(given_)}) if operation == "delete" else frame(given_)
                )
                group.delete_records(keys)
                model = {
                    row: v
                    for row, v in model.items()
                    if (row[0] if operation == "delete" else row) not in given_
                }
            else:
                summary = group.insert(frame(given_), operation=operation)[0].summary
                known = [row for row in given_ if row in model]
                if operation == "upsert":
                    changed = [row for row in known if model[row] != given_[row]]
                    assert [summary[n] for n in ("read", "inserted", "updated", "unchanged")] == [
                        len(given_),
                        len(given_) - len(known),
                        len(changed),
                        len(known) - len(changed),
                    ]
                model |= given_
        found = group.read("pandas")
        rows = zip(
            found["k"],
            (found["t"] - HOUR) // pd.Timedelta(hours=1),
            found["v"].astype("Int64"),
            strict=True,
        )
        read = {(int(k), int(h)): None if pd.isna(v) else int(v) for k, h, v in rows}
        assert (read, len(found)) == (model, len(model))
