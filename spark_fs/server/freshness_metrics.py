"""How old what is served is, for Prometheus: gauges that are read when they are asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import inf
from threading import Lock
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from spark_fs.errors import SparkFSError
from spark_fs.online.table_layout import build_online_table
from spark_fs.server.error_responses import LOGGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client.metrics_core import Metric

    from spark_fs.api.stores import Stores
    from spark_fs.flows.measure_freshness import ServedTimes

_KEPT_SECONDS = 10.0  # for which the stores are not asked again, whoever asks


class FreshnessCollector(Collector):
    """The times of each online group, for a registry of Prometheus.

    The online store is asked once in ten seconds at most, and reads the event times of a group once
    for each sync. A store that does not answer leaves the gauges out, and is logged.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._lock = Lock()
        self._times: Mapping[str, ServedTimes] = {}
        self._asked_at = -inf

    def collect(self) -> Iterator[Metric]:
        """The gauges, with a value for each group that is online."""
        event = GaugeMetricFamily(
            "spark_fs_online_event_timestamp_seconds",
            "The greatest event time that is online.",
            labels=["group"],
        )
        synced = GaugeMetricFamily(
            "spark_fs_online_synced_timestamp_seconds",
            "When the last sync of a group ended.",
            labels=["group"],
        )
        for group, times in self._get_times().items():
            if times.event_time is not None:
                event.add_metric([group], times.event_time.timestamp())
            if times.last_sync is not None:
                synced.add_metric([group], times.last_sync.synced_at.timestamp())
        yield event
        yield synced

    def _get_times(self) -> Mapping[str, ServedTimes]:
        with self._lock:
            if time.monotonic() - self._asked_at >= _KEPT_SECONDS:
                try:
                    self._times = self._read_times()
                except SparkFSError as error:
                    LOGGER.warning("What is online could not be measured: %s", error)
                    self._times = {}
                self._asked_at = time.monotonic()
            return self._times

    def _read_times(self) -> Mapping[str, ServedTimes]:
        from spark_fs.flows.measure_freshness import read_served_times

        store = self._stores.online
        states = store.read_sync_states()
        times = {}
        for group in self._stores.catalog.list_groups():
            if group.online_enabled and group.features:
                table = build_online_table(group, store.capabilities)
                last_sync = states.get(table.name)
                before = self._times.get(table.name)
                times[table.name] = read_served_times(store, table, last_sync, before)
        return times
