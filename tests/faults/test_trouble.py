"""A bug ends only the session that meets it; a lack of descriptors only delays accepting."""

import asyncio
import errno
import socket
import time
from collections.abc import Iterator

import pytest

from servers.connections import listener as module
from servers.connections.blocking import BlockingConnection, BlockingListener
from servers.connections.listener import Listener, listen
from servers.connections.streams import StreamListener
from servers.models import single
from servers.session import Answers, Deadlines, Session
from servers.stats import Stats
from tests.support.loops import start

DEADLINES = Deadlines(idle=20.0, line=20.0, write=20.0)


class Faulty(Session):
    """A session with a bug."""

    __slots__ = ()

    def answer(self, data: bytes) -> Answers:
        if data == b"BUG\n":
            raise LookupError("the bug")
        return super().answer(data)


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Yield a listening socket; its connections' sessions have the bug."""
    monkeypatch.setattr(module, "Session", Faulty)
    with listen("127.0.0.1", 0, 8) as ready:
        yield ready


def after_the_bug(listener: Listener, said: str) -> None:
    total = listener.stats.total()
    assert {outcome: count for outcome, count in total.ended.items() if count} == {"failed": 1, "quit": 1}
    assert {kind: count for kind, count in total.errors.items() if count} == {"internal": 1}
    assert (listener.clients, total.open) == (set(), 0)
    assert "LookupError: the bug" in said


class Two(BlockingListener):
    """Accepts two connections."""

    accepted = 0

    def accept(self) -> BlockingConnection | None:
        self.accepted += 1
        return super().accept() if self.accepted <= 2 else None


def test_a_bug_ends_one_blocking_session(listening: socket.socket, capsys: pytest.CaptureFixture[str]) -> None:
    listener = Two(listening, 10, Stats(), DEADLINES)
    address = listening.getsockname()
    with socket.create_connection(address, 20) as one, socket.create_connection(address, 20) as two:
        one.sendall(b"BUG\n")
        two.sendall(b"QUIT\n")
        single.serve(listener)
        assert (one.recv(10), two.recv(10)) == (b"", b"OK\n")
    after_the_bug(listener, capsys.readouterr().err)


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "protocol"])
def test_a_bug_ends_one_event_loop_session(
    listening: socket.socket, capsys: pytest.CaptureFixture[str], streams: bool
) -> None:
    address = listening.getsockname()

    async def both() -> Listener:
        listener, serving = start(listening, DEADLINES, streams=streams)
        for request, reply in ((b"BUG\n", b""), (b"QUIT\n", b"OK\n")):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(request)
            assert await asyncio.wait_for(reader.read(), 20) == reply
            writer.close()
        listener.close()
        await asyncio.wait_for(serving, 20)
        return listener

    after_the_bug(asyncio.run(both()), capsys.readouterr().err)


class Exhausted(socket.socket):
    """A listening socket that lacks descriptors for a while."""

    calls = 0
    failures = 4

    def accept(self) -> tuple[socket.socket, object]:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError(errno.ENFILE, "Too many open files in system")
        return super().accept()


def test_an_event_loop_without_descriptors_backs_off() -> None:
    with listen("127.0.0.1", 0, 8) as ordinary, Exhausted(fileno=ordinary.detach()) as listening:
        listener = StreamListener(listening, 10, Stats(), DEADLINES)

        async def first() -> None:
            assert await listener.accept()

        with socket.create_connection(listening.getsockname(), 5):
            began, used = time.monotonic(), time.process_time()
            asyncio.run(asyncio.wait_for(first(), 20))
            assert time.monotonic() - began >= 0.35
            assert time.process_time() - used < 0.2
            assert listener.stats.total().errors["descriptors"] == 4
            assert listening.calls == 5


class Strict(socket.socket):
    """A socket that rejects options when its client has left, as on macOS."""

    def setsockopt(self, *_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")


class OfStrictClients(socket.socket):
    """A listening socket that accepts such sockets."""

    def accept(self) -> tuple[socket.socket, object]:
        client, address = super().accept()
        return Strict(fileno=client.detach()), address


def test_a_client_gone_before_accept_ends_no_server() -> None:
    with listen("127.0.0.1", 0, 8) as ordinary, OfStrictClients(fileno=ordinary.detach()) as listening:
        listener = BlockingListener(listening, 10, Stats(), DEADLINES)
        with socket.create_connection(listening.getsockname(), 5):
            assert listener.accept()
