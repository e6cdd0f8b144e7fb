"""
The policy of a conversation with one client: order, limits, errors, half-close, deadlines.

It does no I/O and never waits: a driver hands in bytes and sends what comes back. Whoever reads a clock for a timeout,
touches a socket or sleeps in here makes the servers differ in more than their model; that belongs into a driver.
"""

from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Final

from servers import wire, work
from servers.tally import Tally

BATCH: Final = 512
"""
Requests answered before the replies must be sent and others get their turn.

An empty line of one byte earns an ERR of some 60: without this, 64 KiB of them would be held as 4 MB of replies.
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


class Conversation:
    """
    One client's conversation, whoever moves its bytes.

    A driver sends what `receive` returns; while `pause` is not None, it waits so many seconds and sends what `resume`
    returns; it goes on until there is an `outcome`, and then closes (after draining the input, if `linger`).

    deadline: when (monotonic clock, seconds) the client's next bytes are due; infinite while it waits for us.
    pause: seconds to wait before `resume`; 0.0 gives others their turn; None when the client's bytes are wanted.
    outcome: why the conversation is over, None while it goes on; the label of the connection in the metrics.
    linger: whether input must be drained before closing.
    """

    __slots__ = (
        "_deadlines",
        "_framer",
        "_held",
        "_lines",
        "_since",
        "_tally",
        "deadline",
        "linger",
        "outcome",
        "pause",
    )

    def __init__(self, deadlines: Deadlines, tally: Tally) -> None:
        self._deadlines = deadlines
        self._tally = tally
        self._framer = wire.Framer()
        self._lines: list[bytes] = []  # received and not yet answered, the next one last
        self._held: wire.Request | None = None  # what is waiting, and since when it is served
        self._since = 0.0
        self.pause: float | None = None
        self.outcome: str | None = None
        self.linger = False
        self.deadline = monotonic() + deadlines.idle

    @property
    def unfinished(self) -> bool:
        """Whether the client has begun a line: the deadline is then the line's, and bytes don't put it off."""
        return self._framer.unfinished

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the client (empty: it will send no more) and return the replies due now."""
        now = monotonic()
        if not data:
            return self._end_of_input()
        self._tally.received += len(data)
        was_unfinished = self._framer.unfinished
        lines = self._framer.feed(data)
        if not self._framer.unfinished:
            self.deadline = now + self._deadlines.idle
        elif lines or not was_unfinished:
            self.deadline = now + self._deadlines.line
        lines.reverse()
        self._lines = lines
        return self._answer(now)

    def resume(self) -> bytes:
        """Go on after a pause; return the replies due now."""
        now = monotonic()
        head = b""
        if self._held is not None:
            self._tally.answered(self._held.command, now - self._since)
            head = wire.ok(self._held.tail)
            self._tally.sent += len(head)
            self._held = None
        # The time that the client waited for us is not its own.
        allowed = self._deadlines.line if self._framer.unfinished else self._deadlines.idle
        self.deadline = now + allowed
        return head + self._answer(now)

    def expire(self) -> bytes:
        """End the conversation because the deadline has passed; return what the client is told."""
        if self._framer.unfinished:
            return self._refuse("dripping", f"a line must end within {self._deadlines.line:g} s")
        return self._refuse("idle", f"no request for {self._deadlines.idle:g} s")

    def _end_of_input(self) -> bytes:
        if self._framer.unfinished:
            return self._refuse("unfinished", "the last line has no line end", outcome="closed")
        self.outcome = "closed"
        return b""

    def _answer(self, now: float) -> bytes:
        """Answer the lines at hand, up to a pause; `now` is when the first of them is taken up."""
        lines = self._lines
        replies: list[bytes] = []
        self.pause = None
        while lines:
            try:
                request = wire.parse(lines.pop())
            except wire.BadRequestError as bad:
                replies.append(self._reject(bad))
                continue_at_once = len(replies) < BATCH
            else:
                wait = work.perform(request)
                if request.command is wire.Command.SLEEP:
                    self._held, self._since = request, now
                    self.pause, self.deadline = wait, inf
                    break
                if request.command is wire.Command.QUIT:
                    self._close("quit")
                replies.append(wire.ok(request.tail))
                done = monotonic()
                self._tally.answered(request.command, done - now)
                now = done
                continue_at_once = len(replies) < BATCH and request.command is not wire.Command.WORK
            if lines and not continue_at_once:
                self.pause = 0.0
                break
        reply = replies[0] if len(replies) == 1 else b"".join(replies)
        self._tally.sent += len(reply)
        return reply

    def _reject(self, bad: wire.BadRequestError) -> bytes:
        self._tally.failed(bad.kind)
        if bad.fatal:
            self._close(bad.kind)
            self.linger = True
        return wire.err(bad.reason)

    def _close(self, outcome: str) -> None:
        self.outcome = outcome
        # More has come behind the last line, and closing over unread bytes would reset the connection.
        self.linger = bool(self._lines) or self._framer.unfinished
        self._lines.clear()

    def _refuse(self, kind: str, reason: str, outcome: str | None = None) -> bytes:
        self._tally.failed(kind)
        self.outcome = outcome or kind
        reply = wire.err(reason)
        self._tally.sent += len(reply)
        return reply
