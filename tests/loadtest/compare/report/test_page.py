"""
The page in a real browser: no error, no request, nothing empty, and nothing wider than the window.

With TCPLAB_REQUIRE_BROWSER=1 a missing browser is a failure.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.compare.report.html import page
from tests.loadtest.compare.report.test_headline import many
from tests.loadtest.compare.results import comparison, failed, one_run, several_runs, thorough, warning
from tests.support.lab.browser import Browser, browser, required

# What each chart draws of its data, and where it stands on the page.
_CHARTS = """
[...document.querySelectorAll('figure svg')].map(svg => {
  const box = svg.getBoundingClientRect();
  const marks = [...svg.querySelectorAll('[class*="of-"]')].filter(each => {
    const {width, height} = each.getBoundingClientRect();
    return width > 0 || height > 0;
  });
  const out = [...svg.querySelectorAll('text')].filter(each => {
    const text = each.getBoundingClientRect();
    return text.left < box.left - 1 || text.right > box.right + 1 || text.top < box.top - 1
      || text.bottom > box.bottom + 1;
  });
  return {name: svg.getAttribute('aria-label'), width: box.width, height: box.height, marks: marks.length,
    clipped: out.map(each => each.textContent), small: Math.min(...[...svg.querySelectorAll('text')]
      .map(each => each.getBoundingClientRect().height))};
})
"""

_TOUCHING = """
[...document.querySelectorAll('figure svg')].flatMap(svg => {
  const texts = [...svg.querySelectorAll('text')].filter(each => each.textContent)
    .map(each => [each.textContent, each.getBoundingClientRect()]);
  return texts.flatMap(([one, a], at) => texts.slice(at + 1)
    .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4
      && b.top < a.bottom - 4)
    .map(([other]) => svg.getAttribute('aria-label') + ': ' + one + ' | ' + other));
})
"""


def messy() -> dict[str, Any]:
    """Make a result that is hard to draw: failures, warnings, bounds, missing measures, long names and numbers."""
    own = "a-server-of-mine"
    result = comparison(
        *several_runs(
            2, "asyncio-stdlib", clients=10_000, verified=[99_999_999, 88_888_888], generator_cpu=[0.95, 0.99]
        ),
        *several_runs(2, "threaded", clients=10_000, load_warnings=[[warning("worker-joined")], []]),
        *several_runs(2, own, clients=10_000, served=[1, 1]),
        one_run("asyncio-stdlib", clients=9_000),
        one_run("threaded", "churn", histograms={"first_reply": {"29900000": 10}}, censored={"first_reply": {"1": 9}}),
        one_run(own, "churn", histograms={"first_reply": {"100": 1}}),
        failed("threaded", "<b>no luck</b> " * 20, clients=9_000),
        complete=False,
    )
    like = result["plan"]["candidates"][0]
    result["plan"]["candidates"].append({**like, "name": own, "title": own, "colour": "#F0E442", "variant": ""})
    return result


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {
    "indicative": lambda: thorough(3),
    "thorough": lambda: thorough(10),
    "rates": many,
    "one": lambda: comparison(one_run("asyncio")),
    "messy": messy,
    "nothing": lambda: comparison(failed("asyncio", "no luck"), complete=False),
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser(required()) as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Draw each result into a file of its own."""
    folder = tmp_path_factory.mktemp("pages")
    files = {}
    for name, make in RESULTS.items():
        files[name] = folder / f"{name}.html"
        files[name].write_text(page.html(make()), encoding="utf-8")
    return files


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("width", [1440, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_a_page_in_a_browser(chromium: Browser, pages: dict[str, Path], name: str, width: int, dark: bool) -> None:
    chromium.open(pages[name], width, dark=dark)
    assert chromium.complaints == []
    assert [each for each in chromium.requests if not each.startswith("data:")] == [pages[name].as_uri()]
    assert chromium.evaluate("document.documentElement.scrollWidth") == width
    found = chromium.evaluate(_CHARTS)
    assert len(found) > 2 or name == "nothing"
    for each in found:
        assert each["width"] > 250, each
        assert each["height"] > 60, each
        assert each["marks"] > 0, each
        assert each["clipped"] == [], each
        assert each["small"] > 10, each  # pixels; smaller letters can't be read
    assert chromium.evaluate(_TOUCHING) == []


@pytest.mark.parametrize("name", ["indicative", "thorough"])
def test_answer_and_warnings_are_seen_without_scrolling(chromium: Browser, pages: dict[str, Path], name: str) -> None:
    chromium.open(pages[name], 1440, 900)
    bottom = chromium.evaluate("document.querySelector('#answer').getBoundingClientRect().bottom")
    assert 200 < bottom <= 900


def test_the_curve_begins_on_the_first_screen(chromium: Browser, pages: dict[str, Path]) -> None:
    chromium.open(pages["rates"], 1280, 900)
    assert chromium.evaluate("document.querySelector('figure').getBoundingClientRect().top") < 700
    assert chromium.evaluate("document.querySelector('figure svg').getAttribute('aria-label')").startswith("Response")


def test_the_answers_table_fits_a_narrow_screen(chromium: Browser, pages: dict[str, Path]) -> None:
    chromium.open(pages["rates"], 400)
    tables = "[...document.querySelectorAll('.tight')].map(each => each.scrollWidth - each.clientWidth)"
    assert chromium.evaluate(tables) == [0, 0]


def test_a_page_is_at_most_two_megabytes(pages: dict[str, Path]) -> None:
    assert max(file.stat().st_size for file in pages.values()) < 2_000_000


def test_both_themes_have_ink_that_stands_out(chromium: Browser, pages: dict[str, Path]) -> None:
    for dark in (False, True):
        chromium.open(pages["one"], 1440, dark=dark)
        colours = chromium.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('figure text')).fill]"
        )
        ink, paper, drawn = (sum(map(int, colour[4:-1].split(","))) / 3 for colour in colours)
        assert (ink > paper) == dark
        assert abs(ink - paper) > 190
        assert abs(drawn - paper) > 190


@pytest.mark.parametrize("name", RESULTS)
def test_a_pictures_texts_are_whole(chromium: Browser, pages: dict[str, Path], name: str) -> None:
    drawn = pages[name].with_suffix(".svg")
    drawn.write_text(page.picture(RESULTS[name]()), encoding="utf-8")
    chromium.open(drawn, 1280)
    width = chromium.evaluate("document.documentElement.getBoundingClientRect().width")
    texts = chromium.evaluate(
        "[...document.querySelectorAll('text')].map(each => [each.textContent, each.getBoundingClientRect().right])"
    )
    assert [text for text, right in texts if right > width] == []


def test_the_checks_see_what_they_are_to_see(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "bad.html"
    file.write_text(
        "<!doctype html><figure><svg aria-label='bad' viewBox='0 0 400 100' style='width:390px'>"
        "<text x='350' y='20'>clipped, all of it</text><text x='10' y='50'>one</text><text x='12' y='50'>two</text>"
        "</svg></figure><div style='width:2000px'>wide</div>"
        "<img src='http://127.0.0.1:9/nothing.png'><script>console.error('oh')</script>"
    )
    chromium.open(file, 400)
    assert any("oh" in each for each in chromium.complaints)
    assert "http://127.0.0.1:9/nothing.png" in chromium.requests
    assert chromium.evaluate("document.documentElement.scrollWidth") > 400
    [found] = chromium.evaluate(_CHARTS)
    assert found["marks"] == 0
    assert found["clipped"] == ["clipped, all of it"]
    assert chromium.evaluate(_TOUCHING) == ["bad: one | two"]
