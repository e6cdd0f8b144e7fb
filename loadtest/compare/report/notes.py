"""The notes beside a comparison's measures, in lines of plain text."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from loadtest.compare.analysis.measures import (
    CLOSED_LOOP,
    FIRST_REPLIES,
    LATER_REPLIES,
    ceiling_of,
    is_paced,
    of_throughput,
)
from loadtest.compare.analysis.pairwise import fair
from loadtest.compare.analysis.summary import Summary, by_scenario
from loadtest.compare.plan import MIN_RUNS, amount, clients
from loadtest.compare.report.formatting import HEADINGS, OF_FEW, number, run_count, scenarios, two_groups, who
from loadtest.run_warnings import RunWarning, TakesOut, takes_out, warning

_CEILING: Final = "the generator's ceiling"
_LATENCIES: Final = (*LATER_REPLIES, *FIRST_REPLIES)

_COLUMN: Final = {
    "requests_per_second": "",
    "response_p99_us": "response, service",
    "first_p99_us": "first reply",
    "resident_bytes": "memory, CPU, threads",
}


class SharedWarning(NamedTuple):
    """A warning. about: its runs, in words. left_out: whether they are in no median."""

    warning: RunWarning
    about: str
    left_out: bool

    @property
    def sentence(self) -> str:
        """The finding, its runs, and its effect."""
        detail, about = self.warning.detail.removesuffix("."), f" ({self.about})" if self.about else ""
        return f"{detail}{about}{'; left out of the medians' if self.left_out else ''}."


def incomplete(result: Mapping[str, Any]) -> str:
    """Return what is missing from a comparison that did not come to its end, or ""."""
    if result["complete"]:
        return ""
    outcomes = [run["status"] == "done" for run in result["runs"]]
    if result["plan"].get("ceiling"):
        outcomes.append(ceiling_of(result) is not None)
    cause = "interrupted, with" if result["interrupted"] else "not everything could be measured:"
    # Memory has no place kept for it beforehand, as runs have.
    rest = " Memory is not all there." if all(outcomes) else ""
    return f"INCOMPLETE: {cause} {sum(outcomes)} of {len(outcomes)} measurements done.{rest}"


def is_verdict(every: Iterable[Summary]) -> bool:
    """Whether there are enough runs of anything for a verdict."""
    return any(each.runs >= MIN_RUNS for each in every)


def indicative(every: Sequence[Summary]) -> str:
    """Return, in a sentence, what there are too few runs of for a verdict, or ""."""
    few = [each for each in every if each.runs < MIN_RUNS and (each.shown or each.failed)]
    if not few:
        return ""
    if not any(each.runs for each in every) and any(each.excluded for each in every):
        return (
            "Nothing can be said: every run is excluded. Each warning says what to do; most come of other work on"
            " this machine."
        )
    runs = run_count(*(each.runs for each in few if each.runs))
    of = "each" if len(few) == len(every) else briefly(few, every)
    return (
        f"Indicative: {runs} of {of}, where a verdict takes {MIN_RUNS} that are valid. The same server differs by some"
        " per cent from run to run, so small differences say nothing."
    )


def briefly(some: Sequence[Summary], every: Sequence[Summary], said: Summary | None = None) -> str:
    """Return summaries in words, whole scenarios by their names; without the one that has been said."""
    named, total = (Counter(each.workload.scenario for each in summaries) for summaries in (some, every))
    whole = [name for name, count in named.items() if count == total[name] > 1]
    parts = [f"{'all others' if said else 'all'} of {', '.join(whole)}"] if whole else []
    rest = [each for each in some if each.workload.scenario not in whole and each is not said]
    return "; ".join([*parts, who(rest)] if rest else parts)


def remarks(result: Mapping[str, Any], every: Sequence[Summary], mark: str = ">=") -> list[str]:
    """Return the notes, a line each."""
    said = _problems(every)
    shown = [each for each in every if each.shown]
    said += _both_truths(shown)
    said += _closed_loops(shown)
    said += _neighbours(shown)
    said += _limits(result, shown, mark)
    if any(each[name].at_least for each in shown for name in _LATENCIES):
        said.append(f"{mark} before a time: unanswered requests had waited that long when the window ended.")
    few = [each for each in shown if any(each[name].slowest_of for name in _LATENCIES)]
    if few:
        said.append(f"{OF_FEW} ({briefly(few, every)}).")
    said += _reasons(shown, every)
    for each in shown:
        said += _failures(each)
    return said


def _both_truths(shown: Sequence[Summary]) -> Iterable[str]:
    """Explain response and service, once."""
    if any(each["response_p99_us"].value is not None for each in shown):
        alike = all(run.model == "closed" for each in shown for run in each.shown)
        yield "Response counts from when a request was due, service from when it was sent: " + (
            "in the closed model, as here, the two are alike."
            if alike
            else "in the open model they part where a request had to wait to be sent."
        )


def _closed_loops(shown: Sequence[Summary]) -> Iterable[str]:
    """Say which latencies are no server's, and why they are in brackets."""
    by_columns: dict[str, list[Summary]] = {}
    for each in shown:
        closed = of_throughput(each.scenario)
        if any(each[name].value is not None for name in closed):
            columns = "response, service" + (", first reply" if closed.issuperset(FIRST_REPLIES) else "")
            by_columns.setdefault(columns, []).append(each)
    for columns, some in by_columns.items():
        yield f"({columns}) in {scenarios(some)}: {CLOSED_LOOP}; neither judged nor ranked."


def _neighbours(shown: Sequence[Summary]) -> Iterable[str]:
    """Say what the client did that is measured apart from the others, and how long its requests took."""
    for scenario, some in by_scenario(shown):
        several = len({each.workload.load for each in some}) > 1
        medians = ((each, value) for each in some if (value := each["neighbour_us"].value) is not None)
        took = ", ".join(
            f"{each.candidate.label} {number(value / 1e3)} ms{f' beside {amount(each.workload)}' if several else ''}"
            for each, value in medians
        )
        if took and (other := scenario.neighbour):
            yield (
                f"Beside the others one client sends {other.command} {other.amount:,} again and again. One took, in the"
                f" median: {took}. No other figure includes it."
            )


def _limits(result: Mapping[str, Any], shown: Sequence[Summary], mark: str) -> Iterable[str]:
    """Say what limits the requests per second, where it is not the server."""
    ceiling = ceiling_of(result)
    if ceiling:
        yield (
            f"Ceiling of the generator itself: {number(ceiling.requests_per_second)} requests/s with"
            f" {clients(ceiling.clients)}, against a sink that does next to nothing;"
            f" {number(ceiling.cpu_us_per_request)} us of its CPU for each."
            + (
                " It is excluded, and limits no figure."
                if ceiling.is_void
                else " From 90 % of it on a top speed is the generator's."
            )
        )
    if any(each["requests_per_second"].at_least for each in shown):
        near = ", or near its ceiling" if ceiling and not ceiling.is_void else ""
        yield (
            f"{mark} before requests per s: a lower bound, for the server was not busy all the time (95 % of its core),"
            f" or the generator was (90 %{near}). With 1 client the round trip sets the rate."
        )
    for model, cause in (("closed", "the clients' pauses"), ("open", "the rate asked for")):
        paced = [each for each in shown if is_paced(each.scenario) and each.shown[0].model == model]
        if paced:
            yield f"(requests per s) in {scenarios(paced)}: set by {cause}, nobody's speed."
    for scenario, _ in by_scenario(each for each in shown if not is_paced(each.scenario)):
        if scenario.command == "SLEEP" and scenario.amount > 0:
            yield (
                f"requests per s in {scenario.name}: a client can have no more than one in {scenario.amount} ms, which"
                f" is {number(1000 / scenario.amount)} a second for each, on every server."
            )


def _problems(every: Iterable[Summary]) -> list[str]:
    """Return the runs that failed or were not run, with the reasons."""
    reasons: dict[str, Counter[str]] = {}
    for each in every:
        for run in each.failed:
            reasons.setdefault(run.problem, Counter())[each.who] += 1
    return [
        f"{'; '.join(f'{name} ({run_count(count)})' for name, count in counts.items())}: {problem}"
        for problem, counts in reasons.items()
    ]


def _reasons(shown: Sequence[Summary], every: Sequence[Summary]) -> list[str]:
    """Return why measures are left out, each reason once; of one that concerns many, only in which column."""
    reasons: dict[str, dict[str, list[Summary]]] = {}
    for each in shown:
        for name, column in _COLUMN.items():
            # Where there are no requests per s, the reason is the response's too.
            is_said = name == "response_p99_us" and each["requests_per_second"].value is None
            if each[name].value is None and not is_said:
                reasons.setdefault(each[name].why, {}).setdefault(column, []).append(each)
    said = []
    for why, columns in reasons.items():
        general = columns.pop("", [])  # it holds for all of a summary's measures
        said += [f"-  {briefly(general, every)}: {why}."] if general else []
        said += [f"-  {column} in {scenarios(some)}: {why}." for column, some in columns.items() if some != general]
    return said


def _failures(each: Summary) -> Iterable[str]:
    """Say what failed for the clients, over all runs."""
    total: dict[str, Counter[str]] = {}
    for run in each.shown:
        for what, kinds in (run.failed or {}).items():
            total.setdefault(what, Counter()).update(kinds)
    for what, counted in total.items():
        counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counted.items()))
        in_all = f" in {run_count(len(each.shown))}" if len(each.shown) > 1 else ""
        yield f"FAILED {what.upper()} with {each.who}: {counts}{in_all}."


def warnings(result: Mapping[str, Any], every: Sequence[Summary]) -> list[SharedWarning]:
    """Return the warnings about a result, each name once, with the measurements it is about."""
    found = [SharedWarning(RunWarning(**each), "", left_out=False) for each in result["warnings"]]
    found += _two_modes(every)
    seen: dict[str, list[tuple[Summary, RunWarning]]] = {}
    for each in every:
        for about in (one for run in each.shown for one in run.warnings):
            seen.setdefault(about.name, []).append((each, about))
    ceiling = ceiling_of(result)
    of_ceiling = {each.name: each for each in ceiling.warnings} if ceiling else {}
    for name in dict.fromkeys((*of_ceiling, *seen)):
        pairs = seen.get(name, [])
        some = list({id(each): each for each, _ in pairs}.values())
        parts = [who(some[:1])] if some else []
        parts += [f"likewise {briefly(some, every, some[0])}"] if some[1:] else []
        total = sum(len(each.shown) for each in some)
        parts += [f"{len(pairs)} of {total} runs"] if total > 1 else []
        if name in of_ceiling:
            parts.append(f"likewise {_CEILING}" if some else _CEILING)
        left_out = bool(some) and takes_out(name) is TakesOut.RUN
        found.append(SharedWarning(pairs[0][1] if pairs else of_ceiling[name], "; ".join(parts), left_out))
    return found


def _two_modes(every: Iterable[Summary]) -> Iterable[SharedWarning]:
    """Yield a warning if runs fall into two groups by a measure that is judged."""
    some = [
        f"{each.who}, {HEADINGS[name].replace('µ', 'u')} {said}"
        for each in every
        for name in fair(each.scenario)
        if (said := two_groups(each, name))
    ]
    if some:
        detail = f"runs fall into two groups, and a median is in one of them by chance: {'; '.join(some)}"
        yield SharedWarning(warning("two-modes", detail), "", left_out=False)
