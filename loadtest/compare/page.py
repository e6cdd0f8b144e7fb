"""The comparison as a page and as a picture, drawn from the result alone: they can be drawn again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any, NamedTuple

from loadtest.compare import svg, table
from loadtest.compare.figures import Figure, Row, clients, is_paced, seeks_top_speed, stays
from loadtest.compare.svg import Chart, Group, Mark
from loadtest.scenarios import Scenario
from servers.variants import VARIANTS

TITLE = "Concurrency models of TCP servers, measured"

_HEADINGS = (
    "server",
    "clients",
    "served",
    "requests per s",
    "response p50 ms",
    "response p99 ms",
    "service p99 ms",
    "first reply p50 ms",
    "first reply p99 ms",
    "memory MB",
    "CPU µs /request",
    "server's core",
    "generator's core",
    "generator busy",
)

_HOW = (
    (
        "requests/s",
        "Replies that were right byte for byte, divided by the length of the window. Where clients never pause and"
        " only the cores set the rate, it is the server's top speed only where the server was busy for 95 % of its core"
        " and the generator for less than 90 % of its own (and below 90 % of its ceiling, where that was measured);"
        " otherwise ≥.",
    ),
    (
        "response p50, p99",
        "Half of the replies, or 99 of 100, came within this time; from when the request was due to the reply's"
        " last byte, without the first reply on each connection. What was unanswered when the window ended"
        " counts at its age; ≥ where that could raise it by more than 5 %.",
    ),
    (
        "service p99",
        "The same from when the request was sent: what the server made of it, without what it had to wait before.",
    ),
    (
        "first reply",
        "From the beginning of connect to the first reply's last byte: it holds the wait for one's turn. Where clients"
        " stay (saturate, crowd), all connect before the window; those who had their reply by then count as"
        " the fastest.",
    ),
    (
        "served",
        "Clients with at least one right reply within the window, of those that had connected.",
    ),
    (
        "memory",
        "The most resident memory of the server's process seen within the window, read ten times a second"
        " from outside.",
    ),
    (
        "CPU/request",
        "User and system time of the server's process within the window, interpolated between samples at its"
        " ends, for each right reply. Where clients leave and come back it includes accepting and closing"
        " connections. It holds also where the cores don't suffice.",
    ),
    (
        "generator's core, busy",
        "The share of its core that the load generator used, and the share of the time in which it worked or was kept"
        " from its core. Where either reaches 90 %, the generator is the limit.",
    ),
    (
        "the window",
        "Every measurement has a server process of its own and a Locust process of its own, and begins with a"
        " warm-up that is thrown away. It is long where clients wait for each other: the queue at the single server"
        " needs its whole length to build up.",
    ),
)

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2024; --muted: #60676e; --line: #dfe3e6; --panel: #f6f7f8;
  --warn: #8a4b00; }
@media (prefers-color-scheme: dark) { :root { --paper: #16191c; --ink: #eceef0; --muted: #a2a9b0; --line: #33393f;
  --panel: #1e2226; --warn: #f0b050; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 24px 20px 60px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 36px 0 8px; }
p { max-width: 76ch; } .faint { color: var(--muted); } .warn { color: var(--warn); font-weight: 600; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 9px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { color: var(--muted); font-weight: 500; vertical-align: bottom; white-space: normal; } th:first-child,
td:first-child { text-align: left; } tr.first td { border-top: 2px solid var(--line); } td.left { text-align: left;
white-space: normal; } .swatch { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right:
7px; } .charts { display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 500px), 1fr)); gap: 20px; align-items:
start; } .charts figure { margin: 0; padding: 18px 18px 10px; background: var(--panel); border-radius: 8px; }
.charts svg { display: block; width: 100%; height: auto; }
dt { font-weight: 600; margin-top: 8px; } dd { margin: 0; max-width: 90ch; } li { max-width: 100ch; margin: 3px 0; }
code { font-size: 14px; }
"""


def html(result: Mapping[str, Any]) -> str:
    """Return the whole page; it needs nothing but itself."""
    every = table.rows(result)
    parts = [
        f"<h1>{TITLE}</h1>",
        f'<p class="faint">{escape(_where(result))}</p>',
        _incomplete(result),
        _legend(result),
        *(_table(scenario, chosen) for scenario, chosen in table.by_scenario(every)),
        _remarks(result, every),
        "<h2>Charts</h2>",
        '<div class="charts">' + "".join(f"<figure>{chart.inline()}</figure>" for chart in charts(every)) + "</div>",
        "<h2>How each figure was obtained</h2><dl>"
        + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in _HOW)
        + "</dl>",
        _circumstances(result),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{TITLE}</title>\n<style>{_STYLE}{svg.STYLE}@media (prefers-color-scheme: dark) {{{svg.DARK}}}</style>"
        "</head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def picture(result: Mapping[str, Any]) -> str:
    """Return the charts as one SVG document, for a README."""
    chosen = charts(table.rows(result))
    foot = "≥ and » : that or more. One run of each: indicative. Drawn by python -m loadtest.compare from its result."
    return svg.picture(TITLE, _where(result), chosen, foot)


def charts(every: Sequence[Row]) -> list[Chart]:
    """Return the charts for which there is something to draw."""
    scenarios = table.by_scenario(every)
    return [
        kind.draw(kind.title, f"{scenario.name}: {kind.says}", _groups(chosen, kind.mark))
        for kind in _kinds()
        for scenario, chosen in scenarios
        if kind.suits(scenario)
    ]


class _Kind(NamedTuple):
    """A chart that each scenario has which it suits."""

    title: str
    says: str
    suits: Callable[[Scenario], bool]
    draw: Callable[[str, str, Sequence[Group]], Chart]
    mark: Callable[[Row], Mark]


def _kinds() -> Iterable[_Kind]:
    yield _Kind(
        "Throughput, requests/s",
        "right replies, from clients that never pause",
        lambda scenario: not is_paced(scenario),
        svg.bars,
        _bar(lambda each: each.requests_per_second),
    )
    yield _Kind(
        "Response, p50 to p99",
        "replies after a connection's first (logarithmic)",
        lambda scenario: scenario.requests != 1,
        svg.ranges,
        _range(lambda each: each.response_p50_us, lambda each: each.response_p99_us),
    )
    yield _Kind(
        "Wait for the first reply, p50 to p99",
        "from connecting, with others in the queue (logarithmic)",
        lambda scenario: not stays(scenario),
        svg.ranges,
        _range(lambda each: each.first_p50_us, lambda each: each.first_p99_us),
    )
    yield _Kind(
        "CPU of the server, µs for each request",
        "user and system time (less is better)",
        seeks_top_speed,
        svg.bars,
        _bar(lambda each: each.cpu_us),
    )
    yield _Kind(
        "Memory of the server, MB",
        "resident, the most within the window (less is better)",
        stays,
        svg.bars,
        _bar(lambda each: each.resident_bytes, 1e6),
    )


def _groups(every: Sequence[Row], draw: Callable[[Row], Mark]) -> list[Group]:
    return [
        Group(clients(count), tuple(draw(each) for each in same))
        for count, same in groupby(every, key=lambda each: each.case.clients)
    ]


def _bar(choose: Callable[[Row], Figure], unit: float = 1.0) -> Callable[[Row], Mark]:
    def draw(each: Row) -> Mark:
        figure = choose(each)
        if figure.value is None:
            return Mark(each.variant, None, "", _nothing(each))
        shown = table.show(figure, unit, mark="≥ ")
        return Mark(each.variant, figure.value, shown, table.served(each), open=figure.at_least)

    return draw


def _range(low: Callable[[Row], Figure], high: Callable[[Row], Figure]) -> Callable[[Row], Mark]:
    def draw(each: Row) -> Mark:
        first, last = low(each), high(each)
        if first.value is None or last.value is None:
            return Mark(each.variant, None, "", _nothing(each))
        shown = " – ".join(
            ("≥ " if figure.at_least else "") + svg.duration(figure.value or 0) for figure in (first, last)
        )
        return Mark(each.variant, last.value, shown, table.served(each), first.value, last.at_least)

    return draw


def _nothing(each: Row) -> str:
    """Return, in few words, why a figure is not there."""
    if each.problem:
        return each.problem.partition(":")[0]
    return f"{table.served(each)} served"


def _where(result: Mapping[str, Any]) -> str:
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


def _legend(result: Mapping[str, Any]) -> str:
    return "".join(
        f'<div><span class="swatch" style="background:{each.colour}"></span><b>{escape(each.name)}</b>: '
        f"{escape(each.title)}. {escape(each.sentence)}</div>"
        for each in VARIANTS
        if each.name in result["plan"]["variants"]
    )


def _incomplete(result: Mapping[str, Any]) -> str:
    left_out = table.incomplete(result)
    return f'<p class="warn">{escape(left_out)}</p>' if left_out else ""


def _remarks(result: Mapping[str, Any], every: Sequence[Row]) -> str:
    lines = [f"<li>{escape(line)}</li>" for line in table.remarks(result, every, mark="≥")]
    for doubt, who in table.doubts(result, every):
        about = f" ({who})" if who else ""
        lines.append(
            f'<li><span class="warn">Doubt, {escape(doubt.name)}:</span> {escape(doubt.detail + about)}.'
            f' <span class="faint">Remedy: {escape(doubt.remedy)}.</span></li>'
        )
    return f"<h2>To be read with the figures</h2><ul>{''.join(lines)}</ul>"


def _table(scenario: Scenario, chosen: Sequence[Row]) -> str:
    lines = []
    before = None
    for each in chosen:
        start = ' class="first"' if each.case.clients != before else ""
        before = each.case.clients
        lines.append(f"<tr{start}>{_line(each)}</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in _HEADINGS)
    return (
        f"<h2>{escape(scenario.name)}</h2><p>{escape(scenario.sentence)}"
        f' <span class="faint">To compare: {escape(scenario.compare)}</span></p>'
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    )


def _line(each: Row) -> str:
    colour = next(variant.colour for variant in VARIANTS if variant.name == each.variant)
    name = f'<td><span class="swatch" style="background:{colour}"></span>{escape(each.variant)}</td>'
    if each.problem:
        reason = each.problem.splitlines()[0]
        return (
            f'{name}<td>{each.case.clients}</td><td class="left" colspan="{len(_HEADINGS) - 2}">{escape(reason)}</td>'
        )
    figures = (
        (each.response_p50_us, 1e3),
        (each.response_p99_us, 1e3),
        (each.service_p99_us, 1e3),
        (each.first_p50_us, 1e3),
        (each.first_p99_us, 1e3),
        (each.resident_bytes, 1e6),
        (each.cpu_us, 1.0),
    )
    busy = f"{each.generator_busy:.0%}" if each.generator_busy else "-"  # it was not always recorded
    cells = [
        f"<td>{each.case.clients}</td><td>{table.served(each)}</td><td>{escape(table.rate(each, mark='≥ '))}</td>",
        *(f'<td title="{escape(figure.why)}">{table.show(figure, unit, mark="≥ ")}</td>' for figure, unit in figures),
        f"<td>{each.server_cpu:.0%}</td><td>{each.generator_cpu:.0%}</td><td>{busy}</td>",
    ]
    return name + "".join(cells)


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
        "settings in the environment": ", ".join(f"{name}={value}" for name, value in result["settings"].items())
        or "none",
        "windows": "; ".join(
            f"{case['scenario']}, {clients(case['clients'])}: {case['warmup']:g} s warm-up, {case['seconds']:g} s"
            for case in plan["cases"]
        ),
    }
    order = ", ".join(
        f"{cell['variant']} ({cell['case']['scenario']} {cell['case']['clients']})" for cell in result["cells"]
    )
    lines = "".join(
        f'<tr><td>{escape(name)}</td><td class="left">{escape(str(value))}</td></tr>'
        for name, value in {**facts, "order": order}.items()
    )
    return (
        f'<h2>Circumstances</h2><div class="wide"><table><tbody>{lines}</tbody></table></div>'
        '<p class="faint">Everything measured, histograms included, is in compare.json beside this page;'
        " <code>python -m loadtest.compare --redraw compare.json</code> draws this page again from it.</p>"
    )
