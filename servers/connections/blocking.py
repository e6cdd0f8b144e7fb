"""A connection over a blocking socket: for the models that may wait where they stand."""

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
"""Seconds, the shortest timeout: a zero SO_RCVTIMEO would mean none at all."""

SPARE_BUFFERS: Final = 64
"""Receive buffers kept for the next clients, at most: to make one costs a connection 10 us."""

_spare_buffers = deque[mmap.mmap](maxlen=SPARE_BUFFERS)


class BlockingConnection(Connection):
    """
    A client whose thread waits for it; as a context it gives the session, and closes and counts; it never raises.

    The kernel watches the deadlines: settimeout() would cost a poll() before every recv().
    """

    __slots__ = ("_buffer", "_changed")

    def __enter__(self) -> Session:
        self._changed = True  # which deadline is the next
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
        """Return what the client has sent, empty if it sends no more or the session is over; OverdueError."""
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
        """Send all of it; UnreadError if the client has not taken it by the write deadline."""
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
        """Wait so many seconds."""
        time.sleep(pause)

    def _set_deadline(self) -> None:
        """Let the next recv() end at the deadline: a line's stays where it was, however many bytes come."""
        self._changed = self.session.unfinished
        left = self.session.deadline - time.monotonic() if self._changed else self._deadlines.idle
        if left <= 0:  # there is a byte to read each time: no recv() waits until then
            raise OverdueError
        _set_timeout(self._client, socket.SO_RCVTIMEO, left)

    def _new_buffer(self) -> mmap.mmap:
        """
        Return a buffer of CHUNK bytes; of one that is new, only the pages that are written to take memory.

        recv(CHUNK) would allocate such a buffer for each receive, and malloc's thread cache keep the first pages of
        seven of them for each thread: 33 kB a client, for 4.
        """
        try:
            self._buffer = _spare_buffers.pop()
        except IndexError:
            self._buffer = mmap.mmap(-1, CHUNK, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        return self._buffer

    def _send_slowly(self, rest: memoryview) -> None:
        """Count down: a deadline for each send() would be put off by a client that takes a byte now and then."""
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
        """Say that nothing more comes, and forget what the client still sends, until it ends or the time is up."""
        deadline = time.monotonic() + self._deadlines.linger
        buffer = self._buffer or self._new_buffer()
        with suppress(OSError):  # the time is up, or the client has left: how it ended is settled
            self._client.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                _set_timeout(self._client, socket.SO_RCVTIMEO, left)
                if not self._client.recv_into(buffer):
                    return


class BlockingListener(BlockingAccept[BlockingConnection]):
    """Accepts blocking connections, and waits for them."""

    connect = BlockingConnection


def _set_timeout(client: socket.socket, option: int, seconds: float) -> None:
    """Set SO_RCVTIMEO or SO_SNDTIMEO, a struct timeval."""
    whole, part = divmod(max(seconds, TICK), 1)
    client.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", int(whole), int(part * 1e6)))
