"""How what happens on a connection is classed, without I/O: for ClientConnection and for TcpClient."""

import errno
import socket
from typing import Final

CONNECT_TIMEOUT: Final = 5.0
"""Seconds a connect may take."""

REPLY_TIMEOUT: Final = 30.0
"""Seconds a reply may take."""

FAREWELL: Final = 1.0
"""Seconds to wait for a server's end of the connection after ours, in search of surplus bytes."""


_UNKNOWN_NAME: Final = {socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_AGAIN, socket.EAI_FAIL}


class ExchangeError(Exception):
    """What Locust is told of a failure; the text is one of a few, for Locust counts failures by it."""

    def __repr__(self) -> str:
        return str(self)


_MEANING: Final = {
    "refused": "refused: nobody listens there, or the server is full",
    "timeout": "timeout: no connection within 5 s, or no reply within 30 s",
    "corrupt": "corrupt: other bytes than the right reply",
    "closed": "closed: the connection was closed before the reply",
    "reset": "reset: the connection was reset",
    "no_port": "no_port: this machine has no local port left; fewer connects per second, or net.ipv4.tcp_tw_reuse=1",
    "failed": "failed: cannot connect",
}
ERRORS: Final = {outcome: ExchangeError(text) for outcome, text in _MEANING.items()}
"""By outcome; a good one is not in it."""


def split_address(text: str) -> tuple[str, int]:
    """Return (host, port) of "host:port" or "[address]:port"; ValueError if it is neither."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is no host:port")
    return host, int(port)


def of_connect(error: OSError, *, known: bool = False) -> str:
    """
    Return which of recorder.CONNECTIONS an error of connect(), or of looking the name up, is.

    known: the name was known before, or the host was reached: then it is the server that has gone, for the name service
    of containers forgets the name of one that has ended, and nobody answers at its address.
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
    """Whether nobody knows the name; a name service in front of another may only say that it can't tell for now."""
    return isinstance(error, socket.gaierror) and error.errno in _UNKNOWN_NAME


_IDLE: Final = (b"ERR no request for ", b" s\n")
"""How the lab's servers begin and end the line with which they close an idle connection (servers/session.py)."""


def may_be_idle_deadline(said: bytes) -> bool:
    """Whether what a server has said unasked may still become its idle deadline's line."""
    start, _ = _IDLE
    begins = start.startswith(said) or said.startswith(start)
    return begins and len(said) < 64 and said.find(b"\n") in {-1, len(said) - 1}


def is_idle_deadline(said: bytes) -> bool:
    """Whether a server has said, in its own words, that it closes an idle connection."""
    start, end = _IDLE
    seconds = said.removeprefix(start).removesuffix(end)
    return said == start + seconds + end and seconds.replace(b".", b"", 1).isdigit()


def is_unfinished(received: bytes, reply: bytes) -> bool:
    """Whether the right reply may yet come of what was received so far."""
    return len(received) < len(reply) and reply.startswith(received)


def of_reply(received: bytes, reply: bytes) -> str:
    """Return which of recorder.OUTCOMES it is that this was received, and no more comes or is waited for."""
    if received == reply:
        return "verified"
    if received.startswith(b"ERR ") and reply.startswith(b"OK "):  # and not in the middle of a reply
        return "refused"
    return "closed" if reply.startswith(received) else "corrupt"


def of_unasked(received: bytes) -> str:
    """Return which of recorder.OUTCOMES a request meets whose connection has brought bytes before it was sent."""
    return "refused" if received.startswith(b"ERR ") else "corrupt"
