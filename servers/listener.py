"""The listening socket: its backlog, the limit on clients, and an accept that survives running out of descriptors."""

import asyncio
import errno
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from servers import wire

BACKOFF: Final = 0.1
"""Seconds to wait when no client can be accepted for want of descriptors or memory: without it, accept spins."""

BURST: Final = 64
"""Clients that asyncio accepts before those it has get their turn."""

LINGER: Final = 1
"""Seconds for which a refused client's socket is kept open: closing could reset it before the client has read why."""

LINGERING: Final = 64
"""Refused clients whose sockets are kept open, at most: past them the oldest is closed sooner."""

EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class AcceptQueue(NamedTuple):
    """Connections that wait in the accept queue (those that gave up included), and how many it takes."""

    waiting: int
    limit: int


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a socket that listens on TCP host:port (port 0 picks a free one); OSError if it can't."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=backlog)


class Listener:
    """
    Yields accepted clients, to `for` when a model may block and to `async for` when it may not, until `close`.

    clients: those accepted and not yet left; a driver takes a client out when it has closed it.
    on_error: told the kind of each error ("full", "descriptors", "threads"). on_first: called once, before anything is
    done for the first client.
    """

    def __init__(self, listening: socket.socket, limit: int, on_error: Callable[[str], None]) -> None:
        self.clients: set[socket.socket] = set()
        self.limit = limit
        self.on_first: Callable[[], None] | None = None
        self._socket = listening
        self._on_error = on_error
        self._open = True
        self._refused: deque[tuple[float, socket.socket]] = deque()  # since when (monotonic clock, seconds), and who

    def __iter__(self) -> Iterator[socket.socket]:
        self._socket.setblocking(True)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", LINGER, 0))
        while self._open:
            self._let_go()
            try:
                client, _ = self._socket.accept()
            except BlockingIOError:  # nobody has come for so long
                continue
            except OSError as error:
                if self._open:
                    time.sleep(self._backoff(error))
                continue
            if self._admit(client):
                yield client

    async def __aiter__(self) -> AsyncIterator[socket.socket]:
        loop = asyncio.get_running_loop()
        self._socket.setblocking(False)
        readable = asyncio.Event()
        loop.add_reader(self._socket, readable.set)
        accepted = 0
        try:
            while self._open:
                self._let_go()
                try:
                    client, _ = self._socket.accept()
                except BlockingIOError:
                    readable.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LINGER if self._refused else None):
                            await readable.wait()
                    continue
                except OSError as error:
                    # The socket stays readable meanwhile: watched on, it would keep the loop spinning.
                    loop.remove_reader(self._socket)
                    await asyncio.sleep(self._backoff(error))
                    loop.add_reader(self._socket, readable.set)
                    continue
                if self._admit(client):
                    client.setblocking(False)
                    yield client
                accepted += 1
                if accepted % BURST == 0:
                    await asyncio.sleep(0)
        finally:
            loop.remove_reader(self._socket)

    def refuse(self, client: socket.socket, kind: str, reason: str) -> None:
        """Tell the client in one line why it is not served, and let it go; never blocks."""
        self._on_error(kind)
        self.clients.discard(client)
        with suppress(OSError):  # it has left already
            client.setblocking(False)
            client.send(wire.err(reason))
            client.shutdown(socket.SHUT_WR)
        self._refused.append((time.monotonic(), client))

    def close(self) -> None:
        """Accept no more, and wake whoever waits in accept; from any thread."""
        self._open = False
        with suppress(OSError):  # closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    def hang_up(self) -> None:
        """
        Let every client's input end, as if it had said all that it wanted to say; from any thread.

        Whoever waits for input then wakes up, answers what has been received, and closes: in a blocked thread and in
        an event loop alike.
        """
        for client in list(self.clients):
            end_input(client)

    def queue(self) -> AcceptQueue | None:
        """
        Return the state of the accept queue; None where the operating system cannot tell.

        Linux keeps it in the listening socket's TCP_INFO, in tcpi_unacked and tcpi_sacked (tcp_get_info() in
        net/ipv4/tcp.c): after eight bytes of flags they are the fifth and sixth 32-bit word.
        """
        if not sys.platform.startswith("linux"):
            return None
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
        except OSError:
            return None
        return AcceptQueue(*struct.unpack_from("=2I", info, 24))

    def _admit(self, client: socket.socket) -> bool:
        if self.on_first is not None:
            self.on_first()
            self.on_first = None
        with suppress(OSError):  # it has left already, and macOS says so here
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.clients) >= self.limit:
            self.refuse(client, "full", f"server full, it serves {self.limit} clients; try again later")
            return False
        self.clients.add(client)
        if not self._open:  # closed between accepting it and adding it: nobody has hung it up
            end_input(client)
        return True

    def _let_go(self) -> None:
        """Close the refused clients that have had their time to read why."""
        latest = time.monotonic() - LINGER
        while self._refused and (self._refused[0][0] <= latest or len(self._refused) > LINGERING):
            self._refused.popleft()[1].close()

    def _backoff(self, error: OSError) -> float:
        """Return the seconds to wait after a failed accept; 0 if it was the one client's affair."""
        if error.errno in EXHAUSTED:
            self._on_error("descriptors")
            return BACKOFF
        return 0.0


def end_input(client: socket.socket) -> None:
    """Let the client's input end, so that whoever reads it sees its end; what was received before can still be read."""
    with suppress(OSError):  # it has left already
        client.shutdown(socket.SHUT_RD)
