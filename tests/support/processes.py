"""Python processes for tests, waits, and free ports."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

import psutil

ROOT: Final = Path(__file__).resolve().parents[2]


def start(arguments: Sequence[str], log: Path, cwd: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start Python in its own session, with only these settings of the lab and Locust; write its output to `log`."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("TCPLAB_", "LOCUST_"))}
    with log.open("w") as written:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env=clean | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@contextmanager
def announced(*module: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a module with its arguments; yield its process and the line that it prints when ready; kill it."""
    process = subprocess.Popen([sys.executable, "-m", *module], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def still_running(processes: Iterable[psutil.Process], within: float = 0) -> list[psutil.Process]:
    """Return those that have not ended in time; a zombie has ended."""
    deadline = time.monotonic() + within
    while True:
        left = [each for each in processes if each.is_running() and _status(each) != psutil.STATUS_ZOMBIE]
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.05)


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return str(psutil.STATUS_ZOMBIE)


def eventually(condition: Callable[[], object], what: str, within: float = 60) -> None:
    """Wait until `condition()` holds; fail if it doesn't in time, which a busy machine may need."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        with suppress(OSError, KeyError):
            if condition():
                return
        time.sleep(0.05)
    raise AssertionError(f"not within {within:g} s: {what}")


_OWN_PORTS = 26_000 + 1000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 6)
_next_port = count(os.getpid())


def free_ports(number: int) -> list[str]:
    """
    Return free ports of loopback.

    They are below those that Linux gives to clients, and each process of pytest's has its own: another port could be
    somebody's again before the server listens there.
    """
    found: list[str] = []
    while len(found) < number:
        port = _OWN_PORTS + next(_next_port) % 1000
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(str(port))
    return found


@contextmanager
def held_ports(number: int) -> Iterator[list[str]]:
    """
    Yield bound ports of loopback on which a server that sets SO_REUSEADDR (Locust, the lab's) can listen.

    Unbound, the kernel might give one to another test's server, or to a client as its own port, even to one that
    connects to this port and so to itself.
    """
    with ExitStack() as stack:
        holders = [stack.enter_context(socket.socket()) for _ in range(number)]
        for holder in holders:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", 0))
        yield [str(holder.getsockname()[1]) for holder in holders]
