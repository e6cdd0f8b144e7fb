"""The table, the page, the picture and the Markdown, all drawn from the result alone."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from markupsafe import escape

from loadtest.__main__ import main
from loadtest.compare import store
from loadtest.compare.analysis.measures import Measure
from loadtest.compare.analysis.summary import Summary, candidates, summaries
from loadtest.compare.candidates import LAB, own
from loadtest.compare.plan import CLOSED
from loadtest.compare.report import files, formatting, headline, markdown, ranking, table
from loadtest.compare.report.charts import selection
from loadtest.compare.report.charts.svg import Ink, inks
from loadtest.compare.report.html import page
from loadtest.compare.report.notes import incomplete
from loadtest.scenarios import SCENARIOS
from tests.loadtest.compare.results import (
    ceiling,
    comparison,
    failed,
    interpreter,
    one_run,
    several_runs,
    thorough,
    uncharged,
    warning,
    weighed,
)

SHORT = {"response": {"250": 110}, "service": {"240": 110}, "first_reply": {"9900000": 30}}


NAMES = {each.label: name for name, each in LAB.items()}


def whole() -> dict[str, Any]:
    """Make a comparison with a bit of everything, one run of each."""
    waiting = {"first_reply": {"4000000": 49}}
    return comparison(
        one_run("asyncio", clients=50, generator_cpu=0.97),
        one_run("single", clients=50, served=1, censored=waiting),
        one_run("threaded", clients=50, served=45, censored={"response": {"2500000": 2000}}),
        one_run("asyncio", clients=1, server_cpu=6.0),
        one_run("single", "conversation", 30, histograms=SHORT),
    )


def several(runs: int, **changes: Any) -> dict[str, Any]:
    """Make so many runs of three servers: threaded a fifth slower than asyncio, single alike."""
    steady = [round(100_000 * (1 + (place % 5 - 2) / 100)) for place in range(runs)]
    slower = [round(value * 0.8) for value in steady]
    return comparison(
        *several_runs(runs, "single", verified=steady),
        *several_runs(runs, "threaded", verified=slower),
        *several_runs(runs, "asyncio", verified=steady),
        **changes,
    )


def lines(result: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    """Return the table's cells by candidate and clients."""
    found, clients = {}, ""
    for line in table.text(result).splitlines():
        parts = re.split(r"\s{2,}", line.strip())
        if heading := re.fullmatch(r"([\d,]+) clients?:", line):
            clients = heading[1]
        elif (parts[0] in NAMES or parts[0].startswith("?")) and len(parts) in {8, 9}:
            found[NAMES.get(parts[0], parts[0]), clients] = parts[1:]
    return found


def said(result: dict[str, Any]) -> str:
    return " ".join(table.text(result).split())


# The terminal


def test_the_table_line_by_line() -> None:
    assert lines(whole()) == {
        ("asyncio", "1"): ["1 of 1", "1", ">=10,000", "(1.00)", "(1.00)", "-", "40.0", "60.0"],
        ("single", "50"): ["1 of 50", "1", "-", "-", "-", ">=4,000*", "40.0", "-"],
        ("threaded", "50"): ["45 of 50", "1", "10,000", "(1.00)", "(>=2,500)", "-", "40.0", "100"],
        ("asyncio", "50"): ["50 of 50", "1", ">=10,000", "(1.00)", "(1.00)", "-", "40.0", "100"],
        ("single", "30"): ["30 of 30", "1", "(10,000)", "0.250", "0.250*", "9,900*", "40.0", "100"],
    }


def test_a_median_shows_the_spread_of_its_runs() -> None:
    result = comparison(*several_runs(3, "asyncio", verified=[98_000, 100_000, 103_000], resident=[40_000_000] * 3))
    drawn = table.text(result).splitlines()
    at = next(number for number, line in enumerate(drawn) if line.startswith("asyncio"))
    assert drawn[at].split()[6:8] == ["3", "10,000"]
    assert drawn[at + 1].split()[0] == "-2+3%"
    assert "-0+0%" in drawn[at + 1]
    assert "-2+3%: the least of the runs is 2 % below the median above it" in said(result)


def test_a_run_excluded_has_its_own_line() -> None:
    runs = several_runs(
        3, "asyncio", verified=[100_000, 50_000, 102_000], load_warnings=[[], [warning("stolen-time")], []]
    )
    result = comparison(*runs)
    found = lines(result)
    assert found["asyncio", "50"][:3] == ["50 of 50", "2/3", "10,100"]
    assert found["? stolen-time", "50"][:2] == ["50 of 50", "5,000"]
    assert (
        "Warning, stolen-time: stolen-time was seen (asyncio on uvloop, saturate, 50 clients; 1 of 3 runs); left out of"
        in said(result)
    )


def test_what_is_said_beside_the_table() -> None:
    text = said(whole())
    assert "Indicative: 1 run of each, where a verdict takes 10" in text
    assert "a lower bound" in text
    assert "unanswered requests had waited that long" in text
    assert "At single, a conversation's length sets the rate" in text
    assert "(requests per s) in conversation: set by the clients' pauses, nobody's speed." in text
    assert text.count("in the closed model, as here, the two are alike") == 1
    assert "Ceiling" not in text
    assert "single, saturate, 50 clients: one client was served all the time, the others waited" in text
    assert "Warning, generator-limited: the generator used 97%" in text
    assert "Hint: compare CPU per request, which still holds" in text
    assert "INCOMPLETE" not in text
    assert "VERDICT" not in text


def test_nothing_is_explained_that_is_not_there() -> None:
    text = table.text(comparison(one_run("asyncio")))
    for absent in ("lower bound", "Warning", "conversation", "waited", "-2+3%"):
        assert absent not in text


def test_the_columns_are_named() -> None:
    head = table.text(whole()).splitlines()[3:6]
    columns = [" ".join(line[at : at + 8].strip() for line in head).strip() for at in range(len(head[2]))]
    for name in ("response p50 ms", "response p99 ms", "reply p99 ms", "valid runs"):
        assert any(name in column for column in columns), head


def test_the_table_is_ascii_and_fits_a_terminal() -> None:
    crowded = [
        one_run("asyncio-stdlib", name, 10_000, repeat=repeat, server_cpu=2.0, verified=1_234_567 * repeat, **large)
        for name in CLOSED
        for repeat in (1, 2)
        for large in ({"resident": 12_345_678_901, "load_warnings": [warning("worker-joined")] if repeat == 1 else []},)
    ]
    for result in (whole(), thorough(3), thorough(10), comparison(*crowded, ceiling=ceiling(123_456.0))):
        text = table.text(result)
        assert text.isascii(), [line for line in text.splitlines() if not line.isascii()]
        assert max(len(line) for line in text.splitlines()) <= 100


# The verdict


def test_three_runs_are_indicative_and_get_no_verdict() -> None:
    result = several(3)
    assert "Indicative: 3 runs of each, where a verdict takes 10 that are valid." in said(result)
    assert "VERDICT" not in table.text(result)
    assert "better than" not in page.html(result)
    assert "What was seen (no verdict)" in page.html(result)
    assert "better than" not in markdown.text(result)


def test_ten_runs_get_a_verdict_in_the_terminal() -> None:
    text = said(several(10))
    assert "Indicative" not in text
    assert "VERDICT, from ten or more valid runs" in text
    assert re.search(
        r"requests/s, different: single 1\.25 times better than threaded \(1\.2\d to 1\.\d+\), asyncio on uvloop",
        text,
    )
    assert "CPU per request, different: single 1.25 times better than threaded" in text
    assert "response p99" not in text.partition("VERDICT")[2]


def test_ten_runs_give_a_verdict_on_top() -> None:
    html = page.html(several(10))
    top = re.sub(r"<[^>]+>", " ", html.partition('id="answer"')[2].partition("</section>")[0])
    top = " ".join(top.split())
    assert top.index("The answer") < top.index("saturate, 50 clients")
    assert re.search(r"single 10,000/s 50 of 50 (equivalent to|can&#39;t be told from) asyncio on uvloop", top)
    assert re.search(
        r"asyncio on uvloop 10,000/s 50 of 50 1\.25× \(1\.\d+ – 1\.\d+\) better than threaded 8,000/s", top
    )


def test_runs_that_do_not_tell_are_explained() -> None:
    wild = [60_000, 80_000, 100_000, 120_000, 140_000] * 2
    result = comparison(
        *several_runs(10, "threaded", verified=wild), *several_runs(10, "asyncio", verified=list(reversed(wild)))
    )
    text = said(result)
    assert "requests/s, cannot tell: threaded and asyncio on uvloop (equal or more than 5% apart" in text
    assert "different" not in text.partition("VERDICT")[2]
    assert "can&#39;t be told from" in page.html(result)


def test_a_speed_limited_by_the_generator_decides_nothing() -> None:
    result = several(10)
    for each in result["runs"]:
        each["load"]["generator"]["busy_ratio"] = 0.95
    text = said(result).partition("VERDICT")[2]
    who = "single and threaded, single and asyncio on uvloop, threaded and asyncio on uvloop"
    assert f"requests/s, cannot tell: {who} (on both" in text
    assert "requests/s, different" not in text


def test_unserved_clients_are_always_named() -> None:
    result = comparison(*several_runs(10, "threaded", served=31), *several_runs(10, "asyncio", verified=[110_000] * 10))
    assert "asyncio on uvloop 1.10 times better than threaded [served 31 of 50]" in said(result)
    assert "threaded \\[served 31 of 50\\]" in markdown.text(result)
    assert "only 31 of 50 served" in page.html(result)


def test_starving_some_is_not_better_by_speed() -> None:
    result = comparison(*several_runs(10, "threaded", served=31), *several_runs(10, "asyncio", verified=[90_000] * 10))
    assert "times better" not in said(result)
    told = "cannot tell: threaded [served 31 of 50] and asyncio on uvloop (threaded served 31 of 50 clients only"
    assert told in said(result)


def test_the_answer_is_about_a_settled_measure() -> None:
    result = several(10)
    for each in result["runs"]:
        each["load"]["generator"]["busy_ratio"] = 0.95
    [(about, found)] = ranking.headlines(summaries(result))
    assert about == "saturate, 50 clients"
    assert found.measure != "requests_per_second"


def test_a_partial_verdict_names_the_indicative_loads() -> None:
    result = comparison(
        *several_runs(10, "threaded"),
        *several_runs(10, "asyncio"),
        *several_runs(3, "threaded", "churn"),
        *several_runs(3, "asyncio", "churn"),
    )
    assert "Indicative: 3 runs of all of churn, where a verdict takes 10" in said(result)
    assert "indicative:" in page.html(result)


# What must be said


def test_the_ceiling_is_a_sentence_with_its_warnings() -> None:
    result = comparison(one_run("asyncio"), ceiling=ceiling(10_400.0))
    text = said(result)
    assert "Ceiling of the generator itself: 10,400 requests/s with 50 clients" in text
    assert "7.25 us of its CPU for each" in text
    assert lines(result)["asyncio", "50"][2] == ">=10,000"
    assert "Warning, generator-limited: this is 96% of the 10,400 requests/s" in text
    assert "the generator was (90 %, or near its ceiling)" in text
    html = page.html(result)
    assert "Ceiling of the generator itself: 10,400 requests/s with 50 clients" in html
    assert "≥ 10,000" in html


def test_a_ceiling_excluded_limits_nothing() -> None:
    stolen = {"name": "stolen-time", "detail": "much", "hint": "again"}
    slow = {"name": "sink-limited", "detail": "slow", "hint": "again"}
    result = comparison(one_run("asyncio"), ceiling=ceiling(10_400.0, stolen, slow))
    text = said(result)
    assert lines(result)["asyncio", "50"][2] == "10,000"
    assert "Warning, stolen-time: much (the generator's ceiling)" in text
    assert "Warning, sink-limited: slow (the generator's ceiling)" in text
    assert "It is excluded, and limits no figure." in text
    assert "near its ceiling" not in text


def test_a_shared_warning_is_said_once() -> None:
    stolen = {"name": "stolen-time", "detail": "much", "hint": "again"}
    result = comparison(
        one_run("asyncio", load_warnings=[stolen]),
        one_run("threaded", load_warnings=[stolen]),
        ceiling=ceiling(90_000.0, stolen),
    )
    text = said(result)
    assert text.count("Warning, stolen-time") == 1
    assert (
        "much (threaded, saturate, 50 clients; likewise all others of saturate; 2 of 2 runs; likewise the generator's"
        " ceiling); left out of the medians. Hint: again." in text
    )
    assert "every run is excluded: stolen-time" in text


def test_a_shared_warning_names_servers_or_whole_scenarios() -> None:
    some = [
        one_run(name, clients=count, load_warnings=[warning("x")]) for name in ("single", "asyncio") for count in (1, 9)
    ]
    some += [one_run("single", "churn", load_warnings=[warning("x")]), one_run("asyncio", "churn")]
    text = said(comparison(*some))
    assert "x was seen (single, saturate, 1 client; likewise all others of saturate; single, churn, 50 clients;" in text
    assert "5 of 5 runs)" in text


def test_a_missing_ceiling_leaves_a_comparison_incomplete() -> None:
    result = comparison(one_run("asyncio"), complete=False)
    result["plan"]["ceiling"] = {"scenario": "saturate", "clients": 50, "warmup": 1, "seconds": 3}
    assert incomplete(result).endswith("1 of 2 measurements done.")


def test_the_open_model_is_told_apart() -> None:
    text = said(comparison(one_run("asyncio", tuned={"paced": True})))
    assert "in the open model they part where a request had to wait to be sent" in text
    assert "(requests per s) in saturate: set by the rate asked for" in text
    assert "closed" not in text


def test_what_waiting_allows_is_said_beside_it() -> None:
    text = said(comparison(one_run("asyncio", "io-bound")))
    assert "requests per s in io-bound: a client can have no more than one in 50 ms, which is 20.0 a second" in text


def test_a_failed_run_is_named_with_its_reason() -> None:
    text = table.text(comparison(one_run("asyncio"), failed("threaded", "no luck"), complete=False))
    assert "INCOMPLETE: not everything could be measured: 1 of 2 measurements done." in text
    assert "threaded, saturate, 50 clients (1 run): failed: no luck" in text


def test_failed_requests_are_named_by_kind() -> None:
    text = table.text(comparison(*several_runs(2, "asyncio", errors=[{"timeout": 3, "reset": 0}, {"timeout": 1}])))
    assert "FAILED REQUESTS with asyncio on uvloop, saturate, 50 clients: 4 timeout in 2 runs." in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.04567, "0.046"),
        (1.2345, "1.23"),
        (12.345, "12.3"),
        (123.45, "123"),
        (104_321.0, "104,000"),
        (1000, "1,000"),
    ],
)
def test_three_significant_figures(value: float, shown: str) -> None:
    assert table.number(value) == shown
    assert formatting.show(Measure(value, at_least=True)) == ">=" + shown


def test_a_run_in_a_few_words() -> None:
    [summary] = summaries(comparison(one_run("asyncio", generator_cpu=0.95)))
    assert table.brief(summary.valid[0]) == "50 of 50 served, >=10,000 req/s, 100 us of CPU each"
    [summary] = summaries(comparison(one_run("asyncio", "conversation")))
    assert table.brief(summary.valid[0]) == "50 of 50 served, (10,000) req/s, response p99 1.00 ms"


# Charts


def drawn(result: dict[str, Any]) -> list[selection.Drawn]:
    return list(selection.of_measures(*figured(result)).drawn)


def figured(result: dict[str, Any]) -> tuple[list[Summary], dict[str, Ink]]:
    return summaries(result), inks(candidates(result))


def test_every_scenario_has_its_table_and_its_charts() -> None:
    once: dict[str, Any] = {"histograms": {"response": {}, "service": {}, "first_reply": {"900": 100}}}
    runs = [one_run("asyncio", name, **(once if SCENARIOS[name].requests == 1 else {})) for name in CLOSED]
    result = comparison(*runs)
    text, html = table.text(result), page.html(result)
    found: dict[str, set[str]] = {name: set() for name in CLOSED}
    for each in selection.of_measures(*figured(result)).drawn:
        found[each.scenario].add(each.chart.title.partition(",")[0])
    assert found == {
        "saturate": {"Throughput", "CPU of the server", "Memory of the server"},
        "conversation": {"Response"},
        "churn": {"Throughput", "CPU of the server"},
        "crowd": {"Response", "Memory of the server"},
        "slow-client": {"Response"},
        "io-bound": {"Throughput"},
        "cpu-bound": {"Throughput", "CPU of the server"},
    }
    for name in CLOSED:
        assert f"{name}. {SCENARIOS[name].sentence.partition(':')[0]}"[:60] in text
        assert f"<h3>{name}</h3>" in html


def test_an_empty_chart_is_left_out_with_reason() -> None:
    html = page.html(comparison(one_run("asyncio", "conversation")))
    assert (
        "Wait for the first reply, conversation: asyncio on uvloop at 50: no client connected within the window" in html
    )


def test_one_number_of_clients_has_no_line() -> None:
    [throughput, *_] = selection.of_measures(*figured(comparison(*several_runs(3, "asyncio")))).drawn
    assert " line" not in throughput.chart.body
    several_counts = comparison(*several_runs(3, "asyncio", clients=1), *several_runs(3, "asyncio", clients=50))
    [throughput, *_] = selection.of_measures(*figured(several_counts)).drawn
    assert 'class="of-asyncio line"' in throughput.chart.body
    assert 'class="of-asyncio band"' in throughput.chart.body


def sized(number: int, candidate: str, size: int, **changes: Any) -> list[dict[str, Any]]:
    runs = several_runs(number, candidate, **changes)
    return [{**run, "workload": {**run["workload"], "size": size}} for run in runs]


def test_sizes_are_told_apart_and_drawn_across() -> None:
    result = comparison(*sized(3, "asyncio", 64), *sized(3, "asyncio", 65_000, verified=20_000))
    text = table.text(result)
    assert text.index("50 clients, 64 bytes:") < text.index("  10,000  ") < text.index("50 clients, 65,000 bytes:")
    assert "| 50, 65,000 bytes |" in markdown.text(result)
    [throughput, *_] = selection.of_measures(*figured(result)).drawn
    assert throughput.chart.subtitle == "saturate, 50 clients, by a message's size: more is better"
    assert ">bytes</text>" in throughput.chart.body
    assert ">65,000</text>" in throughput.chart.body


def test_a_neighbours_requests_are_said_beside_the_table() -> None:
    said_ = table.text(comparison(*several_runs(3, "threaded", "noisy-neighbour", 40)))
    told = "one client sends WORK 1,000,000 again and again. One took, in the median: threaded 90.0 ms."
    assert told in " ".join(said_.split())
    assert "again and again" not in table.text(comparison(*several_runs(3, "threaded")))
    loads = [several_runs(3, "threaded", "noisy-neighbour", clients) for clients in (20, 40)]
    assert "threaded 90.0 ms beside 20 clients, threaded 90.0 ms beside 40 clients." in " ".join(
        table.text(comparison(*loads[0], *loads[1])).split()
    )


def test_one_rate_without_sweeps_has_its_reports() -> None:
    runs = several_runs(3, "threaded", "noisy-neighbour", 40)
    result = comparison(*({**run, "workload": {**run["workload"], "rate": 200.0}} for run in runs))
    result["plan"]["slo"] = "p99<20ms"
    assert headline.text(result) == ""
    assert "| 40 at 200/s |" in markdown.text(result)
    assert "<h3>noisy-neighbour</h3>" in page.html(result)


def test_a_missing_measure_breaks_a_line() -> None:
    result = comparison(
        one_run("single", clients=1),
        one_run("single", clients=10, served=1),
        one_run("single", clients=100),
        one_run("asyncio"),
    )
    [throughput, *_] = selection.of_measures(*figured(result)).drawn
    assert 'class="of-single line"' not in throughput.chart.body
    assert "single at 10: one client was served all the time" in throughput.chart.notes[0]
    assert "1/10" in throughput.chart.body


def test_lower_bounds_are_hollow_doubtful_runs_crosses() -> None:
    runs = several_runs(
        3, "asyncio", generator_cpu=[0.95, 0.95, 0.95], load_warnings=[[], [warning("stolen-time")], []]
    )
    result = comparison(*runs, *several_runs(3, "asyncio", clients=1, server_cpu=[10.0] * 3))
    [throughput, *_] = selection.of_measures(*figured(result)).drawn
    assert throughput.chart.body.count(" hollow") == 1
    assert throughput.chart.body.count(" excluded") == 1


def test_a_point_says_value_bounds_runs_and_served() -> None:
    runs = several_runs(3, "asyncio", "crowd", clients=9, resident=[40_000_000, 41_000_000, 43_000_000])
    found = drawn(comparison(*runs, *several_runs(2, "asyncio", "crowd", clients=99, served=[98, 99])))
    said = {each.measure: re.findall("<title>([^<]*)</title>", each.chart.body) for each in found[:2]}
    assert said["resident_bytes"] == [
        "asyncio on uvloop, 9 clients: 41.0 MB (40.0 – 43.0); 3 runs, 9 of 9 served",
        "asyncio on uvloop, 99 clients: 40.0 MB (40.0 – 40.0); 2 runs, 98 of 99 served",
    ]
    assert said["response_p99_us"][0] == (
        "asyncio on uvloop, 9 clients: p50 1 ms (1 ms – 1 ms), p99 1 ms (1 ms – 1 ms), p99.9 3 ms (3 ms – 3 ms);"
        " 3 runs, 9 of 9 served"
    )
    [bar, *_] = drawn(comparison(one_run("asyncio", server_cpu=6.0)))
    assert "<title>asyncio on uvloop, 50 clients: ≥ 10,000/s; 1 run, 50 of 50 served</title>" in bar.chart.body


def test_an_upper_bound_is_hollow_with_arrows_downwards() -> None:
    """Of a response the generator's own delay may be the greater part."""
    delays: dict[str, Any] = {"tuned": {"paced": True}, "send_delay": {"900": 1000}}
    result = comparison(*(one_run("asyncio", "crowd", clients=count, **delays) for count in (10, 20)))
    [response, *_] = selection.of_measures(*figured(comparison(*result["runs"], one_run("threaded", "crowd")))).drawn
    _, (words, marks), *_ = re.findall("<title>([^<]*)</title>(.*?)</g>", response.chart.body)
    assert words.startswith("asyncio on uvloop, 10 clients: p50 ≤ 1 ms, p99 ≤ 1 ms")
    assert marks.count(" hollow") == 1
    assert re.search(r"l4 4l4 -4", marks)
    assert "asyncio on uvloop at 10 and 20: up to 900 of 1,000 us" in response.chart.notes[0]


def test_every_chart_row_shows_the_clients_served() -> None:
    for each in drawn(whole()):
        for text in ET.fromstring(each.chart.inline()).iter("text"):
            measure, note = (*(part.text or "" for part in text.iter("tspan")), "", "")[:2]
            if measure:
                assert re.fullmatch(r"\d+ of \d+", note), f"{each.chart.title}: {measure} {note}"


def test_every_chart_line_shows_the_clients_served() -> None:
    found = [each for each in drawn(thorough(3)) if "served of connected" in each.chart.body]
    assert len(found) == 5
    for each in found:
        names = re.findall(r">([a-z -]+)</text>", each.chart.body)
        counts = re.findall(r">(?:\d+/\d+|all)</text>", each.chart.body)
        assert len(counts) % len([name for name in names if name in NAMES]) == 0
        assert counts


# Page, picture, Markdown


def test_the_page_is_self_contained_with_both_themes() -> None:
    for result in (whole(), thorough(10)):
        html = page.html(result)
        inside = html.replace("http://www.w3.org/2000/svg", "").replace('<link rel="icon" href="data:,">', "")
        assert not re.search(r"https?://|<script|<link|@import|url\(", inside)
        assert html.count("prefers-color-scheme: dark") == 2
        for candidate in result["plan"]["candidates"]:
            assert f".of-{candidate['name']} {{ fill: {candidate['colour']};" in html
    assert "1 of 50 served" in page.html(whole())


def test_the_page_says_how_to_repeat_it() -> None:
    result = comparison(one_run("asyncio"), settings={"TCPLAB_BACKLOG": "64"})
    html = page.html(result)
    assert "python -m loadtest compare --seconds 10 --seed 7</code>" in html
    for fact in ("Imagined CPU", "Linux 6.1", "CPython 3.13.1", "uvloop 0.23.0", "TCPLAB_BACKLOG=64", "abc"):
        assert fact in html
    result["command"] += ["--seed", "7"]
    assert page.command(result).count("--seed") == 1


def test_the_servers_pythons_are_told() -> None:
    bare = {"build": "free-threaded", "gil": False}
    result = comparison(
        {**one_run("threaded"), "interpreter": interpreter(**bare, switch_interval=0.0005)},
        *({**one_run(name), "interpreter": interpreter()} for name in ("single", "asyncio")),
    )
    told = [
        "CPython 3.14.7, free-threaded, GIL off, switch interval 0.5 ms: threaded",
        "CPython 3.14.7, GIL on, switch interval 5 ms: single, asyncio on uvloop",
    ]
    assert [line in said(result) for line in told] == [True, True]
    assert "; ".join(told) in page.html(result)
    assert all(line in markdown.text(result) for line in told)
    assert "What Python the servers had" not in said(comparison(one_run("threaded")))


def test_ones_own_server_has_its_own_colour() -> None:
    result = comparison(one_run("asyncio"), one_run("mine", clients=50))
    mine = own("mine=./server --port {port}", 0)
    result["plan"]["candidates"].append(mine.as_json())
    html = page.html(result)
    assert f".of-mine {{ fill: {mine.colour};" in html
    assert "Your own: ./server --port {port}" in html
    assert [each.who for each in summaries(result)] == [
        "asyncio on uvloop, saturate, 50 clients",
        "mine, saturate, 50 clients",
    ]


def test_what_a_failure_says_cannot_break_the_page() -> None:
    html = page.html(comparison(one_run("asyncio"), failed("threaded", "<script>alert(1)</script>")))
    assert "<script>" not in html


def test_what_a_failure_says_cannot_break_the_markdown() -> None:
    text = markdown.text(comparison(one_run("asyncio", load_warnings=[{**warning("x"), "detail": "<b>|`*"}])))
    assert "\\<b\\>\\|\\`\\*" in text


def test_a_doubtful_run_is_shown_with_its_warning() -> None:
    runs = several_runs(
        3, "asyncio", verified=[100_000, 50_000, 102_000], load_warnings=[[], [warning("stolen-time")], []]
    )
    html = page.html(comparison(*runs))
    assert '<tr class="unsure"><td>? stolen-time</td><td>50 of 50</td><td></td><td>5,000</td>' in html
    assert "1 of 3 runs left out of all medians." in html


def test_claims_and_memory_appear_where_measured() -> None:
    html, bare = page.html(thorough(10)), page.html(whole())
    told = (
        "What textbooks say",
        "What one more client takes",
    )
    for title in told:
        assert title in html
        assert title not in bare
    assert "<td>20.5 (20.3 – 20.7)</td><td>41.0 (40.6 – 41.4)</td>" in html
    assert "Memory of a client that has spoken, kB" in html


def test_process_and_group_stand_side_by_side() -> None:
    html, text = page.html(thorough(10)), said(thorough(10))
    assert (
        "<tr><td>threaded</td><td>20.5 (20.3 – 20.7)</td><td>41.0 (40.6 – 41.4)</td><td>1.00 (1.00 – 1.00)</td>"
        '<td>25.0</td><td>0.9991</td><td class="left"></td></tr>\n'
        "<tr><td>threaded, control group</td><td>41.0</td><td>82.0</td><td>-</td><td>34.0</td><td>0.9993</td>"
        '<td class="left"></td></tr>\n'
        "<tr><td>threaded, of that, the kernel&#39;s</td><td>20.5</td><td>41.0</td><td>-</td><td>17.0</td>"
    ) in html
    assert (
        "threaded: 20.5 (20.3 to 20.7) kB if it is silent; 41.0 (40.6 to 41.4) kB once it has spoken;"
        " 1.00 (1.00 to 1.00) threads; 25.0 MB without clients, fit R2 0.9991"
        " threaded, control group: 41.0 kB if it is silent; 82.0 kB once it has spoken; 34.0 MB without clients,"
        " fit R2 0.9993 "
    ) in text
    assert "the process's own memory alone" not in text


def test_a_missing_control_group_is_explained_once() -> None:
    why = "no control group of its own: not here"
    records = [uncharged(name, 10.0, why) for name in ("threaded", "asyncio")]
    result = comparison(one_run("asyncio"), one_run("threaded"), memory=records)
    line = f"threaded, asyncio on uvloop: the process's own memory alone; {why}"
    assert said(result).count(line) == 1
    assert f"{escape(line)}." in page.html(result)
    assert "control group</td>" not in page.html(result)


def test_terminal_and_markdown_have_what_was_measured_besides() -> None:
    text, lines_ = said(thorough(10)), markdown.text(thorough(10)).splitlines()
    assert "threading, high: each thread needs memory: agrees (a client that has spoken, in fresh processes" in text
    assert "; to measure it again: compare --memory --variants threaded asyncio)" in text
    assert "threaded: 20.5 (20.3 to 20.7) kB if it is silent; 41.0 (40.6 to 41.4) kB once it has spoken" in text
    assert any(line.startswith("- threading, high: each thread needs memory: agrees") for line in lines_)
    for absent in ("textbooks", "one more client"):
        assert absent not in said(whole())


def test_a_negative_slope_is_shown_without_a_bar() -> None:
    result = comparison(one_run("asyncio"), memory=[weighed("asyncio", -0.1)])
    assert "asyncio on uvloop: -0.050 (-0.050 to -0.051) kB if it is silent" in said(result)
    assert "-0.100" in page.html(result)
    assert 'width="-' not in page.html(result)


def test_an_early_interruption_breaks_nothing() -> None:
    failed_one = {"candidate": "asyncio", "problem": "it ended", "runs": []}
    html = page.html(comparison(one_run("asyncio"), memory=[failed_one]))
    assert "it ended" in html


def test_the_picture_is_an_svg_with_charts() -> None:
    root = ET.fromstring(page.picture(whole()))
    found = [text.text for text in root.iter("{http://www.w3.org/2000/svg}tspan")]
    assert "250 µs – 250 µs (slowest of 110)" in found
    assert "≥ 9.9 s" not in found
    assert 1 < len(list(root.findall("{http://www.w3.org/2000/svg}svg"))) <= 6
    assert len(ET.fromstring(page.picture(thorough(10))).findall("{http://www.w3.org/2000/svg}svg")) == 6


def test_the_markdown_is_short_and_whole() -> None:
    text = markdown.text(several(10))
    assert "- saturate, 50 clients, requests/s: single" in text
    assert "| threaded | 50 | 50 of 50 | 10 | 8,000 (7,840 – 8,160) |" in text
    assert text.endswith("To measure it again:\n\n    python -m loadtest compare --seconds 10 --seed 7\n")
    assert len(text) < 3000


def test_an_unfinished_comparison_can_be_drawn() -> None:
    nothing = {**failed("threaded", ""), "status": "not run"}
    result = comparison(nothing, complete=False, ended=None)
    assert "INCOMPLETE" in page.html(result)
    assert "<svg" in page.picture(result)
    assert "INCOMPLETE" in markdown.text(result)
    assert "INCOMPLETE" in table.text(result)
    assert "Memory is not all there" in incomplete(comparison(one_run("asyncio"), complete=False, interrupted=True))


def test_all_files_are_drawn_from_the_json_alone(tmp_path: Path) -> None:
    result = thorough(3)
    store.write_json(tmp_path / store.RESULT, result)
    files.draw(store.read(tmp_path / store.RESULT), tmp_path)
    assert (tmp_path / store.PAGE).read_text() == page.html(result)
    assert (tmp_path / store.PICTURE).read_text() == page.picture(result)
    assert (tmp_path / store.MARKDOWN).read_text() == markdown.text(result)


def test_the_command_draws_them_again_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = whole()
    store.write_json(tmp_path / store.RESULT, result)
    assert main(["report", str(tmp_path / store.RESULT)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(table.text(result))
    for name in (store.PAGE, store.PICTURE, store.MARKDOWN):
        assert str(tmp_path / name) in out
        assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.parametrize(
    ("here", "folder", "said"),
    [
        ("checkout", "checkout/loadtest/results/one", "loadtest/results/one"),  # as in the container, whose /lab it is
        ("checkout/loadtest", "checkout/loadtest/results/one", "results/one"),
        ("checkout/loadtest/results/one", "checkout/loadtest/results/one", ""),
        ("elsewhere", "checkout/loadtest/results/one", "{whole}"),
        ("checkout", "checkout-2/results/one", "{whole}"),
    ],
)
def test_what_was_written_is_named_from_here_on(
    here: str,
    folder: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / here).mkdir(parents=True)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    file = tmp_path / folder / store.RESULT
    store.write_json(file, whole())
    monkeypatch.chdir(tmp_path / here)
    assert main(["report", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()[-4:]
    names = [store.PAGE, store.PICTURE, store.MARKDOWN, store.RESULT]
    assert [line.split()[-1] for line in lines] == [
        str(Path(said.format(whole=tmp_path / folder)) / name) for name in names
    ]
    assert all(Path(line.split()[-1]).is_file() for line in lines)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"kind": "comparison", "schema": 99}', '{"kind": "comparison"'])
def test_a_file_that_is_no_result_is_refused(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "other.json"
    file.write_text(content)
    assert main(["report", str(file)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [file]


def test_no_report_blames_the_gil() -> None:
    """A server without one looks the same on one core."""
    for result in (thorough(3), comparison(*(one_run(name, "cpu-bound", 10) for name in LAB))):
        for text in (table.text(result), page.html(result), page.picture(result), markdown.text(result)):
            assert "GIL" not in text
            assert "nterpreter lock" not in text


def test_every_report_calls_the_slowest_so() -> None:
    """Of 120 first replies there is no p99."""
    some = [
        run
        for name, took in (("threaded", 900), ("asyncio", 600))
        for run in several_runs(10, name, "conversation", 30, histograms={"first_reply": {str(took): 120}})
    ]
    result = comparison(*some)
    terminal = " ".join(table.text(result).split())
    assert " 0.900* " in terminal
    assert "*: no p99 but the slowest of fewer than 500 replies, the least that a p99 takes (all of conversation)." in (
        terminal
    )
    assert "first reply, slowest of 120, different: asyncio on uvloop 1.50 times better than threaded" in terminal
    assert "first reply, slowest of 120: asyncio on uvloop 1.50×" in markdown.text(result)
    assert "| 0.900 (slowest of 120) (0.900 – 0.900) |" in markdown.text(result)
    drawn = page.html(result)
    assert '<td title="">0.900 (slowest of 120)' in drawn
    assert "too few replies for a p99, so the slowest: threaded, conversation, 30 clients" in drawn
    assert table.brief(summaries(result)[0].valid[0]).endswith("first reply slowest of 120 0.900 ms")
