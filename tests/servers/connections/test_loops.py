"""Connections of an event loop that cannot take a client."""

import asyncio
import errno
import socket
from typing import Any

import pytest

from servers.session import Deadlines
from tests.support.loops import counted, served


class Refusing(asyncio.SelectorEventLoop):
    """An event loop that takes every client but the first."""

    refused = False

    async def connect_accepted_socket(self, *arguments: Any, **named: Any) -> Any:
        if not self.refused:
            self.refused = True
            raise OSError(errno.ENOMEM, "no memory for a transport")
        return await super().connect_accepted_socket(*arguments, **named)


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "protocol"])
def test_a_client_that_no_loop_takes_is_closed(streams: bool) -> None:
    def connect_twice(address: tuple[str, int]) -> None:
        with socket.create_connection(address, 20) as client:
            assert client.recv(100) == b""
        with socket.create_connection(address, 20) as client:
            client.sendall(b"ECHO a\n")
            assert client.recv(100) == b"OK a\n"

    seen = served(streams, Deadlines(idle=20.0, line=20.0, write=20.0), connect_twice, Refusing)
    assert counted(seen.ended) == {"closed": 1, "reset": 1}
    assert seen.open == 0
