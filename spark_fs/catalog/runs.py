"""The history of pipelines' runs, and the lock that keeps two runs of one pipeline apart."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from spark_fs.base.times import as_utc
from spark_fs.catalog.database import Database
from spark_fs.catalog.tables import LOCKS, RUNS
from spark_fs.errors import NotFoundError
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord
from spark_fs.spec.record_format import check_format, get_format, iter_readable

_MAX_ERROR_LENGTH, _MAX_LINE_LENGTH, _MAX_LINES = (
    200_000,
    2_000,
    1_000,
)  # characters of an error and of a line, and lines, that are kept of a run whole
_PAGE_SIZE = 100  # runs looked at together: a step that is due each day is among the newest of them


class LockHolder(NamedTuple):
    """Who holds a lock: the run, the host and process that it runs in, and how often it has said that it lives."""

    run_id: str
    host: str
    pid: int
    beats: int


class RunCatalog(Database):
    """The part of the catalog that speaks of runs."""

    def save_run(self, run: PipelineRun) -> None:
        """Keep a run as it is now."""
        values = {
            "pipeline": run.pipeline,
            "until": run.until.isoformat(),
            "started_at": _to_naive_utc(run.started_at),
            "ended_at": _to_naive_utc(run.ended_at),
            "state": run.state,
            "steps": [_shorten_step(step).to_json() for step in run.steps],
            "error": run.error and _cut_text(run.error, _MAX_ERROR_LENGTH),
        }
        with self._begin_transaction() as connection:
            if not connection.execute(
                update(RUNS).where(RUNS.c.id == run.id).values(**values)
            ).rowcount:
                connection.execute(insert(RUNS).values(id=run.id, **values))

    def list_runs(
        self, pipeline: str | None = None, limit: int | None = None
    ) -> Iterator[PipelineRun]:
        """The runs of a pipeline, or of every one, the newest first."""
        query = select(RUNS).order_by(RUNS.c.started_at.desc(), RUNS.c.id).limit(limit)
        if pipeline is not None:
            query = query.where(RUNS.c.pipeline == pipeline)
        with self._begin_transaction() as connection:
            found = connection.execute(query).all()
        return iter_readable(_to_run, found)

    def find_last_done(self, pipeline: str, steps: Iterable[str]) -> dict[str, datetime]:
        """Up to which instant each of these steps was done last; without those that never were."""
        found: dict[str, datetime] = {}
        due = set(steps)
        query = (
            select(RUNS.c.until, RUNS.c.steps)
            .where(RUNS.c.pipeline == pipeline)
            .order_by(RUNS.c.until.desc(), RUNS.c.id)
        )
        with self._begin_transaction() as connection:
            page = 0
            while due and (
                rows := connection.execute(query.limit(_PAGE_SIZE).offset(page * _PAGE_SIZE)).all()
            ):
                for until, records in rows:
                    for each in records:
                        check_format(
                            f"Step {each.get('name')!r} of pipeline {pipeline!r}",
                            each,
                            get_format(StepRecord),
                        )
                    done = {
                        each["name"] for each in records if each["state"] in ("finished", "differs")
                    } & due
                    found |= dict.fromkeys(done, datetime.fromisoformat(until))
                    due -= done
                page += 1
        return found

    def get_run(self, id_prefix: str) -> PipelineRun:
        """The run whose id begins with a text; NotFoundError where it is none or several."""
        query = select(RUNS).where(RUNS.c.id.startswith(id_prefix, autoescape=True))
        with self._begin_transaction() as connection:
            found = [*map(_to_run, connection.execute(query))] if id_prefix else []
        if len(found) != 1:
            said = f"{len(found)} runs begin with it" if found else "it does not exist"
            raise NotFoundError(
                f"Run {id_prefix!r} cannot be shown: {said}. List them with: spark-fs runs"
            )
        return found[0]

    # -- the lock

    def take_lock(self, run: PipelineRun, host: str, pid: int) -> bool:
        """Take the lock of the run's pipeline; False where another run holds it."""
        try:
            with self._begin_transaction() as connection:
                connection.execute(
                    insert(LOCKS).values(
                        pipeline=run.pipeline, run_id=run.id, host=host, pid=pid, beats=0
                    )
                )
            return True
        except IntegrityError:
            return False

    def get_lock_holder(self, pipeline: str) -> LockHolder | None:
        """Who holds the lock of a pipeline; None: nobody."""
        query = select(*(LOCKS.c[name] for name in LockHolder._fields)).where(
            LOCKS.c.pipeline == pipeline
        )
        with self._begin_transaction() as connection:
            found = connection.execute(query).one_or_none()
        return None if found is None else LockHolder(*found)

    def send_heartbeat(self, run_id: str) -> bool:
        """Say that the run lives; False where its lock was taken from it."""
        with self._begin_transaction() as connection:
            return bool(
                connection.execute(
                    update(LOCKS).where(LOCKS.c.run_id == run_id).values(beats=LOCKS.c.beats + 1)
                ).rowcount
            )

    def drop_lock(self, run_id: str, beats: int | None = None) -> bool:
        """Give up the lock of a run; with ``beats`` only where it has not beaten since. Whether there was one."""
        same = [LOCKS.c.run_id == run_id, *([] if beats is None else [LOCKS.c.beats == beats])]
        with self._begin_transaction() as connection:
            return bool(connection.execute(delete(LOCKS).where(*same)).rowcount)


def _shorten_step(step: StepRecord) -> StepRecord:
    lines = [_cut_text(line, _MAX_LINE_LENGTH) for line in step.lines]
    if len(lines) > _MAX_LINES:
        lines = [
            *lines[: _MAX_LINES // 2],
            f"... {len(lines) - _MAX_LINES:,} lines left out ...",
            *lines[-_MAX_LINES // 2 :],
        ]
    return replace(
        step, lines=tuple(lines), error=step.error and _cut_text(step.error, _MAX_ERROR_LENGTH)
    )


def _cut_text(text: str, max_length: int) -> str:
    """A text that every database takes: its beginning and its end where it is longer; what is no Unicode as escapes."""
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) <= max_length:
        return text
    half = max_length // 2
    return f"{text[:half]} ... {len(text) - 2 * half:,} characters left out ... {text[-half:]}"


def _to_naive_utc(instant: datetime | None) -> datetime | None:
    return instant and as_utc(instant).replace(tzinfo=None)


def _to_run(row: Row[Any]) -> PipelineRun:
    found = row._mapping
    ended = found["ended_at"]
    return PipelineRun(
        found["id"],
        found["pipeline"],
        datetime.fromisoformat(found["until"]),
        found["started_at"].replace(tzinfo=UTC),
        ended and ended.replace(tzinfo=UTC),
        found["state"],
        tuple(map(StepRecord.from_json, found["steps"])),
        found["error"],
    )
