"""
The fastest server for the load, to find the load's own ceiling: `python -m loadtest.lab.null_server [PORT]`.

It answers ECHO, without checks or counts, and treats each chunk that arrives as one request: the load sends one at a
time on each connection. It listens on loopback, prints `ready PORT`, and runs until it is ended.
"""

import asyncio
import sys
from typing import cast

import uvloop


class NullServer(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport's write method."""
        self._write = cast("asyncio.Transport", transport).write

    def data_received(self, data: bytes) -> None:
        """Answer with the text after the command."""
        self._write(b"OK" + data[4:])


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(NullServer, "127.0.0.1", port, backlog=4096)
    sys.stdout.write(f"ready {server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
