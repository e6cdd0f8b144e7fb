"""The models of an event loop in the test's own process, with small buffers: little is unsent before it shows."""

import asyncio
import socket
from collections.abc import Callable

from servers.connections.listener import listen
from servers.connections.protocol import ProtocolListener
from servers.connections.streams import StreamListener
from servers.connections.timeouts import reap
from servers.models import asyncio_protocol, asyncio_streams
from servers.session import Deadlines
from servers.stats import Stats, Total

Play = Callable[[tuple[str, int]], None]
"""What the clients do, at this address."""

SMALL = 4096
"""Bytes of a small socket buffer; the kernel makes some more of it."""


def small_client(address: tuple[str, int]) -> socket.socket:
    """Connect a client that takes little unread."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    client.settimeout(20)
    client.connect(address)
    return client


def start(
    listening: socket.socket, deadlines: Deadlines, *, streams: bool
) -> tuple[StreamListener | ProtocolListener, asyncio.Task[None]]:
    """Serve over streams, or by the Protocol; return the listener, and the task that ends when it is closed."""
    if streams:
        over = StreamListener(listening, 10, Stats(), deadlines)
        return over, asyncio.create_task(asyncio_streams.serve(over))
    called = ProtocolListener(listening, 10, Stats(), deadlines)
    return called, asyncio.create_task(asyncio_protocol.serve(called))


def served(
    streams: bool,
    deadlines: Deadlines,
    play: Play,
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> Total:
    """Serve over streams, or by the Protocol, until `play` is over and all have left; return what was counted."""

    async def serve(listening: socket.socket) -> Total:
        listener, serving = start(listening, deadlines, streams=streams)
        reaping = asyncio.create_task(reap(listener.awaited, deadlines))
        await asyncio.to_thread(play, listening.getsockname())
        async with asyncio.timeout(20):
            while listener.clients:
                await asyncio.sleep(0.01)
            listener.close()
            await serving
        reaping.cancel()
        return listener.stats.total()

    with listen("127.0.0.1", 0, 8) as listening, asyncio.Runner(loop_factory=new_loop) as runner:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        return runner.run(serve(listening))


def counted(counts: dict[str, int]) -> dict[str, int]:
    """Return what was counted at all."""
    return {name: count for name, count in counts.items() if count}
