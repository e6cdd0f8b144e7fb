"""A server's address: looked up by name, and again when a connect fails."""

import functools
import socket
import time
from typing import Any, Final

import gevent

from loadtest.client import outcomes

LOOK_UP_AGAIN: Final = 1.0
"""Seconds between two lookups of a name while connects fail."""

Where = tuple[socket.AddressFamily, Any]
"""An address family, and the argument of its connect()."""


class Address:
    """
    A server's address, shared by all users of a process that have the same host.

    where: what a socket connects to; None while the name is unknown. unknown: the outcome of a connect meanwhile.
    reached: a client has connected to it.
    """

    def __init__(self, host: str) -> None:
        """Take the server's "host:port"; ValueError on a bad one."""
        self._host_and_port = outcomes.split_address(host)
        self._looked_at = 0.0
        self._known = False
        self.where: Where | None = None
        self.unknown = "failed"
        self.reached = False

    def look_up(self) -> None:
        """Look the name up, and wait for the answer."""
        self._looked_at = time.monotonic()
        host, port = self._host_and_port
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        except OSError as error:
            self.where = None
            self.unknown = outcomes.of_connect(error, known=self._known)
        else:
            self.where = family, address
            self._known = True

    def look_up_again(self) -> None:
        """Look the name up again in the background, once per LOOK_UP_AGAIN: the server may have moved."""
        if time.monotonic() - self._looked_at >= LOOK_UP_AGAIN:
            self._looked_at = time.monotonic()
            gevent.spawn(self.look_up)


@functools.cache
def address_of(host: str) -> Address:
    """Return this process's address for "host:port"; ValueError on a bad one."""
    return Address(host)
