"""The listening socket."""

import errno
import socket
import sys

import pytest

from servers.connections.blocking import BlockingListener
from servers.connections.listener import Listener, listen
from servers.session import Deadlines
from servers.stats import Stats
from tests.support.loops import counted

DEADLINES = Deadlines(idle=2, line=2, write=2)


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_an_address_decides_the_family(host: str, family: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of create_server: a machine may have no IPv6."""
    asked: list[tuple[object, object, object]] = []

    def create_server(address: object, *, family: object, backlog: object) -> None:
        asked.append((address, family, backlog))

    monkeypatch.setattr(socket, "create_server", create_server)
    listen(host, 7, 9)
    assert asked == [((host, 7), family, 9)]


@pytest.mark.parametrize(
    ("family", "platform"), [(socket.AF_UNIX, "linux"), (socket.AF_INET, "darwin")], ids=["no TCP", "no Linux"]
)
def test_an_accept_queue_that_nobody_tells_is_none(
    family: socket.AddressFamily, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    with socket.socket(family) as listening:
        assert Listener(listening, 1, Stats(), DEADLINES).queue() is None


def test_a_client_accepted_while_stopping_is_ended() -> None:
    """Stopping ends the input of those it knows: this one is accepted, and not yet among them."""
    with listen("127.0.0.1", 0, 8) as listening, socket.create_connection(listening.getsockname()):
        listener = BlockingListener(listening, 1, Stats(), DEADLINES)
        listener.on_first = lambda: listener.stop(0)
        connection = listener.accept()
        assert connection is not None
        with connection:
            assert connection.receive() == b""
    assert counted(listener.stats.total().ended) == {"shutdown": 1}


class AbortedFirst(socket.socket):
    """A listening socket whose first client has left when it is accepted, which Linux says of some of them."""

    aborted = False

    def accept(self) -> tuple[socket.socket, object]:
        if not self.aborted:
            self.aborted = True
            raise ConnectionAbortedError(errno.ECONNABORTED, "it has left")
        return super().accept()


def test_a_client_gone_in_the_queue_is_skipped() -> None:
    with (
        AbortedFirst(fileno=listen("127.0.0.1", 0, 8).detach()) as listening,
        socket.create_connection(listening.getsockname()),
    ):
        listener = BlockingListener(listening, 1, Stats(), DEADLINES)
        connection = listener.accept()
        assert connection is not None
        connection.refuse("full", "closed")
    assert counted(listener.stats.total().errors) == {"full": 1}
