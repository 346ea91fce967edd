"""Ask a server for feature vectors of a view, and make of its answer what a caller wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from spark_fs.api.view_serving import choose_instant
from spark_fs.base.times import Instant
from spark_fs.client.exchanges import Exchange, ServerAccess
from spark_fs.client.view_description import ViewDescription
from spark_fs.errors import OnlineStoreError

Entry = Mapping[str, Any]
_VECTORS_PATH = "/v1/feature-vectors"


class VectorRequest(NamedTuple):
    """What a caller asks for, apart from the form of the answer.

    passed: for each entry the features that win over stored ones.
    """

    entries: Sequence[Entry]
    passed: Sequence[Entry]
    allow_missing: bool
    transform: bool
    now: Instant | None


class RemoteViewState:
    """A view of a server, and what the server last said of it; safe to share between threads.

    Args:
        server: How the server is asked.
        description: What it said.
        dataset: The training dataset that the caller named; None: the server's choice.
    """

    def __init__(
        self, server: ServerAccess, description: ViewDescription, dataset: int | None
    ) -> None:
        self._server = server
        self._dataset = dataset
        self.description = description

    def ask_vectors(self, request: VectorRequest, return_type: str) -> Exchange[Any]:
        """The vectors of a request.

        Args:
            request: What is asked for.
            return_type: "list": a list of lists; "pandas", "polars" or "numpy".
        """
        vectors: Sequence[list[Any]] = []
        description = self.description
        if request.entries:
            content = self._make_content(request)
            answer = yield from self._server.ask_server("POST", _VECTORS_PATH, content=content)
            description = yield from self._find_description(answer["features"], request.transform)
            vectors = description.decode_vectors(answer["vectors"], request.transform)
        if return_type == "list":
            return vectors
        from spark_fs.flows import returned_vectors

        columns = description.get_columns(request.transform)
        return returned_vectors.convert_vectors(columns, vectors, return_type)

    def _find_description(
        self, features: Sequence[str], is_transformed: bool
    ) -> Exchange[ViewDescription]:
        """The description by which an answer was made; OnlineStoreError where it is not known.

        Args:
            features: The names of the answer's values.
            is_transformed: Whether the transformations were applied.
        """
        description = self.description
        if list(description.get_columns(is_transformed)) == features:
            return description
        # The server made the view ready anew, by another training dataset.
        description = yield from ask_description(
            self._server, description.name, description.version, self._dataset
        )
        self.description = description
        if list(description.get_columns(is_transformed)) != features:
            raise OnlineStoreError(
                f"The server {self._server.url} made feature view {description.name!r} ready again,"
                " and not all of its processes have done so yet: ask again in some seconds."
            )
        return description

    def _make_content(self, request: VectorRequest) -> dict[str, Any]:
        """The request as the server takes it; what is as by default is left out."""
        view = self.description
        content: dict[str, Any] = {
            "view": view.name,
            "version": view.version,
            "entries": [view.encode_entry(entry) for entry in request.entries],
        }
        if self._dataset is not None:
            content["training_dataset_version"] = self._dataset
        if any(request.passed):
            content["passed_features"] = [view.encode_passed(passed) for passed in request.passed]
        if request.allow_missing:
            content["allow_missing"] = True
        if not request.transform:
            content["transform"] = False
        if request.now is not None:
            content["now"] = choose_instant(request.now).isoformat()
        return content


def ask_description(
    server: ServerAccess, name: str, version: int, dataset: int | None
) -> Exchange[ViewDescription]:
    """What a server says of a view.

    Args:
        server: How the server is asked.
        name: The name of the view.
        version: Its version.
        dataset: The training dataset; None: the only one.
    """
    parameters = {"version": version}
    if dataset is not None:
        parameters["training_dataset_version"] = dataset
    content = yield from server.ask_server(
        "GET", f"/v1/feature-views/{quote(name, safe='')}", parameters
    )
    return ViewDescription.from_content(content)


def ask_view(
    server: ServerAccess, name: str, version: int, dataset: int | None
) -> Exchange[RemoteViewState]:
    """A view of a server, ready to be asked for vectors.

    Args:
        server: How the server is asked.
        name: The name of the view.
        version: Its version.
        dataset: The training dataset; None: the only one.
    """
    description = yield from ask_description(server, name, version, dataset)
    return RemoteViewState(server, description, dataset)
