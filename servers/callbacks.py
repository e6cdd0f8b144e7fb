"""An event loop and no `await`: whoever has something to read is called back, an object that waits for nothing."""

from asyncio import Protocol, TaskGroup, get_running_loop
from collections.abc import Callable
from functools import partial
from socket import socket

from servers.listener import Listener


async def serve(listener: Listener, converse: Callable[[socket], Protocol]) -> None:
    """Attach to each client what the loop calls back, and accept the next as soon as the others let go of the loop."""
    attach = get_running_loop().connect_accepted_socket
    async with TaskGroup() as tasks:
        async for client in listener:
            tasks.create_task(attach(partial(converse, client), client))
