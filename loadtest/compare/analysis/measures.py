"""
Turns a run's result into the measures that may be shown.

A lower bound is marked, a misleading measure is replaced by the reason, and every speed comes with the clients served
of those connected.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal

from loadtest.compare.measure import load
from loadtest.compare.measure.load import Load
from loadtest.compare.measure.sampler import NOT_OURS, Usage
from loadtest.compare.plan import Workload
from loadtest.recording.histogram import bounded_quantile, quantile
from loadtest.run_checks import BUSY, STOLEN
from loadtest.run_warnings import RunWarning, TakesOut, takes_out, warning
from loadtest.scenarios import SCENARIOS, Scenario

SERVER_LIMITED: Final = 0.95  # share of its core from which a server counts as always busy
SLOWER_ONES: Final = 5  # samples beyond a high quantile for it to have its name: a p99 takes 500, a p99.9 5,000
OWN_SHARE: Final = 0.1  # share of a response time's quantile from which the generator's own delay there is too much
LEAST_CPU: Final = 0.1  # the least processor seconds in a window for a cost: some kernels count in steps of 10 ms
NEAR_CEILING: Final = 0.90  # share of the generator's own ceiling from which a top speed counts as the generator's

_OTHERS_CPU: Final = 0.15  # share of a core from which other work changes a throughput by more than two runs differ
_FOREIGN: Final = 0.02  # the same on the server's own core
_STEP: Final = 0.01  # what the kernel's clock, which counts in steps of 10 ms, may add to that by itself

LATER_REPLIES: Final = ("response_p50_us", "response_p99_us", "response_p999_us", "service_p99_us")
FIRST_REPLIES: Final = ("first_p50_us", "first_p99_us")
LATENCIES: Final = (*LATER_REPLIES, *FIRST_REPLIES, "longest_wait_us")
"""The measures that include the generator's own delay."""

CLOSED_LOOP: Final = "closed loop: clients / throughput, not the server's latency"
"""The note for a latency of clients that never pause."""

_GONE: Final = "clients come and go, and a thread that ends takes its count with it"
_SHARED: Final = "the neighbour's requests are in it too"

IN_TIME_US: Final = 1_000_000  # until a new client's first reply is in time: a person still feels served at once


@dataclass(frozen=True, slots=True)
class Measure:
    """
    One measure: `value`, or None with the reason `why`.

    at_least: the true value is that or more ('>='). at_most: without a value, what it is at most ('<='), because too
    much of it may be the generator's own. slowest_of: how many samples it is the slowest of, where they are too few for
    the quantile that it is named after; 0 otherwise.
    """

    value: float | None = None
    at_least: bool = False
    why: str = ""
    at_most: float | None = None
    slowest_of: int = 0


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The generator's highest requests per second against the null server, and its own CPU for each."""

    requests_per_second: float
    cpu_us_per_request: float
    clients: int
    warnings: tuple[RunWarning, ...] = ()

    @property
    def is_void(self) -> bool:
        """Whether it is excluded, and limits no measure."""
        return excludes(self.warnings)

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {**asdict(self), "warnings": [each._asdict() for each in self.warnings]}


@dataclass(frozen=True, slots=True)
class RunMeasures:
    """
    The measures of one run.

    number: its position. repeat: of the same run. problem: why there are no measures, or "". model: "closed" or "open".
    served, connected: clients. response_p50_us to service_p99_us: microseconds of replies after a connection's first,
    from when a request was due, or was sent; first_p50_us, first_p99_us: from connecting to the first reply;
    first_in_time: the share of new clients that had it within IN_TIME_US; resident_bytes, threads: the server's most;
    cpu_us: the server's CPU microseconds per request; turns, waited_us: per request, how often a thread of the server
    got a core, and the microseconds that threads were ready and had none; jain: Counters.fairness; longest_wait_us: for
    a reply, even if it never came; neighbour_us: the median service time of the client that does something else than
    the others. server_cpu, generator_cpu: shares of a core; the first is None if the server was not started here.
    generator_busy: share of the time in which the generator worked or was kept from its core. failed: by "requests",
    "connects" and "open connections", and then by kind.
    """

    number: int
    candidate: str
    workload: Workload
    scenario: Scenario
    problem: str = ""
    model: str = "closed"
    served: int = 0
    connected: int = 0
    requests_per_second: Measure = Measure()
    response_p50_us: Measure = Measure()
    response_p99_us: Measure = Measure()
    response_p999_us: Measure = Measure()
    service_p99_us: Measure = Measure()
    first_p50_us: Measure = Measure()
    first_p99_us: Measure = Measure()
    first_in_time: Measure = Measure()
    resident_bytes: Measure = Measure()
    cpu_us: Measure = Measure()
    turns: Measure = Measure()
    waited_us: Measure = Measure()
    threads: Measure = Measure()
    jain: Measure = Measure()
    longest_wait_us: Measure = Measure()
    neighbour_us: Measure = Measure()
    server_cpu: float | None = None
    generator_cpu: float = 0.0
    generator_busy: float = 0.0
    failed: Mapping[str, Mapping[str, int]] | None = None
    warnings: tuple[RunWarning, ...] = ()
    repeat: int = 1


MEASURES: Final = tuple(each.name for each in fields(RunMeasures) if each.default == Measure())


def is_paced(scenario: Scenario) -> bool:
    """Whether the clients pause, or follow a schedule."""
    thinks = scenario.think > 0 and scenario.requests != 1
    return scenario.paced or thinks or scenario.away > 0


def of_throughput(scenario: Scenario) -> frozenset[str]:
    """
    Return the latencies that are clients / throughput, by Little's law; none in most scenarios.

    If clients never pause, a reply takes as long as serving all other clients, whatever the bottleneck is; so it is
    neither judged nor ranked.
    """
    if is_paced(scenario):
        return frozenset()
    return frozenset(LATER_REPLIES if stays(scenario) else (*LATER_REPLIES, *FIRST_REPLIES))


def stays(scenario: Scenario) -> bool:
    """Whether all clients connect at the start, and stay."""
    return scenario.requests is None


def waited_for(scenario: Scenario) -> Literal["first", "response"]:
    """Return which replies a rate is judged by: where clients ask once and leave, each reply is a first one."""
    return "first" if scenario.requests == 1 else "response"


def seeks_top_speed(scenario: Scenario) -> bool:
    """Whether only the cores limit the rate: the server's, or the generator's."""
    return scenario.alone and not is_paced(scenario)


def share_of_core(ratio: float | None) -> str:
    """Return "97%", or "?" if unknown."""
    return "?" if ratio is None else f"{ratio:.0%}"


def measures_of(run: Mapping[str, Any], ceiling: Ceiling | None = None, cores: int = 1) -> RunMeasures:
    """Return the measures of a run in the result; cores: how many its server had."""
    workload = Workload(**run["workload"])
    if run["status"] != "done":
        problem = f"{run['status']}: {run['reason']}" if run["reason"] else run["status"]
        return RunMeasures(run["number"], run["candidate"], workload, SCENARIOS[workload.scenario], problem)
    found = load.read(run["load"])
    measured = measures_of_load(run["candidate"], workload, found, Usage(**run["usage"]), ceiling, cores=cores)
    warnings, python = measured.warnings, run.get("interpreter")
    if python and python["build"] == "free-threaded" and python["gil"]:
        ended = f"a free-threaded {python['implementation']} {python['version']} ended with the GIL on"
        warnings = (*warnings, warning("gil-came-back", ended))
    return replace(measured, number=run["number"], repeat=run["repeat"], warnings=warnings)


def fewest_of(q: float) -> int:
    """Return how many samples a quantile needs; with fewer, the slowest is shown. 0: not a high quantile."""
    return round(SLOWER_ONES / (1 - q)) if 0.9 < q < 1 else 0


def process_of(run: Mapping[str, Any]) -> int:
    """Return which process played a run: see plan.Run. Results of before sweeps don't say; there each had its own."""
    return int(run.get("process") or run["number"])


def ceiling_of(result: Mapping[str, Any]) -> Ceiling | None:
    """Return the generator's ceiling in the result, if it was measured."""
    kept = result.get("ceiling")
    return Ceiling(**{**kept, "warnings": tuple(RunWarning(**each) for each in kept["warnings"])}) if kept else None


def ceiling(workload: Workload, found: Load, usage: Usage) -> Ceiling:
    """Return the generator's ceiling from its run against the null server."""
    found = found.about("the sink")
    cpu = _generator_cpu(found, usage)
    # It should be at its limit.
    known = [each for each in found.warnings if each.name != "generator-cpu"]
    if max(cpu, found.generator_busy) < BUSY:
        known.append(
            warning(
                "sink-limited",
                f"the generator used {cpu:.0%} of its core only: its ceiling may be higher than the sink let it go",
            )
        )
    return Ceiling(
        requests_per_second=found.verified / found.seconds,
        cpu_us_per_request=usage.generator_cpu / found.verified * 1e6,
        clients=workload.clients,
        warnings=(*known, *_surroundings(found, usage)),
    )


def measures_of_load(
    candidate: str, workload: Workload, found: Load, usage: Usage, ceiling: Ceiling | None = None, *, cores: int = 1
) -> RunMeasures:
    """Return the measures of a run (number 0); ceiling: the generator's; cores: how many the server had."""
    found = found.about(candidate)
    server = None if usage.server_cpu is None else usage.server_cpu / found.seconds
    generator = _generator_cpu(found, usage)
    why = ""
    if _alone(found):
        why = "one client was served all the time, the others waited"
        if seeks_top_speed(found.scenario):
            why += "; its speed is that of 1 client"
    elif not found.verified:
        why = "no request was answered within the window"
    elif not found.served:
        why = "no client is known to have been served, though replies were counted"
    late = [each.name for each in found.warnings if takes_out(each.name) is TakesOut.LATENCIES]
    rate = found.verified / found.seconds
    # However late the load was, a server that was always busy went as fast as it can.
    idle = (bool(late) or seeks_top_speed(found.scenario)) and (server is None or server < SERVER_LIMITED * cores)
    limited = idle or max(generator, found.generator_busy) >= BUSY or _is_near(ceiling, rate)
    # Of the server's time, none can tell which part was for whom.
    shared = why or (_SHARED if found.scenario.neighbour else "")
    gone = shared or ("" if stays(found.scenario) else _GONE)
    shown = RunMeasures(
        number=0,
        candidate=candidate,
        workload=workload,
        scenario=found.scenario,
        model=found.model,
        served=found.served,
        connected=found.connected,
        requests_per_second=Measure(rate, at_least=limited and not is_paced(found.scenario)),
        response_p50_us=_later(found, "response", 0.5),
        response_p99_us=_later(found, "response", 0.99),
        response_p999_us=_p999(found),
        service_p99_us=_later(found, "service", 0.99),
        first_p50_us=_first(found, 0.5),
        first_p99_us=_first(found, 0.99),
        first_in_time=_in_time(found),
        resident_bytes=_ours(usage.resident),
        cpu_us=Measure(why=shared) if shared else _cost(usage.server_cpu, found.verified),
        turns=_per_request(usage.turns, found, gone),
        waited_us=_per_request(usage.waited and usage.waited * 1e6, found, gone),
        threads=_ours(usage.threads),
        jain=Measure(found.jain, why="" if found.jain is not None else "no client had a reply within the window"),
        longest_wait_us=Measure(why="no client waited for anything")
        if found.longest_wait is None
        else Measure(found.longest_wait * 1e6, at_least=found.longest_wait_at_least),
        neighbour_us=_neighbour(found),
        server_cpu=server,
        generator_cpu=generator,
        generator_busy=found.generator_busy,
        failed=_failed(found),
    )
    missing: dict[str, Any] = {}
    if late:
        own = Measure(why=f"it would hold the generator's own delay ({', '.join(late)})")
        missing = {name: own for name in LATENCIES if getattr(shown, name).value is not None}
    if why:
        missing |= dict.fromkeys(("requests_per_second", *LATER_REPLIES), Measure(why=why))
    shown = replace(shown, **missing)
    return replace(shown, warnings=tuple(_warnings(shown, found, usage, ceiling)))


def excluding(warnings: Iterable[RunWarning]) -> list[str]:
    """Return the names of those that take a run out of the medians."""
    return [each.name for each in warnings if takes_out(each.name) is TakesOut.RUN]


def excludes(warnings: Iterable[RunWarning]) -> bool:
    """Whether warnings take a run out of the medians."""
    return bool(excluding(warnings))


def _cost(seconds: float | None, requests: int) -> Measure:
    """Return CPU microseconds per request, if there is enough processor time to measure."""
    if seconds is not None and seconds < LEAST_CPU:
        return Measure(why=f"the server used {seconds * 1000:.0f} ms of its core in the window: too little to be told")
    return _ours(None if seconds is None else seconds / requests * 1e6)


def _per_request(number: float | None, found: Load, why: str) -> Measure:
    """Return a number per request; why: the reason if the requests can't be known."""
    if number is None:
        why = why or "the server's threads are too many to be read one by one, or the kernel doesn't count"
    return Measure(why=why) if why or number is None else Measure(number / found.verified)


def _p999(found: Load) -> Measure:
    """Return the response's p99.9, where there are enough replies for one."""
    replies, fewest = sum(found.finished.get("response", {}).values()), fewest_of(0.999)
    if 0 < replies < fewest:
        return Measure(why=f"{replies:,} replies in the window, where a p99.9 takes {fewest:,}")
    return _later(found, "response", 0.999)


def _ours(value: float | None) -> Measure:
    """Return a measure that is known only of a server that was started here."""
    return Measure(why=NOT_OURS) if value is None else Measure(value)


def _generator_cpu(found: Load, usage: Usage) -> float:
    """Return the generator's share of a core, by itself or from outside: the larger one."""
    return max(found.generator_cpu, usage.generator_cpu / found.seconds)


def _is_near(ceiling: Ceiling | None, rate: float) -> bool:
    """Whether a rate is near the generator's ceiling, unless that is excluded."""
    return ceiling is not None and not ceiling.is_void and rate >= NEAR_CEILING * ceiling.requests_per_second


def _alone(found: Load) -> bool:
    """Whether only one client was served, and the others waited for ever."""
    return stays(found.scenario) and found.connected > 1 and found.served == 1


def _failed(found: Load) -> dict[str, dict[str, int]]:
    """Return the counts of failures, without zeros."""
    unconnected = {kind: count for kind, count in found.connections.items() if kind != "connected"}
    every = {"requests": found.errors, "connects": unconnected, "open connections": found.breaks}
    some = {what: {kind: count for kind, count in kinds.items() if count} for what, kinds in every.items()}
    return {what: kinds for what, kinds in some.items() if kinds}


def _later(found: Load, series: str, q: float) -> Measure:
    finished, unfinished = found.finished.get(series, {}), found.unfinished.get(series, {})
    bounds = bounded_quantile(finished, unfinished, q)
    if bounds is None and found.scenario.requests == 1:
        return Measure(why="each client asks once and leaves, so that every reply is a first one")
    if bounds is None:
        return Measure(why="no second reply on any connection within the window")
    few, name = 0, f"p{q * 100:g}"
    if bounds.samples < fewest_of(q):
        few, name, q = bounds.samples, "the most", 1.0
        bounds = bounded_quantile(finished, unfinished, q) or bounds
    own = quantile(found.send_delay, q) if series == "response" else None
    if own and own.microseconds > OWN_SHARE * bounds.low and not bounds.open:
        why = (
            f"up to {own.microseconds:,} of {bounds.low:,} us are the generator's own delay ({name} of how late"
            " it sent what its clients were free to send)"
        )
        return Measure(why=why, at_most=bounds.low, slowest_of=few)
    return Measure(bounds.low, at_least=bounds.open, slowest_of=few)


def _first(found: Load, q: float) -> Measure:
    finished = dict(found.finished.get("first_reply", {}))
    unfinished = found.unfinished.get("first_reply", {})
    if stays(found.scenario):
        # Clients in neither histogram had their first reply within the warm-up; without them the quantile would be that
        # of the clients who waited longest.
        before = found.connected - sum(finished.values()) - sum(unfinished.values())
        finished[0] = finished.get(0, 0) + max(0, before)
    bounds = bounded_quantile(finished, unfinished, q)
    if bounds is None and not stays(found.scenario):
        return Measure(why="no client connected within the window")
    if bounds is None or (bounds.low == 0 and stays(found.scenario)):
        return Measure(why="first replies came within the warm-up, which is thrown away")
    few = bounds.samples if bounds.samples < fewest_of(q) else 0
    bounds = (bounded_quantile(finished, unfinished, 1.0) if few else None) or bounds
    return Measure(bounds.low, at_least=bounds.open, slowest_of=few)


def _neighbour(found: Load) -> Measure:
    median = quantile(found.neighbour, 0.5)
    if median is None:
        return Measure(why="the neighbour had no second reply" if found.scenario.neighbour else "there is no neighbour")
    return Measure(median.microseconds)


def _in_time(found: Load) -> Measure:
    """Return the share of new clients with a reply in time; those that gave up or still wait had none."""
    if stays(found.scenario):
        return Measure(why="clients connect once, within the warm-up")
    finished, waiting = found.finished.get("first_reply", {}), found.unfinished.get("first_reply", {})
    refused = sum(found.connections.get(kind, 0) for kind in ("refused", "reset"))
    every = sum(finished.values()) + sum(waiting.values()) + refused
    if not every:
        return Measure(why="no client connected within the window")
    return Measure(sum(count for age, count in finished.items() if age <= IN_TIME_US) / every)


def _warnings(row: RunMeasures, found: Load, usage: Usage, ceiling: Ceiling | None) -> Iterable[RunWarning]:
    known = {each.name: each for each in found.warnings}
    if _alone(found):  # the row itself says that
        known.pop("unserved", None)
    detail, rate = "", row.requests_per_second.value or 0.0
    at_limit = max(row.generator_cpu, row.generator_busy) >= BUSY
    if seeks_top_speed(row.scenario) and ceiling and _is_near(ceiling, rate):
        known.pop("generator-cpu", None)  # the same limit, in more detail
        top = ceiling.requests_per_second
        detail = (
            f"this is {rate / top:.0%} of the {top:,.0f} requests/s that are the generator's own ceiling: the server"
            f" ({share_of_core(row.server_cpu)} of its core) may be faster"
        )
    elif not is_paced(row.scenario) and at_limit and "generator-cpu" not in known:
        busy = "" if row.generator_cpu >= BUSY else f", and was kept from it: it was busy {row.generator_busy:.0%}"
        detail = (
            f"the generator used {row.generator_cpu:.0%} of its core{busy}: the server"
            f" ({share_of_core(row.server_cpu)}) may be faster"
        )
    yield from known.values()
    if detail:
        yield warning("generator-limited", detail)
    if row.scenario.neighbour and not found.neighbour:
        yield warning("no-neighbour", "the client that computes beside the others had no second reply in the window")
    yield from _surroundings(found, usage)


def _surroundings(found: Load, usage: Usage) -> Iterable[RunWarning]:
    """Yield warnings about a run's surroundings, unless the load has them."""
    # A server that already runs may be on this machine, and would count as another program.
    if usage.server_cpu is not None and usage.others_cpu / found.seconds > _OTHERS_CPU:
        yield warning("busy-machine", f"other programs used {usage.others_cpu / found.seconds:.0%} of a core meanwhile")
    if usage.foreign is not None and usage.foreign - _STEP > _FOREIGN * found.seconds:
        yield warning(
            "busy-core", f"other work took {usage.foreign / found.seconds:.1%} of the server's core meanwhile"
        )
    stolen = usage.stolen / found.seconds
    if stolen > STOLEN and all(each.name != "stolen-time" for each in found.warnings):
        yield warning("stolen-time", f"the virtual machine's host kept back {stolen:.0%} of a core meanwhile")
    if found.connected < found.users:
        yield warning("not-connected", f"{found.connected:,} of {found.users:,} clients connected")
