"""A connection over a blocking socket, for models whose threads may block."""

import mmap
import socket
import struct
import time
from collections import deque
from contextlib import suppress
from socket import MSG_DONTWAIT
from types import TracebackType
from typing import Final

from servers.connections.connection import CHUNK, Connection
from servers.connections.listener import BlockingAccept
from servers.connections.timeouts import OverdueError, UnreadError
from servers.session import Session

TICK: Final = 0.001
"""Shortest timeout in seconds: an SO_RCVTIMEO of zero would mean no timeout."""

SPARE_BUFFERS: Final = 64
"""Receive buffers kept for reuse, at most: making one takes 10 us."""

_spare_buffers = deque[mmap.mmap](maxlen=SPARE_BUFFERS)


class BlockingConnection(Connection):
    """
    A client whose thread waits for it. Its context gives the session, then closes and counts; it never raises.

    The kernel keeps the deadlines: settimeout() would add a poll() before every recv().
    """

    __slots__ = ("_buffer", "_changed")

    def __enter__(self) -> Session:
        self._changed = True  # whether the next deadline is of another kind
        self._buffer: mmap.mmap | None = None
        return self._begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            if error is None or isinstance(error, OverdueError):
                self.send(self.session.expire() if error else self.session.finish())
                error = None
                if self.session.linger:
                    self._drain()
                if self._buffer is not None:
                    _spare_buffers.append(self._buffer)
        except Exception as trouble:
            error = trouble
        self._end(error)
        return True

    def receive(self) -> bytes:
        """Return what the client has sent; empty if it sends no more or the session is over; OverdueError if late."""
        session = self.session
        if session.outcome:
            return b""
        if self._changed or session.unfinished:
            self._set_deadline()
        buffer = self._buffer or self._new_buffer()
        try:
            return buffer[: self._client.recv_into(buffer)]
        except BlockingIOError:
            raise OverdueError from None

    def send(self, reply: bytes) -> None:
        """Send the reply; UnreadError if the client has not taken it by the write deadline."""
        if not reply:
            return
        try:
            sent = self._client.send(reply, MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < len(reply):
            self._send_slowly(memoryview(reply)[sent:])
            self.session.replies_taken()

    def wait(self, pause: float) -> None:
        """Sleep for `pause` seconds."""
        time.sleep(pause)

    def _set_deadline(self) -> None:
        """Make the next recv() end at the deadline; more bytes do not extend a line's."""
        self._changed = self.session.unfinished
        left = self.session.deadline - time.monotonic() if self._changed else self._deadlines.idle
        if left <= 0:  # if bytes keep dripping in, no recv() ever times out
            raise OverdueError
        _set_timeout(self._client, socket.SO_RCVTIMEO, left)

    def _new_buffer(self) -> mmap.mmap:
        """
        Return a buffer of CHUNK bytes, of which only the pages written to take memory.

        recv(CHUNK) would allocate a buffer each time, and malloc's thread cache would keep the first pages of seven
        for each thread: 33 kB a client instead of 4.
        """
        try:
            self._buffer = _spare_buffers.pop()
        except IndexError:
            self._buffer = mmap.mmap(-1, CHUNK, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        return self._buffer

    def _send_slowly(self, rest: memoryview) -> None:
        """Send with one deadline for all: a client that takes a byte now and then must not extend it."""
        deadline = time.monotonic() + self._deadlines.write
        while rest:
            left = deadline - time.monotonic()
            if left <= 0:
                raise UnreadError
            _set_timeout(self._client, socket.SO_SNDTIMEO, left)
            try:
                rest = rest[self._client.send(rest) :]
            except BlockingIOError as error:
                raise UnreadError from error

    def _drain(self) -> None:
        """Shut down writing, then discard input until the client closes or `linger` is over."""
        deadline = time.monotonic() + self._deadlines.linger
        buffer = self._buffer or self._new_buffer()
        with suppress(OSError):  # a timeout or a reset no longer changes the outcome
            self._client.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                _set_timeout(self._client, socket.SO_RCVTIMEO, left)
                if not self._client.recv_into(buffer):
                    return


class BlockingListener(BlockingAccept[BlockingConnection]):
    """Accepts blocking connections."""

    connect = BlockingConnection


def _set_timeout(client: socket.socket, option: int, seconds: float) -> None:
    """Set SO_RCVTIMEO or SO_SNDTIMEO, a struct timeval."""
    whole, part = divmod(max(seconds, TICK), 1)
    client.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", int(whole), int(part * 1e6)))
