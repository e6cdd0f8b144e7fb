"""
Child processes that never outlive their parent.

Each child leads its own session, so that a terminal's Ctrl-C reaches only the parent, which then ends its children in
order. On Linux the kernel also kills a child when its parent dies in any way: `kill -9` leaves no orphan.
"""

import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Self

INTERRUPTED = 130
"""The exit status after Ctrl-C or SIGTERM: a shell's for a command that SIGINT ended (128 + 2)."""

_POLL = 0.01
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_TAIL = 4_096
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `make` and `timeout` pass a signal on to a child that already got it with its process group: that is one request.
_SAME_REQUEST = 0.25

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ChildFailedError(Exception):
    """A child did not start, or ended unexpectedly. The text names it, with the end of its output."""


class InterruptedByUserError(Exception):
    """The user interrupted (Ctrl-C, SIGTERM or a closed terminal)."""


def adopt_orphans() -> None:
    """Make this process the parent of each descendant whose own parent ends (Linux), so that it can be found."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _in_child(parent: int, cores: Collection[int], group: Path | None) -> Callable[[], None]:
    """Return a new child's first action: it sets its cores and its group, and ends when its parent dies."""

    def prepare() -> None:
        if cores:
            os.sched_setaffinity(0, cores)
        if group is not None:
            with suppress(OSError):  # the creator of the group checks that it holds the child
                group.write_text("0")
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # the parent died before the line above: no signal will come
                os._exit(1)

    return prepare


class Child:
    """
    One child process, leader of its own session. It writes to files, because a full pipe would stop it.

    name: for messages. out, err: the files of its standard output and standard error.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        cores: Collection[int] = (),
        group: Path | None = None,
    ) -> None:
        """
        Start `command`; ChildFailedError if that fails.

        folder: for its output. cores: empty means any. group: the cgroup.procs of a control group that it joins before
        it begins, if it may.
        """
        self.name = name
        self._asked = False
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            try:
                self.process = subprocess.Popen(  # noqa: S603 (the commands are ours)
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=cwd,
                    env=env,
                    start_new_session=True,
                    preexec_fn=_in_child(os.getpid(), cores, group),  # noqa: PLW1509 (we have one thread only)
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise ChildFailedError(f"{name} could not be started: {error}") from error

    @property
    def pid(self) -> int:
        """The process's id, also its group's and session's."""
        return self.process.pid

    def status(self) -> int | None:
        """Return its exit status (minus the signal's number if one killed it), or None while it runs."""
        return self.process.poll()

    def tail(self, lines: int = 6) -> str:
        """Return the last lines of its standard error."""
        with self.err.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))  # it may have written a lot
            text = file.read(_TAIL).decode(errors="replace").strip()
        return "\n".join(text.splitlines()[-lines:]) or "(it wrote nothing to its standard error)"

    def check(self) -> None:
        """Raise ChildFailedError if it has ended."""
        status = self.status()
        if status is not None:
            raise ChildFailedError(f"{self.name} ended by itself, {describe(status)}: {self.tail()}")

    def wait_for_line(self, pattern: re.Pattern[str], timeout: float, stop: "Interrupt") -> re.Match[str]:
        """Return the first match of a whole line of its output; ChildFailedError if it ends first, or is too slow."""
        deadline = time.monotonic() + timeout
        while True:
            ended = self.status() is not None  # checked before reading, to include its last output
            for line in self.out.read_text(errors="replace").split("\n")[:-1]:
                if match := pattern.fullmatch(line.rstrip("\r")):
                    return match
            if ended:
                self.check()
            if time.monotonic() > deadline:
                raise ChildFailedError(f"{self.name} was not ready after {timeout:g} s: {self.tail()}")
            stop.sleep(_POLL)

    def ask(self) -> None:
        """Send one SIGTERM: a second one would mean that it must hurry."""
        if not self._asked and self.status() is None:
            self._asked = True
            self.process.terminate()

    def end(self, patience: float) -> int:
        """Send SIGTERM, wait `patience` seconds, then kill its session. Return its exit status."""
        self.ask()
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(patience)
        self.kill()
        return self.process.wait()

    def kill(self) -> None:
        """Kill it and its children at once, unless it has ended."""
        if self.process.returncode is None:  # not reaped yet, so no other process has its number
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Children:
    """
    The children of one run, as a context that ends them on exit, the load before the servers.

    patience: seconds that each has to end before it is killed: longer than the servers' grace.
    """

    def __init__(self, patience: float = 8.0) -> None:
        self.patience = patience
        self._running: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def add(self, child: Child) -> Child:
        """Add `child`."""
        self._running.append(child)
        return child

    def end(self) -> None:
        """End all and forget them: the last started first (the load), then the others together."""
        while self._running:
            self._running[-1].end(self.patience)
            self._running.pop()
            for child in self._running:
                child.ask()

    def kill(self) -> None:
        """Kill all at once."""
        for child in self._running:
            child.kill()


class Interrupt:
    """
    Ctrl-C, as a context: the first asks for an orderly end, the second kills the children and exits at once.

    SIGTERM and SIGHUP (the terminal was closed) count like SIGINT. The first one takes effect at the next `check` or
    `sleep`, so that no child can be started and lost in between.
    """

    def __init__(self, children: Children) -> None:
        self._children = children
        self._asked_at: float | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup: it continues without its terminal
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at > _SAME_REQUEST:
            self._children.kill()
            os._exit(INTERRUPTED)

    def check(self) -> None:
        """Raise InterruptedByUserError if the user has interrupted."""
        if self._asked_at is not None:
            raise InterruptedByUserError

    def sleep(self, seconds: float) -> None:
        """Sleep; raise InterruptedByUserError within 50 ms of an interrupt."""
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))


def describe(status: int) -> str:
    """Return an exit status in words."""
    if status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"


def python_environment(**settings: str) -> dict[str, str]:
    """Return this process's environment without LOCUST_ settings, and with `settings`, for a Python child."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    # Children write to files, which Python would buffer.
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


def supervise(who: str, farewell: str, run: Callable[[Children, Path, Interrupt], int]) -> int:
    """
    Return the exit status of `run`, which starts children in a temporary folder; in any case they end with it.

    who: the start of each error line. farewell: the text when the user interrupts.
    """
    children = Children()
    with tempfile.TemporaryDirectory(prefix="tcplab-") as folder, Interrupt(children) as interrupt, children:
        try:
            return run(children, Path(folder), interrupt)
        except ChildFailedError as error:
            sys.stderr.write(f"{who}: {error}\n{who}: ending the others\n")
            return 1
        except InterruptedByUserError:
            say(f"\n{farewell} (Ctrl-C again kills them) ...")
            return INTERRUPTED


def say(text: str, end: str = "\n") -> None:
    """Print at once; ignore a closed terminal, which must not cost a measurement or leave processes behind."""
    with suppress(OSError):
        sys.stdout.write(text + end)
        sys.stdout.flush()


READY = re.compile(r"(?P<name>\S+) ready: tcp (?P<host>\S+):(?P<port>\d+), metrics (?P<metrics>http://\S+)")
"""The line that a server prints when it is ready (servers/__main__.py)."""
