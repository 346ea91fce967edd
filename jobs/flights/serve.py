"""Read one feature vector as a serving application does, then check it against the offline tables.

No Spark session is started: the vector comes from the online store, and what it should be from the
Delta tables, read by another library than the one that wrote them.

    python jobs/flights/serve.py --carrier UA --flight 1545 --origin EWR
"""

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
from deltalake import DeltaTable

sys.path.insert(0, str(Path(__file__).parents[1]))
import spark_fs  # a program puts this file's folder on the path, not jobs/
from flights import groups
from spark_fs import FeatureGroup, FeatureStore


def latest(group: FeatureGroup, **key: Any) -> dict[str, Any]:
    """The row with the greatest event time of one key, by pandas; empty where there is none."""
    rows = DeltaTable(group.location).to_pandas(
        filters=[(name, "=", value) for name, value in key.items()]
    )
    ordered = rows.sort_values(group.event_time) if group.event_time else rows
    return dict(ordered[list(group.schema)].iloc[-1]) if len(rows) else {}


def offline_latest(fs: FeatureStore, entry: dict[str, Any]) -> dict[str, Any]:
    """The newest values that the offline tables hold for the entry."""
    flight = latest(groups.flight_delays(fs), **entry)
    weather = latest(groups.weather(fs), origin=entry["origin"])
    plane = latest(groups.planes(fs), tailnum=flight["tailnum"])
    delays = latest(groups.carrier_delays(fs), origin=entry["origin"], carrier=entry["carrier"])
    return plane | weather | delays | flight


def same(online: Any, offline: Any) -> bool:
    """Whether two values are equal, a missing one being equal to a missing one."""
    gone = online is None or (isinstance(online, float) and math.isnan(online))
    return bool(pd.isna(offline)) if gone else bool(online == offline)


def main() -> None:
    """Print the vector, naming what differs; exit code 1 when something does."""
    parser = argparse.ArgumentParser(
        description="Read one feature vector and check it against the offline tables."
    )
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
    differ = {
        n: offline.get(n)
        for n, v in zip(view.schema, vector, strict=True)
        if not same(v, offline.get(n))
    }
    cells = []
    for name, value in zip(view.schema, vector, strict=True):
        shown = round(value, 3) if isinstance(value, float) else value
        cells.append(f"{name} {shown}")
    for row in range(0, len(cells), 4):
        print("  " + "".join(f"{cell:28}" for cell in cells[row : row + 4]).rstrip())
    for name, value in differ.items():
        print(f"  {name} is {value} offline")
    print(
        f"{len(vector)} features of {entry} in {took * 1e6:.0f} us; {len(differ)} differ from the"
        " offline latest"
    )
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
