"""What ``spark-fs serve`` was told, and the program that it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from spark_fs.server.certificates import TlsFiles
from spark_fs.server.guard import Limits
from spark_fs.server.watchers import RequestWatcher

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore
    from spark_fs.server.guard import RequestGuard


@dataclass(frozen=True)
class ServeOptions:
    """What ``spark-fs serve`` was told; it goes to each worker.

    config: the settings file. views: see ``build_vector_app``, as max_entries, token and names.
    access_log: where lines go: a path, "-" for stdout; empty: nowhere. traces: whether spans are
    exported. log_served: the share of the requests whose vectors are logged; 0: none.
    """

    host: str = "127.0.0.1"
    port: int = 8_080
    config: Path | None = None
    views: Sequence[str] = ()
    max_entries: int = 1_000
    token: str = field(default="", repr=False)
    names: frozenset[str] | None = None
    limits: Limits = field(default_factory=Limits)
    tls: TlsFiles | None = None
    workers: int = 1
    access_log: str = ""
    traces: bool = False
    log_served: float = 0.0


def build_served_app(fs: FeatureStore, options: ServeOptions) -> RequestGuard:
    """The program that was asked for, with its logs and traces.

    Args:
        fs: the feature store.
        options: what was asked for.

    Raises:
        SparkFSError: a view cannot be made ready.
        SetupError: an extra is not installed.
    """
    from spark_fs.server.vector_server import build_vector_app

    return build_vector_app(
        fs,
        max_entries=options.max_entries,
        views=options.views,
        token=options.token,
        names=options.names,
        limits=options.limits,
        watchers=_make_watchers(options),
        log_served=options.log_served,
    )


def _make_watchers(options: ServeOptions) -> list[RequestWatcher]:
    watchers: list[RequestWatcher] = []
    if options.access_log:
        from spark_fs.server.access_log import AccessLog, open_log

        watchers.append(AccessLog(open_log(options.access_log)))
    if options.traces:
        from spark_fs.server.traces import RequestTraces, make_tracer_provider

        watchers.append(RequestTraces(make_tracer_provider()))
    return watchers
