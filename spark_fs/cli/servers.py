"""The commands that serve feature vectors and the explorer over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spark_fs.api.project import login
from spark_fs.cli.shared import ConfigOption, app, check_is_there

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore

TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", help="A file with the token, in the place of SPARK_FS_TOKEN."),
]


AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        help=(
            "Answer to this name too, besides addresses, localhost and the machine's own; * is any."
        ),
    ),
]


InsecureOption = Annotated[
    bool,
    typer.Option("--insecure", help="Let other machines in though nobody is asked for a token."),
]


@app.command()
def serve(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.")] = 8_080,
    view: Annotated[
        list[str] | None,
        typer.Option(
            "--view",
            help=(
                "Serve this one, and no other that is not named: name, name:version or"
                " name:version:dataset."
            ),
        ),
    ] = None,
    max_bytes: Annotated[
        int, typer.Option("--max-bytes", min=1, help="The largest request, in bytes.")
    ] = 1_000_000,
    max_entries: Annotated[
        int, typer.Option("--max-entries", min=1, help="The most entries of a request.")
    ] = 1_000,
    max_open: Annotated[
        int,
        typer.Option(
            "--max-open", min=1, help="The most requests at once; one more is told to come again."
        ),
    ] = 256,
    timeout: Annotated[
        float,
        typer.Option("--timeout", min=0.001, help="Seconds within which an answer must be found."),
    ] = 30.0,
    token_file: TokenFileOption = None,
    allow_host: AllowHostOption = None,
    insecure: InsecureOption = False,
    config: ConfigOption = None,
) -> None:
    """Serve feature vectors over HTTP, without Spark.

    POST /v1/feature-vectors, GET /health, /metrics and /docs. With a token (SPARK_FS_TOKEN, or
    --token-file) callers must bring it, but for /health; without one it listens on loopback alone.
    It needs the extra: pip install 'spark_fs[serve]'.
    """
    from spark_fs.server.guard import Limits
    from spark_fs.server.vector_server import serve_vectors

    fs = login(config).get_feature_store()
    token, names = _resolve_access(fs, host, token_file, allow_host, insecure)
    check_is_there(fs)
    serve_vectors(
        fs,
        host,
        port,
        view or [],
        max_entries,
        token,
        names,
        Limits(max_bytes, max_open, answer_seconds=timeout),
    )


def _resolve_access(
    fs: FeatureStore,
    host: str,
    token_file: Path | None,
    allowed_hosts: list[str] | None,
    insecure: bool,
) -> tuple[str, frozenset[str] | None]:
    """The token that callers must bring, and the names that a server answers to.

    SettingsError where strangers would be let in.
    """
    from spark_fs.server.guard import check_exposed, get_host_names, read_token

    token = read_token(fs._stores.settings.token.get_secret_value(), token_file)
    check_exposed(host, token, insecure)
    return token, get_host_names(host, allowed_hosts or ())


@app.command()
def ui(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.")] = 8_090,
    token_file: TokenFileOption = None,
    allow_host: AllowHostOption = None,
    insecure: InsecureOption = False,
    config: ConfigOption = None,
) -> None:
    """Explore the store in a browser, read-only, without Spark.

    With a token (SPARK_FS_TOKEN, or --token-file) the browser asks for it: any user, and the token
    as password; without one it listens on loopback alone. It needs the extra: pip install
    'spark_fs[serve]'.
    """
    from spark_fs.server.explorer import serve_explorer

    fs = login(config).get_feature_store()
    token, names = _resolve_access(fs, host, token_file, allow_host, insecure)
    check_is_there(fs)
    serve_explorer(fs, host, port, token, names)
