"""
Child processes that never outlive us.

Each child leads a session of its own, so that a terminal's Ctrl-C reaches only the parent, which then ends
its children in order. Where the kernel offers it (Linux), a child is also killed when its parent dies,
however it dies: `kill -9` leaves no orphan.
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
from types import FrameType, TracebackType
from typing import Self

INTERRUPTED = 130
"""Our exit status after Ctrl-C or SIGTERM: what a shell reports for a command that SIGINT ended (128 + 2)."""

_POLL = 0.01
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `make` and `timeout` pass a signal on to a child that has had it with its process group already: one
# request, not two.
_SAME_REQUEST = 0.25

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ChildFailedError(Exception):
    """A child did not start, or ended by itself. The text says which, and holds the end of what it wrote."""


class InterruptedByUserError(Exception):
    """The user asked for an end (Ctrl-C, SIGTERM or a closed terminal)."""


def _in_child(parent: int, cores: Collection[int], group: Path | None) -> Callable[[], None]:
    """Return what a new child does first: choose its cores and its group, and tie its life to its parent's."""

    def prepare() -> None:
        if cores:
            os.sched_setaffinity(0, cores)
        if group is not None:
            with suppress(OSError):  # the maker of the group looks whether it holds the child
                group.write_text("0")
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before the line above: no signal will come
                os._exit(1)

    return prepare


class Child:
    """
    One child process, leader of its own session.

    What it writes goes to files: a pipe that nobody reads would stop it.

    name: how messages call it. out, err: the files with its standard output and standard error.
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
        Start `command` in `cwd`, on `cores` only (none given: on any). Its output goes to files in `folder`.

        group: the cgroup.procs of a control group that it joins before it begins, if it may.

        Raises ChildFailedError if it cannot be started.
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
        """The process's id, which is its group's and session's too."""
        return self.process.pid

    def status(self) -> int | None:
        """Return its exit status (minus the signal's number if one killed it), or None while it runs."""
        return self.process.poll()

    def tail(self, lines: int = 6) -> str:
        """Return the last lines of its standard error."""
        text = self.err.read_text(errors="replace").strip()
        return "\n".join(text.splitlines()[-lines:]) or "(it wrote nothing to its standard error)"

    def check(self) -> None:
        """Raise ChildFailedError if it has ended."""
        status = self.status()
        if status is not None:
            raise ChildFailedError(f"{self.name} ended by itself, {describe(status)}: {self.tail()}")

    def wait_for_line(self, pattern: re.Pattern[str], timeout: float, stop: "Interrupt") -> re.Match[str]:
        """
        Wait until a whole line of its output matches `pattern`, and return the match.

        timeout: seconds. Raises ChildFailedError if it ends before, or the time is over;
        InterruptedByUserError if `stop` is asked for.
        """
        deadline = time.monotonic() + timeout
        while True:
            ended = self.status() is not None  # asked before reading: what it wrote last counts
            for line in self.out.read_text(errors="replace").splitlines(keepends=True):
                match = pattern.fullmatch(line.rstrip("\r\n")) if line.endswith("\n") else None
                if match:
                    return match
            if ended:
                self.check()
            if time.monotonic() > deadline:
                raise ChildFailedError(f"{self.name} was not ready after {timeout:g} s: {self.tail()}")
            stop.sleep(_POLL)

    def ask(self) -> None:
        """Ask it to end, once: a second SIGTERM would mean that it should hurry."""
        if not self._asked and self.status() is None:
            self._asked = True
            self.process.terminate()

    def end(self, patience: float) -> int:
        """Ask it to end, wait `patience` seconds, then kill its session. Return its exit status."""
        self.ask()
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(patience)
        self.kill()
        return self.process.wait()

    def kill(self) -> None:
        """Kill it, and what it may have started, at once; nothing happens if it has ended."""
        if self.process.returncode is None:  # not reaped yet, so that its number cannot be another process's
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Children:
    """
    The children of one run, as a context: on the way out they are ended, the load before the servers.

    patience: seconds that each is given to end in order before it is killed. Servers are given their grace
    and some more.
    """

    def __init__(self, patience: float = 8.0) -> None:
        self.patience = patience
        self._running: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def add(self, child: Child) -> Child:
        """Take charge of `child`."""
        self._running.append(child)
        return child

    def end(self) -> None:
        """End all of them and forget them: the last started first (the load), then the others together."""
        if self._running:
            self._running[-1].end(self.patience)
            self._running.pop()
        for child in self._running:
            child.ask()
        while self._running:
            self._running[-1].end(self.patience)
            self._running.pop()

    def kill(self) -> None:
        """Kill all of them at once."""
        for child in self._running:
            child.kill()


class Interrupt:
    """
    Ctrl-C, as a context: the first asks for an orderly end, the second kills the children and exits at once.

    SIGTERM and SIGHUP (the terminal was closed) count like SIGINT. The first one interrupts nothing by
    itself: it is seen at the next `check` or `sleep`, so that no child can be started and lost in between.
    """

    def __init__(self, children: Children) -> None:
        self._children = children
        self._asked_at: float | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup: it is to go on without its terminal
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    @property
    def asked(self) -> bool:
        """Whether the user has asked for an end."""
        return self._asked_at is not None

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at > _SAME_REQUEST:
            self._children.kill()
            os._exit(INTERRUPTED)

    def check(self) -> None:
        """Raise InterruptedByUserError if the user has asked for an end."""
        if self.asked:
            raise InterruptedByUserError

    def sleep(self, seconds: float) -> None:
        """Sleep; raise InterruptedByUserError within 50 ms of the user's asking for an end."""
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
    """Return the environment for a Python child: ours, without LOCUST_ settings for other runs, and `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    # Children write to files, which Python would otherwise fill only block by block.
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


def supervise(who: str, farewell: str, run: Callable[[Children, Path, Interrupt], int]) -> int:
    """
    Return the exit status of `run`, which starts children in a folder of their own; whatever happens, they end with it.

    who: begins each line of an error. farewell: what is said when the user asks for an end.
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
    """Print now; a terminal that was closed is no reason to lose a measurement, or to leave processes behind."""
    with suppress(OSError):
        sys.stdout.write(text + end)
        sys.stdout.flush()


READY = re.compile(r"(?P<name>\S+) ready: tcp (?P<host>\S+):(?P<port>\d+), metrics (?P<metrics>http://\S+)")
"""The line with which a server says that it serves, and where (servers/__main__.py prints it)."""
