"""Clients that connect and stay, and speak only when they are told to."""

import resource
import select
import socket
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil

from loadtest.client.outcomes import CONNECT_TIMEOUT, REPLY_TIMEOUT
from servers import wire

_SPARE = 32  # descriptors that this process opens besides: files to read, a library that is loaded late


class TooFewDescriptorsError(Exception):
    """A process may not open as many descriptors as the clients asked for need; the text says which, and what to do."""


class WrongReplyError(Exception):
    """A server answered an ECHO with anything but its text."""


class IdleClients:
    """Connections to one server, as a context: on the way out they are closed."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._clients: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shrink(0)

    def __len__(self) -> int:
        return len(self._clients)

    def grow(self, clients: int) -> bool:
        """Connect until there are `clients`, one after another; return whether the server's kernel took them all."""
        while len(self._clients) < clients:
            try:
                self._clients.append(socket.create_connection(self._address, CONNECT_TIMEOUT))
            except OSError:  # nobody listens, or the accept queue is full and stays so
                return False
        return True

    def shrink(self, clients: int) -> None:
        """Close the last clients until there are `clients`."""
        while len(self._clients) > clients:
            self._clients.pop().close()

    def turned_away(self) -> int:
        """Return how many clients the server has hung up on, or said something to unasked: what it does to refuse."""
        watch = select.poll()
        for client in self._clients:
            watch.register(client, select.POLLIN)
        return len(watch.poll(0))

    def speak(self, first: int, end: int, rounds: int) -> int:
        """
        Let the clients from `first` to before `end` send an ECHO, all at once, and again when all have been answered.

        Returns how many clients were answered in all `rounds`. Raises WrongReplyError if a server answers with anything
        but the text.
        """
        speaking = self._clients[first:end]
        answered = len(speaking)
        for turn in range(rounds):
            texts = [b" client %d, round %d" % (number, turn) for number in range(first, end)]
            for client, text in zip(speaking, texts, strict=True):
                with suppress(OSError):  # it has been hung up on: it will not be answered
                    client.sendall(b"ECHO%b\n" % text)
            deadline = time.monotonic() + REPLY_TIMEOUT
            heard = [_hears(client, wire.ok(text), deadline) for client, text in zip(speaking, texts, strict=True)]
            answered = min(answered, sum(heard))
        return answered


def make_room(clients: int) -> None:
    """
    Let this process open `clients` sockets, by raising its soft limit on descriptors to the hard one.

    Raises TooFewDescriptorsError if that does not suffice.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = psutil.Process().num_fds() + clients + _SPARE
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise TooFewDescriptorsError(
                f"{clients:,} clients need {needed:,} descriptors and this process may open {hard:,}: raise ulimit -n,"
                f" or ask for {max(0, clients - needed + hard):,} clients"
            )


def _hears(client: socket.socket, expected: bytes, deadline: float) -> bool:
    """Return whether the client is answered before the `deadline`."""
    heard = b""
    while not heard.endswith(b"\n"):
        client.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = client.recv(4096)
        except OSError:
            return False
        if not data:
            return False
        heard += data
    if heard != expected:
        raise WrongReplyError(f"the server answered {heard[:80]!r} where {expected!r} was due")
    return True
