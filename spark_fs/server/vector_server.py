"""Feature vectors over HTTP: a small program around feature views, in a process without Spark.

Its endpoints are described at ``/docs``. Values that JSON has no word for are strings: times in ISO
8601, decimals as digits, bytes hexadecimal, ``NaN`` and ``Infinity`` as such; keys and passed
features are read in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from spark_fs.api.serving import ServedViews
from spark_fs.base import json_values
from spark_fs.errors import SchemaError, SetupError, SparkFSError

try:
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse, PlainTextResponse, Response
    from fastapi_offline import FastAPIOffline
    from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
    from starlette.exceptions import HTTPException

    from spark_fs.server import program as server
    from spark_fs.server.error_responses import (
        ERROR_RESPONSES,
        LOGGER,
        make_error_response,
        make_unexpected_response,
        translate_error,
    )
    from spark_fs.server.freshness_metrics import FreshnessCollector
    from spark_fs.server.guard import Limits, RequestGuard
    from spark_fs.server.vector_requests import (
        VectorRequest,
        VectorResponse,
        ViewResponse,
        parse_request,
        parse_values,
    )
except ImportError as error:
    raise SetupError(
        f"Serving over HTTP needs {error.name}, which is not installed: pip install"
        " 'spark_fs[serve]'."
    ) from None

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore

_HEALTH_SECONDS = 1.0  # for which an answer about the stores is repeated
_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)  # seconds


class _ServingMetrics:
    """What Prometheus reads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "spark_fs_requests",
            "Requests for feature vectors.",
            ["view", "status"],
            registry=self.registry,
        )
        self.vectors = Counter(
            "spark_fs_vectors", "Feature vectors handed out.", ["view"], registry=self.registry
        )
        self.seconds = Histogram(
            "spark_fs_request_seconds",
            "Time of a request.",
            ["view"],
            registry=self.registry,
            buckets=_BUCKETS,
        )


def build_vector_app(
    fs: FeatureStore,
    max_bytes: int = 1_000_000,
    max_entries: int = 1_000,
    views: Sequence[str] = (),
    token: str = "",
    names: Collection[str] | None = None,
    limits: Limits | None = None,
) -> FastAPI:
    """The program for a server of ASGI.

    Args:
        fs: the feature store.
        max_bytes: of a request.
        max_entries: of a request.
        views: as ``name``, ``name:version`` or ``name:version:training-dataset``: they are loaded
            now, and no other is handed out; none: every view is, and loaded when it is asked for.
        token: what callers must bring; empty: nothing.
        names: the names that it answers to, besides addresses; None: any.
        limits: in the place of ``max_bytes``.
    """
    endpoints = _VectorEndpoints(fs, views, max_entries)
    app: FastAPI = FastAPIOffline(
        title="spark_fs", description="Feature vectors of a feature store, by key.", version="1"
    )
    app.add_middleware(
        RequestGuard,
        limits=limits or Limits(max_bytes),
        names=names,
        token=token,
        public_paths=("/health",),
    )
    _add_routes(app, endpoints)
    _add_error_handlers(app)
    return app


def _add_routes(app: FastAPI, endpoints: _VectorEndpoints) -> None:
    threads = server.WorkerThreads()
    request_schema = {"application/json": {"schema": VectorRequest.model_json_schema()}}

    @app.post(
        "/v1/feature-vectors",
        summary="Feature vectors of a view, by key",
        responses={200: {"model": VectorResponse}, **ERROR_RESPONSES},
        openapi_extra={"requestBody": {"required": True, "content": request_schema}},
    )
    async def feature_vectors(request: Request) -> Response:
        return await threads.run_in_thread(endpoints.answer_request, await request.body())

    @app.get(
        "/v1/feature-views/{name}",
        summary="The names and types by which a view is asked, and those of its vectors",
        responses={200: {"model": ViewResponse}, **ERROR_RESPONSES},
    )
    async def feature_view(
        name: str, version: int = 1, training_dataset_version: int | None = None
    ) -> Response:
        return await threads.run_in_thread(
            endpoints.describe_view, name, version, training_dataset_version
        )

    @app.get(
        "/health",
        responses={503: ERROR_RESPONSES[503]},
        summary="Whether the metadata database and the online store answer",
    )
    async def get_health() -> Response:
        return await threads.run_in_thread(endpoints.check_health)

    @app.get("/metrics", response_class=PlainTextResponse, summary="Figures for Prometheus")
    async def get_metrics() -> Response:
        return await threads.run_in_thread(endpoints.render_metrics)


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def handle_http_error(request: Request, error: HTTPException) -> Response:
        message = f"{request.method} {request.url.path}: {error.detail}. See /docs."
        return make_error_response(error.status_code, "RequestNotKnown", message, error.headers)

    @app.exception_handler(Exception)
    async def handle_unexpected_error(_: Request, error: Exception) -> Response:
        return make_unexpected_response(error)


class _VectorEndpoints:
    """What is answered, in a thread of its own for each request."""

    def __init__(self, fs: FeatureStore, views: Sequence[str], max_entries: int) -> None:
        self._fs = fs
        self._views = ServedViews(fs, views)
        self._max_entries = max_entries
        self._metrics = _ServingMetrics()
        self._metrics.registry.register(FreshnessCollector(fs._stores))
        self._last_health: tuple[float, SparkFSError | None] = (-inf, None)

    def answer_request(self, body: bytes) -> Response:
        """The vectors of a request, or why there are none."""
        began = time.perf_counter()
        view = "unknown"
        try:
            request = parse_request(body, self._max_entries)
            view = request.view
            answer = JSONResponse(self._get_vectors(request))
        except Exception as error:
            return self._answer_error(view, error)
        self._metrics.requests.labels(view, "200").inc()
        self._metrics.vectors.labels(view).inc(len(request.entries))
        self._metrics.seconds.labels(view).observe(time.perf_counter() - began)
        return answer

    def describe_view(self, name: str, version: int, dataset: int | None) -> Response:
        """The names and types of a view."""
        try:
            view = self._views.get_view(name, version, dataset)
            keys, passable = view.serving_types
            state = view._get_serving_state()
        except Exception as error:
            return self._answer_error(name, error)
        description = ViewResponse(
            name=name,
            version=version,
            training_dataset_version=state.dataset_version,
            keys=dict(keys),
            passable=dict(passable),
            columns=dict(state.columns),
            features=dict(state.features),
        )
        return JSONResponse(description.model_dump())

    def _answer_error(self, view: str, error: Exception) -> Response:
        answer = translate_error(error)
        self._metrics.requests.labels(self._get_view_label(view), str(answer.status_code)).inc()
        if answer.status_code == 500:
            LOGGER.exception("A request for feature vectors failed")
        return answer

    def check_health(self) -> Response:
        """Whether the stores answer.

        They are asked once a second at most, since whoever reaches the server may ask it.
        """
        checked_at, error = self._last_health
        if time.monotonic() - checked_at >= _HEALTH_SECONDS:
            try:
                self._fs.check_serving()
                error = None
            except SparkFSError as failure:
                error = failure
            self._last_health = (time.monotonic(), error)
        return JSONResponse({"status": "ok"}) if error is None else translate_error(error)

    def render_metrics(self) -> Response:
        """The figures."""
        return PlainTextResponse(
            generate_latest(self._metrics.registry),
            media_type="text/plain; version=0.0.4; charset=utf-8",
        )

    def _get_vectors(self, request: VectorRequest) -> Mapping[str, Any]:
        view = self._views.get_view(request.view, request.version, request.training_dataset_version)
        key_types, feature_types = view.serving_types
        entries = [parse_values(key_types, entry) for entry in request.entries]
        passed = None
        if request.passed_features is not None:
            passed = [parse_values(feature_types, values) for values in request.passed_features]
        try:
            vectors = view.get_feature_vectors(entries, passed, allow_missing=request.allow_missing)
        except SparkFSError as error:
            # The message has the values that a transformation took, stored ones too.
            if type(error) is SparkFSError and any(passed or ()):
                raise SchemaError(
                    f"A transformation of feature view {request.view!r} failed for a passed"
                    " feature: pass what it takes."
                ) from error
            raise
        return {"features": view.serving_columns, "vectors": json_values.to_json(vectors)}

    def _get_view_label(self, view: str) -> str:
        """The view, where there is one of this name: made up names must not fill the metrics."""
        return view if self._views.is_known(view) else "unknown"


def serve_vectors(
    fs: FeatureStore,
    host: str,
    port: int,
    views: Sequence[str],
    max_entries: int,
    token: str = "",
    names: Collection[str] | None = None,
    limits: Limits = Limits(),  # noqa: B008 # it cannot be changed
) -> None:
    """Serve until the process is told to end. SettingsError where the port is taken.

    Args:
        fs: the feature store.
        host: the address to listen on.
        port: the port to listen on; 0 is any that is free.
        views: see ``build_vector_app``, as the next three.
        max_entries: of a request.
        token: what callers must bring.
        names: the names that it answers to.
        limits: what the server takes upon itself.
    """
    app = build_vector_app(fs, limits.max_bytes, max_entries, views, token, names, limits)
    server.run_program(app, host, port, limits, "Vectors are at {url} (end it with Ctrl-C)")
