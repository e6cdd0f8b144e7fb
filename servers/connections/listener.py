"""The listening socket: its backlog, the limit on clients, and an accept that survives a lack of descriptors."""

import asyncio
import errno
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Generic, NamedTuple, TypeVar

from servers import wire
from servers.connections.timeouts import Awaited
from servers.session import Deadlines, LastCall, Session
from servers.stats import Stats

BACKOFF: Final = 0.1
"""Seconds to wait when accept fails for lack of descriptors or memory; without the wait it would spin."""

BURST: Final = 64
"""Clients that an event loop accepts in a row before it serves those it has."""

LINGER: Final = 1
"""Seconds a refused client's socket stays open: closing could reset it before the client has read why."""

LINGERING: Final = 64
"""Refused clients whose sockets stay open, at most; one more closes the oldest early."""

EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


C = TypeVar("C")
"""The kind of connection."""


class AcceptQueue(NamedTuple):
    """Connections in the accept queue (including clients that gave up), and its limit."""

    waiting: int
    limit: int


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a socket that listens on TCP host:port (port 0 picks a free one); OSError if it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=backlog)


def listen_apart(host: str, port: int, backlog: int, count: int) -> list[socket.socket]:
    """Return `count` sockets that listen on one TCP host:port, each with its own queue; OSError if they cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as guard:  # fails where another server listens; SO_REUSEPORT would share its port
        guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        guard.bind((host, port))
        guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        address = guard.getsockname()[:2]
        return [socket.create_server(address, family=family, backlog=backlog, reuse_port=True) for _ in range(count)]


def accept_queue(listening: socket.socket) -> AcceptQueue | None:
    """
    Return the state of a listening socket's accept queue; None where the system does not report it.

    Linux reports it in the socket's TCP_INFO as tcpi_unacked and tcpi_sacked (tcp_get_info() in net/ipv4/tcp.c): the
    fifth and sixth 32-bit word after eight bytes of flags.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    except OSError:
        return None
    return AcceptQueue(*struct.unpack_from("=2I", info, 24))


class Listener:
    """
    Admits clients up to the limit and refuses more, until `close`; holds what its connections share.

    clients: the sockets being served. limit: clients of all the server's processes together. workers: the forked
    processes that serve in place of this one. ended: CPU seconds, user and system, of workers that were reaped.
    reaping: held while one is, and while /proc tells of them. on_first: called once, before the first client.
    fork: forks so many processes to serve (servers/processes.py); for models; __main__ sets it.
    threads: how many a pool has; for models; __main__ sets it, if the variant has the option.
    """

    fork: Callable[[int], None]
    threads: int

    def __init__(self, listening: socket.socket, limit: int, stats: Stats, deadlines: Deadlines) -> None:
        self.clients: set[socket.socket] = set()
        self.limit = limit
        self.stats = stats
        self.deadlines = deadlines
        self.stopping = False
        self.workers: list[int] = []
        self.ended = (0.0, 0.0)
        self.reaping = threading.Lock()
        self.on_first: Callable[[], None] | None = None
        self._socket = listening
        self._last_call = LastCall()
        self._refused: deque[tuple[float, socket.socket]] = deque()  # when (monotonic clock, seconds), and the socket

    def begin(self, waited: float) -> Session:
        """Return a session for a client that this thread serves from now on, `waited` seconds after its accept."""
        return Session(self.deadlines, self.stats.own.enter(waited), self._last_call)

    def end(self, client: socket.socket, session: Session, outcome: str) -> None:
        """Close the client's socket, and count how its session ended."""
        client.close()
        self.stats.own.leave(session.counts, outcome)
        self.clients.discard(client)

    def stop(self, patience: float) -> None:
        """
        Accept no more and end every client's input, so that begun requests finish. Call it from any thread.

        patience: seconds in which requests are still read; it stops a client that never stops sending.
        """
        self._last_call.at = time.monotonic() + patience
        self.close()
        for client in list(self.clients):
            end_input(client)

    def refuse(self, client: socket.socket, kind: str, reason: str) -> None:
        """Send the client one line that says why it is not served, and close; never blocks."""
        if client in self.clients:
            self.clients.discard(client)
            self.stats.own.opened(-1)
        self.stats.own.failed(kind)
        with suppress(OSError):  # it has left already
            client.setblocking(False)
            client.send(wire.err(reason))
            client.shutdown(socket.SHUT_WR)
        self._refused.append((time.monotonic(), client))

    def close(self) -> None:
        """Accept no more and wake up a waiting accept(). Call it from any thread."""
        self.stopping = True
        with suppress(OSError):  # closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    def queue(self) -> AcceptQueue | None:
        """Return the state of the accept queue; None where the system does not report it."""
        return accept_queue(self._socket)

    def _admit(self, client: socket.socket) -> bool:
        if self.on_first is not None:
            self.on_first()
            self.on_first = None
        with suppress(OSError):  # macOS raises it here if the client has left already
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.stats.admit(self.limit):
            self.refuse(client, "full", f"server full, it serves {self.limit} clients; try again later")
            return False
        self.clients.add(client)
        if self.stopping:  # stop() ran between accept and add, so it has not ended this client's input
            end_input(client)
        return True

    def _let_go(self) -> None:
        """Close the refused clients whose `LINGER` is over."""
        if self._refused:
            latest = time.monotonic() - LINGER
            while self._refused and (self._refused[0][0] <= latest or len(self._refused) > LINGERING):
                self._refused.popleft()[1].close()

    def _backoff(self, error: OSError) -> float:
        """Return the seconds to wait after a failed accept; 0 if only that client failed."""
        if error.errno in EXHAUSTED:
            self.stats.own.failed("descriptors")
            return BACKOFF
        return 0.0


class BlockingAccept(Listener, Generic[C]):
    """Accepts in a thread that may block. connect: turns a client's socket into a connection."""

    connect: Callable[[socket.socket, Any], C]

    def __init__(self, listening: socket.socket, limit: int, stats: Stats, deadlines: Deadlines) -> None:
        super().__init__(listening, limit, stats, deadlines)
        listening.setblocking(True)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", LINGER, 0))

    def accept(self) -> C | None:
        """Return the next client's connection; None once the listener is closed."""
        while not self.stopping:
            self._let_go()
            try:
                client, _ = self._socket.accept()
            except BlockingIOError:  # no client for LINGER seconds
                continue
            except OSError as error:
                if not self.stopping:
                    time.sleep(self._backoff(error))
                continue
            if self._admit(client):
                return type(self).connect(client, self)
        return None


class LoopAccept(Listener, Generic[C]):
    """
    Accepts in an event loop, which must not block.

    connect: turns a client's socket into a connection. awaited: the connections that wait for their client's bytes.
    """

    connect: Callable[[socket.socket, Any], C]

    def __init__(self, listening: socket.socket, limit: int, stats: Stats, deadlines: Deadlines) -> None:
        super().__init__(listening, limit, stats, deadlines)
        self.awaited: set[Awaited] = set()
        self._readable: asyncio.Event | None = None
        self._accepted = 0

    async def accept(self) -> C | None:
        """Return the next client's connection; None once the listener is closed."""
        loop = asyncio.get_running_loop()
        if self._readable is None:
            self._readable = asyncio.Event()
            self._socket.setblocking(False)
            loop.add_reader(self._socket, self._readable.set)
        while not self.stopping:
            self._let_go()
            self._accepted += 1
            if self._accepted % BURST == 0:
                await asyncio.sleep(0)
            try:
                client, _ = self._socket.accept()
            except BlockingIOError:
                self._readable.clear()
                readable = self._readable.wait()
                with suppress(TimeoutError):
                    await (asyncio.wait_for(readable, LINGER) if self._refused else readable)
                continue
            except OSError as error:
                # The socket stays readable during the wait; watching it would make the loop spin.
                loop.remove_reader(self._socket)
                await asyncio.sleep(self._backoff(error))
                loop.add_reader(self._socket, self._readable.set)
                continue
            if self._admit(client):
                client.setblocking(False)
                return type(self).connect(client, self)
        loop.remove_reader(self._socket)
        return None


def end_input(client: socket.socket) -> None:
    """End the client's input: bytes that have arrived can still be read, then comes the end."""
    with suppress(OSError):  # it has left already
        client.shutdown(socket.SHUT_RD)
