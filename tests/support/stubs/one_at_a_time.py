"""
A server that serves one request at a time, each in 400 us, and logs what each really took; a process of its own.

    python -m tests.support.stubs.one_at_a_time

A request's time begins when the kernel has it (SO_TIMESTAMPNS), or with the end of the one before it if that is later,
and ends when its reply is with the kernel: what the stub takes to wake up is in it. It sleeps most of the time, for the
load shares its processor's caches on many a machine. It says `ready PORT`; on SIGTERM it prints [text, nanoseconds] of
each request, in the order of service, as JSON, and ends.
"""

import ctypes
import gc
import json
import select
import signal
import socket
import struct
import sys
import time

SERVICE = 400_000
"""Nanoseconds."""

SPIN = 30_000
"""Nanoseconds before its end in which it doesn't sleep."""

SO_TIMESTAMPNS = 35  # asm-generic/socket.h; not in the socket module
PR_SET_TIMERSLACK = 29  # linux/prctl.h


class Stub:
    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.clients: dict[int, socket.socket] = {}
        self.served: list[tuple[bytes, int]] = []
        self.free = 0
        self.going = True

    def serve(self) -> None:
        while self.going:
            for descriptor, _ in self.epoll.poll(0.1, 1):
                if descriptor == self.listener.fileno():
                    self.accept()
                    continue
                try:
                    going = self.answer(self.clients[descriptor])
                except ConnectionError:  # by a client that was stopped with its request open
                    going = False
                if not going:
                    self.clients.pop(descriptor).close()

    def accept(self) -> None:
        client, _ = self.listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.clients[client.fileno()] = client
        self.epoll.register(client, select.EPOLLIN)

    def answer(self, client: socket.socket) -> bool:
        clock = time.time_ns
        request, ancillary, _, _ = client.recvmsg(4096, 256)
        if not request:
            return False
        arrived = clock()
        if ancillary:  # the kernel takes a moment to begin with its stamps
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            arrived = seconds * 10**9 + nanoseconds
        begun = max(arrived, self.free)
        text = request.split(b" ", 1)[1]
        left = begun + SERVICE - SPIN - clock()
        if left > 0:
            select.select((), (), (), left / 1e9)
        while clock() < begun + SERVICE:
            pass
        client.send(b"OK " + text)
        self.free = clock()
        self.served.append((text, self.free - begun))
        return True


if __name__ == "__main__":
    gc.disable()
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1)
    stub = Stub()

    def stop(*_: object) -> None:
        stub.going = False

    signal.signal(signal.SIGTERM, stop)
    print("ready", stub.listener.getsockname()[1], flush=True)
    stub.serve()
    json.dump([(text.decode().strip(), took) for text, took in stub.served], sys.stdout)
