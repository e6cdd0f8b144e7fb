"""The lab without Docker, as a user runs it, on free ports."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.support.lab.local import PORTS, lab
from tests.support.processes import ROOT, still_running


@pytest.fixture
def first() -> int:
    """Find the first of as many free ports in a row as the lab needs."""
    for candidate in range(20_000 + os.getpid() % 5000, 32_000, PORTS):
        with ExitStack() as trials:
            try:
                for port in range(candidate, candidate + PORTS):
                    trials.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return candidate
    raise AssertionError(f"no {PORTS} free ports in a row")


def start(*arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(arguments, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def until_it_runs(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Read until it prints what to try, and return all processes below it."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith("Try: "):
            return psutil.Process(process.pid).children(recursive=True)
    raise AssertionError(f"it ended: {process.stderr and process.stderr.read()}")


@pytest.fixture
def running(first: int) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    process = start(sys.executable, "-m", "tests.support.lab.local", str(first))
    yield process, until_it_runs(process)
    process.kill()
    process.communicate()


def test_the_lab_runs_under_load(running: tuple[subprocess.Popen[str], list[psutil.Process]], first: int) -> None:
    _, below = running
    places = lab(first)
    assert len(below) == len(places.variants) + 1

    def metrics(port: int) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    deadline = time.monotonic() + 20
    for variant in places.variants:
        verified = rf'tcplab_load_requests_total{{outcome="verified",variant="{variant.name}"}} [1-9]'
        while not re.search(verified, metrics(places.load_metrics)):
            assert time.monotonic() < deadline, f"no reply from {variant.name}"
            time.sleep(0.2)
        assert re.search(r'tcplab_requests_total{command="echo"} [1-9]', metrics(variant.metrics_port))
    with urllib.request.urlopen(f"http://127.0.0.1:{places.web}/", timeout=5) as answer:
        assert "Locust" in answer.read().decode()


def test_the_first_stage_of_the_tour_comes_first(
    running: tuple[subprocess.Popen[str], list[psutil.Process]], first: int
) -> None:
    def users() -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{lab(first).load_metrics}/metrics", timeout=5) as answer:
            return re.findall(r"tcplab_load_users\{.*\} (\S+)", answer.read().decode())

    deadline = time.monotonic() + 20
    while users() != ["10.0"] * len(lab(first).variants):
        assert time.monotonic() < deadline, users()
        time.sleep(0.2)


def test_ctrl_c_ends_all_in_order(running: tuple[subprocess.Popen[str], list[psutil.Process]]) -> None:
    process, below = running
    os.killpg(process.pid, signal.SIGINT)
    said, complained = process.communicate(timeout=20)
    assert (process.returncode, complained) == (130, "")
    assert "Ending the load, then the servers" in said
    assert still_running(below) == []


def test_a_second_ctrl_c_kills(running: tuple[subprocess.Popen[str], list[psutil.Process]]) -> None:
    process, below = running
    below[0].suspend()  # so that it cannot end in order
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(3) == 130
    assert still_running(below, 3) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
def test_kill_9_leaves_no_orphan(running: tuple[subprocess.Popen[str], list[psutil.Process]]) -> None:
    process, below = running
    process.kill()
    assert still_running(below, 5) == []


@pytest.mark.parametrize("which", [0, 3])
def test_one_that_dies_ends_all(running: tuple[subprocess.Popen[str], list[psutil.Process]], which: int) -> None:
    process, below = running
    victim = sorted(below, key=lambda each: each.pid)[which]
    name = "locust" if "locust" in " ".join(victim.cmdline()) else f"{victim.cmdline()[3]}-server"
    victim.kill()
    _, complained = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"tcplab local: {name} ended by itself, killed by SIGKILL" in complained
    assert still_running(below) == []


def test_ctrl_c_through_make(first: int, tmp_path: Path) -> None:
    if not shutil.which("make"):
        pytest.skip("there is no make")
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"local:\n\t@{sys.executable} -m tests.support.lab.local {first}\n")
    process = start("make", "--file", str(makefile), "local")
    below = until_it_runs(process)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode != 0
    assert len(below) == len(lab(first).variants) + 2  # the lab itself, and Locust
    assert still_running(below) == []


def without(redirected: str, first: int) -> subprocess.Popen[str]:
    """Start the lab with standard streams that a shell has redirected."""
    command = (sys.executable, "-m", "tests.support.lab.local", str(first))
    return start("sh", "-c", f'exec "$0" "$@" {redirected}', *command)


@pytest.mark.parametrize("redirected", [">&-", "<&- >&-"])
def test_a_lab_runs_without_its_output(first: int, redirected: str) -> None:
    process = without(redirected, first)
    deadline = time.monotonic() + 20
    while process.poll() is None:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", lab(first).web)) == 0:
                break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, complained = process.communicate(timeout=20)
    assert (process.returncode, complained) == (130, "")


@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full"])
def test_an_error_that_is_lost_keeps_its_status(first: int, redirected: str) -> None:
    with socket.create_server(("127.0.0.1", first)):
        process = without(redirected, first)
        assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 2


def test_an_error_without_a_reader_keeps_its_status(first: int) -> None:
    with socket.create_server(("127.0.0.1", first)):
        process = start(sys.executable, "-m", "tests.support.lab.local", str(first))
        assert process.stderr
        process.stderr.close()
        assert process.wait(10) == 2


def test_a_port_in_use_is_named_nothing_starts(first: int) -> None:
    with socket.create_server(("127.0.0.1", first + 3)):
        process = start(sys.executable, "-m", "tests.support.lab.local", str(first))
        said, complained = process.communicate(timeout=10)
    assert (process.returncode, said) == (2, "")
    assert complained.count("\n") == 1
    assert f"port {first + 3}, for the threaded server's metrics, is in use" in complained
    assert "docker compose down" in complained
