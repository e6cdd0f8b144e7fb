"""The listening socket."""

import socket

import pytest

from servers.connections.listener import listen


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_an_address_decides_the_family(host: str, family: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of create_server: a machine may have no IPv6."""
    asked: list[tuple[object, object, object]] = []

    def create_server(address: object, *, family: object, backlog: object) -> None:
        asked.append((address, family, backlog))

    monkeypatch.setattr(socket, "create_server", create_server)
    listen(host, 7, 9)
    assert asked == [((host, 7), family, 9)]
