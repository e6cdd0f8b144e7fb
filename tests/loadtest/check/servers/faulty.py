"""
A correct server of the whole wire in plain threads, with one fault if its name is given: faulty.py PORT [FAULT].

It imports nothing of the lab, so that a mistake there can't hide here. FAULTS names the row of each; "drips without an
end" only takes time.
"""

import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress

FAULTS = {
    "says ok": "echo",
    "trims blanks": "blanks",
    "stops at NUL": "binary",
    "replaces what is no UTF-8": "binary",
    "removes each CR": "carriage-return",
    "takes a CR for a line's end": "carriage-return",
    "cuts at 4096 bytes": "long-line",
    "loses a byte of a short piece": "split",
    "answers the first line of a packet": "joined",
    "answers the thousandth twice": "joined",
    "answers short lines first": "order",
    "sends each reply alone and delayed": "delay",
    "closes when its client half-closes": "half-close",
    "never closes": "half-close",
    "answers a line that was cut off": "cut-off",
    "sends a line back that was cut off": "cut-off",
    "stays after a line that was cut off": "cut-off",
    "dies of a reset": "reset",
    "keeps the socket of a reset": "leaving",
    "dies of an overlong line": "overlong-line",
    "cuts an overlong line": "overlong-line",
    "leaves an ERR unfinished": "overlong-line",
    "buffers an endless line": "endless-line",
    "queues replies without bound": "unread-memory",
    "loses the rest of a reply that is not taken": "late-reader",
    "serves one at a time": "second",
    "mixes clients up": "own-replies",
    "waits for the first bytes of each": "silent-client",
    "waits for the rest of a line": "dripping-client",
    "waits until a client reads": "slow-reader",
    "serves fifty": "crowd",
    "closes at an unknown line": "errors",
    "is silent about an overlong line": "overlong-error",
    "sleeps too little": "sleep",
    "answers before a sleep ends": "sleep-order",
    "sleeps for all": "sleep-others",
    "takes SLEEP +5": "sleep-numbers",
    "forgets the text of WORK": "work",
    "takes WORK 1_0": "work-numbers",
    "stays after QUIT": "quit",
    "ignores SIGTERM": "sigterm",
    "leaves a process at SIGTERM": "sigterm",
    "leaves a process of its load": "sigterm",
    "dies of load": "sigterm",
    "is silent under load": "sigterm",
    "refuses under load": "sigterm",
    "cuts a reply at SIGTERM": "last-replies",
    "drops a SLEEP at SIGTERM": "begun-request",
}

UNDER_LOAD: dict[str, Callable[[], bytes]] = {
    "dies of load": lambda: os._exit(1),
    "is silent under load": lambda: b"",
    "refuses under load": lambda: b"ERR busy\n",
}

LIMIT = 65_536


class Server:
    def __init__(self, port: int, fault: str) -> None:
        self.fault = fault
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.one = threading.Lock()
        self.places = threading.Semaphore(50)
        self.busy = 0
        self.counting = threading.Lock()
        self.ending = False
        self.kept: list[socket.socket] = []
        self.last = b""
        self.forked = False

    def serve(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN if self.fault == "ignores SIGTERM" else self.end)
        if self.fault == "leaves a process at SIGTERM" and os.fork():
            signal.pause()
        while True:
            client, _ = self.listener.accept()
            if self.fault != "sends each reply alone and delayed":
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.fault == "waits for the first bytes of each":
                with suppress(OSError):
                    client.recv(1, socket.MSG_PEEK)
            threading.Thread(target=self.converse, args=(client,), daemon=True).start()

    def fork(self) -> None:
        """Fork once, a process that stays without a socket."""
        with self.counting:
            if not self.forked and not os.fork():
                os.closerange(3, 100)
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(60)
                os._exit(0)
            self.forked = True

    def end(self, *_: object) -> None:
        """Finish what has begun, then end."""
        self.ending = True
        deadline = time.monotonic() + (0 if self.fault == "drops a SLEEP at SIGTERM" else 5)
        if self.fault == "cuts a reply at SIGTERM":
            time.sleep(1)  # one of its clients' threads ends it
        while self.busy and time.monotonic() < deadline:
            time.sleep(0.002)
        if self.fault == "queues replies without bound":
            time.sleep(0.2)  # until they are sent
        os._exit(0)

    def converse(self, client: socket.socket) -> None:
        alone = {"serves one at a time": self.one, "serves fifty": self.places}.get(self.fault, nullcontext())
        with alone:  # type: ignore[attr-defined]
            try:
                Conversation(self, client).go_on()
            except OSError:
                if self.fault == "dies of a reset":
                    os._exit(1)
                if self.fault == "keeps the socket of a reset":
                    self.kept.append(client)
                    return
            if self.fault == "never closes":
                self.kept.append(client)
                return
            client.close()


class Conversation:
    def __init__(self, server: Server, client: socket.socket) -> None:
        self.server = server
        self.fault = server.fault
        self.client = client
        self.open = True
        self.alone = True  # whether one line came in a packet
        self.patience = 0.2
        self.unsent: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.writing = threading.Thread(target=self.send_queued, daemon=True)
        self.send: Callable[[bytes], object] = client.sendall
        if self.fault == "queues replies without bound":
            self.send = self.unsent.put
        elif self.fault == "waits until a client reads":
            self.send = self.send_alone
        elif self.fault == "loses the rest of a reply that is not taken":
            self.send = self.send_in_time

    def go_on(self) -> None:
        if self.fault == "queues replies without bound":
            self.writing.start()
        try:
            self.read()
        finally:
            self.flush()

    def flush(self) -> None:
        if self.writing.is_alive():
            self.unsent.put(b"")
            self.writing.join()

    def read(self) -> None:
        rest = bytearray()
        while self.open and (data := self.receive(bool(rest))):
            if self.fault == "loses a byte of a short piece" and len(data) < 12 and b"\n" not in data:
                data = data[1:]
            rest += data
            if b"\n" in data:
                *lines, last = bytes(rest).split(b"\n")
                rest = bytearray(last)
                self.count(1)
                try:
                    if self.server.ending and self.fault != "cuts a reply at SIGTERM":
                        return
                    self.answer_all(lines)
                finally:
                    self.count(-1)
            unbounded = self.fault in {"buffers an endless line", "cuts an overlong line"}
            if self.open and len(rest) > LIMIT + 1 and not unbounded:
                self.refuse()
        if rest and self.open and self.fault == "answers a line that was cut off":
            self.send(self.reply(bytes(rest)))
        elif rest and self.open and self.fault == "sends a line back that was cut off":
            self.send(bytes(rest))
        elif rest and self.open and self.fault == "stays after a line that was cut off":
            self.server.kept.append(self.client.dup())

    def count(self, change: int) -> None:
        with self.server.counting:
            self.server.busy += change

    def receive(self, begun: bool) -> bytes:
        """Return what comes next. begun: whether it is the rest of a line."""
        if self.fault != "waits for the rest of a line":
            return self.client.recv(65_536)
        if begun:
            with self.server.one:
                return self.client.recv(65_536)
        data = self.client.recv(65_536)
        with self.server.one:
            return data

    def answer_all(self, lines: list[bytes]) -> None:
        if self.fault == "answers the first line of a packet":
            lines = lines[:1]
        if self.fault == "answers short lines first":
            lines.sort(key=len)
        if self.fault == "answers before a sleep ends":
            lines.sort(key=lambda line: line.startswith(b"SLEEP"))
        if self.fault == "takes a CR for a line's end":
            lines = [part for line in lines for part in (line.split(b"\r") if line[:4] == b"ECHO" else [line])]
        if self.fault == "sleeps for all":
            with self.server.one:
                pass
        self.alone = len(lines) == 1
        replies: list[bytes] = []
        for line in lines:
            if len(line.removesuffix(b"\r")) > LIMIT and self.fault != "cuts an overlong line":
                if replies:
                    self.send(b"".join(replies))
                self.refuse()
                return
            replies.append(self.reply(line.removesuffix(b"\r")))
            if self.fault == "sends each reply alone and delayed":
                self.send(replies.pop())
            if not self.open:
                break
        reply = b"".join(replies)
        if self.server.ending and self.fault == "cuts a reply at SIGTERM":
            self.client.sendall(reply[: len(reply) // 2])
            os._exit(0)
        if self.fault == "closes when its client half-closes":
            time.sleep(0.002)
            with suppress(BlockingIOError):
                if not self.client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    self.open = False
                    return
        self.send(reply)
        if not self.open:
            self.drain()

    def reply(self, line: bytes) -> bytes:
        command, _, text = line.partition(b" ")
        if command == b"ECHO":
            return self.echo(line)
        if line == b"QUIT":
            self.open = self.fault == "stays after QUIT"
            return b"OK\n"
        if command in {b"SLEEP", b"WORK"}:
            number, blank, text = text.partition(b" ")
            if not self.is_number(number, 10_000 if command == b"SLEEP" else 1_000_000):
                return b"ERR what number?\n"
            if command == b"SLEEP":
                self.sleep(int(number) / 1000)
            elif self.fault == "forgets the text of WORK":
                return b"OK\n"
            return b"OK" + blank + text + b"\n"
        if self.fault == "closes at an unknown line":
            self.open = False
        return b"ERR what?\n"

    def echo(self, line: bytes) -> bytes:
        text = line[5:]
        while self.fault == "drips without an end" and text[:1] == b" ":
            self.client.sendall(b"x")
            time.sleep(0.05)
        if self.fault == "answers the thousandth twice" and text == b"999":
            return b"OK 999\nOK 999\n"
        if b" says " in text and self.fault in UNDER_LOAD:
            return UNDER_LOAD[self.fault]()
        if b" says " in text and self.fault == "leaves a process of its load":
            self.server.fork()
        if self.fault == "says ok":
            return b"ok " + text + b"\n"
        if self.fault == "trims blanks":
            text = text.strip(b" \t")
        elif self.fault == "stops at NUL":
            text = text.partition(b"\0")[0]
        elif self.fault == "replaces what is no UTF-8":
            text = text.decode(errors="replace").encode()
        elif self.fault == "removes each CR":
            text = text.replace(b"\r", b"")
        elif self.fault == "cuts at 4096 bytes":
            text = text[:4096]
        elif self.fault == "cuts an overlong line":
            text = text[:LIMIT]
        elif self.fault == "mixes clients up" and self.alone:
            self.server.last = text
            time.sleep(0.002)
            text = self.server.last
        return b"OK" + line[4:5] + text + b"\n"

    def is_number(self, number: bytes, most: int) -> bool:
        if self.fault == "takes SLEEP +5" and most == 10_000:
            number = number.removeprefix(b"+")
        if self.fault == "takes WORK 1_0" and most == 1_000_000:
            number = number.replace(b"_", b"")
        return number.isdigit() and int(number) <= most

    def sleep(self, seconds: float) -> None:
        alone: AbstractContextManager[object] = self.server.one if self.fault == "sleeps for all" else nullcontext()
        with alone:
            time.sleep(seconds / 2 if self.fault == "sleeps too little" else seconds)

    def refuse(self) -> None:
        """End after an overlong line."""
        if self.fault == "dies of an overlong line":
            os._exit(1)
        if self.fault == "leaves an ERR unfinished":
            self.send(b"ERR too lo")
        elif self.fault != "is silent about an overlong line":
            self.send(b"ERR too long\n")
        self.open = False
        self.drain()

    def drain(self) -> None:
        """Read on for a while: unread input would make the close a reset, which may overtake the last reply."""
        self.flush()
        self.client.shutdown(socket.SHUT_WR)
        self.client.settimeout(1)
        with suppress(TimeoutError):
            while self.client.recv(65_536):
                pass

    def send_queued(self) -> None:
        with suppress(OSError):
            while reply := self.unsent.get():
                self.client.sendall(reply)

    def send_alone(self, reply: bytes) -> None:
        with self.server.one:
            self.client.sendall(reply)

    def send_in_time(self, reply: bytes) -> None:
        self.client.settimeout(self.patience)
        try:
            self.client.sendall(reply)
        except (TimeoutError, BlockingIOError):
            self.patience = 0.0
        finally:
            self.client.settimeout(None)


if __name__ == "__main__":
    Server(int(sys.argv[1]), " ".join(sys.argv[2:])).serve()
