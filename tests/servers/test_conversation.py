"""The policy of a conversation, without a socket: any splitting gives the same replies, and memory is bounded."""

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from servers import conversation
from servers.conversation import Conversation, Deadlines, LastCall
from servers.tally import SERVICE_BOUNDS, Tally
from servers.wire import BATCH
from tests.servers.test_wire import pieces, split

DEADLINES = Deadlines(idle=300.0, line=30.0, write=30.0)
LONGEST_REASON = 100

requests = st.lists(
    st.one_of(
        pieces,
        st.sampled_from([b"ECHO a\n", b"SLEEP 3 b\n", b"WORK 2 c\n", b"\n" * 1500, b"nonsense\r\n", b"SLEEP x\n"]),
    ),
    max_size=12,
).map(b"".join)


class Clock:
    """A monotonic clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    standing = Clock()
    monkeypatch.setattr(conversation, "monotonic", standing)
    return standing


def converse(parts: list[bytes], tally: Tally) -> tuple[bytes, str | None, list[float]]:
    """Do what a driver does; return all replies, the outcome and the pauses for SLEEP."""
    talk = Conversation(DEADLINES, tally, LastCall())
    replies = bytearray()
    pauses: list[float] = []
    received = 0
    for part in [*parts, b""]:
        received += len(part)
        replies += (reply := talk.receive(part))
        assert len(reply) <= 2 * 65536 + len(part) + BATCH * LONGEST_REASON
        while talk.pause is not None:
            if talk.pause:
                pauses.append(talk.pause)
            replies += (reply := talk.resume())
            assert len(reply) <= 2 * 65536 + len(part) + BATCH * LONGEST_REASON
        if talk.outcome is not None:
            break
    assert tally.sent == len(replies)
    assert tally.received == received
    return bytes(replies), talk.outcome, pauses


@settings(max_examples=200, deadline=None)
@given(requests, st.lists(st.floats(0, 1), max_size=8))
@example(b"ECHO a\nQUIT\nECHO b\n", [0.4, 0.9])
@example(b"\n" * 5000, [0.2])
def test_any_splitting_gives_the_same_replies(data: bytes, places: list[float]) -> None:
    whole, parts = Tally(), Tally()
    assert converse(split(data, places), parts) == converse([data] if data else [], whole)
    assert parts.requests == whole.requests
    assert parts.errors == whole.errors
    assert sum(parts.buckets) == sum(parts.requests)


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_every_line_gets_one_reply(data: bytes) -> None:
    replies, outcome, _ = converse([data] if data else [], Tally())
    if outcome == "closed":
        assert replies.count(b"\n") == data.count(b"\n") + (not data.endswith(b"\n") and data != b"")


@pytest.mark.parametrize(
    ("request_", "replies", "outcome", "errors"),
    [
        (b"", b"", "closed", {}),
        (b"ECHO a\n", b"OK a\n", "closed", {}),
        (b"ECHO a", b"ERR the last line has no line end\n", "closed", {"unfinished": 1}),
        (b"QUIT\n", b"OK\n", "quit", {}),
        (b"QUIT\nQUIT\n", b"OK\n", "quit", {}),
        (b"x" * 65537, b"ERR a line may have 65536 bytes\n", "overlong", {"overlong": 1}),
    ],
)
def test_how_a_conversation_ends(request_: bytes, replies: bytes, outcome: str, errors: dict[str, int]) -> None:
    tally = Tally()
    assert converse([request_] if request_ else [], tally) == (replies, outcome, [])
    assert tally.errors == errors


def test_replies_are_made_in_parts() -> None:
    talk = Conversation(DEADLINES, Tally(), LastCall())
    reply = talk.receive(b"\n" * 65536)
    assert reply.count(b"\n") == BATCH
    assert talk.pause == 0.0
    turns = 1
    while talk.pause is not None:
        assert talk.resume().count(b"\n") == BATCH
        turns += 1
    assert turns * BATCH == 65536


def test_lines_that_wait_are_held_as_bytes() -> None:
    """A client that never reads leaves them waiting for as long as the write deadline."""
    talk = Conversation(DEADLINES, Tally(), LastCall())
    flood = b"xy\n" * 21_845
    tracemalloc.start()
    try:
        talk.receive(flood)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert talk.pause == 0.0
    assert held < 2 * len(flood)


@pytest.mark.parametrize("last", [b"SLEEP 7 b\n", b"WORK 1 b\n", b"QUIT\n"])
def test_what_follows_a_batch_keeps_its_order(last: bytes) -> None:
    """The last line of a batch is the one that makes a pause, or the end."""
    request = b"ECHO a\n" * (BATCH - 1) + last + b"ECHO c\n" * 3
    replies, outcome, pauses = converse([request], Tally())
    end = b"OK\n" if last == b"QUIT\n" else b"OK b\n" + b"OK c\n" * 3
    assert replies == b"OK a\n" * (BATCH - 1) + end
    assert outcome == ("quit" if last == b"QUIT\n" else "closed")
    assert pauses == ([0.007] if last.startswith(b"SLEEP") else [])


def test_the_longest_sleep_is_ten_seconds_and_counts_as_service(clock: Clock) -> None:
    tally = Tally()
    talk = Conversation(DEADLINES, tally, LastCall())
    assert talk.receive(b"ECHO a\nSLEEP 10000 b\nECHO c\n") == b"OK a\n"
    assert talk.pause == 10.0
    clock.now += 10.0
    assert talk.resume() == b"OK b\nOK c\n"
    assert talk.pause is None
    assert tally.seconds == pytest.approx(10.0)
    assert tally.buckets[SERVICE_BOUNDS.index(10.0)] == 1
    assert tally.requests == [2, 1, 0, 0]


def test_work_lets_others_have_their_turn_before_what_follows() -> None:
    talk = Conversation(DEADLINES, Tally(), LastCall())
    assert talk.receive(b"WORK 1 a\nWORK 1 b\n") == b"OK a\n"
    assert talk.pause == 0.0
    assert talk.resume() == b"OK b\n"
    assert talk.pause is None


def test_the_idle_deadline_counts_from_the_last_request(clock: Clock) -> None:
    talk = Conversation(DEADLINES, Tally(), LastCall())
    assert talk.deadline == 1300.0
    clock.now = 1100.0
    talk.receive(b"ECHO a\n")
    assert talk.deadline == 1400.0
    clock.now = 1200.0
    talk.receive(b"nonsense\n")
    assert talk.deadline == 1500.0
    assert talk.expire() == b"ERR no request for 300 s\n"
    assert talk.outcome == "idle"


@pytest.mark.parametrize("before", [b"", b"ECHO a\n", b"ECHO a\nECHO b\n"])
def test_the_line_deadline_counts_from_the_lines_first_byte(clock: Clock, before: bytes) -> None:
    tally = Tally()
    talk = Conversation(DEADLINES, tally, LastCall())
    clock.now = 1100.0
    talk.receive(before + b"E")
    for _ in range(20):
        clock.now += 1.0
        talk.receive(b"x")
    assert talk.deadline == 1130.0
    assert talk.expire() == b"ERR a line must end within 30 s\n"
    assert (talk.outcome, tally.errors) == ("dripping", {"dripping": 1})


def test_the_line_deadline_begins_again_with_the_next_line(clock: Clock) -> None:
    talk = Conversation(DEADLINES, Tally(), LastCall())
    talk.receive(b"ECHO")
    clock.now = 1020.0
    talk.receive(b" a\nECHO")
    assert talk.deadline == 1050.0


def test_the_time_of_a_sleep_is_not_the_clients(clock: Clock) -> None:
    talk = Conversation(DEADLINES, Tally(), LastCall())
    talk.receive(b"SLEEP 10000 a\nECH")
    clock.now = 1010.0
    talk.resume()
    assert talk.deadline == 1040.0


def test_the_time_in_which_replies_were_taken_is_not_the_clients(clock: Clock) -> None:
    talk = Conversation(DEADLINES, Tally(), LastCall())
    talk.receive(b"ECHO a\nECH")
    clock.now = 1025.0
    talk.replies_taken()
    assert talk.deadline == 1055.0


@pytest.mark.parametrize("begun", [b"ECHO a\n", b"ECHO a\nE"])
def test_what_a_client_still_sends_at_its_deadline_is_drained(begun: bytes) -> None:
    """Closing a socket with unread input resets the connection, and takes the replies with it."""
    talk = Conversation(DEADLINES, Tally(), LastCall())
    talk.receive(begun)
    assert not talk.linger
    talk.expire()
    assert talk.linger


@pytest.mark.parametrize(
    ("more", "linger"), [(b"", False), (b"ECHO a\n", True), (b"E", True), (b"\n" * BATCH + b"E", True)]
)
def test_what_is_unread_when_a_client_quits_is_drained(more: bytes, linger: bool) -> None:
    """Closing a socket with unread input resets the connection."""
    talk = Conversation(DEADLINES, Tally(), LastCall())
    assert talk.receive(b"QUIT\n" + more) == b"OK\n"
    assert talk.linger == linger


@pytest.mark.parametrize(("begun", "told"), [(b"", b""), (b"ECHO a", b"ERR the last line has no line end\n")])
def test_after_the_last_call_no_more_is_taken_up(clock: Clock, begun: bytes, told: bytes) -> None:
    """And what is still sent must be drained, or closing over it would reset the connection before the replies."""
    tally = Tally()
    last_call = LastCall()
    talk = Conversation(DEADLINES, tally, last_call)
    last_call.at = clock.now
    assert talk.receive(b"ECHO in time\n" + begun) == b"OK in time\n"
    clock.now += 0.001
    assert talk.receive(b"ECHO too late\n") == told
    assert (talk.outcome, talk.linger) == ("closed", True)
    assert tally.requests == [1, 0, 0, 0]


def test_who_has_ended_by_the_last_call_is_not_drained(clock: Clock) -> None:
    talk = Conversation(DEADLINES, Tally(), LastCall(clock.now))
    clock.now += 1
    assert talk.receive(b"") == b""
    assert (talk.outcome, talk.linger) == ("closed", False)
