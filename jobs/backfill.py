"""Build the groups of a pipeline over an interval of event time.

spark-submit jobs/backfill.py --pipeline flights --start 2013-01-01 --end 2013-12-01 --chunk 31d
"""

import argparse
import importlib

import spark_fs
from spark_fs import parse_duration


def main() -> None:
    """Backfill each group in turn.

    The interval is half-open, in UTC. Run again after a kill, it goes on where it stopped.
    """
    parser = argparse.ArgumentParser(
        description="Build the feature groups of a pipeline over [start, end), in UTC."
    )
    parser.add_argument(
        "--pipeline",
        required=True,
        help="a module in jobs/ with a module 'groups', such as flights",
    )
    parser.add_argument("--start", required=True)
    parser.add_argument("--end", required=True)
    parser.add_argument(
        "--chunk",
        type=parse_duration,
        help="the length of one commit, such as 12h or 31d; without it, the whole",
    )
    parser.add_argument(
        "--restart", action="store_true", help="do the chunks again that an earlier run finished"
    )
    options = parser.parse_args()
    fs = spark_fs.login().get_feature_store()
    for declare, build in importlib.import_module(f"{options.pipeline}.groups").PIPELINE.items():
        group = declare(fs)
        chunk = print if options.chunk else None
        print(
            group.backfill(
                build, options.start, options.end, options.chunk, options.restart, chunk
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
