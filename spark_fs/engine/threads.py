"""Run functions in threads of this process that can be stopped.

The thread that waits for them looks around several times a second: at their memory, at how far they
have come, and whether somebody pressed Ctrl-C. When it has had enough, what runs is stopped where
it is: at the next step of Python, which comes when a call into Arrow or NumPy returns.
"""

import ctypes
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")
V = TypeVar("V")
_LOOK_SECONDS = 0.05
THREAD_NAME = "spark_fs task"


class _StopThreadError(BaseException):
    """Raised in a thread whose results nobody waits for any more."""


_tell_unraisable = sys.unraisablehook


def _tell_all_but_stops(unraisable: Any) -> None:
    """Tell of what Python could not raise; a stop that it came upon is sent again."""
    if not isinstance(unraisable.exc_value, _StopThreadError):
        _tell_unraisable(unraisable)


sys.unraisablehook = _tell_all_but_stops


def run_in_threads(
    functions: Sequence[Callable[[], T]], count: int, look: Callable[[int], None]
) -> list[T]:
    """The results of functions, in their order, eagerly.

    What one raises ends the others, and is raised as it is; so does what ``look`` raises, and an
    interrupt. No thread is left then.

    Args:
        functions: Each is called once.
        count: How many run at a time.
        look: Called several times a second with how many are done.
    """
    calls = _Calls(functions)
    threads = []
    try:
        for _ in range(min(count, len(functions))):
            thread = threading.Thread(target=calls.work, name=THREAD_NAME, daemon=True)
            threads.append(thread)
            thread.start()
        while not calls.wait(_LOOK_SECONDS):
            look(calls.done_count)
        return calls.get_results()
    finally:
        _end_threads(threads, calls)


def map_in_threads(function: Callable[[V], T], values: Iterable[V], count: int) -> list[T]:
    """What a function makes of each value, eagerly, so many at a time; for a task to call."""
    calls = [partial(function, value) for value in values]
    if count == 1:
        return [call() for call in calls]
    return run_in_threads(calls, count, lambda _: None)


def _end_threads(threads: Sequence[threading.Thread], calls: "_Calls[T]") -> None:
    """Stop threads, and wait until they are gone; a function that swallows the stop gets it again.

    Nobody stops the thread that does it: it would leave the others behind.
    """
    while any(thread.is_alive() for thread in threads):
        calls.stop(threads)
        for thread in threads:
            thread.join(_LOOK_SECONDS)


def _call(function: Callable[[], T]) -> T:
    """Call a function; while this is on a thread's stack the thread may be stopped."""
    return function()


def _may_be_stopped(thread: threading.Thread) -> bool:
    """Whether a thread is in a function, and neither ends other threads nor starts one.

    Python takes a thread that is being started for the one that starts it: the new one would be
    stopped before it says that it runs, and the old one wait for that for ever.
    """
    calls_function = False
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code in (threading.Thread.start.__code__, _end_threads.__code__):
            return False
        if frame.f_code is _call.__code__:
            calls_function = True
        frame = frame.f_back
    return calls_function


class _Calls(Generic[T]):
    """Functions that some threads call, one after the other."""

    def __init__(self, functions: Sequence[Callable[[], T]]) -> None:
        self._waiting = deque(enumerate(functions))
        self._count = len(functions)
        self._results: dict[int, T] = {}
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        if not functions:
            self._over.set()

    @property
    def done_count(self) -> int:
        return len(self._results)

    def wait(self, seconds: float) -> bool:
        """Whether all are done, or one failed; waits so long for it."""
        return self._over.wait(seconds)

    def get_results(self) -> list[T]:
        """The results in the order of the functions; raises what one of them raised."""
        if self._error is not None:
            error = self._error
            self._error = None  # else it and its traceback keep each other
            raise error
        return [self._results[number] for number in range(self._count)]

    def stop(self, threads: Sequence[threading.Thread]) -> None:
        """Let no further function be called, and stop those that run in these threads."""
        with self._lock:
            self._waiting.clear()
        for thread in threads:
            if thread.is_alive() and _may_be_stopped(thread):
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_StopThreadError)
                )

    def work(self) -> None:
        """Call functions until none is left; what a thread does."""
        # Twice: while one stop leaves the function, which closes what it opened, one more may come.
        with suppress(_StopThreadError), suppress(_StopThreadError):
            while self._call_next():
                pass

    def _call_next(self) -> bool:
        """Call one function; whether there was one."""
        with self._lock:
            if not self._waiting:
                return False
            number, function = self._waiting.popleft()
        try:
            self._results[number] = _call(function)
        except _StopThreadError:
            raise
        except BaseException as error:
            self._error = self._error or error
            self._over.set()
            return False
        if self.done_count == self._count:
            self._over.set()
        return True
