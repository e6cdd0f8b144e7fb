"""A stub server for the load's tests: it answers as it is told to, truthfully or not, and keeps its own record."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

Answer = Callable[["Stub", socket.socket, bytes], bool]
"""Answers one line on a connection; returns whether to go on with the connection."""


def right(line: bytes) -> bytes:
    """Return the right reply to a request, from the wire's description and not from its code."""
    return b"OK " + line.split(b" ", 1)[1] + b"\n"


class Stub:
    """
    Listens on a free port of loopback, a thread for each connection.

    connections: accepted. texts: of every request, in order. took: seconds from each request to its reply.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self.connections = 0
        self.texts: list[bytes] = []
        self.took: list[float] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        """Its host:port."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            unread = b""
            while received := connection.recv(65536):
                begun = time.perf_counter()
                *lines, unread = (unread + received).split(b"\n")
                for line in lines:
                    with self._lock:
                        self.texts.append(line.split(b" ", 1)[1])
                    if not self._answer(self, connection, line):
                        return
                    with self._lock:
                        self.took.append(time.perf_counter() - begun)


def honest(_: Stub, connection: socket.socket, line: bytes) -> bool:
    """Answer rightly, at once."""
    connection.sendall(right(line))
    return True


def after(delay: Callable[[int], float]) -> Answer:
    """Answer rightly, after delay(number of the request) seconds."""

    def answer(stub: Stub, connection: socket.socket, line: bytes) -> bool:
        time.sleep(delay(len(stub.texts)))
        return honest(stub, connection, line)

    return answer


def says(reply: Callable[[bytes], bytes]) -> Answer:
    """Answer with reply(line)."""

    def answer(_: Stub, connection: socket.socket, line: bytes) -> bool:
        connection.sendall(reply(line))
        return True

    return answer


def adds_later(_: Stub, connection: socket.socket, line: bytes) -> bool:
    """Answer rightly, and with a byte too many in a segment of its own."""
    connection.sendall(right(line))
    time.sleep(0.01)
    connection.sendall(b"!")
    return True


def swaps(stub: Stub, connection: socket.socket, line: bytes) -> bool:
    """Answer with the reply that belongs to the request before this one, whosever it was."""
    mine = line.split(b" ", 1)[1]
    other = next((text for text in reversed(stub.texts[-50:]) if text != mine), b"nobody")
    connection.sendall(b"OK " + other + b"\n")
    return True


def silent(_stub: Stub, _connection: socket.socket, _line: bytes) -> bool:
    """Never answer."""
    return True


def truncates(_: Stub, connection: socket.socket, line: bytes) -> bool:
    """Send all but the last bytes, and close."""
    connection.sendall(right(line)[:-3])
    return False


def closes(_stub: Stub, _connection: socket.socket, _line: bytes) -> bool:
    """Close instead of answering."""
    return False


def resets(_: Stub, connection: socket.socket, _line: bytes) -> bool:
    """Reset the connection instead of answering."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False
