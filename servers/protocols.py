"""Moves a conversation's bytes in the callbacks of asyncio's Protocol: for the models that wait for nothing at all."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from servers.conversation import Conversation
from servers.reaping import reap
from servers.service import Service, UnreadError


class ProtocolDriver:
    """Converses with clients who have no task each: the loop calls back whenever one of them can go on."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._awaited: dict[Conversation, _Callbacks] = {}  # the client's bytes are awaited

    def converse(self, client: socket.socket) -> asyncio.Protocol:
        """Return what the loop must call back: it converses, closes the socket and counts how that ended."""
        return _Callbacks(client, self._service, self._awaited)

    async def reap(self) -> None:
        """End conversations whose deadline has passed, for ever."""
        await reap(self._awaited, self._service.deadlines, lambda _, callbacks: callbacks.expire())


class _Callbacks(asyncio.Protocol):
    """
    One client's callbacks; none of them raises.

    A client is not read while a pause is under way, nor while it leaves more replies unread than asyncio's high-water
    mark (64 KiB, transports.py): what it sends meanwhile stays with the kernel, which makes it wait.
    """

    __slots__ = ("_awaited", "_client", "_loop", "_service", "_stuck", "_talk", "_timer", "_transport", "_trouble")

    def __init__(self, client: socket.socket, service: Service, awaited: "dict[Conversation, _Callbacks]") -> None:
        self._client = client
        self._service = service
        self._awaited = awaited
        self._loop = asyncio.get_running_loop()
        self._talk = service.begin()
        self._stuck = False  # above the high-water mark
        self._timer: asyncio.TimerHandle | None = None  # one thing at a time is waited for
        self._trouble: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Await the client's bytes."""
        self._transport = cast("asyncio.Transport", transport)
        self._awaited[self._talk] = self

    def data_received(self, data: bytes) -> None:
        """Answer the client's bytes; forget them if the conversation is over."""
        talk = self._talk
        if talk.outcome is not None:
            return
        try:
            self._transport.write(talk.receive(data))
            if talk.pause is not None or self._stuck or talk.outcome is not None:
                self._go_on()
        except Exception as error:  # one client's trouble is not the others'
            self._fail(error)

    def eof_received(self) -> bool:
        """Answer what the client has begun; True, for otherwise the loop would close before it has the replies."""
        if self._talk.outcome is None:
            self.data_received(b"")
        else:
            self._close()
        return True

    def pause_writing(self) -> None:
        """Give the client until the write deadline to take its replies."""
        self._stuck = True
        self._expect_taken()

    def resume_writing(self) -> None:
        """Go on: it has taken them."""
        self._stuck = False
        self._forget_timer()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count how the conversation ended; that a client left when it was over, blocking sockets never hear of."""
        self._forget_timer()
        self._awaited.pop(self._talk, None)
        if self._trouble is None and self._talk.outcome is None:
            self._trouble = exc
        self._service.end(self._client, self._talk, self._trouble)

    def expire(self) -> None:
        """End the conversation, for its deadline has passed."""
        self._say(self._talk.expire)

    def _go_on(self) -> None:
        """Do what comes next: wait for the client to read, for a pause to pass, for the client's bytes, or end."""
        talk, transport = self._talk, self._transport
        self._awaited.pop(talk, None)
        if self._stuck:
            transport.pause_reading()
        elif talk.pause is not None:
            transport.pause_reading()
            self._timer = self._loop.call_later(talk.pause, self._resume)
        elif talk.outcome is None:
            talk.replies_taken()
            self._awaited[talk] = self
            transport.resume_reading()
        elif talk.linger:
            with suppress(OSError):  # it has left: how it ended is settled
                transport.write_eof()
            self._timer = self._loop.call_later(self._service.deadlines.linger, self._close)
            transport.resume_reading()
        else:
            self._close()

    def _resume(self) -> None:
        # Nobody has read the client during the pause, so nobody has heard whether it left.
        if error := self._client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._fail(OSError(error, os.strerror(error)))
        else:
            self._say(self._talk.resume)

    def _say(self, replies: Callable[[], bytes]) -> None:
        try:
            self._transport.write(replies())
            self._go_on()
        except Exception as error:
            self._fail(error)

    def _close(self) -> None:
        """Close once the client has taken what is still unsent: it must not be held for ever."""
        self._forget_timer()
        self._expect_taken()
        self._transport.close()

    def _expect_taken(self) -> None:
        self._timer = self._loop.call_later(self._service.deadlines.write, self._fail, UnreadError())

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail(self, error: Exception) -> None:
        self._trouble = error
        self._transport.abort()
