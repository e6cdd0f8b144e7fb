"""A bug met by one client is that client's affair; and so is running out of descriptors for as long as it lasts."""

import asyncio
import errno
import socket
import time
from collections.abc import Iterator

import pytest

from servers import asynchronous, callbacks, service, single
from servers.blocking import BlockingDriver
from servers.conversation import Conversation, Deadlines
from servers.ledger import Ledger
from servers.listener import Listener, listen
from servers.protocols import ProtocolDriver
from servers.service import Service
from servers.streaming import StreamDriver

DEADLINES = Deadlines(idle=20.0, line=20.0, write=20.0)


class Faulty(Conversation):
    """A conversation with a bug."""

    __slots__ = ()

    def receive(self, data: bytes) -> bytes:
        if data == b"BUG\n":
            raise LookupError("the bug")
        return super().receive(data)


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Service, Ledger, Listener, socket.socket]]:
    """Yield a service with the bug, its ledger and listener, and the listening socket."""
    monkeypatch.setattr(service, "Conversation", Faulty)
    with listen("127.0.0.1", 0, 8) as listening:
        ledger = Ledger()
        listener = Listener(listening, 10, ledger.refused)
        yield Service(DEADLINES, ledger, listener), ledger, listener, listening


def after_the_bug(ledger: Ledger, listener: Listener, said: str) -> None:
    total, ended = ledger.total()
    assert ended == {"failed": 1, "quit": 1}
    assert total.errors == {"internal": 1}
    assert listener.clients == set()
    assert "LookupError: the bug" in said


def test_a_bug_ends_one_conversation_of_a_blocking_server(
    books: tuple[Service, Ledger, Listener, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    served, ledger, listener, listening = books
    address = listening.getsockname()
    with socket.create_connection(address, 20) as one, socket.create_connection(address, 20) as two:
        one.sendall(b"BUG\n")
        two.sendall(b"QUIT\n")
        converse = BlockingDriver(served).converse

        def two_of_them(client: socket.socket) -> None:
            converse(client)
            if sum(ledger.total()[1].values()) == 2:
                listener.close()

        single.serve(listener, two_of_them)
        assert (one.recv(10), two.recv(10)) == (b"", b"OK\n")
    after_the_bug(ledger, listener, capsys.readouterr().err)


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "protocol"])
def test_a_bug_ends_one_conversation_of_an_event_loop(
    books: tuple[Service, Ledger, Listener, socket.socket], capsys: pytest.CaptureFixture[str], streams: bool
) -> None:
    served, ledger, listener, listening = books
    address = listening.getsockname()

    async def both() -> None:
        if streams:
            serving = asyncio.create_task(asynchronous.serve(listener, StreamDriver(served).converse))
        else:
            serving = asyncio.create_task(callbacks.serve(listener, ProtocolDriver(served).converse))
        for request, reply in ((b"BUG\n", b""), (b"QUIT\n", b"OK\n")):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(request)
            assert await asyncio.wait_for(reader.read(), 20) == reply
            writer.close()
        listener.close()
        await asyncio.wait_for(serving, 20)

    asyncio.run(both())
    after_the_bug(ledger, listener, capsys.readouterr().err)


class Exhausted(socket.socket):
    """A listening socket without descriptors for a while."""

    calls = 0
    failures = 4

    def accept(self) -> tuple[socket.socket, object]:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError(errno.ENFILE, "Too many open files in system")
        return super().accept()


def test_an_event_loop_backs_off_without_descriptors_though_a_client_waits() -> None:
    with listen("127.0.0.1", 0, 8) as ordinary, Exhausted(fileno=ordinary.detach()) as listening:
        errors: list[str] = []
        listener = Listener(listening, 10, errors.append)

        async def first() -> socket.socket:
            async for client in listener:
                return client
            raise AssertionError

        with socket.create_connection(listening.getsockname(), 5):
            began, used = time.monotonic(), time.process_time()
            asyncio.run(asyncio.wait_for(first(), 20)).close()
            assert time.monotonic() - began >= 0.35
            assert time.process_time() - used < 0.2
            assert errors == ["descriptors"] * 4
            assert listening.calls == 5


class Strict(socket.socket):
    """A socket that takes no option when its client has left, as macOS has them."""

    def setsockopt(self, *_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")


class OfStrictClients(socket.socket):
    """A listening socket that accepts those."""

    def accept(self) -> tuple[socket.socket, object]:
        client, address = super().accept()
        return Strict(fileno=client.detach()), address


def test_a_client_that_has_left_when_it_is_accepted_does_not_end_the_server() -> None:
    with listen("127.0.0.1", 0, 8) as ordinary, OfStrictClients(fileno=ordinary.detach()) as listening:
        listener = Listener(listening, 10, lambda _: None)
        with socket.create_connection(listening.getsockname(), 5):
            next(iter(listener)).close()
