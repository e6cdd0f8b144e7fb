"""Deadlines: the errors for late clients, and the task that finds them in an event loop."""

import asyncio
from time import monotonic
from typing import Final, Protocol

from servers.session import Deadlines, Session

LOOKS: Final = 8
"""Checks of `reap` within the shortest deadline: no client exceeds it by more than an eighth."""

TURNS: Final = 3
"""Turns in which the loop has read, passed on and answered what had arrived before."""


class OverdueError(TimeoutError):
    """The client has not sent its next request, or the rest of its line, by the deadline."""


class UnreadError(TimeoutError):
    """The client has not taken its replies by the write deadline."""


class Awaited(Protocol):
    """A connection that waits for its client's bytes."""

    session: Session

    def expire(self) -> None:
        """End it because its deadline has passed."""


async def reap(awaited: set[Awaited], deadlines: Deadlines) -> None:
    """
    End each connection in `awaited` whose deadline has passed; run until cancelled.

    A check takes a microsecond for ten clients; a timer for each read would cost a request more than its parsing.
    Before a check the loop reads what has arrived: after the process was stopped or busy, timers run first, and a
    client that has met its deadline would be ended because the server was late.
    """
    pause = min(deadlines.idle, deadlines.line) / LOOKS
    while True:
        await asyncio.sleep(pause)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        now = monotonic()
        for connection in [each for each in awaited if each.session.deadline <= now]:
            awaited.discard(connection)
            connection.expire()
