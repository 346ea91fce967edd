"""Push the latest rows of every online group to the online store; --verify compares both sides.

spark-submit jobs/sync_online.py [--group NAME] [--full] [--verify] [--now 2024-02-14T03:00]
"""

import argparse
import sys

import spark_fs
from spark_fs import to_utc
from spark_fs.pipelines.command import DIFFERS


def main() -> None:
    """Sync each online group from its last synced version on; exit code 4 where a key differs."""
    parser = argparse.ArgumentParser(
        description="Bring the online tables up to their feature groups."
    )
    parser.add_argument("--group", help="one feature group; without it, every online one")
    parser.add_argument("--version", type=int)
    parser.add_argument(
        "--full",
        action="store_true",
        help="load the whole table anew, beside the one that is served",
    )
    parser.add_argument(
        "--verify", action="store_true", help="compare with the offline latest after it"
    )
    parser.add_argument(
        "--now",
        type=to_utc,
        help="the instant (UTC) by which rows are past their ttl; for replays of the past",
    )
    options = parser.parse_args()
    fs = spark_fs.login().get_feature_store()
    for job in fs.sync_online(options.group, options.version, options.now, options.full):
        print(job, flush=True)
    if options.verify:
        found = fs.verify_online(options.group, options.version, options.now)
        for each in found:
            print(each, *each.differences[:20], sep="\n  ", flush=True)
        if not all(each.ok for each in found):
            sys.exit(DIFFERS)


if __name__ == "__main__":
    main()
