"""The explorer: the whole store in a browser, read-only, in a process without Spark.

It answers GET alone, for the names of its own machine and those it is started with, and its pages
load nothing from elsewhere.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, Collection
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any

from spark_fs.api.feature_view import FeatureView
from spark_fs.api.stores import StoresWithoutSpark
from spark_fs.base.terminal import escape_for_terminal
from spark_fs.errors import InvalidNameError, NotFoundError, SettingsError, SetupError, SparkFSError
from spark_fs.report.dataset_page import render_dataset_page
from spark_fs.report.group_page import render_group_page
from spark_fs.report.model_page import render_models_page
from spark_fs.report.page import build_security_policy, render_page
from spark_fs.report.run_pages import render_run_page, render_runs_page
from spark_fs.report.search_page import render_search_page
from spark_fs.report.skew_page import render_skew_page
from spark_fs.report.store_pages import (
    render_features_page,
    render_home_page,
    render_lineage_page,
)
from spark_fs.report.view_page import render_view_page

try:
    from fastapi import FastAPI, Query, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import HTMLResponse, Response
    from starlette.exceptions import HTTPException

    from spark_fs.server import program as server
    from spark_fs.server.guard import Limits, Refusal, RequestGuard
except ImportError as error:
    raise SetupError(
        f"The explorer needs {error.name}, which is not installed: pip install 'spark_fs[serve]'."
    ) from None

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore

LOGGER = logging.getLogger("spark_fs.ui")
_NOT_FOUND_ERRORS = (NotFoundError, InvalidNameError, SettingsError)
_HEADERS = [
    (b"content-security-policy", build_security_policy().encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
_MAX_SEARCHED = 200  # letters
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    '<rect width="16" height="16" rx="3" fill="#1d4ed8"/>'
    '<path d="M4 11V5h7M4 8h5" stroke="#fff" stroke-width="2" fill="none"/></svg>'
)
_PAGE_MODULES = (
    "spark_fs.catalog.store",
    "spark_fs.tables.table_log",
    "spark_fs.tables.statistics_files",
    "spark_fs.flows.measure_freshness",
    "spark_fs.flows.search",
    "spark_fs.flows.head",
    "spark_fs.flows.statistics",
    "spark_fs.flows.training_statistics",
    "spark_fs.base.pandas_frames",
)
_LIMITS = Limits(max_bytes=0, max_open=64, answer_seconds=120)


def build_explorer_app(
    fs: FeatureStore,
    names: Collection[str] | None = None,
    token: str = "",
    limits: Limits = _LIMITS,
) -> FastAPI:
    """The explorer of a store, for a server of ASGI.

    Args:
        fs: the feature store.
        names: those that it answers to, besides addresses; None: any.
        token: what a browser must give as the password of any user; empty: nothing.
        limits: what the server takes upon itself.
    """
    app = FastAPI(title="spark_fs", docs_url=None, redoc_url=None, openapi_url=None)
    threads = server.WorkerThreads()
    stores = StoresWithoutSpark(fs._stores.settings)
    _add_pages(app, stores, threads)
    _add_view_pages(app, stores, threads)
    _add_error_handler(app, threads)
    app.add_middleware(
        RequestGuard,
        limits=limits,
        names=names,
        token=token,
        headers=_HEADERS,
        format_refusal=_format_refusal,
    )
    return app


def _add_pages(app: FastAPI, stores: StoresWithoutSpark, threads: server.WorkerThreads) -> None:
    def render_group(name: str, version: int, commit: int | None) -> str:
        return render_group_page(stores, stores.catalog.get_group(name, version), "/", commit)

    answer = _make_answer(threads)

    @app.get("/")
    async def get_home() -> HTMLResponse:
        return await answer(render_home_page, stores, "/")

    @app.get("/search")
    async def get_search(q: Annotated[str, Query(max_length=_MAX_SEARCHED)] = "") -> HTMLResponse:
        return await answer(render_search_page, stores, "/", q)

    @app.get("/features")
    async def get_features() -> HTMLResponse:
        return await answer(render_features_page, stores, "/")

    @app.get("/lineage")
    async def get_lineage() -> HTMLResponse:
        return await answer(render_lineage_page, stores, "/")

    @app.get("/runs")
    async def get_runs() -> HTMLResponse:
        return await answer(render_runs_page, stores, "/")

    @app.get("/run/{run_id}")
    async def get_run(run_id: str) -> HTMLResponse:
        return await answer(render_run_page, stores, "/", run_id)

    @app.get("/models")
    async def get_models() -> HTMLResponse:
        return await answer(render_models_page, stores, "/")

    @app.get("/group/{name}/{version}")
    async def get_group(name: str, version: int, commit: int | None = None) -> HTMLResponse:
        return await answer(render_group, name, version, commit)

    @app.get("/favicon.ico")
    async def get_icon() -> Response:
        return Response(_ICON, media_type="image/svg+xml")


def _make_answer(threads: server.WorkerThreads) -> Callable[..., Awaitable[HTMLResponse]]:
    """A function that renders a page in a thread."""

    async def answer(render: Callable[..., str], *arguments: Any) -> HTMLResponse:
        return HTMLResponse(await threads.run_in_thread(render, *arguments))

    return answer


def _add_view_pages(
    app: FastAPI, stores: StoresWithoutSpark, threads: server.WorkerThreads
) -> None:
    def render_view(name: str, version: int) -> str:
        view = FeatureView(stores, stores.catalog.get_view(name, version))
        return render_view_page(stores, view._spec, view.kept_statistics(), "/")

    def render_skew(name: str, version: int) -> str:
        return render_skew_page(stores, stores.catalog.get_view(name, version), "/")

    def render_dataset(name: str, version: int, dataset: int) -> str:
        view = stores.catalog.get_view(name, version)
        return render_dataset_page(stores, view, dataset, "/")

    answer = _make_answer(threads)

    @app.get("/view/{name}/{version}")
    async def get_view(name: str, version: int) -> HTMLResponse:
        return await answer(render_view, name, version)

    @app.get("/view/{name}/{version}/skew")
    async def get_skew(name: str, version: int) -> HTMLResponse:
        return await answer(render_skew, name, version)

    @app.get("/view/{name}/{version}/training-dataset/{dataset}")
    async def get_dataset(name: str, version: int, dataset: int) -> HTMLResponse:
        return await answer(render_dataset, name, version, dataset)


def _add_error_handler(app: FastAPI, threads: server.WorkerThreads) -> None:
    @app.exception_handler(HTTPException)
    async def handle_http_error(request: Request, error: HTTPException) -> HTMLResponse:
        text = f"There is no page {request.url.path}: begin at the first page."
        if error.status_code != 404:
            text = str(error.detail)
        page = await threads.run_in_thread(_render_message, "Not found", text)
        return HTMLResponse(page, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def handle_wrong_request(_: Request, error: RequestValidationError) -> HTMLResponse:
        text = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
        page = await threads.run_in_thread(_render_message, "Not understood", text)
        return HTMLResponse(page, 422)

    @app.exception_handler(SparkFSError)
    async def handle_error(_: Request, error: SparkFSError) -> HTMLResponse:
        if isinstance(error, _NOT_FOUND_ERRORS):
            page = await threads.run_in_thread(_render_message, "Not found", str(error))
            return HTMLResponse(page, 404)
        # It may name hosts and users.
        LOGGER.error("A page could not be made: %s", escape_for_terminal(error))
        text = "The store could not be read: the log of the program has why."
        page = await threads.run_in_thread(_render_message, "Not available", text)
        return HTMLResponse(page, 503 if error.retryable else 500)


def _render_message(title: str, text: str) -> str:
    return render_page(title, [], {}, lead=text, home="/")


def _format_refusal(refusal: Refusal) -> tuple[bytes, bytes]:
    return b"text/plain; charset=utf-8", refusal.text.encode()  # which costs nothing, whoever asks


def load_page_modules() -> None:
    """Load what pages need, which takes seconds, while nobody has asked for one yet."""
    for name in _PAGE_MODULES:
        import_module(name)


def serve_explorer(
    fs: FeatureStore, host: str, port: int, token: str = "", names: Collection[str] | None = None
) -> None:
    """Serve the explorer until the process is ended. SettingsError where the port is taken.

    Args:
        fs: the feature store.
        host: the address to listen on.
        port: the port to listen on; 0 is any that is free.
        token: see ``build_explorer_app``.
        names: as above.
    """
    login_hint = "; any user, and the token as password" if token else ""
    announcement = f"The explorer is at {{url}}/ (end it with Ctrl-C{login_hint})"
    app = build_explorer_app(fs, names, token)
    Thread(target=load_page_modules, daemon=True).start()
    server.run_program(app, host, port, _LIMITS, announcement, "warning", sys.stdout)
