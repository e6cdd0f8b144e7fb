"""Serve from an event loop until the last client has left."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from servers.connections.protocol import ProtocolListener
from servers.connections.streams import StreamListener
from servers.connections.timeouts import reap

LoopListener = StreamListener | ProtocolListener

NewLoop = Callable[[], asyncio.AbstractEventLoop]

FAREWELL: Final = 0.01
"""Seconds between two checks whether the last client has left."""


async def serve_and_reap(serve: Callable[..., Awaitable[None]], listener: LoopListener) -> None:
    """Run the model's coroutine, and beside it what ends late clients."""
    reaper = asyncio.create_task(reap(listener.awaited, listener.deadlines))
    await serve(listener)
    while listener.clients:
        await asyncio.sleep(FAREWELL)
    reaper.cancel()
