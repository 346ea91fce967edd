"""Build the groups of a pipeline over an interval of event time.

spark-submit jobs/backfill.py --pipeline flights --start 2013-01-01 --end 2013-12-01
"""

import argparse
import importlib

import spark_fs


def main() -> None:
    """Backfill each group in turn; the interval is half-open, in UTC."""
    parser = argparse.ArgumentParser(description="Build the feature groups of a pipeline over [start, end), in UTC.")
    parser.add_argument("--pipeline", required=True, help="a folder of jobs/ with a module 'groups', such as flights")
    parser.add_argument("--start", required=True)
    parser.add_argument("--end", required=True)
    options = parser.parse_args()
    fs = spark_fs.login().get_feature_store()
    for declare, build in importlib.import_module(f"{options.pipeline}.groups").PIPELINE.items():
        print(declare(fs).backfill(build, options.start, options.end), flush=True)


if __name__ == "__main__":
    main()
