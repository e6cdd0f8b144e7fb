"""A client that sends and expects literal bytes, and how a failure is told. Every wait is bounded."""

import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

PATIENCE: Final = 5.0
"""Seconds that a server may take for its next bytes."""

OVERALL: Final = 30.0
"""Seconds for all replies, or for all that is sent without reading, however steadily they go."""

SMALL: Final = 65_536
"""A small receive buffer, in bytes (Linux doubles it)."""

STUCK: Final = 0.3
"""Seconds without progress after which a server takes no more."""

CLOSED: Final = "the end of the connection"
RESET: Final = "a reset"

SURPLUS: Final = 65_536
"""Bytes that may come beyond what should."""

_TICK = 0.2
_SHOWN = 64


@dataclass(eq=False)
class RowFailedError(Exception):
    """A server did something else than it should. sent, came, expected: words or bytes for a reader."""

    sent: str
    came: str
    expected: str


def shown(data: bytes, at: int = 0) -> str:
    """Return bytes as escaped text; if they are many, only those around `at`."""
    if not data:
        return "nothing"
    if len(data) <= _SHOWN:
        return _escaped(data)
    start = max(0, min(at, len(data)) - _SHOWN // 3)
    part = data[start : start + _SHOWN]
    before, after = "..." if start else "", "..." if start + _SHOWN < len(data) else ""
    return f"{before}{_escaped(part)}{after} ({len(data):,} bytes)"


def _escaped(data: bytes) -> str:
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


class Client:
    """
    A connection, as a context that closes it.

    pause: called before each wait, a few times a second at least; it may raise. small: with a small receive buffer.
    """

    def __init__(self, address: tuple[str, int], pause: Callable[[], None], *, small: bool = False) -> None:
        self.ended = False  # whether the server was found gone while sending
        self._pause = pause
        self._ahead = b""  # received, and not yet expected
        self._sent = bytearray()  # since the last reply
        try:
            self.socket = socket.create_connection(address, PATIENCE)
        except OSError as error:
            raise RowFailedError("(a connect)", error.strerror or str(error), "a connection") from error
        self.socket.settimeout(_TICK)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if small:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.socket.close()
        surplus, self._ahead = self._ahead, b""
        if surplus and not self._sent and kind is None:
            raise RowFailedError("(nothing more)", shown(surplus), "no reply without a request")

    def send(self, data: bytes) -> None:
        """Send all; a connection that has ended shows when its reply is expected."""
        self._sent += data
        if self._send(data, PATIENCE) < len(data):
            raise self.failure(f"it has read nothing for {PATIENCE:g} s", "it reads its input")

    def send_until_full(self, request: bytes, most: int) -> int:
        """Send requests, reading nothing, until no more is taken or `most` bytes are; return how many were taken."""
        taken = 0
        deadline = time.monotonic() + OVERALL
        while taken < most and not self.ended and time.monotonic() < deadline:
            part = self._send(request, STUCK)
            taken += part
            if part < len(request):
                break
        return taken

    def expect(self, reply: bytes, *, also: bytes = b"") -> None:
        """Receive as many lines as `reply` has: they must be equal to it, or to `also`."""
        came, end = self.receive(reply.count(b"\n"), len(reply))
        if came not in {reply, also} or not came:
            at = next((i for i, (a, b) in enumerate(zip(came, reply, strict=False)) if a != b), len(came))
            raise self.failure(told(came, end, at), shown(reply, at))
        self.answered()

    def answered(self) -> None:
        """Forget what was sent."""
        self._sent.clear()

    def ask(self, request: bytes, reply: bytes) -> None:
        """Send a request and expect its reply."""
        self.send(request)
        self.expect(reply)

    def echo(self, text: bytes) -> None:
        """Ask for an ECHO of a text."""
        self.ask(b"ECHO " + text + b"\n", b"OK " + text + b"\n")

    def expect_end(self) -> None:
        """Wait for the server's close: neither bytes nor a reset may come."""
        came, end = self.rest()
        if came or end != CLOSED:
            raise self.failure(told(came, end), CLOSED)

    def receive(self, lines: int, size: int = 0) -> tuple[bytes, str]:
        """
        Receive so many lines. Return them and ""; or, if they don't all come, what came and why no more did.

        size: how many bytes they should have, if they are more than a few.
        """
        came, self._ahead = bytearray(self._ahead), b""
        missing = lines - came.count(b"\n")
        began = heard = time.monotonic()
        while missing > 0:
            if len(came) > size + SURPLUS:
                return bytes(came), f"more than {size + SURPLUS:,} bytes"
            if heard - began > OVERALL:
                return bytes(came), f"no end within {OVERALL:g} s"
            if time.monotonic() - heard > PATIENCE:
                return bytes(came), f"nothing more for {PATIENCE:g} s"
            self._pause()
            try:
                data = self.socket.recv(1 << 18)
            except TimeoutError:
                continue
            except OSError:
                return bytes(came), RESET
            if not data:
                return bytes(came), CLOSED
            came += data
            missing -= data.count(b"\n")
            heard = time.monotonic()
        self._ahead = bytes(came.split(b"\n", lines)[lines])
        return bytes(came.removesuffix(self._ahead)), ""

    def rest(self) -> tuple[bytes, str]:
        """Return what comes until the connection ends, and how it ends."""
        return self.receive(1 << 62)

    def half_close(self) -> None:
        """Say that no more will be sent."""
        with suppress(OSError):  # it has ended, which shows when its reply is expected
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def failure(self, came: str, expected: str) -> RowFailedError:
        """Return the failure to answer what was sent since the last reply."""
        return RowFailedError(shown(bytes(self._sent)), came, expected)

    def _send(self, data: bytes, patience: float) -> int:
        """
        Send until all is taken, or nothing is for `patience` seconds; return how many bytes were taken.

        If the connection has ended, that is all of them.
        """
        view = memoryview(data)
        taken_at = time.monotonic()
        while view and time.monotonic() - taken_at < patience:
            self._pause()
            try:
                view = view[self.socket.send(view) :]
                taken_at = time.monotonic()
            except TimeoutError:
                continue
            except OSError:
                self.ended = True
                return len(data)
        return len(data) - len(view)


def told(came: bytes, end: str, at: int = 0) -> str:
    """Return what came as text. end: why no more did; "" if nothing is missing."""
    if not end:
        return shown(came, at)
    return f"{shown(came, at)}, then {end}" if came else end
