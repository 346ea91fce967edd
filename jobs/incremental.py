"""Bring the groups of a pipeline forward from their watermarks, a day at a time.

spark-submit jobs/incremental.py --pipeline flights --until 2013-12-04 --lateness 6h
"""

import argparse
import importlib

import spark_fs
from spark_fs import parse_duration


def main() -> None:
    """Advance each group in turn; a second run finds nothing to do without starting Spark."""
    parser = argparse.ArgumentParser(
        description="Build from each group's watermark up to --until, in UTC."
    )
    parser.add_argument(
        "--pipeline",
        required=True,
        help="a folder of jobs/ with a module 'groups', such as flights",
    )
    parser.add_argument("--until", required=True)
    parser.add_argument(
        "--every",
        type=parse_duration,
        default="1d",
        help="the length of one commit, such as 1h or 1d",
    )
    parser.add_argument(
        "--lateness",
        type=parse_duration,
        default="0m",
        help="how far before the watermark rows may still come in, such as 6h",
    )
    parser.add_argument("--brief", action="store_true", help="one line for each group")
    options = parser.parse_args()
    fs = spark_fs.login().get_feature_store()
    pipeline = importlib.import_module(f"{options.pipeline}.groups")
    own = getattr(pipeline, "EVERY", {})  # of groups that are updated at their own pace
    for declare, build in pipeline.PIPELINE.items():
        group = declare(fs)
        rows = commits = 0
        for job in group.run_incremental(
            build, options.until, own.get(declare, options.every), options.lateness
        ):
            rows += job.summary["inserted"]
            commits += 1
            if not options.brief:
                print(job, flush=True)
        built = f"{group.name}_{group.version}: built up to {group.watermark:%Y-%m-%d %H:%M} UTC"
        print(f"{built}, {rows} rows in {commits} runs" if options.brief else built, flush=True)


if __name__ == "__main__":
    main()
