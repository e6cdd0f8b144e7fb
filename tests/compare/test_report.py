"""The table, the page and the picture."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from loadtest.compare import page, table
from loadtest.compare.__main__ import main
from loadtest.compare.figures import Figure
from loadtest.scenarios import SCENARIOS
from servers.variants import VARIANTS
from tests.compare.results import ceiling, cell, comparison, failed, from_before

SHORT = {"response": {"250": 110}, "service": {"240": 110}, "first_reply": {"9900000": 30}}


def whole() -> dict[str, Any]:
    """Make a comparison with a bit of everything."""
    waiting = {"first_reply": {"4000000": 49}}
    return comparison(
        cell("asyncio", clients=50, generator_cpu=0.97),
        cell("single", clients=50, served=1, censored=waiting),
        cell("threaded", clients=50, served=45, censored={"response": {"2500000": 2000}}),
        cell("asyncio", clients=1, server_cpu=6.0),
        cell("single", "conversation", 30, histograms=SHORT),
    )


def lines(result: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    """Return the table's cells by variant and clients."""
    found = {}
    for line in table.text(result).splitlines():
        words = re.split(r"\s{2,}", line.strip())
        if words[0] in {variant.name for variant in VARIANTS} and len(words) == 10:
            found[words[0], words[1]] = words[2:]
    return found


def test_the_table_line_by_line() -> None:
    assert lines(whole()) == {
        ("asyncio", "1"): ["1 of 1", ">=10,000", "1.00", "1.00", "1.00", "-", "40.0", "60.0"],
        ("single", "50"): ["1 of 50", "-", "-", "-", "-", ">=4,000", "40.0", "-"],
        ("threaded", "50"): ["45 of 50", "10,000", "1.00", ">=2,500", "1.00", "-", "40.0", "100"],
        ("asyncio", "50"): ["50 of 50", ">=10,000", "1.00", "1.00", "1.00", "-", "40.0", "100"],
        ("single", "30"): ["30 of 30", "(10,000)", "0.250", "0.250", "0.240", "9,900", "40.0", "100"],
    }


def test_what_is_said_beside_the_table() -> None:
    said = " ".join(table.text(whole()).split())
    assert "Indicative: one run of each." in said
    assert "a lower bound" in said
    assert "unanswered requests had waited that long" in said
    assert "The single server's rate is one over the time that a conversation takes, by construction" in said
    assert "(requests per s) in conversation: set by the clients' pauses, nobody's speed." in said
    assert said.count("in the closed model, as here, the two are alike") == 1
    assert "Ceiling" not in said
    assert "single, saturate, 50 clients: one client was served all the time, the others waited" in said
    assert "Doubt, generator-limited: the generator used 97%" in said
    assert "Remedy: compare CPU per request instead" in said
    assert "INCOMPLETE" not in said


def test_nothing_is_explained_that_is_not_there() -> None:
    said = table.text(comparison(cell("asyncio")))
    for absent in ("lower bound", "Doubt", "conversation", "waited"):
        assert absent not in said


def test_the_columns_are_named() -> None:
    head = table.text(whole()).splitlines()[3:6]
    columns = [" ".join(line[at : at + 8].strip() for line in head).strip() for at in range(len(head[2]))]
    for name in ("response p50 ms", "response p99 ms", "service p99 ms", "reply p99 ms"):
        assert any(name in column for column in columns), head


def test_the_table_is_plain_ascii_and_fits_a_terminal() -> None:
    crowded = [
        cell("threaded", name, 10_000, server_cpu=2.0, verified=1_234_567, resident=12_345_678_901)
        for name in SCENARIOS
    ]
    for result in (whole(), comparison(*crowded, ceiling=ceiling(123_456.0))):
        text = table.text(result)
        assert text.isascii()
        assert max(len(line) for line in text.splitlines()) <= 100


def test_the_ceiling_is_a_sentence_and_its_doubts_are_said() -> None:
    stolen = {"name": "stolen-time", "detail": "much", "remedy": "again"}
    slow = {"name": "sink-limited", "detail": "slow", "remedy": "again"}
    result = comparison(cell("asyncio", load_doubts=[stolen]), ceiling=ceiling(10_400.0, stolen, slow))
    said = " ".join(table.text(result).split())
    assert "Ceiling of the generator itself: 10,400 requests/s with 50 clients" in said
    assert "7.25 us of its CPU for each" in said
    assert lines(result)["asyncio", "50"][1] == ">=10,000"
    assert "Doubt, generator-limited: this is 96% of the 10,400 requests/s" in said
    assert "the generator was (90 %, or near its ceiling)" in said
    assert said.count("Doubt, stolen-time") == 1
    assert "much (asyncio, saturate, 50 clients; likewise the generator's ceiling)" in said
    assert "Doubt, sink-limited: slow (the generator's ceiling)" in said
    html = page.html(result)
    assert "Ceiling of the generator itself: 10,400 requests/s with 50 clients" in html
    assert "≥ 10,000" in html


def test_a_ceiling_that_is_missing_leaves_a_comparison_incomplete() -> None:
    result = comparison(cell("asyncio"), complete=False)
    result["plan"]["ceiling"] = {"scenario": "saturate", "clients": 50, "warmup": 1, "seconds": 3}
    assert table.incomplete(result).endswith("1 of 2 measurements done.")


def test_the_open_model_is_told_apart() -> None:
    said = " ".join(table.text(comparison(cell("asyncio", tuned={"paced": True}))).split())
    assert "in the open model they part where a request had to wait to be sent" in said
    assert "(requests per s) in saturate: set by the rate asked for" in said
    assert "closed" not in said


def test_what_waiting_allows_is_said_beside_it() -> None:
    said = " ".join(table.text(comparison(cell("asyncio", "io-bound"))).split())
    assert "requests per s in io-bound: a client can have no more than one in 50 ms, which is 20.0 a second" in said


def test_every_scenario_has_its_table_and_its_charts() -> None:
    once: dict[str, Any] = {"histograms": {"response": {}, "service": {}, "first_reply": {"900": 100}}}
    cells = [cell("asyncio", name, **(once if each.requests == 1 else {})) for name, each in SCENARIOS.items()]
    result = comparison(*cells)
    text, html = table.text(result), page.html(result)
    drawn: dict[str, set[str]] = {name: set() for name in SCENARIOS}
    for chart in page.charts(table.rows(result)):
        words = [part.text or "" for part in ET.fromstring(chart.inline()).iter("text")]
        drawn[words[1].partition(":")[0]].add(chart.title.partition(",")[0])
    assert drawn == {
        "saturate": {"Throughput", "Response", "CPU of the server", "Memory of the server"},
        "conversation": {"Response", "Wait for the first reply"},
        "churn": {"Throughput", "Wait for the first reply", "CPU of the server"},
        "crowd": {"Response", "Memory of the server"},
        "slow-client": {"Response", "Wait for the first reply"},
        "io-bound": {"Throughput", "Wait for the first reply"},
        "cpu-bound": {"Throughput", "Wait for the first reply", "CPU of the server"},
    }
    for name, scenario in SCENARIOS.items():
        assert f"{name}. {scenario.sentence.partition(':')[0]}"[:60] in text
        assert f"<h2>{name}</h2>" in html


def test_a_result_from_before_is_drawn_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "compare.json"
    file.write_text(json.dumps(from_before(whole())))
    assert main(["--redraw", str(file)]) == 0
    assert capsys.readouterr().out.startswith(table.text(whole()))
    assert "<svg" in (tmp_path / "compare.html").read_text()


def test_a_failed_cell_is_named_with_its_reason() -> None:
    said = table.text(comparison(cell("asyncio"), failed("threaded", "no luck"), complete=False))
    assert "INCOMPLETE: not everything could be measured: 1 of 2 measurements done." in said
    assert "threaded, saturate, 50 clients: failed: no luck" in said


def test_failed_requests_are_named_by_kind() -> None:
    said = table.text(comparison(cell("asyncio", errors={"timeout": 3, "reset": 0})))
    assert "FAILED REQUESTS with asyncio, saturate, 50 clients: 3 timeout." in said


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.04567, "0.046"), (1.2345, "1.23"), (12.345, "12.3"), (123.45, "123"), (104_321.0, "104,000"), (1000, "1,000")],
)
def test_three_significant_figures(value: float, shown: str) -> None:
    assert table.number(value) == shown
    assert table.show(Figure(value, at_least=True)) == ">=" + shown


def test_every_speed_on_the_page_stands_beside_the_clients_served() -> None:
    result = whole()
    for chart in page.charts(table.rows(result)):
        for text in ET.fromstring(chart.inline()).iter("text"):
            figure, note = (*(part.text or "" for part in text.iter("tspan")), "", "")[:2]
            if figure:
                assert re.fullmatch(r"\d+ of \d+", note), f"{chart.title}: {figure} {note}"


def test_the_page_needs_nothing_but_itself_and_has_both_themes() -> None:
    html = page.html(whole())
    assert not re.search(r"https?://|<script|<link|@import|url\(", html.replace("http://www.w3.org/2000/svg", ""))
    assert html.count("prefers-color-scheme: dark") == 2
    assert "1 of 50 served" in html
    for variant in VARIANTS:
        assert variant.colour in html


def test_what_a_failure_says_cannot_break_the_page() -> None:
    html = page.html(comparison(cell("asyncio"), failed("threaded", "<script>alert(1)</script>")))
    assert "<script>" not in html


def test_the_picture_is_an_svg_document_with_the_figures() -> None:
    picture = page.picture(whole())
    words = [text.text for text in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}tspan")]
    assert "≥ 10,000" in words
    assert "1 of 50 served" in words


def test_an_unfinished_comparison_can_be_drawn() -> None:
    nothing = {**failed("threaded", ""), "status": "not run"}
    result = comparison(nothing, complete=False, ended=None)
    assert "INCOMPLETE" in page.html(result)
    assert "<svg" in page.picture(result)


def test_redrawing_gives_the_same_page_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "compare.json"
    result = whole()
    file.write_text(json.dumps(result))
    assert main(["--redraw", str(file)]) == 0
    assert table.text(result) in capsys.readouterr().out
    assert (tmp_path / "compare.html").read_text() == page.html(result)
    assert (tmp_path / "compare.svg").read_text() == page.picture(result)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"kind": "comparison", "schema": 99}'])
def test_what_is_no_result_is_refused_in_a_line(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.json"
    file.write_text(content)
    assert main(["--redraw", str(file)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [file]
