"""The explorer: the whole store in a browser, read-only, in a process without Spark.

It answers GET alone, for the names of its own machine when it listens on loopback, and its pages load nothing from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from spark_fs.api.pages import group_page, home_page, lineage_page, view_page
from spark_fs.errors import NotFoundError, SetupError, SparkFSError
from spark_fs.listen import listening
from spark_fs.report.page import policy, rendered

try:
    import uvicorn
    from fastapi import FastAPI, Request
    from fastapi.responses import HTMLResponse
    from starlette.middleware.trustedhost import TrustedHostMiddleware
except ImportError as error:
    raise SetupError(f"The explorer needs {error.name}, which is not installed: pip install 'spark_fs[serve]'.") from None

if TYPE_CHECKING:
    from spark_fs.api.project import FeatureStore

_HERE = ["localhost", "127.0.0.1", "[::1]", "::1"]


def app(fs: FeatureStore, hosts: Sequence[str] | None = None) -> FastAPI:
    """The explorer of a store; hosts: the names that it answers to; None: any."""
    found = FastAPI(title="spark_fs", docs_url=None, redoc_url=None, openapi_url=None)
    if hosts is not None:
        found.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    stores = fs._stores

    def page(path: str, build: Callable[..., str]) -> None:
        found.get(path, response_class=HTMLResponse)(build)

    page("/", lambda: home_page(stores, "/"))
    page("/lineage", lambda: lineage_page(stores, "/"))

    def group(name: str, version: int) -> str:
        return group_page(stores, stores.catalog.group(name, version), "/")

    def view(name: str, version: int) -> str:
        held = fs.get_feature_view(name, version)
        return view_page(stores, held._spec, held.kept_statistics(), "/")

    page("/group/{name}/{version}", group)
    page("/view/{name}/{version}", view)

    @found.exception_handler(SparkFSError)
    def failed(_: Request, error: SparkFSError) -> HTMLResponse:
        status = 404 if isinstance(error, NotFoundError) else 500
        return _guarded(HTMLResponse(rendered("Not to be shown", [], {}, lead=str(error), home="/"), status))

    @found.middleware("http")
    async def guard(request: Request, answer: Callable) -> HTMLResponse:  # type: ignore[type-arg] # as Starlette hands it
        found: HTMLResponse = await answer(request)
        return _guarded(found)

    return found


def _guarded(response: HTMLResponse) -> HTMLResponse:
    response.headers["Content-Security-Policy"] = policy()
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


def run(fs: FeatureStore, host: str, port: int) -> None:
    """Serve the explorer until the process is ended. SettingsError where the port is taken."""
    config = uvicorn.Config(app(fs, _HERE if _loopback(host) else None), host=host, port=port, log_level="warning", access_log=False)
    socket, url = listening(host, port)
    print(f"The explorer is at {url}/ (end it with Ctrl-C)", flush=True)
    uvicorn.Server(config).run([socket])


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
