"""
Bare echo servers, the baselines: only the model, without parsing, metrics, deadlines or limits.

Run as `python -m tests.bench.baselines single|threaded|asyncio|protocol`; prints `ready PORT`.
"""

import asyncio
import socket
import sys
from threading import Thread
from typing import cast

import uvloop

CHUNK = 64 * 1024


def echo(client: socket.socket) -> None:
    with client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := client.recv(CHUNK):
            client.sendall(data)


async def echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
    writer.close()


class EchoProtocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def single(listening: socket.socket) -> None:
    while True:
        client, _ = listening.accept()
        echo(client)


def threaded(listening: socket.socket) -> None:
    while True:
        client, _ = listening.accept()
        Thread(target=echo, args=(client,), daemon=True).start()


def asynchronous(listening: socket.socket) -> None:
    async def serve() -> None:
        server = await asyncio.start_server(echo_stream, sock=listening)
        await server.serve_forever()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


def protocol(listening: socket.socket) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(EchoProtocol, sock=listening)
        await server.serve_forever()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


BASELINES = {"single": single, "threaded": threaded, "asyncio": asynchronous, "protocol": protocol}

if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print("ready", listening.getsockname()[1], flush=True)
    BASELINES[sys.argv[1]](listening)
