"""A connection in the callbacks of asyncio's Protocol, for models that never wait."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import MethodType
from typing import cast

from servers.connections.connection import Connection
from servers.connections.listener import LoopAccept
from servers.connections.timeouts import UnreadError

Receive = Callable[["ProtocolConnection", bytes], None]


class ProtocolConnection(Connection, asyncio.BaseProtocol):
    """
    A client whose events the loop reports by callbacks; one whose callback raises is ended.

    It is not read during a pause, nor while it leaves more replies unread than asyncio's high-water mark (64 KiB,
    transports.py): its bytes stay in the kernel, which makes it wait.
    send: sends a reply, or queues it. data_received: the model's function, which the loop calls directly.
    """

    __slots__ = ("_next", "_stuck", "_timer", "_transport", "_trouble", "data_received", "send")

    _listener: "ProtocolListener"
    send: Callable[[bytes], None]
    data_received: Callable[[bytes], None]

    def __init__(self, client: socket.socket, listener: "ProtocolListener") -> None:
        super().__init__(client, listener)
        self._stuck = False  # above the high-water mark
        self._next: Callable[[], None] | None = None  # to do once replies are taken
        self._timer: asyncio.TimerHandle | None = None  # one at a time
        self._trouble: BaseException | None = None

    async def call(self, receive: Receive) -> None:
        """Make the loop call `receive` with what the client sends, and with b"" after a pause; never raises."""
        self._begin()
        self.data_received = MethodType(receive, self)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: self, self._client)
        except Exception as error:
            self._end(error)

    def wait(self, pause: float) -> None:
        """Make the loop call the model in `pause` seconds, or later if the client has not taken its replies."""
        self._put_off(partial(self._sleep, pause))

    def close(self) -> None:
        """Send the last reply, and close once the client has taken it."""
        self._close(self.session.finish)

    def expire(self) -> None:
        """End the session because its deadline has passed."""
        self._do(partial(self._close, self.session.expire))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for the client's bytes."""
        self._transport = cast("asyncio.Transport", transport)
        self.send = self._transport.write
        self._listener.awaited.add(self)

    def eof_received(self) -> bool:
        """Answer what has arrived; True keeps the loop from closing before the replies are sent."""
        if self.session.outcome:
            self._shut()
        else:
            self._do(self.close)
        return True

    def pause_writing(self) -> None:
        """Stop reading, and start the write deadline."""
        self._stuck = True
        self._expect_taken()
        if self._next is None:
            self._put_off(_do_nothing)

    def resume_writing(self) -> None:
        """Go on, since the client has taken its replies."""
        self._stuck = False
        self._forget_timer()
        self._do(self._go_on)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count how the session ended; a reset after its end is ignored, since blocking sockets never see it."""
        self._forget_timer()
        self._listener.awaited.discard(self)
        if self._trouble is None and self.session.outcome is None:
            self._trouble = exc
        self._end(self._trouble)

    def _close(self, end: Callable[[], bytes]) -> None:
        self.data_received = _forget
        self._transport.set_protocol(self)  # uvloop caches the method that it calls
        self.send(end())
        self._put_off(self._part)

    def _put_off(self, do: Callable[[], None]) -> None:
        """Stop reading, and call `do` once the client has taken its replies."""
        self._listener.awaited.discard(self)
        self._transport.pause_reading()
        self._next = do
        self._go_on()

    def _go_on(self) -> None:
        """Once the client has taken its replies, call what was put off, and read on."""
        if self._stuck or self._next is None:
            return
        do, self._next = self._next, None
        do()
        if self._next is None and self.session.outcome is None:
            self.session.replies_taken()
            self._listener.awaited.add(self)
            self._transport.resume_reading()

    def _sleep(self, pause: float) -> None:
        self._next = _do_nothing  # so that reading does not resume
        self._timer = asyncio.get_running_loop().call_later(pause, self._wake)

    def _wake(self) -> None:
        # The socket was not read during the pause, so only SO_ERROR shows whether the client has left.
        if error := self._client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._fail(OSError(error, os.strerror(error)))
        else:
            self._next = partial(self.data_received, b"")
            self._do(self._go_on)

    def _part(self) -> None:
        """Close, after draining the client's input if any may come: unread input would reset the connection."""
        if not self.session.linger:
            self._shut()
            return
        with suppress(OSError):  # it has left, which no longer changes the outcome
            self._transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(self._deadlines.linger, self._shut)
        self._transport.resume_reading()

    def _shut(self) -> None:
        """Close once the client has taken what is still unsent, or at the write deadline."""
        self._forget_timer()
        self._expect_taken()
        self._transport.close()

    def _do(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception as error:
            self._fail(error)

    def _expect_taken(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._deadlines.write, self._fail, UnreadError())

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail(self, error: BaseException) -> None:
        self._trouble = error
        self._transport.abort()


def _forget(_: bytes) -> None:
    """Discard what a client sends after the end of its session."""


def _do_nothing() -> None:
    """Do nothing; reading then resumes."""


class ProtocolListener(LoopAccept[ProtocolConnection]):
    """Accepts connections that work by callbacks."""

    connect = ProtocolConnection
