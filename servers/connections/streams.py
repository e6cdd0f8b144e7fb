"""A connection over asyncio's streams, for models that must not block their one thread."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cached_property, partial
from types import TracebackType

from servers.connections.connection import CHUNK, Connection
from servers.connections.listener import LoopAccept
from servers.connections.timeouts import Awaited, OverdueError, UnreadError
from servers.session import Session


class _Protocol(asyncio.StreamReaderProtocol):
    """Feeds the reader. stuck: more replies are unread than asyncio's high-water mark (64 KiB, transports.py)."""

    stuck = False

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stuck = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self.stuck = False


class StreamConnection(Connection):
    """
    A client whose task waits for it. Its context gives the session, then closes and counts; it never raises.

    receive: returns what the client has sent; empty if it sends no more or the session is over; OverdueError if late.
    It is usually the reader's own method: wrapping it would add a call to each request.
    """

    __slots__ = ("_awaited", "_nothing", "_protocol", "_reader", "_write", "_writer", "receive")

    receive: Callable[[], Awaitable[bytes]]

    def __init__(self, client: socket.socket, listener: "StreamListener") -> None:
        super().__init__(client, listener)
        self._awaited: set[Awaited] = listener.awaited
        self._reader = asyncio.StreamReader(limit=CHUNK)
        self.receive = partial(self._reader.read, CHUNK)
        self._protocol = _Protocol(self._reader)
        self._nothing = listener.nothing
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Session:
        session = self._begin()
        try:
            self._writer = await self._open()
        except Exception as error:
            self._reader.set_exception(error)  # the first receive() raises it
        else:
            self._write = self._writer.transport.write
            self._awaited.add(self)
        return session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._awaited.discard(self)
        try:
            if error is None or isinstance(error, OverdueError):
                self._raise_if_gone()
                self._write(self.session.expire() if error else self.session.finish())
                error = None
                if self.session.linger:
                    await self._drain()
            await self._close(error)
        except Exception as trouble:
            error = trouble
        self._end(error)
        return not isinstance(error, asyncio.CancelledError)

    def send(self, reply: bytes) -> Awaitable[object]:
        """Send or queue the reply; UnreadError if too many stay unread until the write deadline."""
        self._write(reply)
        if self.session.outcome:
            self.receive = self._receive_nothing
        return self._taken() if self._protocol.stuck else self._nothing

    async def wait(self, pause: float) -> None:
        """Sleep for `pause` seconds."""
        self._awaited.discard(self)
        await asyncio.sleep(pause)
        self._go_on()

    def expire(self) -> None:
        """Make receive() raise OverdueError."""
        self._reader.set_exception(OverdueError())

    def _go_on(self) -> None:
        self._raise_if_gone()
        self.session.replies_taken()
        self._awaited.add(self)
        if not self.session.outcome:
            self.receive = self._receive_on

    def _receive_nothing(self) -> Awaitable[bytes]:
        return self._nothing

    async def _receive_on(self) -> bytes:
        """Receive after a wait, during which the client may have left."""
        self.receive = partial(self._reader.read, CHUNK)
        self._raise_if_gone()
        return await self.receive()

    def _raise_if_gone(self) -> None:
        """
        Raise ConnectionResetError if the client has left meanwhile.

        Writes that follow would be logged by asyncio, and uvloop would raise RuntimeError, as for a mistake of ours.
        """
        if self._stream.transport.is_closing():
            raise ConnectionResetError

    @property
    def _stream(self) -> asyncio.StreamWriter:
        assert self._writer is not None  # noqa: S101 - for the type checker
        return self._writer

    async def _taken(self) -> None:
        """Wait until the client has taken its replies; its idle deadline does not run meanwhile."""
        self._awaited.discard(self)
        try:
            async with asyncio.timeout(self._deadlines.write):
                await self._stream.drain()
        except TimeoutError as error:
            raise UnreadError from error
        self._go_on()

    async def _open(self) -> asyncio.StreamWriter:
        """Attach the reader to the accepted socket and return the writer, as asyncio.start_server does (streams.py)."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(lambda: self._protocol, self._client)
        return asyncio.StreamWriter(transport, self._protocol, self._reader, loop)

    async def _drain(self) -> None:
        """Shut down writing, then discard input until the client closes or `linger` is over."""
        self._reader.set_exception(None)  # type: ignore[arg-type]  # clears a deadline's exception, to read on
        with suppress(OSError):  # a timeout or a reset no longer changes the outcome
            self._stream.write_eof()
            async with asyncio.timeout(self._deadlines.linger):
                while await self._reader.read(CHUNK):
                    pass

    async def _close(self, error: BaseException | None) -> None:
        """Close, and wait until the client has taken what is still unsent, or until the write deadline."""
        if self._writer is None:
            return
        if isinstance(error, UnreadError):  # its write deadline is over; close() alone would wait again
            self._writer.transport.abort()
        self._writer.close()
        try:
            async with asyncio.timeout(self._deadlines.write):
                await self._writer.wait_closed()
        except TimeoutError as late:
            self._writer.transport.abort()
            raise UnreadError from late
        except OSError:  # it left with replies unread; ignored, since blocking sockets never see it
            return


class StreamListener(LoopAccept[StreamConnection]):
    """Accepts connections over streams."""

    connect = StreamConnection

    @cached_property
    def nothing(self) -> "asyncio.Future[bytes]":
        """A finished future, for `send` to return: a coroutine for each reply would cost more."""
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        done.set_result(b"")
        return done
