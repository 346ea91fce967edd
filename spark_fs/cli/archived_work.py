"""What a store does most, once, for its classes to be archived: ``spark-fs archive-classes``."""

import tempfile
from datetime import UTC, datetime, timedelta

import pyarrow as pa

import spark_fs

ROWS = 1_000


def main() -> None:
    """Write, change, sync, join and read rows in a store that is gone afterwards."""
    from pyspark import SparkContext

    with tempfile.TemporaryDirectory() as home:
        _use_store(home)
    gateway = SparkContext._gateway
    assert gateway is not None
    gateway.shutdown()
    process = gateway.proc
    process.stdin.close()  # at which the JVM ends
    process.wait()


def _use_store(home: str) -> None:
    fs = spark_fs.login({"home": home}).get_feature_store()
    group = fs.create_feature_group("rows", primary_key=["k"], event_time="at", online_enabled=True)
    for day in (1, 2):
        group.insert(_make_rows(day))
    group.sync_online()
    query = group.select(["x"]).join(group.select(["name"]), prefix="other_")
    query.read("spark").collect()
    group.read("spark").count()
    fs.spark.stop()


def _make_rows(day: int) -> pa.Table:
    began = datetime(2024, 1, day, tzinfo=UTC)
    return pa.table(
        {
            "k": range(ROWS),
            "at": [began + timedelta(minutes=number) for number in range(ROWS)],
            "x": [0.5 * number for number in range(ROWS)],
            "name": [str(number) for number in range(ROWS)],
        }
    )


if __name__ == "__main__":
    main()
