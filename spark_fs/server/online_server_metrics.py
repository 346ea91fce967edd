"""Which servers of the online store answer, and how old they may be, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from math import inf
from threading import Lock
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client import Metric

    from spark_fs.api.stores import Stores
    from spark_fs.spec.online_server import OnlineServer

_KEPT_SECONDS = 10.0  # for which the servers are not asked again, whoever asks


class OnlineServerCollector(Collector):
    """Gauges of each shard and replica, for a registry of Prometheus.

    None where the online store is one database. Servers have numbers and no names here, in the
    order of the settings: who scrapes is not told where they are.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._lock = Lock()
        self._servers: Sequence[OnlineServer] = ()
        self._asked_at = -inf

    def collect(self) -> Iterator[Metric]:
        """The gauges, with a value for each server."""
        labels = ["shard", "role", "number"]
        up = GaugeMetricFamily(
            "spark_fs_online_server_up",
            "Whether a database of the online store answers.",
            None,
            labels,
        )
        age = GaugeMetricFamily(
            "spark_fs_online_server_age_seconds",
            "How long ago a sync may have ended that a database does not show.",
            None,
            labels,
        )
        numbers: dict[tuple[int, str], int] = {}
        for server in self._list_servers():
            place = (server.shard, server.role)
            numbers[place] = numbers.get(place, 0) + 1
            values = [str(server.shard), server.role, str(numbers[place])]
            up.add_metric(values, float(server.reachable))
            if server.age_seconds is not None:
                age.add_metric(values, server.age_seconds)
        yield up
        yield age

    def _list_servers(self) -> Sequence[OnlineServer]:
        settings = self._stores.settings
        if len(settings.online_urls) == 1 and not settings.online_read_urls:
            return ()
        from spark_fs.online.server_states import read_server_states

        with self._lock:
            if time.monotonic() - self._asked_at >= _KEPT_SECONDS:
                self._servers = read_server_states(self._stores.online)
                self._asked_at = time.monotonic()
            return self._servers
