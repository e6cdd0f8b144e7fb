"""The comparison as a page that needs only itself: the answer, plots, tables, and how all of it was obtained."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from loadtest.compare.analysis.measures import RunMeasures, share_of_core
from loadtest.compare.analysis.summary import Summary, by_scenario, candidates, summaries
from loadtest.compare.candidates import Candidate
from loadtest.compare.escaping import markup
from loadtest.compare.plan import MIN_RUNS, Workload, amount
from loadtest.compare.report.charts import selection, svg
from loadtest.compare.report.charts.svg import Chart
from loadtest.compare.report.formatting import AT_LEAST, COLUMNS, bare, run_count, runs, served, spread
from loadtest.compare.report.html import answer, sections
from loadtest.compare.report.html.answer import looks
from loadtest.compare.report.html.text import HOW, STYLE
from loadtest.compare.report.notes import remarks, warnings
from loadtest.run_warnings import TakesOut, takes_out
from loadtest.scenarios import Scenario

TITLE: Final = "Concurrency models of TCP servers, measured"

_HEADINGS: Final = (
    "server",
    "served",
    "valid runs",
    *(heading for _, heading, _ in COLUMNS),
    "server's core",
    "generator's core",
    "generator busy",
)


def html(result: Mapping[str, Any]) -> str:
    """Return the whole page; it needs nothing but itself."""
    every, known = summaries(result), candidates(result)
    warned = warnings(result, every)
    inks = svg.inks(known)
    charts = selection.of_measures(every, inks, result["plan"]["slo"])
    distributions = selection.of_distributions(result, every, inks)
    parts = [
        f"<h1>{TITLE}</h1>",
        f'<p class="faint where">{markup(where(result))}</p>',
        answer.answer(result, every, known, warned),
        sections.textbooks(result),
        answer.measure_by_measure(every, known),
        answer.warnings(warned),
        _charts(
            "Against the number of clients, or the rate",
            "Medians over the valid runs. Whiskers and bands: the median's 99 % interval, or with fewer than ten runs"
            " the least and the most of them. Hollow, with arrows: that or more. ×: an excluded run, in no median.",
            [*(each.chart for each in charts.drawn), *sections.memory_charts(result)],
            charts.left_out,
        ),
        sections.memory(result),
        sections.slo(result),
        _charts(
            "How long everything took",
            "All valid runs together, by percentile: each step to the right leaves out a tenth of what was slower"
            " before. Dotted, hollow: that or more, for requests were still unanswered.",
            [each.chart for each in distributions.drawn],
            distributions.left_out,
        ),
        _tables(result, every, known),
        "<h2>How each figure was obtained</h2><dl>"
        + "".join(f"<dt>{markup(name)}</dt><dd>{markup(text)}</dd>" for name, text in HOW)
        + "</dl>",
        _circumstances(result),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Or a browser asks for the icon of a site.
        f'<link rel="icon" href="data:,"><title>{TITLE}</title>\n<style>{svg.style(known)}{STYLE}</style>'
        "</head><body>\n" + "\n".join(part for part in parts if part) + "\n</body></html>\n"
    )


def picture(result: Mapping[str, Any]) -> str:
    """Return the charts that tell the story as one SVG document, for a README."""
    every = summaries(result)
    counts = sorted({each.runs for each in every if each.runs}) or [0]
    of = run_count(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]} runs"
    kind = "99 % intervals" if counts[0] >= MIN_RUNS else "their range: indicative"
    if counts[0] < MIN_RUNS <= counts[-1]:
        kind = f"99 % intervals, or the range of fewer than {MIN_RUNS} runs"
    foot = (
        f"Medians of {of}, whiskers: {kind}. Hollow, arrows: that or more. ×: a run left out."
        " Drawn by python -m loadtest report."
    )
    known = candidates(result)
    charts = selection.of_measures(every, svg.inks(known), result["plan"]["slo"])
    return svg.picture(TITLE, where(result), charts.pictured(), foot, known)


def where(result: Mapping[str, Any]) -> str:
    """Return when and on what it was measured, in a line."""
    machine = result["machine"]
    packages, cores = machine["packages"], machine["usable_cores"]
    parts = [
        result["started"][:10],
        machine["cpu"] or machine["architecture"],
        f"{cores} core{'' if cores == 1 else 's'}",
        machine["system"],
        machine["python"],
        *(f"{name} {packages[name]}" for name in ("locust", "uvloop") if packages.get(name)),
    ]
    return " · ".join(str(part) for part in parts)


def _charts(title: str, about: str, some: Sequence[Chart], missing: Sequence[str]) -> str:
    drawn = "".join(_figure(each) for each in some)
    left_out = "".join(f"<li>{markup(line)}</li>" for line in missing)
    parts = [f'<h2>{title}</h2><p class="faint">{about}</p>']
    if drawn:
        parts.append(f'<div class="charts">{drawn}</div>')
    if left_out:
        parts.append(f'<p>Not drawn, for there is nothing to draw:</p><ul class="faint">{left_out}</ul>')
    return "".join(parts)


def _figure(chart: Chart) -> str:
    notes = "".join(f"<div>– {markup(note)}</div>" for note in chart.notes)
    return f"<figure>{chart.inline()}{f'<figcaption>{notes}</figcaption>' if notes else ''}</figure>"


def _tables(result: Mapping[str, Any], every: Sequence[Summary], known: Sequence[Candidate]) -> str:
    marks = looks(known)
    lines = "".join(f"<li>{markup(line)}</li>" for line in remarks(result, every, mark="≥"))
    return (
        "<h2>All figures</h2>"
        + "".join(_table(scenario, some, marks) for scenario, some in by_scenario(every))
        + (f"<h3>To be read with the figures</h3><ul>{lines}</ul>" if lines else "")
    )


def _table(scenario: Scenario, some: Sequence[Summary], marks: Mapping[str, str]) -> str:
    lines = []
    before = None
    for each in some:
        if each.workload.load != before:
            lines.append(f'<tr class="load"><td colspan="{len(_HEADINGS)}">{amount(each.workload)}</td></tr>')
        before = each.workload.load
        lines += _lines(each, marks[each.candidate.name])
    head = "".join(f"<th>{markup(name)}</th>" for name in _HEADINGS)
    return (
        f"<h3>{markup(scenario.name)}</h3><p>{markup(scenario.sentence)}"
        f' <span class="faint">To compare: {markup(scenario.compare)}.</span></p>'
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    )


def _lines(each: Summary, look: str) -> Iterable[str]:
    """Yield a summary's medians, and then each of its runs that is excluded."""
    if not each.shown:
        reason = each.failed[0].problem.splitlines()[0]
        yield f'<tr><td>{look}</td><td class="left" colspan="{len(_HEADINGS) - 1}">{markup(reason)}</td></tr>'
        return
    cells = []
    for name, _, _ in COLUMNS:
        estimate = each[name]
        cells.append(
            f'<td title="{markup(estimate.why)}">{markup(bare(each, name, AT_LEAST))}'
            f"<small>{markup(spread(each, name))}</small></td>"
        )
    yield f"<tr><td>{look}</td><td>{served(each)}</td><td>{runs(each)}</td>{''.join(cells)}{_busy(each.valid)}</tr>"
    for run in each.excluded:
        names = ", ".join(warning.name for warning in run.warnings if takes_out(warning.name) is TakesOut.RUN)
        shown = "".join(f"<td>{markup(bare(run, name, AT_LEAST))}</td>" for name, _, _ in COLUMNS)
        yield (
            f'<tr class="unsure"><td>? {markup(names)}</td><td>{served(run)}</td><td></td>{shown}{_busy([run])}</tr>'
        )


def _busy(some: Sequence[RunMeasures]) -> str:
    """Return how busy server and generator were, at the most."""
    if not some:
        return "<td>-</td>" * 3
    server = max((run.server_cpu for run in some if run.server_cpu is not None), default=None)
    generator, busy = max(run.generator_cpu for run in some), max(run.generator_busy for run in some)
    return f"<td>{share_of_core(server)}</td><td>{generator:.0%}</td><td>{busy:.0%}</td>"


def _circumstances(result: Mapping[str, Any]) -> str:
    """Return the machine, the settings and the order, so that somebody else can do it again."""
    machine, plan, pinned = result["machine"], result["plan"], result["pinned"]
    facts = {
        "measured": f"{result['started']} to {result['ended'] or '(not finished)'}",
        "processor": f"{machine['cpu']}, {machine['cores']} cores, {machine['usable_cores']} of them usable",
        "frequency governor": machine["governor"] or "not told by this system",
        "system": f"{machine['system']}, {machine['architecture']}"
        + (", in a container" if machine["container"] else ""),
        "Python": machine["python"],
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
    windows = {
        f"{each['scenario']}, {amount(Workload(**each))}{_at(task.get('rates', ()))}": f"{each['warmup']:g} s warm-up,"
        f" {each['seconds']:g} s, {run_count(task['repeats'])} of"
        f" {', '.join(labels[name] for name in task['candidates'])}"
        for task in plan["tasks"]
        for each in [task["workload"]]
    }
    order = ", ".join(
        f"{labels[run['candidate']]} ({run['workload']['scenario']}, {amount(Workload(**run['workload']))})"
        for run in result["runs"]
    )
    return (
        "<h2>Circumstances</h2><p>To measure it again, in the same order:</p>"
        f"<pre><code>{markup(command(result))}</code></pre>{_facts(facts)}"
        f"<h3>Servers</h3>{_facts(servers)}<h3>Windows</h3>{_facts(windows)}"
        f'<details><summary>The order of the runs</summary><p class="faint">{markup(order)}</p></details>'
        '<p class="faint">Everything measured, histograms included, is in compare.json beside this page;'
        " <code>python -m loadtest report compare.json</code> draws this page again from it.</p>"
    )


def _at(rates: Sequence[float]) -> str:
    """Return the rates of a sweep in words; "" without any."""
    return f" at {', '.join(f'{rate:,g}' for rate in rates)}/s" if rates else ""


def command(result: Mapping[str, Any]) -> str:
    """Return what repeats the comparison, in the order that was drawn."""
    words = list(result["command"])
    seeded = any(word == "--seed" or word.startswith("--seed=") for word in words)
    return shlex.join(words if seeded else [*words, "--seed", str(result["plan"]["seed"])])


def _facts(facts: Mapping[str, object]) -> str:
    lines = "".join(
        f'<tr><td>{markup(name)}</td><td class="left">{markup(str(value))}</td></tr>' for name, value in facts.items()
    )
    return f'<div class="wide"><table><tbody>{lines}</tbody></table></div>'
