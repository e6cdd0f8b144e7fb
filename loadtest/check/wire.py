"""The rows about bytes: requests and replies of one client; some are plain data, also for tests/contract."""

import socket
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from loadtest.check.client import RowFailedError, told
from loadtest.check.row import row
from loadtest.check.server import Server

_APART: Final = 0.002
"""Seconds between two pieces, so that a server reads them one by one."""

_MANY: Final = 1_000

_DELAYED: Final = 30.0
"""Milliseconds; a reply that waits for the acknowledgement of another takes 40 (TCP_DELACK_MIN in Linux's tcp.h)."""


ERR: Final = b"ERR "
"""The start of a line whose rest is the server's own."""

BINARY: Final = bytes(byte for byte in range(256) if byte not in b"\r\n")
LONGEST: Final = b"ECHO " + b"x" * (65_536 - 5)
"""The longest line, without its end."""


def is_error(came: bytes) -> bool:
    """Return whether this is one whole ERR line."""
    return came.startswith(ERR) and came.find(b"\n") == len(came) - 1


_NO_NUMBERS: Final = (
    *("", " ", " x", "  5 x", " +5 x", " -5 x", " 1_0 x", " 5.0 x", " 5x", " 99999999999999999999999 x"),
    *(" ٣ x", " ５ x", " ²"),  # digits of other scripts
)
"""What may come behind SLEEP and WORK, and is no number with a text."""

EXCHANGES: Final[Mapping[str, Sequence[tuple[bytes, bytes]]]] = {
    "echo": [(b"ECHO hello\n", b"OK hello\n"), (b"ECHO ECHO QUIT\n", b"OK ECHO QUIT\n")],
    "blanks": [
        (b"ECHO \n", b"OK \n"),
        (b"ECHO  two  blanks \n", b"OK  two  blanks \n"),
        (b"ECHO \ta\t\n", b"OK \ta\t\n"),
    ],
    "carriage-return": [
        (b"ECHO hello\r\n", b"OK hello\n"),
        (b"ECHO a\rb\n", b"OK a\rb\n"),
        (b"ECHO a\r\r\n", b"OK a\r\n"),
    ],
    "binary": [
        ("ECHO Grüße, 世界\n".encode(), "OK Grüße, 世界\n".encode()),
        (b"ECHO a\x00b\n", b"OK a\x00b\n"),
        (b"ECHO " + BINARY + b"\n", b"OK " + BINARY + b"\n"),
    ],
    "sleep": [(b"SLEEP 0 now\n", b"OK now\n"), (b"SLEEP 5\n", b"OK\n"), (b"SLEEP 005 a b\n", b"OK a b\n")],
    "sleep-numbers": [(f"SLEEP{each}\n".encode(), ERR) for each in (" 10001 x", *_NO_NUMBERS)],
    "work": [(b"WORK 0 done\n", b"OK done\n"), (b"WORK 1000\n", b"OK\n"), (b"WORK 1000000 hard\n", b"OK hard\n")],
    "work-numbers": [(f"WORK{each}\n".encode(), ERR) for each in (" 1000001 x", *_NO_NUMBERS)],
    "errors": [
        (line + b"\n", ERR)
        for line in (
            *(b"", b"\r", b" ECHO x", b"echo x", b"ECHOx", b"ECHO\tx", b"QUIT now", b"quit"),
            *(b"GET / HTTP/1.1\r", b"\x00\xff"),
        )
    ],
}
"""Requests and replies, after which the conversation goes on, by row; ERR: any line that begins so."""


def ask_all(server: Server, name: str) -> None:
    """Ask the exchanges of a row, each on a connection of its own that must go on."""
    for request, reply in EXCHANGES[name]:
        with server.client() as client:
            client.send(request)
            if reply == ERR:
                came, end = client.receive(1)
                if end or not is_error(came):
                    raise client.failure(told(came, end), "ERR and a reason")
            elif name == "carriage-return":  # one before the end of the line may be text to a server
                client.expect(reply, also=b"OK" + request[4:])
            else:
                client.expect(reply)
            client.echo(b"on")


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
        for text in (LONGEST[5:], LONGEST[6:], b"yz" * 30_000):
            client.echo(text)


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
        client.echo(b"on")


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
