"""``spark-fs serve``: one process that serves, or several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_fs.server.program import run_program
from spark_fs.server.served_app import ServeOptions, build_served_app
from spark_fs.server.workers import WorkerSupervisor

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore


def serve_vectors(fs: FeatureStore, options: ServeOptions) -> None:
    """Serve until the process is told to end, by processes of their own where there are several.

    Args:
        fs: the feature store.
        options: what was asked for.

    Raises:
        SettingsError: the port is taken.
        SparkFSError: a view cannot be made ready.
    """
    announcement = "Vectors are at {url} (end it with Ctrl-C)"
    if options.workers > 1:
        WorkerSupervisor(options).run(announcement)
        return
    app = build_served_app(fs, options)
    run_program(app, options.host, options.port, options.limits, announcement, tls=options.tls)
