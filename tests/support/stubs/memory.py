"""
A server with a known memory per client: an epoll loop that allocates so many bytes for each.

python -m tests.support.stubs.memory '{"connected": 65536, ...}', with any of Options' fields.
"""

import http.server
import json
import mmap
import resource
import select
import socket
import sys
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """
    The stub's behaviour.

    connected, spoken: bytes allocated for a client when it is accepted, and at its first request. serves: clients
    accepted; others stay in the accept queue. limit: clients beyond it are refused. stalls_before: the client before
    which it sleeps for a second. charged: bytes by which the reported kernel memory grows with each client.
    descriptors: how many it may open. says: its answer.
    """

    connected: int = 0
    spoken: int = 0
    serves: int = 1_000_000
    limit: int = 1_000_000
    stalls_before: int = 0
    charged: int = 0
    descriptors: int = 0
    says: str = "OK"


def allocate(size: int) -> bytearray:
    """Return so many bytes, with each page touched."""
    block = bytearray(size)
    for place in range(0, size, mmap.PAGESIZE):
        block[place] = 1
    return block


class Stub:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.clients: dict[int, socket.socket] = {}
        self.blocks: dict[int, list[bytearray]] = {}
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=2000)
        self.poll = select.epoll()
        self.poll.register(self.listening, select.EPOLLIN)

    def serve(self) -> None:
        while True:
            for number, _ in self.poll.poll():
                if number == self.listening.fileno():
                    self.accept()
                else:
                    self.hear(number)

    def accept(self) -> None:
        if len(self.clients) + 1 == self.options.stalls_before:
            time.sleep(1)
        client, _ = self.listening.accept()
        if len(self.clients) >= self.options.limit:
            client.sendall(b"ERR full\n")
            client.close()
            return
        self.clients[client.fileno()] = client
        self.blocks[client.fileno()] = [allocate(self.options.connected)]
        self.poll.register(client, select.EPOLLIN)
        if len(self.clients) == self.options.serves:
            self.poll.unregister(self.listening)

    def hear(self, number: int) -> None:
        data = self.clients[number].recv(1000)
        if not data:
            self.poll.unregister(number)
            self.clients.pop(number).close()
            del self.blocks[number]
            return
        if len(self.blocks[number]) == 1:
            self.blocks[number].append(allocate(self.options.spoken))
        self.clients[number].sendall(self.options.says.encode() + data.removeprefix(b"ECHO"))


def main() -> None:
    options = Options(**json.loads(sys.argv[1]))
    if options.descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options.descriptors, options.descriptors))
    stub = Stub(options)

    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            if options.charged:
                kernel = 5_000_000 + options.charged * len(stub.clients)
                self.wfile.write(b'tcplab_container_memory_bytes{part="file"} 7e+06\n')
                self.wfile.write(b'tcplab_container_memory_bytes{part="kernel"} %d\n' % kernel)

        def log_message(self, *_: object) -> None:
            pass

    metrics = http.server.HTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=metrics.serve_forever, daemon=True).start()
    port = stub.listening.getsockname()[1]
    print(f"stub ready: tcp 127.0.0.1:{port}, metrics http://127.0.0.1:{metrics.server_port}/metrics", flush=True)
    stub.serve()


if __name__ == "__main__":
    main()
