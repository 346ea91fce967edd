"""The explorer: the whole store in a browser, read-only, in a process without Spark.

It answers GET alone, for the names of its own machine and those it is started with, and its pages
load nothing from elsewhere.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

from spark_fs.api.feature_view import FeatureView
from spark_fs.api.stores import StoresWithoutSpark
from spark_fs.base.terminal import escape_for_terminal
from spark_fs.errors import InvalidNameError, NotFoundError, SettingsError, SetupError, SparkFSError
from spark_fs.report.group_page import render_group_page
from spark_fs.report.page import build_security_policy, render_page
from spark_fs.report.store_pages import render_home_page, render_lineage_page
from spark_fs.report.view_page import render_view_page

try:
    from fastapi import FastAPI, Request
    from fastapi.responses import HTMLResponse

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
    _add_pages(app, StoresWithoutSpark(fs._stores.settings), threads)
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
    def render_group(name: str, version: int) -> str:
        return render_group_page(stores, stores.catalog.get_group(name, version), "/")

    def render_view(name: str, version: int) -> str:
        view = FeatureView(stores, stores.catalog.get_view(name, version))
        return render_view_page(stores, view._spec, view.kept_statistics(), "/")

    @app.get("/")
    async def get_home() -> HTMLResponse:
        return HTMLResponse(await threads.run_in_thread(render_home_page, stores, "/"))

    @app.get("/lineage")
    async def get_lineage() -> HTMLResponse:
        return HTMLResponse(await threads.run_in_thread(render_lineage_page, stores, "/"))

    @app.get("/group/{name}/{version}")
    async def get_group(name: str, version: int) -> HTMLResponse:
        return HTMLResponse(await threads.run_in_thread(render_group, name, version))

    @app.get("/view/{name}/{version}")
    async def get_view(name: str, version: int) -> HTMLResponse:
        return HTMLResponse(await threads.run_in_thread(render_view, name, version))


def _add_error_handler(app: FastAPI, threads: server.WorkerThreads) -> None:
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
    server.run_program(app, host, port, _LIMITS, announcement, "warning", sys.stdout)
