"""The figures of the README are those that benchmarks wrote down."""

import json
from typing import Any

from conftest import ROOT

README = " ".join((ROOT / "README.md").read_text().split())
WORDS = {"3": "three", "9": "nine", "10": "ten"}


def load(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())


def factors(other: str) -> list[float]:
    """How many times as long another way takes for the join, with one history and with four."""
    measured = load("point_in_time")
    found = []
    for case in ("one history", "four histories"):
        seconds = measured[case]["seconds"]
        found.append(seconds[other] / seconds["spark_fs"])
    return sorted(found)


def test_the_join_is_as_fast_as_it_was_measured() -> None:
    for other, called in (("tempo", "than tempo"), ("rank join", "than a rank join")):
        low, high = (round(factor) for factor in factors(other))
        assert f"{low} to {high} times faster {called}" in README


def test_what_loses_is_told_as_it_was_measured() -> None:
    low, high = sorted(f"{1 / factor:.1f}" for factor in factors("DuckDB"))
    assert f"{low} to {high} times slower than DuckDB on one machine" in README
    slower = max(1 / factor for factor in factors("Polars"))
    assert f"up to {slower:.1f} times slower than Polars" in README


def test_the_first_minute_training_data_and_verify_take_as_long_as_was_measured() -> None:
    training = load("first_minute")["training"]
    seconds = training["seconds"]["spark_fs: training_data()"]
    assert f"{training['rows']:,} rows and four groups comes {seconds:.1f} seconds" in README
    again = load("training_data")
    seconds = again["seconds"]["ten scalers that have learned"]
    assert (
        f"{again['rows']:,} rows with ten scalers are made again in {seconds:.1f} seconds" in README
    )
    verify = load("online")["verify, 1,000,000 rows, beside their first sync"]["spark_fs"]
    assert f"a million rows online with those offline in {verify:.1f} seconds" in README


def test_windows_and_servers_are_as_many_times_faster_as_was_measured() -> None:
    seconds = load("windows")["a spine"]["seconds"]
    times = WORDS[str(round(seconds["Spark, frames"] / seconds["spark_fs"]))]
    assert f"{times} times faster than by Spark's range frames" in README
    rates = load("serving")["results"]
    one, ten = (
        int(rates["spark-fs serve, JSON"][load]["rate"] / rates["Feast 0.67"][load]["rate"])
        for load in ("1 x 1", "10 x 1")
    )
    said = f"{one} times faster than Feast's server with one user and {ten} times with ten"
    assert said in README


def test_a_vector_takes_less_than_a_millisecond() -> None:
    measured = load("online")["one entry over three groups, 99th of 100"]
    assert (measured["unit"], measured["spark_fs"] < 1_000) == ("us", True)
    assert "feature vectors online in less than a millisecond" in README
