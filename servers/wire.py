"""
The wire: bytes in, requests and replies out. It knows no sockets and no clocks.

A request is a line, so that a person can type it into nc:

    ECHO <text>          ->  OK <text>        at once
    SLEEP <ms> <text>    ->  OK <text>        after waiting 0 to 10,000 ms
    WORK <n> <text>      ->  OK <text>        after n rounds of work on the CPU, 0 to 1,000,000
    QUIT                 ->  OK               and the server closes
    anything else        ->  ERR <reason>     and the conversation goes on
    a line over 64 KiB   ->  ERR <reason>     and the server closes

Lines end in LF; a CR before it is ignored. Text is any bytes but LF, and may be missing.
"""

from enum import IntEnum
from typing import Final, NamedTuple

MAX_LINE: Final = 64 * 1024
"""The longest line in bytes, without its line end."""

MAX_SLEEP_MS: Final = 10_000
MAX_WORK_ROUNDS: Final = 1_000_000


class Command(IntEnum):
    """What a client can ask for. The values are positions in a tally's list of counts."""

    ECHO = 0
    SLEEP = 1
    WORK = 2
    QUIT = 3


class Request(NamedTuple):
    """
    One request.

    command: what is asked for.
    amount: milliseconds (SLEEP) or rounds (WORK), 0 for the others.
    tail: what the reply says after OK: empty, or a space and the text.
    """

    command: Command
    amount: int
    tail: bytes


class BadRequestError(ValueError):
    """
    A line that is no request.

    kind: its label in the metrics. reason: what the client is told. fatal: the server closes after saying so.
    """

    def __init__(self, kind: str, reason: str, *, fatal: bool = False) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.fatal = fatal


class Framer:
    """Cuts a stream of bytes into lines, however the stream arrives in pieces. Holds at most one unfinished line."""

    __slots__ = ("_unfinished",)

    def __init__(self) -> None:
        self._unfinished: bytearray | None = None

    @property
    def unfinished(self) -> bool:
        """Whether a line has begun and not ended."""
        return self._unfinished is not None

    def feed(self, data: bytes) -> list[bytes]:
        r"""
        Return the lines that `data` completes, in order, without their LF.

        An unfinished line that is already too long is returned too, for it can only be refused: `parse` does.
        """
        if self._unfinished is not None:
            self._unfinished += data
            if b"\n" not in data and not _hopeless(self._unfinished):
                return []
            data = bytes(self._unfinished)
            self._unfinished = None
        lines = data.split(b"\n")
        rest = lines.pop()
        if rest:
            if _hopeless(rest):
                lines.append(rest)
            else:
                self._unfinished = bytearray(rest)
        return lines


def _hopeless(unfinished: bytes | bytearray) -> bool:
    """Whether the line is over the limit whatever follows; a last CR may still turn out to be part of the line end."""
    return len(unfinished) > MAX_LINE + unfinished.endswith(b"\r")


def parse(line: bytes) -> Request:
    """Return the request that `line` (without LF) makes; raise BadRequestError if it makes none."""
    if line.endswith(b"\r"):
        line = line[:-1]
    if len(line) > MAX_LINE:
        raise BadRequestError("overlong", f"a line may have {MAX_LINE} bytes", fatal=True)
    word, space, rest = line.partition(b" ")
    if word == b"ECHO":
        return Request(Command.ECHO, 0, space + rest)
    if word == b"SLEEP":
        amount, tail = _amount(rest, MAX_SLEEP_MS, "SLEEP takes milliseconds from 0 to 10000, then the text")
        return Request(Command.SLEEP, amount, tail)
    if word == b"WORK":
        amount, tail = _amount(rest, MAX_WORK_ROUNDS, "WORK takes rounds from 0 to 1000000, then the text")
        return Request(Command.WORK, amount, tail)
    if line == b"QUIT":
        return Request(Command.QUIT, 0, b"")
    raise BadRequestError("unknown", "unknown request; there are ECHO, SLEEP, WORK and QUIT")


def _amount(rest: bytes, limit: int, reason: str) -> tuple[int, bytes]:
    """Split `<number>[ <text>]`; only plain ASCII digits, for int() would also take signs, blanks and underscores."""
    digits, space, text = rest.partition(b" ")
    if not digits.isdigit() or len(digits) > len(str(limit)) or int(digits) > limit:
        raise BadRequestError("argument", reason)
    return int(digits), space + text


def ok(tail: bytes = b"") -> bytes:
    """Return the reply to a request with this tail: `OK`, the tail, LF."""
    return b"OK%b\n" % tail


def err(reason: str) -> bytes:
    """Return the reply that says why a request (or a client) was refused."""
    return b"ERR %b\n" % reason.encode()
