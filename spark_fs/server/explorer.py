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
_NOT_FOUND_ERRORS = NotFoundError, InvalidNameError, SettingsError
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
    """The explorer of a store.

    names: those that it answers to, besides addresses; None: any. token: what a browser must give
    as the password of any user; empty: nothing.
    """
    found = FastAPI(title="spark_fs", docs_url=None, redoc_url=None, openapi_url=None)
    stores = StoresWithoutSpark(fs._stores.settings)
    work = server.WorkerThreads()

    def render_group(name: str, version: int) -> str:
        return render_group_page(stores, stores.catalog.get_group(name, version), "/")

    def render_view(name: str, version: int) -> str:
        held = FeatureView(stores, stores.catalog.get_view(name, version))
        return render_view_page(stores, held._spec, held.kept_statistics(), "/")

    @found.get("/")
    async def get_home() -> HTMLResponse:
        return HTMLResponse(await work.run_in_thread(render_home_page, stores, "/"))

    @found.get("/lineage")
    async def get_lineage() -> HTMLResponse:
        return HTMLResponse(await work.run_in_thread(render_lineage_page, stores, "/"))

    @found.get("/group/{name}/{version}")
    async def get_group(name: str, version: int) -> HTMLResponse:
        return HTMLResponse(await work.run_in_thread(render_group, name, version))

    @found.get("/view/{name}/{version}")
    async def get_view(name: str, version: int) -> HTMLResponse:
        return HTMLResponse(await work.run_in_thread(render_view, name, version))

    @found.exception_handler(SparkFSError)
    async def handle_error(_: Request, error: SparkFSError) -> HTMLResponse:
        if isinstance(error, _NOT_FOUND_ERRORS):
            return HTMLResponse(await work.run_in_thread(_render_message, str(error)), 404)
        LOGGER.error(
            "A page could not be made: %s", escape_for_terminal(error)
        )  # it may name hosts and users
        status = 503 if error.retryable else 500
        return HTMLResponse(
            await work.run_in_thread(
                _render_message, "The store could not be read: the log of the program has why."
            ),
            status,
        )

    found.add_middleware(
        RequestGuard,
        limits=limits,
        names=names,
        token=token,
        headers=_HEADERS,
        format_refusal=_format_refusal,
    )
    return found


def _render_message(text: str) -> str:
    return render_page("Not to be shown", [], {}, lead=text, home="/")


def _format_refusal(refusal: Refusal) -> tuple[bytes, bytes]:
    return b"text/plain; charset=utf-8", refusal.text.encode()  # which costs nothing, whoever asks


def serve_explorer(
    fs: FeatureStore, host: str, port: int, token: str = "", names: Collection[str] | None = None
) -> None:
    """Serve the explorer until the process is ended. SettingsError where the port is taken."""
    how = "; any user, and the token as password" if token else ""
    server.run_program(
        build_explorer_app(fs, names, token),
        host,
        port,
        _LIMITS,
        f"The explorer is at {{url}}/ (end it with Ctrl-C{how})",
        "warning",
        sys.stdout,
    )
