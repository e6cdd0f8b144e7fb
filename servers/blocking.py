"""Moves a conversation's bytes over a blocking socket: for the models that may wait where they stand."""

import mmap
import socket
import struct
import time
from collections import deque
from contextlib import suppress
from socket import MSG_DONTWAIT
from typing import Final

from servers.conversation import Conversation
from servers.service import CHUNK, Service, UnreadError

TICK: Final = 0.001
"""Seconds, the shortest timeout: a zero SO_RCVTIMEO would mean none at all."""


SPARE_BUFFERS: Final = 64
"""Receive buffers kept for the next clients, at most: to make one costs a connection 10 us."""


class BlockingDriver:
    """Converses with one client from its first byte to its last, in the thread that calls it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._deadlines = service.deadlines
        self._spare_buffers = deque[mmap.mmap](maxlen=SPARE_BUFFERS)

    def converse(self, client: socket.socket) -> None:
        """Converse with the client, close its socket and count how it ended; never raises."""
        talk = self._service.begin()
        trouble = None
        try:
            buffer = self._receive_buffer()
            self._converse(client, talk, buffer)
            self._spare_buffers.append(buffer)
        except Exception as error:
            trouble = error
        self._service.end(client, talk, trouble)

    def _receive_buffer(self) -> mmap.mmap:
        """
        Return a buffer of CHUNK bytes; of one that is new, only the pages that are written to take memory.

        recv(CHUNK) would allocate such a buffer for each receive, and malloc's thread cache keep the first pages of
        seven of them for each thread: 33 kB a client, for 4.
        """
        try:
            return self._spare_buffers.pop()
        except IndexError:
            return mmap.mmap(-1, CHUNK, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def _converse(self, client: socket.socket, talk: Conversation, buffer: mmap.mmap) -> None:
        # The kernel watches the deadlines: settimeout() would cost a poll() before every recv().
        _set_timeout(client, socket.SO_RCVTIMEO, self._deadlines.idle)
        hurried = False
        while talk.outcome is None:
            try:
                data = buffer[: client.recv_into(buffer)]
            except BlockingIOError:
                self._send(client, talk, talk.expire())
                break
            self._send(client, talk, talk.receive(data))
            while talk.pause is not None:
                time.sleep(talk.pause)
                self._send(client, talk, talk.resume())
            if talk.unfinished or hurried:
                hurried = talk.unfinished
                left = talk.deadline - time.monotonic() if hurried else self._deadlines.idle
                if left <= 0 and talk.outcome is None:  # there is a byte to read each time: no recv() waits until then
                    self._send(client, talk, talk.expire())
                    break
                _set_timeout(client, socket.SO_RCVTIMEO, left)
        if talk.linger:
            self._drain(client, buffer)

    def _send(self, client: socket.socket, talk: Conversation, data: bytes) -> None:
        """Send all of `data`; UnreadError if the client has not taken it by the write deadline."""
        if not data:
            return
        try:
            sent = client.send(data, MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._send_slowly(client, memoryview(data)[sent:])
            talk.replies_taken()

    def _send_slowly(self, client: socket.socket, rest: memoryview) -> None:
        """Count down: a deadline for each send() would be put off by a client that takes a byte now and then."""
        deadline = time.monotonic() + self._deadlines.write
        while rest:
            left = deadline - time.monotonic()
            if left <= 0:
                raise UnreadError
            _set_timeout(client, socket.SO_SNDTIMEO, left)
            try:
                rest = rest[client.send(rest) :]
            except BlockingIOError as error:
                raise UnreadError from error

    def _drain(self, client: socket.socket, buffer: mmap.mmap) -> None:
        """Say that nothing more comes, and forget what the client still sends, until it ends or the time is up."""
        deadline = time.monotonic() + self._deadlines.linger
        with suppress(OSError):  # the time is up, or the client has left: how it ended is settled
            client.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                _set_timeout(client, socket.SO_RCVTIMEO, left)
                if not client.recv_into(buffer):
                    return


def _set_timeout(client: socket.socket, option: int, seconds: float) -> None:
    """Set SO_RCVTIMEO or SO_SNDTIMEO, a struct timeval."""
    whole, part = divmod(max(seconds, TICK), 1)
    client.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", int(whole), int(part * 1e6)))
