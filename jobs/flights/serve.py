"""Read one feature vector as a serving application does, then check it against the offline groups.

    spark-submit jobs/flights/serve.py --carrier UA --flight 1545 --origin EWR
"""

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
import spark_fs  # noqa: E402 # spark-submit puts this file's folder on the path, not jobs/
from flights import groups  # noqa: E402
from spark_fs.api.project import FeatureStore  # noqa: E402


def offline_latest(fs: FeatureStore, entry: dict[str, Any]) -> dict[str, Any]:
    """The newest values that the groups hold for the entry, found by pandas alone."""

    def latest(frame: pd.DataFrame, time: str | None, **key: Any) -> dict[str, Any]:
        for name, value in key.items():
            frame = frame[frame[name] == value]
        return dict((frame.sort_values(time) if time else frame).iloc[-1]) if len(frame) else {}

    flight = latest(groups.flight_delays(fs).read("pandas"), "sched_dep", **entry)
    weather = latest(groups.weather(fs).read("pandas"), "observed_at", origin=entry["origin"])
    plane = latest(groups.planes(fs).read("pandas"), None, tailnum=flight["tailnum"])
    delays = latest(groups.carrier_delays(fs).read("pandas"), "sched_dep", origin=entry["origin"], carrier=entry["carrier"])
    return plane | weather | delays | flight


def same(online: Any, offline: Any) -> bool:
    """Whether two values are equal, a missing one being equal to a missing one."""
    gone = online is None or (isinstance(online, float) and math.isnan(online))
    return bool(pd.isna(offline)) if gone else bool(online == offline)


def main() -> None:
    """Print the vector beside the offline values; exit code 1 when one differs."""
    parser = argparse.ArgumentParser(description="Read one feature vector and check it against the offline groups.")
    parser.add_argument("--carrier", required=True)
    parser.add_argument("--flight", required=True, type=int)
    parser.add_argument("--origin", required=True)
    entry = vars(parser.parse_args())
    fs = spark_fs.login().get_feature_store()
    view = fs.get_feature_view("late_arrivals", version=1)
    view.init_serving(training_dataset_version=view.get_training_datasets()[-1].version)
    view.get_feature_vector(entry)  # opens the connection
    started = time.perf_counter()
    vector = view.get_feature_vector(entry)
    took = time.perf_counter() - started
    offline = offline_latest(fs, entry)
    differ = [name for name, value in zip(view.schema, vector, strict=True) if not same(value, offline.get(name))]
    for name, value in zip(view.schema, vector, strict=True):
        print(f"  {name:22} {value if value is None else round(value, 3)}{'   offline: ' + str(offline.get(name)) if name in differ else ''}")
    print(f"{len(vector)} features of {entry} in {took * 1e6:.0f} us; {len(differ)} differ from the offline latest")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
