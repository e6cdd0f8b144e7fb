"""The wire protocol, command by command, for every model."""

import random
import socket
import time

import pytest

from tests.support.servers import BAD_SLEEP, BAD_WORK, OVERLONG, UNFINISHED, UNKNOWN, Client, Server

BINARY = bytes(byte for byte in range(256) if byte not in b"\r\n")
LONGEST = b"ECHO " + b"x" * (65536 - 5)


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        pytest.param(b"ECHO hello\n", b"OK hello\n", id="echo"),
        pytest.param(b"ECHO\n", b"OK\n", id="echo without text"),
        pytest.param(b"ECHO \n", b"OK \n", id="echo of empty text"),
        pytest.param(b"ECHO  two  blanks \n", b"OK  two  blanks \n", id="echo keeps blanks"),
        pytest.param(b"ECHO hello\r\n", b"OK hello\n", id="CR before LF is ignored"),
        pytest.param(b"ECHO\r\n", b"OK\n", id="echo without text, CRLF"),
        pytest.param(b"ECHO a\rb\n", b"OK a\rb\n", id="CR elsewhere is text"),
        pytest.param(b"ECHO a\r\r\n", b"OK a\r\n", id="only one CR is ignored"),
        pytest.param(b"ECHO " + BINARY + b"\n", b"OK " + BINARY + b"\n", id="every byte but CR and LF"),
        pytest.param(b"ECHO ECHO QUIT\n", b"OK ECHO QUIT\n", id="commands as text"),
        pytest.param("ECHO Grüße, 世界\n".encode(), "OK Grüße, 世界\n".encode(), id="UTF-8"),
        pytest.param(b"SLEEP 0 now\n", b"OK now\n", id="sleep 0"),
        pytest.param(b"SLEEP 5\n", b"OK\n", id="sleep without text"),
        pytest.param(b"SLEEP 5 \r\n", b"OK \n", id="sleep with empty text, CRLF"),
        pytest.param(b"SLEEP 005 a b\n", b"OK a b\n", id="sleep with leading zeros"),
        pytest.param(b"SLEEP 10001 x\n", BAD_SLEEP, id="sleep past the maximum"),
        pytest.param(b"SLEEP 99999999999999999999999 x\n", BAD_SLEEP, id="sleep far past the maximum"),
        pytest.param(b"SLEEP\n", BAD_SLEEP, id="sleep without a number"),
        pytest.param(b"SLEEP \n", BAD_SLEEP, id="sleep with a blank"),
        pytest.param(b"SLEEP  5 x\n", BAD_SLEEP, id="sleep with two blanks"),
        pytest.param(b"SLEEP +5 x\n", BAD_SLEEP, id="sleep +5"),
        pytest.param(b"SLEEP -5 x\n", BAD_SLEEP, id="sleep -5"),
        pytest.param(b"SLEEP 1_0 x\n", BAD_SLEEP, id="sleep 1_0"),
        pytest.param(b"SLEEP 5.0 x\n", BAD_SLEEP, id="sleep 5.0"),
        pytest.param(b"SLEEP 5x\n", BAD_SLEEP, id="sleep 5x"),
        pytest.param("SLEEP ٣ x\n".encode(), BAD_SLEEP, id="sleep with an Arabic digit"),
        pytest.param("SLEEP ５ x\n".encode(), BAD_SLEEP, id="sleep with a wide digit"),
        pytest.param(b"SLEEP x\n", BAD_SLEEP, id="sleep with text alone"),
        pytest.param(b"WORK 0 done\n", b"OK done\n", id="work 0"),
        pytest.param(b"WORK 1000\n", b"OK\n", id="work without text"),
        pytest.param(b"WORK 1000000 hard\n", b"OK hard\n", id="work, the most"),
        pytest.param(b"WORK 1000001 x\n", BAD_WORK, id="work past the maximum"),
        pytest.param(b"WORK\n", BAD_WORK, id="work without a number"),
        pytest.param(b"WORK 99999999999999999999999 x\n", BAD_WORK, id="work far past the maximum"),
        pytest.param(b"WORK x\n", BAD_WORK, id="work with text alone"),
        pytest.param(b"WORK -5 x\n", BAD_WORK, id="work -5"),
        pytest.param(b"WORK +5 x\n", BAD_WORK, id="work +5"),
        pytest.param(b"WORK 1_0 x\n", BAD_WORK, id="work 1_0"),
        pytest.param(b"WORK  5 x\n", BAD_WORK, id="work with two blanks"),
        pytest.param("WORK ²\n".encode(), BAD_WORK, id="work with a superscript"),
        pytest.param(b"\n", UNKNOWN, id="an empty line"),
        pytest.param(b"\r\n", UNKNOWN, id="an empty line, CRLF"),
        pytest.param(b" ECHO x\n", UNKNOWN, id="a blank before"),
        pytest.param(b"echo x\n", UNKNOWN, id="lower case"),
        pytest.param(b"ECHOx\n", UNKNOWN, id="a longer word"),
        pytest.param(b"ECHO\tx\n", UNKNOWN, id="a tab"),
        pytest.param(b"QUIT now\n", UNKNOWN, id="quit with text"),
        pytest.param(b"quit\n", UNKNOWN, id="lower case quit"),
        pytest.param(b"GET / HTTP/1.1\r\n", UNKNOWN, id="HTTP"),
        pytest.param(b"\x00\xff\n", UNKNOWN, id="garbage"),
    ],
)
def test_answers_a_request_and_the_conversation_goes_on(client: Client, request_: bytes, reply: bytes) -> None:
    client.ask(request_, reply)
    client.ask(b"ECHO on\n", b"OK on\n")


def test_sleeps_as_long_as_it_was_asked_to(client: Client) -> None:
    began = time.monotonic()
    client.ask(b"SLEEP 300 x\n", b"OK x\n")
    # uvloop's timers count whole milliseconds, from the start of the loop's turn.
    assert time.monotonic() - began >= 0.299


def test_quit_is_answered_and_then_the_server_closes(client: Client) -> None:
    client.ask(b"QUIT\n", b"OK\n")
    client.expect_end()


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


def test_replies_are_sent_at_once(client: Client) -> None:
    """Without TCP_NODELAY a second small reply waits for the client's delayed acknowledgement, some 40 ms."""
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0) if hasattr(socket, "TCP_QUICKACK") else None
    waits = []
    for _ in range(21):
        began = time.monotonic()
        client.ask(b"ECHO a\nSLEEP 1 b\n", b"OK a\nOK b\n")
        waits.append(time.monotonic() - began)
    assert sorted(waits)[10] < 0.03
