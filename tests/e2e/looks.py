"""A dashboard in a real Grafana, looked at in headless Chromium: what is wrong with it, in words."""

import time
from collections.abc import Iterator
from typing import Any, Final

from tests.compare.browser import Browser

SETTLED: Final = 2.0
"""Seconds for which nothing may load until a page counts as drawn."""

PATIENCE: Final = 90.0
"""Seconds that a page has to be drawn."""

TRIALS: Final = 4
"""How often a page is opened at the most: the browser drops what it loads when a container's network comes or goes."""

_PANELS: Final = "document.querySelectorAll('section[data-testid^=\"data-testid Panel header\"]')"

_LOADING: Final = f"""\
({_PANELS}.length ? 0 : 1)
+ document.querySelectorAll('[aria-label="Panel loading bar"], [data-testid="Spinner"]').length"""

_LOOK: Final = f"""\
[...{_PANELS}].map(panel => {{
  const content = panel.querySelector('[data-testid="data-testid panel content"]');
  const wide = element => element.scrollWidth > element.clientWidth + 1;
  const inside = content ? content.getBoundingClientRect() : panel.getBoundingClientRect();
  const beyond = element => {{
    const edges = element.getBoundingClientRect();
    return edges.right > inside.right + 1 || edges.bottom > inside.bottom + 1;
  }};
  const told = [...panel.querySelectorAll('[data-testid^="data-testid Panel status"]')];
  return {{
    title: panel.getAttribute('data-testid').replace('data-testid Panel header', '').trim(),
    text: content ? content.innerText.trim() : '',
    drawn: content ? content.querySelectorAll('canvas, table, [role="grid"], [role="img"]').length : 0,
    badges: told.map(one => one.getAttribute('aria-label') || one.getAttribute('data-testid')),
    cut: [
      ...[...panel.querySelectorAll('h2, [role="columnheader"] *')].filter(wide),
      ...[...panel.querySelectorAll('[data-testid^="data-testid VizLegend series"]')].filter(beyond),
    ].map(one => one.innerText.trim()),
    bottom: panel.getBoundingClientRect().bottom + scrollY,
  }};
}})"""


def draw(page: Browser, url: str, width: int, height: int, *, dark: bool = True) -> None:
    """Open a dashboard in a window of this size, and wait until all panels in sight are drawn."""
    for _ in range(TRIALS):
        _draw(page, url, width, height, dark=dark)
        if not any("ERR_NETWORK_CHANGED" in one for one in page.complaints):
            return


def _draw(page: Browser, url: str, width: int, height: int, *, dark: bool) -> None:
    page.visit(f"{url}?theme={'dark' if dark else 'light'}", width, height, dark=dark)
    end = time.monotonic() + PATIENCE
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < SETTLED:
        if page.evaluate(_LOADING):
            quiet_since = time.monotonic()
        assert time.monotonic() < end, f"{url} is not drawn within {PATIENCE:g} s"
        time.sleep(0.1)


def panels(page: Browser) -> list[dict[str, Any]]:
    """Return what each panel in sight shows: its title, text, what is cut off, badges, and where it ends in pixels."""
    found: list[dict[str, Any]] = page.evaluate(_LOOK)
    return found


def complaints(page: Browser) -> Iterator[str]:
    """Yield what is wrong with the panels in sight: no data, an error, a title or a legend that is cut off."""
    for panel in panels(page):
        title, text = panel["title"], panel["text"]
        if text in {"", "Err"} and not panel["drawn"]:
            yield f"{title}: nothing is drawn ({text or 'no text'})"
        if "No data" in text:
            yield f"{title}: No data"
        yield from (f"{title}: {badge}" for badge in panel["badges"])
        yield from (f"{title}: cut off: {cut}" for cut in panel["cut"])
    yield from (f"console: {one[:200]}" for one in page.complaints if "WebGL" not in one)
