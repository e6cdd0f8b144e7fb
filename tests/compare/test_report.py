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
from servers.variants import VARIANTS
from tests.compare.results import cell, comparison, failed


def whole() -> dict[str, Any]:
    """Make a comparison with a bit of everything."""
    waiting = {"first_reply": {"4000000": 49}}
    return comparison(
        cell("asyncio", clients=50, generator_cpu=0.97),
        cell("single", clients=50, served=1, censored=waiting),
        cell("threaded", clients=50, served=45, censored={"response": {"2500000": 2000}}),
        cell("asyncio", clients=1, server_cpu=6.0),
        cell("single", "conversation", 30, histograms={"response": {"250": 110}, "first_reply": {"9900000": 30}}),
    )


def lines(result: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    """Return the table's cells by variant and clients."""
    found = {}
    for line in table.text(result).splitlines():
        words = re.split(r"\s{2,}", line.strip())
        if words[0] in {variant.name for variant in VARIANTS} and len(words) == 9:
            found[words[0], words[1]] = words[2:]
    return found


def test_the_table_line_by_line() -> None:
    assert lines(whole()) == {
        ("asyncio", "1"): ["1 of 1", ">=10,000", "1.00", "1.00", "-", "40.0", "60.0"],
        ("single", "50"): ["1 of 50", "-", "-", "-", ">=4,000", "40.0", "-"],
        ("threaded", "50"): ["45 of 50", "10,000", "1.00", ">=2,500", "-", "40.0", "100"],
        ("asyncio", "50"): ["50 of 50", ">=10,000", "1.00", "1.00", "-", "40.0", "100"],
        ("single", "30"): ["30 of 30", "(10,000)", "0.250", "0.250", "9,900", "40.0", "100"],
    }


def test_what_is_said_beside_the_table() -> None:
    said = " ".join(table.text(whole()).split())
    assert "Indicative: one run of each." in said
    assert "a lower bound" in said
    assert "unanswered requests had waited that long" in said
    assert "single's is one over the time that it holds a client" in said
    assert "single, saturate, 50 clients: one client was served all the time, the others waited" in said
    assert "Doubt, generator-limited: the generator used 97%" in said
    assert "Remedy: compare CPU per request instead" in said
    assert "INCOMPLETE" not in said


def test_nothing_is_explained_that_is_not_there() -> None:
    said = table.text(comparison(cell("asyncio")))
    for absent in ("lower bound", "Doubt", "conversation", "waited"):
        assert absent not in said


def test_the_table_is_plain_ascii_and_fits_a_terminal() -> None:
    text = table.text(whole())
    assert text.isascii()
    assert max(len(line) for line in text.splitlines()) <= 100


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
