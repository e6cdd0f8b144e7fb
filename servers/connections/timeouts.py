"""Clients that are too late: how that is raised, and who looks for them in an event loop."""

import asyncio
from time import monotonic
from typing import Final, Protocol

from servers.session import Deadlines, Session

LOOKS: Final = 8
"""How often `reap` looks within the shortest deadline: no client overstays by more than an eighth of it."""

TURNS: Final = 3
"""Turns of the loop within which it has read, handed over and answered what had arrived before."""


class OverdueError(TimeoutError):
    """The client has not sent its next request, or the rest of its line, by the deadline."""


class UnreadError(TimeoutError):
    """The client has not taken its replies by the write deadline."""


class Awaited(Protocol):
    """A connection whose client's bytes are awaited."""

    session: Session

    def expire(self) -> None:
        """End it: its deadline has passed."""


async def reap(awaited: set[Awaited], deadlines: Deadlines) -> None:
    """
    Take out of `awaited` each connection whose client's bytes are overdue, and end it; for ever.

    One look over all of them now and then costs a microsecond for ten clients; a timer for each read would cost each
    request more than its parsing. Before it looks it lets the loop read what has arrived: when the process was stopped
    or busy, timers are due first, and a client that has kept its deadline would be ended for the server's lateness.
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
