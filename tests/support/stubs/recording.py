"""A stub server for the load's tests: it answers rightly or wrongly, as asked, and keeps its own record."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

Answer = Callable[["Stub", socket.socket, bytes], bool]
"""Answers one line on a connection; returns whether the connection goes on."""


def text_of(line: bytes) -> bytes:
    """Return a request's text by the wire's description, not its code."""
    command, rest = line.split(b" ", 1)
    return rest if command == b"ECHO" else rest.split(b" ", 1)[1]


def right(line: bytes) -> bytes:
    """Return the right reply to a request."""
    return b"OK " + text_of(line) + b"\n"


class Stub:
    """
    Listens on a free port of loopback, with a thread for each connection; answers every command at once.

    connections: accepted. texts: of every request, in order. took: seconds from each request to its reply. when:
    monotonic seconds of its first and last request. lies: wrong replies by `sometimes`.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        port: int = 0,
        greeting: bytes | None = None,
        stays: bool = False,
        sip: int = 65536,
        pause: float = 0.0,
    ) -> None:
        """
        Listen.

        greeting: sent to each client, after which it closes, unless `stays`. sip: bytes per read. pause: seconds
        after each read.
        """
        self._answer = answer
        self._greeting = greeting
        self._stays = stays
        self._sip = sip
        self._pause = pause
        self._lock = threading.Lock()
        self._live: set[socket.socket] = set()
        self.connections = 0
        self.texts: list[bytes] = []
        self.took: list[float] = []
        self.when = (0.0, 0.0)
        self.lies = 0
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        if sip < 65536:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, sip)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        """Its host:port."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the listener and all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # close() alone leaves accept() waiting and the port in use
        self._listener.close()
        with self._lock:
            for connection in self._live:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            if self._greeting is not None:
                connection.sendall(self._greeting)
                if not self._stays:
                    connection.close()
                    continue
            with self._lock:
                self._live.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            unread = b""
            while received := connection.recv(self._sip):
                begun = time.perf_counter()
                *lines, unread = (unread + received).split(b"\n")
                for line in lines:
                    with self._lock:
                        self.texts.append(text_of(line))
                        now = time.monotonic()
                        self.when = self.when[0] or now, now
                    if not self._answer(self, connection, line):
                        return
                    with self._lock:
                        self.took.append(time.perf_counter() - begun)
                if self._pause:
                    time.sleep(self._pause)
        with self._lock:
            self._live.discard(connection)


def honest(_: Stub, connection: socket.socket, line: bytes) -> bool:
    """Answer rightly at once."""
    connection.sendall(right(line))
    return True


def after(delay: Callable[[int], float]) -> Answer:
    """Answer rightly after delay(number of the request) seconds."""

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


def sometimes(lie: Answer, is_turn: Callable[[int], bool]) -> Answer:
    """Answer rightly, but with `lie` where is_turn(number of the request, from 1)."""
    lock = threading.Lock()
    number = 0

    def answer(stub: Stub, connection: socket.socket, line: bytes) -> bool:
        nonlocal number
        with lock:
            number += 1
            lies = is_turn(number)
            stub.lies += lies
        return (lie if lies else honest)(stub, connection, line)

    return answer


adds = says(lambda line: right(line) + b"!")
"""Answer with one byte too many."""


def adds_later(_: Stub, connection: socket.socket, line: bytes) -> bool:
    """Answer with one byte too many, in its own segment."""
    connection.sendall(right(line))
    time.sleep(0.01)
    connection.sendall(b"!")
    return True


def swaps(stub: Stub, connection: socket.socket, line: bytes) -> bool:
    """Answer with the reply to the previous request, of any client."""
    mine = text_of(line)
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


def answers_and_closes(_: Stub, connection: socket.socket, line: bytes) -> bool:
    """Answer rightly, and close."""
    connection.sendall(right(line))
    return False


def answers_and_closes_in_one(_: Stub, connection: socket.socket, line: bytes) -> bool:
    """Answer rightly, and close in the same segment: the kernel holds the reply back until then."""
    connection.send(right(line), socket.MSG_MORE)
    return False


def closes(_stub: Stub, _connection: socket.socket, _line: bytes) -> bool:
    """Close instead of answering."""
    return False


def resets(_: Stub, connection: socket.socket, _line: bytes) -> bool:
    """Reset the connection instead of answering."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


LIES: dict[str, tuple[Answer, str]] = {
    "wrong byte": (says(lambda line: right(line)[:-2] + b"!\n"), "corrupt"),
    "a byte too many": (adds, "corrupt"),
    "another line": (says(lambda line: right(line) * 2), "corrupt"),
    "a byte too many, later": (adds_later, "corrupt"),
    "missing bytes": (says(lambda line: right(line)[:-4] + b"\n"), "corrupt"),
    "somebody else's reply": (swaps, "corrupt"),
    "cut off": (truncates, "closed"),
    "closed": (closes, "closed"),
    "reset": (resets, "reset"),
    "silent": (silent, "timeout"),
    "never whole": (says(lambda line: right(line)[:-1]), "timeout"),
    "full": (says(lambda _: b"ERR server full\n"), "refused"),
}
"""Answers that are never right, with their outcomes."""
