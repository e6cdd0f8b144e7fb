r"""
Locust users for raw TCP: real sockets, every reply compared byte for byte, in microseconds.

In one's own locustfile, over any protocol of request and reply:

    from locust import task
    from loadtest.user import TcpUser

    class MyUser(TcpUser):
        host = "127.0.0.1:9003"

        @task
        def talk(self):
            if self.client.connect():
                self.client.ask(b"ECHO hello\n", b"OK hello\n")
            self.client.leave()

or playing a scenario of the lab:

    from loadtest.scenarios import SCENARIOS
    from loadtest.user import ScenarioUser

    class MyUser(ScenarioUser):
        host = "127.0.0.1:9003"
        scenario = SCENARIOS["saturate"]
"""

import os
import secrets
import socket
import termios
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from random import Random
from typing import Any, ClassVar, Final

import gevent
from gevent.event import Event
from locust import User, task
from locust.env import Environment
from locust.event import EventHook

from loadtest import conntrack, feed, hindrances, outcomes
from loadtest.outcomes import ERRORS, split_address
from loadtest.recorder import LATE, Recorder, Tracker
from loadtest.scenarios import DEFAULT, SCENARIOS, Scenario
from loadtest.schedule import Schedule
from loadtest.script import Cast, Connect, Leave, Pause, Script, Send, Turn, play

RECORDER: Final = Recorder(starved=hindrances.starved, stolen=hindrances.stolen, conntrack=conntrack.used)
"""What this process counts."""

_CASTS: Final = defaultdict[str, Cast](Cast)
"""The casts of this process, by the name of their users."""

_KNOWN: Final = set[tuple[str, int]]()
_REACHED: Final = set[tuple[str, int]]()
"""The servers whose names this process has known, and those that it has been connected to."""

Where = tuple[socket.AddressFamily, Any]
"""An address family, and what its connect() takes."""

_CHUNK: Final = 65_536
_RANDOM: Final = Random()
"""What clients draw from; a forked process draws anew."""

os.register_at_fork(after_in_child=_RANDOM.seed)
os.register_at_fork(after_in_child=RECORDER.renew)
_clock: Final = time.perf_counter_ns


class TcpClient:
    """
    One client's connection: it connects, asks and leaves, tells its tracker, and fires Locust's request event.

    tracker: what this client's requests are recorded with.
    """

    def __init__(self, host: str, name: str, tracker: Tracker, request_event: EventHook) -> None:
        """Take the server's "host:port", a name for the statistics, and where to record. ValueError on a bad host."""
        self.tracker = tracker
        self._address = split_address(host)
        self._resolved: Where | None = None
        self._socket: socket.socket | None = None
        self._fire: Callable[..., object] = request_event.fire
        self._names = feed.names(name)

    def connect(self) -> bool:
        """Open a connection, within outcomes.CONNECT_TIMEOUT. Return whether it is open."""
        tracker = self.tracker
        if self._socket is not None:
            self.leave()
        known = self._address in _KNOWN
        try:
            where = self._resolved or self._resolve()
            _KNOWN.add(self._address)
            known = self._address in _REACHED
            tracker.connecting(_clock())
            self._open(where)
            _REACHED.add(self._address)
        except OSError as error:
            self._resolved = None  # the server may come back elsewhere
            outcome = outcomes.of_connect(error, known=known)
            self._tell(tracker.connect_failed(outcome, _clock()), 0, outcome)
            return False
        tracker.connected_at(_clock())
        return True

    def ask(self, request: bytes, reply: bytes, *, last: bool = False, late: bool = False, dawdle: float = 0.0) -> bool:
        """
        Send `request`, wait for exactly `reply` within outcomes.REPLY_TIMEOUT. Return whether that is what came.

        If not, leave: whatever comes next on this connection is not to be believed.

        last: nothing more will be asked on this connection; it is half-closed, so that surplus bytes show.
        late: it should have been sent LATE nanoseconds ago or more.
        dawdle: seconds to wait in the middle of the request, which counts as sent with its last byte.
        """
        tracker = self.tracker
        first = not tracker.served
        if dawdle:
            tracker.put_off(int(dawdle * 1e9))
            request = self._begin(request)
            gevent.sleep(dawdle)
        unasked = _unasked(self._connection())
        if unasked and not first:
            explained = outcomes.is_idle_deadline(unasked) or (dawdle and unasked.startswith(b"ERR "))
            self._break("closed" if explained and _is_ended(self._connection()) else "corrupt")
            return False
        tracker.sent(_clock(), late=late)
        if unasked:
            outcome, now = outcomes.of_unasked(unasked), _clock()
        else:
            outcome, now = self._exchange(request, reply)
        end = _end(self._socket) if outcome == "verified" and last and self._socket is not None else ""
        if outcome == "verified" and end != "corrupt":
            self._tell(tracker.verified(now), len(reply), outcome, first=first)
            if end:
                self._break(end)
            return not end
        outcome = end or outcome
        self._tell(tracker.failed(outcome, now), 0, outcome, first=first)
        return False

    def leave(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.tracker.left()

    def stop(self) -> None:
        """Close the connection, whatever it was doing, and count what is open as such."""
        self.tracker.stopped(_clock())
        self.leave()

    def _resolve(self) -> Where:
        """Look the name up, once: it isn't what is measured."""
        try:
            self._resolved = resolve(*self._address)
        except OSError:
            self.tracker.connecting(_clock())
            raise
        return self._resolved

    def _open(self, where: Where) -> None:
        family, address = where
        connection = self._socket = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(outcomes.CONNECT_TIMEOUT)
        try:
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            connection.close()
            self._socket = None
            raise
        connection.settimeout(outcomes.REPLY_TIMEOUT)

    def _exchange(self, request: bytes, reply: bytes) -> tuple[str, int]:
        """Send and receive. Return the outcome, and when it was there."""
        connection = self._connection()
        deadline = time.monotonic() + outcomes.REPLY_TIMEOUT
        try:
            sent = connection.send(request)  # all of it, as a rule; gevent's sendall() costs 6 us more
            if sent < len(request):
                connection.sendall(request[sent:])
            received = connection.recv(_CHUNK)
            if received != reply:  # in pieces, or wrong
                received = self._receive_rest(connection, received, reply, deadline)
        except TimeoutError:
            return "timeout", _clock()
        except OSError:
            return "reset", _clock()
        return outcomes.of_reply(received, reply), _clock()

    def _begin(self, request: bytes) -> bytes:
        """Send the first half of `request`. Return the rest; if the connection is broken, sending that will show it."""
        half = len(request) // 2
        with suppress(OSError):
            self._connection().sendall(request[:half])
        return request[half:]

    def _connection(self) -> socket.socket:
        if self._socket is None:
            raise RuntimeError("ask() without a connection: connect() first, and see what it returns")
        return self._socket

    @staticmethod
    def _receive_rest(connection: socket.socket, received: bytes, reply: bytes, deadline: float) -> bytes:
        """Receive until the reply is whole, or wrong, or the connection ended; within REPLY_TIMEOUT in all."""
        while outcomes.is_unfinished(received, reply):
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            piece = connection.recv(_CHUNK)
            if not piece:
                break
            received += piece
        connection.settimeout(outcomes.REPLY_TIMEOUT)
        return received

    def _break(self, how: str) -> None:
        """Note that the connection broke while no request was open on it: one of recorder.BREAKS."""
        self.tracker.broke(how)
        self._tell(None, 0, how, first=False)

    def _tell(self, nanoseconds: int | None, length: int, outcome: str, *, first: bool = True) -> None:
        """Tell Locust, which counts in milliseconds; None: no request was open."""
        self._fire(
            request_type=feed.METHOD,
            name=self._names[not first],
            response_time=None if nanoseconds is None else nanoseconds // 1000 / 1000,
            response_length=length,
            exception=ERRORS.get(outcome),
            context={},
        )


def resolve(host: str, port: int) -> Where:
    """Look a name up; OSError if it isn't known."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return family, address


def _unasked(connection: socket.socket) -> bytes:
    """Return what was received already, without waiting for any."""
    return connection.recv(_CHUNK) if any(ioctl(connection.fileno(), termios.FIONREAD, bytes(4))) else b""


def _is_ended(connection: socket.socket) -> bool:
    """Whether the server ends the connection within outcomes.FAREWELL, and says no more before."""
    connection.settimeout(outcomes.FAREWELL)
    try:
        return not connection.recv(1)
    except TimeoutError:
        return False
    except OSError:
        return True


def _end(connection: socket.socket) -> str:
    """Close our half and read to the end. Return what was wrong with that: one of recorder.BREAKS, "" if nothing."""
    connection.settimeout(outcomes.FAREWELL)
    try:
        connection.shutdown(socket.SHUT_WR)
        return "corrupt" if connection.recv(1) else ""
    except TimeoutError:
        return ""
    except OSError:
        return "reset"


class RecordedUser(User):
    """
    A user of whom RECORDER knows.

    label: its name in the statistics and metrics; by default the class's own. tracker: follows what it does.
    """

    abstract = True
    label: ClassVar[str] = ""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.name = self.label or type(self).__name__
        self.tracker = RECORDER.client(self.name)

    def on_start(self) -> None:
        """Count as a user."""
        self.tracker.started()


class TcpUser(RecordedUser):
    """A user with a TCP `client` for `host`, "host:port"."""

    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client = TcpClient(self.host or "", self.name, self.tracker, environment.events.request)

    def on_stop(self) -> None:
        """Close the connection; what is unanswered is counted as such."""
        self.client.stop()


class PlayingUser(RecordedUser):
    """
    A user who plays `scenario`, whichever driver does it. A run sets both for all such users at once.

    interval: seconds between two requests of this user, if the scenario is paced: users divided by requests per second.
    """

    abstract = True
    scenario: ClassVar[Scenario] = SCENARIOS[DEFAULT]
    interval: ClassVar[float] = 1.0

    def begin(self) -> Script:
        """Return the steps to play; the tracker knows their schedule, if there is one."""
        self.tracker.schedule = _schedule(self.scenario, self.interval)
        name = secrets.token_hex(8).encode()  # no other client has it, in any process
        return play(self.scenario, name, _RANDOM, _CASTS[self.name])


class ScenarioUser(PlayingUser, TcpUser):
    """A user who plays `scenario` until it is stopped, with a greenlet and a TcpClient of its own."""

    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._asked_to_stop = False
        self._retuned = Event()
        self.tracker.retuned = self._retuned.set

    def stop(self, force: bool = False) -> bool:
        """Stop: at once if forced, else after the step that it is at."""
        self._asked_to_stop = True
        return bool(super().stop(force))

    @task
    def play(self) -> None:
        """Play the scenario until asked to stop."""
        client = self.client
        steps = self.begin()
        schedule = self.tracker.schedule
        step = next(steps)
        late = False
        while not self._asked_to_stop:
            well = True
            match step:
                case Send(request, reply, last, dawdle):
                    well = client.ask(request, reply, last=last, late=late, dawdle=dawdle)
                    late = False
                case Pause(seconds):
                    late = _sleep_until(_clock() + int(seconds * 1e9))
                case Turn() if schedule is not None:
                    late = self._sleep_until_turn(schedule)
                    self.tracker.due(schedule.take())
                case Connect():
                    late = late and schedule is not None  # else it is due from here
                    well = client.connect()
                case Leave():
                    client.leave()
                    late = False
            step = steps.send(well)

    def _sleep_until_turn(self, schedule: Schedule) -> bool:
        """Sleep until its next request is due, also if that moves. Return whether it was LATE when it woke up."""
        late = False
        while (left := schedule.upcoming - _clock()) > 0:
            self._retuned.clear()
            self._retuned.wait(left / 1e9)
            late = _clock() - schedule.upcoming > LATE
        return late


def _schedule(scenario: Scenario, interval: float) -> Schedule | None:
    """Return when the requests of a new client are due, if not when it wants to send them; `interval`: seconds."""
    if not scenario.paced:
        return None
    # Clients start anywhere in their interval, or they would all send at the same moments.
    return Schedule(_clock() + int(interval * _RANDOM.random() * 1e9), int(interval * 1e9))


def _sleep_until(when: int) -> bool:
    """Sleep until then (nanoseconds). Return whether it was LATE when it woke up."""
    gevent.sleep(max(0.0, (when - _clock()) / 1e9))
    return _clock() - when > LATE
