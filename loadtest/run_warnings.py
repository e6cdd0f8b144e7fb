"""
The table of warnings: reasons why a run's figures may be wrong.

A row has everything about its warning; the exporter, alerts, tiles, documents and the comparison use it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Final, Literal, NamedTuple, get_args

from loadtest import run_checks
from loadtest.run_checks import Facts

Affected = Literal["rate", "served", "first", "p50", "p99", "cpu", "memory"]
"""
What a warning may change: requests per second, clients served, a new client's usual wait for its first reply, the
median of later replies, the high quantiles of both, CPU per request, memory per client.
"""

FIGURES: Final[tuple[Affected, ...]] = get_args(Affected)


class Degree(StrEnum):
    """How far a warning moves the figures."""

    NOTE = "note"  # they are bounds: a time is at most this, or they are about the clients served
    DOUBT = "doubt"  # they may say something else than the server does


class About(StrEnum):
    """The cause of a warning."""

    GENERATOR = "generator"
    SERVER = "server"
    RUN = "run"


class TakesOut(StrEnum):
    """What a comparison leaves out of the medians."""

    NOTHING = "nothing"  # the warning explains a measure, which is marked
    # They include the generator's own delay. CPU and memory hold, and the top speed of an always busy server.
    LATENCIES = "latencies"
    RUN = "the run"  # it measured more than the server, or something else


class ForSlo(StrEnum):
    """What a warning means for an objective (SLO) that a run met or missed."""

    # Replies can only have looked slower: a miss may be due to it, an SLO met was met. A generator without enough CPU
    # does not make the load lighter as long as requests leave on time (late-sends warns if not). Where clients never
    # pause, the generator's delay of a reply shortens the wait at the server by no more than that.
    SLOWER = "slower"
    LIGHTER = "lighter"  # the load was lighter than asked for: an SLO met says nothing, a miss counts
    COUNTED = "counted"  # the server caused it; the counts themselves decide
    MISSED = "missed"  # it is a miss by itself: the waiting clients may be too few to change a quantile
    VOID = "void"  # the run says nothing
    UNTOUCHED = "untouched"  # it does not concern the run


class RunWarning(NamedTuple):
    """A reason not to trust a run's figures. detail: the finding. hint: what to do."""

    name: str
    detail: str
    hint: str


class LoadWarning(NamedTuple):
    """A warning about a load run. variants: those whose figures it is about."""

    name: str
    detail: str
    hint: str
    degree: Degree
    variants: tuple[str, ...]


class Effect(NamedTuple):
    """What a warning is about, the figures that it moves, and what it means for a comparison and for an SLO."""

    about: About
    moves: frozenset[Affected]
    takes_out: TakesOut
    slo: ForSlo


class Level(NamedTuple):
    """A degree of a warning: what it moves, and what finds it."""

    degree: Degree
    moves: frozenset[Affected]
    check: Callable[[Facts], str | None]


@dataclass(frozen=True, slots=True)
class Row:
    """
    Everything about one warning.

    short: a text for a tile. when: its threshold. hint: what to do. check: finds it in the facts; None: the comparison
    finds it. unanswered: the server left clients without an answer, which changes the exit status. degree: of what
    `check` finds. note: a weaker degree. lasts: its facts go up and down from second to second, so that while a run is
    on it must be found for some seconds.
    """

    short: str
    when: str
    hint: str
    effect: Effect
    check: Callable[[Facts], str | None] | None = None
    unanswered: bool = False
    degree: Degree = Degree.DOUBT
    note: Level | None = None
    lasts: bool = False

    @property
    def about(self) -> About:
        """Its cause."""
        return self.effect.about

    @property
    def levels(self) -> tuple[Level, ...]:
        """Its degrees, the strongest first; none if the comparison finds it."""
        strongest = Level(self.degree, self.effect.moves, self.check) if self.check else None
        return tuple(filter(None, (strongest, self.note)))


_SPEED: Final = frozenset[Affected]({"rate", "first", "p50", "p99"})
_LATER: Final = frozenset[Affected]({"p50", "p99"})
_ANY: Final = frozenset(FIGURES)
_OF_SOME: Final = frozenset[Affected]({*_SPEED, "served"})

RUN_WARNINGS: Final[Mapping[str, Row]] = {
    "generator-cpu": Row(
        "the load is at its own limit",
        "a load process used 90 % of a core, or its event loop was busy for 90 % of the time: a top speed is the"
        " generator's",
        "add workers, or give the load a core of its own; fewer clients also help",
        Effect(About.GENERATOR, _SPEED, TakesOut.NOTHING, ForSlo.SLOWER),
        run_checks.generator_cpu,
        lasts=True,
    ),
    "starved": Row(
        "the load had to wait for a core",
        "a load process waited for a core for over 2 % of the time: others used it, or a CPU quota was used up. Its CPU"
        " and lag may not show that. Up to 5 % only later replies and high quantiles look longer than they are",
        "give the load a core of its own (and no CPU quota), or end other programs; fewer clients don't help",
        Effect(About.GENERATOR, _SPEED, TakesOut.LATENCIES, ForSlo.SLOWER),
        run_checks.starved,
        note=Level(Degree.NOTE, _LATER, partial(run_checks.starved, slightly=True)),
        lasts=True,
    ),
    "loop-lag": Row(
        "the load's own loop lags",
        "a load process's event loop was over 5 ms late (p99): latencies include its own delay. Up to 20 ms only later"
        " replies and high quantiles look longer than they are",
        "add workers or take fewer clients; keep other work off the load's core",
        Effect(About.GENERATOR, _SPEED, TakesOut.LATENCIES, ForSlo.SLOWER),
        run_checks.loop_lag,
        note=Level(Degree.NOTE, _LATER, partial(run_checks.loop_lag, slightly=True)),
        lasts=True,
    ),
    "late-sends": Row(
        "the load sends late",
        "the generator sent over 2 % of the requests over 5 ms late",
        "add workers or take fewer clients; keep other work off the load's core",
        Effect(About.GENERATOR, _SPEED, TakesOut.LATENCIES, ForSlo.VOID),
        run_checks.late_sends,
    ),
    "rate": Row(
        "the rate asked for is not reached",
        "less than 98 % of the rate asked for fell due or was sent, or over 102 % was sent, beyond chance",
        "read it as the most that these clients got; use more clients, a lower rate, or a warm-up in which all start"
        " (too many sent: a longer warm-up, because requests from before the window were sent late)",
        Effect(About.RUN, _SPEED, TakesOut.NOTHING, ForSlo.LIGHTER),
        run_checks.rate,
    ),
    "not-settled": Row(
        "the figures had not settled",
        "where clients stay and never pause, the replies per second or their median still changed by over 5 %, beyond"
        " chance, when the window began (at a rate, only if the response times fell: rising ones are a server's queue)",
        "take a longer warm-up, or in a sweep more time for each rate; end other programs",
        Effect(About.RUN, _SPEED, TakesOut.NOTHING, ForSlo.SLOWER),
        run_checks.not_settled,
    ),
    "stolen-time": Row(
        "the host keeps CPU time back",
        "the machine's host kept back over 2 % of a core",
        "measure again, or on a machine that is not shared",
        Effect(About.RUN, _SPEED, TakesOut.RUN, ForSlo.SLOWER),
        run_checks.stolen_time,
        lasts=True,
    ),
    "corrupt": Row(
        "wrong bytes came back",
        "wrong bytes came in place of the replies",
        "fix the server first: the speed of wrong replies is no result",
        Effect(About.SERVER, _ANY, TakesOut.RUN, ForSlo.COUNTED),
        run_checks.corrupt,
    ),
    "disconnected": Row(
        "a server went away",
        "the server closed, reset or refused connections (also a killed container): it crashed, restarted, or closes by"
        " itself, which is not the same as slow",
        "find out why the server ended or closed (its log; docker compose ps --all; 137: killed, or out of memory), and"
        " measure again",
        Effect(About.SERVER, _ANY, TakesOut.RUN, ForSlo.COUNTED),
        run_checks.disconnected,
    ),
    "all-at-once": Row(
        "servers compete for the cores",
        "`saturate`, `churn` or `cpu-bound` against several servers at once: they compete for the cores",
        "load one variant at a time: name one user class, such as AsyncioUser, or use the shape one-after-another",
        Effect(About.RUN, _SPEED, TakesOut.NOTHING, ForSlo.SLOWER),
        run_checks.all_at_once,
    ),
    "worker-lost": Row(
        "a load process was lost",
        "a load process vanished: its last counts are missing",
        "measure again; find out why the worker ended (memory, kill, network)",
        Effect(About.RUN, _OF_SOME, TakesOut.RUN, ForSlo.VOID),
        run_checks.worker_lost,
    ),
    "worker-joined": Row(
        "a load process joined during the run",
        "a load process joined during the run, or came back: clients were moved",
        "measure once all load processes are there",
        Effect(About.RUN, _OF_SOME, TakesOut.RUN, ForSlo.VOID),
        run_checks.worker_joined,
    ),
    "conservation": Row(
        "requests are missing in the counts",
        "sent is not verified + errors + unanswered",
        "discard the run: this is a bug in the load generator, please report it",
        Effect(About.RUN, _ANY, TakesOut.RUN, ForSlo.VOID),
        run_checks.conservation,
    ),
    "local-limit": Row(
        "the load's machine cannot connect",
        "the load's own machine could not connect: no local port, no descriptor, an unknown name, no route to the host",
        "no_port: connect less often, or set net.ipv4.tcp_tw_reuse=1; failed: check that the server's name is known and"
        " its host can be reached, and ulimit -n",
        Effect(About.RUN, _OF_SOME, TakesOut.RUN, ForSlo.VOID),
        run_checks.local_limit,
    ),
    "conntrack": Row(
        "the kernel drops connections",
        "the connection-tracking table of a load process's machine was 90 % full (`net.netfilter.nf_conntrack_count`; a"
        " container sees only its own): a full one drops packets silently",
        "raise net.netfilter.nf_conntrack_max on the machine that tracks, connect less often, or use a network path"
        " that is not tracked",
        Effect(About.RUN, _OF_SOME, TakesOut.RUN, ForSlo.VOID),
        run_checks.conntrack,
    ),
    "unconnected": Row(
        "some clients never connected",
        "some clients never had a connection, or connects had no answer for over a second at the end",
        "check that the server runs, accepts, and takes so many clients",
        Effect(About.SERVER, _OF_SOME, TakesOut.NOTHING, ForSlo.COUNTED),
        run_checks.unconnected,
        lasts=True,
    ),
    "unserved": Row(
        "some clients are not served",
        "some clients never had a reply",
        "read throughput and latency as those of the clients served, not of all; measure longer, or use fewer clients",
        Effect(About.SERVER, _SPEED, TakesOut.NOTHING, ForSlo.COUNTED),  # how many are served is counted right
        run_checks.unserved,
        degree=Degree.NOTE,
        lasts=True,
    ),
    "nothing-answered": Row(
        "nothing is answered",
        "no request got a right reply",
        "check that the server runs and answers; measure longer",
        Effect(About.SERVER, _ANY, TakesOut.RUN, ForSlo.COUNTED),
        run_checks.nothing_answered,
        unanswered=True,
    ),
    "stalled-clients": Row(
        "served clients are left waiting",
        "served clients waited at the end for far longer than the others' replies explain: a server that drops some has"
        " more time for the rest",
        "find out why the server no longer answers them (its log); until then its speed and latency are no result",
        Effect(About.SERVER, _ANY, TakesOut.RUN, ForSlo.MISSED),
        run_checks.stalled_clients,
        unanswered=True,
    ),
    "timeouts": Row(
        "replies did not come in 30 s",
        "requests had no reply within 30 s (at a server of one client at a time, if clients stay, `unserved` says so"
        " instead)",
        "find out why the server did not answer (its log), or use fewer clients",
        Effect(About.SERVER, _ANY, TakesOut.RUN, ForSlo.COUNTED),
        run_checks.timeouts,
        unanswered=True,
    ),
    "generator-limited": Row(
        "the generator is the limit",
        "in a comparison: the generator was at the limit of its core, or near its ceiling; the server may be faster",
        "compare CPU per request, which still holds; or measure on a machine with faster cores",
        Effect(About.GENERATOR, _SPEED, TakesOut.NOTHING, ForSlo.SLOWER),
    ),
    "sink-limited": Row(
        "the ceiling is not the generator's",
        "in a comparison: the generator was not at its limit when its ceiling was measured",
        "end other programs, and measure again",
        Effect(About.RUN, _SPEED, TakesOut.RUN, ForSlo.UNTOUCHED),
    ),
    "no-ceiling": Row(
        "the ceiling is not known",
        "in a comparison: the generator's ceiling could not be measured",
        "remove the cause of the failure, and measure again; trust a top speed less",
        Effect(About.RUN, frozenset({"rate"}), TakesOut.NOTHING, ForSlo.UNTOUCHED),
    ),
    "no-rates": Row(
        "the rates are not known",
        "in a comparison: no server reached anything, so that nothing says at which rates to compare them",
        "remove the cause of the failures, and measure again; or name the rates: --rates 1000,2000",
        Effect(About.RUN, frozenset({"rate"}), TakesOut.NOTHING, ForSlo.UNTOUCHED),
    ),
    "busy-machine": Row(
        "other programs run",
        "in a comparison: other programs used over 15 % of a core",
        "end other programs, and measure again",
        Effect(About.RUN, _SPEED, TakesOut.RUN, ForSlo.SLOWER),
    ),
    "machine-changed": Row(
        "the machine was not as fast as usual",
        "in a comparison: fixed work before and after a run took a time beyond the others' 99 % range, and 3 %",
        "end other programs, let the machine cool down, or use one that is yours alone; other runs replace it",
        Effect(About.RUN, _SPEED, TakesOut.RUN, ForSlo.SLOWER),
    ),
    "busy-core": Row(
        "other work on the server's core",
        "in a comparison: other work took over 2 % of the server's core",
        "end other programs, or keep them off that core; differences of so much say nothing",
        Effect(About.RUN, _SPEED, TakesOut.NOTHING, ForSlo.UNTOUCHED),
    ),
    "two-modes": Row(
        "a server's runs fall into two groups",
        "in a comparison: by a measure that is judged, a server's runs fall into two groups, 5 % or more apart",
        "read the two groups, not their median; look for what differs between the runs: the server, if it is so with it"
        " alone, or else the machine",
        Effect(About.RUN, _ANY, TakesOut.NOTHING, ForSlo.UNTOUCHED),
    ),
    "no-neighbour": Row(
        "there was no noisy neighbour",
        "in a comparison: the client that should compute beside the others had no second reply within the window",
        "see whether the server serves it at all, or measure for longer",
        Effect(About.SERVER, _ANY, TakesOut.RUN, ForSlo.VOID),
    ),
    "gil-came-back": Row(
        "the GIL is on in a free-threaded Python",
        "in a comparison: the server runs on a free-threaded build, and had the GIL on at the end of the run",
        "the server's stderr names the extension module that turned it on: choose a loop or a version that is made for"
        " free threading, or set PYTHON_GIL=0",
        Effect(About.RUN, _ANY, TakesOut.RUN, ForSlo.VOID),
    ),
    "not-connected": Row(
        "some clients never connected",
        "in a comparison: fewer clients connected than were asked for",
        "read the errors; raise ulimit -n if there were too few descriptors",
        Effect(About.RUN, _OF_SOME, TakesOut.NOTHING, ForSlo.LIGHTER),
    ),
    "not-pinned": Row(
        "server and generator share cores",
        "in a comparison: server and generator could not be pinned to cores of their own",
        "measure on Linux with two cores or more; trust only CPU per request",
        Effect(About.RUN, _SPEED, TakesOut.NOTHING, ForSlo.SLOWER),
    ),
    "shared-core": Row(
        "server and generator share a core",
        "in a comparison: server and generator ran on two hyperthreads of the same core",
        "use a machine, or a container, with two whole cores",
        Effect(About.RUN, _SPEED, TakesOut.NOTHING, ForSlo.SLOWER),
    ),
}

CHECKED: Final = {name: row for name, row in RUN_WARNINGS.items() if row.check}
"""The warnings that a run's own facts can cause; these are exported."""

UNANSWERED: Final = frozenset(name for name, row in RUN_WARNINGS.items() if row.unanswered)
"""The warnings that a server left clients without an answer; they change the exit status."""


def warning(name: str, detail: str) -> RunWarning:
    """Return a warning with its row's hint; KeyError for an unknown name."""
    return RunWarning(name, detail, RUN_WARNINGS[name].hint)


def check(facts: Facts) -> list[LoadWarning]:
    """Return all warnings that the facts cause, each in its strongest degree."""
    found = []
    for name, row in CHECKED.items():
        for level in row.levels:
            if detail := level.check(facts):
                concerned = tuple(
                    each for each in facts.variants if row.about is not About.SERVER or level.check(only(facts, each))
                )
                found.append(LoadWarning(name, detail, row.hint, level.degree, concerned))
                break
    return found


def only(facts: Facts, variant: str) -> Facts:
    """Return the facts about one variant."""
    return replace(facts, variants={variant: facts.variants[variant]})


def takes_out(name: str) -> TakesOut:
    """Return what a warning takes out of the medians: nothing if another version's has no row."""
    return RUN_WARNINGS[name].effect.takes_out if name in RUN_WARNINGS else TakesOut.NOTHING


def for_slo(name: str) -> ForSlo:
    """Return what a warning means for an SLO: VOID without a row."""
    return RUN_WARNINGS[name].effect.slo if name in RUN_WARNINGS else ForSlo.VOID
