"""
A server's counters: one writer each, summed over threads and processes when they are read.

`x += 1` from two threads loses counts. One process counts in lists; forked workers count in memory that they share
with the parent (`share`), which exports.
"""

import mmap
import threading
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast

from servers.wire import Command

OUTCOMES: Final[tuple[str, ...]] = (
    "quit",
    "closed",
    "reset",
    "idle",
    "dripping",
    "unread",
    "overlong",
    "shutdown",
    "failed",
    "refused",
)
"""How a connection can end."""

ERRORS: Final[tuple[str, ...]] = (
    "unknown",
    "argument",
    "overlong",
    "unfinished",
    "idle",
    "dripping",
    "unread",
    "full",
    "threads",
    "descriptors",
    "internal",
)
"""Every kind of error; each is exported from the start, as zero."""

SERVICE_BOUNDS: Final[tuple[float, ...]] = tuple(
    round(step * 10.0**decade, 7)
    for decade in range(-6, 2)
    for step in (1.0, 2.0, 5.0)
    if 2e-6 <= step * 10.0**decade <= 20.0
)
"""Upper bounds of the service time's buckets in seconds: 1-2-5 from 2 us to 20 s, twice the longest SLEEP."""

WAIT_BOUNDS: Final[tuple[float, ...]] = tuple(
    round(step * 10.0**decade, 7) for decade in range(-4, 3) for step in (1.0, 3.0) if step * 10.0**decade <= 100.0
)
"""Upper bounds of the buckets in seconds of what an accepted connection waits: 1-3 from 100 us to 100 s."""

# Indices of a writer's cells; the first are its requests by command.
_SHORTEST: Final = SERVICE_BOUNDS[0]
_ECHO: Final = int(Command.ECHO)  # indexing a list by a plain int takes half the time
_SECONDS: Final = len(Command)
_RECEIVED: Final = _SECONDS + 1
_SENT: Final = _RECEIVED + 1
_BUCKETS: Final = _SENT + 1
_ERRORS: Final = _BUCKETS + len(SERVICE_BOUNDS) + 1
_ENDED: Final = _ERRORS + len(ERRORS)
# From here on in the process's first writer only. They are read in this order: no difference of clients is negative.
_LEFT: Final = _ENDED + len(OUTCOMES)  # clients; written under the lock, as are the next three
_BEGUN: Final = _LEFT + 1  # clients whose session has begun
_WAITED: Final = _BEGUN + 1  # seconds until then
_WAITS: Final = _WAITED + 1  # the waits' buckets
_ADMITTED: Final = _WAITS + len(WAIT_BOUNDS) + 1  # clients; written by the thread that accepts
_WRITERS: Final = _ADMITTED + 1  # writers of the process
_INITIAL: Final = _WRITERS + 1  # bytes of memory before its first client
_CELLS: Final = _INITIAL + 1

_ERROR: Final = {kind: _ERRORS + index for index, kind in enumerate(ERRORS)}
_OUTCOME: Final = {outcome: _ENDED + index for index, outcome in enumerate(OUTCOMES)}

Cells = list[float]
"""A writer's counters: a list, or a memoryview of shared memory, which costs twice as much."""


class Counts:
    """The counters of one writer: a few nanoseconds a count; prometheus_client's take 250 to 1,100."""

    __slots__ = ("cells",)

    def __init__(self, cells: Cells) -> None:
        self.cells = cells

    def echoed(self, seconds: float, received: int, sent: int) -> None:
        """Count an ECHO answered after `seconds` of service, and its bytes: one call, since most requests are ECHOs."""
        cells = self.cells
        cells[_ECHO] += 1
        if seconds <= _SHORTEST:  # nearly always
            cells[_BUCKETS] += 1
        else:
            cells[_BUCKETS + bisect_left(SERVICE_BOUNDS, seconds)] += 1
        cells[_SECONDS] += seconds
        cells[_RECEIVED] += received
        cells[_SENT] += sent

    def answered(self, command: Command, seconds: float) -> None:
        """Count a request answered with OK after `seconds` of service."""
        cells = self.cells
        cells[command] += 1
        cells[_BUCKETS + bisect_left(SERVICE_BOUNDS, seconds)] += 1
        cells[_SECONDS] += seconds

    def received(self, size: int) -> None:
        """Count bytes received from the client."""
        self.cells[_RECEIVED] += size

    def sent(self, size: int) -> None:
        """Count bytes sent to the client."""
        self.cells[_SENT] += size

    def failed(self, kind: str) -> None:
        """Count an error of this kind."""
        self.cells[_ERROR[kind]] += 1

    def ended(self, outcome: str) -> None:
        """Count a connection's end."""
        self.cells[_OUTCOME[outcome]] += 1


class Block:
    """
    The counters of one process.

    The main thread has one writer for all its clients. Any other thread holds one while it serves a client, and the
    next thread reuses it, so that no counter goes down.
    """

    def __init__(self, shared: int = 0) -> None:
        """Count in lists, or, if `shared` is set, in shared memory with room for so many writers."""
        self._lock = threading.Lock()
        self._main_thread = threading.main_thread().ident  # a forked process keeps it
        self._shared = memoryview(mmap.mmap(-1, (shared + 2) * _CELLS * 8)).cast("d") if shared else None
        self._made: list[Cells] = []
        self._free: list[Counts] = []
        self._door = self._writer()  # written under the lock
        self._main = self._writer()

    def _writer(self) -> Counts:
        number = len(self._made)
        cells: Cells = [0] * _CELLS if self._shared is None else _part(self._shared, number)
        self._made.append(cells)
        self._made[0][_WRITERS] = len(self._made)
        return Counts(cells)

    def enter(self, waited: float = 0.0) -> Counts:
        """Return this thread's counters for a client whose session begins `waited` seconds after it was accepted."""
        with self._lock:
            cells = self._door.cells
            cells[_BEGUN] += 1
            cells[_WAITED] += waited
            cells[_WAITS + bisect_left(WAIT_BOUNDS, waited)] += 1
            if threading.get_ident() == self._main_thread:
                return self._main
            return self._free.pop() if self._free else self._writer()

    def leave(self, counts: Counts, outcome: str) -> None:
        """Count a client that has left; `counts` may then be reused."""
        counts.ended(outcome)
        with self._lock:
            self._door.cells[_LEFT] += 1
            if counts is not self._main:
                self._free.append(counts)

    def opened(self, clients: int = 1) -> None:
        """Count new clients; call it in the thread that accepts."""
        self._made[0][_ADMITTED] += clients

    def failed(self, kind: str) -> None:
        """Count a listener's error; all but `descriptors` are refused clients, and count as ended connections too."""
        with self._lock:
            self._door.failed(kind)
            if kind != "descriptors":
                self._door.ended("refused")

    @property
    def open(self) -> int:
        """Clients of this process."""
        cells = self._made[0]
        return int(cells[_ADMITTED] - cells[_LEFT])

    @property
    def initial_bytes(self) -> int:
        """Memory in bytes before the first client; 0 until there is one."""
        return int(self._made[0][_INITIAL])

    def weighed(self, size: int) -> None:
        """Record the memory in bytes before the first client."""
        self._made[0][_INITIAL] = size

    def bury(self) -> None:
        """Count the clients that the process left when it died, as failed; call it once the process has ended."""
        every = [sum(column) for column in zip(*self.cells(), strict=True)]
        ended = sum(every[_OUTCOME[outcome]] for outcome in OUTCOMES if outcome != "refused")
        self._door.cells[_OUTCOME["failed"]] += every[_ADMITTED] - ended
        self._door.cells[_BEGUN] = self._door.cells[_LEFT] = every[_ADMITTED]

    def cells(self) -> Iterator[Cells]:
        """Yield every writer's cells; shared ones may be another process's."""
        if self._shared is None:
            yield from list(self._made)
            return
        for number in range(int(self._shared[_WRITERS])):
            yield _part(self._shared, number)


def _part(shared: "memoryview[float]", number: int) -> Cells:
    return cast("Cells", shared[number * _CELLS : (number + 1) * _CELLS])


@dataclass(frozen=True, slots=True)
class Total:
    """
    The sum of all counters.

    open: clients being served now. waiting: clients accepted whose session has not begun. waits, waited: what all
    so far have waited for it, in buckets, and the sum in seconds. ended: connections, by outcome. requests: answered
    with OK, by `Command`. errors: by kind. buckets: of service times, not cumulative. seconds: sum of service times.
    received, sent: bytes.
    """

    open: int
    waiting: int
    waits: list[int]
    waited: float
    ended: dict[str, int]
    requests: list[int]
    errors: dict[str, int]
    buckets: list[int]
    seconds: float
    received: int
    sent: int


class Stats:
    """The counters of all of a server's processes. own: this process's."""

    def __init__(self) -> None:
        self.own = Block()
        self.blocks = [self.own]

    def share(self, processes: int, writers: int) -> None:
        """Make a block for each process before the fork; each process then sets `own` to its block."""
        self.blocks = [self.own, *(Block(shared=writers) for _ in range(processes))]

    def admit(self, limit: int) -> bool:
        """
        Count one more client if the processes have fewer than `limit` together; return whether they had.

        Two processes that accept at the same time may both refuse the last place; they never exceed the limit.
        """
        self.own.opened()
        if self.open > limit:
            self.own.opened(-1)
            return False
        return True

    @property
    def open(self) -> int:
        """Clients of all processes."""
        return self.own.open if len(self.blocks) == 1 else sum(block.open for block in self.blocks)

    def total(self, of: Block | None = None) -> Total:
        """Return the sum over all writers, or over those of one process; they may go on counting."""
        blocks = self.blocks if of is None else [of]
        cells = [sum(column) for column in zip(*(each for block in blocks for each in block.cells()), strict=True)]
        counts = [int(each) for each in cells]
        return Total(
            open=counts[_BEGUN] - counts[_LEFT],
            waiting=counts[_ADMITTED] - counts[_BEGUN],
            waits=counts[_WAITS:_ADMITTED],
            waited=cells[_WAITED],
            ended=dict(zip(OUTCOMES, counts[_ENDED:_LEFT], strict=True)),
            requests=counts[:_SECONDS],
            errors=dict(zip(ERRORS, counts[_ERRORS:_ENDED], strict=True)),
            buckets=counts[_BUCKETS:_ERRORS],
            seconds=cells[_SECONDS],
            received=counts[_RECEIVED],
            sent=counts[_SENT],
        )
