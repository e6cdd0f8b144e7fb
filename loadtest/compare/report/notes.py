"""The notes beside a comparison's measures, in lines of plain text."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from loadtest.compare.analysis.measures import CLOSED_LOOP, LATENCIES, ceiling_of, of_throughput
from loadtest.compare.analysis.pairwise import fair
from loadtest.compare.analysis.summary import Summary
from loadtest.compare.plan import MIN_RUNS, clients
from loadtest.compare.report.formatting import COLUMNS, OF_FEW, is_paced, number, run_count, scenarios, two_groups, who
from loadtest.run_warnings import RunWarning, TakesOut, takes_out, warning

_CEILING: Final = "the generator's ceiling"

_LATENCIES: Final = tuple(name for name in LATENCIES if name != "longest_wait_us")


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
    counts = sorted({each.runs for each in few if each.runs}) or [0]
    runs = run_count(counts[-1]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]} runs"
    of = "each" if len(few) == len(every) else briefly(few, every)
    return (
        f"Indicative: {runs} of {of}, where a verdict takes {MIN_RUNS} that are valid. The same server differs by some"
        " per cent from run to run, so small differences say nothing."
    )


def briefly(some: Sequence[Summary], every: Sequence[Summary], said: Summary | None = None) -> str:
    """Return summaries in words, whole scenarios by their names; without the one that has been said."""
    named = [each.workload.scenario for each in some]
    whole = [name for name in dict.fromkeys(named) if named.count(name) > 1 and _is_whole(name, some, every)]
    parts = [f"{'all others' if said else 'all'} of {', '.join(whole)}"] if whole else []
    rest = [each for each in some if each.workload.scenario not in whole and each is not said]
    return "; ".join([*parts, who(rest)] if rest else parts)


def _is_whole(scenario: str, some: Sequence[Summary], every: Sequence[Summary]) -> bool:
    return sum(each.workload.scenario == scenario for each in every) == sum(
        each.workload.scenario == scenario for each in some
    )


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
        names = {words: any(name in closed for name in names) for words, names in _CLOSED.items()}
        columns = ", ".join(words for words, some in names.items() if some)
        if columns and any(each[name].value is not None for name in closed):
            by_columns.setdefault(columns, []).append(each)
    for columns, some in by_columns.items():
        yield f"({columns}) in {scenarios(some)}: {CLOSED_LOOP}; neither judged nor ranked."


def _neighbours(shown: Sequence[Summary]) -> Iterable[str]:
    """Say what the client did that is measured apart from the others, and how long its requests took."""
    by_scenario: dict[str, list[Summary]] = {}
    for each in shown:
        if each.scenario.neighbour and each["neighbour_us"].value is not None:
            by_scenario.setdefault(each.workload.scenario, []).append(each)
    for some in by_scenario.values():
        other = some[0].scenario.neighbour
        took = ", ".join(
            f"{each.candidate.label} {number((each['neighbour_us'].value or 0) / 1e3)} ms" for each in some
        )
        if other:
            yield (
                f"Beside the others one client sends {other.command} {other.amount:,} again and again. One took, in the"
                f" median: {took}. No other figure includes it."
            )


_CLOSED: Final = {
    "response, service": ("response_p50_us", "response_p99_us", "response_p999_us", "service_p99_us"),
    "first reply": ("first_p50_us", "first_p99_us"),
}


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
        paced = [each for each in shown if is_paced(each) and any(run.model == model for run in each.shown)]
        if paced:
            yield f"(requests per s) in {scenarios(paced)}: set by {cause}, nobody's speed."
    waiting = {each.workload.scenario: each.scenario for each in shown if _only_waits(each)}
    for name, scenario in waiting.items():
        yield (
            f"requests per s in {name}: a client can have no more than one in {scenario.amount} ms, which is"
            f" {number(1000 / scenario.amount)} a second for each, on every server."
        )


def _only_waits(each: Summary) -> bool:
    return each.scenario.command == "SLEEP" and each.scenario.amount > 0 and not is_paced(each)


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
    reasons: dict[tuple[str, str], list[Summary]] = {}
    for each in shown:
        columns = ["requests_per_second", "first_p99_us", "resident_bytes"]
        if each["requests_per_second"].value is not None:  # or its reason is theirs too
            columns.insert(1, "response_p99_us")
        for name in columns:
            if each[name].value is None:
                reasons.setdefault((_COLUMN[name], each[name].why), []).append(each)
    merged: dict[str, list[tuple[str, list[Summary]]]] = {}
    for (column, why), some in reasons.items():
        merged.setdefault(why, []).append((column, some))
    said = []
    for why, columns_of in merged.items():
        general = [some for column, some in columns_of if not column]
        if general:  # it holds for all of a summary's measures
            said.append(f"-  {briefly(general[0], every)}: {why}.")
        said += [
            f"-  {column} in {scenarios(some)}: {why}." for column, some in columns_of if column and some not in general
        ]
    return said


_COLUMN: Final = {
    "requests_per_second": "",
    "response_p99_us": "response, service",
    "first_p99_us": "first reply",
    "resident_bytes": "memory, CPU, threads",
}


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
    first: dict[str, RunWarning] = {}
    summaries: dict[str, list[Summary]] = {}
    runs: Counter[str] = Counter()
    for each in every:
        for run in each.shown:
            for about in run.warnings:
                first.setdefault(about.name, about)
                runs[about.name] += 1
                if each not in summaries.setdefault(about.name, []):
                    summaries[about.name].append(each)
    ceiling = ceiling_of(result)
    of_ceiling = {each.name: each for each in ceiling.warnings} if ceiling else {}
    for name, seen in {**of_ceiling, **first}.items():
        some = summaries.get(name, [])
        parts = [who(some[:1]), f"likewise {briefly(some, every, some[0])}" if some[1:] else ""] if some else []
        total = sum(len(each.shown) for each in some)
        if some and total > 1:
            parts.append(f"{runs[name]} of {total} runs")
        if name in of_ceiling:
            parts.append(f"likewise {_CEILING}" if some else _CEILING)
        found.append(
            SharedWarning(
                seen, "; ".join(part for part in parts if part), bool(some) and takes_out(name) is TakesOut.RUN
            )
        )
    return found


def _two_modes(every: Iterable[Summary]) -> Iterable[SharedWarning]:
    """Yield a warning if runs fall into two groups by a measure that is judged."""
    headings = {name: heading.replace("µ", "u") for name, heading, _ in COLUMNS}
    some = [
        f"{each.who}, {headings[name]} {said}"
        for each in every
        for name in fair(each.scenario)
        if (said := two_groups(each, name))
    ]
    if some:
        detail = f"runs fall into two groups, and a median is in one of them by chance: {'; '.join(some)}"
        yield SharedWarning(warning("two-modes", detail), "", left_out=False)
