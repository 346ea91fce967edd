"""What Prometheus reads of a server, summed over its processes where there are several."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from spark_fs.server.watchers import RequestEnd, RequestWatcher

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own, read when it is loaded
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_SIZES = (1, 2, 3, 5, 8, 12, 20, 35, 60, 100, 250, 500)


class ServingMetrics:
    """The counters of one server.

    Args:
        collectors: what is measured when it is asked for.
    """

    def __init__(self, collectors: Sequence[Collector] = ()) -> None:
        self.registry = CollectorRegistry()
        self._collectors = collectors
        for collector in collectors:
            self.registry.register(collector)

        def make(kind: Callable[..., Any], name: str, text: str, **options: Any) -> Any:
            labels = options.pop("labels", ("view",))
            return kind(f"spark_fs_{name}", text, labels, registry=self.registry, **options)

        self.requests = make(
            Counter, "requests", "Requests for feature vectors.", labels=("view", "status")
        )
        self.refused = make(
            Counter, "refused_requests", "Requests that were not let in.", labels=("reason",)
        )
        self.vectors = make(Counter, "vectors", "Feature vectors handed out.")
        self.seconds = make(Histogram, "request_seconds", "Time of a request.", buckets=_SECONDS)
        self.queue_seconds = make(
            Histogram, "queue_seconds", "Time until a look-up for it began.", buckets=_SECONDS
        )
        self.lookup_seconds = make(
            Histogram, "lookup_seconds", "Time of a look-up and its vectors.", buckets=_SECONDS
        )
        self.batch_requests = make(
            Histogram, "batch_requests", "Requests answered by one look-up.", buckets=_SIZES
        )
        self.open_requests = make(
            Gauge,
            "open_requests",
            "Requests being answered.",
            labels=(),
            multiprocess_mode="livesum",
        )
        self.unobserved = make(
            Counter,
            "unobserved_requests",
            "Answers of which observers were not told, since too many waited.",
            labels=(),
        )
        self.logged = make(
            Counter,
            "served_log_vectors",
            "Served vectors by what became of them in the log.",
            labels=("outcome",),
        )
        # A look at the labels takes longer than the count itself.
        self.of_view = lru_cache(maxsize=1_024)(self._get_view_metrics)

    def _get_view_metrics(self, view: str) -> ViewMetrics:
        return ViewMetrics(self, view)

    def render(self) -> bytes:
        """The figures as text, of all processes of the server."""
        if MULTIPROCESS_FOLDER not in os.environ:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        for collector in self._collectors:
            registry.register(collector)
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # as it is published
        return generate_latest(registry)


class ViewMetrics:
    """The counters of one view."""

    def __init__(self, metrics: ServingMetrics, view: str) -> None:
        self.answered = metrics.requests.labels(view, "200")
        self.vectors = metrics.vectors.labels(view)
        self.seconds = metrics.seconds.labels(view)
        self.queue_seconds = metrics.queue_seconds.labels(view)
        self.lookup_seconds = metrics.lookup_seconds.labels(view)
        self.batch_requests = metrics.batch_requests.labels(view)


class RequestCounter(RequestWatcher):
    """Counts the requests that are open, and those that are not let in."""

    def __init__(self, metrics: ServingMetrics) -> None:
        self._open = metrics.open_requests
        self._refused = metrics.refused

    def begin_request(self) -> None:
        """Count a request as open."""
        self._open.inc()

    def end_request(self, end: RequestEnd) -> None:
        """Count it as open no longer."""
        self._open.dec()
        if end.refusal:
            self._refused.labels(end.refusal).inc()


def forget_process(process_id: int, folder: str) -> None:
    """Count what a process that has ended had open no longer; its sums stay.

    Args:
        process_id: of the process.
        folder: where the figures of the processes are.
    """
    mark_process_dead(process_id, folder)  # type: ignore[no-untyped-call] # as it is published
