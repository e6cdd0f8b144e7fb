r"""
`TcpUser`: a Locust user for your own locustfile, for any TCP protocol of requests and replies.

A whole locustfile, mine.py, in the lab's folder:

    from locust import constant, task

    from loadtest.client.tcp_user import TcpUser


    class MyUser(TcpUser):
        host = "127.0.0.1:9003"
        wait_time = constant(0.1)

        @task
        def session(self):
            if self.client.connect():
                self.client.ask(b"ECHO hello\n", b"OK hello\n")
                self.client.ask(b"ECHO world\n", b"OK world\n", last=True)
            self.client.leave()

Run it without a web page, or with one at http://localhost:8089, or with a master and a worker:

    locust -f mine.py --headless --users 10 --spawn-rate 10 --run-time 10s
    locust -f mine.py
    locust -f mine.py --master
    locust -f mine.py --worker

Each reply is compared byte for byte; each request and each failed connect fires Locust's `request` event. With
`from loadtest.cluster import master` and `master.install()` the run has the lab's result, metrics and warnings as well.
"""

import socket
import termios
import time
from collections.abc import Callable
from fcntl import ioctl
from typing import Final

import gevent
from locust.env import Environment
from locust.event import EventHook

from loadtest.client import locust_stats, outcomes
from loadtest.client.address import address_of
from loadtest.client.recorded_user import RecordedUser
from loadtest.recording.client_stats import ClientStats

_CHUNK: Final = 65_536
_clock: Final = time.perf_counter_ns


class TcpClient:
    """A user's connection: it connects, asks and leaves, records that, and fires Locust's `request` event."""

    def __init__(self, host: str, name: str, client_stats: ClientStats, request_event: EventHook) -> None:
        """Take "host:port" (ValueError on a bad one), a name for the statistics, and where to record."""
        self._address = address_of(host)
        self._names = locust_stats.names(name)
        self._client_stats = client_stats
        self._fire: Callable[..., object] = request_event.fire
        self._socket: socket.socket | None = None

    def connect(self) -> bool:
        """Connect within outcomes.CONNECT_TIMEOUT; return whether that succeeded."""
        self.leave()
        address, client_stats = self._address, self._client_stats
        if address.where is None:
            address.look_up()  # before the clock starts: the name service is not measured
        client_stats.connecting(_clock())
        outcome = self._open()
        if outcome != "connected":
            address.look_up_again()
            self._tell(outcome, client_stats.connect_failed(outcome, _clock()), first=True)
            return False
        address.reached = True
        client_stats.connected_at(_clock())
        return True

    def ask(self, request: bytes, reply: bytes, *, last: bool = False) -> bool:
        """
        Send `request`; return whether exactly `reply` came within outcomes.REPLY_TIMEOUT. If not, leave.

        last: this is the connection's last request; it is half-closed after the reply, to find surplus bytes.
        """
        connection, client_stats = self._connection(), self._client_stats
        first = not client_stats.served
        unasked = _unasked(connection)
        if unasked and not first:
            ended = outcomes.is_idle_deadline(unasked) and _end(connection) in {"closed", "reset"}
            self._break("closed" if ended else "corrupt")
            return False
        client_stats.sent(_clock())
        outcome = outcomes.of_unasked(unasked) if unasked else _exchange(connection, request, reply)
        now = _clock()
        end = _end(connection, shut=True) if last and outcome == "verified" else ""
        if end == "corrupt":
            outcome = end
        if outcome != "verified":
            self._tell(outcome, client_stats.failed(outcome, now), first=first)
            return False
        self._tell(outcome, client_stats.verified(now), first=first, length=len(reply))
        if end == "reset":
            self._break(end)
        return end != "reset"

    def leave(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._client_stats.left()

    def stop(self) -> None:
        """Close the connection; count an open request as unanswered."""
        self._client_stats.stopped(_clock())
        self.leave()

    def _open(self) -> str:
        """Connect. Return the outcome."""
        if self._address.where is None:
            return self._address.unknown
        family, address = self._address.where
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM)
            with gevent.Timeout(outcomes.CONNECT_TIMEOUT, TimeoutError):
                self._socket.connect(address)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
            return outcomes.of_connect(error, known=self._address.reached)
        return "connected"

    def _connection(self) -> socket.socket:
        if self._socket is None:
            raise RuntimeError("ask() without a connection: call connect() first, and check what it returns")
        return self._socket

    def _break(self, how: str) -> None:
        """Record that the connection broke with no request open on it: one of counters.BREAKS."""
        self._client_stats.broke(how)
        self._tell(how, None, first=False)

    def _tell(self, outcome: str, nanoseconds: int | None, *, first: bool, length: int = 0) -> None:
        """Fire Locust's `request` event, in milliseconds; None: no request was open."""
        self._fire(
            request_type=locust_stats.METHOD,
            name=self._names[not first],
            response_time=None if nanoseconds is None else nanoseconds // 1000 / 1000,
            response_length=length,
            exception=outcomes.ERRORS.get(outcome),
            context={},
        )


class TcpUser(RecordedUser):
    """A user with a TCP `client` for `host`, "host:port"."""

    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client = TcpClient(self.host or "", self.name, self.client_stats, environment.events.request)

    def on_stop(self) -> None:
        """Close the connection; count an open request as unanswered."""
        self.client.stop()


def _exchange(connection: socket.socket, request: bytes, reply: bytes) -> str:
    """Send, and receive until the reply is complete or wrong, or the connection ends. Return the outcome."""
    try:
        with gevent.Timeout(outcomes.REPLY_TIMEOUT, TimeoutError):
            sent = connection.send(request)  # usually all of it; gevent's sendall() costs 6 us more
            if sent < len(request):
                connection.sendall(request[sent:])
            received = connection.recv(_CHUNK)
            while outcomes.is_unfinished(received, reply) and (piece := connection.recv(_CHUNK)):
                received += piece
    except TimeoutError:
        return "timeout"
    except OSError:
        return "reset"
    return outcomes.of_reply(received, reply)


def _unasked(connection: socket.socket) -> bytes:
    """Return the bytes that have already arrived, without waiting."""
    return connection.recv(_CHUNK) if any(ioctl(connection.fileno(), termios.FIONREAD, bytes(4))) else b""


def _end(connection: socket.socket, *, shut: bool = False) -> str:
    """
    Wait for the server to close, for outcomes.FAREWELL; shut: close our half first.

    Return "closed", "reset", "corrupt" if bytes came instead, or "" if nothing happened.
    """
    try:
        if shut:
            connection.shutdown(socket.SHUT_WR)
        with gevent.Timeout(outcomes.FAREWELL, TimeoutError):
            return "corrupt" if connection.recv(1) else "closed"
    except TimeoutError:
        return ""
    except OSError:
        return "reset"
