"""The looks at dashboards (tests/e2e/looks.py) find what is cut off, on pages built as Grafana builds them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import looks
from tests.support.lab.browser import Browser, browser, required

PAGE = """<!doctype html><meta charset="utf-8">
<style>
section {{ width: 220px; height: 120px; position: relative }}
h2 {{ margin: 0; overflow: hidden; white-space: nowrap }}
.content {{ height: 80px; overflow: hidden }}
.line {{ overflow: hidden; white-space: nowrap; font: 20px sans-serif }}
</style>
<section data-testid="data-testid Panel header One"><h2>One</h2>
<div class="content" data-testid="data-testid panel content">{content}</div></section>
<script>
const canvas = document.querySelector("canvas");
if (canvas) {{
  const pen = canvas.getContext("2d");
  pen.font = "12px sans-serif";
  pen.clearRect(0, 0, 200, 80);
  pen.fillText("{tick}", {x}, 20);
}}
</script>"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser(required()) as found:
        looks.watch(found)
        yield found


def line(text: str) -> str:
    return f"<div class=line>{text}</div>"


SQUASHED = (
    "<div style='height: 20px; display: flex; flex-direction: column'><div class=line>squashed</div>"
    "<div style='flex: none; height: {}px'></div></div>"
)
CANVAS = "<canvas width=200 height=70></canvas>"


@pytest.mark.parametrize(
    ("content", "x", "cut"),
    [
        pytest.param(CANVAS, 20, [], id="a whole tick"),
        pytest.param(CANVAS, 185, ["1000"], id="a tick cut at the right"),
        pytest.param(CANVAS, -9, ["1000"], id="a tick cut at the left"),
        pytest.param(line("three") * 3, 0, [], id="a tile of three lines"),
        pytest.param(line("four") * 4, 0, ["four"], id="a tile of a line too many"),
        pytest.param(
            line("a name that is wider than its tile"), 0, ["a name that is wider than its tile"], id="a name"
        ),
        pytest.param(SQUASHED.format(16), 0, ["squashed"], id="a name with 4 pixels of height"),
        pytest.param(SQUASHED.format(20), 0, ["squashed"], id="a name without height"),
    ],
)
def test_what_is_cut_off_is_named(chromium: Browser, tmp_path: Path, content: str, x: int, cut: list[str]) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(content=content, tick="1000", x=x), encoding="utf-8")
    chromium.open(page, 400)
    (panel,) = looks.panels(chromium)
    assert panel["cut"] == cut
