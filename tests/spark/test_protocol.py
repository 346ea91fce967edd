"""Tables by Delta's own hand, with each of its features: our reader of the log finds what Spark finds, and every way of reading gives the same rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.tables.delta import commands, history
from spark_fs.tables.delta.log import DeltaLog
from spark_fs.tables.table_log import open_log

from conftest import first_quick

AT = pd.Timestamp("2024-01-01", tz="UTC")
# What Unicode counts as an end of a line or as a space, what paths and JSON escape, and a few beyond the first plane.
ENDS = [c for c in map(chr, range(0x3100)) if len(f"a{c}b".splitlines()) > 1]
ODD = [
    *ENDS,
    "\xa0",
    "\ufeff",
    "\u00e9",
    "e\u0301",
    "\U0001f600",
    "\U0010ffff",
    *"%/:=\\'\"{#*?+& \x7f",
]


@pytest.mark.slow
def test_odd_characters_go_through_every_path(
    fs: FeatureStore, group: Callable[..., FeatureGroup], spark: SparkSession
) -> None:
    frame = pd.DataFrame(
        {
            "k": [f"a{c}b" for c in ODD],
            "p": [f"p{c}q" for c in ODD],
            "t": AT,
            "v": [f"{c}{c}" for c in ODD],
        }
    )
    odd = group(
        "odd",
        frame.assign(v="before"),
        primary_key=["k"],
        partition_key=["p"],
        event_time="t",
        online_enabled=True,
    )
    assert odd.insert(frame)[0].summary["updated"] == len(ODD), (
        "a MERGE, with its predicate in the log"
    )
    other = group("other", frame[["k", "t"]].assign(w=1), primary_key=["k"], event_time="t")
    wanted = sorted(map(tuple, frame[["k", "p", "v"]].values))

    def rows(found: pd.DataFrame) -> list[tuple[str, ...]]:
        return sorted(map(tuple, found[["k", "p", "v"]].values))

    assert rows(odd.read("pandas")) == wanted
    joined = other.select_all().join(odd.select(["p", "v"]), on=["k"])
    for strategy in ("broadcast", "columnar", "sql"):
        assert rows(joined.read("pandas", strategy=strategy)) == wanted
    view = fs.create_feature_view("odd_view", joined)
    assert rows(view.training_data(primary_key=True)[0]) == wanted
    assert rows(view.get_training_data(1, primary_key=True)[0]) == wanted
    found = {
        each.feature_name: each for each in odd.compute_statistics().feature_descriptive_statistics
    }
    assert (
        found["v"].count,
        found["v"].num_null_values,
        found["p"].approx_num_distinct_values,
    ) == (len(ODD), 0, len(ODD))
    assert odd.sync_online().summary["written"] == len(ODD)
    assert odd.verify_online().ok
    served = fs.create_feature_view("odd_served", odd.select(["p", "v"]))
    for key, part, value in wanted:
        assert served.get_feature_vector({"k": key}) == [part, value]
    one = odd.delete_records(pd.DataFrame({"k": [f"a{c}b" for c in ENDS]}))
    assert one.summary["deleted"] == len(ENDS)
    assert rows(odd.read("pandas")) == [row for row in wanted if row[0][1:-1] not in ENDS]
    files = {each.path for each in history.list_data_files(odd.location)}
    assert files == found_by_spark(spark, odd.location)
    assert all(Path(each).exists() for each in files)


# -- each feature


def found_by_spark(spark: SparkSession, path: str, version: int | None = None) -> set[str]:
    return {
        name.removeprefix("file:")
        for name in commands.read_table(spark, path, version).inputFiles()
    }


PROPERTIES = {
    "deletion vectors": "'delta.enableDeletionVectors' = 'true'",
    "column mapping": "'delta.columnMapping.mode' = 'name'",
    "column mapping by id": "'delta.columnMapping.mode' = 'id'",
    "V2 checkpoints": (
        "'delta.checkpointPolicy' = 'v2', 'delta.checkpointInterval' = '2',"
        " 'delta.enableDeletionVectors' = 'true'"
    ),
    "classic checkpoints": "'delta.checkpointInterval' = '2'",
    "structs in checkpoints": (
        "'delta.checkpointInterval' = '2', 'delta.checkpoint.writeStatsAsJson' = 'false',"
        " 'delta.checkpoint.writeStatsAsStruct' = 'true'"
    ),
    "type widening": "'delta.enableTypeWidening' = 'true'",
    "the check of vacuum": "'delta.feature.vacuumProtocolCheck' = 'supported'",
    "in-commit timestamps": "'delta.enableInCommitTimestamps' = 'true'",
    "row tracking": "'delta.enableRowTracking' = 'true'",
    "a change feed": "'delta.enableChangeDataFeed' = 'true'",
}
SETTINGS = {
    "": {},
    "JSON": {"spark.databricks.delta.checkpointV2.topLevelFileFormat": "json"},
    "Parquet": {"spark.databricks.delta.checkpointV2.topLevelFileFormat": "parquet"},
    "parts": {"spark.databricks.delta.checkpoint.partSize": "1"},
}
CASES = [
    *((kind, "") for kind in PROPERTIES),
    ("V2 checkpoints", "Parquet"),
    ("classic checkpoints", "parts"),
]
SUBTLE = [("V2 checkpoints", "JSON"), ("classic checkpoints", "parts"), ("column mapping", "")]
CASES = [*SUBTLE, *(each for each in CASES if each not in SUBTLE)]


@pytest.mark.parametrize(("kind", "setting"), first_quick(CASES, 0, ci=len(SUBTLE)))
def test_files_of_every_version_are_those_that_spark_finds(
    kind: str, setting: str, tmp_path: Path, spark: SparkSession
) -> None:
    path = str(tmp_path / "t able")
    for name, value in SETTINGS[setting].items():
        spark.conf.set(name, value)
    try:
        spark.sql(
            f"CREATE TABLE delta.`{path}` (k INT, p STRING, v INT) USING delta PARTITIONED BY (p)"
            f" TBLPROPERTIES ({PROPERTIES[kind]})"
        )
        spark.range(6).selectExpr("CAST(id AS INT) k", "CONCAT('p ', id % 2) p", "1 v").repartition(
            1
        ).write.format("delta").mode("append").save(path)
        spark.sql(f"DELETE FROM delta.`{path}` WHERE k = 2")
        spark.sql(f"UPDATE delta.`{path}` SET v = 2 WHERE k = 4")
        if "mapping" in kind:
            spark.sql(f"ALTER TABLE delta.`{path}` RENAME COLUMN v TO w")
            spark.sql(f"ALTER TABLE delta.`{path}` ADD COLUMN v INT")
        if kind == "type widening":
            spark.sql(f"ALTER TABLE delta.`{path}` ALTER COLUMN v TYPE BIGINT")
    finally:
        for name in SETTINGS[setting]:
            spark.conf.unset(name)
    newest = open_log(path).version
    for version in range(newest + 1):
        files = history.list_data_files(path, version)
        assert {each.path for each in files} == found_by_spark(spark, path, version)
        assert {each.partition_values["p"] for each in files} <= {"p 0", "p 1"}
    files = history.list_data_files(path)
    if "Vectors" not in PROPERTIES[kind]:
        assert (
            sum(each.row_count or 0 for each in files) == commands.read_table(spark, path).count()
            or "structs" in kind
        )
    plain = all(each.readable_as_is for each in history.list_data_files(path))
    assert plain == (
        kind
        not in (
            "deletion vectors",
            "column mapping",
            "column mapping by id",
            "V2 checkpoints",
            "type widening",
        )
    )
    without_commits(path)
    found = {each.path for each in history.list_data_files(path)}
    assert found == found_by_spark(spark, path), "what a checkpoint says alone"
    if "structs" in kind:
        assert all(each.row_count is not None for each in history.list_data_files(path))


def without_commits(path: str) -> None:
    """What Delta's clean-up leaves: nothing before the newest checkpoint; the counts go too, which would find the gap."""
    log = DeltaLog(path)
    places = Path(path) / "_delta_log"
    checkpoints = [int(each.name[:20]) for each in places.glob("[0-9]*.checkpoint*")]
    for file in places.iterdir():
        if file.suffix == ".crc" or (
            file.name[20:] == ".json" and int(file.name[:20]) < max(checkpoints, default=0)
        ):
            file.unlink()
    assert log.version == open_log(path).version


ALTERED = {
    "deletion vectors": [
        "ALTER TABLE {} SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')",
        "DELETE FROM {} WHERE k = 2",
    ],
    "column mapping": [
        "ALTER TABLE {} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
        "DELETE FROM {} WHERE k = 2",
    ],
    "V2 checkpoints": [
        (
            "ALTER TABLE {} SET TBLPROPERTIES ('delta.checkpointPolicy' = 'v2',"
            " 'delta.checkpointInterval' = '1')"
        ),
        "DELETE FROM {} WHERE k = 2",
    ],
}


@pytest.mark.parametrize("kind", first_quick(list(ALTERED), 0, ci=2))
def test_a_group_whose_table_was_given_a_feature_is_read_whole(
    kind: str, fs: FeatureStore, group: Callable[..., FeatureGroup], spark: SparkSession
) -> None:
    frame = pd.DataFrame(
        {
            "k": range(6),
            "t": [AT + pd.Timedelta(days=i) for i in range(6)],
            "v": [float(i) for i in range(6)],
        }
    )
    one = group(
        "one", frame, primary_key=["k"], partition_key=["day"], event_time="t", online_enabled=True
    )
    for statement in ALTERED[kind]:
        spark.sql(statement.format(f"delta.`{one.location}`"))
    one.insert(frame[:1].assign(v=10.0))
    without_commits(one.location)
    commands.invalidate_cache(spark, one.location)
    wanted = {0: 10.0, 1: 1.0, 3: 3.0, 4: 4.0, 5: 5.0}

    def rows(found: Any) -> dict[int, float]:
        return dict(zip(found["k"], found["v"], strict=True))

    assert rows(one.read("pandas")) == wanted
    assert rows(one.head(100)) == wanted
    spine = group(
        "spine", frame[["k"]].assign(t=AT + pd.Timedelta(days=9)), primary_key=["k"], event_time="t"
    )
    view = fs.create_feature_view("view", spine.select_all().join(one.select(["v"]), on=["k"]))
    assert {
        k: v for k, v in rows(view.training_data(primary_key=True)[0]).items() if v == v
    } == wanted
    found = {
        each.feature_name: each for each in one.compute_statistics().feature_descriptive_statistics
    }["v"]
    assert (found.count, found.sum) == (5, 23.0)
    assert one.sync_online().summary["written"] == 5
    assert one.verify_online().ok
    assert one.detect_drift(
        (AT, AT + pd.Timedelta(days=3)),
        (AT + pd.Timedelta(days=3), AT + pd.Timedelta(days=9)),
        ["v"],
    ).rows == (3, 2)
