"""Whether a server should be sent requests: whether its stores answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from math import inf

from spark_fs.errors import SparkFSError

_KEPT_SECONDS = 1.0  # for which an answer about the stores is repeated


class Readiness:
    """What a load balancer is told.

    The stores are asked once a second at most and by one request at a time, since whoever reaches
    the server may ask it.

    Args:
        check_stores: asks the stores, in a thread; a SparkFSError where one fails.
    """

    def __init__(self, check_stores: Callable[[], Awaitable[None]]) -> None:
        self._check_stores = check_stores
        self._checked_at = -inf
        self._error: SparkFSError | None = None
        self._running: asyncio.Task[None] | None = None

    async def find_error(self) -> SparkFSError | None:
        """What is wrong with the stores; None where they answer."""
        if time.monotonic() - self._checked_at >= _KEPT_SECONDS:
            if self._running is None or self._running.done():
                self._running = asyncio.ensure_future(self._ask_stores())
            await asyncio.shield(self._running)
        return self._error

    async def _ask_stores(self) -> None:
        try:
            await self._check_stores()
            self._error = None
        except SparkFSError as error:
            self._error = error
        self._checked_at = time.monotonic()
