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

import errno
import secrets
import socket
import time
from collections.abc import Callable
from random import Random
from typing import Any, ClassVar, Final

import gevent
from locust import User, task
from locust.env import Environment
from locust.event import EventHook

from loadtest.recorder import LATE, Recorder, Tracker
from loadtest.scenarios import DEFAULT, SCENARIOS, Scenario
from loadtest.script import Connect, Leave, Pause, Send, play

CONNECT_TIMEOUT: Final = 5.0
REPLY_TIMEOUT: Final = 30.0

FAREWELL: Final = 1.0
"""Seconds to wait for a server's end of the connection after ours, in search of surplus bytes."""

RECORDER: Final = Recorder()
"""What this process counts."""

_Where = tuple[socket.AddressFamily, Any]  # a family, and what its connect() takes

_CHUNK: Final = 65_536
_RANDOM: Final = Random()
_clock: Final = time.perf_counter_ns


class ExchangeError(Exception):
    """What Locust is told of a failure; the text is one of a few, for Locust counts failures by it."""

    def __repr__(self) -> str:
        return str(self)


_MEANING: Final = {
    "refused": "refused: nobody listens there, or the server is full",
    "timeout": "timeout: no connection within 5 s, or no reply within 30 s",
    "corrupt": "corrupt: other bytes than the right reply",
    "closed": "closed: the connection was closed before the reply",
    "reset": "reset: the connection was reset",
    "no_port": "no_port: this machine has no local port left; fewer connects per second, or net.ipv4.tcp_tw_reuse=1",
    "failed": "failed: cannot connect",
}
_ERRORS: Final = {outcome: ExchangeError(text) for outcome, text in _MEANING.items()}


def split_address(text: str) -> tuple[str, int]:
    """Return (host, port) of "host:port" or "[address]:port"; ValueError if it is neither."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is no host:port")
    return host, int(port)


def _connect_outcome(error: OSError) -> str:
    """Return which of recorder.CONNECTIONS an error of connect() is."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionError):
        return "reset"
    return "no_port" if error.errno == errno.EADDRNOTAVAIL else "failed"


class TcpClient:
    """
    One client's connection: it connects, asks and leaves, tells its tracker, and fires Locust's request event.

    tracker: what this client's requests are recorded with.
    """

    def __init__(self, host: str, name: str, tracker: Tracker, request_event: EventHook) -> None:
        """Take the server's "host:port", a name for the statistics, and where to record. ValueError on a bad host."""
        self.tracker = tracker
        self._address = split_address(host)
        self._resolved: _Where | None = None
        self._socket: socket.socket | None = None
        self._fire: Callable[..., object] = request_event.fire
        self._names = (f"{name} first reply", f"{name} reply")

    def connect(self) -> bool:
        """Open a connection, within CONNECT_TIMEOUT. Return whether it is open."""
        tracker = self.tracker
        try:
            where = self._resolved or self._resolve()
            tracker.connecting(_clock())
            self._open(where)
        except OSError as error:
            self._resolved = None  # the server may come back elsewhere
            outcome = _connect_outcome(error)
            self._tell(tracker.connect_failed(outcome, _clock()), 0, outcome)
            return False
        tracker.connected_at(_clock())
        return True

    def ask(self, request: bytes, reply: bytes, *, last: bool = False, late: bool = False) -> bool:
        """
        Send `request`, wait for exactly `reply` within REPLY_TIMEOUT. Return whether that is what came.

        last: nothing more will be asked on this connection; it is half-closed, so that surplus bytes show.
        late: it should have been sent LATE nanoseconds ago or more.
        """
        tracker = self.tracker
        first = not tracker.served
        tracker.sent(_clock(), late=late)
        outcome, now = self._exchange(request, reply)
        if outcome == "verified" and last and self._socket is not None and _surplus(self._socket):
            outcome = "corrupt"
        if outcome == "verified":
            self._tell(tracker.verified(now), len(reply), outcome, first=first)
            return True
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

    def _resolve(self) -> _Where:
        """Look the name up, once: it isn't what is measured."""
        host, port = self._address
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        except OSError:
            self.tracker.connecting(_clock())
            raise
        self._resolved = family, address
        return self._resolved

    def _open(self, where: _Where) -> None:
        family, address = where
        connection = self._socket = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(CONNECT_TIMEOUT)
        try:
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            connection.close()
            self._socket = None
            raise
        connection.settimeout(REPLY_TIMEOUT)

    def _exchange(self, request: bytes, reply: bytes) -> tuple[str, int]:
        """Send and receive. Return the outcome, and when it was there."""
        connection = self._socket
        if connection is None:
            raise RuntimeError("ask() without a connection: connect() first, and see what it returns")
        try:
            sent = connection.send(request)  # all of it, as a rule; gevent's sendall() costs 6 us more
            if sent < len(request):
                connection.sendall(request[sent:])
            received = connection.recv(_CHUNK)
            if received != reply:  # in pieces, or wrong
                received = self._receive_rest(connection, received, reply)
        except TimeoutError:
            return "timeout", _clock()
        except OSError:
            return "reset", _clock()
        now = _clock()
        if received == reply:
            return "verified", now
        if received.startswith(b"ERR "):
            return "refused", now
        unfinished = reply.startswith(received)
        return "closed" if unfinished else "corrupt", now

    @staticmethod
    def _receive_rest(connection: socket.socket, received: bytes, reply: bytes) -> bytes:
        """Receive until the reply is whole, or wrong, or the connection ended. All in all within REPLY_TIMEOUT."""
        deadline = time.monotonic() + REPLY_TIMEOUT
        while len(received) < len(reply) and reply.startswith(received):
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            piece = connection.recv(_CHUNK)
            if not piece:
                break
            received += piece
        connection.settimeout(REPLY_TIMEOUT)
        return received

    def _tell(self, nanoseconds: int, length: int, outcome: str, *, first: bool = True) -> None:
        """Tell Locust, which counts in milliseconds."""
        self._fire(
            request_type="TCP",
            name=self._names[not first],
            response_time=nanoseconds // 1000 / 1000,
            response_length=length,
            exception=_ERRORS.get(outcome),
            context={},
        )


def _surplus(connection: socket.socket) -> bool:
    """Close our half and read to the end. Return whether there were bytes that nobody had asked for."""
    connection.settimeout(FAREWELL)
    try:
        connection.shutdown(socket.SHUT_WR)
        return bool(connection.recv(1))
    except OSError:
        return False


class TcpUser(User):
    """
    A user with a TCP client for `host`, "host:port".

    label: its name in the statistics and metrics; by default the class's own.
    """

    abstract = True
    label: ClassVar[str] = ""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        name = self.label or type(self).__name__
        self.client = TcpClient(self.host or "", name, RECORDER.client(name), environment.events.request)

    def on_start(self) -> None:
        """Count as a user."""
        self.client.tracker.started()

    def on_stop(self) -> None:
        """Close the connection; what is unanswered is counted as such."""
        self.client.stop()


class ScenarioUser(TcpUser):
    """A user who plays `scenario` until it is stopped."""

    abstract = True
    scenario: ClassVar[Scenario] = SCENARIOS[DEFAULT]

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._asked_to_stop = False

    def stop(self, force: bool = False) -> bool:
        """Stop: at once if forced, else after the step that it is at."""
        self._asked_to_stop = True
        return bool(super().stop(force))

    @task
    def play(self) -> None:
        """Play the scenario until asked to stop."""
        client = self.client
        steps = play(self.scenario, secrets.token_hex(12).encode(), _RANDOM)
        step = next(steps)
        late = False
        while not self._asked_to_stop:
            well = True
            match step:
                case Send(request, reply, last):
                    well = client.ask(request, reply, last=last, late=late)
                    late = False
                case Pause(seconds):
                    until = _clock() + int(seconds * 1e9)
                    gevent.sleep(seconds)
                    late = _clock() - until > LATE
                case Connect():
                    well = client.connect()
                    late = False
                case Leave():
                    client.leave()
            step = steps.send(well)
