"""Bytes that no client of the lab sends: endless, meaningless, or of another protocol."""

import select
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.alive import alive
from tests.support.fixtures import Launch
from tests.support.servers import (
    BAD_SLEEP,
    BAD_WORK,
    FREE_THREADED,
    MODELS,
    OVERLONG,
    PATIENCE,
    UNFINISHED,
    UNKNOWN,
    Model,
    Server,
)

MEGABYTE = 1 << 20
NO_CACHE = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
"""
Turns glibc's thread cache off, so that a process's memory says what it holds.

asyncio's own loop reads into 256 KiB and cuts that to what came. Small pieces, freed, stay in the cache and keep the
memory around them from being joined for the next read: with the cache the peak grew by up to 4 MB, and once by 10;
without it by at most 0.7 MB, in 8 runs of every model.
"""


def peak_memory(server: Server) -> int:
    """Return the peak resident memory in bytes, the sum over the processes that serve."""
    statuses = [Path(f"/proc/{process.pid}/status").read_text() for process in server.serving()]
    return sum(int(status.partition("VmHWM:")[2].split()[0]) for status in statuses) * 1024


def test_an_endless_line_is_refused_without_memory(model: Model, launch: Launch) -> None:
    """The client sends on after the refusal until the server closes."""
    server = launch(model, environment_extra=NO_CACHE)
    with server.client() as client:
        client.ask(b"ECHO in\n", b"OK in\n")
        before = peak_memory(server)
        client.socket.setblocking(False)
        told, sent, ended = b"", 0, False
        deadline = time.monotonic() + PATIENCE
        while not ended:
            assert time.monotonic() < deadline, f"it takes more and more: {sent} bytes"
            readable, writable, _ = select.select([client.socket], [client.socket], [], 1)
            try:
                if readable:  # first, because a reset would discard what it hasn't read
                    told += client.socket.recv(1000)
                if writable:
                    sent += client.socket.send(b"x" * 65536)
            except BlockingIOError:
                continue
            except ConnectionError:  # it has closed while bytes were still being sent
                ended = True
        assert told == OVERLONG
        assert peak_memory(server) - before < 4 * MEGABYTE  # a few reads of 256 KiB, where `sent` may be a gigabyte
    assert sent > MEGABYTE
    seen = server.wait_for_ends(1)
    assert seen("connections_ended_total", outcome="overlong") == 1


def reply_to(line: bytes) -> bytes:
    """Return the reply to a line other than QUIT by the wire's description."""
    line = line.removesuffix(b"\r")
    word, blank, rest = line.partition(b" ")
    if word == b"ECHO":
        return b"OK" + blank + rest + b"\n"
    if word in {b"SLEEP", b"WORK"}:
        number, blank, text = rest.partition(b" ")
        most = 10_000 if word == b"SLEEP" else 1_000_000
        if number and not number.strip(b"0123456789") and len(number) <= len(str(most)) and int(number) <= most:
            return b"OK" + blank + text + b"\n"
        return BAD_SLEEP if word == b"SLEEP" else BAD_WORK
    return UNKNOWN


def replies_to(data: bytes) -> bytes:
    """Return the replies to a client that sends only `data`."""
    *lines, rest = data.split(b"\n")
    replies = b""
    for line in lines:
        if line.removesuffix(b"\r") == b"QUIT":
            return replies + b"OK\n"
        replies += reply_to(line)
    return replies + UNFINISHED if rest else replies


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(MODELS, id="usual"),
        pytest.param(FREE_THREADED, id="free-threaded", marks=pytest.mark.free_threaded),
    ],
)
def every_server(request: pytest.FixtureRequest) -> Iterator[list[Server]]:
    """Start one server of each model; afterwards none may have met a bug or written to stderr."""
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(model)) for model in request.param]
        yield servers
        for server in servers:
            assert server.metrics()("errors_total", kind="internal") == 0, server.errors()
            alive(server)


TLS_HELLO = bytes.fromhex("160301004a010000460303") + bytes(range(32)) + bytes.fromhex("00000ec02bc02f009e00ff0100000f")
HTTP = b"POST / HTTP/1.1\r\nHost: lab\r\nContent-Length: 8\r\n\r\nECHO a\r\n"

numbers = st.one_of(
    st.integers(0, 3).map(str),
    st.integers(10_001, 10**30).map(str),
    st.integers(-(10**30), -1).map(str),
    st.sampled_from(["", " 1", "+1", "1_0", "0x1", "1e3", "1.5", "٣", "²", "NaN", "00001", "0000000001", "1\0"]),
)
rubbish = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.binary(max_size=40).map(lambda data: data + b"\n"),
        st.sampled_from(
            [b"\0" * 50, b"\0\n", b"\n" * 9, b"\r\n\r\n", HTTP, TLS_HELLO, b"ECHO ", b"QUIT\n", b"PRI * HTTP/2.0\r\n"]
        ),
        st.tuples(st.sampled_from(["SLEEP", "WORK", "sleep", "ECHO"]), numbers, st.text(max_size=5)).map(
            lambda parts: " ".join(parts).encode(errors="replace") + b"\n"
        ),
    ),
    max_size=8,
).map(b"".join)


@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rubbish)
@example(TLS_HELLO)
@example(HTTP)
@example(b"\0" * 60_000)
def test_every_server_answers_rubbish_by_the_wire(every_server: list[Server], data: bytes) -> None:
    expected = replies_to(data)
    clients = [server.client() for server in every_server]
    for client in clients:
        client.send(data)
        client.half_close()
    for server, client in zip(every_server, clients, strict=True):
        assert client.receive(1 << 20) == expected, server.model.name
        client.close()
