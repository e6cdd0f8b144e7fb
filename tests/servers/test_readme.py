"""The servers' README in both languages: whole, true to the code, and no measured figure outside what is written."""

import re
from types import SimpleNamespace
from typing import cast

import pytest

from servers import write
from servers.metrics.collector import WorkersCollector
from servers.settings import parse
from servers.shutdown import MOMENT
from servers.stats import Stats
from servers.variants import VARIANTS
from servers.wire import MAX_LINE
from servers.workers.supervisor import Workers
from tests.observability.catalogue import server
from tests.support.processes import ROOT

LANGUAGES = {"README.md": ".", "README.ru.md": ","}
"""The decimal mark of each."""

README = {name: (ROOT / "servers" / name).read_text(encoding="utf-8") for name in LANGUAGES}
both = pytest.mark.parametrize("name", README)

UNIT = r"(?:[kKMG]i?B|[кКМГ]и?Б|[numµ]?s|[нм]?с|мкс|%)"


def figures(text: str, point: str) -> set[str]:
    """Return every number with a unit, and every other with decimals, in the prose: not in code, nor between marks."""
    prose = re.sub(
        r"<!-- BEGIN (\w+).*?END \1 -->|<!--.*?-->|^    .*?$|`[^`\n]*`|\]\(.*?\)", "", text, flags=re.S | re.M
    )
    decimals = rf"(?<![\d.])\d+{re.escape(point)}\d+(?!\.?\d)"
    return set(re.findall(rf"(?:{decimals}|\b\d+)\s?{UNIT}(?!\w)|{decimals}(?!\s?{UNIT})", prose))


def settings(point: str) -> set[str]:
    """Return the settings that may stand in the prose, as the code has them."""
    chosen = parse(["single"], {})
    deadlines = chosen.deadlines
    seconds = {deadlines.idle, deadlines.line, deadlines.write, chosen.grace, MOMENT}
    kilobytes, unit = ("КиБ", "с") if point == "," else ("KiB", "s")
    own = f"{chosen.switch_interval:g}".replace(".", point)
    return {own, f"{MAX_LINE // 1024} {kilobytes}"} | {f"{each:g} {unit}".replace(".", point) for each in seconds}


@both
def test_no_measured_figure_is_typed(name: str) -> None:
    assert figures(README[name], LANGUAGES[name]) == settings(LANGUAGES[name])


def test_the_main_readme_types_no_measured_figure() -> None:
    """Only settings, and what the commands take."""
    found = figures((ROOT / "README.md").read_text(encoding="utf-8"), ".")
    assert found == {"5 %", "90 s", "30 s", "100 MB", "50 ms", "3.11"}


@pytest.mark.parametrize(
    ("text", "point", "found"),
    [
        ("it takes 53.1 kB, or 27 MB", ".", {"53.1 kB", "27 MB"}),
        ("a median of 1.08 (0.994–1.16) ms", ".", {"1.08", "0.994", "1.16"}),
        ("занимает 53,1 кБ, отвечает через 27 мс", ",", {"53,1 кБ", "27 мс"}),
        ("12.8us; 12 µs; 5 %", ".", {"12.8us", "12 µs", "5 %"}),
        ("127.0.0.1, 10,000 clients, 2 servers, 30 `kB`", ".", set()),
        ("<!-- BEGIN a -->\n5 kB\n<!-- END a -->\n\n    5 kB\n", ".", set()),
    ],
)
def test_a_figure_in_prose_is_found(text: str, point: str, found: set[str]) -> None:
    assert figures(text, point) == found


@both
def test_every_option_has_a_row(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"], {})
    options = re.findall(r"^  (--[a-z-]+) ", capsys.readouterr().out, re.MULTILINE)
    assert len(options) == 15
    assert re.findall(r"^\| `(--[a-z-]+)` \|", README[name], re.MULTILINE) == options


@both
def test_every_metric_has_a_row(name: str) -> None:
    rows = [line for line in README[name].splitlines() if line.startswith("| `tcplab_")]
    with server(Stats()) as exporter:
        families = [family for family in exporter.collect() if family.name.startswith("tcplab_")]
    stats = Stats()
    stats.share(2, writers=1)
    families += WorkersCollector(cast("Workers", SimpleNamespace(stats=stats, restarts=[0, 0]))).collect()
    assert len(families) == 26 + 4
    for family in families:
        metric = family.name + "_total" * (family.type == "counter")
        row = [row for row in rows if re.search(rf"`{metric}(\{{[\w,]+\}})?`", row)]
        assert len(row) == 1, metric
        labels = {(key, value) for sample in family.samples for key, value in sample.labels.items() if key != "le"}
        labels = {(key, value) for key, value in labels if key not in {"worker", "implementation", "version"}}
        assert {value for key, value in labels if f"{key}}}`" not in row[0] or f"`{value}`" not in row[0]} == set()
    assert sum(row.count("`tcplab_") for row in rows) == len(families) + 1, "and tcplab_load_first_reply_seconds"


@both
def test_every_server_has_a_row(name: str) -> None:
    for each in VARIANTS:
        assert re.search(
            rf"^\| `{each.name}` \|.*models/{each.module}\.py.*\| {each.port} \|", README[name], re.MULTILINE
        )


def test_both_have_the_same_sections_and_rows() -> None:
    """A heading, a row (by its first cell, where that is code), a step, code, a paragraph's title, a mark."""
    english, russian = (
        re.findall(r"^(#+ |\| `[^|]*\||\| |\d\. |    \S|```|\*\*|<!-- \w+ \w+ -->)", text, re.MULTILINE)
        for text in README.values()
    )
    assert english == russian


@both
def test_links_within_lead_to_a_heading(name: str) -> None:
    headings = re.findall(r"^#+ (.+)$", README[name], re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(#(.+?)\)", README[name]))
    assert links
    assert links <= anchors


def test_threads_converse_as_one_at_a_time() -> None:
    """The README says so, and shows it once."""
    one, other = (
        (ROOT / "servers" / "models" / f"{name}.py").read_text().partition("def converse(")[2]
        for name in ("single", "threaded")
    )
    assert one == other


def test_conversations_stand_side_by_side() -> None:
    lines = list(write.FILES["README.md"]["models"](VARIANTS))
    assert "            Thread(target=converse, args=(connection,)).start()" in lines
    assert [re.split(r"(?<=\S)  +", line) for line in lines if ".receive()" in line] == [
        ["        while data := connection.receive():", "while data := await connection.receive():"]
    ]
