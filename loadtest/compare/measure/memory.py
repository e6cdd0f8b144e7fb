"""
Memory per client: the slope of a server's memory against its clients, silent ones and ones that have spoken.

Clients connect to a fresh process in steps, and its memory is read from outside at each step, once it is at rest; then
they speak, also in steps. Before all, one client connects and speaks, because the first connection loads code that is
not part of a connection's cost.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

import psutil

from loadtest.compare.measure.cgroups import PARTS
from loadtest.compare.measure.exported import Exported, NotExportedError
from loadtest.compare.measure.idle_clients import IdleClients, TooFewDescriptorsError, make_room
from loadtest.compare.measure.process_memory import Look, ProcessMemory
from loadtest.compare.measure.slope import FEWEST, fit, mean

STEPS: Final = 10
"""Steps of clients: each takes far more memory than an allocator's unit."""

PROCESSES: Final = 5
"""
Fresh processes for an answer.

With 1,000 clients the slopes of such processes have a standard deviation of 0.2 % (silent threads), 1.2 % (threads that
have spoken) and 0.6 % (asyncio, either): five give an interval of 2.5 % either way at worst, three gave one of 7 %.
"""

ROUNDS: Final = 16
"""
Requests of each client until it counts as one that has spoken.

One is not enough: a thread takes another page (4 KiB) with each of its first eight requests, 33 kB in total, and hardly
any after that. asyncio streams take almost nothing.
"""

_LOOK = 0.02  # seconds between two looks: one costs a millisecond or two, for 1,000 clients
_ASK = 1.0  # seconds until a server's own metrics are read
_CALM = 0.1  # seconds without any change, after which a server with all its clients is at rest
_PATIENCE = 0.5  # the same for one with fewer clients: a busy machine may delay its accepts
_LAST_PATIENCE = 3.0  # the same at the end, before clients count as unserved
_USED = 0.01  # share of the clients that it may have had before, such as our check whether it answers
_LONGEST = 5.0  # seconds after which it is read in any case: some are never at rest


class NotMeasuredError(Exception):
    """The server's memory could not be measured; the text says why."""


class Serving(NamedTuple):
    """
    A running server.

    seen: reads its process, or its own metrics. charged: returns bytes charged to a control group of its own, by part
    (groups.PARTS); None if there is none, with the reason `uncharged`.
    """

    host: str
    port: int
    seen: ProcessMemory | Exported
    charged: Callable[[], Mapping[str, int]] | None = None
    uncharged: str = "no control group was tried"


@dataclass(frozen=True, slots=True)
class Point:
    """
    A server's reading at one step.

    clients: those connected, or that have spoken. held: of the connected, those accepted; neither counts the first one.
    memory: bytes. container: bytes charged to its control group by part, empty without one.
    """

    clients: int
    held: int
    memory: int
    threads: int
    container: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemoryRun:
    """
    The readings of one fresh process.

    asked, connected, served: clients, with the first one; served: neither waiting nor refused at the end. refused:
    after these no more connected. silent, spoken: in the order of their clients. took: seconds. uncharged: why there
    is no control group, or "".
    """

    asked: int
    connected: int
    served: int
    refused: int
    silent: tuple[Point, ...]
    spoken: tuple[Point, ...]
    took: float
    uncharged: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready data for `read_memory_run`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Price:
    """
    What one more client costs: bytes, or threads; `value` is None with the reason `why`.

    low, high: its 99 % interval over the runs, None with one run. base: without clients. r2: the lowest R squared of
    the runs' lines.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    base: float | None = None
    r2: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """
    Memory per client of one server.

    silent: for connected clients that have sent nothing. spoken: for those with `ROUNDS` replies. threads: for
    connected ones. container_silent, container_spoken: by part of the server's control group (anon, kernel, sock: the
    last two are in no process's own memory) and in `total`; container_why: why that is missing.
    connected, served, spoke: clients, with the first one, in the run that served the fewest. note: if not all were
    served, or "".
    """

    silent: Price
    spoken: Price
    threads: Price
    container_silent: Mapping[str, Price]
    container_spoken: Mapping[str, Price]
    container_why: str
    connected: int
    served: int
    spoke: int
    note: str

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return asdict(self)


def read_memory_run(kept: Mapping[str, Any]) -> MemoryRun:
    """Return the run from `MemoryRun.as_json`; KeyError or TypeError on bad data."""
    series = {name: tuple(Point(**point) for point in kept[name]) for name in ("silent", "spoken")}
    return MemoryRun(**{**kept, **series})


def measure(serving: Serving, clients: int = 1000, pause: Callable[[float], None] = time.sleep) -> MemoryRun:
    """
    Connect `clients` to a fresh server in ten steps, let them speak in ten steps, and return the readings.

    pause: sleeps for seconds; its exceptions end the measurement. Raises TooFewDescriptorsError if this process or the
    server may not open enough, NotMeasuredError, WrongReplyError if the server does not speak the wire; ValueError with
    fewer clients than steps.
    """
    if clients < STEPS:
        raise ValueError(f"{clients} clients are too few for {STEPS} steps")
    began = time.monotonic()
    make_room(clients + 1)
    try:
        with IdleClients(serving.host, serving.port) as first, IdleClients(serving.host, serving.port) as idle_clients:
            watch = _Watch(serving, pause)
            watch.check_unused(clients)
            watch.warm(first)
            watch.check_room(clients)
            silent = _come(watch, idle_clients, clients)
            connected, refused = len(idle_clients), idle_clients.turned_away()
            idle_clients.shrink(silent[-1].clients)
            spoken = _speak(watch, idle_clients, _held(silent))
    except psutil.NoSuchProcess as error:
        raise NotMeasuredError("the server ended while its memory was measured: read its output") from error
    except psutil.Error as error:
        raise NotMeasuredError(
            f"the server, {serving.seen.name}, may not be read ({error}): run both as the same user"
        ) from error
    except NotExportedError as error:
        raise NotMeasuredError(str(error)) from error
    return MemoryRun(
        asked=clients + 1,
        connected=connected + 1,
        served=(connected - refused if refused else silent[-1].held) + 1,
        refused=refused,
        silent=tuple(silent),
        spoken=tuple(spoken),
        took=time.monotonic() - began,
        uncharged="" if serving.charged else serving.uncharged,
    )


class _Watch:
    """Reads one server until it is at rest."""

    def __init__(self, serving: Serving, pause: Callable[[float], None]) -> None:
        self._serving = serving
        self._pause = pause
        self._own = 0  # sockets that are not clients'

    def check_unused(self, clients: int) -> None:
        """Raise NotMeasuredError if it already had clients, whose memory new ones would reuse."""
        if isinstance(self._serving.seen, Exported) and (had := self._serving.seen.clients()) > clients * _USED:
            raise NotMeasuredError(
                f"{self._serving.seen.name} has had {had:,} clients already, whose memory new ones reuse:"
                " end their load and restart the server"
            )

    def warm(self, first: IdleClients) -> None:
        """Serve one client, so that the base includes what the first one loads."""
        before = self._rest(0).sockets
        where = f"{self._serving.host}:{self._serving.port}"
        if not first.grow(1):
            raise NotMeasuredError(f"cannot connect to {where}: is that where the server listens?")
        if first.speak(0, 1, ROUNDS) != 1:
            raise NotMeasuredError(f"the server at {where} does not answer an ECHO")
        self._own = self._rest(0).sockets
        if self._own <= before:
            raise NotMeasuredError(
                f"{self._serving.seen.name} does not hold the connection to {where}: another one serves there (in a"
                " container?); give that one"
            )

    def check_room(self, clients: int) -> None:
        """Raise TooFewDescriptorsError if the server may not open enough sockets."""
        room = self._serving.seen.room()
        if room is not None and room < clients:
            raise TooFewDescriptorsError(
                f"the server can open {room:,} more descriptors, too few for {clients:,} clients: start it with a"
                " higher ulimit -n, or ask for fewer clients"
            )

    def read(self, clients: int, connected: int, patience: float = _PATIENCE) -> Point:
        """
        Return the server's reading at rest with `connected` clients; clients: the point's number.

        patience: seconds without any change, after which a server will not accept the rest.
        """
        look = self._rest(connected, patience)
        if isinstance(self._serving.seen, Exported) and look.sockets - self._own > connected:
            raise NotMeasuredError(f"others are clients of {self._serving.seen.name} too: end their load first")
        container = self._serving.charged() if self._serving.charged else {}
        return Point(clients, min(connected, look.sockets - self._own), look.memory, look.threads, container)

    def _rest(self, connected: int, patience: float = _PATIENCE) -> Look:
        if isinstance(self._serving.seen, Exported):
            return self._ask(self._serving.seen, connected, patience)
        began = changed = time.monotonic()
        last = self._serving.seen.look()
        while True:
            self._pause(_LOOK)
            look, now = self._serving.seen.look(), time.monotonic()
            if look != last:
                last, changed = look, now
            calm = _CALM if look.sockets - self._own >= connected else patience
            if now - changed >= calm or now - began >= _LONGEST:
                return look

    def _ask(self, exported: Exported, connected: int, patience: float) -> Look:
        """
        Read a server's own metrics, usually once.

        Each answer runs in a new thread, whose stack the next client's thread reuses: with as many reads as for others,
        threads seemed to take 43 kB instead of 24.
        """
        began = time.monotonic()
        while True:
            self._pause(_ASK)
            look = exported.look()
            if look.sockets - self._own >= connected or time.monotonic() - began > patience:
                return look


def _come(watch: _Watch, idle_clients: IdleClients, clients: int) -> list[Point]:
    """Connect clients in steps, until the server refuses one (without that step) or its kernel accepts no more."""
    points = [watch.read(0, 0)]
    complete = True
    while complete and len(points) <= STEPS:
        complete = idle_clients.grow(clients * len(points) // STEPS)
        point = watch.read(len(idle_clients), len(idle_clients))
        if idle_clients.turned_away():
            break
        points.append(point)
    if points[-1].held < points[-1].clients == len(idle_clients):
        points[-1] = watch.read(points[-1].clients, len(idle_clients), _LAST_PATIENCE)
    return points


def _held(silent: Sequence[Point]) -> list[Point]:
    """Return the points at which the server held all connected clients."""
    return [point for point in silent if point.held == point.clients]


def _speak(watch: _Watch, idle_clients: IdleClients, silent: Sequence[Point]) -> list[Point]:
    """Let the held clients speak, in the same steps."""
    if len(silent) < FEWEST:
        return []
    points = [watch.read(0, len(idle_clients))]
    spoke = 0
    for point in silent[1:]:
        if idle_clients.speak(spoke, point.clients, ROUNDS) < point.clients - spoke:
            break
        spoke = point.clients
        points.append(watch.read(spoke, len(idle_clients)))
    return points


_Value = Callable[[Point], float]
_Series = Callable[[MemoryRun, _Value], list[tuple[float, float]]]


def price(runs: Sequence[MemoryRun]) -> Memory:
    """Return a client's memory from the runs of one server; ValueError without any."""
    fewest = min(runs, key=lambda run: run.served)
    note = _note(fewest)
    spoke = min(run.spoken[-1].clients if run.spoken else 0 for run in runs) + 1
    mute = f"{spoke:,} of {fewest.connected:,} clients have spoken and been answered: too few for a slope"
    few = f"too few steps at which all were served ({note or 'the machine was too busy'}): ask for fewer clients"
    parts = set.intersection(*(set(point.container) for run in runs for point in (*run.silent, *run.spoken)))
    values = {part: _charged((part,)) for part in sorted(parts)}
    lacking = [part for part in PARTS if part not in parts]
    if not lacking:
        values["total"] = _charged(PARTS)
    unknown = next((run.uncharged for run in runs if run.uncharged), f"the kernel doesn't tell {', '.join(lacking)}")
    return Memory(
        silent=_price(runs, _silent, _memory, few),
        spoken=_price(runs, _spoken, _memory, mute),
        threads=_price(runs, _silent, _threads, few),
        container_silent={part: _price(runs, _silent, value, few) for part, value in values.items()},
        container_spoken={part: _price(runs, _spoken, value, mute) for part, value in values.items()},
        container_why=unknown if lacking else "",
        connected=fewest.connected,
        served=fewest.served,
        spoke=spoke,
        note=note,
    )


def _note(run: MemoryRun) -> str:
    served = f"{run.served:,} of {run.connected:,} clients served"
    if run.refused:
        return f"{served}; the others were turned away"
    if run.served < run.connected:
        return f"{served}; the others waited in the accept queue"
    if run.connected < run.asked:
        return f"{run.connected:,} of {run.asked:,} clients could connect"
    return ""


def _price(runs: Sequence[MemoryRun], series: _Series, value: _Value, why: str) -> Price:
    """Return the mean slope of the runs' lines, or the reason `why` if one has too few points."""
    points = [series(run, value) for run in runs]
    if any(len(each) < FEWEST for each in points):
        return Price(why=why)
    lines = [fit(each) for each in points]
    slope = mean([line.slope for line in lines])
    base = mean([line.base for line in lines]).value
    return Price(slope.value, slope.low, slope.high, base, min(line.r2 for line in lines))


def _silent(run: MemoryRun, value: _Value) -> list[tuple[float, float]]:
    """
    Return (connected clients, value) at the steps where all were served.

    If these are too few (one client at a time), at the steps where equally many were served and the rest waited: a mix
    of both would bend the line.
    """
    points = _held(run.silent)
    if len(points) < FEWEST and not run.refused:
        points = [point for point in run.silent if point.held == run.silent[-1].held]
    return [(point.clients, value(point)) for point in points]


def _spoken(run: MemoryRun, value: _Value) -> list[tuple[float, float]]:
    """Return (clients, their value when silent plus what speaking added)."""
    silent = {point.clients: value(point) for point in _held(run.silent)}
    return [(point.clients, silent[point.clients] + value(point) - value(run.spoken[0])) for point in run.spoken]


def _memory(point: Point) -> float:
    return point.memory


def _threads(point: Point) -> float:
    return point.threads


def _charged(parts: Sequence[str]) -> _Value:
    return lambda point: sum(point.container[part] for part in parts)
