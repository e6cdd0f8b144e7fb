"""An event loop: one thread goes on with whoever has something to read; `await` is where it changes over."""

from asyncio import TaskGroup
from collections.abc import Callable, Coroutine
from socket import socket

from servers.listener import Listener


async def serve(listener: Listener, converse: Callable[[socket], Coroutine[None, None, None]]) -> None:
    """Start a task for each client, and accept the next as soon as the others let go of the loop."""
    async with TaskGroup() as tasks:
        async for client in listener:
            tasks.create_task(converse(client))
