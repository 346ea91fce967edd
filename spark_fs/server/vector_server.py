"""Feature vectors over HTTP: a small program around feature views, in a process without Spark.

Its endpoints are described at ``/docs``. Values that JSON has no word for are texts: times in ISO
8601, decimals as digits, bytes hexadecimal, ``NaN`` and ``Infinity`` as such; keys and passed
features are read in the same way.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from spark_fs.api.serving import ServedViews
from spark_fs.base import json_values
from spark_fs.base.terminal import escape_for_terminal
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

try:
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse, PlainTextResponse, Response
    from fastapi_offline import FastAPIOffline
    from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
    from pydantic import BaseModel, Field, ValidationError
    from starlette.exceptions import HTTPException

    from spark_fs.server import program as server
    from spark_fs.server.guard import Limits, RequestGuard
except ImportError as error:
    raise SetupError(
        f"Serving over HTTP needs {error.name}, which is not installed: pip install"
        " 'spark_fs[serve]'."
    ) from None

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore

LOGGER = logging.getLogger("spark_fs.serve")
# What a caller did wrong is told, with the status that stands for it. Any other error is ours: it
# may name a host, a user or a row.
_CALLER_ERRORS: Mapping[type[SparkFSError], int] = {
    NotFoundError: 404,
    KeyValueError: 400,
    SchemaError: 400,
    SettingsError: 400,
    QueryError: 400,
    InvalidNameError: 400,
}
_INTERNAL_ERRORS: Sequence[tuple[type[SparkFSError], int, str]] = (
    (ConflictError, 409, "Another writer was in the way: ask again."),
    (OnlineStoreError, 503, "The online store failed or gave no answer in time: ask again."),
    (CatalogError, 503, "The metadata database failed or gave no answer in time: ask again."),
    (SparkFSError, 500, "The features could not be made of what is stored."),
)
_MAX_MISTAKES, _MAX_MESSAGE_LENGTH = (
    5,
    2_000,
)  # mistakes of a request that are told, letters of a message


class VectorRequest(BaseModel):
    """A request for feature vectors."""

    view: str = Field(description="The name of a feature view.", examples=["late_arrivals"])
    version: int = Field(default=1, description="Its version.")
    training_dataset_version: int | None = Field(
        default=None,
        description=(
            "By which training dataset its transformations learned; may be left out where there is"
            " only one."
        ),
    )
    entries: list[dict[str, Any]] = Field(
        description="The keys of each vector, by name.", min_length=1, examples=[[{"id": 1}]]
    )
    passed_features: list[dict[str, Any]] | None = Field(
        default=None,
        description=(
            "For each entry the features that win over stored ones, before they are transformed."
        ),
    )
    allow_missing: bool = Field(
        default=False,
        description="Whether a key without an online row gives nulls instead of an error.",
    )


class VectorResponse(BaseModel):
    """Feature vectors, as many as entries, in their order."""

    features: list[str] = Field(
        description="The names of the values of each vector, in their order."
    )
    vectors: list[list[Any]]


class ErrorDetail(BaseModel):
    """What went wrong, and what to do."""

    type: str = Field(description="The kind of error.", examples=["NotFoundError"])
    message: str


class ErrorResponse(BaseModel):
    """The answer of a request that failed."""

    error: ErrorDetail


_ERROR_DESCRIPTIONS = {
    400: (
        "A key or a passed feature is wrong, there are too many entries, or the server does not"
        " answer to that name"
    ),
    401: "The server asks for a token",
    404: "There is no such view, version, key or feature",
    408: "The request did not come whole in time",
    413: "The request is too large",
    422: "The request is not of the form above",
    503: "The online store failed, no answer was found in time, or too many requests are open",
}
_ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": text}
    for status, text in _ERROR_DESCRIPTIONS.items()
}


class _InvalidRequestError(Exception):
    """A request that is not of its form."""


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
        buckets = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
        self.seconds = Histogram(
            "spark_fs_request_seconds",
            "Time of a request.",
            ["view"],
            registry=self.registry,
            buckets=buckets,
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

    views: as ``name``, ``name:version`` or ``name:version:training-dataset``: they are loaded now,
    and no other is handed out; none: every view is, and loaded when it is asked for. token: what
    callers must bring; empty: nothing. names: the names that it answers to, besides addresses;
    None: any. limits: in the place of ``max_bytes``.
    """
    answers = _VectorEndpoints(fs, views, max_entries)
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
    work = server.WorkerThreads()
    asked = {
        "required": True,
        "content": {"application/json": {"schema": VectorRequest.model_json_schema()}},
    }
    responses: dict[int | str, dict[str, Any]] = {
        200: {"model": VectorResponse},
        **_ERROR_RESPONSES,
    }

    @app.post(
        "/v1/feature-vectors",
        summary="Feature vectors of a view, by key",
        responses=responses,
        openapi_extra={"requestBody": asked},
    )
    async def feature_vectors(request: Request) -> Response:
        return await work.run_in_thread(answers.answer_request, await request.body())

    @app.get(
        "/health",
        responses={503: _ERROR_RESPONSES[503]},
        summary="Whether the metadata database and the online store answer",
    )
    async def get_health() -> Response:
        return await work.run_in_thread(answers.check_health)

    @app.get("/metrics", response_class=PlainTextResponse, summary="Figures for Prometheus")
    async def get_metrics() -> Response:
        return await work.run_in_thread(answers.render_metrics)

    @app.exception_handler(HTTPException)
    async def handle_http_error(request: Request, error: HTTPException) -> Response:
        told = f"{request.method} {request.url.path}: {error.detail}. See /docs."
        return _make_error_response(error.status_code, "RequestNotKnown", told, error.headers)

    @app.exception_handler(Exception)
    async def handle_unexpected_error(_: Request, error: Exception) -> Response:
        return _make_error_response(
            500,
            "InternalError",
            f"Something failed inside ({type(error).__name__}); the log of the program has more.",
        )

    return app


class _VectorEndpoints:
    """What is answered, in a thread of its own for each request."""

    def __init__(self, fs: FeatureStore, views: Sequence[str], max_entries: int) -> None:
        self._fs, self._views, self._max_entries = fs, ServedViews(fs, views), max_entries
        self._metrics = _ServingMetrics()
        self._last_health: tuple[float, SparkFSError | None] = -inf, None

    def answer_request(self, body: bytes) -> Response:
        """The vectors of a request, or why there are none."""
        began, view = time.perf_counter(), "unknown"
        try:
            asked = _parse_request(body, self._max_entries)
            view = asked.view
            found = JSONResponse(self._get_vectors(asked))
        except Exception as error:
            failed = _translate_error(error)
            self._metrics.requests.labels(self._get_view_label(view), str(failed.status_code)).inc()
            if failed.status_code == 500:
                LOGGER.exception("A request for feature vectors failed")
            return failed
        self._metrics.requests.labels(view, "200").inc()
        self._metrics.vectors.labels(view).inc(len(asked.entries))
        self._metrics.seconds.labels(view).observe(time.perf_counter() - began)
        return found

    def check_health(self) -> Response:
        """Whether the stores answer; they are asked once a second at most, since whoever reaches the server may ask it."""
        looked, error = self._last_health
        if time.monotonic() - looked >= 1:
            try:
                self._fs.check_serving()
                error = None
            except SparkFSError as failure:
                error = failure
            self._last_health = time.monotonic(), error
        return JSONResponse({"status": "ok"}) if error is None else _translate_error(error)

    def render_metrics(self) -> Response:
        """The figures."""
        return PlainTextResponse(
            generate_latest(self._metrics.registry),
            media_type="text/plain; version=0.0.4; charset=utf-8",
        )

    def _get_vectors(self, request: VectorRequest) -> Mapping[str, Any]:
        view = self._views.get_view(request.view, request.version, request.training_dataset_version)
        keys, features = view.serving_types
        entries = [_parse_values(keys, entry) for entry in request.entries]
        passed = (
            None
            if request.passed_features is None
            else [_parse_values(features, each) for each in request.passed_features]
        )
        try:
            found = view.get_feature_vectors(entries, passed, allow_missing=request.allow_missing)
        except SparkFSError as error:
            if type(error) is SparkFSError and any(
                passed or ()
            ):  # its text has the values that a transformation took, stored ones too
                text = (
                    f"A transformation of feature view {request.view!r} failed for a passed"
                    " feature: pass what it takes."
                )
                raise SchemaError(text) from error
            raise
        return {"features": view.serving_columns, "vectors": json_values.to_json(found)}

    def _get_view_label(self, view: str) -> str:
        """The view, where there is one of this name: what callers make up must not fill the metrics."""
        return view if self._views.is_known(view) else "unknown"


def _parse_request(body: bytes, max_entries: int) -> VectorRequest:
    """The request; it is refused by its size before anything else is looked at."""
    try:
        given = json.loads(
            body.decode()
        )  # loads itself would let halves of surrogate pairs through
    except RecursionError:
        raise _InvalidRequestError("it is nested too deeply") from None
    except ValueError as error:  # what is no JSON, no UTF-8, or a number of thousands of digits
        raise _InvalidRequestError(f"it is not JSON: {error}") from None
    if isinstance(given, dict):
        for name in ("entries", "passed_features"):
            count = len(given[name]) if isinstance(given.get(name), list) else 0
            if count > max_entries:
                raise SettingsError(
                    f"{count:,} {name} are more than the {max_entries:,} of a request: ask in"
                    " parts."
                )
    if b"\\u" in body and _has_surrogate(given):
        raise _InvalidRequestError(
            "a text of it holds half of a surrogate pair, which stands for no character"
        )
    try:
        return VectorRequest.model_validate(given)
    except ValidationError as error:
        every = error.errors(include_url=False, include_context=False, include_input=False)
        wrong = [
            f"{'.'.join(map(str, ('body', *each['loc'])))}: {each['msg']}"
            for each in every[:_MAX_MISTAKES]
        ]
        more = f"; and {len(every) - _MAX_MISTAKES:,} more" if len(every) > _MAX_MISTAKES else ""
        raise _InvalidRequestError("; ".join(wrong) + more) from None


def _has_surrogate(content: Any) -> bool:
    """Whether a text in it cannot be written as UTF-8."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _parse_values(value_types: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: json_values.from_json(value_types[name], value) if name in value_types else value
        for name, value in values.items()
    }


def _translate_error(error: Exception) -> Response:
    """The answer that tells of an error: what the caller did in full, what happened here in general, for the log has the rest."""
    if isinstance(error, _InvalidRequestError):
        return _make_error_response(
            422, "RequestNotValid", f"The request is not valid: {error}. See /docs."
        )
    for kind, status in _CALLER_ERRORS.items():
        if isinstance(error, kind):
            return _make_error_response(status, type(error).__name__, str(error))
    for kind, status, text in _INTERNAL_ERRORS:
        if isinstance(error, kind):
            LOGGER.error("A request failed: %s", escape_for_terminal(error))
            return _make_error_response(
                status, type(error).__name__, f"{text} The log of the program has more."
            )
    return _make_error_response(
        500,
        "InternalError",
        f"Something failed inside ({type(error).__name__}); the log of the program has more.",
    )


def _make_error_response(
    status: int, kind: str, text: str, headers: Mapping[str, str] | None = None
) -> Response:
    told = (
        text
        if len(text) <= _MAX_MESSAGE_LENGTH
        else f"{text[:_MAX_MESSAGE_LENGTH]}... ({len(text):,} letters)"
    )
    told = told.encode("utf-8", "backslashreplace").decode()
    return JSONResponse(
        {"error": {"type": kind, "message": told}},
        status,
        {"Retry-After": "1"} if status == 503 else headers,
    )


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
    """Serve until the process is told to end. SettingsError where the port is taken."""
    app = build_vector_app(fs, limits.max_bytes, max_entries, views, token, names, limits)
    server.run_program(app, host, port, limits, "Vectors are at {url} (end it with Ctrl-C)")
