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


HostOption = Annotated[str, typer.Option("--host", help="The address to listen on.")]
PortOption = Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.")]
ViewOption = Annotated[
    list[str] | None,
    typer.Option(
        "--view",
        help=(
            "Serve this one, and no other that is not named: name, name:version or"
            " name:version:dataset."
        ),
    ),
]
MaxBytesOption = Annotated[
    int, typer.Option("--max-bytes", min=1, help="The largest request, in bytes.")
]
MaxEntriesOption = Annotated[
    int, typer.Option("--max-entries", min=1, help="The most entries of a request.")
]
MaxOpenOption = Annotated[
    int,
    typer.Option(
        "--max-open", min=1, help="The most requests at once; one more is told to come again."
    ),
]
TimeoutOption = Annotated[
    float,
    typer.Option("--timeout", min=0.001, help="Seconds within which an answer must be found."),
]
MaxOpenPerCallerOption = Annotated[
    int,
    typer.Option(
        "--max-open-per-caller",
        min=0,
        help="The most requests at once from one address; 0 is as many as of all.",
    ),
]
DrainOption = Annotated[
    float,
    typer.Option(
        "--drain",
        min=0.0,
        help=(
            "Seconds after SIGTERM for which requests are still taken, while /ready says that"
            " it ends."
        ),
    ),
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, help="The processes that serve on the port.")
]
AccessLogOption = Annotated[
    str,
    typer.Option("--access-log", help="Where a line of JSON goes for each request: a file, or -."),
]
TracesOption = Annotated[
    bool,
    typer.Option(
        "--traces", help="Export spans as the OTEL_ variables say; it needs spark_fs[otel]."
    ),
]
LogServedOption = Annotated[
    float,
    typer.Option(
        "--log-served",
        min=0.0,
        max=1.0,
        help="The share of the requests whose vectors are logged, for read_log and skew.",
    ),
]
TlsCertOption = Annotated[
    Path | None, typer.Option("--tls-cert", help="The server's certificate (PEM): HTTPS.")
]
TlsKeyOption = Annotated[
    Path | None, typer.Option("--tls-key", help="The key of that certificate.")
]
TlsClientCaOption = Annotated[
    Path | None,
    typer.Option("--tls-client-ca", help="Callers must have a certificate of this authority."),
]


@app.command()
def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8_080,
    view: ViewOption = None,
    max_bytes: MaxBytesOption = 1_000_000,
    max_entries: MaxEntriesOption = 1_000,
    max_open: MaxOpenOption = 256,
    timeout: TimeoutOption = 30.0,
    max_open_per_caller: MaxOpenPerCallerOption = 0,
    drain: DrainOption = 1.0,
    workers: WorkersOption = 1,
    access_log: AccessLogOption = "",
    traces: TracesOption = False,
    log_served: LogServedOption = 0.0,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    tls_client_ca: TlsClientCaOption = None,
    token_file: TokenFileOption = None,
    allow_host: AllowHostOption = None,
    insecure: InsecureOption = False,
    config: ConfigOption = None,
) -> None:
    """Serve feature vectors over HTTP.

    Without Spark: POST /v1/feature-vectors, GET /v1/feature-views/NAME, /health, /ready, /metrics
    and /docs. With a token (SPARK_FS_TOKEN, or --token-file) callers must bring it, but for /health
    and /ready; without one, and without --tls-client-ca, it listens on loopback alone. It needs the
    extra: pip install 'spark_fs[serve]'. Example: spark-fs serve --view late_arrivals --workers 2
    """
    from spark_fs.server.certificates import read_tls_files
    from spark_fs.server.guard import Limits
    from spark_fs.server.serve_views import serve_vectors
    from spark_fs.server.served_app import ServeOptions

    fs = login(config).get_feature_store()
    tls = read_tls_files(tls_cert, tls_key, tls_client_ca)
    asks_certificates = tls_client_ca is not None
    token, names = _resolve_access(fs, host, token_file, allow_host, insecure, asks_certificates)
    check_is_there(fs)
    limits = Limits(
        max_bytes,
        max_open,
        answer_seconds=timeout,
        max_open_per_caller=max_open_per_caller,
        drain_seconds=drain,
    )
    options = ServeOptions(
        host=host,
        port=port,
        config=config,
        views=tuple(view or ()),
        max_entries=max_entries,
        token=token,
        names=names,
        limits=limits,
        tls=tls,
        workers=workers,
        access_log=access_log,
        traces=traces,
        log_served=log_served,
    )
    serve_vectors(fs, options)


def _resolve_access(
    fs: FeatureStore,
    host: str,
    token_file: Path | None,
    allowed_hosts: list[str] | None,
    insecure: bool,
    asks_certificates: bool = False,
) -> tuple[str, frozenset[str] | None]:
    """The token that callers must bring, and the names that a server answers to.

    SettingsError where strangers would be let in.
    """
    from spark_fs.server.authentication import check_exposed, get_host_names, read_token

    token = read_token(fs._stores.settings.token.get_secret_value(), token_file)
    check_exposed(host, token, insecure, asks_certificates)
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
    """Explore the store in a browser.

    Read-only, without Spark. With a token (SPARK_FS_TOKEN, or --token-file) the browser asks for
    it: any user, and the token as password; without one it listens on loopback alone. It needs the
    extra: pip install 'spark_fs[serve]'. Example: spark-fs ui --port 8090
    """
    from spark_fs.server.explorer import serve_explorer

    fs = login(config).get_feature_store()
    token, names = _resolve_access(fs, host, token_file, allow_host, insecure)
    check_is_there(fs)
    serve_explorer(fs, host, port, token, names)
