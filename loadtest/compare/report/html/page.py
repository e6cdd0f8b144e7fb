"""The comparison as a page that needs only itself, and as a picture. How it looks stands in templates/."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loadtest.compare.analysis.claims import ASPECTS, columns
from loadtest.compare.analysis.measures import RunMeasures, excluding, seeks_top_speed, share_of_core
from loadtest.compare.analysis.summary import Summary, by_scenario, by_workload, candidates, summaries
from loadtest.compare.escaping import visible
from loadtest.compare.plan import MIN_RUNS, Workload, amount
from loadtest.compare.report import besides_runs, formatting, memory, notes, ranking
from loadtest.compare.report.charts import selection, svg
from loadtest.compare.report.charts.selection import Part
from loadtest.compare.report.formatting import AT_LEAST, HEADINGS, run_count
from loadtest.compare.report.headline import MANY_HEADINGS, Headline, signs
from loadtest.compare.report.ranking import Ranking

TITLE: Final = "Concurrency models of TCP servers, measured"


def html(result: Mapping[str, Any]) -> str:
    """Return the whole page; it needs nothing but itself."""
    found, known, claimed = Headline.of(result), candidates(result), besides_runs.settled(result)
    every, inks = found.every, svg.inks(known)
    return _ENVIRONMENT.get_template("page.html").render(
        title=TITLE,
        where=where(result),
        style=svg.style(inks.values()),
        result=result,
        found=found,
        every=every,
        known={each.name: each for each in known},
        marks={name: svg.mark(ink, 6, 6) for name, ink in inks.items()},
        warned=notes.warnings(result, every),
        charts=selection.of_measures(every, inks, result["plan"]["slo"]),
        verdicts=_verdicts(every) if notes.is_verdict(every) else [],
        claims=claimed,
        columns=columns(claimed),
        memory_charts=memory.charts(result),
        memory=list(memory.rows(result)),
        command=command(result),
        **_circumstances(result),
    )


def picture(result: Mapping[str, Any]) -> str:
    """Return the charts that tell the story as one SVG document, for a README."""
    every = summaries(result)
    counts = [each.runs for each in every if each.runs] or [0]
    kind = "99 % intervals" if min(counts) >= MIN_RUNS else "their range: indicative"
    if min(counts) < MIN_RUNS <= max(counts):
        kind = f"99 % intervals, or the range of fewer than {MIN_RUNS} runs"
    of = f"{run_count(*counts)}, whiskers: {kind}"
    foot = f"Medians of {of}. Hollow, arrows: that or more (down: or less). ×: a run left out."
    inks = svg.inks(candidates(result))
    charts = selection.of_measures(every, inks, result["plan"]["slo"])
    return svg.picture(TITLE, where(result), charts.pictured(), foot, inks.values())


def where(result: Mapping[str, Any]) -> str:
    """Return when and on what it was measured, in a line."""
    machine = result["machine"]
    packages, cores = machine["packages"], machine["usable_cores"]
    parts = [
        result["started"][:10] + (f" in {1 + len(result['resumed'])} sessions" if result.get("resumed") else ""),
        machine["cpu"] or machine["architecture"],
        f"{cores} core{'' if cores == 1 else 's'}",
        machine["system"],
        machine["python"],
        *(f"{name} {packages[name]}" for name in ("locust", "uvloop") if packages.get(name)),
    ]
    return " · ".join(str(part) for part in parts)


def _verdicts(every: Sequence[Summary]) -> list[tuple[list[Summary], list[Ranking]]]:
    """Return the loads of which anything is judged, each with the rankings that are."""
    loads = ((some, [each for each in ranking.rankings(some) if each.is_verdict]) for some in by_workload(every))
    return [(some, judged) for some, judged in loads if judged]


def _busy(some: Sequence[RunMeasures]) -> tuple[str, str, str]:
    """Return how busy server and generator were, at the most."""
    if not some:
        return ("-",) * 3
    server = max((run.server_cpu for run in some if run.server_cpu is not None), default=None)
    generator, busy = max(run.generator_cpu for run in some), max(run.generator_busy for run in some)
    return share_of_core(server), f"{generator:.0%}", f"{busy:.0%}"


def _is_top_speed(found: Ranking) -> bool:
    """Whether a ranking is of clients that never pause."""
    every = [*(each.summary for each in found.steps), *found.left_out]
    return seeks_top_speed(every[0].scenario)


def _circumstances(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the machine, the settings and the order, so that somebody else can do it again."""
    machine, plan, pinned = result["machine"], result["plan"], result["pinned"]
    facts = {
        "measured": f"{result['started']} to {result['ended'] or '(not finished)'}",
        "processor": f"{machine['cpu']}, {machine['cores']} cores, {machine['usable_cores']} of them usable",
        "frequency governor": machine["governor"] or "not told by this system",
        "system": f"{machine['system']}, {machine['architecture']}"
        + (", in a container" if machine["container"] else ""),
        "Python": machine["python"],
        "Python of the servers": "; ".join(besides_runs.interpreters(result)) or "not told",
        "packages": ", ".join(f"{name} {version}" for name, version in machine["packages"].items()),
        "commit": result["commit"] or "unknown",
        "pinned": f"server to core {pinned['server']}, generator to core {pinned['generator']}"
        if pinned["server"]
        else "not pinned",
        "seed of the order": plan["seed"],
        "SLO": plan["slo"] or "none",
        "settings in the environment": ", ".join(f"{name}={value}" for name, value in result["settings"].items())
        or "none",
    }
    servers = {each.label: f"{each.title}. {each.sentence}" for each in candidates(result)}
    labels = {each.name: each.label for each in candidates(result)}
    windows = {}
    for task in plan["tasks"]:
        load, rates = task["workload"], ", ".join(f"{rate:,g}" for rate in task.get("rates", ()))
        name = f"{load['scenario']}, {amount(Workload(**load))}{f' at {rates}/s' if rates else ''}"
        some = ", ".join(labels[each] for each in task["candidates"])
        runs = f"{run_count(task['repeats'])} of {some}"
        windows[name] = f"{load['warmup']:g} s warm-up, {load['seconds']:g} s, {runs}"
    order = ", ".join(
        f"{labels[run['candidate']]} ({run['workload']['scenario']}, {amount(Workload(**run['workload']))})"
        for run in result["runs"]
    )
    return {"circumstances": facts, "servers": servers, "windows": windows, "order": order}


def command(result: Mapping[str, Any]) -> str:
    """Return what repeats the comparison, in the order that was drawn."""
    words = list(result["command"])
    seeded = any(word == "--seed" or word.startswith("--seed=") for word in words)
    return shlex.join(words if seeded else [*words, "--seed", str(result["plan"]["seed"])])


def _plain(value: object) -> object:
    """Return a text with invisible characters as escapes; the page's own markup, which is made of such, as it is."""
    return value if hasattr(value, "__html__") else visible(str(value))


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    finalize=_plain,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.globals |= {
    "ASPECTS": ASPECTS,
    "AT_LEAST": AT_LEAST,
    "HEADINGS": HEADINGS,
    "MANY_HEADINGS": MANY_HEADINGS,
    "Part": Part,
    "busy": _busy,
    "excluding": excluding,
}
_ENVIRONMENT.tests["top_speed"] = _is_top_speed
# What says in words what was found: the templates put it in its place.
_ENVIRONMENT.globals |= {
    each.__name__: each
    for each in (
        *(amount, by_scenario, signs, besides_runs.slo_lines, memory.uncharged),
        *(formatting.bare, formatting.run_count, formatting.runs, formatting.served, formatting.spread),
        *(notes.incomplete, notes.indicative, notes.is_verdict, notes.remarks),
        *(ranking.factor, ranking.headlines, ranking.missing, ranking.pair_lines, ranking.place),
        *(ranking.relation, ranking.times, ranking.workload_in_words),
    )
}
