"""A connection over asyncio's streams: for the models that must not wait in their one thread."""

import asyncio
import socket
from collections.abc import Awaitable
from contextlib import suppress
from types import TracebackType
from typing import Final

from servers.connections.connection import CHUNK, Connection
from servers.connections.listener import LoopAccept
from servers.connections.timeouts import Awaited, OverdueError, UnreadError
from servers.session import Session

HIGH_WATER: Final = 64 * 1024
"""Bytes that may wait unsent for one client before it must take some: asyncio's own default (transports.py)."""


class StreamConnection(Connection):
    """A client whose task waits for it; as a context it gives the session, and closes and counts; it never raises."""

    __slots__ = ("_awaited", "_read", "_reader", "_unsent", "_write", "_writer")

    def __init__(self, client: socket.socket, listener: "StreamListener") -> None:
        super().__init__(client, listener)
        self._awaited: set[Awaited] = listener.awaited
        self._reader = asyncio.StreamReader(limit=CHUNK)
        self._read = self._reader.read
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Session:
        session = self._begin()
        try:
            self._writer = await _open(self._client, self._reader)
        except Exception as error:
            self._reader.set_exception(error)  # the first receive() raises it
        else:
            # What writer.write() and drain() do, less two calls a request where nothing has to wait.
            self._write = self._writer.transport.write
            self._unsent = self._writer.transport.get_write_buffer_size
            self._awaited.add(self)
        return session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._awaited.discard(self)
        try:
            if error is None or isinstance(error, OverdueError):
                self._write(self.session.expire() if error else self.session.finish())
                error = None
                if self.session.linger:
                    await self._drain()
            elif isinstance(error, RuntimeError):  # how uvloop says that the client has left while it was not read
                self._raise_if_gone()
            await self._close(error)
        except Exception as trouble:
            error = trouble
        self._end(error)
        return not isinstance(error, asyncio.CancelledError)

    def receive(self) -> Awaitable[bytes]:
        """Return what the client has sent, empty if it sends no more or the session is over; OverdueError."""
        return _nothing() if self.session.outcome else self._read(CHUNK)

    async def send(self, reply: bytes) -> None:
        """Send it, if only to what waits unsent; UnreadError if the client takes too little by the write deadline."""
        self._write(reply)
        if self._unsent() > HIGH_WATER:
            self._awaited.discard(self)  # it is not the client's bytes that are late
            await self._taken()
            self._go_on()

    async def wait(self, pause: float) -> None:
        """Wait so many seconds."""
        self._awaited.discard(self)
        await asyncio.sleep(pause)
        self._go_on()

    def expire(self) -> None:
        """Have receive() raise OverdueError."""
        self._reader.set_exception(OverdueError())

    def _go_on(self) -> None:
        self._raise_if_gone()
        self.session.replies_taken()
        self._awaited.add(self)

    def _raise_if_gone(self) -> None:
        """Raise ConnectionResetError if the client has left meanwhile: asyncio would log the writes that follow."""
        if self._stream.transport.is_closing():
            raise ConnectionResetError

    @property
    def _stream(self) -> asyncio.StreamWriter:
        assert self._writer is not None  # noqa: S101 - for the type checker
        return self._writer

    async def _taken(self) -> None:
        try:
            async with asyncio.timeout(self._deadlines.write):
                await self._stream.drain()
        except TimeoutError as error:
            raise UnreadError from error

    async def _drain(self) -> None:
        """Say that nothing more comes, and forget what the client still sends, until it ends or the time is up."""
        self._reader.set_exception(None)  # type: ignore[arg-type]  # after a deadline it is read again
        with suppress(OSError):  # the time is up, or the client has left: how it ended is settled
            self._stream.write_eof()
            async with asyncio.timeout(self._deadlines.linger):
                while await self._reader.read(CHUNK):
                    pass

    async def _close(self, error: BaseException | None) -> None:
        """Close, and wait until the client has taken what is still unsent: it must not be held for ever."""
        if self._writer is None:
            return
        if isinstance(error, UnreadError):  # it had its time: closing would wait for it once more
            self._writer.transport.abort()
        self._writer.close()
        try:
            async with asyncio.timeout(self._deadlines.write):
                await self._writer.wait_closed()
        except TimeoutError as late:
            self._writer.transport.abort()
            raise UnreadError from late
        except OSError:  # it left with replies unread, which blocking sockets never hear of
            return


class StreamListener(LoopAccept[StreamConnection]):
    """Accepts connections over streams, and awaits them."""

    connect = StreamConnection


async def _nothing() -> bytes:
    return b""


async def _open(client: socket.socket, reader: asyncio.StreamReader) -> asyncio.StreamWriter:
    """Attach the reader to an accepted socket and return the writer, as asyncio.start_server would (streams.py)."""
    loop = asyncio.get_running_loop()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, client)
    return asyncio.StreamWriter(transport, protocol, reader, loop)
