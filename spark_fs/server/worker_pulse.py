"""How long a worker has given no sign of life, by which its supervisor knows one that hangs."""

import time
from collections.abc import Callable
from typing import Any

BEAT_SECONDS = 1.0  # between two beats of an event loop
_LONGEST_LOOK = 1.0  # seconds that count between two looks


class WorkerPulse:
    """How long the event loop of a worker has given no sign of life.

    The worker counts its beats in memory that both processes see. A pipe would stop it where its
    supervisor is stopped and reads nothing.

    Only the time counts in which the supervisor ran itself, so that where both are stopped, as by
    Ctrl-Z, the worker is not taken for one that hangs.

    Args:
        beats: the worker's counter, in its ``value``.
        clock: gives seconds.
    """

    def __init__(self, beats: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._beats = beats
        self._clock = clock
        self._counted: int = beats.value
        self._looked_at = clock()
        self._silent_seconds = 0.0

    def measure_silence(self) -> float:
        """Look for a beat; returns the seconds since the last one, as far as they count."""
        now = self._clock()
        beats = self._beats.value
        if beats == self._counted:
            self._silent_seconds += min(now - self._looked_at, _LONGEST_LOOK)
        else:
            self._silent_seconds = 0.0
        self._counted = beats
        self._looked_at = now
        return self._silent_seconds
