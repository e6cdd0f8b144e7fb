"""
From what a cell gave to the figures that may be shown for it.

This is where the report's honesty lives: what is only a lower bound is marked so, what would mislead is left
out with the reason, and no speed comes without how many of the connected clients it was that were served.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from loadtest.belief import Doubt
from loadtest.compare import load
from loadtest.compare.load import Load
from loadtest.compare.observe import Usage
from loadtest.compare.plan import Case
from loadtest.compare.statistics import quantile

SERVER_LIMITED = 0.95
"""Share of its core from which a server counts as busy all the time."""

GENERATOR_LIMITED = 0.90
"""Share of a core from which the generator counts as what sets the speed."""

# From here on other work is worth a doubt: a core's share that moves a throughput by more than two runs
# usually differ.
_OTHERS_CPU, _STOLEN_CPU = 0.15, 0.02


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One figure: `value`, or None with the reason `why`.

    at_least: the true value is that or more ('>=').
    """

    value: float | None = None
    at_least: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """
    What is shown of one cell.

    problem: why there is nothing to show, or "" if there is. served, connected: clients. requests_per_second;
    p50_us, p99_us: replies after a connection's first, microseconds; first_p50_us, first_p99_us: from
    connecting to the first reply; resident_bytes: the server's memory;
    cpu_us: the server's CPU microseconds for each request. server_cpu, generator_cpu: shares of a core.
    failed: requests that failed, by kind. doubts: about this cell.
    """

    variant: str
    case: Case
    problem: str = ""
    served: int = 0
    connected: int = 0
    requests_per_second: Figure = Figure()
    p50_us: Figure = Figure()
    p99_us: Figure = Figure()
    first_p50_us: Figure = Figure()
    first_p99_us: Figure = Figure()
    resident_bytes: Figure = Figure()
    cpu_us: Figure = Figure()
    server_cpu: float = 0.0
    generator_cpu: float = 0.0
    failed: Mapping[str, int] | None = None
    doubts: tuple[Doubt, ...] = ()

    @property
    def who(self) -> str:
        """The cell in words."""
        return f"{self.variant}, {self.case.scenario}, {clients(self.case.clients)}"

    @property
    def paced(self) -> bool:
        """Whether the clients' pauses set the rate, so that it is nobody's top speed."""
        return self.case.scenario != "saturate"

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON-ready data."""
        return {
            "served": self.served,
            "connected": self.connected,
            **{
                name: asdict(getattr(self, name))
                for name in (
                    "requests_per_second",
                    "p50_us",
                    "p99_us",
                    "first_p50_us",
                    "first_p99_us",
                    "resident_bytes",
                    "cpu_us",
                )
            },
            "server_cpu": self.server_cpu,
            "generator_cpu": self.generator_cpu,
        }


def clients(count: int) -> str:
    """Return "1 client", "50 clients"."""
    return f"{count:,} client{'' if count == 1 else 's'}"


def row(cell: Mapping[str, Any]) -> Row:
    """Return what may be shown of a cell as it is kept in the result."""
    case = Case(**cell["case"])
    if cell["status"] != "done":
        return Row(
            cell["variant"], case, problem=f"{cell['status']}: {cell['reason']}" if cell["reason"] else cell["status"]
        )
    found = load.read(cell["load"], cell["variant"])
    usage = Usage(**cell["usage"])
    return figures(cell["variant"], case, found, usage)


def figures(variant: str, case: Case, found: Load, usage: Usage) -> Row:
    """Return what may be shown of a cell that was measured."""
    server = usage.server_cpu / found.seconds
    generator = max(found.generator_cpu, usage.generator_cpu / found.seconds)
    why = ""
    if _alone(case, found):
        why = "one client was served all the time, the others waited; its speed is in the row of 1 client"
    elif not found.verified:
        why = "no request was answered within the window"
    rate = cost = Figure(why=why)
    if not why:
        bound = case.scenario == "saturate" and not (server >= SERVER_LIMITED and generator < GENERATOR_LIMITED)
        rate = Figure(found.verified / found.seconds, at_least=bound)
        cost = Figure(usage.server_cpu / found.verified * 1e6)
    shown = Row(
        variant=variant,
        case=case,
        served=found.served,
        connected=found.connected,
        requests_per_second=rate,
        p50_us=Figure(why=why) if why else _later(found, 0.5),
        p99_us=Figure(why=why) if why else _later(found, 0.99),
        first_p50_us=_first(case, found, 0.5),
        first_p99_us=_first(case, found, 0.99),
        resident_bytes=Figure(usage.resident),
        cpu_us=cost,
        server_cpu=server,
        generator_cpu=generator,
        failed={kind: count for kind, count in found.errors.items() if count},
    )
    return replace(shown, doubts=tuple(_doubts(shown, found, usage)))


def _alone(case: Case, found: Load) -> bool:
    """Whether one client was served, and all others waited for it to leave, which in saturate it never does."""
    return case.scenario == "saturate" and case.clients > 1 and found.served <= 1


def _later(found: Load, q: float) -> Figure:
    bounds = quantile(found.finished.get("response", {}), found.unfinished.get("response", {}), q)
    if bounds is None:
        return Figure(why="no second reply on any connection within the window")
    return Figure(bounds.low, at_least=bounds.open)


def _first(case: Case, found: Load, q: float) -> Figure:
    finished = dict(found.finished.get("first_reply", {}))
    unfinished = found.unfinished.get("first_reply", {})
    if case.scenario == "saturate":
        # All connect at the beginning and stay: who is in neither histogram had the first reply within the
        # warm-up, and without them the quantile would be that of the clients who waited longest.
        before = found.connected - sum(finished.values()) - sum(unfinished.values())
        finished[0] = finished.get(0, 0) + max(0, before)
    bounds = quantile(finished, unfinished, q)
    if bounds is None or (bounds.low == 0 and case.scenario == "saturate"):
        return Figure(why="first replies came within the warm-up, which is thrown away")
    return Figure(bounds.low, at_least=bounds.open)


def _doubts(row: Row, found: Load, usage: Usage) -> Iterable[Doubt]:
    # That one client alone was served says the row itself, and why.
    alone = _alone(row.case, found)
    known = {doubt.name: doubt for doubt in found.doubts if not (alone and doubt.name == "unserved")}
    yield from known.values()
    if not row.paced and row.generator_cpu >= GENERATOR_LIMITED and "generator-cpu" not in known:
        yield Doubt(
            "generator-limited",
            f"the generator used {row.generator_cpu:.0%} of its core: the server ({row.server_cpu:.0%}) may be faster",
            "compare CPU per request instead, which holds; or measure on a machine with faster cores",
        )
    if usage.others_cpu / found.seconds > _OTHERS_CPU:
        yield Doubt(
            "busy-machine",
            f"other programs used {usage.others_cpu / found.seconds:.0%} of a core meanwhile",
            "end what else runs, and measure again",
        )
    if usage.stolen / found.seconds > _STOLEN_CPU:
        yield Doubt(
            "stolen-time",
            f"the virtual machine's host kept back {usage.stolen / found.seconds:.0%} of a core meanwhile",
            "measure again, or on a machine that is not shared",
        )
    if found.connected < found.users:
        yield Doubt(
            "not-connected",
            f"{found.connected:,} of {found.users:,} clients connected",
            "look at the errors; raise ulimit -n if there were too few descriptors",
        )
