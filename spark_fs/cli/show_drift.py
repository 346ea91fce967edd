"""The command that compares rows with those of a time before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spark_fs.base.times import parse_duration, to_utc
from spark_fs.cli.completion import GroupOrViewArgument
from spark_fs.cli.look import find_kinds
from spark_fs.cli.shared import (
    ConfigOption,
    JsonOption,
    VersionOption,
    app,
    console,
    open_store,
    print_json,
)
from spark_fs.errors import SettingsError
from spark_fs.pipelines.command import DIFFERS

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore
    from spark_fs.spec.comparison import DriftReport


@app.command()
def drift(
    name: GroupOrViewArgument,
    version: VersionOption = None,
    training_dataset: Annotated[
        int | None,
        typer.Option(
            "--training-dataset",
            help="Of a view: the training dataset whose train split is the reference.",
        ),
    ] = None,
    current: Annotated[
        str, typer.Option("--current", help="How long the time is that ends now: 4h or 7d.")
    ] = "1d",
    reference: Annotated[
        str,
        typer.Option("--reference", help="Of a group: how long the time is just before that."),
    ] = "30d",
    now: Annotated[
        str | None, typer.Option("--now", help="The end of the current time (UTC). Default: now.")
    ] = None,
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="A feature; repeatable. Default: all.")
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold",
            help="MEASURE=LIMIT; repeatable. Default: psi=0.2 and null_share=0.05.",
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Write the figure to this HTML file.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare new rows with those before them.

    Of a group: the rows of --current with those of --reference before it. Of a view: the batch of
    --current with what a model was trained on. The report is kept with the store. Exit code 4 where
    a feature crosses a threshold. Example: spark-fs drift weather --current 1d --reference 30d
    """
    end = datetime.now(UTC) if now is None else to_utc(now)
    start = end - parse_duration(current)
    limits = parse_thresholds(threshold)
    fs = open_store(config)
    report: DriftReport
    if training_dataset is not None:
        view = fs.get_feature_view(name, version)
        report = view.detect_drift((start, end), training_dataset, feature, limits)
    else:
        _check_is_group(fs, name)
        before = (start - parse_duration(reference), start)
        group = fs.get_feature_group(name, version)
        report = group.detect_drift((start, end), before, feature, limits)
    _print_report(report, as_json)
    if plot is not None:
        report.plot().write_html(plot, include_plotlyjs=True)
    if not report.ok:
        raise typer.Exit(DIFFERS)


def parse_thresholds(texts: Sequence[str] | None) -> dict[str, float] | None:
    """The limits of ``measure=limit`` texts; None where there are none."""
    if not texts:
        return None
    limits = {}
    for text in texts:
        measure, _, limit = text.partition("=")
        try:
            limits[measure] = float(limit)
        except ValueError:
            raise SettingsError(
                f"--threshold {text!r} has no limit: write a measure and a number, as in psi=0.1."
            ) from None
    return limits


def _check_is_group(fs: FeatureStore, name: str) -> None:
    if "group" not in find_kinds(fs, name):
        raise SettingsError(
            f"{name!r} is a feature view: say by --training-dataset what its model was trained on."
        )


def _print_report(report: DriftReport, as_json: bool) -> None:
    if not as_json:
        console.print(str(report), soft_wrap=True)
        return
    records = []
    for feature in report.features:
        crossed = list(feature.crossed)
        records.append(
            {"feature": feature.feature_name, "measures": feature.measures, "crossed": crossed}
        )
    print_json(records)
