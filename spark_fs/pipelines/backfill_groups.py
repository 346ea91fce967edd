"""Build the past of a pipeline's groups, by the functions that its runs call too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from spark_fs.base.times import Instant, to_utc
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.pipelines.step_functions import RunContext

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore
    from spark_fs.flows.jobs import Job
    from spark_fs.pipelines.declaration import Pipeline


def backfill_groups(
    fs: FeatureStore,
    pipeline: Pipeline,
    interval: tuple[Instant | None, Instant],
    names: Sequence[str] = (),
    chunk: timedelta | None = None,
    restart: bool = False,
) -> Iterator[Job]:
    """Build groups over an interval of event time, one after another, as the pipeline orders them.

    Args:
        fs: The feature store.
        pipeline: Which groups there are, and what builds their rows.
        interval: Start and end (UTC, excluded).
        names: Of the groups; empty: all.
        chunk: How long one commit is; None: the whole interval.
        restart: Whether to build again what an earlier backfill finished.

    Yields:
        The job of each group.

    Raises:
        SettingsError: There is no start, or the interval is empty.
        NotFoundError: The pipeline has no group of this name.
    """
    start, end = interval
    if start is None:
        raise SettingsError(
            f"Pipeline {pipeline.name!r} has no start, and --start was not given: give it."
        )
    context = RunContext(fs, pipeline, to_utc(end), is_replay=True)
    known = [group.name for group in context.groups]
    for name in names:
        if name not in known:
            remedy = f"Name one of pipeline {pipeline.name!r}."
            raise NotFoundError.for_name("Feature group", name, known, remedy)
    for group, build in context.builders.items():
        if not names or group.name in names:
            yield group.backfill(build, start, end, chunk, restart)
