"""Feature vectors over HTTP: a small program around feature views, in a process without Spark.

Its endpoints are described at ``/docs``. Values that JSON has no word for are texts: times in ISO 8601, decimals as digits, bytes
hexadecimal, ``NaN`` and ``Infinity`` as such; keys and passed features are read in the same way.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from spark_fs import types
from spark_fs.errors import ConflictError, NotFoundError, OnlineStoreError, SettingsError, SetupError, SparkFSError
from spark_fs.listen import listening

try:
    import uvicorn
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse, PlainTextResponse
    from fastapi_offline import FastAPIOffline
    from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
    from pydantic import BaseModel, Field
except ImportError as error:
    raise SetupError(f"Serving over HTTP needs {error.name}, which is not installed: pip install 'spark_fs[serve]'.") from None

if TYPE_CHECKING:
    from fastapi import FastAPI

    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.project import FeatureStore

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_STATUS: Sequence[tuple[type[SparkFSError], int]] = ((NotFoundError, 404), (ConflictError, 409), (OnlineStoreError, 503))


class Asked(BaseModel):
    """A request for feature vectors."""

    view: str = Field(description="The name of a feature view.", examples=["late_arrivals"])
    version: int = Field(default=1, description="Its version.")
    training_dataset_version: int | None = Field(
        default=None, description="By which training dataset its transformations learned; may be left out where there is only one."
    )
    entries: list[dict[str, Any]] = Field(description="The keys of each vector, by name.", min_length=1, examples=[[{"id": 1}]])
    passed_features: list[dict[str, Any]] | None = Field(
        default=None, description="For each entry the features that win over stored ones, before they are transformed."
    )
    allow_missing: bool = Field(default=False, description="Whether a key without an online row gives nulls instead of an error.")


class Answer(BaseModel):
    """Feature vectors, as many as entries, in their order."""

    features: list[str] = Field(description="The names of the values of each vector, in their order.")
    vectors: list[list[Any]]


class Failure(BaseModel):
    """What went wrong, and what to do."""

    type: str = Field(description="The kind of error.", examples=["NotFoundError"])
    message: str


class Failed(BaseModel):
    """The answer of a request that failed."""

    error: Failure


_FAILED = {
    400: "A key or a passed feature is wrong, or there are too many entries",
    404: "There is no such view, version, key or feature",
    413: "The request is too large",
    422: "The request is not of the form above",
    503: "The online store failed or gave no answer in time",
}
_RESPONSES: dict[int | str, dict[str, Any]] = {status: {"model": Failed, "description": text} for status, text in _FAILED.items()}


class Views:
    """The feature views of a store that were asked for, each loaded once."""

    def __init__(self, fs: FeatureStore) -> None:
        self._fs = fs
        self._loaded: dict[tuple[str, int, int | None], FeatureView] = {}
        self._lock = threading.Lock()

    def get(self, name: str, version: int = 1, dataset: int | None = None) -> FeatureView:
        """A view that is ready to serve."""
        key = (name, version, dataset)
        if key not in self._loaded:
            with self._lock:
                if key not in self._loaded:
                    view = self._fs.get_feature_view(name, version)
                    view.init_serving(dataset)
                    self._loaded[key] = view
        return self._loaded[key]

    def load(self, named: str) -> None:
        """Load ``name``, ``name:version`` or ``name:version:training-dataset``."""
        name, *numbers = named.split(":")
        if len(numbers) > 2 or not all(n.isdigit() for n in numbers):
            raise SettingsError(f"--view {named!r} is not a view: write name, name:version or name:version:training-dataset.")
        self.get(name, *map(int, numbers))


class _Bounded:
    """Requests of so many bytes at most reach the program; a larger one is refused before it is read to its end."""

    def __init__(self, app: Callable[..., Awaitable[None]], most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        body, more = b"", not (declared.isdigit() and int(declared) > self._most)
        too_long = not more
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
            if len(body) > self._most:
                too_long, more = True, False
        if too_long:
            text = f"The request is larger than {self._most:,} bytes: ask for fewer entries at once."
            await _failure(413, "RequestTooLarge", text)(scope, receive, send)
            return
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, again, send)


class _Metrics:
    """What Prometheus reads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("spark_fs_requests", "Requests for feature vectors.", ["view", "status"], registry=self.registry)
        self.vectors = Counter("spark_fs_vectors", "Feature vectors handed out.", ["view"], registry=self.registry)
        buckets = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
        self.seconds = Histogram("spark_fs_request_seconds", "Time of a request.", ["view"], registry=self.registry, buckets=buckets)


def application(fs: FeatureStore, max_bytes: int = 1_000_000, max_entries: int = 1_000, views: Sequence[str] = ()) -> FastAPI:
    """The program for a server of ASGI; ``views`` are loaded now, others when they are asked for."""
    loaded, metrics = Views(fs), _Metrics()
    for named in views:
        loaded.load(named)
    app: FastAPI = FastAPIOffline(title="spark_fs", description="Feature vectors of a feature store, by key.", version="1")
    app.add_middleware(_Bounded, most=max_bytes)

    @app.post("/v1/feature-vectors", response_model=Answer, responses=_RESPONSES, summary="Feature vectors of a view, by key")
    def feature_vectors(asked: Asked) -> Any:
        began = time.perf_counter()
        try:
            found = _answer(loaded, asked, max_entries)
        except SparkFSError as error:
            metrics.requests.labels(_label(error, asked.view), str(_status(error))).inc()
            raise
        metrics.requests.labels(asked.view, "200").inc()
        metrics.vectors.labels(asked.view).inc(len(asked.entries))
        metrics.seconds.labels(asked.view).observe(time.perf_counter() - began)
        return JSONResponse(found)

    @app.get("/health", responses={503: _RESPONSES[503]}, summary="Whether the metadata database and the online store answer")
    def health() -> Any:
        fs.check_serving()
        return {"status": "ok"}

    @app.get("/metrics", response_class=PlainTextResponse, summary="Figures for Prometheus")
    def figures() -> Any:
        return PlainTextResponse(generate_latest(metrics.registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.exception_handler(SparkFSError)
    async def ours(_: Request, error: SparkFSError) -> JSONResponse:
        return _failure(_status(error), type(error).__name__, str(error))

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return _failure(422, "RequestNotValid", f"The request is not valid: {wrong}. See /docs.")

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        return _failure(500, "InternalError", f"Something failed inside ({type(error).__name__}); the log of the program has more.")

    return app


def _answer(views: Views, asked: Asked, max_entries: int) -> Mapping[str, Any]:
    if len(asked.entries) > max_entries:
        raise SettingsError(f"{len(asked.entries):,} entries are more than the {max_entries:,} of a request: ask in parts.")
    view = views.get(asked.view, asked.version, asked.training_dataset_version)
    keys, features = view.serving_types
    entries = [_typed(keys, entry) for entry in asked.entries]
    passed = None if asked.passed_features is None else [_typed(features, each) for each in asked.passed_features]
    found = view.get_feature_vectors(entries, passed, allow_missing=asked.allow_missing)
    return {"features": view.serving_columns, "vectors": types.to_json(found)}


def _typed(known: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: types.from_json(known[name], value) if name in known else value for name, value in values.items()}


def _status(error: SparkFSError) -> int:
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 400)


def _label(error: SparkFSError, view: str) -> str:
    """The view, where there is one of this name: what callers make up must not fill the metrics."""
    return "unknown" if isinstance(error, NotFoundError) and "Feature view" in str(error) else view


def _failure(status: int, kind: str, text: str) -> JSONResponse:
    return JSONResponse({"error": {"type": kind, "message": text}}, status_code=status)


def run(fs: FeatureStore, host: str, port: int, views: Sequence[str], max_bytes: int, max_entries: int) -> None:
    """Serve until the process is told to end. SettingsError where the port is taken."""
    config = uvicorn.Config(application(fs, max_bytes, max_entries, views), host=host, port=port, log_level="info", access_log=False)
    socket, url = listening(host, port)
    print(f"Vectors are at {url} (end it with Ctrl-C)", file=sys.stderr, flush=True)
    uvicorn.Server(config).run([socket])
