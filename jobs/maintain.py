"""Compact every feature group and remove the files that only old versions need.

spark-submit jobs/maintain.py --retention-hours 720
"""

import argparse

import spark_fs
from spark_fs.pipelines.step_functions import maintain_group


def main() -> None:
    """Maintain each group in turn.

    One whose old versions a training dataset reads is compacted and keeps its files.
    """
    parser = argparse.ArgumentParser(
        description="Compact every feature group, then remove what only old versions need."
    )
    parser.add_argument("--retention-hours", type=float, default=168)
    parser.add_argument(
        "--force",
        action="store_true",
        help="go below 24 hours, and remove what training datasets read",
    )
    options = parser.parse_args()
    for group in spark_fs.login().get_feature_store().get_feature_groups():
        for outcome in maintain_group(group, options.retention_hours, options.force):
            print(outcome, flush=True)


if __name__ == "__main__":
    main()
