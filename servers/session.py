"""
The policy of a conversation with one client: order, limits, errors, half-close, deadlines.

No I/O and no waiting: a model passes in bytes and sends the replies. A socket, a sleep or a timeout in this module
would make the servers differ in more than their model; those belong in `connections/`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from time import monotonic

from servers import wire, work
from servers.stats import Counts

Answers = Iterable[tuple[bytes, float | None]]
"""
Replies, each with the seconds to wait before asking for the next one.

None: no wait. 0.0: let other clients run.
"""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """
    How long a client may take, in seconds.

    idle: to begin its next request. line: from a line's first byte to its end, however slowly bytes drip in.
    write: to take the replies. linger: to drain its input after the last reply, so that closing does not reset the
    connection before that reply has arrived.
    """

    idle: float
    line: float
    write: float
    linger: float = 1.0


@dataclass(slots=True)
class LastCall:
    """
    When a server that shuts down stops reading from its clients; all its sessions share one object.

    Without it, a client that never stops sending would be cut off in the middle of a reply when the grace ends.
    at: monotonic clock, seconds; infinity while the server runs.
    """

    at: float = inf


class Session:
    """
    One client's conversation.

    outcome: why it ended, None while it goes on; the connection's label in the metrics.
    linger: whether input must be drained before closing.
    unfinished: whether the client has begun a line; the line's deadline then applies, and more bytes don't extend it.
    counts: the counters it writes to.
    """

    __slots__ = (
        "_deadlines",
        "_framer",
        "_last_call",
        "_lines",
        "_owing",
        "_pause",
        "_sleeping",
        "counts",
        "linger",
        "outcome",
        "unfinished",
    )

    def __init__(self, deadlines: Deadlines, counts: Counts, last_call: LastCall) -> None:
        self._deadlines = deadlines
        self._last_call = last_call
        self.counts = counts
        self._framer = wire.Framer()  # cuts a batch; after each the replies are sent and other clients run
        self._lines: list[bytes] = []  # received and not yet answered, the next one last
        self._sleeping: tuple[bytes, float] | None = None  # a SLEEP's text, and when its service began
        self._pause: float | None = None
        self.unfinished = False
        self.outcome: str | None = None
        self.linger = False
        self._owing = monotonic()  # since when we wait for the client's bytes

    @property
    def deadline(self) -> float:
        """When (monotonic clock, seconds) the client's next bytes are due."""
        return self._owing + (self._deadlines.line if self.unfinished else self._deadlines.idle)

    def answer(self, data: bytes) -> Answers:
        """
        Take what the client has sent; return the answers, all of which must be consumed before the next call.

        Empty data mean that a pause is over: a model that could not iterate across it gets the remaining answers.
        """
        now = monotonic()
        if now > self._last_call.at and data:
            self.linger = True
            return ((self._end_of_input(), None),)
        if not self.unfinished and (reply := wire.whole_echo(data)):
            self._owing = now
            self.counts.echoed(monotonic() - now, len(data), len(reply))
            return ((reply, None),)
        if not data:
            return self._answers(self._go_on())
        self.counts.received(len(data))
        had_begun = self.unfinished
        lines = self._framer.feed(data)
        self.unfinished = self._framer.unfinished is not None
        if lines or not had_begun:
            self._owing = now
        lines.reverse()
        self._lines = lines
        return self._answers(self._answer(now))

    def replies_taken(self) -> None:
        """Restart the idle deadline: the client was not silent, it was taking its replies."""
        self._owing = monotonic()

    def expire(self) -> bytes:
        """End the session because its deadline has passed; return the last reply."""
        if self.unfinished:
            return self._end("dripping", f"a line must end within {self._deadlines.line:g} s")
        return self._end("idle", f"no request for {self._deadlines.idle:g} s")

    def finish(self) -> bytes:
        """End the session, if it still goes on, because the client sends no more; return the last reply."""
        return b"" if self.outcome else self._end_of_input()

    def _answers(self, reply: bytes) -> Answers:
        """Yield `reply`, then the replies after each pause."""
        while self._pause is not None:
            yield reply, self._pause
            reply = self._go_on()
        yield reply, None

    def _go_on(self) -> bytes:
        """Return the replies after a pause, up to the next one."""
        # The pause was our time: it does not count towards the client's deadline.
        self._owing = now = monotonic()
        reply = self._wake(now)
        if not self._lines and self._framer.uncut:
            self._lines = self._framer.more()
            self._lines.reverse()
            self.unfinished = self._framer.unfinished is not None
        return reply + self._answer(now)

    def _wake(self, now: float) -> bytes:
        """Return the reply to the SLEEP that ends now; empty if none does."""
        if self._sleeping is None:
            return b""
        said, since = self._sleeping
        self._sleeping = None
        reply = wire.ok(said)
        self.counts.answered(wire.SLEEP, now - since)
        self.counts.sent(len(reply))
        return reply

    def _answer(self, now: float) -> bytes:
        """Answer the received lines up to a pause; service of the first begins `now`."""
        lines = self._lines
        replies: list[bytes] = []
        self._pause = None
        while lines:
            try:
                command, amount, tail = wire.parse(lines.pop())
            except wire.BadRequestError as bad:
                replies.append(wire.err(bad.reason))
                self.counts.failed(bad.kind)
                if bad.fatal:
                    self._close(bad.kind)
            else:
                if command is not wire.ECHO:
                    if command is wire.SLEEP:
                        self._sleeping = tail, now
                        self._pause = amount / 1000
                        break
                    if command is wire.WORK:
                        work.burn(amount)
                        self._pause = 0.0 if lines else None
                    else:
                        self._close("quit")
                replies.append(wire.ok(tail))
                done = monotonic()
                self.counts.answered(command, done - now)
                if self._pause is not None:
                    break
                now = done
        if self._pause is None and self._framer.uncut:
            self._pause = 0.0
        reply = b"".join(replies)
        self.counts.sent(len(reply))
        return reply

    def _close(self, outcome: str) -> None:
        self.outcome = outcome
        # While input is unread or still arriving, closing would reset the connection before the client reads the reply.
        self.linger = outcome == "overlong" or bool(self._lines or self._framer.uncut) or self.unfinished
        self._lines.clear()
        self._framer = wire.Framer()
        self.unfinished = False

    def _end_of_input(self) -> bytes:
        self.outcome = "closed"
        return self._error("unfinished", "the last line has no line end") if self.unfinished else b""

    def _end(self, kind: str, reason: str) -> bytes:
        self.outcome = kind
        self.linger = True  # otherwise bytes that arrive now would reset the connection and lose its replies
        return self._error(kind, reason)

    def _error(self, kind: str, reason: str) -> bytes:
        reply = wire.err(reason)
        self.counts.failed(kind)
        self.counts.sent(len(reply))
        return reply
