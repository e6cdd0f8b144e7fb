"""Clients that connect and stay, and send only on demand."""

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

_SPARE = 32  # descriptors of this process besides: files to read, a library that is loaded late


class TooFewDescriptorsError(Exception):
    """A process may not open a descriptor for each client; the text says which process, and what to do."""


class WrongReplyError(Exception):
    """A server answered an ECHO wrongly."""


class IdleClients:
    """Connections to one server, as a context that closes them on exit."""

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
        """Connect one after another until there are `clients`; return whether all connected."""
        while len(self._clients) < clients:
            try:
                self._clients.append(socket.create_connection(self._address, CONNECT_TIMEOUT))
            except OSError:  # no server listens, or the accept queue stays full
                return False
        return True

    def shrink(self, clients: int) -> None:
        """Close the last clients until there are `clients`."""
        while len(self._clients) > clients:
            self._clients.pop().close()

    def turned_away(self) -> int:
        """Return how many clients the server has refused: it closed, or sent unrequested bytes."""
        watch = select.poll()
        for client in self._clients:
            watch.register(client, select.POLLIN)
        return len(watch.poll(0))

    def speak(self, first: int, end: int, rounds: int) -> int:
        """
        Let the clients from `first` to before `end` send an ECHO at the same time, `rounds` times.

        Return how many got all replies; WrongReplyError on a wrong one.
        """
        speaking = self._clients[first:end]
        answered = len(speaking)
        for turn in range(rounds):
            texts = [b" client %d, round %d" % (number, turn) for number in range(first, end)]
            for client, text in zip(speaking, texts, strict=True):
                with suppress(OSError):  # the server has closed it
                    client.sendall(b"ECHO%b\n" % text)
            deadline = time.monotonic() + REPLY_TIMEOUT
            right = [
                _is_answered(client, wire.ok(text), deadline) for client, text in zip(speaking, texts, strict=True)
            ]
            answered = min(answered, sum(right))
        return answered


def make_room(clients: int) -> None:
    """Raise this process's limit of descriptors for `clients` sockets; TooFewDescriptorsError if that isn't enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = psutil.Process().num_fds() + clients + _SPARE
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise TooFewDescriptorsError(
                f"{clients:,} clients need {needed:,} descriptors and this process may open {hard:,}: raise ulimit -n,"
                f" or ask for {max(0, clients - needed + hard):,} clients"
            )


def _is_answered(client: socket.socket, expected: bytes, deadline: float) -> bool:
    """Return whether the client gets a reply before the `deadline`."""
    received = b""
    while not received.endswith(b"\n"):
        client.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = client.recv(4096)
        except OSError:
            return False
        if not data:
            return False
        received += data
    if received != expected:
        raise WrongReplyError(f"the server answered {received[:80]!r} instead of {expected!r}")
    return True
