"""
A server of known capacity, slow beyond 200 clients: python -m tests.support.stubs.limited.

It answers ECHO after about 1 ms while at most LIMIT clients are connected, and after SLOW seconds with more. It
announces itself as the real servers do, but with a false address for metrics, which it has not.
"""

import asyncio
from typing import Final

LIMIT: Final = 200
QUICK: Final = 0.001
SLOW: Final = 0.4


class Stub:
    def __init__(self) -> None:
        self.clients = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients += 1
        try:
            while line := await reader.readline():
                await asyncio.sleep(QUICK if self.clients <= LIMIT else SLOW)
                writer.write(b"OK" + line.removeprefix(b"ECHO"))
        except ConnectionError:
            pass  # a client that was stopped while its request was open
        finally:
            self.clients -= 1
            writer.close()


async def main() -> None:
    server = await asyncio.start_server(Stub().serve, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    print(f"limited ready: tcp 127.0.0.1:{port}, metrics http://127.0.0.1:9/metrics", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
