"""The classification of what happens on a connection."""

import errno
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.client.outcomes import ERRORS, is_unfinished, of_connect, of_reply, split_address
from loadtest.recording.counters import BREAKS, CONNECTIONS, OUTCOMES

REPLY = b"OK me.1.xxxx\n"


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (REPLY, "verified"),
        (b"", "closed"),
        (b"OK me", "closed"),
        (REPLY[:-1], "closed"),
        (REPLY + b"x", "corrupt"),
        (REPLY + REPLY, "corrupt"),
        (b"OK me.2.xxxx\n", "corrupt"),
        (b"OK me.1.xxxy\n", "corrupt"),
        (b"ok me.1.xxxx\n", "corrupt"),
        (b"\n", "corrupt"),
        (b"ERR too many clients\n", "refused"),
        (b"ERR ", "refused"),
        (b"ERRATIC\n", "corrupt"),
    ],
)
def test_a_reply_is_right_or_has_a_kind(received: bytes, expected: str) -> None:
    assert of_reply(received, REPLY) == expected


@given(st.binary(max_size=20), st.binary(min_size=1, max_size=20))
def test_an_unfinished_reply_may_still_become_right(received: bytes, reply: bytes) -> None:
    could = any(received + reply[cut:] == reply for cut in range(len(reply)))
    assert is_unfinished(received, reply) == could


@given(st.integers(0, len(REPLY) - 1))
def test_every_beginning_of_a_reply_is_unfinished(cut: int) -> None:
    assert is_unfinished(REPLY[:cut], REPLY)
    assert of_reply(REPLY[:cut], REPLY) == "closed"
    assert not is_unfinished(REPLY, REPLY)


def failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError("timed out"), "timeout"),
        (failure(errno.ETIMEDOUT), "timeout"),
        (failure(errno.ECONNREFUSED), "refused"),
        (failure(errno.ECONNRESET), "reset"),
        (failure(errno.ECONNABORTED), "reset"),
        (failure(errno.EPIPE), "reset"),
        (failure(errno.EADDRNOTAVAIL), "no_port"),
        (failure(errno.EMFILE), "failed"),
        (failure(errno.ENETUNREACH), "failed"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "failed"),
    ],
)
def test_a_failed_connect_has_a_known_kind(error: OSError, expected: str) -> None:
    assert of_connect(error) == expected
    assert expected in CONNECTIONS


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "refused"),
        (socket.gaierror(socket.EAI_NODATA, "No address associated with hostname"), "refused"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "refused"),
        (socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure in name resolution"), "refused"),
        (socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"), "failed"),
        (socket.gaierror(socket.EAI_SYSTEM, "System error"), "failed"),
        (failure(errno.EHOSTUNREACH), "refused"),
        (failure(errno.ENETUNREACH), "failed"),
        (failure(errno.EMFILE), "failed"),
        (failure(errno.ENOBUFS), "failed"),
        (failure(errno.EADDRNOTAVAIL), "no_port"),
        (failure(errno.ECONNRESET), "reset"),
        (failure(errno.ETIMEDOUT), "timeout"),
    ],
)
def test_a_server_that_was_known_is_gone(error: OSError, expected: str) -> None:
    assert of_connect(error, known=True) == expected
    assert of_connect(error) == (expected if expected != "refused" else "failed")


def test_locust_hears_of_every_failure_only() -> None:
    assert set(ERRORS) == {*OUTCOMES, *CONNECTIONS, *BREAKS} - {"verified", "connected"}
    for outcome, error in ERRORS.items():
        assert str(error).startswith(f"{outcome}: ")
        assert repr(error) == str(error)  # Locust counts failures by it


def test_an_err_within_a_reply_is_no_refusal() -> None:
    assert of_reply(b"ERR server full\n", b"OK abc\n") == "refused"
    assert of_reply(b"ERR server full\n", b"bc\n") == "corrupt"  # the reply had begun


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9003", ("127.0.0.1", 9003)),
        ("asyncio:1", ("asyncio", 1)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_an_address_has_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert split_address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "localhost", ":9003", "[]:9003", "localhost:", "localhost:0", "localhost:65536", "localhost:-1",
             "localhost:9003x", "localhost:²", "[::1]"],
)  # fmt: skip
def test_a_bad_address_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="is not host:port") as caught:
        split_address(text)
    assert repr(text) in str(caught.value)
