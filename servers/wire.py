"""
The wire protocol: bytes in, requests and replies out; no sockets, no clocks.

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
from typing import Final

MAX_LINE: Final = 64 * 1024
"""The longest line in bytes, without its line end."""

BATCH: Final = 512
"""
Lines cut at once; the rest stays bytes until they are answered, to bound memory.

64 KiB of one-byte lines become 32,768 objects, 1.4 MB in all; each empty line causes an ERR of some 60 bytes.
"""

LF, CR = b"\n\r"
"""As integers: finding an integer in bytes is ten times as fast as finding bytes."""

MAX_SLEEP_MS: Final = 10_000
MAX_WORK_ROUNDS: Final = 1_000_000


class Command(IntEnum):
    """The requests. The values are indices in a list of counts."""

    ECHO = 0
    SLEEP = 1
    WORK = 2
    QUIT = 3


ECHO, SLEEP, WORK, QUIT = Command
"""Aliases: every request is compared with these, and `Command.ECHO` costs one more look-up."""

Request = tuple[Command, int, bytes]
"""
A request: its command; milliseconds (SLEEP), rounds (WORK) or 0; and its reply's tail after OK: empty, or a space and
the text. A plain tuple: making a named one costs more than parsing a line (300 ns).
"""


class BadRequestError(ValueError):
    """
    A line that is not a request.

    kind: its label in the metrics. reason: the text after ERR. fatal: the server then closes the connection.
    """

    def __init__(self, kind: str, reason: str, *, fatal: bool = False) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.fatal = fatal


class Framer:
    """
    Cuts a stream of bytes into lines, a batch at a time.

    unfinished: the line that has begun and not ended; None if there is none, or it is still in `uncut`.
    uncut: bytes that hold further lines, for `more`; may be empty.
    """

    __slots__ = ("_batch", "uncut", "unfinished")

    def __init__(self, batch: int = BATCH) -> None:
        self.unfinished: bytearray | None = None
        self.uncut = b""
        self._batch = batch

    def more(self) -> list[bytes]:
        """Return the next batch of lines from `uncut`."""
        data = self.uncut
        self.uncut = b""
        return self.feed(data)

    def feed(self, data: bytes) -> list[bytes]:
        """
        Return the first batch of the lines that `data` completes, in order, without their line ends.

        Call `more` until `uncut` is empty before the next `feed`.
        An unfinished line that is already too long is returned too; `parse` refuses it.
        """
        if self.unfinished is not None:
            self.unfinished += data
            if LF not in data and not _hopeless(self.unfinished):
                return []
            data = bytes(self.unfinished)
            self.unfinished = None
        lines = data.split(b"\n", self._batch)
        rest = lines.pop()
        if rest:
            if LF in rest:
                self.uncut = rest
            elif _hopeless(rest):
                lines.append(rest)
            else:
                self.unfinished = bytearray(rest)
        if CR in data:
            return [line.removesuffix(b"\r") for line in lines]
        return lines


def _hopeless(unfinished: bytes | bytearray) -> bool:
    """Return whether the line exceeds the limit whatever follows; a last CR may still belong to the line end."""
    return len(unfinished) > MAX_LINE + unfinished.endswith(b"\r")


def parse(line: bytes) -> Request:
    """Return the request in `line` (without its line end); BadRequestError if it is none."""
    if len(line) > MAX_LINE:
        raise BadRequestError("overlong", f"a line may have {MAX_LINE} bytes", fatal=True)
    if line[:5] == b"ECHO " or line == b"ECHO":
        return ECHO, 0, line[4:]
    word, _, rest = line.partition(b" ")
    if word == b"SLEEP":
        return SLEEP, *_amount(rest, MAX_SLEEP_MS, "SLEEP takes milliseconds from 0 to 10000, then the text")
    if word == b"WORK":
        return WORK, *_amount(rest, MAX_WORK_ROUNDS, "WORK takes rounds from 0 to 1000000, then the text")
    if line == b"QUIT":
        return QUIT, 0, b""
    raise BadRequestError("unknown", "unknown request; there are ECHO, SLEEP, WORK and QUIT")


def _amount(rest: bytes, limit: int, reason: str) -> tuple[int, bytes]:
    """Split `<number>[ <text>]`; only ASCII digits, since int() also accepts signs, blanks and underscores."""
    digits, space, text = rest.partition(b" ")
    if not digits.isdigit() or len(digits) > len(str(limit)) or int(digits) > limit:
        raise BadRequestError("argument", reason)
    return int(digits), space + text


def whole_echo(data: bytes) -> bytes | None:
    """
    Return the reply if `data` is exactly one ECHO line, else None.

    A fast path past framing and parsing, which must give the same reply: without it a server's CPU per request is
    1.4 times that of one that parses nothing, with it 1.2 (`make bench`).
    """
    if data[:5] == b"ECHO " and data.find(LF) == len(data) - 1 < MAX_LINE and CR not in data:
        return b"OK" + data[4:]
    return None


def ok(tail: bytes = b"") -> bytes:
    """Return the reply `OK`, the request's tail, LF."""
    return b"OK%b\n" % tail


def err(reason: str) -> bytes:
    """Return the reply that says why a request or a client was refused."""
    return b"ERR %b\n" % reason.encode()
