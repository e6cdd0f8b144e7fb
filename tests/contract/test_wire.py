"""The wire protocol, command by command, for every model; test_check has what is asked of any server too."""

import itertools
import random
import time

import pytest

from loadtest.check.wire import ERR, EXCHANGES, LONGEST
from tests.support.servers import BAD_SLEEP, BAD_WORK, OVERLONG, UNFINISHED, UNKNOWN, Client, Server

OWN = [(b"ECHO\n", b"OK\n"), (b"ECHO\r\n", b"OK\n"), (b"SLEEP 5 \r\n", b"OK \n")]
"""What only the lab's own servers must answer."""

EXACT = {b"SLEEP": BAD_SLEEP, b"WORK": BAD_WORK}
"""The lab's own ERR, by a request's first word; UNKNOWN for others."""


@pytest.mark.parametrize(
    ("line", "reply"), [*OWN, *itertools.chain(*EXCHANGES.values())], ids=lambda each: repr(each[:30])
)
def test_answers_a_request_and_the_conversation_goes_on(client: Client, line: bytes, reply: bytes) -> None:
    client.ask(line, EXACT.get(line.split(b" ")[0].strip(), UNKNOWN) if reply == ERR else reply)
    client.ask(b"ECHO on\n", b"OK on\n")


@pytest.mark.parametrize("more", [b"ECHO more\n", b"ECHO unfinished", b"ECHO more\n" * 5000, b"\n"])
def test_what_follows_quit_is_not_answered(client: Client, more: bytes) -> None:
    client.send(b"ECHO a\nQUIT\r\n" + more)
    client.expect(b"OK a\nOK\n")
    client.expect_end()


def test_replies_come_in_the_order_of_requests(client: Client) -> None:
    client.send(
        b"SLEEP 60 1\nECHO 2\nWORK 20000 3\nnonsense\nSLEEP 0 5\nWORK 1 6\nSLEEP 20 7\nECHO 8\nWORK 0\nECHO 10\n"
    )
    client.expect(b"OK 1\nOK 2\nOK 3\n" + UNKNOWN + b"OK 5\nOK 6\nOK 7\nOK 8\nOK\nOK 10\n")


def test_requests_before_a_sleep_are_answered_first(client: Client) -> None:
    client.send(b"ECHO a\nWORK 10 b\nSLEEP 1000 c\nECHO d\n")
    client.expect(b"OK a\nOK b\n")
    before = time.monotonic()
    client.expect(b"OK c\nOK d\n")
    assert time.monotonic() - before > 0.3


def test_many_sleeps_are_waited_for_one_after_another(client: Client) -> None:
    began = time.monotonic()
    client.ask(b"SLEEP 40\n" * 10, b"OK\n" * 10)
    assert time.monotonic() - began >= 0.4


DIALOGUE = b"ECHO one\r\nSLEEP 1 two\nWORK 7 three\nbad\nECHO\n\nECHO \xff\x00\r\r\nQUIT\n"
ANSWER = b"OK one\nOK two\nOK three\n" + UNKNOWN + b"OK\n" + UNKNOWN + b"OK \xff\x00\r\nOK\n"


def test_input_may_come_byte_by_byte(client: Client) -> None:
    for at in range(len(DIALOGUE)):
        client.send(DIALOGUE[at : at + 1])
    client.expect(ANSWER)
    client.expect_end()


def test_input_may_be_split_at_every_place(server: Server) -> None:
    for at in range(1, len(DIALOGUE)):
        with server.client() as client:
            client.send(DIALOGUE[:at])
            client.send(DIALOGUE[at:])
            client.expect(ANSWER)
            client.expect_end()


def test_input_may_be_split_anywhere(client: Client) -> None:
    luck = random.Random(7)
    lines = [luck.randbytes(luck.choice((0, 3, 200, 9000))).replace(b"\n", b"").replace(b"\r", b"") for _ in range(300)]
    rest = b"".join(b"ECHO %b\n" % line for line in lines)
    expected = b"".join(b"OK %b\n" % line for line in lines)
    answered = 0
    while rest:
        size = luck.choice((1, 2, 50, 1000, 70_000))
        client.send(rest[:size])
        rest = rest[size:]
        if luck.random() < 0.1:  # to keep both sides' buffers from filling
            client.socket.setblocking(False)
            try:
                received = client.socket.recv(1 << 20)
            except BlockingIOError:
                received = b""
            client.socket.settimeout(30)
            assert received == expected[answered : answered + len(received)]
            answered += len(received)
    client.expect(expected[answered:])


@pytest.mark.parametrize("count", [511, 512, 513, 1000, 6000])
def test_thousands_of_requests_may_be_sent_at_once(client: Client, count: int) -> None:
    client.send(b"".join(b"ECHO %d\n" % number for number in range(count)))
    client.expect(b"".join(b"OK %d\n" % number for number in range(count)))
    client.send(b"\n" * count)
    client.expect(UNKNOWN * count)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_the_longest_line_is_fine(client: Client, end: bytes) -> None:
    for _ in range(3):
        client.ask(LONGEST + end, b"OK " + LONGEST[5:] + b"\n")
        client.ask(LONGEST[:-1] + end, b"OK " + LONGEST[5:-1] + b"\n")
    client.ask(LONGEST[:-3] + b"\r\r" + b"x" + end, b"OK " + LONGEST[5:-3] + b"\r\rx\n")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(LONGEST + b"x\n", id="one byte more"),
        pytest.param(LONGEST + b"x\r\n", id="one byte more, CRLF"),
        pytest.param(LONGEST + b"\r\r\n", id="a CR that counts"),
        pytest.param(LONGEST + b"\rx", id="a CR that turns out to count"),
        pytest.param(LONGEST + b"x", id="unfinished"),
        pytest.param(b"z" * 200_000 + b"\n", id="no command at all"),
    ],
)
def test_a_longer_line_is_refused_and_closed(client: Client, line: bytes) -> None:
    client.send(b"ECHO a\n" + line)
    client.expect(b"OK a\n" + OVERLONG)
    client.expect_end()


def test_the_refusal_arrives_though_the_client_sends_on(client: Client) -> None:
    """The server drains the input for a while: closing with unread input would send a reset that overtakes the ERR."""
    client.send(LONGEST + b"xy")
    for _ in range(50):
        client.send(b"ECHO more\n" * 1000)
    client.expect(OVERLONG)
    client.expect_end()


def test_a_half_closed_connection_gets_all_its_replies(client: Client) -> None:
    client.send(b"ECHO a\nSLEEP 200 b\nWORK 5 c\nECHO d\n")
    client.half_close()
    client.expect(b"OK a\nOK b\nOK c\nOK d\n")
    client.expect_end()


def test_a_half_closed_connection_gets_thousands_of_replies(client: Client) -> None:
    client.send(b"".join(b"ECHO %d\n" % number for number in range(4000)))
    client.half_close()
    client.expect(b"".join(b"OK %d\n" % number for number in range(4000)))
    client.expect_end()


def test_a_last_line_without_end_is_no_request(client: Client) -> None:
    client.send(b"ECHO a\nECHO b")
    client.half_close()
    client.expect(b"OK a\n" + UNFINISHED)
    client.expect_end()


def test_a_client_may_leave_without_a_word(server: Server) -> None:
    with server.client() as client:
        client.half_close()
        client.expect_end()
