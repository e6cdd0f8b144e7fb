"""A server that stands still for a while, and goes on in any case."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.support.processes import ROOT, eventually, still_running

SERVER = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
client = listener.accept()
input()
"""


@pytest.fixture
def served() -> Iterator[psutil.Process]:
    """Return a server's process, which has a client."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        with socket.create_connection(("127.0.0.1", int(process.stdout.readline()))):
            yield psutil.Process(process.pid)
        process.kill()


def freezer(server: psutil.Process, after: float, seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "loadtest.lessons.freezer", str(server.pid), str(after), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT)


def stopped(server: psutil.Process) -> bool:
    return bool(server.status() == psutil.STATUS_STOPPED)


def test_a_server_is_frozen_for_a_while(served: psutil.Process) -> None:
    process = freezer(served, 0, 1)
    eventually(lambda: stopped(served), "it is stopped")
    began = time.monotonic()
    assert process.wait(60) == 0
    assert not stopped(served)
    assert time.monotonic() - began < 30


def test_a_server_goes_on_when_its_freezer_ends(served: psutil.Process) -> None:
    process = freezer(served, 0, 3600)
    eventually(lambda: stopped(served), "it is stopped")
    process.terminate()
    assert process.wait(60) == 0
    assert not stopped(served)


def test_an_interruption_ends_a_frozen_server() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtest", "lesson", "6", "--lang", "en"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        lesson = psutil.Process(process.pid)
        eventually(lambda: any(map(stopped, lesson.children())), "its server is stopped")
        below = lesson.children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    assert len(below) >= 3
    assert still_running(below) == []
