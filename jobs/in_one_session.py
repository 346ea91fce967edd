"""Run several jobs one after another in one process, and so in one Spark session where they use it.

It is for demonstrations, where each start of Spark is a wait.

spark-submit jobs/in_one_session.py steps.json
"""

import json
import runpy
import sys
import time
from pathlib import Path


def has_spark() -> bool:
    """Whether a Spark session was started in this process."""
    context = sys.modules.get("pyspark.core.context")
    return context is not None and context.SparkContext._active_spark_context is not None


def main() -> None:
    """Run each ``[title, [job, argument, ...]]`` of a JSON file; the first that fails ends it."""
    for title, arguments in json.loads(Path(sys.argv[1]).read_text()):
        print(f"== {title}", flush=True)
        started = time.monotonic()
        sys.argv = arguments
        try:
            runpy.run_path(arguments[0], run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise
        engine = "Spark" if has_spark() else "without Spark"
        print(f"-- {time.monotonic() - started:.0f} s, {engine}", flush=True)


if __name__ == "__main__":
    main()
