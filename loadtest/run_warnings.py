"""
Why the figures of a run may not be what they seem: the table of warnings.

A row carries everything about its warning; the exporter, alerts, tiles, documents and the comparison read it here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from loadtest import run_checks
from loadtest.run_checks import Facts

Figure = Literal["rate", "latency", "served", "CPU", "memory"]
"""What a warning may say of: requests per second, times, clients served, CPU per request, memory per client."""


class About(StrEnum):
    """Where the reason lies."""

    GENERATOR = "generator"
    SERVER = "server"
    RUN = "run"


class TakesOut(StrEnum):
    """What a comparison leaves out of the medians."""

    NOTHING = "nothing"
    """The warning tells what a measure means, and its mark says so."""

    LATENCIES = "latencies"
    """They hold the generator's own delay. CPU and memory are as they were; a top speed is a lower bound."""

    RUN = "the run"
    """What was measured is not, or not only, what the server does."""


class ForSlo(StrEnum):
    """What it means for an objective (SLO) that a run met or missed."""

    SLOWER = "slower"
    """
    Replies can only have looked slower: a miss may be its fault, an SLO met was met.

    That the generator had too little of a core does not make the load lighter as long as requests left on time; whether
    they did is a warning of its own, late-sends. Where clients never pause, what the generator adds to a reply it takes
    from the waiting at the server, and no more than that.
    """

    LIGHTER = "lighter"
    """The load was lighter than asked for: an SLO met says nothing, a miss is one all the more."""

    COUNTED = "counted"
    """The server's doing, which is judged by the counts themselves."""

    MISSED = "missed"
    """A miss by itself: the clients left waiting may be too few to move a quantile."""

    VOID = "void"
    """The run says nothing either way."""

    UNTOUCHED = "untouched"
    """It is not about the run."""


class RunWarning(NamedTuple):
    """A reason not to trust a run's figures. detail: what was seen. hint: what to do about it."""

    name: str
    detail: str
    hint: str


@dataclass(frozen=True, slots=True)
class Row:
    """
    All about one warning.

    short: what happened, in words short enough for a tile. when: its threshold. hint: what to do. moves: the figures
    that it can change. check: what finds it in the facts; None: the comparison finds it. unanswered: clients were left
    without an answer, which shows in an exit status.
    """

    short: str
    when: str
    hint: str
    about: About
    moves: frozenset[Figure]
    takes_out: TakesOut
    slo: ForSlo
    check: Callable[[Facts], str | None] | None = None
    unanswered: bool = False


_SPEED: Final = frozenset[Figure]({"rate", "latency"})
_ANY: Final = frozenset[Figure]({"rate", "latency", "served", "CPU", "memory"})
_OF_SOME: Final = frozenset[Figure]({"rate", "latency", "served"})

RUN_WARNINGS: Final[Mapping[str, Row]] = {
    "generator-cpu": Row(
        "the load is at its own limit",
        "a load process used 90 % of a core, or its event loop was busy for 90 % of the time: a top speed is the"
        " generator's",
        "add workers, or give the load a core of its own; fewer clients also help",
        About.GENERATOR,
        _SPEED,
        TakesOut.NOTHING,
        ForSlo.SLOWER,
        run_checks.generator_cpu,
    ),
    "starved": Row(
        "the load had to wait for a core",
        "a load process waited for a core for over 2 % of the time: others had it, or a CPU quota was used up. Its CPU"
        " and lag need not show that",
        "give the load a core of its own (and no CPU quota), or end what else runs; fewer clients don't help",
        About.GENERATOR,
        _SPEED,
        TakesOut.RUN,
        ForSlo.SLOWER,
        run_checks.starved,
    ),
    "loop-lag": Row(
        "the load's own loop lags",
        "a load process's event loop was over 5 ms late (p99): latencies include its own delay",
        "add workers or take fewer clients; keep other work off the load's core",
        About.GENERATOR,
        _SPEED,
        TakesOut.LATENCIES,
        ForSlo.SLOWER,
        run_checks.loop_lag,
    ),
    "late-sends": Row(
        "the load sends late",
        "over 2 % of the requests left over 5 ms late, by the generator's fault",
        "add workers or take fewer clients; keep other work off the load's core",
        About.GENERATOR,
        _SPEED,
        TakesOut.LATENCIES,
        ForSlo.VOID,
        run_checks.late_sends,
    ),
    "rate": Row(
        "the rate asked for is not reached",
        "less than 98 % of the rate asked for fell due or was sent, or over 102 % was sent, beyond chance",
        "read it as the most that these clients got; take more clients, a lower rate, or a warm-up in which all start"
        " (too many sent: a longer one, for requests from before the window were made up for)",
        About.RUN,
        _SPEED,
        TakesOut.NOTHING,
        ForSlo.LIGHTER,
        run_checks.rate,
    ),
    "stolen-time": Row(
        "the host keeps CPU time back",
        "the machine's host kept back over 2 % of a core",
        "measure again, or on a machine that is not shared",
        About.RUN,
        _SPEED,
        TakesOut.RUN,
        ForSlo.SLOWER,
        run_checks.stolen_time,
    ),
    "corrupt": Row(
        "wrong bytes came back",
        "other bytes came than the right replies",
        "mend the server first: the speed of wrong replies is no result",
        About.SERVER,
        _ANY,
        TakesOut.RUN,
        ForSlo.COUNTED,
        run_checks.corrupt,
    ),
    "disconnected": Row(
        "a server went away",
        "the server closed or reset connections, or nobody listened (a killed container's name, too): it crashed, was"
        " restarted, or closes by itself; that isn't slow",
        "see why the server ended, or closed (its log; docker compose ps --all; 137: killed, or out of memory), and run"
        " it again",
        About.SERVER,
        _ANY,
        TakesOut.RUN,
        ForSlo.COUNTED,
        run_checks.disconnected,
    ),
    "all-at-once": Row(
        "servers compete for the cores",
        "`saturate`, `churn` or `cpu-bound` against several servers at once: they compete for the cores",
        "load one variant at a time: name one user class, such as AsyncioUser, or take the shape one-after-another",
        About.RUN,
        _SPEED,
        TakesOut.NOTHING,
        ForSlo.SLOWER,
        run_checks.all_at_once,
    ),
    "worker-lost": Row(
        "a load process was lost",
        "a load process vanished: its last counts are missing",
        "run it again; see why the worker ended (memory, kill, network)",
        About.RUN,
        _OF_SOME,
        TakesOut.RUN,
        ForSlo.VOID,
        run_checks.worker_lost,
    ),
    "worker-joined": Row(
        "a load process joined on the way",
        "a load process joined during the run, or came back: clients were moved",
        "measure once all load processes are there",
        About.RUN,
        _OF_SOME,
        TakesOut.RUN,
        ForSlo.VOID,
        run_checks.worker_joined,
    ),
    "conservation": Row(
        "requests went uncounted",
        "sent is not verified + errors + unanswered",
        "discard the run: this is a fault in the load generator, please report it",
        About.RUN,
        _ANY,
        TakesOut.RUN,
        ForSlo.VOID,
        run_checks.conservation,
    ),
    "local-limit": Row(
        "the load's machine cannot connect",
        "the load's own machine could not connect: no local port, no descriptor, an unknown name, no way to the host",
        "no_port: fewer connects per second, or net.ipv4.tcp_tw_reuse=1; failed: see whether the server's name is known"
        " and its host can be reached, and ulimit -n",
        About.RUN,
        _OF_SOME,
        TakesOut.RUN,
        ForSlo.VOID,
        run_checks.local_limit,
    ),
    "conntrack": Row(
        "the kernel drops connections",
        "the connection-tracking table of a load process's machine was 90 % full (`net.netfilter.nf_conntrack_count`; a"
        " container sees only its own): a full one drops packets silently",
        "raise net.netfilter.nf_conntrack_max on the machine that tracks, make fewer connects per second, or load by a"
        " way that isn't tracked",
        About.RUN,
        _OF_SOME,
        TakesOut.RUN,
        ForSlo.VOID,
        run_checks.conntrack,
    ),
    "unconnected": Row(
        "some clients never connected",
        "some clients never had a connection, or connects had no answer for over a second at the end",
        "see that the server is there, accepts, and takes so many clients",
        About.SERVER,
        _OF_SOME,
        TakesOut.NOTHING,
        ForSlo.COUNTED,
        run_checks.unconnected,
    ),
    "unserved": Row(
        "some clients are not served",
        "some clients never had a reply",
        "read throughput and latency as those of the clients served, not of all; measure longer, or take fewer clients",
        About.SERVER,
        _OF_SOME,
        TakesOut.NOTHING,
        ForSlo.COUNTED,
        run_checks.unserved,
    ),
    "nothing-answered": Row(
        "nothing is answered",
        "no request was answered rightly",
        "see that the server is there and answers; measure longer",
        About.SERVER,
        _ANY,
        TakesOut.RUN,
        ForSlo.COUNTED,
        run_checks.nothing_answered,
        unanswered=True,
    ),
    "stalled-clients": Row(
        "served clients are left waiting",
        "clients that had been served waited at the end for far longer than the others' replies explain: a server that"
        " drops some has more time for the rest",
        "see why the server no longer answers them (its log); until then its speed and its latency are no result",
        About.SERVER,
        _ANY,
        TakesOut.RUN,
        ForSlo.MISSED,
        run_checks.stalled_clients,
        unanswered=True,
    ),
    "timeouts": Row(
        "replies did not come in 30 s",
        "requests had no reply within 30 s (at a server of one at a time, whose clients stay, `unserved` says so"
        " instead)",
        "see why the server did not answer (its log), or take fewer clients",
        About.SERVER,
        _ANY,
        TakesOut.RUN,
        ForSlo.COUNTED,
        run_checks.timeouts,
        unanswered=True,
    ),
    "generator-limited": Row(
        "the generator is the limit",
        "in a comparison: the generator was at the limit of its core, or near its ceiling; the server may be faster",
        "compare CPU per request instead, which holds; or measure on a machine with faster cores",
        About.GENERATOR,
        _SPEED,
        TakesOut.NOTHING,
        ForSlo.SLOWER,
    ),
    "sink-limited": Row(
        "the ceiling is not the generator's",
        "in a comparison: the generator had time to spare when its ceiling was measured",
        "end what else runs, and measure again",
        About.RUN,
        _SPEED,
        TakesOut.RUN,
        ForSlo.UNTOUCHED,
    ),
    "no-ceiling": Row(
        "the ceiling is not known",
        "in a comparison: the generator's ceiling could not be measured",
        "do it again without what failed there; trust a top speed less",
        About.RUN,
        frozenset({"rate"}),
        TakesOut.NOTHING,
        ForSlo.UNTOUCHED,
    ),
    "busy-machine": Row(
        "other programs run",
        "in a comparison: other programs used over 15 % of a core",
        "end what else runs, and measure again",
        About.RUN,
        _SPEED,
        TakesOut.RUN,
        ForSlo.SLOWER,
    ),
    "not-connected": Row(
        "some clients never connected",
        "in a comparison: fewer clients connected than were asked for",
        "look at the errors; raise ulimit -n if there were too few descriptors",
        About.RUN,
        _OF_SOME,
        TakesOut.NOTHING,
        ForSlo.LIGHTER,
    ),
    "not-pinned": Row(
        "server and generator share cores",
        "in a comparison: server and generator could not be pinned to cores of their own",
        "measure on Linux with two cores or more; trust CPU per request alone",
        About.RUN,
        _SPEED,
        TakesOut.NOTHING,
        ForSlo.SLOWER,
    ),
    "shared-core": Row(
        "server and generator share a core",
        "in a comparison: server and generator ran on two hyperthreads of the same core",
        "use a machine, or a container, with two whole cores",
        About.RUN,
        _SPEED,
        TakesOut.NOTHING,
        ForSlo.SLOWER,
    ),
}

CHECKED: Final = {name: row for name, row in RUN_WARNINGS.items() if row.check is not None}
"""The warnings that a run's own facts can bring, which are exported."""


UNANSWERED: Final = frozenset(name for name, row in RUN_WARNINGS.items() if row.unanswered)
"""The warnings that a server has left clients without an answer: they show in an exit status."""


def warning(name: str, detail: str) -> RunWarning:
    """Return a warning with its row's hint; KeyError for a name that has no row."""
    return RunWarning(name, detail, RUN_WARNINGS[name].hint)


def check(facts: Facts) -> list[RunWarning]:
    """Return every warning that the facts give rise to."""
    found = ((name, row.check(facts)) for name, row in RUN_WARNINGS.items() if row.check is not None)
    return [warning(name, detail) for name, detail in found if detail is not None]


def takes_out(name: str) -> TakesOut:
    """Return what a warning takes out of the medians; one without a row, of another version, takes nothing."""
    row = RUN_WARNINGS.get(name)
    return TakesOut.NOTHING if row is None else row.takes_out


def for_slo(name: str) -> ForSlo:
    """Return what a warning means for an SLO; one without a row makes the run say nothing."""
    row = RUN_WARNINGS.get(name)
    return ForSlo.VOID if row is None else row.slo
