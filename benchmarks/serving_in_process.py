"""The library without a server: threads that share one view, each with a request after another.

HOME ONLINE_URL BODIES_FOLDER COUNT USERS SECONDS WAIT_MS
"""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

import spark_fs


def main() -> None:
    """Print what came of it as one line of JSON."""
    home, online_url, folder = sys.argv[1:4]
    count, users, seconds, wait = map(float, sys.argv[4:])
    view = spark_fs.login({"home": home, "online_url": online_url}).get_feature_store()
    view = view.get_feature_view("rides", 1)
    view.init_serving()
    requests = [
        json.loads(Path(folder, str(number)).read_bytes())["entries"]
        for number in range(int(count))
    ]
    times: list[list[float]] = [[] for _ in range(int(users))]
    view.get_feature_vectors(requests[0])
    due = time.perf_counter() + seconds
    threads = [
        threading.Thread(target=read_vectors, args=(view, requests, own, number, due, wait / 1e3))
        for number, own in enumerate(times)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - began
    all_times = np.concatenate([np.array(own) for own in times]) * 1e3
    result: dict[str, float] = {"requests": len(all_times), "seconds": elapsed, "failed": 0}
    for percent in (50, 90, 95, 99):
        result[f"p{percent}"] = float(np.percentile(all_times, percent))
    print(json.dumps(result))


def read_vectors(
    view: Any, requests: list[Any], times: list[float], number: int, due: float, wait: float
) -> None:
    """Ask until the time is over."""
    while True:
        began = time.perf_counter()
        if began >= due:
            return
        entries = requests[number % len(requests)]
        if len(entries) == 1:
            view.get_feature_vector(entries[0])
        else:
            view.get_feature_vectors(entries)
        times.append(time.perf_counter() - began)
        number += 1
        time.sleep(wait)


if __name__ == "__main__":
    main()
