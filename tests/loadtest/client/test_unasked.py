"""What a server does without a request: a reset after the last reply, bytes before a request, an ERR while idle."""

import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from loadtest.client.outcomes import is_idle_deadline, may_be_idle_deadline
from loadtest.scenarios import SCENARIOS
from tests.loadtest.client.test_connection import LOOKS_LATE
from tests.support.load.locust import ALL, HASTY, assert_conserved, kinds, label, locustfile, run, users, warnings
from tests.support.servers import MODELS, Model, Server
from tests.support.stubs.recording import Answer, Stub, right, says, text_of

pytestmark = pytest.mark.slow

both_models = pytest.mark.parametrize("model", [(), ("--rate", "60")], ids=["closed", "open"])


def load(folder: Path, answers: Mapping[str, Answer], *arguments: str, seconds: int = 3) -> dict[str, Any]:
    """Load a stub for each answer with three clients, all in one run. Return the result."""
    with ExitStack() as stack:
        targets = {label(name): stack.enter_context(Stub(answer)).address for name, answer in answers.items()}
        own = locustfile(folder, HASTY, users(answers))
        number = str(3 * len(targets))
        locust = run(folder, "-u", number, "-r", "100", *arguments, seconds=seconds, locustfile=own, targets=targets)
    assert "Traceback" not in locust.log
    return locust.outcome()


# A reset after the last reply


def will_reset(connection: socket.socket) -> None:
    """Have the connection reset when it is closed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def resets_after(delay: float) -> Answer:
    """Answer rightly, and reset the connection, at once or a little later."""

    def answer(_: Stub, connection: socket.socket, line: bytes) -> bool:
        connection.sendall(right(line))
        time.sleep(delay)
        will_reset(connection)
        return False

    return answer


def resets_at_the_end(_: Stub, connection: socket.socket, line: bytes) -> bool:
    """Answer rightly, and reset the connection instead of closing it after the client's half-close."""
    will_reset(connection)
    connection.sendall(right(line))
    return True


RESETS = {"at once": resets_after(0.0), "a little later": resets_after(0.01), "at the end": resets_at_the_end}


@both_models
@pytest.mark.parametrize("scenario", ["churn", "io-bound", "cpu-bound"])
def test_a_reset_after_the_last_reply_is_seen(scenario: str, model: tuple[str, ...], tmp_path: Path) -> None:
    outcome = load(tmp_path, RESETS, "--scenario", scenario, *model)
    for part in outcome["variants"].values():
        assert_conserved(part)
        assert kinds(part) == {"errors": set(), "connections": {"connected"}, "breaks": {"reset"}}
        assert part["verified"] == part["breaks"]["reset"] >= 6
    assert "disconnected" in warnings(outcome)


@pytest.mark.parametrize("scenario", ["conversation", "slow-client"])
def test_a_reset_at_a_conversations_end_is_seen(scenario: str, tmp_path: Path) -> None:
    own = locustfile(tmp_path, HASTY, users())
    with Stub(resets_at_the_end) as stub:
        think = ("--think", "0.01") if SCENARIOS[scenario].think else ()
        arguments = ("AsyncioUser", "-u", "3", "-r", "100", "--scenario", scenario, *think)
        locust = run(tmp_path, *arguments, seconds=3, locustfile=own, targets={"asyncio": stub.address})
    part = locust.outcome()["variants"]["asyncio"]
    assert_conserved(part)
    assert kinds(part) == {"errors": set(), "connections": {"connected"}, "breaks": {"reset"}}
    requests = SCENARIOS[scenario].requests
    assert requests is not None
    assert 3 <= part["breaks"]["reset"] <= part["verified"] / requests


# Bytes before a request


def following(line: bytes) -> bytes:
    """Guess the right reply to a client's next request from the last one."""
    who, serial, rest = text_of(line).split(b".", 2)
    number = b"%d" % (int(serial) + 1)
    return b"OK %b.%b.%b\n" % (who, number, rest[len(number) - len(serial) :])


def answers_ahead(_: Stub, connection: socket.socket, line: bytes) -> bool:
    """Answer the first request rightly, and all later ones before reading them."""
    connection.sendall(right(line))
    while True:
        time.sleep(0.002)
        line = b"ECHO " + following(line)[3:-1]
        connection.sendall(b"OK " + line[5:] + b"\n")


def test_a_reply_ahead_of_its_request_is_wrong(tmp_path: Path) -> None:
    """Its sender knows the client and the serial number, and answers without reading."""
    own = locustfile(tmp_path, HASTY, users())
    with Stub(answers_ahead) as stub:
        arguments = ("AsyncioUser", "-u", "2", "-r", "100", "--scenario", "saturate")
        locust = run(tmp_path, *arguments, seconds=2, locustfile=own, targets={"asyncio": stub.address})
    part = locust.outcome()["variants"]["asyncio"]
    assert_conserved(part)
    assert part["verified"] <= part["connections"]["connected"], "of each connection the first reply alone"
    assert part["errors"]["corrupt"] + part["breaks"]["corrupt"] >= 2
    assert "corrupt" in warnings(locust.outcome())


@contextmanager
def guesses_at_accept() -> Iterator[str]:
    """Send each client at once the reply that would be right if it continued the last client's numbers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:

        def serve() -> None:
            last = b"ECHO nobody.0." + b"x" * 50
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(following(last))
                        connection.settimeout(1)
                        with suppress(OSError):
                            last = connection.recv(65536).rstrip(b"\n") or last

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("scenario", ["churn", "conversation", "io-bound"])
def test_a_reply_before_the_first_request_is_wrong(scenario: str, tmp_path: Path) -> None:
    own = locustfile(tmp_path, HASTY, "script.SETBACK = 0.01\n", users())
    with guesses_at_accept() as address:
        arguments = ("AsyncioUser", "-u", "1", "--scenario", scenario)
        locust = run(tmp_path, *arguments, seconds=3, locustfile=own, targets={"asyncio": address})
    part = locust.outcome()["variants"]["asyncio"]
    assert_conserved(part)
    assert part["verified"] == 0
    assert part["errors"]["corrupt"] >= 3
    assert {"corrupt", "nothing-answered"} <= warnings(locust.outcome())


def test_bytes_before_the_first_request_are_no_reply(tmp_path: Path) -> None:
    """Every reply begins with "OK ", which is easy to guess."""
    own = locustfile(tmp_path, HASTY, LOOKS_LATE.replace("0.005", "0.1"), users())
    with Stub(says(lambda line: right(line)[3:]), greeting=b"OK ", stays=True) as stub:
        arguments = ("AsyncioUser", "-u", "2", "-r", "100", "--scenario", "churn")
        locust = run(tmp_path, *arguments, seconds=2, locustfile=own, targets={"asyncio": stub.address})
    part = locust.outcome()["variants"]["asyncio"]
    assert_conserved(part)
    assert part["verified"] == 0
    assert part["errors"]["corrupt"] >= 4


# An ERR while idle

IDLE = b"ERR no request for 0.3 s\n"


def says_later(*pieces: bytes, closes: bool) -> Answer:
    """Answer rightly; while the client thinks say this, in pieces, and close, or stay."""

    def answer(_: Stub, connection: socket.socket, line: bytes) -> bool:
        connection.sendall(right(line))
        for piece in pieces:
            time.sleep(0.1)
            connection.sendall(piece)
        return not closes

    return answer


SAYS: dict[str, tuple[Answer, str]] = {
    "another text": (says_later(b"ERR something\n", closes=True), "corrupt"),
    "another text, stays": (says_later(b"ERR something\n", closes=False), "corrupt"),
    "full": (says_later(b"ERR server full\n", closes=True), "corrupt"),
    "idle": (says_later(IDLE, closes=True), "closed"),
    "idle, stays": (says_later(IDLE, closes=False), "corrupt"),
    "idle, in two pieces": (says_later(IDLE[:12], IDLE[12:], closes=True), "closed"),
    "idle, cut off": (says_later(IDLE[:-1], closes=True), "corrupt"),
    "idle, and more later": (says_later(IDLE, b"!", closes=True), "corrupt"),
    "idle, and more": (says_later(IDLE + b"!", closes=True), "corrupt"),
    "idle, twice": (says_later(IDLE, IDLE, closes=True), "corrupt"),
    "idle for ever": (says_later(b"ERR no request for ever s\n", closes=True), "corrupt"),
    "well": (says_later(b"OK \n", closes=True), "corrupt"),
}


@pytest.mark.measures
@both_models
def test_an_unasked_err_is_wrong_unless_idle(model: tuple[str, ...], tmp_path: Path) -> None:
    # 0.5 s at least, or 2 s, for each client; at random, a request might be open when the ERR comes.
    pace = ("--rate", str(1.5 * len(SAYS)), "--arrivals", "periodic") if model else ("--think", "1")
    answers = {name: answer for name, (answer, _) in SAYS.items()}
    outcome = load(tmp_path, answers, "--scenario", "saturate", *pace, seconds=8)
    for name, (_, kind) in SAYS.items():
        part = outcome["variants"][label(name)]
        assert_conserved(part)
        found = kinds(part)
        assert found == {"errors": set(), "connections": {"connected"}, "breaks": {kind}}, name
        assert part["breaks"][kind] >= 3
        assert part["verified"] <= part["connections"]["connected"], "no connection goes on after it"


@pytest.mark.parametrize("model", [each for each in MODELS if each.name in ALL], ids=lambda model: model.name)
def test_a_servers_own_idle_deadline_is_a_close(model: Model, tmp_path: Path) -> None:
    with Server(model, "--idle-deadline", "0.3") as server:
        address = "{}:{}".format(*server.address)
        arguments = (f"{model.name.title()}User", "-u", "1", "--scenario", "saturate", "--think", "2")
        locust = run(tmp_path, *arguments, seconds=4, targets={model.name: address})
    part = locust.outcome()["variants"][model.name]
    assert kinds(part) == {"errors": set(), "connections": {"connected"}, "breaks": {"closed"}}


def test_every_start_of_the_idle_line_may_continue() -> None:
    assert all(may_be_idle_deadline(IDLE[:length]) for length in range(len(IDLE) + 1))
    assert [line for line in (IDLE, b"ERR no request for 300 s\n") if not is_idle_deadline(line)] == []
    for wrong in (b"", IDLE[:-1], IDLE + b"x", b"ERR no request for  s\n", b"ERR no request for 1.2.3 s\n"):
        assert not is_idle_deadline(wrong)
    for wrong in (IDLE + IDLE, b"ERR server full\n", b"OK", b"ERR no request for " + b"1" * 60):
        assert not may_be_idle_deadline(wrong)
