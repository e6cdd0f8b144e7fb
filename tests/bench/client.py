"""The benchmark's client: a closed loop over many connections, as lean as Python can be."""

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

MESSAGE = b"ECHO " + b"x" * 58 + b"\n"
"""64 bytes, the lab's default message size."""


@contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    """`count` connections to loopback, each accepted by the kernel."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 5)) for _ in range(count)]
        for each in sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sockets


def ask_each(sockets: list[socket.socket], times: int) -> None:
    """Send one message over each connection and wait for its reply, `times` times round."""
    for _ in range(times):
        for each in sockets:
            each.sendall(MESSAGE)
        for each in sockets:
            while not each.recv(4096).endswith(b"\n"):
                pass


def saturate(sockets: list[socket.socket], seconds: float, cpu: Callable[[], float]) -> tuple[int, float, float]:
    """
    Keep a request under way on every connection for `seconds`.

    Returns the requests answered, the seconds they took, and the server's CPU seconds in between.
    """
    with select.epoll() as epoll:
        by_descriptor = {each.fileno(): each for each in sockets}
        for descriptor in by_descriptor:
            epoll.register(descriptor, select.EPOLLIN)
        for each in sockets:
            each.send(MESSAGE)
        answered = 0
        used = cpu()
        began = now = time.perf_counter()
        while now - began < seconds:
            for descriptor, _ in epoll.poll():
                each = by_descriptor[descriptor]
                if each.recv(4096).endswith(b"\n"):  # far smaller than a segment: it comes whole or not at all
                    answered += 1
                    each.send(MESSAGE)
            now = time.perf_counter()
        used = cpu() - used
        under_way = set(by_descriptor)
        while under_way:
            for descriptor, _ in epoll.poll():
                by_descriptor[descriptor].recv(4096)
                under_way.discard(descriptor)
    return answered, now - began, used
