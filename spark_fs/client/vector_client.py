"""A client of ``spark-fs serve``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self, TypeVar

from spark_fs.base.arguments import validate_arguments
from spark_fs.client.connections import make_access, make_http_options
from spark_fs.client.remote_feature_view import RemoteFeatureView
from spark_fs.errors import SetupError

try:
    import httpx

    from spark_fs.client.exchanges import Exchange, HttpRequest, Pause
    from spark_fs.client.view_requests import ask_view
except ImportError as error:
    raise SetupError(
        f"A client needs {error.name}, which is not installed: pip install 'spark_fs[client]'."
    ) from None

if TYPE_CHECKING:
    from ssl import SSLContext

T = TypeVar("T")


@validate_arguments
class Client:
    """Asks a server for feature vectors; threads may share it.

    Nothing is asked when it is made. A call that is told to wait (429, 503) waits and asks again
    within its timeout; one whose connection was ended asks again on another.

    Args:
        url: Where ``spark-fs serve`` listens: ``http://127.0.0.1:8080``.
        token: What the server asks of callers; it is sent as ``Authorization: Bearer``.
        timeout: The seconds of a call, with all that is tried again.
        encoding: Of bodies, "msgpack" or "json"; None: msgpack where it is installed.
        ssl_context: For https, as for a certificate of one's own (mTLS); None: the usual one.
        max_connections: How many calls at once have a connection; others wait for one.

    Raises:
        SettingsError: The URL is not one of http or https, or a number is not above 0.

    Example:
        >>> with spark_fs.Client("http://127.0.0.1:8080") as client:  # doctest: +SKIP
        ...     view = client.get_feature_view("late_arrivals")
        ...     view = view.get_feature_vector({"id": 1})
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        timeout: float = 10.0,
        *,
        encoding: str | None = None,
        ssl_context: SSLContext | None = None,
        max_connections: int = 100,
    ) -> None:
        self._server = make_access(url, timeout, encoding)
        options = make_http_options(self._server, token, ssl_context, max_connections)
        self._http = httpx.Client(**options)

    def get_feature_view(
        self, name: str, version: int = 1, training_dataset_version: int | None = None
    ) -> RemoteFeatureView:
        """Ask the server for the names and types of a feature view.

        Args:
            name: The name of the view.
            version: Its version.
            training_dataset_version: Of which training dataset the transformations learned; None:
                of the only one that the server serves it by.

        Returns:
            A view with the methods that read feature vectors.

        Raises:
            NotFoundError: The server has no such view, version or training dataset.
            SettingsError: It is served by several training datasets, and none was named.
            OnlineStoreError: The server cannot be reached, or does not answer in time.
        """
        exchange = ask_view(self._server, name, version, training_dataset_version)
        return RemoteFeatureView(self._run(exchange), self._run)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, exchange: Exchange[T]) -> T:
        try:
            step = next(exchange)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = next(exchange)
                    continue
                try:
                    response = self._send(step)
                except httpx.TransportError as failure:
                    step = exchange.throw(failure)
                else:
                    step = exchange.send(response)
        except StopIteration as end:
            result: T = end.value
            return result

    def _send(self, request: HttpRequest) -> httpx.Response:
        return self._http.request(
            request.method,
            request.path,
            params=request.parameters or None,
            content=request.body,
            headers=request.headers,
            timeout=request.timeout,
        )
