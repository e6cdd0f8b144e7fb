"""
A server with known delays and an exact record of them: python -m tests.support.stubs.delays.

A request waits 2 ms, every 50th 50 ms, every 500th 200 ms. Its time runs from when the kernel had the request
(SO_TIMESTAMPNS), not from when this process read it, until the reply is passed to the kernel. The server prints
`ready PORT`; on SIGTERM it prints the microseconds of all requests but each connection's first as JSON, and ends.
"""

import heapq
import json
import select
import signal
import socket
import struct
import sys
import time

SO_TIMESTAMPNS = 35  # asm-generic/socket.h; not in the socket module


def delay(number: int) -> float:
    """Return the seconds that the number-th request waits."""
    if number % 500 == 0:
        return 0.2
    return 0.05 if number % 50 == 0 else 0.002


class Stub:
    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.clients: dict[int, socket.socket] = {}
        self.spoke: set[int] = set()
        self.due: list[tuple[float, int, int, float, bytes]] = []
        self.number = 0
        self.took: list[int] = []
        self.going = True

    def serve(self) -> None:
        while self.going:
            left = self.due[0][0] - time.time() if self.due else 0.05
            if left > 0:
                select.select([self.epoll], [], [], min(left, 0.05))  # epoll's own sleep is in whole milliseconds
            for descriptor, _ in self.epoll.poll(0):
                if descriptor == self.listener.fileno():
                    self.accept()
                else:
                    self.receive(descriptor)
            while self.due and self.due[0][0] <= time.time():
                _, _, descriptor, arrived, reply = heapq.heappop(self.due)
                self.answer(descriptor, arrived, reply)

    def accept(self) -> None:
        client, _ = self.listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.clients[client.fileno()] = client
        self.epoll.register(client, select.EPOLLIN)

    def receive(self, descriptor: int) -> None:
        try:
            data, ancillary, _, _ = self.clients[descriptor].recvmsg(65536, 256)
        except ConnectionResetError:  # by a client that was stopped while its request was open
            data = b""
        if not data:
            self.clients.pop(descriptor).close()
            return
        arrived = time.time()
        if ancillary or descriptor in self.spoke:  # the kernel's timestamps begin with a delay
            [(_, _, stamp)] = ancillary
            seconds, nanoseconds = struct.unpack("qq", stamp)
            arrived = seconds + nanoseconds / 1e9
        self.number += 1
        entry = (arrived + delay(self.number), self.number, descriptor, arrived, b"OK" + data[data.index(b" ") :])
        heapq.heappush(self.due, entry)

    def answer(self, descriptor: int, arrived: float, reply: bytes) -> None:
        client = self.clients.get(descriptor)
        if client is None:
            return
        client.send(reply)
        took = time.time() - arrived
        if descriptor in self.spoke:
            self.took.append(round(took * 1e6))
        self.spoke.add(descriptor)


if __name__ == "__main__":
    stub = Stub()

    def stop(*_: object) -> None:
        stub.going = False

    signal.signal(signal.SIGTERM, stop)
    print("ready", stub.listener.getsockname()[1], flush=True)
    stub.serve()
    json.dump(stub.took, sys.stdout)
