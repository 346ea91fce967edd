"""The engines that a store has: threads of this process, and Spark; and which of them runs what.

Nothing here loads Spark before it is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from spark_fs.base.user_warnings import warn_user
from spark_fs.engine.local_progress import ProgressBar
from spark_fs.engine.local_runner import LocalRunner
from spark_fs.engine.memory import MemoryWatch, get_machine_memory
from spark_fs.engine.runner import EngineName, Runner
from spark_fs.errors import MemoryLimitError, SettingsError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

T = TypeVar("T")
EngineRequest = Literal["auto", "local", "spark"]
# How many bytes of memory a local run takes at its peak for each byte that it reads or makes: rows
# are scattered, matched and put in order. Measured were 1.1 to 2.3; docs/engines.md has the table.
MEMORY_FACTOR = 2.5
_OWN_SESSION = "spark_fs.startedByItself"  # its setting, which ends with it
_MEMORY_SHARE = 4  # a quarter of the machine's memory, where no setting says how much


@dataclass(frozen=True)
class EngineChoice:
    """Which engine runs something, and why."""

    engine: EngineName
    reason: str


@dataclass(frozen=True)
class Engines:
    """The engines of a store, and which of them was asked for.

    get_spark: gives Spark's session, started when there is none. requested: "auto": the local one
    where it can. local_memory: how many bytes a local run may take; None: a quarter of the
    machine's. shows_progress: whether local runs that take their time show a bar.
    """

    get_spark: Callable[[], SparkSession]
    requested: EngineRequest = "auto"
    local_memory: int | None = None
    shows_progress: bool = True

    def with_request(self, engine: str | None) -> Engines:
        """The same, where another engine is asked for; None: what was asked for before.

        SettingsError for what is no engine.
        """
        if engine is None:
            return self
        for name in get_args(EngineRequest):
            if name == engine:
                return replace(self, requested=name)
        listed = ", ".join(map(repr, get_args(EngineRequest)))
        raise SettingsError(f"engine {engine!r} is not known: use {listed}, or leave it out.")

    @property
    def memory_bytes(self) -> int:
        """How many bytes a local run may take."""
        if self.local_memory is not None:
            return self.local_memory
        return get_machine_memory() // _MEMORY_SHARE

    def choose(self, need_of_spark: str | None, run_bytes: int) -> EngineChoice:
        """Which engine runs something.

        Args:
            need_of_spark: Why Spark alone can run it; None: the local one can too.
            run_bytes: About how many bytes are read and made.

        Raises:
            SettingsError: The local engine was asked for and cannot run it.
        """
        if self.requested == "spark":
            return EngineChoice("spark", "it was asked for")
        if need_of_spark is not None:
            if self.requested == "local":
                raise SettingsError(
                    f"The local engine cannot run this: {need_of_spark}. Leave engine out, or say"
                    " engine='spark'."
                )
            return EngineChoice("spark", need_of_spark)
        needed_bytes = int(MEMORY_FACTOR * run_bytes)
        if self.requested == "local":
            return EngineChoice("local", "it was asked for")
        if needed_bytes > self.memory_bytes:
            reason = (
                f"it would take about {_format_megabytes(needed_bytes)}, and this process may take"
                f" {_format_megabytes(self.memory_bytes)} (setting local_memory)"
            )
            return EngineChoice("spark", reason)
        reason = (
            f"it takes about {_format_megabytes(needed_bytes)}, and this process may take"
            f" {_format_megabytes(self.memory_bytes)} (setting local_memory)"
        )
        return EngineChoice("local", reason)

    def run(self, choice: EngineChoice, work: Callable[[Runner], T]) -> T:
        """What a function makes with what runs the tasks of the engine that was chosen, eagerly.

        Where the local engine meets its limit of memory, Spark does all of it, and a warning says
        so.

        Args:
            choice: The engine.
            work: Takes what runs the tasks; it may be called twice.

        Raises:
            MemoryLimitError: The local engine was asked for and met its limit.
        """
        try:
            return work(self.get_runner(choice.engine))
        except MemoryLimitError:
            if self.requested != "auto":
                raise
        warn_user(
            "The local engine stopped before it takes more than"
            f" {_format_megabytes(self.memory_bytes)} of memory (setting local_memory); Spark does"
            " it from the start."
        )
        return work(self.get_runner("spark"))

    def get_runner(self, engine: EngineName) -> Runner:
        """What runs the tasks of an engine; Spark's starts a session where there is none."""
        if engine == "local":
            memory = MemoryWatch(self.memory_bytes)
            return LocalRunner(memory=memory, progress=ProgressBar(self.shows_progress))
        spark = self.get_spark()  # which a process that is to start none refuses
        from spark_fs.engine.spark_runner import SparkRunner

        return SparkRunner(spark)


def _format_megabytes(size: int) -> str:
    return f"{max(1, size >> 20):,} MB"


def is_spark_running() -> bool:
    """Whether this process has started Spark, in whichever thread; it is not loaded for that."""
    pyspark = sys.modules.get("pyspark")
    return pyspark is not None and pyspark.SparkContext._active_spark_context is not None


def has_callers_session() -> bool:
    """Whether a Spark session is active that this package did not start for a write of its own."""
    session = _find_spark_session()
    return session is not None and session.conf.get(_OWN_SESSION, None) is None


def note_own_session(session: SparkSession) -> None:
    """Note in a session that no caller asked for it."""
    session.conf.set(_OWN_SESSION, "true")


def _find_spark_session() -> SparkSession | None:
    sql = sys.modules.get("pyspark.sql")
    return None if sql is None else sql.SparkSession.getActiveSession()
