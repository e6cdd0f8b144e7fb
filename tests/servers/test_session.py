"""The policy of a session, without a socket: any splitting gives the same replies, and memory is bounded."""

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from servers import session
from servers.session import Deadlines, LastCall, Session
from servers.stats import SERVICE_BOUNDS, Stats, Total
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
    monkeypatch.setattr(session, "monotonic", standing)
    return standing


class Held(Session):
    """A session of its own server: what it counts can be asked for."""

    __slots__ = ("stats",)

    def __init__(self, last_call: LastCall | None = None) -> None:
        self.stats = Stats()
        super().__init__(DEADLINES, self.stats.own.enter(), last_call or LastCall())

    @property
    def total(self) -> Total:
        return self.stats.total()

    @property
    def errors(self) -> dict[str, int]:
        return {kind: count for kind, count in self.total.errors.items() if count}

    def reply(self, data: bytes) -> bytes:
        """Return all replies to what a client sends, without a pause."""
        return b"".join(reply for reply, _ in self.answer(data))


def converse(parts: list[bytes]) -> tuple[Held, bytes, list[float]]:
    """Do what a model does; return the session, all replies and the pauses for SLEEP."""
    held = Held()
    replies = bytearray()
    pauses: list[float] = []
    received = 0
    for part in parts:
        received += len(part)
        for reply, pause in held.answer(part):
            replies += reply
            assert len(reply) <= 2 * 65536 + len(part) + BATCH * LONGEST_REASON
            if pause:
                pauses.append(pause)
        if held.outcome is not None:
            break
    replies += held.finish()
    assert held.total.sent == len(replies)
    assert held.total.received == received
    return held, bytes(replies), pauses


@settings(max_examples=200, deadline=None)
@given(requests, st.lists(st.floats(0, 1), max_size=8))
@example(b"ECHO a\nQUIT\nECHO b\n", [0.4, 0.9])
@example(b"\n" * 5000, [0.2])
def test_any_splitting_gives_the_same_replies(data: bytes, places: list[float]) -> None:
    parts, replies, pauses = converse(split(data, places))
    whole, replies_of_whole, pauses_of_whole = converse([data] if data else [])
    assert (replies, parts.outcome, pauses) == (replies_of_whole, whole.outcome, pauses_of_whole)
    assert parts.total.requests == whole.total.requests
    assert parts.errors == whole.errors
    assert sum(parts.total.buckets) == sum(parts.total.requests)


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_every_line_gets_one_reply(data: bytes) -> None:
    held, replies, _ = converse([data] if data else [])
    if held.outcome == "closed":
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
def test_how_a_session_ends(request_: bytes, replies: bytes, outcome: str, errors: dict[str, int]) -> None:
    held, said, pauses = converse([request_] if request_ else [])
    assert (said, held.outcome, held.errors, pauses) == (replies, outcome, errors, [])


def test_replies_are_made_in_parts() -> None:
    answers = list(Held().answer(b"\n" * 65536))
    assert [reply.count(b"\n") for reply, _ in answers] == [BATCH] * (65536 // BATCH)
    assert [pause for _, pause in answers] == [0.0] * (len(answers) - 1) + [None]


def test_lines_that_wait_are_held_as_bytes() -> None:
    """A client that never reads leaves them waiting for as long as the write deadline."""
    held = Held()
    flood = b"xy\n" * 21_845
    tracemalloc.start()
    try:
        _, pause = next(iter(held.answer(flood)))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pause == 0.0
    assert size < 2 * len(flood)


@pytest.mark.parametrize("last", [b"SLEEP 7 b\n", b"WORK 1 b\n", b"QUIT\n"])
def test_what_follows_a_batch_keeps_its_order(last: bytes) -> None:
    """The last line of a batch is the one that makes a pause, or the end."""
    request = b"ECHO a\n" * (BATCH - 1) + last + b"ECHO c\n" * 3
    held, replies, pauses = converse([request])
    end = b"OK\n" if last == b"QUIT\n" else b"OK b\n" + b"OK c\n" * 3
    assert replies == b"OK a\n" * (BATCH - 1) + end
    assert held.outcome == ("quit" if last == b"QUIT\n" else "closed")
    assert pauses == ([0.007] if last.startswith(b"SLEEP") else [])


def test_the_longest_sleep_counts_as_service(clock: Clock) -> None:
    held = Held()
    answers = iter(held.answer(b"ECHO a\nSLEEP 10000 b\nECHO c\n"))
    assert next(answers) == (b"OK a\n", 10.0)
    clock.now += 10.0
    assert list(answers) == [(b"OK b\nOK c\n", None)]
    assert held.total.seconds == pytest.approx(10.0)
    assert held.total.buckets[SERVICE_BOUNDS.index(10.0)] == 1
    assert held.total.requests == [2, 1, 0, 0]


def test_work_lets_others_run_before_what_follows() -> None:
    assert list(Held().answer(b"WORK 1 a\nWORK 1 b\n")) == [(b"OK a\n", 0.0), (b"OK b\n", None)]


def test_the_idle_deadline_counts_from_the_last_request(clock: Clock) -> None:
    held = Held()
    assert held.deadline == 1300.0
    clock.now = 1100.0
    held.reply(b"ECHO a\n")
    assert held.deadline == 1400.0
    clock.now = 1200.0
    held.reply(b"nonsense\n")
    assert held.deadline == 1500.0
    assert held.expire() == b"ERR no request for 300 s\n"
    assert held.outcome == "idle"


@pytest.mark.parametrize("before", [b"", b"ECHO a\n", b"ECHO a\nECHO b\n"])
def test_the_line_deadline_starts_with_the_first_byte(clock: Clock, before: bytes) -> None:
    held = Held()
    clock.now = 1100.0
    held.reply(before + b"E")
    for _ in range(20):
        clock.now += 1.0
        held.reply(b"x")
    assert held.deadline == 1130.0
    assert held.expire() == b"ERR a line must end within 30 s\n"
    assert (held.outcome, held.errors) == ("dripping", {"dripping": 1})


def test_the_line_deadline_restarts_with_each_line(clock: Clock) -> None:
    held = Held()
    held.reply(b"ECHO")
    clock.now = 1020.0
    held.reply(b" a\nECHO")
    assert held.deadline == 1050.0


def test_a_sleeps_time_is_not_the_clients(clock: Clock) -> None:
    held = Held()
    for _, pause in held.answer(b"SLEEP 10000 a\nECH"):
        clock.now += pause or 0.0
    assert held.deadline == 1040.0


def test_time_for_taking_replies_is_not_the_clients(clock: Clock) -> None:
    held = Held()
    held.reply(b"ECHO a\nECH")
    clock.now = 1025.0
    held.replies_taken()
    assert held.deadline == 1055.0


@pytest.mark.parametrize("begun", [b"ECHO a\n", b"ECHO a\nE"])
def test_late_input_at_a_deadline_is_drained(begun: bytes) -> None:
    """Closing a socket with unread input resets the connection, and takes the replies with it."""
    held = Held()
    held.reply(begun)
    assert not held.linger
    held.expire()
    assert held.linger


@pytest.mark.parametrize(
    ("more", "linger"), [(b"", False), (b"ECHO a\n", True), (b"E", True), (b"\n" * BATCH + b"E", True)]
)
def test_unread_input_at_quit_is_drained(more: bytes, linger: bool) -> None:
    """Closing a socket with unread input resets the connection."""
    held = Held()
    assert held.reply(b"QUIT\n" + more) == b"OK\n"
    assert held.linger == linger


@pytest.mark.parametrize(("begun", "told"), [(b"", b""), (b"ECHO a", b"ERR the last line has no line end\n")])
def test_nothing_is_taken_up_after_the_last_call(clock: Clock, begun: bytes, told: bytes) -> None:
    """And what is still sent must be drained, or closing over it would reset the connection before the replies."""
    last_call = LastCall(clock.now)
    held = Held(last_call)
    assert held.reply(b"ECHO in time\n" + begun) == b"OK in time\n"
    clock.now += 0.001
    assert held.reply(b"ECHO too late\n") == told
    assert (held.outcome, held.linger) == ("closed", True)
    assert held.finish() == b""
    assert held.total.requests == [1, 0, 0, 0]


def test_a_client_that_ends_itself_is_not_drained(clock: Clock) -> None:
    held = Held(LastCall(clock.now))
    clock.now += 1
    assert held.finish() == b""
    assert (held.outcome, held.linger) == ("closed", False)
