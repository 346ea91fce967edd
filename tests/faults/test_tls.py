"""TLS to a server whose certificate is the right one, another's, or for another host: the right one alone is spoken to."""

import subprocess
from pathlib import Path

import pytest
from tables import clicks, rows, sync, values

from spark_fs.errors import OnlineRefusedError
from spark_fs.online.mysql.store import MySQLStore

from conftest import SERVERS
from servers import KINDS

pytestmark = pytest.mark.skipif(not SERVERS, reason="no server is up: make mysql-up")


def certificate(folder: Path, name: str, subject: str) -> tuple[Path, Path]:
    """A key, and a certificate for a subject that signs itself."""
    key, made = folder / f"{name}.key", folder / f"{name}.pem"
    options = [
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        str(key),
        "-out",
        str(made),
        "-subj",
        f"/CN={name}",
        "-addext",
        f"subjectAltName={subject}",
        "-days",
        "2",
    ]
    subprocess.run(["openssl", "req", "-x509", *options], check=True, capture_output=True)
    return key, made


@pytest.mark.parametrize("kind", SERVERS)
def test_tls_is_spoken_and_the_certificate_and_its_host_looked_at(
    kind: str, tmp_path: Path
) -> None:
    (key, here), (other_key, elsewhere) = (
        certificate(tmp_path, "here", "IP:127.0.0.1"),
        certificate(tmp_path, "elsewhere", "DNS:elsewhere.example"),
    )
    server = KINDS[kind](
        tmp_path / "right", f"--ssl-cert={here}", f"--ssl-key={key}", f"--ssl-ca={here}"
    )
    store = MySQLStore(f"{server.url}?ssl_ca={here}")
    sync(store, clicks(store), rows((1, "01-01", 10)))
    assert values(store, clicks(store)) == {1: 10}
    with store.transaction() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        assert cursor.fetchall()[0][1]
    _refused(f"{server.url}?ssl_ca={elsewhere}")
    _refused(f"{server.url}?ssl_ca={elsewhere}&ssl_verify_identity=false")
    _refused(f"{server.url}?ssl_verify_identity=true")  # by the system's authorities
    server.kill()

    server = KINDS[kind](
        tmp_path / "wrong",
        f"--ssl-cert={elsewhere}",
        f"--ssl-key={other_key}",
        f"--ssl-ca={elsewhere}",
    )
    _refused(f"{server.url}?ssl_ca={elsewhere}")  # its own certificate, of another host
    for unchecked in (
        f"?ssl_ca={elsewhere}&ssl_verify_identity=false",
        "?ssl_verify_cert=false",
        "",
    ):
        MySQLStore(f"{server.url}{unchecked}").check_connection()
    server.kill()


def _refused(url: str) -> None:
    for pure in (False, True):
        store = MySQLStore(url)
        store._connect_options["use_pure"] = pure
        with pytest.raises(
            OnlineRefusedError,
            match=(
                r"failed \(\d+\) by the TLS that online_url asks for: .*(SSL|certificate).*Give the"
                r" authority of its certificate as ssl_ca, and its host by a name"
            ),
        ):
            store.check_connection()
