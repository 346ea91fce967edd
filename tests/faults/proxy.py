"""A proxy before a server that loses what passes it."""

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_ASKS_FOR_TLS = 36  # bytes of the packet by which a client of MySQL says that it goes on in TLS


class Proxy:
    """Passes bytes on between clients and a server, until a connection has said something: then it is cut.

    cut: asked for each packet of a client with all that this connection said before; True: pass this packet on or not, and cut the connection.
    certificate: a key and a certificate, by which it stands between clients and server in TLS too, so that it reads what is said.
    """

    def __init__(
        self,
        port: int,
        cut: Callable[[bytes, bytes], bool],
        pass_on: bool,
        certificate: tuple[Path, Path],
    ) -> None:
        self._server, self._cut, self._pass_on = port, cut, pass_on
        self._to_clients, self._to_server = (
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
            ssl.create_default_context(),
        )
        self._to_clients.load_cert_chain(certificate[1], certificate[0])
        self._to_server.check_hostname, self._to_server.verify_mode = False, ssl.CERT_NONE
        self._to_server.maximum_version = (
            ssl.TLSVersion.TLSv1_2
        )  # 1.3 sends tickets when it likes, on which a read would wait for data
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
            threading.Thread(target=self._pump, args=(client, server), daemon=True).start()

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        said = b""
        with suppress(OSError):
            while True:
                for end in _readable(client, server):
                    data = end.recv(
                        1 << 16 if said or end is server else _ASKS_FOR_TLS
                    )  # the packet after it is TLS's own
                    if not data:
                        return self._end(client, server)
                    if end is server:
                        client.sendall(data)
                    elif self._cut(data, said):
                        return self._lose(client, server, data)
                    else:
                        server.sendall(data)
                        if not said and int.from_bytes(data[:3], "little") == _ASKS_FOR_TLS - 4:
                            client = self._to_clients.wrap_socket(client, server_side=True)
                            server = self._to_server.wrap_socket(server)
                            said = b"in TLS: "
                            break
                        said = (said + data)[-4096:]
        return self._end(client, server)

    def _lose(self, client: socket.socket, server: socket.socket, data: bytes) -> None:
        self.cuts += 1
        if self._pass_on:
            client.shutdown(socket.SHUT_RDWR)  # the answer finds nobody
            server.sendall(data)
            time.sleep(0.5)
        self._end(client, server)

    @staticmethod
    def _end(*ends: socket.socket) -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


def _readable(*ends: socket.socket) -> list[socket.socket]:
    """The ends that have something to read; what TLS has read already is at no socket any more."""
    pending = [end for end in ends if isinstance(end, ssl.SSLSocket) and end.pending()]
    return pending or select.select(ends, (), ())[0]
