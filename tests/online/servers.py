"""A MariaDB and a MySQL of our own on loopback: each a folder with its data, a free port, a user of its own, no service of the machine.

    tests/online/servers.py up | down

``up`` writes the URL of each server into its folder, .mysql/url and .mysql9/url; run twice it leaves the servers as they are. Where no MySQL
can be had it says so, and goes on with MariaDB alone. MySQL runs with its defaults: no local files, TLS, caching_sha2_password.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import sid

ROOT = Path(__file__).parents[2]
_PATH = os.environ["PATH"] + ":/usr/sbin"
_MYSQL = ROOT / ".mysql9"
_UNPACKED = _MYSQL / "server"
_SECONDS = 60  # for a server to start
_USER = """CREATE USER IF NOT EXISTS 'spark_fs'@'127.0.0.1' IDENTIFIED BY 'local';
GRANT ALL ON *.* TO 'spark_fs'@'127.0.0.1' WITH GRANT OPTION;
CREATE DATABASE IF NOT EXISTS store;
"""


class Server:
    """A server with an empty database ``store``, in a folder; made and started at once, with these options."""

    name = "MariaDB"

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.folder, self._options = folder, options
        self.address = f"mysql://spark_fs:local@127.0.0.1:{self.port}"
        self.url = f"{self.address}/store"
        folder.mkdir(parents=True, exist_ok=True)
        self._make()
        folder.joinpath("init.sql").write_text(_USER)
        self.start()

    def start(self) -> None:
        """Start it, again after a kill, and wait until it answers."""
        options = [
            f"--datadir={self.folder}/data",
            f"--pid-file={self.folder}/pid",
            f"--init-file={self.folder}/init.sql",
            f"--port={self.port}",
        ]
        options += [
            "--bind-address=127.0.0.1",
            "--socket=socket",
            "--skip-name-resolve",
            f"--user={getpass.getuser()}",
        ]
        with self.folder.joinpath("log").open("a") as log:
            started = [*self._command(), *options, *self._options]
            self._process = subprocess.Popen(
                started, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + _SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                log_end = self.folder.joinpath("log").read_text()[-2_000:]
                raise RuntimeError(
                    f"{self.name} did not start; the end of {self.folder}/log:\n{log_end}"
                )
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """Let it hang: it keeps its connections, takes new ones, and answers none."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        """Whether it greets a client, which it does once it has run the file of its first statements."""
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=1) as client,
        ):
            return bool(client.recv(1))
        return False

    def _command(self) -> list[str]:
        return [_program("mariadbd"), "--no-defaults"]

    def _make(self) -> None:
        """Make the data of an empty server."""
        options = [
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            f"--user={getpass.getuser()}",
        ]
        _run(
            _program("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={self.folder}/data",
            *options,
        )


class MySQL(Server):
    """The same of MySQL, from packages that are unpacked beside the one that ``make mysql-up`` starts."""

    name = "MySQL"

    def _command(self) -> list[str]:
        # Where its files lie is said; Debian's folder for files of the server is not there, and no other option than these is set.
        own = [f"--basedir={_UNPACKED}/usr", "--secure-file-priv=NULL", "--mysqlx=OFF"]
        return [*sid.command(_UNPACKED, "usr/sbin/mysqld"), "--no-defaults", *own]

    def _make(self) -> None:
        if not _UNPACKED.exists():
            _UNPACKED.parent.mkdir(exist_ok=True)
            sid.unpack("mysql-server-core", _UNPACKED)
        _run(
            *self._command(),
            "--initialize-insecure",
            f"--datadir={self.folder}/data",
            f"--user={getpass.getuser()}",
        )


KINDS = {"mysql": Server, "mysql9": MySQL}
FOLDERS = {"mysql": ROOT / ".mysql", "mysql9": _MYSQL}


def up() -> None:
    """Start what is not up."""
    for kind, folder in FOLDERS.items():
        if _running(folder) is None:
            for each in ("data", "log", "url", "pid"):
                _remove(folder / each)
            try:
                folder.joinpath("url").write_text(f"{KINDS[kind](folder).address}\n")
            except (sid.NotToBeHadError, RuntimeError, OSError) as error:
                if kind == "mysql":
                    raise SystemExit(str(error)) from None
                print(
                    f"\n{'!' * 100}\nNo MySQL is up, and tests go on with MariaDB alone:"
                    f" {error}\n{'!' * 100}\n",
                    file=sys.stderr,
                )
                continue
        print(f"{KINDS[kind].name} is up: {folder.joinpath('url').read_text().strip()}")


def down() -> None:
    """Stop what is up."""
    for kind, folder in FOLDERS.items():
        if (pid := _running(folder)) is None:
            continue
        _remove(folder / "url")
        os.kill(pid, signal.SIGTERM)
        while _running(folder):
            time.sleep(0.1)
        print(f"{KINDS[kind].name} is down")


def _running(folder: Path) -> int | None:
    """The process of the server in a folder, while it runs."""
    with suppress(OSError, ValueError):
        pid = int(folder.joinpath("pid").read_text())
        os.kill(pid, 0)
        return pid
    return None


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if not found:
        raise RuntimeError(
            f"{name} was not found. Install MariaDB (Debian, Ubuntu: apt-get install"
            " mariadb-server); no service needs to run."
        )
    return found


def _run(*command: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": _PATH}
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2_000:]}")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    if sys.argv[1:] not in (["up"], ["down"]):
        raise SystemExit(f"usage: {sys.argv[0]} up|down")
    {"up": up, "down": down}[sys.argv[1]]()
