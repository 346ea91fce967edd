"""Run what is due of a pipeline, as a scheduler does; the exit code says how it went.

spark-submit jobs/run_pipeline.py conf/pipelines/flights.yaml [--until 2013-12-04] [--step sync]
    [--log-format json]
    [--metrics /var/lib/node_exporter/spark_fs.prom] [--lineage http://marquez:5000]
"""

import argparse
import sys

from spark_fs.pipelines.command import CODES, execute


def main() -> None:
    """Run the pipeline of a file and end with its exit code."""
    codes = "\n".join(f"  {code:>2}  {meaning}" for code, meaning in CODES.items())
    parser = argparse.ArgumentParser(
        description="Run what is due of a pipeline.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", help="the pipeline, as a YAML file; those of this project are in conf/pipelines"
    )
    parser.add_argument(
        "--until",
        help=(
            "the end of what is built (UTC, excluded); without it, the last interval that is"
            " complete"
        ),
    )
    parser.add_argument(
        "--step",
        action="append",
        default=[],
        help="this step alone, due or not; may be given several times",
    )
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    parser.add_argument("--metrics", help="write metrics to this file, in Prometheus' text form")
    parser.add_argument("--lineage", help="tell OpenLineage: the URL of a server, or a file")
    options = parser.parse_args()
    sys.exit(
        execute(
            options.file,
            options.until,
            options.step,
            options.log_format,
            options.metrics,
            options.lineage,
        )
    )


if __name__ == "__main__":
    main()
