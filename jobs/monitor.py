"""Compare new rows of a group, or a new batch of a view, with a reference; exit code 4 for drift.

spark-submit jobs/monitor.py --group NAME --current 1d [--reference 30d] [--now 2024-02-14]
    [--threshold psi=0.1] [--plot drift.html]
spark-submit jobs/monitor.py --view NAME --training-dataset 3 --current 1d
spark-submit jobs/monitor.py --group NAME --saved [--now 2024-02-14]
"""

import argparse
import sys
from datetime import UTC, datetime

import spark_fs
from spark_fs import DEFAULT_THRESHOLDS, parse_duration, to_utc
from spark_fs.pipelines.command import DIFFERS


def main() -> None:
    """Compare, print each feature that moved, and keep the report with the feature store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument("--group", help="a feature group")
    one.add_argument("--view", help="a feature view, compared with what a model was trained on")
    parser.add_argument("--version", type=int)
    parser.add_argument(
        "--training-dataset", type=int, help="with --view: the version of the training dataset"
    )
    parser.add_argument(
        "--current",
        type=parse_duration,
        default="1d",
        help="how long the window is that ends now: 90m, 4h or 7d",
    )
    parser.add_argument(
        "--reference",
        type=parse_duration,
        default="30d",
        help="how long the window is that ends where the other begins",
    )
    parser.add_argument(
        "--now",
        type=to_utc,
        default=datetime.now(UTC),
        help="the end of the current window (UTC), excluded",
    )
    parser.add_argument(
        "--feature",
        action="append",
        help="a feature to compare; may be given several times; without it, every one",
    )
    parser.add_argument(
        "--threshold",
        action="append",
        metavar="MEASURE=LIMIT",
        help=f"without any: {dict(DEFAULT_THRESHOLDS)}",
    )
    parser.add_argument(
        "--saved",
        action="store_true",
        help="run the monitors of the group or view that are due, in the place of a comparison",
    )
    parser.add_argument("--plot", help="write the figure of the comparison to this HTML file")
    options = parser.parse_args()
    if options.view and options.training_dataset is None and not options.saved:
        parser.error("--view needs --training-dataset: the version that the model was trained on")
    limits = (
        {
            name: float(limit)
            for name, _, limit in (each.partition("=") for each in options.threshold)
        }
        if options.threshold
        else None
    )
    fs = spark_fs.login().get_feature_store()
    if options.saved:
        run_saved_monitors(fs, options)
        return
    start = options.now - options.current
    if options.view:
        view = fs.get_feature_view(options.view, options.version)
        found = view.detect_drift(
            (start, options.now), options.training_dataset, options.feature, limits
        )
    else:
        group = fs.get_feature_group(options.group, options.version)
        found = group.detect_drift(
            (start, options.now), (start - options.reference, start), options.feature, limits
        )
    print(found, flush=True)
    if options.plot:
        found.plot().write_html(options.plot, include_plotlyjs=True)
    if not found.ok:
        sys.exit(DIFFERS)


def run_saved_monitors(fs: spark_fs.FeatureStore, options: argparse.Namespace) -> None:
    """Run the monitors that are due, and print what each found."""
    owner: spark_fs.FeatureGroup | spark_fs.FeatureView
    if options.view:
        owner = fs.get_feature_view(options.view, options.version)
    else:
        owner = fs.get_feature_group(options.group, options.version)
    results = owner.run_due_monitors(options.now)
    for result in results:
        print(result, flush=True)
    if any(result.shift_detected for result in results):
        sys.exit(DIFFERS)


if __name__ == "__main__":
    main()
