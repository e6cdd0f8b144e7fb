"""What a worker does in its process: serve from an event loop, count in its own block, end with its parent."""

import asyncio
import mmap
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from servers.connections.streams import StreamListener
from servers.event_loop import NewLoop, serve_and_reap
from servers.processes import end_with
from servers.session import Deadlines
from servers.shutdown import stop_on_signals
from servers.stats import Stats

Accept = Callable[[StreamListener], Awaitable[None]]
"""A model's coroutine: it accepts clients until the listener is closed."""


@dataclass(frozen=True, slots=True)
class Common:
    """
    What all workers share.

    stats: with a block for each worker. grace: seconds. forked: called in the new process, with the worker's number.
    ready: a byte for each worker, 1 once it accepts; in memory that all processes share.
    parent_lives, held_by_parent: the ends of a pipe; the first can be read once the parent has ended.
    """

    limit: int
    stats: Stats
    deadlines: Deadlines
    grace: float
    new_loop: NewLoop
    forked: Callable[[int], None]
    ready: mmap.mmap
    parent_lives: int
    held_by_parent: int


class WorkerListener(StreamListener):
    """Accepts from a socket that the parent and perhaps other workers use too: to close it only leaves it."""

    def __init__(self, listening: socket.socket, common: Common) -> None:
        super().__init__(listening, common.limit, common.stats, common.deadlines)
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Accept no more and wake up a waiting accept(). Call it from any thread."""
        self.stopping = True
        if self._readable is not None:
            with suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._readable.set)


def run(number: int, accept: Accept, listening: socket.socket, common: Common) -> None:
    """Be worker `number` in the process that was forked for it, until SIGTERM or the parent's end."""
    os.close(common.held_by_parent)
    common.stats.own = common.stats.blocks[number]
    common.forked(number)
    threading.Thread(target=end_with, args=(common.parent_lives,), name="parent", daemon=True).start()
    with asyncio.Runner(loop_factory=common.new_loop) as runner:
        runner.run(_serve(number, accept, listening, common))


async def _serve(number: int, accept: Accept, listening: socket.socket, common: Common) -> None:
    listener = WorkerListener(listening, common)
    stop_on_signals(listener, common.grace)
    common.ready[number - 1] = 1
    await serve_and_reap(accept, listener)
