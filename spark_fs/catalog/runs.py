"""The history of pipelines' runs, and the lock that keeps two runs of one pipeline apart."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from spark_fs.catalog.database import Database
from spark_fs.catalog.tables import LOCKS, RUNS
from spark_fs.errors import NotFoundError
from spark_fs.spec.formats import check_format, format_of, readable
from spark_fs.spec.runs import Run, StepRecord
from spark_fs.types import aware

_ERROR, _LINE, _LINES = 200_000, 2_000, 1_000  # characters of an error and of a line, and lines, that are kept of a run whole
_PAGE = 100  # runs looked at together: a step that is due each day is among the newest of them


class Holder(NamedTuple):
    """Who holds a lock: the run, the host and process that it runs in, and how often it has said that it lives."""

    run_id: str
    host: str
    pid: int
    beats: int


class Runs(Database):
    """The part of the catalog that speaks of runs."""

    def save_run(self, run: Run) -> None:
        """Keep a run as it is now."""
        values = {
            "pipeline": run.pipeline, "until": run.until.isoformat(), "started_at": _plain(run.started_at),
            "ended_at": _plain(run.ended_at), "state": run.state, "steps": [_shortened(step).to_json() for step in run.steps],
            "error": run.error and _cut(run.error, _ERROR),
        }
        with self._begin() as connection:
            if not connection.execute(update(RUNS).where(RUNS.c.id == run.id).values(**values)).rowcount:
                connection.execute(insert(RUNS).values(id=run.id, **values))

    def runs(self, pipeline: str | None = None, limit: int | None = None) -> Iterator[Run]:
        """The runs of a pipeline, or of every one, the newest first."""
        query = select(RUNS).order_by(RUNS.c.started_at.desc(), RUNS.c.id).limit(limit)
        if pipeline is not None:
            query = query.where(RUNS.c.pipeline == pipeline)
        with self._begin() as connection:
            found = connection.execute(query).all()
        return readable(_run, found)

    def last_done(self, pipeline: str, steps: Iterable[str]) -> dict[str, datetime]:
        """Up to which instant each of these steps was done last; without those that never were."""
        found: dict[str, datetime] = {}
        due = set(steps)
        query = select(RUNS.c.until, RUNS.c.steps).where(RUNS.c.pipeline == pipeline).order_by(RUNS.c.until.desc(), RUNS.c.id)
        with self._begin() as connection:
            page = 0
            while due and (rows := connection.execute(query.limit(_PAGE).offset(page * _PAGE)).all()):
                for until, records in rows:
                    for each in records:
                        check_format(f"Step {each.get('name')!r} of pipeline {pipeline!r}", each, format_of(StepRecord))
                    done = {each["name"] for each in records if each["state"] in ("finished", "differs")} & due
                    found |= dict.fromkeys(done, datetime.fromisoformat(until))
                    due -= done
                page += 1
        return found

    def run(self, id_: str) -> Run:
        """The run whose id begins with a text; NotFoundError where it is none or several."""
        query = select(RUNS).where(RUNS.c.id.startswith(id_, autoescape=True))
        with self._begin() as connection:
            found = [*map(_run, connection.execute(query))] if id_ else []
        if len(found) != 1:
            said = f"{len(found)} runs begin with it" if found else "it does not exist"
            raise NotFoundError(f"Run {id_!r} cannot be shown: {said}. List them with: spark-fs runs")
        return found[0]

    # -- the lock

    def take_lock(self, run: Run, host: str, pid: int) -> bool:
        """Take the lock of the run's pipeline; False where another run holds it."""
        try:
            with self._begin() as connection:
                connection.execute(insert(LOCKS).values(pipeline=run.pipeline, run_id=run.id, host=host, pid=pid, beats=0))
            return True
        except IntegrityError:
            return False

    def lock(self, pipeline: str) -> Holder | None:
        """Who holds the lock of a pipeline; None: nobody."""
        query = select(*(LOCKS.c[name] for name in Holder._fields)).where(LOCKS.c.pipeline == pipeline)
        with self._begin() as connection:
            found = connection.execute(query).one_or_none()
        return None if found is None else Holder(*found)

    def beat(self, run_id: str) -> bool:
        """Say that the run lives; False where its lock was taken from it."""
        with self._begin() as connection:
            return bool(connection.execute(update(LOCKS).where(LOCKS.c.run_id == run_id).values(beats=LOCKS.c.beats + 1)).rowcount)

    def drop_lock(self, run_id: str, beats: int | None = None) -> bool:
        """Give up the lock of a run; with ``beats`` only where it has not beaten since. Whether there was one."""
        same = [LOCKS.c.run_id == run_id, *([] if beats is None else [LOCKS.c.beats == beats])]
        with self._begin() as connection:
            return bool(connection.execute(delete(LOCKS).where(*same)).rowcount)


def _shortened(step: StepRecord) -> StepRecord:
    lines = [_cut(line, _LINE) for line in step.lines]
    if len(lines) > _LINES:
        lines = [*lines[: _LINES // 2], f"... {len(lines) - _LINES:,} lines left out ...", *lines[-_LINES // 2 :]]
    return replace(step, lines=tuple(lines), error=step.error and _cut(step.error, _ERROR))


def _cut(text: str, longest: int) -> str:
    """A text that every database takes: its beginning and its end where it is longer; what is no Unicode as escapes."""
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} ... {len(text) - 2 * half:,} characters left out ... {text[-half:]}"


def _plain(at: datetime | None) -> datetime | None:
    return at and aware(at).replace(tzinfo=None)


def _run(row: Row[Any]) -> Run:
    found = row._mapping
    ended = found["ended_at"]
    return Run(
        found["id"], found["pipeline"], datetime.fromisoformat(found["until"]), found["started_at"].replace(tzinfo=UTC),
        ended and ended.replace(tzinfo=UTC), found["state"], tuple(map(StepRecord.from_json, found["steps"])), found["error"],
    )
