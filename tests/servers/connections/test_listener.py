"""The listening socket."""

import errno
import socket
import sys
from contextlib import ExitStack

import pytest

from servers.connections.blocking import BlockingListener
from servers.connections.listener import Listener, accept_queue, listen, listen_apart
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


def test_apart_one_port_has_several_queues() -> None:
    sockets = listen_apart("127.0.0.1", 0, 64, 3)
    with ExitStack() as stack:
        for each in sockets:
            stack.enter_context(each)
        [address] = {each.getsockname() for each in sockets}
        for _ in range(60):
            stack.enter_context(socket.create_connection(address))
        waiting = [queue.waiting for each in sockets if (queue := accept_queue(each))]
    assert (sum(waiting), min(waiting) > 0) == (60, True)


@pytest.mark.parametrize("first", ["apart", "alone"])
def test_apart_never_shares_another_servers_port(first: str) -> None:
    """SO_REUSEPORT alone would let two servers share a port, and each get a part of the clients."""
    others = listen_apart("127.0.0.1", 0, 8, 2) if first == "apart" else [listen("127.0.0.1", 0, 8)]
    with ExitStack() as stack:
        for each in others:
            stack.enter_context(each)
        with pytest.raises(OSError, match="in use"):
            listen_apart("127.0.0.1", others[0].getsockname()[1], 8, 2)


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
