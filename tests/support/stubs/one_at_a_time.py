"""
A server that serves one request at a time, and logs what each took: a process of its own, which never sleeps.

    python -m tests.support.stubs.one_at_a_time MICROSECONDS

A request's time begins when the kernel has it (SO_TIMESTAMPNS), or with the end of the one before it if that is later;
it ends when the reply is with the kernel. It prints `ready PORT`; on SIGTERM it prints a `Served` for each request, in
the order of service, as JSON, and ends.
"""

import gc
import json
import select
import signal
import socket
import struct
import sys
import time
from typing import Final, NamedTuple

SO_TIMESTAMPNS: Final = 35  # asm-generic/socket.h; not in the socket module


class Served(NamedTuple):
    """One request. Nanoseconds of the wall clock: when the kernel had it, and when it had the reply."""

    text: str
    arrived: int
    sent: int


class Stub:
    def __init__(self, service: int) -> None:
        """service: nanoseconds of each request."""
        self.service = service
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.clients: dict[int, socket.socket] = {}
        self.log: list[tuple[bytes, int, int]] = []
        self.free = 0
        self.going = True

    def serve(self) -> None:
        """Ask without a pause what there is to do: to be woken up may take longer than a request."""
        while self.going:
            for descriptor, _ in self.epoll.poll(0, 1):
                if descriptor == self.listener.fileno():
                    self.accept()
                elif not self.answer(self.clients[descriptor]):
                    self.clients.pop(descriptor).close()

    def accept(self) -> None:
        client, _ = self.listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.clients[client.fileno()] = client
        self.epoll.register(client, select.EPOLLIN)

    def answer(self, client: socket.socket) -> bool:
        """Serve its request. Return whether it stays."""
        clock = time.time_ns
        try:
            request, ancillary, _, _ = client.recvmsg(65_536, 256)
            if not request:
                return False
            arrived = clock()
            if ancillary:  # the kernel takes a moment to begin with its stamps
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
                arrived = seconds * 10**9 + nanoseconds
            text = request.split(b" ", 1)[1]
            end = max(arrived, self.free) + self.service
            while clock() < end:
                pass
            client.send(b"OK " + text)
        except ConnectionError:  # by a client that was stopped while its request was open
            return False
        self.free = clock()
        self.log.append((text, arrived, self.free))
        return True


if __name__ == "__main__":
    gc.disable()
    stub = Stub(int(sys.argv[1]) * 1000)

    def stop(*_: object) -> None:
        stub.going = False

    signal.signal(signal.SIGTERM, stop)
    print("ready", stub.listener.getsockname()[1], flush=True)
    stub.serve()
    json.dump([(text.decode().strip(), *moments) for text, *moments in stub.log], sys.stdout)
