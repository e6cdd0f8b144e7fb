"""How bytes are shown, and what a client takes for a reply."""

import socket
from collections.abc import Iterator

import pytest

from loadtest.check.client import CLOSED, RESET, Client, RowFailedError, shown


@pytest.mark.parametrize(
    ("data", "at", "text"),
    [
        (b"", 0, "nothing"),
        (b"OK a\\b\x00\xff\r\n", 0, r"OK a\\b\x00\xff\r\n"),
        (b"x" * 100, 0, f"{'x' * 64}... (100 bytes)"),
        (b"x" * 50 + b"y" * 20 + b"z" * 1_000, 60, f"...{'x' * 11}{'y' * 20}{'z' * 33}... (1,070 bytes)"),
        (b"x" * 1_000, 1_000, f"...{'x' * 21} (1,000 bytes)"),
    ],
)
def test_bytes_are_escaped_and_shortened(data: bytes, at: int, text: str) -> None:
    assert shown(data, at) == text


@pytest.fixture
def pair() -> Iterator[tuple[Client, socket.socket]]:
    """Yield a client and the server's end of its connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, Client(listener.getsockname(), lambda: None) as client:
        served, _ = listener.accept()
        with served:
            yield client, served


def test_lines_that_came_early_are_kept(pair: tuple[Client, socket.socket]) -> None:
    client, served = pair
    served.sendall(b"1\n2\n3\n4")
    assert client.receive(1) == (b"1\n", "")
    assert client.receive(2) == (b"2\n3\n", "")
    served.close()
    assert client.receive(1) == (b"4", CLOSED)


def test_a_wrong_reply_is_shown_where_it_differs(pair: tuple[Client, socket.socket]) -> None:
    client, served = pair
    served.sendall(b"OK " + b"x" * 200 + b"y\n")
    with pytest.raises(RowFailedError) as failed:
        client.ask(b"ECHO\n", b"OK " + b"x" * 200 + b"z\n")
    assert failed.value.sent == r"ECHO\n"
    assert failed.value.came == f"...{'x' * 21}y\\n (205 bytes)"
    assert failed.value.expected == f"...{'x' * 21}z\\n (205 bytes)"


def test_too_many_bytes_are_not_kept(pair: tuple[Client, socket.socket]) -> None:
    client, served = pair
    served.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
    served.sendall(b"x" * 100_000)
    with pytest.raises(RowFailedError) as failed:
        client.ask(b"ECHO\n", b"OK\n")
    assert failed.value.came.endswith(" bytes), then more than 65,539 bytes")


def test_a_reply_too_many_fails(pair: tuple[Client, socket.socket]) -> None:
    client, served = pair
    served.sendall(b"OK\nOK\n")
    with pytest.raises(RowFailedError) as failed, client:
        client.ask(b"ECHO\n", b"OK\n")
    assert (failed.value.came, failed.value.expected) == ("OK\\n", "no reply without a request")


def test_a_reset_is_told_from_a_close(pair: tuple[Client, socket.socket]) -> None:
    client, served = pair
    client.send(b"unread\n")
    served.close()
    with pytest.raises(RowFailedError) as failed:
        client.expect_end()
    assert (failed.value.came, failed.value.expected) == (RESET, CLOSED)
