"""A connection in the callbacks of asyncio's Protocol: for the models that wait for nothing at all."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import cast

from servers.connections.connection import Connection
from servers.connections.listener import LoopAccept
from servers.connections.timeouts import UnreadError

Receive = Callable[["ProtocolConnection", bytes], None]


class ProtocolConnection(Connection, asyncio.Protocol):
    """
    A client that the loop calls back about; none of the callbacks raises.

    A client is not read while a pause is under way, nor while it leaves more replies unread than asyncio's high-water
    mark (64 KiB, transports.py): what it sends meanwhile stays with the kernel, which makes it wait.
    send: sends a reply, if only to what waits unsent.
    """

    __slots__ = ("_next", "_pause", "_receive", "_stuck", "_timer", "_transport", "_trouble", "send")

    _listener: "ProtocolListener"
    send: Callable[[bytes], None]

    def __init__(self, client: socket.socket, listener: "ProtocolListener") -> None:
        super().__init__(client, listener)
        self._stuck = False  # above the high-water mark
        self._pause: float | None = None
        self._next: Callable[[], None] | None = None  # what is put off, until it is not stuck and the pause is over
        self._timer: asyncio.TimerHandle | None = None  # one thing at a time is waited for
        self._trouble: BaseException | None = None

    async def call(self, receive: Receive) -> None:
        """Have the loop call `receive` with what the client sends, and with b"" after a pause; never raises."""
        self._begin()
        self._receive = receive
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: self, self._client)
        except Exception as error:
            self._end(error)

    def wait(self, pause: float) -> None:
        """Have the loop call the model in so many seconds, if the client has taken its replies by then."""
        self._pause = pause
        self._put_off(partial(self._receive, self, b""))

    def close(self) -> None:
        """Tell the client what is left to be said, and close once it has taken that."""
        self._close(self.session.finish)

    def expire(self) -> None:
        """End the session, for its deadline has passed."""
        self._do(partial(self._close, self.session.expire))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Await the client's bytes."""
        self._transport = cast("asyncio.Transport", transport)
        self.send = self._transport.write
        self._listener.awaited.add(self)

    def data_received(self, data: bytes) -> None:
        """Hand on the client's bytes."""
        try:
            self._receive(self, data)
            if self._stuck and self._next is None:
                self._put_off(_do_nothing)
        except Exception as error:  # one client's trouble is not the others'
            self._fail(error)

    def eof_received(self) -> bool:
        """Answer what the client has begun; True, for otherwise the loop would close before it has the replies."""
        if self.session.outcome:
            self._shut()
        else:
            self._do(self.close)
        return True

    def pause_writing(self) -> None:
        """Give the client until the write deadline to take its replies."""
        self._stuck = True
        self._expect_taken()

    def resume_writing(self) -> None:
        """Go on: it has taken them."""
        self._stuck = False
        self._forget_timer()
        self._do(self._go_on)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count how the session ended; that a client left when it was over, blocking sockets never hear of."""
        self._forget_timer()
        self._listener.awaited.discard(self)
        if self._trouble is None and self.session.outcome is None:
            self._trouble = exc
        self._end(self._trouble)

    def _close(self, end: Callable[[], bytes]) -> None:
        self._receive = _forget
        self.send(end())
        self._put_off(self._part)

    def _put_off(self, do: Callable[[], None]) -> None:
        """Do it when the client has taken its replies and the pause is over, and read nothing until then."""
        self._listener.awaited.discard(self)
        self._transport.pause_reading()
        self._next = do
        self._go_on()

    def _go_on(self) -> None:
        """Wait for the client to read, then for the pause to pass, then do what was put off, and read on."""
        if self._stuck or self._next is None:
            return
        if self._pause is not None:
            self._timer = asyncio.get_running_loop().call_later(self._pause, self._wake)
            return
        do, self._next = self._next, None
        do()
        if self._stuck and self._next is None:
            self._next = _do_nothing
        elif self._next is None and self.session.outcome is None:
            self.session.replies_taken()
            self._listener.awaited.add(self)
            self._transport.resume_reading()

    def _wake(self) -> None:
        self._pause = None
        # Nobody has read the client during the pause, so nobody has heard whether it left.
        if error := self._client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._fail(OSError(error, os.strerror(error)))
        else:
            self._do(self._go_on)

    def _part(self) -> None:
        """Close, after draining the client's input if there may be some: it would reset the connection."""
        if not self.session.linger:
            self._shut()
            return
        with suppress(OSError):  # it has left: how it ended is settled
            self._transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(self._deadlines.linger, self._shut)
        self._transport.resume_reading()

    def _shut(self) -> None:
        """Close once the client has taken what is still unsent: it must not be held for ever."""
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


def _forget(_: ProtocolConnection, _data: bytes) -> None:
    """Forget what a client sends after the end of its session."""


def _do_nothing() -> None:
    """Do nothing but read on."""


class ProtocolListener(LoopAccept[ProtocolConnection]):
    """Accepts connections that are called back, and awaits them."""

    connect = ProtocolConnection
