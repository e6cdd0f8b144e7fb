"""The rows about bytes: requests and replies of one client."""

import socket
import time
from statistics import median
from typing import Final

from loadtest.check.client import RowFailedError, told
from loadtest.check.exchanges import ERR, EXCHANGES, LONGEST, is_error
from loadtest.check.row import row
from loadtest.check.server import Server

_APART: Final = 0.002
"""Seconds between two pieces, so that a server reads them one by one."""

_MANY: Final = 1_000

_DELAYED: Final = 30.0
"""Milliseconds; a reply that waits for the acknowledgement of another takes 40 (TCP_DELACK_MIN in Linux's tcp.h)."""


def ask_all(server: Server, name: str) -> None:
    """Ask the exchanges of a row, each on a connection of its own that must go on."""
    for each in EXCHANGES:
        if each.row == name:
            with server.client() as client:
                client.send(each.request)
                if each.reply == ERR:
                    came, end = client.receive(1)
                    if end or not is_error(came):
                        raise client.failure(told(came, end), "ERR and a reason")
                elif name == "carriage-return":  # one before the end of the line may be text to a server
                    client.expect(each.reply, also=b"OK" + each.request[4:])
                else:
                    client.expect(each.reply)
                client.ask(b"ECHO on\n", b"OK on\n")


@row(after=())
def echo(server: Server) -> None:
    """`ECHO <text>` is answered with `OK <text>`, and the connection stays."""
    ask_all(server, "echo")


@row()
def blanks(server: Server) -> None:
    """Spaces and tabs come back, also at the start and at the end; so does an empty text."""
    ask_all(server, "blanks")


@row()
def binary(server: Server) -> None:
    """Every byte but CR and LF comes back: NUL, UTF-8, and what is no UTF-8."""
    ask_all(server, "binary")


@row()
def carriage_return(server: Server) -> None:
    """A CR within the text comes back; one before the end of the line does too, or is ignored."""
    ask_all(server, "carriage-return")


@row()
def long_line(server: Server) -> None:
    """A line of 64 KiB is answered whole."""
    with server.client() as client:
        for line in (LONGEST, LONGEST[:-1], LONGEST[:5] + b"yz" * 30_000):
            client.ask(line + b"\n", b"OK " + line[5:] + b"\n")


@row()
def split(server: Server) -> None:
    """A request may come in pieces: cut in two at any place, and byte by byte."""
    request, reply = b"ECHO in pieces\n", b"OK in pieces\n"
    with server.client() as client:
        for at in range(1, len(request)):
            client.send(request[:at])
            time.sleep(_APART)
            client.ask(request[at:], reply)
        for byte in request:
            client.send(bytes([byte]))
            time.sleep(_APART)
        client.expect(reply)


@row()
def joined(server: Server) -> None:
    """Each of 1,000 requests sent at once is answered."""
    with server.client() as client:
        client.send(b"".join(b"ECHO %d\n" % number for number in range(_MANY)))
        came, end = client.receive(_MANY)
        replies = came.splitlines(keepends=True)
        missing = {b"OK %d\n" % number for number in range(_MANY)}.difference(replies)
        if missing or len(replies) != _MANY:
            raise client.failure(f"{len(replies):,} replies: {told(came, end)}", f"{_MANY:,} replies, one for each")
        client.answered()
        client.ask(b"ECHO on\n", b"OK on\n")


@row(after=("joined", "long-line"))
def order(server: Server) -> None:
    """Requests sent at once are answered in their order, short ones after long ones too."""
    texts = [b"%d " % number + b"x" * (30_000 if number % 10 == 0 else 1) for number in range(100)]
    with server.client() as client:
        for _ in range(5):
            client.ask(b"".join(b"ECHO %b\n" % text for text in texts), b"".join(b"OK %b\n" % text for text in texts))


@row(after=("order",))
def delay(server: Server) -> None:
    """A second small reply does not wait for the acknowledgement of the first (set TCP_NODELAY)."""
    waits = []
    with server.client() as client:
        for _ in range(21):
            if hasattr(socket, "TCP_QUICKACK"):
                client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            began = time.monotonic()
            client.send(b"ECHO a\nECHO b\n")
            client.expect(b"OK a\nOK b\n")
            waits.append((time.monotonic() - began) * 1e3)
        if median(waits) >= _DELAYED:
            came, expected = f"both replies after {median(waits):.0f} ms", f"both within {_DELAYED:.0f} ms"
            raise RowFailedError(r"ECHO a\nECHO b\n", came, expected)


ROWS: Final = (echo, blanks, binary, carriage_return, long_line, split, joined, order, delay)
