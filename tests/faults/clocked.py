"""A store that is written while its process's clock jumps: python clocked.py HOME. The jumps are written to CLOCK_FILE."""

import os
import struct
import sys
import time
from datetime import timedelta
from pathlib import Path

import pandas as pd

import spark_fs
from spark_fs.pipelines import load, run

JUMPS = (0, 86_400, -2 * 86_400, 3_600, -3_600, 7 * 86_400, 0, -60)


def jump(seconds: int) -> None:
    """Let the clock jump by so many seconds from the true time."""
    with open(os.environ["CLOCK_FILE"], "r+b") as file:
        file.write(struct.pack("q", seconds))


def main(home: str) -> None:
    """An hour of the toy with each jump, and one row that is inserted again each time; says what the clock said."""
    fs = spark_fs.login({"home": home}).get_feature_store()
    again = fs.create_feature_group("again", primary_key=["k"], event_time="t", online_enabled=True)
    pipeline = load(Path(__file__).parents[1] / "toy" / "hourly.yaml")
    at = pd.Timestamp("2024-01-01", tz="UTC")
    for number, seconds in enumerate(JUMPS):
        jump(seconds)
        print(round(time.time()), flush=True)
        done = run(
            fs, pipeline, at + timedelta(hours=number + 1), only=["incremental", "sync", "verify"]
        )
        assert done.state == "finished", done
        again.insert(pd.DataFrame({"k": [1], "t": [at], "n": [number]}), operation="insert")
        again.sync_online()
        assert again.verify_online().ok


if __name__ == "__main__":
    main(sys.argv[1])
