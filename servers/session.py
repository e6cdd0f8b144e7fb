"""
The policy of a conversation with one client: order, limits, errors, half-close, deadlines.

It does no I/O and never waits: a model hands in bytes and sends the replies. A clock read for a timeout, a socket or a
sleep in here would make the servers differ in more than their model; that belongs into `connections/`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from time import monotonic

from servers import wire, work
from servers.stats import Counts

Answers = Iterable[tuple[bytes, float | None]]
"""
Replies, each with how long to wait before the next is asked for: seconds; None if there is nothing to wait for.

0.0 gives others their turn.
"""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """
    How long a client may take, in seconds.

    idle: until it begins its next request. line: from the first byte of a line to its end, so that a client that drips
    bytes gains nothing by them. write: until it has taken the replies. linger: how long input is drained after the
    last reply, so that closing does not reset the connection before that reply has arrived.
    """

    idle: float
    line: float
    write: float
    linger: float = 1.0


@dataclass(slots=True)
class LastCall:
    """
    When a server that shuts down takes up no more of what its clients send; one object for all its sessions.

    Without it a client that never stops sending is served until the grace is over, and ended amid a reply.
    at: monotonic clock, seconds; infinity while the server runs.
    """

    at: float = inf


class Session:
    """
    One client's conversation.

    outcome: why it is over, None while it goes on; the label of the connection in the metrics.
    linger: whether input must be drained before closing.
    unfinished: whether the client has begun a line: the deadline is then the line's, and bytes don't put it off.
    counts: what it counts in.
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
        self._framer = wire.Framer()  # cuts a batch, after which the replies must be sent and others get their turn
        self._lines: list[bytes] = []  # received and not yet answered, the next one last
        self._sleeping: tuple[bytes, float] | None = None  # what a SLEEP says when it ends, and since when it is served
        self._pause: float | None = None
        self.unfinished = False
        self.outcome: str | None = None
        self.linger = False
        self._owing = monotonic()  # since when the client owes bytes: a line's rest, or its next request

    @property
    def deadline(self) -> float:
        """When (monotonic clock, seconds) the client's next bytes are due."""
        return self._owing + (self._deadlines.line if self.unfinished else self._deadlines.idle)

    def answer(self, data: bytes) -> Answers:
        """
        Take what the client has sent; return the answers, which must be gone through before more is taken.

        No data: a pause is over. A model that could not ask for the rest of the answers gets it so.
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
        """Note that the client has taken its replies late: until now it was not silent, it was sent to."""
        self._owing = monotonic()

    def expire(self) -> bytes:
        """End the session because the deadline has passed; return what the client is told."""
        if self.unfinished:
            return self._end("dripping", f"a line must end within {self._deadlines.line:g} s")
        return self._end("idle", f"no request for {self._deadlines.idle:g} s")

    def finish(self) -> bytes:
        """End the session, for the client will send no more, if it goes on; return what the client is told."""
        return b"" if self.outcome else self._end_of_input()

    def _answers(self, reply: bytes) -> Answers:
        """Yield the replies up to each pause, and go on after it; `reply`: the first of them."""
        while self._pause is not None:
            yield reply, self._pause
            reply = self._go_on()
        yield reply, None

    def _go_on(self) -> bytes:
        """Return the replies after a pause, up to the next one."""
        # The time that the client waited for us was not its own.
        self._owing = now = monotonic()
        reply = self._wake(now)
        if not self._lines and self._framer.uncut:
            self._lines = self._framer.more()
            self._lines.reverse()
            self.unfinished = self._framer.unfinished is not None
        return reply + self._answer(now)

    def _wake(self, now: float) -> bytes:
        """Return the reply to the SLEEP that ends now, if there is one."""
        if self._sleeping is None:
            return b""
        said, since = self._sleeping
        self._sleeping = None
        reply = wire.ok(said)
        self.counts.answered(wire.SLEEP, now - since)
        self.counts.sent(len(reply))
        return reply

    def _answer(self, now: float) -> bytes:
        """Answer the lines at hand, up to a pause; `now` is when the first of them is taken up."""
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
        # Where more has come, or is still to come, closing at once would reset the connection before the reply is read.
        self.linger = outcome == "overlong" or bool(self._lines or self._framer.uncut) or self.unfinished
        self._lines.clear()
        self._framer = wire.Framer()
        self.unfinished = False

    def _end_of_input(self) -> bytes:
        self.outcome = "closed"
        return self._error("unfinished", "the last line has no line end") if self.unfinished else b""

    def _end(self, kind: str, reason: str) -> bytes:
        self.outcome = kind
        self.linger = True  # what it may be sending just now would reset the connection, and its replies with it
        return self._error(kind, reason)

    def _error(self, kind: str, reason: str) -> bytes:
        reply = wire.err(reason)
        self.counts.failed(kind)
        self.counts.sent(len(reply))
        return reply
