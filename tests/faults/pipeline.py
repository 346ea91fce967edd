"""A pipeline of one group, 24 rows an hour, for processes that are killed or that write side by side."""

import os
import random
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import spark_fs
from spark_fs import aggregate
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import SparkFSError
from spark_fs.flows import insert, replace_rows

START, END = "2024-01-01", "2024-01-07"


def declare(fs: FeatureStore) -> FeatureGroup:
    """Partitioned by day, so that each chunk makes its own folder."""
    return fs.get_or_create_feature_group(
        "hours", primary_key=["k"], event_time="t", partition_key=["day"]
    )


def build(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """Fifty keys, each with one row an hour that follows from key and hour alone."""
    hours = int((end - start) / timedelta(hours=1))
    at = F.lit(start) + F.make_interval(hours=(F.col("id") % hours).cast("int"))
    return spark.range(50 * hours).select(
        F.floor(F.col("id") / hours).alias("k"), at.alias("t"), F.xxhash64("id", at).alias("v")
    )


def backfill(home: str) -> None:
    """Six chunks."""
    group = declare(spark_fs.login({"home": home}).get_feature_store())
    group.backfill(
        build, START, END, timedelta(days=1), progress=lambda job: print(job, flush=True)
    )


def write(home: str, worker: str, commits: str) -> None:
    """So many commits: rows of the worker's own, and one row that all workers write."""
    fs = spark_fs.login({"home": home}).get_feature_store()
    group = fs.get_feature_group("shared", 1)
    for number in range(int(commits)):
        at = datetime.fromisoformat("2024-01-01T00:00:00+00:00") + timedelta(hours=number)
        rows = fs._stores.spark.createDataFrame(
            [(int(worker), at, number), (0, at, int(worker))], "k long, t timestamp, v long"
        )
        print(group.insert(rows)[0].summary, flush=True)


def fill(home: str) -> None:
    """On a disk too small for the second batch: refused, the table as it was; with room again the next batch lands, and vacuum clears up."""
    group = (
        spark_fs.login({"home": home})
        .get_feature_store()
        .create_feature_group("small", primary_key=["k"])
    )
    few, many = (
        pd.DataFrame(
            {"k": range(n), "text": [random.Random(k).randbytes(200).hex() for k in range(n)]}
        )
        for n in (1_000, 60_000)
    )
    group.insert(few)
    filler = Path(home, "filler")
    filler.write_bytes(bytes(3 * 2**20))
    try:
        group.insert(many)
    except SparkFSError as error:
        print(error)
    print(group.read("pandas")["text"].isin(few["text"]).sum(), len(group.commit_details(10)))
    filler.unlink()
    print(group.insert(few.assign(text="new"))[0].summary)
    print(
        len(data_files(home)) > 2,
        group.vacuum(0, force=True),
        len(data_files(home)),
        group.read("pandas")["text"].eq("new").all(),
    )


def full(home: str) -> None:
    """On a small disk that fills up again before each call: every store refuses by an error of ours, and with room again all of it is done."""
    fs = spark_fs.login({"home": home}).get_feature_store()
    group = fs.create_feature_group("small", primary_key=["k"], event_time="t", online_enabled=True)
    few = pd.DataFrame(
        {
            "k": range(200),
            "t": pd.Timestamp("2024-01-01", tz="UTC"),
            "v": [float(k) for k in range(200)],
            "y": [k % 2 for k in range(200)],
        }
    )
    group.insert(few)
    view = fs.create_feature_view("small", group.select(["v", "y"]), labels=["y"])
    many = pd.DataFrame(
        {
            "k": range(60_000),
            "t": few["t"][0],
            "v": [random.Random(k).random() for k in range(60_000)],
            "y": 1,
        }
    )
    filler = Path(home, "filler")

    def refused(what: str, call: Any) -> None:
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 12))
            except OSError:
                pass
        try:
            print((what, True, f"went through: {call()!s:.80}"), flush=True)
        except SparkFSError as error:
            print((what, True, str(error)), flush=True)
        except Exception as error:
            print((what, False, f"{type(error).__name__}: {error}"), flush=True)
        filler.unlink()

    refused("insert", lambda: group.insert(many))
    refused("statistics", group.compute_statistics)
    refused("training data", view.create_training_data)
    refused("sync", group.sync_online)
    refused(
        "catalog",
        lambda: [
            fs.create_feature_group(f"g{n}", primary_key=["k"], description="x" * 4_000)
            for n in range(100)
        ],
    )
    group.insert(few.assign(v=-1.0))
    group.sync_online()
    view.create_training_data()
    rows = (group.read("pandas")["v"] == -1.0).all() and "all rows"
    whole = [each for each in view.get_training_datasets() if each.state == "finished"]
    print(
        (
            "again",
            group.verify_online().ok,
            f"{rows}, {group.verify_online().rows_online} online, {len(whole)} dataset",
        ),
        flush=True,
    )


def sync(home: str, url: str, name: str) -> None:
    """Bring a group online; says when it begins."""
    fs = spark_fs.login({"home": home, "online_url": url}).get_feature_store()
    fs._stores.spark.range(1).count()
    print("ready", flush=True)
    print(fs.sync_online(name), flush=True)


def windows(home: str, death: str = "") -> None:
    """A group of window features takes in a late event and a deletion, and dies where it is told to."""
    fs = spark_fs.login({"home": home}).get_feature_store()
    if death == "begin":
        declare_windows(fs)
        return
    delete_rows, insert_rows = replace_rows._delete_rows, insert.insert_rows

    def delete_and_die(*arguments: Any) -> int:
        deleted = delete_rows(*arguments)
        if deleted and death == "deleted":
            os._exit(9)
        return deleted

    def insert_and_die(*arguments: Any) -> Any:
        result = insert_rows(*arguments)
        if death == "inserted":
            os._exit(9)
        return result

    replace_rows._delete_rows, insert.insert_rows = delete_and_die, insert_and_die
    print(len(fs.get_feature_group("windows", 1).run_incremental("2024-01-03")), flush=True)


def declare_windows(fs: FeatureStore) -> None:
    """Two days of events, of which the first is built; then one comes late, one goes, one is another's."""
    times = pd.date_range("2024-01-01", periods=48, freq="h", tz="UTC")
    frame = pd.DataFrame({"id": range(48), "t": times, "k": ["a", "b"] * 24, "v": 0.1})
    events = fs.create_feature_group("events", primary_key=["id"], event_time="t")
    events.insert(frame)
    features = [aggregate.sum("v", over="6h"), aggregate.count(over="1d")]
    aggregation = spark_fs.Aggregation(events, features, by=["k"])
    fs.create_feature_group("windows", aggregation=aggregation).backfill("2024-01-01", "2024-01-02")
    late = pd.DataFrame(
        {"id": [99, 5], "t": [times[3], times[5]], "k": ["a", "a"], "v": [1.0, 2.0]}
    )
    events.insert(late)
    events.delete_records(pd.DataFrame({"id": [8]}))


def data_files(home: str) -> list[Path]:
    """The data files of every table, hidden ones too."""
    return [path for path in Path(home).rglob("*.parquet") if "_delta_log" not in path.parts]


if __name__ == "__main__":
    {
        "backfill": backfill,
        "write": write,
        "fill": fill,
        "full": full,
        "sync": sync,
        "windows": windows,
    }[sys.argv[1]](*sys.argv[2:])
