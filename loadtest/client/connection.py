"""One client: does the steps of a script over a non-blocking socket; the event loop waits for it."""

import _socket
import errno
import os
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP
from typing import Final

from loadtest.client import outcomes
from loadtest.client.address import Address
from loadtest.client.event_loop import EventLoop
from loadtest.client.script import Connect, Pause, Script, Send, Step, Turn
from loadtest.recording.client_stats import LATE, ClientStats

_CHUNK: Final = 65_536  # more than the longest reply
_SMALL: Final = 479
"""Bytes to receive where a reply is shorter: Python has them at hand. To cut down a chunk costs 3 us."""

_FAILED: Final = EPOLLERR | EPOLLHUP
_SO_TIMESTAMPNS: Final = 35  # asm-generic/socket.h; not in the socket module
_stamp: Final = struct.Struct("qq").unpack
_STAMP_SPACE: Final = socket.CMSG_SPACE(struct.calcsize("qq"))
_clock: Final = time.perf_counter_ns
_wall_clock: Final = time.time_ns

# What a connection waits for.
_NOTHING, _CONNECTION, _SETBACK, _REPLY, _TIME, _END, _EXPLAINED = range(7)

_WATCH: Final = 0
"""The generation of timers that look after replies that don't come: they outlive many requests."""

Tell = Callable[[str, int | None, bool], object]
"""
Called with a failure: its outcome, after how many nanoseconds (None: no request was open), and whether it was on the
way to a first reply.
"""


class ClientConnection:
    """
    One client, which does the steps of a script over a socket, one connection after another.

    generation: of the timer that it now waits for; any other one that fires is of the past.
    """

    __slots__ = (
        "_address",
        "_advance",
        "_arrived",
        "_broken",
        "_client_stats",
        "_event_loop",
        "_last",
        "_late",
        "_receive",
        "_receive_message",
        "_reply",
        "_rest",
        "_said",
        "_send",
        "_socket",
        "_steps",
        "_tell",
        "_timed",
        "_turn",
        "_waits_for",
        "_watched",
        "generation",
    )

    def __init__(
        self, event_loop: EventLoop, address: Address, client_stats: ClientStats, steps: Script, tell: Tell
    ) -> None:
        """Take the script's steps, the server's address, and what is called with failures."""
        self._event_loop = event_loop
        self._address = address
        self._client_stats = client_stats
        self._steps = steps
        self._advance = steps.send
        self._tell = tell
        self._socket: _socket.socket | None = None
        self._waits_for = _NOTHING
        self._rest = b""  # of a request: what the kernel did not take, or what a slow client holds back
        self._reply = b""  # what is yet to come of it
        self._last = False
        self._late = False
        self._broken = ""  # how the server has ended its half
        self._said = b""  # by the server, unasked, and may be why it is about to close
        self._arrived = 0
        self._timed = 0
        self._turn = False  # the time that it waits for is its turn
        self._watched = False
        self.generation = 1
        client_stats.retuned = self._retuned

    # What the event loop calls

    def ready(self, news: int) -> None:
        """Look at the socket, of which there is news."""
        waits_for = self._waits_for
        if waits_for == _CONNECTION:
            self._connected(news)
            return
        if self._rest and waits_for == _REPLY:
            self._send_rest()
        size = _SMALL if len(self._reply) < _SMALL else _CHUNK
        try:
            if self._client_stats.schedule is None:
                data = self._receive(size)
                arrived = now = _clock()
            else:
                data, arrived, now = self._receive_with_time(size)
        except BlockingIOError:
            return
        except OSError:
            self._lost("reset")
            return
        if waits_for != _REPLY:
            self._hear(data)
        elif data != self._reply or self._last or news & EPOLLRDHUP:
            self._take(data, news, arrived, now)
        else:
            self._client_stats.verified(arrived)
            self._do(self._advance(True), now)

    def called(self, generation: int) -> None:
        """Do what was to be done at this time, if it still is."""
        now = _clock()
        if generation == self.generation:
            waits_for = self._waits_for
            if waits_for == _TIME:
                self._go_on(now)
            elif waits_for == _NOTHING:
                self._do(next(self._steps), now)
            elif waits_for == _CONNECTION:
                self._not_connected("timeout", now)
            elif waits_for == _END:
                self._verify_last(now)
            elif waits_for == _EXPLAINED:
                self._lost("corrupt")  # it has said that it closes, and has not
            elif waits_for == _SETBACK:
                self._do(self._advance(False), now)
        elif generation == _WATCH:
            self._look_after_reply(now)

    def stop(self) -> None:
        """End, whatever it was doing."""
        self.generation += 1
        self._waits_for = _NOTHING
        self._client_stats.stopped(_clock())
        self._close()
        self._steps.close()

    def _look_after_reply(self, now: int) -> None:
        """See whether the reply that is waited for has taken too long."""
        self._watched = False
        if self._waits_for == _REPLY:
            if now - self._client_stats.sent_at >= int(outcomes.REPLY_TIMEOUT * 1e9):
                self._fail("timeout", now)
            else:
                self._watch()

    # The script's steps

    def _go_on(self, now: int) -> None:
        """Go on after waiting for a time: with a request's second half, with the turn that has come, or as it was."""
        self._late = now - self._timed > LATE
        if self._rest:
            if not self._dispatch(self._rest, now):
                self._do(self._advance(False), now)
            return
        if not (self._turn and self._take_turn(now)):
            self._do(self._advance(True), now)

    def _do(self, step: Step, now: int) -> None:
        """Do steps until one has to wait."""
        while True:
            if isinstance(step, Send):
                self._reply, self._last = step.reply, step.last
                if step.stall:
                    if self._begin(step, now):
                        return
                elif self._dispatch(step.request, now):
                    return
                well = False
            elif isinstance(step, Turn):
                well = not (self._broken and self._found_broken())
                if well and self._take_turn(now):
                    return
            elif isinstance(step, Pause):
                well = not self._found_broken()
                if well:
                    self._sleep_until(now + int(step.seconds * 1e9))
                    return
            elif isinstance(step, Connect):
                if not self._connect(now):
                    self._sleep_until(now, _SETBACK)  # let others have their turn: it may fail as often as it is tried
                return
            else:
                self._close()
                well = True
            step = self._advance(well)

    def _connect(self, now: int) -> bool:
        """Begin to connect. Return whether there is something to wait for."""
        client_stats = self._client_stats
        if client_stats.schedule is None:
            self._late = False  # it is due from here
        client_stats.connecting(now)
        where = self._address.where
        if where is None:
            self._tell_of_connect(self._address.unknown, now)
            return False
        family, address = where
        try:
            connection = _socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError as error:
            self._tell_of_connect(outcomes.of_connect(error), now)
            return False
        self._socket = connection
        self._receive, self._send = connection.recv, connection.send
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._client_stats.schedule is not None:
            self._receive_message = connection.recvmsg
            connection.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        failure = connection.connect_ex(address)
        if failure not in {0, errno.EINPROGRESS}:
            connection.close()  # unwatched: epoll calls one that never connected hung up, which is no break
            self._socket = None
            self._tell_of_connect(self._outcome_of(failure), _clock())
            return False
        self._event_loop.watch(connection.fileno(), self.ready)
        self._sleep_until(now + int(outcomes.CONNECT_TIMEOUT * 1e9), _CONNECTION)
        return True

    def _connected(self, news: int) -> None:
        """Go on, now that the kernel has an answer."""
        failure = self._connection().getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        now = _clock()
        if failure:
            self._not_connected(self._outcome_of(failure), now)
        elif news & (EPOLLOUT | _FAILED):
            connection = self._socket
            unasked = self._unasked() if news & EPOLLIN else b""
            self._address.reached = True
            self._client_stats.connected_at(now)
            self._do(self._advance(True), now)
            if news & (EPOLLIN | EPOLLRDHUP) and self._socket is connection:
                # The server spoke first; of that there will be no more news.
                if unasked and self._waits_for == _REPLY:
                    self._fail(outcomes.of_unasked(unasked), _clock())
                else:
                    self.ready(news)

    def _unasked(self) -> bytes:
        """Return what has come before anything was asked for."""
        try:
            return self._receive(_CHUNK)
        except OSError:  # reading once more will tell
            return b""

    def _outcome_of(self, failure: int) -> str:
        """Return how a connect ended whose error number this is."""
        return outcomes.of_connect(OSError(failure, os.strerror(failure)), known=self._address.reached)

    def _connection(self) -> _socket.socket:
        if self._socket is None:
            raise RuntimeError("there is no connection")
        return self._socket

    def _not_connected(self, outcome: str, now: int) -> None:
        self._tell_of_connect(outcome, now)
        self._do(self._advance(False), now)

    def _tell_of_connect(self, outcome: str, now: int) -> None:
        self._address.look_up_again()
        self._tell(outcome, self._client_stats.connect_failed(outcome, now), True)

    def _begin(self, step: Send, now: int) -> bool:
        """Send the first half of a request, and keep the rest for later. Return whether that went well."""
        half = len(step.request) // 2
        try:
            sent = self._send(step.request[:half])
        except OSError:
            self._broke("reset")
            return False
        self._rest = step.request[sent:]
        self._client_stats.put_off(int(step.stall * 1e9))
        self._sleep_until(now + int(step.stall * 1e9))
        return True

    def _dispatch(self, request: bytes, now: int) -> bool:
        """Send a request, or the rest of one. Return whether there is a reply to wait for."""
        client_stats = self._client_stats
        client_stats.sent(now, late=self._late)
        self._late = False
        self._waits_for = _REPLY
        try:
            sent = self._send(request)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._note_failure("reset", _clock())
            return False
        self._rest = request[sent:] if sent < len(request) else b""
        if self._broken:
            self._note_failure(self._broken, _clock())
            return False
        if not self._watched:
            self._watch()
        return True

    def _send_rest(self) -> None:
        """Send what the kernel did not take before; if the connection is broken, reading will tell."""
        with suppress(OSError):
            self._rest = self._rest[self._send(self._rest) :]

    def _watch(self) -> None:
        """See to it that a reply that doesn't come is noticed: by one timer for many requests."""
        self._watched = True
        self._event_loop.call(self, self._client_stats.sent_at + int(outcomes.REPLY_TIMEOUT * 1e9), _WATCH)

    def _receive_with_time(self, size: int) -> tuple[bytes, int, int]:
        """
        Receive. Return the bytes, when the kernel had the last of them, and now.

        In the open model, what this process takes to wake up and look is no part of the time that a reply takes. In the
        closed one it is a part of the loop.
        """
        data, ancillary, _, _ = self._receive_message(size, _STAMP_SPACE)
        now, today = _clock(), _wall_clock()
        if ancillary:  # the kernel takes a moment to begin with its stamps
            seconds, nanoseconds = _stamp(ancillary[0][2])
            ago = today - seconds * 1_000_000_000 - nanoseconds
            if 0 < ago < now - self._client_stats.sent_at:  # or the wall clock has been set meanwhile
                return data, now - ago, now
        return data, now, now

    def _take(self, data: bytes, news: int, arrived: int, now: int) -> None:
        """Take what was received, which isn't simply the reply, or is the last one or comes with the end."""
        if news & EPOLLRDHUP:
            self._broken = "reset" if news & EPOLLERR else "closed"
        if data == self._reply:
            if self._last:
                self._bid_farewell(arrived, now)
            else:
                self._client_stats.verified(arrived)
                self._do(self._advance(True), now)
        elif data and outcomes.is_unfinished(data, self._reply) and not self._broken:
            self._reply = self._reply[len(data) :]
        else:
            self._fail(outcomes.of_reply(data, self._reply), now)

    def _take_turn(self, now: int) -> bool:
        """Take the turn if it has come. Return whether there is one to wait for."""
        schedule = self._client_stats.schedule
        if schedule is None:
            raise RuntimeError("a scenario that isn't paced has no turns")
        upcoming = schedule.upcoming
        if upcoming > now:
            self._turn = True
            self._sleep_until(upcoming)
            return True
        if self._turn:
            self._turn = False
            self._client_stats.delayed(now - upcoming)
        self._client_stats.due(schedule.take())
        return False

    def _retuned(self) -> None:
        """Sleep less, if it sleeps until its turn and that comes sooner; if it comes later it will sleep again."""
        schedule = self._client_stats.schedule
        if self._turn and schedule is not None and schedule.upcoming < self._timed:
            self._sleep_until(schedule.upcoming)

    def _sleep_until(self, when: int, waits_for: int = _TIME) -> None:
        """Have `called` called at a time, unless something else comes first."""
        self._waits_for = waits_for
        self._timed = when
        self.generation += 1
        self._event_loop.call(self, when, self.generation)

    # How requests and connections end

    def _bid_farewell(self, arrived: int, now: int) -> None:
        """Close our half, now that the last reply is right, and see whether anything else comes."""
        self._arrived = arrived
        if not self._broken:
            try:
                self._connection().shutdown(socket.SHUT_WR)
            except OSError:  # reset meanwhile, after the reply was there
                self._waits_for = _END
                self._lost("reset")
                return
            self._sleep_until(now + int(outcomes.FAREWELL * 1e9), _END)
        else:
            self._waits_for = _END
            self.ready(0)

    def _verify_last(self, now: int, broke: str = "") -> None:
        """Count the last reply, which was right; `broke`: how the connection broke after it."""
        self._client_stats.verified(self._arrived)
        if broke:
            self._broke(broke)
        self._do(self._advance(not broke), now)

    def _hear(self, data: bytes) -> None:
        """
        Take what nobody has asked for; b"" is the end.

        A server that says why it closes an idle connection, and closes, has not answered wrongly. Nor has one that says
        ERR, and closes, to half a request.
        """
        said = self._said + data
        if self._waits_for == _END:
            self._lost("corrupt" if data else "closed")
        elif not data:
            explained = outcomes.is_idle_deadline(said) or (self._rest and said.startswith(b"ERR "))
            self._lost("closed" if explained or not said else "corrupt")
        elif outcomes.may_be_idle_deadline(said) or (self._rest and said.startswith(b"ERR ")):
            self._said = said
            if self._waits_for != _EXPLAINED:
                self._turn = False
                self._sleep_until(_clock() + int(outcomes.FAREWELL * 1e9), _EXPLAINED)
            self.ready(0)  # the end may be there already, and of that there will be no more news
        else:
            self._lost("corrupt")

    def _fail(self, outcome: str, now: int) -> None:
        self._note_failure(outcome, now)
        self._do(self._advance(False), now)

    def _note_failure(self, outcome: str, now: int) -> None:
        first = not self._client_stats.served
        self._tell(outcome, self._client_stats.failed(outcome, now), first)

    def _lost(self, how: str) -> None:
        """Class it that the connection has ended, or has brought bytes that nobody had asked for."""
        now = _clock()
        if self._waits_for == _REPLY:
            self._fail(how, now)
        elif self._waits_for != _END:
            self._broke(how)
            self._do(self._advance(False), now)
        elif how == "corrupt":
            self._fail(how, now)
        else:
            self._verify_last(now, how if how == "reset" else "")

    def _found_broken(self) -> bool:
        """Whether the server had closed its half together with its last reply."""
        if self._broken:
            self._broke(self._broken)
        return bool(self._broken)

    def _broke(self, how: str) -> None:
        """Note that the connection broke while no request was open on it."""
        self._client_stats.broke(how)
        self._tell(how, None, not self._client_stats.served)

    def _close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._event_loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None
        self._rest = self._said = b""
        self._broken = ""
        self._turn = self._late = False
        self._client_stats.left()
