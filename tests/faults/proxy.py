"""A proxy before a server that loses what passes it."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress


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
