"""The listening socket."""

import socket
import sys

import pytest

from servers.connections.listener import Listener, listen
from servers.session import Deadlines
from servers.stats import Stats


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
        assert Listener(listening, 1, Stats(), Deadlines(idle=1, line=1, write=1)).queue() is None
