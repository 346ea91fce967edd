"""A MariaDB of a test's own, which may be killed and started again, and a proxy that loses what passes it."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import mysql.connector

from standalone import free_port

_PATH = os.environ["PATH"] + ":/usr/sbin"


class Server:
    """A server with an empty database, in a folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.port, self._options = folder, free_port(), options
        self.url = f"mysql://spark_fs:local@127.0.0.1:{self.port}/store"
        command = ["mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([*command, f"--user={getpass.getuser()}"], check=True, capture_output=True, env={**os.environ, "PATH": _PATH})
        folder.joinpath("init.sql").write_text(
            "CREATE USER IF NOT EXISTS 'spark_fs'@'127.0.0.1' IDENTIFIED BY 'local';\nGRANT ALL ON *.* TO 'spark_fs'@'127.0.0.1';\n"
            "CREATE DATABASE IF NOT EXISTS store;\n"
        )
        self.start()

    def start(self) -> None:
        """Start it, again after a kill, and wait until it answers."""
        server = shutil.which("mariadbd", path=_PATH)
        assert server
        options = [f"--datadir={self.folder}/data", "--bind-address=127.0.0.1", f"--port={self.port}", "--socket=socket", "--skip-name-resolve"]
        options += [f"--init-file={self.folder}/init.sql", f"--user={getpass.getuser()}", *self._options]
        with self.folder.joinpath("log").open("a") as log:
            self._process = subprocess.Popen([server, "--no-defaults", *options], stdout=log, stderr=log)
        for _ in range(300):
            try:
                mysql.connector.connect(host="127.0.0.1", port=self.port, user="spark_fs", password="local", database="store").close()
                return
            except mysql.connector.Error:
                time.sleep(0.1)
        raise AssertionError(self.folder.joinpath("log").read_text())

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


class Proxy:
    """Passes bytes on between clients and a server, until a connection has said something: then it is cut.

    cut: asked for each packet of a client with all that this connection said before; True: pass this packet on or not, and cut the connection.
    """

    def __init__(self, port: int, cut: Callable[[bytes, bytes], bool], pass_on: bool) -> None:
        self._server, self._cut, self._pass_on = port, cut, pass_on
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server))
            threading.Thread(target=self._client, args=(client, server), daemon=True).start()
            threading.Thread(target=self._back, args=(client, server), daemon=True).start()

    def _client(self, client: socket.socket, server: socket.socket) -> None:
        said = b""
        while data := _received(client):
            if self._cut(data, said):
                self.cuts += 1
                if self._pass_on:
                    client.shutdown(socket.SHUT_RDWR)  # the answer finds nobody
                    server.sendall(data)
                    time.sleep(0.5)
                break
            said = (said + data)[-4096:]
            server.sendall(data)
        for end in (client, server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # a close alone would not be seen while the other thread reads
            end.close()

    @staticmethod
    def _back(client: socket.socket, server: socket.socket) -> None:
        while data := _received(server):
            try:
                client.sendall(data)
            except OSError:
                return
        client.close()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(1 << 16)
    except OSError:
        return b""
