"""Any text stays text in HTML, SVG, Markdown and on a terminal."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import escape

from loadtest.__main__ import main
from loadtest.compare.candidates import own
from loadtest.compare.escaping import markdown, visible
from loadtest.compare.report import markdown as markdown_report
from loadtest.compare.report import table
from loadtest.compare.report.html import page
from tests.loadtest.compare.results import (
    ceiling,
    comparison,
    failed,
    one_run,
    several_runs,
    warning,
    weighed,
)

EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</style><script>alert(1)</script>",
    "x}*{background:url(//example.org)}",
    "a & b &lt;i&gt;",
    "]]></text><g id='g'/>",
    "<!-- --><b",
    "\x1b[2J\x1b]0;title\x07",
    "a\u202eb\u2066c",
    "line\nof\r\nits\u2028own",
    "\x00\x0b\ud800\uffff",
    "| a | b |",
    "`id` $(id) **b** _i_ ~~s~~",
    "[a](javascript:alert(1)) ![i](http://example.org/i.png)",
    "http://example.org www.example.org a@example.org",
    "# head",
    "- item",
    "1. item",
    "> quote",
    "=====",
)
"""What has a meaning somewhere."""

TEXTS = st.sampled_from(EVIL) | st.text(st.sampled_from("<>&\"'`|*_[]()#-/\\\x1b\n\r\x00= aonlerr!{};:"), min_size=1)


def saying(text: str) -> dict[str, Any]:
    """Make a result with `text` in every free text, in a name and in a colour."""
    note = {"name": text, "detail": text, "hint": text}
    candidate = {"name": text, "title": text, "sentence": text, "colour": text, "variant": "", "options": [text]}
    mine = {**candidate, "command": [text], "address": "", "metrics": ""}
    some = [
        *several_runs(10, text, load_warnings=[[note]] * 10),
        *several_runs(10, "asyncio", verified=[120_000] * 10),
        one_run(text, "conversation", errors={text: 1}, load_warnings=[note, warning("stolen-time")]),
        one_run(text, clients=3, errors={text: 1}),
        {**failed(text, text, 7), "repeat": 2},
    ]
    result = comparison(
        *some,
        memory=[{**weighed(text, 9.0), "note": text, "container_silent": {}, "container_why": text}],
        ceiling=ceiling(1e9, note),
        warnings=[note],
        settings={text: text},
        command=["python", text],
        commit=text,
        ended=text,
        started=text * 10,
    )
    result["machine"] = {**result["machine"], "cpu": text, "system": text, "python": text, "packages": {text: text}}
    result["machine"].update(governor=text, architecture=text)
    result["plan"]["candidates"].append(mine)
    for each in result["plan"]["tasks"]:
        each["candidates"] = [*each["candidates"], text]
    return result


class Tags(HTMLParser):
    """Counts the elements of a page, each with the names of its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: Counter[tuple[str, ...]] = Counter()
        self.style = ""
        self._in_style = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag, *sorted(name for name, _ in attrs)] += 1
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.found[f"/{tag}",] += 1
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.style += data

    def handle_comment(self, data: str) -> None:
        self.found["comment",] += 1


def elements(text: str) -> Counter[tuple[str, ...]]:
    """Return the elements of an SVG document, each with its attributes' names; ParseError if it is none."""
    return Counter((each.tag, *sorted(each.attrib)) for each in ET.fromstring(text).iter())


PLAIN = saying("plain")
PLAIN_TAGS, PLAIN_ELEMENTS = Tags(page.html(PLAIN)), elements(page.picture(PLAIN))


def checked(text: str) -> None:
    """Raise AssertionError if `text` is anything but text in a report."""
    result = saying(text)
    drawn = page.html(result)
    tags = Tags(drawn)
    assert visible(drawn.replace("\n", "")) == drawn.replace("\n", "")
    assert tags.found == PLAIN_TAGS.found
    assert tags.style == PLAIN_TAGS.style
    assert elements(page.picture(result)) == PLAIN_ELEMENTS
    on_screen = table.text(result)
    assert visible(on_screen.replace("\n", "")) == on_screen.replace("\n", "")


@pytest.mark.parametrize("text", EVIL)
def test_a_text_adds_no_element(text: str) -> None:
    checked(text)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS)
def test_no_text_adds_an_element(text: str) -> None:
    checked(text)


@pytest.mark.parametrize("text", [*EVIL, *(f"{text}{text}" for text in EVIL)])
def test_a_text_changes_nothing_in_markdown(text: str) -> None:
    plain, told = (markdown_report.text(saying(each)).splitlines() for each in ("plain", text))
    assert len(told) == len(plain)
    for before, line in zip(plain, told, strict=True):
        if line.startswith("    "):  # the command, which nothing has a meaning in
            continue
        live = re.sub(r"\\.", "", line)
        assert live.count("|") == before.count("|")
        assert not re.search(r"[<`\[]|://|www\.", live)
        assert before.startswith("### ") == line.startswith("### ")
        assert re.match(r"[-+=>#~]|\d+[.)]", line) is None or before[:2] == line[:2]


@pytest.mark.parametrize("text", EVIL)
def test_a_text_changes_no_table_on_a_terminal(text: str) -> None:
    plain, told = (table.text(saying(each)).split("INCOMPLETE")[0] for each in ("plain", text))
    grids = [re.findall(r"^.* of \d+  .*$", each, re.MULTILINE) for each in (plain, told)]
    assert len(grids[0]) == len(grids[1]) > 3
    assert "\x1b" not in told


def test_a_valid_colour_is_drawn_under_any_name() -> None:
    result = saying("</style><b>")
    result["plan"]["candidates"][-1]["colour"] = "#123456"
    place = len(result["plan"]["candidates"]) - 1
    for drawn in (page.html(result), page.picture(result)):
        assert f".of-{place} {{ fill: #123456; stroke: #123456; }}" in drawn
        assert f'class="of-{place}"' in drawn


@pytest.mark.parametrize("colour", ["red", "#12345", "#1234567", "#12345g", "#123456;}", "url(x)", "#123456\n"])
def test_an_invalid_colour_is_refused_never_drawn(
    colour: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = comparison(one_run("asyncio"))
    result["plan"]["candidates"][0]["colour"] = colour
    assert f"fill: {colour}" not in page.html(result)
    file = tmp_path / "compare.json"
    file.write_text(json.dumps(result))
    assert main(["report", str(file)]) == 2
    assert "plan.candidates[0].colour: it should match pattern" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["<b>bold</b> {port}", "./x --port {port} '\"><script>'", "a | b `id` {port}"])
def test_a_command_that_was_typed_is_text_too(text: str) -> None:
    result = comparison(one_run("asyncio"), one_run("mine"))
    result["plan"]["candidates"].append(own(f"mine={text}", 0).as_json())
    drawn = page.html(result)
    assert not {"b", "script"} & {tag for tag, *_ in Tags(drawn).found if tag == "script" or "<b>bold" in drawn}
    assert escape(visible(text)) in drawn


def test_two_results_show_no_control_character(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = saying("\x1b[2Jx\u202ey")
    result["plan"]["candidates"][-1]["colour"] = "#123456"
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    said = capsys.readouterr().out
    assert "\\x1b[2Jx\\u202ey" in said
    assert visible(said.replace("\n", "")) == said.replace("\n", "")


@given(st.text())
def test_visible_characters_stay_and_no_others(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable() or not text.isprintable()
    assert all(sign.isprintable() or sign.isspace() for sign in shown)
    assert visible(shown) == shown
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("p99<50ms", "p99\\<50ms"),
        ("- a", "\\- a"),
        ("1. a", "1\\. a"),
        ("12) a", "12\\) a"),
        ("2026-11-23 · x", "2026-11-23 · x"),
        ("a\n\n# b", "a \\# b"),
        ("http://a", "http\\://a"),
        ("saturate, 50 clients: x", "saturate, 50 clients: x"),
        ("$x$ ~~y~~ &lt;", "\\$x\\$ \\~\\~y\\~\\~ \\&lt;"),
    ],
)
def test_markdown_leaves_a_line_as_it_is(text: str, shown: str) -> None:
    assert markdown(text) == shown
