"""
The baseline of the load: Locust as in its documentation.

A gevent user with a socket, and a task with one send, one recv and one `request.fire`; unique messages, compared
replies.
"""

import os
import socket
import time
from itertools import count

from locust import User, task

HOST, PORT = os.environ["TCPLAB_ASYNCIO"].rsplit(":", 1)
_who = count()


class PlainUser(User):
    def on_start(self) -> None:
        self.socket = socket.create_connection((HOST, int(PORT)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.prefix = b"%024d." % next(_who)
        self.serial = count()

    @task
    def ask(self) -> None:
        text = (self.prefix + b"%d." % next(self.serial)).ljust(64, b"x") + b"\n"
        began = time.perf_counter()
        self.socket.send(b"ECHO " + text)
        reply = self.socket.recv(4096)
        took = (time.perf_counter() - began) * 1000
        self.environment.events.request.fire(
            request_type="TCP",
            name="echo",
            response_time=took,
            response_length=len(reply),
            exception=None if reply == b"OK " + text else ValueError("another reply"),
            context={},
        )
