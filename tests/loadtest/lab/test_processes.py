import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from loadtest.lab.processes import Child, ChildFailedError, Children, Interrupt, InterruptedByUserError

ANY = re.compile(r"ready")
SLEEPER = "import time; print('ready', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)"


@pytest.fixture
def children() -> Iterator[Children]:
    with Children(patience=0.3) as running:
        yield running


@pytest.fixture
def interrupt(children: Children) -> Iterator[Interrupt]:
    with Interrupt(children) as asked:
        yield asked


def start(children: Children, folder: Path, program: str, name: str = "child") -> Child:
    command = [sys.executable, "-u", "-c", program]
    return children.add(Child(name, command, folder, cwd=folder))


def test_a_child_leads_its_own_session(children: Children, interrupt: Interrupt, tmp_path: Path) -> None:
    child = start(children, tmp_path, SLEEPER)
    child.wait_for_line(ANY, 5, interrupt)
    assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid


def test_a_child_runs_on_the_cores_given(children: Children, interrupt: Interrupt, tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    child = children.add(Child("c", [sys.executable, "-u", "-c", SLEEPER], tmp_path, cwd=tmp_path, cores=[core]))
    child.wait_for_line(ANY, 5, interrupt)
    assert os.sched_getaffinity(child.pid) == {core}


def test_only_a_whole_line_counts_as_ready(children: Children, interrupt: Interrupt, tmp_path: Path) -> None:
    program = "import time; print('rea', end='', flush=True); time.sleep(0.2); print('dy 1', flush=True); time.sleep(9)"
    match = start(children, tmp_path, program).wait_for_line(re.compile(r"ready (\d+)"), 5, interrupt)
    assert match[1] == "1"


def test_a_child_that_never_gets_ready(children: Children, interrupt: Interrupt, tmp_path: Path) -> None:
    child = start(children, tmp_path, "import time; time.sleep(60)")
    with pytest.raises(ChildFailedError, match=r"child was not ready after 0\.2 s"):
        child.wait_for_line(ANY, 0.2, interrupt)


def test_a_child_that_dies_is_quoted(children: Children, interrupt: Interrupt, tmp_path: Path) -> None:
    child = start(children, tmp_path, "import sys; sys.exit('the port is taken')")
    with pytest.raises(ChildFailedError, match="child ended by itself, exit status 1: the port is taken"):
        child.wait_for_line(ANY, 5, interrupt)


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ChildFailedError, match="nothing could not be started"):
        Child("nothing", [str(tmp_path / "nothing")], tmp_path, cwd=tmp_path)


def test_who_does_not_end_is_killed(children: Children, interrupt: Interrupt, tmp_path: Path) -> None:
    child = start(children, tmp_path, STUBBORN)
    child.wait_for_line(ANY, 5, interrupt)
    began = time.monotonic()
    assert child.end(patience=0.3) == -signal.SIGKILL
    assert time.monotonic() - began < 2


def test_a_child_is_asked_once(children: Children, interrupt: Interrupt, tmp_path: Path) -> None:
    """A second SIGTERM makes our servers drop open requests."""
    program = """
import signal, sys, time
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
print('ready')
while not asked:
    time.sleep(0.01)
time.sleep(0.2)
sys.exit(len(asked))
"""
    child = start(children, tmp_path, program)
    child.wait_for_line(ANY, 5, interrupt)
    child.ask()
    assert child.end(patience=5) == 1


def test_the_load_ends_before_the_servers(interrupt: Interrupt, tmp_path: Path) -> None:
    program = """
import signal, sys, time
def end(*_):
    time.sleep(0.2)
    print(time.time())
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print('ready')
time.sleep(60)
"""
    with Children(patience=5) as children:
        started = [start(children, tmp_path, program, name) for name in ("server-1", "server-2", "load")]
        for child in started:
            child.wait_for_line(ANY, 5, interrupt)
    first, second, load = (float(child.out.read_text().split()[-1]) for child in started)
    assert load < min(first, second) - 0.1
    assert abs(first - second) < 0.15  # together, not one after the other


@pytest.fixture
def terminal() -> Iterator[None]:
    """Let SIGHUP be what it is at a terminal, though the tests may run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("terminal")
def test_the_first_signal_is_seen_next_look(children: Children) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with Interrupt(children) as interrupt:
            os.kill(os.getpid(), number)
            with pytest.raises(InterruptedByUserError):
                interrupt.sleep(5)


def test_handlers_are_put_back(children: Children) -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt(children):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


PARENT = """
import pathlib, re, sys, time
from loadtest.lab.processes import *
folder = pathlib.Path(sys.argv[1])
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)"
children = Children(patience=30)
with Interrupt(children) as interrupt, children:
    child = children.add(Child("child", [sys.executable, "-u", "-c", stubborn], folder, cwd=folder))
    child.wait_for_line(re.compile("ready"), 5, interrupt)
    print(child.pid, flush=True)
    try:
        interrupt.sleep(60)
    except InterruptedByUserError:
        print("asked", flush=True)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """Start a parent in a session of its own, with a child that ignores SIGTERM."""
    command = [sys.executable, "-u", "-c", PARENT, str(tmp_path)]
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root, start_new_session=True) as process:
        assert process.stdout
        yield process, psutil.Process(int(process.stdout.readline()))
        process.kill()


def test_a_second_ctrl_c_kills_at_once(parent: tuple[subprocess.Popen[str], psutil.Process]) -> None:
    process, child = parent
    assert process.stdout
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout.readline() == "asked\n"
    time.sleep(0.4)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(3) == 130
    child.wait(3)


def test_a_signal_that_comes_twice_is_one_request(
    parent: tuple[subprocess.Popen[str], psutil.Process],
) -> None:
    """`make` passes SIGTERM on to us though we have had it with the process group already."""
    process, child = parent
    assert process.stdout
    os.killpg(process.pid, signal.SIGTERM)
    os.kill(process.pid, signal.SIGTERM)
    assert process.stdout.readline() == "asked\n"
    time.sleep(0.5)
    assert process.poll() is None
    assert child.is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
def test_kill_9_of_the_parent_leaves_no_orphan(parent: tuple[subprocess.Popen[str], psutil.Process]) -> None:
    process, child = parent
    process.kill()
    process.wait(3)
    child.wait(3)
