"""Classifies what happens on a connection, without I/O, for ClientConnection and TcpClient."""

import errno
import socket
from typing import Final

CONNECT_TIMEOUT: Final = 5.0
"""Seconds a connect may take."""

REPLY_TIMEOUT: Final = 30.0
"""Seconds a reply may take."""

FAREWELL: Final = 1.0
"""Seconds to wait, after our half-close, for surplus bytes or the server's close."""

_UNKNOWN_NAME: Final = {socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_AGAIN, socket.EAI_FAIL}


class ExchangeError(Exception):
    """A failure as Locust sees it. Locust counts failures by their text, so there are only a few texts."""

    def __repr__(self) -> str:
        return str(self)


_MEANING: Final = {
    "refused": "refused: no server listens there, or the server is full",
    "timeout": "timeout: no connection within 5 s, or no reply within 30 s",
    "corrupt": "corrupt: wrong bytes in place of the reply",
    "closed": "closed: the connection was closed before the reply",
    "reset": "reset: the connection was reset",
    "no_port": "no_port: this machine has no free local port; connect less often, or set net.ipv4.tcp_tw_reuse=1",
    "failed": "failed: cannot connect",
}
ERRORS: Final = {outcome: ExchangeError(text) for outcome, text in _MEANING.items()}
"""By outcome; only failures."""


def split_address(text: str) -> tuple[str, int]:
    """Return (host, port) of "host:port" or "[address]:port"; ValueError if it is neither."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not host:port")
    return host, int(port)


def of_connect(error: OSError, *, known: bool = False) -> str:
    """
    Return the outcome (counters.CONNECTIONS) for an error of connect() or of the name lookup.

    known: the name was found before, or the host was reached. Then an unknown name or host means that the server has
    gone: containers' name service forgets a container that has ended.
    """
    if known and (error.errno == errno.EHOSTUNREACH or _is_unknown_name(error)):
        return "refused"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionError):
        return "reset"
    return "no_port" if error.errno == errno.EADDRNOTAVAIL else "failed"


def _is_unknown_name(error: OSError) -> bool:
    """Whether the name is unknown; a forwarding name service may answer only EAI_AGAIN."""
    return isinstance(error, socket.gaierror) and error.errno in _UNKNOWN_NAME


_IDLE: Final = (b"ERR no request for ", b" s\n")
"""Start and end of the line that the lab's servers send before they close an idle connection (servers/session.py)."""


def may_be_idle_deadline(said: bytes) -> bool:
    """Whether unrequested bytes may be the start of the idle deadline's line."""
    start, _ = _IDLE
    begins = start.startswith(said) or said.startswith(start)
    return begins and len(said) < 64 and said.find(b"\n") in {-1, len(said) - 1}


def is_idle_deadline(said: bytes) -> bool:
    """Whether unrequested bytes are the idle deadline's line."""
    start, end = _IDLE
    seconds = said.removeprefix(start).removesuffix(end)
    return said == start + seconds + end and seconds.replace(b".", b"", 1).isdigit()


def is_unfinished(received: bytes, reply: bytes) -> bool:
    """Whether `received` is the start of the right reply."""
    return len(received) < len(reply) and reply.startswith(received)


def of_reply(received: bytes, reply: bytes) -> str:
    """Return the outcome (counters.OUTCOMES) once no more bytes will be read."""
    if received == reply:
        return "verified"
    if received.startswith(b"ERR ") and reply.startswith(b"OK "):  # and not in the middle of a reply
        return "refused"
    return "closed" if reply.startswith(received) else "corrupt"


def of_unasked(received: bytes) -> str:
    """Return the outcome (counters.OUTCOMES) of a request before which the server sent bytes."""
    return "refused" if received.startswith(b"ERR ") else "corrupt"
