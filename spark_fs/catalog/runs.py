"""The history of pipelines' runs, and the lock that keeps two runs of one pipeline apart."""

from collections.abc import Iterable, Iterator, Mapping
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

# What is kept whole of a step: characters of its error and of a line, and lines.
_MAX_ERROR_LENGTH = 200_000
_MAX_LINE_LENGTH = 2_000
_MAX_LINES = 1_000
_PAGE_SIZE = 100  # runs read together: a step that is due each day is among the newest of them


class LockHolder(NamedTuple):
    """Who holds a lock: the run, and the host and process that it runs in.

    beats: how often it has said that it lives.
    """

    run_id: str
    host: str
    pid: int
    beats: int


class RunCatalog(Database):
    """The part of the catalog that keeps runs."""

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
        statement = update(RUNS).where(RUNS.c.id == run.id).values(**values)
        with self._begin_transaction() as connection:
            if not connection.execute(statement).rowcount:
                connection.execute(insert(RUNS).values(id=run.id, **values))

    def list_runs(
        self, pipeline: str | None = None, limit: int | None = None
    ) -> Iterator[PipelineRun]:
        """The runs of a pipeline, the newest first.

        Args:
            pipeline: its name; None asks for the runs of every pipeline.
            limit: how many runs at most; None asks for all.
        """
        query = select(RUNS).order_by(RUNS.c.started_at.desc(), RUNS.c.id).limit(limit)
        if pipeline is not None:
            query = query.where(RUNS.c.pipeline == pipeline)
        with self._begin_transaction() as connection:
            rows = connection.execute(query).all()
        return iter_readable(_to_run, rows)

    def find_last_done(self, pipeline: str, steps: Iterable[str]) -> dict[str, datetime]:
        """Up to which instant each of these steps was done last; without those that never were."""
        last_done: dict[str, datetime] = {}
        missing = set(steps)
        query = (
            select(RUNS.c.until, RUNS.c.steps)
            .where(RUNS.c.pipeline == pipeline)
            .order_by(RUNS.c.until.desc(), RUNS.c.id)
        )
        with self._begin_transaction() as connection:
            offset = 0
            while missing:
                rows = connection.execute(query.limit(_PAGE_SIZE).offset(offset)).all()
                if not rows:
                    break
                for until, records in rows:
                    done = _find_done_steps(pipeline, records) & missing
                    last_done |= dict.fromkeys(done, datetime.fromisoformat(until))
                    missing -= done
                offset += _PAGE_SIZE
        return last_done

    def get_run(self, id_prefix: str) -> PipelineRun:
        """The run whose id begins with a prefix; NotFoundError unless there is exactly one."""
        runs = []
        if id_prefix:
            query = select(RUNS).where(RUNS.c.id.startswith(id_prefix, autoescape=True))
            with self._begin_transaction() as connection:
                runs = [_to_run(row) for row in connection.execute(query)]
        if len(runs) != 1:
            reason = f"{len(runs)} runs begin with it" if runs else "it does not exist"
            raise NotFoundError(
                f"Run {id_prefix!r} cannot be shown: {reason}. List them with: spark-fs runs"
            )
        return runs[0]

    # -- the lock

    def take_lock(self, run: PipelineRun, host: str, pid: int) -> bool:
        """Take the lock of the run's pipeline; False where another run holds it.

        Args:
            run: who takes it.
            host: the name of the machine that the run is on.
            pid: its process there.
        """
        lock = {"pipeline": run.pipeline, "run_id": run.id, "host": host, "pid": pid, "beats": 0}
        try:
            with self._begin_transaction() as connection:
                connection.execute(insert(LOCKS).values(**lock))
            return True
        except IntegrityError:
            return False

    def get_lock_holder(self, pipeline: str) -> LockHolder | None:
        """Who holds the lock of a pipeline; None where nobody does."""
        columns = [LOCKS.c[name] for name in LockHolder._fields]
        query = select(*columns).where(LOCKS.c.pipeline == pipeline)
        with self._begin_transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else LockHolder(*row)

    def send_heartbeat(self, run_id: str) -> bool:
        """Say that the run lives; False where its lock was taken from it."""
        own_lock = update(LOCKS).where(LOCKS.c.run_id == run_id)
        with self._begin_transaction() as connection:
            beaten = connection.execute(own_lock.values(beats=LOCKS.c.beats + 1))
            return bool(beaten.rowcount)

    def drop_lock(self, run_id: str, beats: int | None = None) -> bool:
        """Give up the lock of a run.

        Args:
            run_id: the run.
            beats: where given, the lock is given up only if the run has not beaten since.

        Returns:
            Whether there was such a lock.
        """
        own_lock = delete(LOCKS).where(LOCKS.c.run_id == run_id)
        if beats is not None:
            own_lock = own_lock.where(LOCKS.c.beats == beats)
        with self._begin_transaction() as connection:
            return bool(connection.execute(own_lock).rowcount)


def _find_done_steps(pipeline: str, records: Iterable[Mapping[str, Any]]) -> set[str]:
    """The steps of a run that were done; UpgradeError where only a newer release can read one."""
    done = set()
    for record in records:
        subject = f"Step {record.get('name')!r} of pipeline {pipeline!r}"
        check_format(subject, record, get_format(StepRecord))
        if record["state"] in ("finished", "differs"):
            done.add(record["name"])
    return done


def _shorten_step(step: StepRecord) -> StepRecord:
    lines = [_cut_text(line, _MAX_LINE_LENGTH) for line in step.lines]
    if len(lines) > _MAX_LINES:
        half = _MAX_LINES // 2
        gap = f"... {len(lines) - _MAX_LINES:,} lines left out ..."
        lines = [*lines[:half], gap, *lines[-half:]]
    error = step.error and _cut_text(step.error, _MAX_ERROR_LENGTH)
    return replace(step, lines=tuple(lines), error=error)


def _cut_text(text: str, max_length: int) -> str:
    """A string that every database takes.

    Its beginning and its end where it is longer; what is not Unicode as escapes.
    """
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) <= max_length:
        return text
    half = max_length // 2
    return f"{text[:half]} ... {len(text) - 2 * half:,} characters left out ... {text[-half:]}"


def _to_naive_utc(instant: datetime | None) -> datetime | None:
    return instant and as_utc(instant).replace(tzinfo=None)


def _to_run(row: Row[Any]) -> PipelineRun:
    columns = row._mapping
    ended_at = columns["ended_at"]
    return PipelineRun(
        id=columns["id"],
        pipeline=columns["pipeline"],
        until=datetime.fromisoformat(columns["until"]),
        started_at=columns["started_at"].replace(tzinfo=UTC),
        ended_at=ended_at and ended_at.replace(tzinfo=UTC),
        state=columns["state"],
        steps=tuple(map(StepRecord.from_json, columns["steps"])),
        error=columns["error"],
    )
