"""One insert that is told to stop while its commit is under way: by Ctrl-C, or by SIGTERM as a scheduler sends it."""

import os
import signal
import sys
import time
from typing import Any

import pandas as pd
from delta.tables import DeltaMergeBuilder

import spark_fs
from spark_fs.tables.delta.staging import DeltaTransaction

DAY = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"], utc=True)
FIRST = pd.DataFrame({"k": [1, 1, 2], "at": DAY, "v": [1.0, 2.0, 3.0]})
SECOND = {"append": FIRST.assign(k=[7, 8, 9]), "merge": FIRST.assign(v=[1.0, -2.0, 3.0])}


def stopping(kind: type, name: str, number: int, after: float) -> None:
    """Let each commit send this process a signal: so many seconds after it began, from the thread that it runs in."""
    original = getattr(kind, name)

    def commit(*arguments: Any, **named: Any) -> Any:
        if not after:
            os.kill(os.getpid(), number)
            return original(*arguments, **named)
        found = original(*arguments, **named)
        os.kill(os.getpid(), number)
        time.sleep(after)  # it landed, and the answer is not there yet
        return found

    setattr(kind, name, commit)


def end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def main(home: str, way: str, number: int, after: float, handled: str) -> None:
    """Insert; say what came of it."""
    group = (
        spark_fs.login({"home": home})
        .get_feature_store()
        .get_or_create_feature_group("clicks", primary_key=["k"], event_time="at")
    )
    group.insert(FIRST)
    stopping(
        *{"append": (DeltaTransaction, "commit"), "merge": (DeltaMergeBuilder, "execute")}[way],
        number,
        after,
    )
    if number == signal.SIGTERM and handled == "handled":
        signal.signal(signal.SIGTERM, end)
    try:
        group.insert(SECOND[way])
    except BaseException as error:
        print(type(error).__name__, *getattr(error, "__notes__", ()), flush=True)
        raise
    print("went through", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
