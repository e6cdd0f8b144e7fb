"""Ends conversations whose deadline has passed: for the models that serve everybody from one thread."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeVar

from servers.conversation import Conversation, Deadlines

LOOKS: Final = 8
"""How often the reaper looks within the shortest deadline: no client overstays by more than an eighth of it."""

TURNS: Final = 3
"""Turns of the loop within which it has read, handed over and answered what had arrived before."""

Waiting = TypeVar("Waiting")


async def reap(
    awaited: dict[Conversation, Waiting], deadlines: Deadlines, end: Callable[[Conversation, Waiting], None]
) -> None:
    """
    Take out of `awaited` each conversation whose client's bytes are overdue, and `end` it; for ever.

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
        for talk, waiting in list(awaited.items()):
            if talk.deadline <= now:
                del awaited[talk]
                end(talk, waiting)
