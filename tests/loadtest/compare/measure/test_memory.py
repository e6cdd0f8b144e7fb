"""Memory per client: of a stub with a known one, of our own servers, and of those that can't be measured."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtest.compare.measure import idle_clients
from loadtest.compare.measure.idle_clients import IdleClients, TooFewDescriptorsError, WrongReplyError
from loadtest.compare.measure.memory import MemoryRun, NotMeasuredError, Point, Serving, measure, price, read_memory_run
from loadtest.compare.measure.process_memory import ProcessMemory
from loadtest.lab.processes import READY
from tests.support.processes import ROOT
from tests.support.ready import server as started_server
from tests.support.ready import started

pytestmark = pytest.mark.slow

KILOBYTES_64 = 65_536


def pid_of(serving: Serving) -> int:
    assert isinstance(serving.seen, ProcessMemory)
    return serving.seen.pid


@contextmanager
def stub(**options: Any) -> Iterator[Serving]:
    with started("tests.support.stubs.memory", json.dumps(options)) as found:
        yield found.seen


@contextmanager
def server(variant: str) -> Iterator[Serving]:
    with started_server(variant) as found:
        yield found.seen


def test_pages_that_workers_share_count_once() -> None:
    """Four workers of 30 MB each, most of which they share with their parent."""
    with started_server("prefork", "--workers", "4") as found:
        memory = found.seen.seen.look().memory
        processes = [psutil.Process(found.pid), *psutil.Process(found.pid).children()]
        assert len(processes) == 5
        sizes = [process.memory_full_info() for process in processes]
    assert sizes[0].rss < memory < 0.6 * sum(size.rss for size in sizes)
    assert memory >= 0.99 * sum(size.pss for size in sizes), "libraries that other programs use too count whole"


def test_64_kb_per_client_within_5_percent() -> None:
    runs = []
    for _ in range(3):
        with stub(connected=KILOBYTES_64) as serving:
            alone = serving.seen.look().memory
            runs.append(measure(serving, clients=400))
    found = price(runs)
    assert found.silent.value == pytest.approx(KILOBYTES_64, rel=0.05)
    assert found.silent.r2 is not None
    assert found.silent.r2 > 0.999
    assert found.silent.base == pytest.approx(alone, rel=0.1)
    value, low, high = found.silent.value, found.silent.low, found.silent.high
    assert value is not None
    assert low is not None
    assert high is not None
    assert 0.95 * KILOBYTES_64 < low <= value <= high < 1.05 * KILOBYTES_64
    assert found.threads.value == 0
    assert (found.connected, found.served, found.spoke, found.note) == (401, 401, 401, "")
    assert found.container_silent == {}
    assert found.container_why == "no control group was tried"


def test_an_idle_stub_shows_its_own_memory() -> None:
    """The price found above is the 64 kB's: a socket and two entries are no more than a hundredth of it."""
    with stub() as serving:
        found = price([measure(serving, clients=400)])
    assert found.silent.value is not None
    assert 0 <= found.silent.value < 0.02 * KILOBYTES_64
    assert (found.silent.low, found.silent.high) == (None, None)


def test_what_speaking_takes_is_told_apart() -> None:
    with stub(connected=16_384, spoken=KILOBYTES_64, charged=3_000) as serving:
        found = price([measure(serving, clients=200)])
    assert found.silent.value == pytest.approx(16_384, rel=0.08)
    assert found.spoken.value == pytest.approx(16_384 + KILOBYTES_64, rel=0.05)
    assert found.spoken.base == pytest.approx(found.silent.base, rel=0.05)
    assert [*found.container_silent] == ["kernel"]
    assert found.container_silent["kernel"].value == pytest.approx(3_000)
    assert found.container_silent["kernel"].base == pytest.approx(5_003_000)
    assert found.container_spoken["kernel"].value == pytest.approx(3_000)
    assert found.container_why == "the kernel doesn't tell anon, sock", "a part is no total"


def test_one_at_a_time_is_an_answer() -> None:
    with server("single") as serving:
        run = measure(serving, clients=50)
    found = price([run, run])
    assert found.silent.value == pytest.approx(0, abs=200)
    assert found.threads.value == 0
    assert (found.connected, found.served, found.spoke) == (51, 1, 1)
    assert found.note == "1 of 51 clients served; the others waited in the accept queue"
    assert found.spoken.value is None
    assert found.spoken.why == "1 of 51 clients have spoken and been answered: too few for a slope"


def test_a_thread_each_is_counted_and_weighed() -> None:
    with server("threaded") as serving:
        found = price([measure(serving, clients=200)])
    assert found.threads.value == pytest.approx(1)
    assert found.silent.value is not None
    assert found.spoken.value is not None
    assert 10_000 < found.silent.value < found.spoken.value < 200_000
    assert (found.served, found.spoke, found.note) == (201, 201, "")


def test_a_pool_is_weighed_by_the_clients_served() -> None:
    with stub(connected=KILOBYTES_64, serves=51) as serving:
        found = price([measure(serving, clients=100)])
    assert found.silent.value == pytest.approx(KILOBYTES_64, rel=0.05)
    assert found.note == "51 of 101 clients served; the others waited in the accept queue"
    assert found.spoke == 51


def test_a_small_pool_has_a_slope_for_waiters() -> None:
    """One line through served and waiting clients would fit neither."""
    with stub(connected=KILOBYTES_64, serves=16) as serving:
        found = price([measure(serving, clients=100)])
    assert found.silent.value == pytest.approx(0, abs=200)
    assert found.note == "16 of 101 clients served; the others waited in the accept queue"


def test_a_slow_accept_is_waited_for() -> None:
    with stub(stalls_before=20) as serving:
        found = price([measure(serving, clients=20)])
    assert (found.served, found.spoke, found.note) == (21, 21, "")


def test_a_limit_ends_the_line() -> None:
    with stub(connected=KILOBYTES_64, limit=66) as serving:
        found = price([measure(serving, clients=100)])
    assert found.silent.value == pytest.approx(KILOBYTES_64, rel=0.05)
    assert (found.connected, found.served, found.spoke) == (71, 66, 61)
    assert found.note == "66 of 71 clients served; the others were turned away"


def test_a_limit_below_the_steps_gives_a_reason() -> None:
    with stub(limit=5) as serving:
        found = price([measure(serving, clients=100)])
    assert found.silent.value is None
    assert found.silent.why == (
        "too few steps at which all were served (5 of 11 clients served; the others were turned away): ask for fewer"
        " clients"
    )


def test_what_is_kept_gives_the_same_prices_again() -> None:
    with stub(charged=100) as serving:
        run = measure(serving, clients=20)
    assert read_memory_run(json.loads(json.dumps(run.as_json()))) == run
    assert json.loads(json.dumps(price([run]).as_json()))["served"] == 21


def test_a_server_with_too_few_descriptors() -> None:
    with stub(descriptors=64) as serving, pytest.raises(TooFewDescriptorsError) as caught:
        measure(serving, clients=100)
    free = str(caught.value).split()[4]
    assert 40 < int(free) < 64
    assert str(caught.value) == (
        f"the server can open {free} more descriptors, too few for 100 clients: start it with a higher ulimit -n, or"
        " ask for fewer clients"
    )


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], list[tuple[int, int]]]:
    """Return what pretends that this process has these limits, and what they are then set to."""

    def pretend(soft: int, hard: int) -> list[tuple[int, int]]:
        chosen: list[tuple[int, int]] = []
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
        monkeypatch.setattr(resource, "setrlimit", lambda _, both: chosen.append(both))
        return chosen

    return pretend


def test_our_own_soft_limit_is_raised_first(limits: Callable[[int, int], list[tuple[int, int]]]) -> None:
    chosen = limits(64, 20_000)
    idle_clients.make_room(1_000)
    assert chosen == [(20_000, 20_000)]
    assert limits(20_000, 20_000) == []


def test_our_own_descriptors_are_too_few(limits: Callable[[int, int], list[tuple[int, int]]]) -> None:
    limits(64, 300)
    needed = psutil.Process().num_fds() + 1_000 + 32
    expected = (
        f"1,000 clients need {needed:,} descriptors and this process may open 300: raise ulimit -n, or ask for"
        f" {1_300 - needed} clients"
    )
    with pytest.raises(TooFewDescriptorsError) as caught:
        idle_clients.make_room(1_000)
    assert str(caught.value) == expected


def test_a_server_that_is_another_process() -> None:
    """Of a server in a container only the client's process is known: its slope of 0 is not a result."""
    with stub() as serving, stub() as other, pytest.raises(NotMeasuredError) as caught:
        measure(serving._replace(seen=other.seen), clients=20)
    assert str(caught.value).startswith(f"{other.seen.name} does not hold the connection to 127.0.0.1:{serving.port}")


def test_a_servers_children_are_weighed_with_it() -> None:
    program = (
        "import subprocess, sys; subprocess.run([sys.executable, '-m', 'tests.support.stubs.memory', sys.argv[1]])"
    )
    command = [sys.executable, "-c", program, json.dumps({"connected": KILOBYTES_64})]
    with ExitStack() as ended:
        process = ended.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        ended.callback(process.kill)
        assert process.stdout is not None
        match = READY.fullmatch(process.stdout.readline().strip())
        assert match is not None
        (child,) = psutil.Process(process.pid).children()
        ended.callback(child.kill)
        found = price([measure(Serving(match["host"], int(match["port"]), ProcessMemory(process.pid)), clients=100)])
    assert found.silent.value == pytest.approx(KILOBYTES_64, rel=0.05)


def test_nobody_listens() -> None:
    with stub() as serving, pytest.raises(NotMeasuredError, match=r"cannot connect to 127\.0\.0\.1:1: is that where"):
        measure(serving._replace(port=1), clients=20)


def test_a_server_that_ends_meanwhile() -> None:
    looks = 0

    def kill_later(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 30:
            psutil.Process(pid_of(serving)).kill()
        time.sleep(seconds)

    with stub() as serving, pytest.raises(NotMeasuredError, match="the server ended while its memory was measured"):
        measure(serving, clients=200, pause=kill_later)


def test_a_wrong_answer() -> None:
    said = r"b'KO client 0, round 0\\n' instead of b'OK"
    with stub(says="KO") as serving, pytest.raises(WrongReplyError, match=said):
        measure(serving, clients=20)


def test_too_few_clients_for_the_steps() -> None:
    with pytest.raises(ValueError, match="9 clients are too few for 10 steps"):
        measure(Serving("127.0.0.1", 1, ProcessMemory(os.getpid())), clients=9)


def test_what_the_caller_raises_ends_it() -> None:
    class AskedError(Exception):
        pass

    def pause(_seconds: float) -> None:
        raise AskedError

    with stub() as serving, pytest.raises(AskedError):
        measure(serving, clients=20, pause=pause)


def points(*memory: int, held: int | None = None) -> tuple[Point, ...]:
    return tuple(
        Point(10 * step, 10 * step if held is None else held, size, 2 + 10 * step) for step, size in enumerate(memory)
    )


def test_prices_by_hand() -> None:
    """Silent 100 each; speaking takes 7 more; the other process took 110 and 10 more."""
    first = MemoryRun(31, 31, 31, 0, points(5_000, 6_000, 7_000, 8_000), points(9_000, 9_070, 9_140, 9_210), 1.0)
    second = MemoryRun(31, 31, 31, 0, points(6_000, 7_100, 8_200, 9_300), points(9_000, 9_100, 9_200, 9_300), 1.0)
    found = price([first, second])
    assert found.silent.value == pytest.approx(105)
    assert found.silent.base == pytest.approx(5_500)
    assert found.silent.r2 == pytest.approx(1)
    assert found.silent.high == pytest.approx(105 + 63.657 * 5)  # a deviation of 5 root 2, over root 2
    assert found.spoken.value == pytest.approx((107 + 120) / 2)
    assert found.threads.value == pytest.approx(1)
    assert found.threads.base == pytest.approx(2)


def test_who_could_not_connect_is_said() -> None:
    found = price([MemoryRun(101, 31, 31, 0, points(5_000, 6_000, 7_000, 8_000), (), 1.0)])
    assert found.silent.value == pytest.approx(100)
    assert found.note == "31 of 101 clients could connect"


def test_without_proc_psutil_is_asked(tmp_path: Path) -> None:
    with stub() as serving, IdleClients(serving.host, serving.port) as idle_clients:
        elsewhere = ProcessMemory(pid_of(serving), proc=tmp_path)
        before = elsewhere.look()
        assert before.memory == pytest.approx(serving.seen.look().memory, rel=0.2)
        idle_clients.grow(3)
        assert idle_clients.speak(0, 3, 2) == 3
        assert elsewhere.look().sockets - before.sockets == 3


def test_room_is_what_is_left() -> None:
    with stub(descriptors=100) as serving:
        process = psutil.Process(pid_of(serving))
        assert serving.seen.room() == 100 - process.num_fds()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 100
