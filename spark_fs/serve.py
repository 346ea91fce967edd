"""Feature vectors over HTTP: a small program around feature views, in a process without Spark.

Its endpoints are described at ``/docs``. Values that JSON has no word for are texts: times in ISO 8601, decimals as digits, bytes
hexadecimal, ``NaN`` and ``Infinity`` as such; keys and passed features are read in the same way.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from spark_fs import json_values
from spark_fs.api.serving import Views
from spark_fs.errors import (
    CatalogError,
    ConflictError,
    InvalidNameError,
    KeyValueError,
    NotFoundError,
    OnlineStoreError,
    QueryError,
    SchemaError,
    SettingsError,
    SetupError,
    SparkFSError,
)
from spark_fs.terminal import shown

try:
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse, PlainTextResponse, Response
    from fastapi_offline import FastAPIOffline
    from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
    from pydantic import BaseModel, Field, ValidationError
    from starlette.exceptions import HTTPException

    from spark_fs.server import run as server
    from spark_fs.server.door import Door, Limits
except ImportError as error:
    raise SetupError(f"Serving over HTTP needs {error.name}, which is not installed: pip install 'spark_fs[serve]'.") from None

if TYPE_CHECKING:
    from spark_fs.api.project import FeatureStore

LOGGER = logging.getLogger("spark_fs.serve")
# What a caller did wrong is told, with the status that stands for it. Any other error is ours: it may name a host, a user or a row.
_TOLD: Mapping[type[SparkFSError], int] = {
    NotFoundError: 404, KeyValueError: 400, SchemaError: 400, SettingsError: 400, QueryError: 400, InvalidNameError: 400,
}
_HIDDEN: Sequence[tuple[type[SparkFSError], int, str]] = (
    (ConflictError, 409, "Another writer was in the way: ask again."),
    (OnlineStoreError, 503, "The online store failed or gave no answer in time: ask again."),
    (CatalogError, 503, "The metadata database failed or gave no answer in time: ask again."),
    (SparkFSError, 500, "The features could not be made of what is stored."),
)
_MOST_TOLD, _MOST_LETTERS = 5, 2_000  # mistakes of a request that are told, letters of a message


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
    400: "A key or a passed feature is wrong, there are too many entries, or the server does not answer to that name",
    401: "The server asks for a token",
    404: "There is no such view, version, key or feature",
    408: "The request did not come whole in time",
    413: "The request is too large",
    422: "The request is not of the form above",
    503: "The online store failed, no answer was found in time, or too many requests are open",
}
_RESPONSES: dict[int | str, dict[str, Any]] = {status: {"model": Failed, "description": text} for status, text in _FAILED.items()}


class _NotValidError(Exception):
    """A request that is not of its form."""


class _Metrics:
    """What Prometheus reads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("spark_fs_requests", "Requests for feature vectors.", ["view", "status"], registry=self.registry)
        self.vectors = Counter("spark_fs_vectors", "Feature vectors handed out.", ["view"], registry=self.registry)
        buckets = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
        self.seconds = Histogram("spark_fs_request_seconds", "Time of a request.", ["view"], registry=self.registry, buckets=buckets)


def application(
    fs: FeatureStore, max_bytes: int = 1_000_000, max_entries: int = 1_000, views: Sequence[str] = (), token: str = "",
    names: Collection[str] | None = None, limits: Limits | None = None,
) -> FastAPI:
    """The program for a server of ASGI.

    views: as ``name``, ``name:version`` or ``name:version:training-dataset``: they are loaded now, and no other is handed out; none: every
    view is, and loaded when it is asked for. token: what callers must bring; empty: nothing. names: the names that it answers to, besides
    addresses; None: any. limits: in the place of ``max_bytes``.
    """
    answers = _Answers(fs, views, max_entries)
    app: FastAPI = FastAPIOffline(title="spark_fs", description="Feature vectors of a feature store, by key.", version="1")
    app.add_middleware(Door, limits=limits or Limits(max_bytes), names=names, token=token, free=("/health",))
    work = server.Work()
    asked = {"required": True, "content": {"application/json": {"schema": Asked.model_json_schema()}}}
    responses: dict[int | str, dict[str, Any]] = {200: {"model": Answer}, **_RESPONSES}

    @app.post(
        "/v1/feature-vectors", summary="Feature vectors of a view, by key", responses=responses, openapi_extra={"requestBody": asked}
    )
    async def feature_vectors(request: Request) -> Response:
        return await work.run(answers.vectors, await request.body())

    @app.get("/health", responses={503: _RESPONSES[503]}, summary="Whether the metadata database and the online store answer")
    async def health() -> Response:
        return await work.run(answers.health)

    @app.get("/metrics", response_class=PlainTextResponse, summary="Figures for Prometheus")
    async def figures() -> Response:
        return await work.run(answers.metrics)

    @app.exception_handler(HTTPException)
    async def nowhere(request: Request, error: HTTPException) -> Response:
        told = f"{request.method} {request.url.path}: {error.detail}. See /docs."
        return _failure(error.status_code, "RequestNotKnown", told, error.headers)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        return _failure(500, "InternalError", f"Something failed inside ({type(error).__name__}); the log of the program has more.")

    return app


class _Answers:
    """What is answered, in a thread of its own for each request."""

    def __init__(self, fs: FeatureStore, views: Sequence[str], max_entries: int) -> None:
        self._fs, self._views, self._max_entries = fs, Views(fs, views), max_entries
        self._metrics = _Metrics()
        self._health: tuple[float, SparkFSError | None] = -inf, None

    def vectors(self, body: bytes) -> Response:
        """The vectors of a request, or why there are none."""
        began, view = time.perf_counter(), "unknown"
        try:
            asked = _read(body, self._max_entries)
            view = asked.view
            found = JSONResponse(self._found(asked))
        except Exception as error:
            failed = _failed(error)
            self._metrics.requests.labels(self._label(view), str(failed.status_code)).inc()
            if failed.status_code == 500:
                LOGGER.exception("A request for feature vectors failed")
            return failed
        self._metrics.requests.labels(view, "200").inc()
        self._metrics.vectors.labels(view).inc(len(asked.entries))
        self._metrics.seconds.labels(view).observe(time.perf_counter() - began)
        return found

    def health(self) -> Response:
        """Whether the stores answer; they are asked once a second at most, since whoever reaches the server may ask it."""
        looked, error = self._health
        if time.monotonic() - looked >= 1:
            try:
                self._fs.check_serving()
                error = None
            except SparkFSError as failure:
                error = failure
            self._health = time.monotonic(), error
        return JSONResponse({"status": "ok"}) if error is None else _failed(error)

    def metrics(self) -> Response:
        """The figures."""
        return PlainTextResponse(generate_latest(self._metrics.registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    def _found(self, asked: Asked) -> Mapping[str, Any]:
        view = self._views.get(asked.view, asked.version, asked.training_dataset_version)
        keys, features = view.serving_types
        entries = [_typed(keys, entry) for entry in asked.entries]
        passed = None if asked.passed_features is None else [_typed(features, each) for each in asked.passed_features]
        try:
            found = view.get_feature_vectors(entries, passed, allow_missing=asked.allow_missing)
        except SparkFSError as error:
            if type(error) is SparkFSError and any(passed or ()):  # its text has the values that a transformation took, stored ones too
                text = f"A transformation of feature view {asked.view!r} failed for a passed feature: pass what it takes."
                raise SchemaError(text) from error
            raise
        return {"features": view.serving_columns, "vectors": json_values.to_json(found)}

    def _label(self, view: str) -> str:
        """The view, where there is one of this name: what callers make up must not fill the metrics."""
        return view if self._views.is_known(view) else "unknown"


def _read(body: bytes, max_entries: int) -> Asked:
    """The request; it is refused by its size before anything else is looked at."""
    try:
        given = json.loads(body.decode())  # loads itself would let halves of surrogate pairs through
    except RecursionError:
        raise _NotValidError("it is nested too deeply") from None
    except ValueError as error:  # what is no JSON, no UTF-8, or a number of thousands of digits
        raise _NotValidError(f"it is not JSON: {error}") from None
    if isinstance(given, dict):
        for name in ("entries", "passed_features"):
            count = len(given[name]) if isinstance(given.get(name), list) else 0
            if count > max_entries:
                raise SettingsError(f"{count:,} {name} are more than the {max_entries:,} of a request: ask in parts.")
    if b"\\u" in body and _holds_surrogate(given):
        raise _NotValidError("a text of it holds half of a surrogate pair, which stands for no character")
    try:
        return Asked.model_validate(given)
    except ValidationError as error:
        every = error.errors(include_url=False, include_context=False, include_input=False)
        wrong = [f"{'.'.join(map(str, ('body', *each['loc'])))}: {each['msg']}" for each in every[:_MOST_TOLD]]
        more = f"; and {len(every) - _MOST_TOLD:,} more" if len(every) > _MOST_TOLD else ""
        raise _NotValidError("; ".join(wrong) + more) from None


def _holds_surrogate(given: Any) -> bool:
    """Whether a text in it cannot be written as UTF-8."""
    try:
        json.dumps(given, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _typed(known: Mapping[str, str], sent: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json_values.from_json(known[name], value) if name in known else value for name, value in sent.items()}


def _failed(error: Exception) -> Response:
    """The answer that tells of an error: what the caller did in full, what happened here in general, for the log has the rest."""
    if isinstance(error, _NotValidError):
        return _failure(422, "RequestNotValid", f"The request is not valid: {error}. See /docs.")
    for kind, status in _TOLD.items():
        if isinstance(error, kind):
            return _failure(status, type(error).__name__, str(error))
    for kind, status, text in _HIDDEN:
        if isinstance(error, kind):
            LOGGER.error("A request failed: %s", shown(error))
            return _failure(status, type(error).__name__, f"{text} The log of the program has more.")
    return _failure(500, "InternalError", f"Something failed inside ({type(error).__name__}); the log of the program has more.")


def _failure(status: int, kind: str, text: str, headers: Mapping[str, str] | None = None) -> Response:
    told = text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}... ({len(text):,} letters)"
    told = told.encode("utf-8", "backslashreplace").decode()
    return JSONResponse({"error": {"type": kind, "message": told}}, status, {"Retry-After": "1"} if status == 503 else headers)


def run(
    fs: FeatureStore, host: str, port: int, views: Sequence[str], max_entries: int, token: str = "", names: Collection[str] | None = None,
    limits: Limits = Limits(),  # noqa: B008 # it cannot be changed
) -> None:
    """Serve until the process is told to end. SettingsError where the port is taken."""
    app = application(fs, limits.max_bytes, max_entries, views, token, names, limits)
    server.run(app, host, port, limits, "Vectors are at {url} (end it with Ctrl-C)")
