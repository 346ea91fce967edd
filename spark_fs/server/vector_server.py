"""Feature vectors over HTTP: a small program around feature views, in a process without Spark.

Its endpoints are described at ``/docs``. Values that JSON has no word for are strings: times in ISO
8601, decimals as digits, bytes hexadecimal, ``NaN`` and ``Infinity`` as such; keys and passed
features are read in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from spark_fs.api.serving import MAX_STALENESS, ServedViews
from spark_fs.errors import SetupError

try:
    from fastapi import FastAPI, Request
    from fastapi.responses import PlainTextResponse, Response
    from fastapi_offline import FastAPIOffline
    from starlette.exceptions import HTTPException

    from spark_fs.server import program as server
    from spark_fs.server.error_responses import (
        ERROR_RESPONSES,
        make_error_response,
        make_unexpected_response,
        translate_error,
    )
    from spark_fs.server.freshness_metrics import FreshnessCollector
    from spark_fs.server.guard import Limits, RequestGuard
    from spark_fs.server.observers import Observer
    from spark_fs.server.online_server_metrics import OnlineServerCollector
    from spark_fs.server.readiness import Readiness
    from spark_fs.server.served_observer import LogObserver
    from spark_fs.server.serving_metrics import RequestCounter, ServingMetrics
    from spark_fs.server.vector_endpoint import VECTORS_PATH, VectorEndpoint
    from spark_fs.server.vector_requests import VectorRequest, VectorResponse, ViewResponse
    from spark_fs.server.watchers import RequestWatcher
    from spark_fs.server.wire_formats import ARROW, MSGPACK
except ImportError as error:
    raise SetupError(
        f"Serving over HTTP needs {error.name}, which is not installed: pip install"
        " 'spark_fs[serve]'."
    ) from None

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore
    from spark_fs.server.asgi import Message, Receive, Send

_REFRESH_SECONDS = 1.0  # between two looks for views that the catalog was not asked of lately
_HEALTH_PATH = "/health"  # a busy server must not be taken for a dead one
_PUBLIC_PATHS = (_HEALTH_PATH, "/ready")


def build_vector_app(
    fs: FeatureStore,
    max_bytes: int = 1_000_000,
    max_entries: int = 1_000,
    views: Sequence[str] = (),
    token: str = "",
    names: Collection[str] | None = None,
    limits: Limits | None = None,
    watchers: Sequence[RequestWatcher] = (),
    observers: Sequence[Observer] = (),
    log_served: float = 0.0,
) -> RequestGuard:
    """The program for a server of ASGI.

    Args:
        fs: the feature store.
        max_bytes: of a request.
        max_entries: of a request.
        views: as ``name``, ``name:version`` or ``name:version:training-dataset``: they are loaded
            and looked up now, and no other is handed out; none: every view is, and loaded when it
            is asked for.
        token: what callers must bring; empty: nothing.
        names: the names that it answers to, besides addresses; None: any.
        limits: in the place of ``max_bytes``.
        watchers: who is told of every request, as an access log.
        observers: who is told of the vectors that were handed out.
        log_served: the share of the requests that is logged, up to 1; 0: none is.
    """
    program = _VectorProgram(fs, ServedViews(fs, views), max_entries)
    program.endpoint.served_to.observers += observers
    if log_served:
        program.log_share(log_served)
    guard = RequestGuard(
        program,
        limits=limits or Limits(max_bytes),
        names=names,
        token=token,
        public_paths=_PUBLIC_PATHS,
        unlimited_paths=(_HEALTH_PATH,),
        watchers=(RequestCounter(program.metrics), *watchers),
    )
    program.guard = guard
    return guard


class _VectorProgram:
    """What lies behind the guard: the route for vectors, and FastAPI for all others."""

    guard: RequestGuard
    _log: LogObserver | None = None

    def __init__(self, fs: FeatureStore, views: ServedViews, max_entries: int) -> None:
        self._fs = fs
        self._views = views
        self._threads = server.WorkerThreads()
        self.metrics = ServingMetrics(
            (FreshnessCollector(fs._stores), OnlineServerCollector(fs._stores))
        )
        self.endpoint = VectorEndpoint(views, max_entries, self.metrics, self._threads)
        self._readiness = Readiness(self._check_stores)
        self._ended = Event()
        self._app: FastAPI = FastAPIOffline(
            title="spark_fs", description="Feature vectors of a feature store, by key.", version="1"
        )
        self._add_routes()
        _add_error_handlers(self._app)
        views.warm_up()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or begin and end with the server."""
        if scope["type"] == "lifespan":
            Thread(target=self._refresh_views, name="spark_fs-refresh", daemon=True).start()
            try:
                await self._app(scope, receive, self._close_before(send))
            finally:
                self._ended.set()
        elif scope["path"] == VECTORS_PATH and scope["method"] == "POST":
            await self.endpoint(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def log_share(self, share: float) -> None:
        """Log a share of what is served."""

        def count_vectors(outcome: str, vectors: int) -> None:
            self.metrics.logged.labels(outcome).inc(vectors)

        self._log = LogObserver(self._fs, share, count_vectors)
        self.endpoint.served_to.observers.append(self._log)

    def _close_before(self, send: Send) -> Send:
        """The same, before which the log is written where it says that the server ends."""

        async def send_when_closed(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown"):
                await self._threads.run_in_thread(self._close_log)
            await send(message)

        return send_when_closed

    def _close_log(self) -> None:
        """Write what was served and is not logged yet."""
        if self._log is not None:
            self.endpoint.served_to.finish()
            self._log.close()

    def _refresh_views(self) -> None:
        """Look at the catalog before a request has to."""
        while not self._ended.wait(_REFRESH_SECONDS):
            self._views.refresh_used(MAX_STALENESS - 2 * _REFRESH_SECONDS)

    async def _check_stores(self) -> None:
        await self._threads.run_in_thread(self._fs.check_serving)

    def _add_routes(self) -> None:
        app = self._app
        request_schema = {"schema": VectorRequest.model_json_schema()}
        formats: dict[str, Any] = {MSGPACK: {}, ARROW: {}}

        @app.post(
            VECTORS_PATH,
            summary="Feature vectors of a view, by key",
            responses={200: {"model": VectorResponse, "content": formats}, **ERROR_RESPONSES},
            openapi_extra={
                "requestBody": {
                    "required": True,
                    "content": {"application/json": request_schema, MSGPACK: request_schema},
                }
            },
        )
        async def feature_vectors() -> None:
            """Read vectors; the answer's format is chosen by Accept."""
            # Only described here: the route is answered by the endpoint.

        @app.get(
            "/v1/feature-views/{name}",
            summary="The names and types by which a view is asked, and those of its vectors",
            responses={200: {"model": ViewResponse}, **ERROR_RESPONSES},
        )
        async def feature_view(
            name: str, version: int = 1, training_dataset_version: int | None = None
        ) -> Response:
            return await self._threads.run_in_thread(
                self._describe_view, name, version, training_dataset_version
            )

        @app.get(_HEALTH_PATH, summary="Whether the process lives; no store is asked")
        async def get_health() -> dict[str, str]:
            return {"status": "ok"}

        @app.get(
            "/ready",
            responses={503: ERROR_RESPONSES[503]},
            summary="Whether requests should be sent here: the stores answer, and it does not end",
        )
        async def get_ready() -> Response:
            return await self._answer_ready()

        @app.get("/metrics", response_class=PlainTextResponse, summary="Figures for Prometheus")
        async def get_metrics() -> Response:
            figures = await self._threads.run_in_thread(self.metrics.render)
            return Response(figures, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _answer_ready(self) -> Response:
        if self.guard.is_draining:
            text = "The server is about to end: ask another one."
            return make_error_response(503, "Draining", text).to_response()
        error = await self._readiness.find_error()
        if error is not None:
            return translate_error(error).to_response()
        return Response(b'{"status":"ok"}', media_type="application/json")

    def _describe_view(self, name: str, version: int, dataset: int | None) -> Response:
        """The names and types of a view."""
        try:
            view = self._views.get_view(name, version, dataset)
            keys, passable = view.serving_types
            state = view._get_serving_state()
        except Exception as error:
            answer = translate_error(error)
            self.metrics.requests.labels("unknown", str(answer.status)).inc()
            return answer.to_response()
        description = ViewResponse(
            name=name,
            version=version,
            training_dataset_version=state.dataset_version,
            keys=dict(keys),
            passable=dict(passable),
            columns=dict(state.columns),
            features=dict(state.features),
        )
        return Response(description.model_dump_json(), media_type="application/json")


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def handle_http_error(request: Request, error: HTTPException) -> Response:
        message = f"{request.method} {request.url.path}: {error.detail}. See /docs."
        return make_error_response(
            error.status_code, "RequestNotKnown", message, error.headers
        ).to_response()

    @app.exception_handler(Exception)
    async def handle_unexpected_error(_: Request, error: Exception) -> Response:
        return make_unexpected_response(error).to_response()
