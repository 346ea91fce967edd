"""What training data costs beside the join that it needs, in one run: ``make bench-training``.

A spine of 5,000,000 rows takes ten features from two histories as long. "join and write" is the
point-in-time join whose tasks write Parquet files, with nothing around it. Beside it: training data
as files, split by time and at random, with ten scalers fitted on the train split. The same with
what the scalers learned known already (a training dataset made again) tells what learning costs;
"one scan" is Spark reading these ten columns once for their least, greatest, mean and deviation.
Spark runs all of it, whatever fits this process.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
from join_tables import START, Case, Data
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

import spark_fs
from spark_fs.api.feature_view import FeatureView
from spark_fs.base.times import DAY_MICROS, from_micros
from spark_fs.engine.join.execution import to_arrow_relation
from spark_fs.engine.join.strategy import choose_strategy
from spark_fs.engine.spark_runner import SparkRunner
from spark_fs.engine.training.spill import write_files
from spark_fs.flows import read
from spark_fs.tables.delta.session import get_session

WHEN = from_micros(START + 24 * DAY_MICROS)  # four fifths of the month
FEATURES = [f"f{history}_{number}" for history in range(2) for number in range(5)]


class Pieces:
    """The joined rows of a task as one piece."""

    def __init__(self, finish: Callable[[pa.Table], pa.Table]) -> None:
        self.finish = finish

    def __call__(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The whole table."""
        yield "", self.finish(table)


def join_and_write(spark: SparkSession, view: FeatureView, out: Path) -> None:
    """The join, its result written by the tasks."""
    plan = view.query.plan()
    sources = read.list_sources(lambda: spark, plan, view._stores.get_table_path, {}, {})
    out.mkdir()
    runner = SparkRunner(spark)
    with runner.open_shared_folder() as folder:
        execution = choose_strategy(plan, sources)
        relation, finish = to_arrow_relation(runner, plan, sources, execution, folder)
        write_files(relation, Pieces(finish), str(out))


def scan(spark: SparkSession, folder: Path) -> None:
    """Ten columns read once."""
    frame = spark.read.parquet(str(folder / "train"))
    aggregates = []
    for name in FEATURES:
        aggregates += [F.min(name), F.max(name), F.mean(name), F.stddev_pop(name)]
    frame.agg(*aggregates).collect()


def measure(
    ways: dict[str, Callable[[Path], object]], repeats: int, folder: Path
) -> dict[str, float]:
    """The seconds of each way, in turns, the median; the first turn warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            out = folder / "out"
            began = time.perf_counter()
            way(out)
            if turn:
                took = time.perf_counter() - began
                seconds[name].append(took)
            shutil.rmtree(out, ignore_errors=True)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def make_ways(
    spark: SparkSession, plain: FeatureView, scaled: dict[str, FeatureView], kept: Path
) -> dict[str, Callable[[Path], object]]:
    """What is measured, by its name; ``kept`` holds a training dataset that was made before."""
    standard = scaled["standard_scaler"]
    robust = scaled["robust_scaler"]
    version, _ = standard.create_train_test_split(train_end=WHEN, location=str(kept))

    def split_by_time(view: FeatureView) -> Callable[[Path], object]:
        return lambda out: view.create_train_test_split(train_end=WHEN, location=str(out))

    def split_at_random(out: Path) -> object:
        return plain.create_train_test_split(test_ratio=0.2, seed=1, location=str(out))

    return {
        "join and write": lambda out: join_and_write(spark, plain, out),
        "whole": lambda out: plain.create_training_data(location=str(out)),
        "split by time": split_by_time(plain),
        "split at random": split_at_random,
        "ten scalers": split_by_time(standard),
        "ten robust scalers": split_by_time(robust),
        "ten scalers that have learned": lambda _: standard.recreate_training_dataset(version),
        "one scan": lambda _: scan(spark, kept),
    }


def make_scaled_views(home: Path, plain: FeatureView) -> dict[str, FeatureView]:
    """A view for each kind of scaler, which scales every feature."""
    fs = spark_fs.login({"home": home}).get_feature_store()
    views = {}
    for kind in ("standard_scaler", "robust_scaler"):
        functions = dict.fromkeys(FEATURES, fs.get_transformation_function(kind))
        views[kind] = fs.get_or_create_feature_view(
            kind, plain.query, transformation_functions=functions
        )
    return views


def main() -> None:
    """Print the table and write it as JSON beside this file."""
    options = parse_options()
    os.environ["SPARK_FS_ENGINE"] = "spark"
    spark = get_session({"spark.driver.memory": "8g"})
    with tempfile.TemporaryDirectory() as folder:
        home = Path(options.keep or folder) / "training"
        case = Case(options.rows, 2, options.rows, options.rows // 100)
        plain = Data(home, case).view
        scaled = make_scaled_views(home, plain)
        ways = make_ways(spark, plain, scaled, Path(folder) / "kept")
        seconds = measure(ways, options.repeats, Path(folder))
    print_table(seconds, options)
    fit_seconds = seconds["ten scalers"] - seconds["ten scalers that have learned"]
    learning = fit_seconds / seconds["one scan"]
    print(f"to learn ten scalers costs {learning:.2f} scans")
    report = {"rows": options.rows, "seconds": seconds, "learning in scans": learning}
    text = json.dumps(report, indent=2)
    Path(__file__).with_suffix(".json").write_text(text + "\n")


def parse_options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="Training data beside the join that it needs.")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", help="a folder in which the tables are kept, and found again")
    return parser.parse_args()


def print_table(seconds: dict[str, float], options: argparse.Namespace) -> None:
    """Each way beside the join that its tasks write."""
    title = f"{options.rows:,} rows of training data, medians of {options.repeats}"
    table = Table("way", "s", "beside join and write", title=title)
    for name, took in seconds.items():
        ratio = took / seconds["join and write"]
        table.add_row(name, f"{took:.2f}", f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
