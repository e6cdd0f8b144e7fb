"""Moves a conversation's bytes over asyncio's streams: for the models that must not wait in their one thread."""

import asyncio
import socket
from contextlib import suppress
from typing import Final, cast

from servers.conversation import Conversation
from servers.reaping import reap
from servers.service import CHUNK, Service, UnreadError

HIGH_WATER: Final = 64 * 1024
"""Bytes that may wait unsent for one client before it must take some: asyncio's own default (transports.py)."""


class StreamDriver:
    """Converses with one client from its first byte to its last, in a task of its own."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._deadlines = service.deadlines
        self._awaited: dict[Conversation, asyncio.Task[None]] = {}  # the task waits for the client's bytes
        self._late: set[Conversation] = set()  # past their deadline; their task does not know it yet

    async def converse(self, client: socket.socket) -> None:
        """Converse with the client, close its socket and count how it ended; never raises but for cancellation."""
        talk = self._service.begin()
        trouble = None
        try:
            reader, writer = await _open(client)
            try:
                await self._converse(reader, writer, talk)
            except UnreadError:
                writer.transport.abort()  # it had its time: closing would wait for it once more
                raise
            except RuntimeError as error:  # how uvloop says that the client has left while it was not read
                if writer.transport.is_closing():
                    raise ConnectionResetError from error
                raise
            finally:
                await self._close(writer)
        except Exception as error:  # one client's trouble is not the others'
            trouble = error
        self._service.end(client, talk, trouble)

    async def reap(self) -> None:
        """End conversations whose deadline has passed, for ever."""
        await reap(self._awaited, self._deadlines, self._cut_short)

    def _cut_short(self, talk: Conversation, task: asyncio.Task[None]) -> None:
        self._late.add(talk)
        task.cancel()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, talk: Conversation) -> None:
        task = self._awaited[talk] = cast("asyncio.Task[None]", asyncio.current_task())
        # What writer.write() and drain() do, less two calls and two coroutines a request where nothing has to wait.
        send, unsent = writer.transport.write, writer.transport.get_write_buffer_size
        try:
            while talk.outcome is None:
                send(talk.receive(await reader.read(CHUNK)))
                if talk.pause is not None or unsent() > HIGH_WATER:
                    await self._catch_up(writer, talk)
        except asyncio.CancelledError:
            if talk not in self._late:
                raise
            task.uncancel()  # the reaper meant the wait for input; the rest takes its time
            send(talk.expire())
        finally:
            self._awaited.pop(talk, None)
            self._late.discard(talk)
        if talk.linger:
            await self._drain(reader, writer)

    async def _catch_up(self, writer: asyncio.StreamWriter, talk: Conversation) -> None:
        """Do what must be waited for before the client is read again; UnreadError if it does not take its replies."""
        task = self._awaited.pop(talk)  # it is not the client that is late
        while True:
            if writer.transport.get_write_buffer_size() > HIGH_WATER:
                try:
                    async with asyncio.timeout(self._deadlines.write):
                        await writer.drain()
                except TimeoutError as error:
                    raise UnreadError from error
            if talk.pause is None:
                break
            await asyncio.sleep(talk.pause)
            _raise_if_gone(writer.transport)
            writer.write(talk.resume())
        _raise_if_gone(writer.transport)
        talk.replies_taken()
        self._awaited[talk] = task

    async def _drain(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say that nothing more comes, and forget what the client still sends, until it ends or the time is up."""
        with suppress(OSError):  # the time is up, or the client has left: how it ended is settled
            writer.write_eof()
            async with asyncio.timeout(self._deadlines.linger):
                while await reader.read(CHUNK):
                    pass

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        """Close, and wait until the client has taken what is still unsent: it must not be held for ever."""
        writer.close()
        try:
            async with asyncio.timeout(self._deadlines.write):
                await writer.wait_closed()
        except TimeoutError as error:
            writer.transport.abort()
            raise UnreadError from error
        except OSError:  # it left with replies unread, which blocking sockets never hear of
            return


def _raise_if_gone(transport: asyncio.WriteTransport) -> None:
    """Raise ConnectionResetError if the client has left meanwhile: asyncio would log the writes that follow."""
    if transport.is_closing():
        raise ConnectionResetError


async def _open(client: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of an accepted socket, as asyncio.start_server would make them (streams.py)."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=CHUNK)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, client)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
