"""
Memory per client: the slope of what a server takes against the clients it has, silent ones and ones that have spoken.

A fresh process is given clients in steps, and read from outside at each of them once it has come to rest; then they
speak, step by step too. One client comes before all and speaks at once: what the first connection loads is not the
price of a connection.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

import psutil

from loadtest.compare.measure.exported import Exported, NotExportedError
from loadtest.compare.measure.groups import PARTS
from loadtest.compare.measure.idle_clients import IdleClients, TooFewDescriptorsError, make_room
from loadtest.compare.measure.process_memory import Look, ProcessMemory
from loadtest.compare.measure.slope import FEWEST, fit, mean

STEPS: Final = 10
"""Steps in which the clients come: each is then far larger than the pieces that an allocator takes memory in."""

PROCESSES: Final = 5
"""
Fresh processes for an answer.

With 1,000 clients the slopes of such processes have a standard deviation of 0.2 % (silent threads), 1.2 % (threads that
have spoken) and 0.6 % (asyncio, either): five give an interval of 2.5 % either way at worst, three gave one of 7 %.
"""

ROUNDS: Final = 16
"""
Times that each client speaks before it counts as one that has spoken.

One reply is not enough: our threads take another page (4 KiB) with each of the first eight requests, 33 kB together,
and hardly any after that. Our asyncio streams take next to nothing with any of them.
"""

_LOOK = 0.02  # seconds between two looks: one costs a millisecond or two, for 1,000 clients
_ASK = 1.0  # seconds that a server which tells of itself is given to come to rest
_CALM = 0.1  # seconds without any change, after which a server that holds all its clients has come to rest
_PATIENCE = 0.5  # the same for one that holds fewer: a busy machine may have kept it from accepting them
_LAST_PATIENCE = 3.0  # the same in the end, before it is said that some were not served
_USED = 0.01  # of the clients: as many may have been there before, such as we were to see whether it answers
_LONGEST = 5.0  # seconds after which it is read as it is: some never come to rest


class NotMeasuredError(Exception):
    """The server's memory could not be measured; the text says why."""


class Serving(NamedTuple):
    """
    A server that runs.

    host, port: where it serves. seen: what looks at the process that does, or has it tell of itself. charged: returns
    bytes charged to a control group that holds it and nothing else, by part (groups.PARTS); None if there is none, and
    `uncharged` says why.
    """

    host: str
    port: int
    seen: ProcessMemory | Exported
    charged: Callable[[], Mapping[str, int]] | None = None
    uncharged: str = "nobody looked for a control group"


@dataclass(frozen=True, slots=True)
class Point:
    """
    What a server took at one step.

    clients: those that were connected, or that had spoken. held: of the connected, how many it had accepted; neither
    counts the first one. memory: bytes. container: bytes charged to its control group by part, empty if it has none.
    """

    clients: int
    held: int
    memory: int
    threads: int
    container: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemoryRun:
    """
    What one fresh process took.

    asked, connected, served: clients, the first one included: wanted, connected in the end, and not left waiting or
    turned away. refused: those turned away; no more were sent then. silent, spoken: in the order of their clients.
    took: seconds. uncharged: why nothing is known of a control group, "" if it is.
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
        """Return it as JSON-ready data; `read_run` reads it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Price:
    """
    What one more client takes: bytes, or threads. `value` is None if there is no such measure, and `why` says why.

    low, high: its 99 % interval over the runs, None with one run. base: what was taken without them. r2: the share of
    the variation that a line explains, in the run where it explains least.
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

    silent: for clients who are connected and have said nothing. spoken: for those who have been answered `ROUNDS`
    times. threads: for connected ones. container_silent, container_spoken: by part of the server's control group (anon,
    kernel, sock: the last two are in no process's own memory) and in `total`; where that is missing, container_why says
    why.
    connected, served, spoke: clients, the first one included, in the run where the fewest were served. note: what has
    to be said beside the measures, "" if all were served.
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
        """Return it as JSON-ready data."""
        return asdict(self)


def read_memory_run(kept: Mapping[str, Any]) -> MemoryRun:
    """Return the run that `Run.as_json` gave. Raises KeyError or TypeError if it is none."""
    series = {name: tuple(Point(**point) for point in kept[name]) for name in ("silent", "spoken")}
    return MemoryRun(**{**kept, **series})


def measure(serving: Serving, clients: int = 1000, pause: Callable[[float], None] = time.sleep) -> MemoryRun:
    """
    Connect `clients` to a fresh server in ten steps, let them speak in ten steps, and return what it took at each.

    pause: sleeps for so many seconds; what it raises ends the measurement. Raises TooFewDescriptorsError if we or the
    server may not open as many, NotMeasuredError if there is nothing to measure, WrongReplyError if what answers is no
    server of ours; ValueError with fewer clients than steps.
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
        raise NotMeasuredError("the server ended while its memory was measured: see what it wrote") from error
    except psutil.Error as error:
        raise NotMeasuredError(
            f"the server, {serving.seen.name}, may not be looked at ({error}): run both as the same user"
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
    """Looks at one server until it has come to rest."""

    def __init__(self, serving: Serving, pause: Callable[[float], None]) -> None:
        self._serving = serving
        self._pause = pause
        self._own = 0  # sockets that are no client's

    def check_unused(self, clients: int) -> None:
        """Raise NotMeasuredError if it ran already and has had clients: what they took is there to be taken again."""
        if isinstance(self._serving.seen, Exported) and (had := self._serving.seen.clients()) > clients * _USED:
            raise NotMeasuredError(
                f"{self._serving.seen.name} has had {had:,} clients already, whose memory further ones take over:"
                " end their load and start the server anew"
            )

    def warm(self, first: IdleClients) -> None:
        """Serve one client, once; only then is what it loads in the base."""
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
        """Raise TooFewDescriptorsError if the server may not open as many sockets."""
        room = self._serving.seen.room()
        if room is not None and room < clients:
            raise TooFewDescriptorsError(
                f"the server can open {room:,} more descriptors, too few for {clients:,} clients: start it with a"
                " higher ulimit -n, or ask for fewer clients"
            )

    def read(self, clients: int, connected: int, patience: float = _PATIENCE) -> Point:
        """
        Return what the server takes at rest with `connected` clients, of which it is `clients` that count here.

        patience: seconds without any change, after which a server that has not accepted all of them is not going to.
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
        Ask a server once, as a rule, when it should have come to rest.

        Each answer is made in a thread of its own, and the next client's thread takes over its stack, with all that the
        answer made of it: asked as often as others are looked at, threads seemed to take 43 kB in place of 24.
        """
        began = time.monotonic()
        while True:
            self._pause(_ASK)
            look = exported.look()
            if look.sockets - self._own >= connected or time.monotonic() - began > patience:
                return look


def _come(watch: _Watch, idle_clients: IdleClients, clients: int) -> list[Point]:
    """Connect them in steps, until the server turns one away (that step is left out) or its kernel takes no more."""
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
    """Return the points at which the server held all who were connected."""
    return [point for point in silent if point.held == point.clients]


def _speak(watch: _Watch, idle_clients: IdleClients, silent: Sequence[Point]) -> list[Point]:
    """Let those of the connected who are held speak, in the steps in which they came."""
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
    """Return what a client takes by these runs of one server. Raises ValueError if there are none."""
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
    """Return the mean slope of the runs' lines; without any, and with the reason `why`, if one has too few points."""
    points = [series(run, value) for run in runs]
    if any(len(each) < FEWEST for each in points):
        return Price(why=why)
    lines = [fit(each) for each in points]
    slope = mean([line.slope for line in lines])
    base = mean([line.base for line in lines]).value
    return Price(slope.value, slope.low, slope.high, base, min(line.r2 for line in lines))


def _silent(run: MemoryRun, value: _Value) -> list[tuple[float, float]]:
    """
    Return what was taken against the clients connected, where all of these were served.

    If that is a point or two (one at a time), against those who wait, all the others being the same: a step with some
    of both would make a line with a kink.
    """
    points = _held(run.silent)
    if len(points) < FEWEST and not run.refused:
        points = [point for point in run.silent if point.held == run.silent[-1].held]
    return [(point.clients, value(point)) for point in points]


def _spoken(run: MemoryRun, value: _Value) -> list[tuple[float, float]]:
    """Return what so many clients took in silence, and what their speaking added."""
    silent = {point.clients: value(point) for point in _held(run.silent)}
    return [(point.clients, silent[point.clients] + value(point) - value(run.spoken[0])) for point in run.spoken]


def _memory(point: Point) -> float:
    return point.memory


def _threads(point: Point) -> float:
    return point.threads


def _charged(parts: Sequence[str]) -> _Value:
    return lambda point: sum(point.container[part] for part in parts)
