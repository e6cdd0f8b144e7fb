"""
The policy of a conversation with one client: order, limits, errors, half-close, deadlines.

It does no I/O and never waits: a driver hands in bytes and sends what comes back. Whoever reads a clock for a timeout,
touches a socket or sleeps in here makes the servers differ in more than their model; that belongs into a driver.
"""

from dataclasses import dataclass
from math import inf
from time import monotonic

from servers import wire, work
from servers.tally import Tally


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
    When a server that shuts down takes up no more of what its clients send; one object for all its conversations.

    Without it a client that never stops sending is served until the grace is over, and ended amid a reply.
    at: monotonic clock, seconds; infinity while the server runs.
    """

    at: float = inf


class Conversation:
    """
    One client's conversation, whoever moves its bytes.

    A driver sends what `receive` returns; while `pause` is not None, it waits so many seconds and sends what `resume`
    returns; it goes on until there is an `outcome`, and then closes (after draining the input, if `linger`).

    pause: seconds to wait before `resume`; 0.0 gives others their turn; None when the client's bytes are wanted.
    outcome: why the conversation is over, None while it goes on; the label of the connection in the metrics.
    linger: whether input must be drained before closing.
    tally: what counts it.
    """

    __slots__ = (
        "_deadlines",
        "_framer",
        "_held",
        "_last_call",
        "_lines",
        "_owing",
        "_since",
        "linger",
        "outcome",
        "pause",
        "tally",
    )

    def __init__(self, deadlines: Deadlines, tally: Tally, last_call: LastCall) -> None:
        self._deadlines = deadlines
        self._last_call = last_call
        self.tally = tally
        self._framer = wire.Framer()  # cuts a batch, after which the replies must be sent and others get their turn
        self._lines: list[bytes] = []  # received and not yet answered, the next one last
        self._held: bytes | None = None  # what a SLEEP says when it ends, and since when it is served
        self._since = 0.0
        self.pause: float | None = None
        self.outcome: str | None = None
        self.linger = False
        self._owing = monotonic()  # since when the client owes bytes: a line's rest, or its next request

    @property
    def unfinished(self) -> bool:
        """Whether the client has begun a line: the deadline is then the line's, and bytes don't put it off."""
        return self._framer.unfinished is not None

    @property
    def deadline(self) -> float:
        """When (monotonic clock, seconds) the client's bytes are due, if there is no pause."""
        return self._owing + (self._deadlines.line if self.unfinished else self._deadlines.idle)

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the client (empty: it will send no more) and return the replies due now."""
        now = monotonic()
        if not data or now > self._last_call.at:
            self.linger = bool(data)
            return self._end_of_input()
        tally = self.tally
        framer = self._framer
        tally.received += len(data)
        if framer.unfinished is None and (reply := wire.whole_echo(data)):
            self._owing = now
            tally.sent += len(reply)
            tally.answered(wire.ECHO, monotonic() - now)
            return reply
        had_begun = framer.unfinished
        lines = framer.feed(data)
        if lines or had_begun is None:
            self._owing = now
        lines.reverse()
        self._lines = lines
        return self._answer(now)

    def replies_taken(self) -> None:
        """Note that the client has taken its replies late: until now it was not silent, it was sent to."""
        self._owing = monotonic()

    def resume(self) -> bytes:
        """Go on after a pause; return the replies due now."""
        now = monotonic()
        # The time that the client waited for us was not its own.
        self._owing = now
        held = b""
        if self._held is not None:
            held = wire.ok(self._held)
            self._held = None
            self.tally.sent += len(held)
            self.tally.answered(wire.SLEEP, now - self._since)
        if not self._lines and self._framer.uncut:
            self._lines = self._framer.more()
            self._lines.reverse()
        return held + self._answer(now)

    def expire(self) -> bytes:
        """End the conversation because the deadline has passed; return what the client is told."""
        if self.unfinished:
            return self._end("dripping", f"a line must end within {self._deadlines.line:g} s")
        return self._end("idle", f"no request for {self._deadlines.idle:g} s")

    def _end_of_input(self) -> bytes:
        self.outcome = "closed"
        if not self.unfinished:
            return b""
        return self._error("unfinished", "the last line has no line end")

    def _answer(self, now: float) -> bytes:
        """Answer the lines at hand, up to a pause; `now` is when the first of them is taken up."""
        lines = self._lines
        replies: list[bytes] = []
        self.pause = None
        while lines:
            try:
                command, amount, tail = wire.parse(lines.pop())
            except wire.BadRequestError as bad:
                replies.append(wire.err(bad.reason))
                self.tally.failed(bad.kind)
                if bad.fatal:
                    self._close(bad.kind)
            else:
                if command is not wire.ECHO:
                    if command is wire.SLEEP:
                        self._held, self._since = tail, now
                        self.pause = amount / 1000
                        break
                    if command is wire.WORK:
                        work.burn(amount)
                        self.pause = 0.0 if lines else None
                    else:
                        self._close("quit")
                replies.append(wire.ok(tail))
                done = monotonic()
                self.tally.answered(command, done - now)
                if self.pause is not None:
                    break
                now = done
        if self.pause is None and self._framer.uncut:
            self.pause = 0.0
        reply = b"".join(replies)
        self.tally.sent += len(reply)
        return reply

    def _close(self, outcome: str) -> None:
        self.outcome = outcome
        # Where more has come, or is still to come, closing at once would reset the connection before the reply is read.
        self.linger = outcome == "overlong" or bool(self._lines or self._framer.uncut) or self.unfinished
        self._lines.clear()
        self._framer = wire.Framer()

    def _end(self, kind: str, reason: str) -> bytes:
        self.outcome = kind
        self.linger = True  # what it may be sending just now would reset the connection, and its replies with it
        return self._error(kind, reason)

    def _error(self, kind: str, reason: str) -> bytes:
        reply = wire.err(reason)
        self.tally.failed(kind)
        self.tally.sent += len(reply)
        return reply
