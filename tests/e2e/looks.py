"""Looks at a dashboard of a real Grafana in headless Chromium, and describes its faults."""

import time
from collections.abc import Iterator
from typing import Any, Final

from tests.support.lab.browser import Browser

SETTLED: Final = 2.0
"""Seconds without loading after which a page counts as drawn."""

PATIENCE: Final = 90.0
"""Seconds to wait for a page; after that it is inspected as it is."""

TRIALS: Final = 4
"""Attempts to open a page, at most: the browser aborts loading when a container's network appears or vanishes."""

_REMEMBER_TEXTS: Final = """\
(() => {
  const prototype = CanvasRenderingContext2D.prototype;
  if (prototype.remembers) return;
  prototype.remembers = true;
  const fill = prototype.fillText, clear = prototype.clearRect;
  prototype.clearRect = function (...where) {
    this.canvas.texts = [];
    return clear.apply(this, where);
  };
  prototype.fillText = function (text, x, y, ...rest) {
    const size = this.measureText(text), at = this.getTransform();
    const corners = [-size.actualBoundingBoxLeft, size.actualBoundingBoxRight].flatMap(
      dx => [-size.actualBoundingBoxAscent, size.actualBoundingBoxDescent].map(
        dy => at.transformPoint(new DOMPoint(x + dx, y + dy))));
    (this.canvas.texts ||= []).push({text, corners: corners.map(one => [one.x, one.y])});
    return fill.call(this, text, x, y, ...rest);
  };
})()"""
"""Lets a canvas remember the texts drawn into it, and their corners: a chart's ticks are nowhere else."""

_PANELS: Final = "[...document.querySelectorAll('section[data-testid^=\"data-testid Panel header\"]')]"

_FUNCTIONS: Final = """\
  const inside = panel => panel.querySelector('[data-testid="data-testid panel content"]');
  const drawn = panel => {
    const content = inside(panel), text = content ? content.innerText.trim() : '';
    return content && text !== 'Err'
      && (text !== '' || content.querySelector('canvas, table, [role="grid"], [role="img"]') !== null);
  };
  const wide = element => element.scrollWidth > element.clientWidth + 1;
  const flat = element => getComputedStyle(element).display !== 'inline'
    && element.scrollHeight > element.clientHeight + 8;  // line spacing alone may exceed by less
  const leaves = panel => [...(inside(panel) || panel).querySelectorAll('*')]
    .filter(one => one.children.length === 0 && one.textContent.trim() !== '' && one.closest('canvas, svg') === null);
  const ticks = canvas => (canvas.texts || [])
    .filter(one => one.corners.some(([x, y]) => x < -1 || y < -1 || x > canvas.width + 1 || y > canvas.height + 1))
    .map(one => ({innerText: one.text}));
  const tile = panel => panel.querySelector('[role="grid"], table, canvas') === null;
  const beyond = (element, panel) => {
    const one = element.getBoundingClientRect(), other = (inside(panel) || panel).getBoundingClientRect();
    return one.right > other.right + 1 || one.bottom > other.bottom + 1;
  };
"""

_PENDING: Final = f"""\
(() => {{
{_FUNCTIONS}
  const panels = {_PANELS};
  return (panels.length ? 0 : 1) + panels.filter(panel => !drawn(panel)).length
    + document.querySelectorAll('[aria-label="Panel loading bar"], [data-testid="Spinner"]').length;
}})()"""

_LOOK: Final = f"""\
(() => {{
{_FUNCTIONS}
  return {_PANELS}.map(panel => ({{
    title: panel.getAttribute('data-testid').replace('data-testid Panel header', '').trim(),
    drawn: Boolean(drawn(panel)),
    text: inside(panel) ? inside(panel).innerText.trim() : '',
    badges: [...panel.querySelectorAll('[data-testid^="data-testid Panel status"]')]
      .map(one => one.getAttribute('aria-label') || one.getAttribute('data-testid')),
    cut: [
      ...[...panel.querySelectorAll('h2, [role="columnheader"] *')].filter(wide),
      ...[...panel.querySelectorAll('[data-testid^="data-testid VizLegend series"]')]
        .filter(one => beyond(one, panel)),
      ...(tile(panel) ? leaves(panel).filter(one => wide(one) || flat(one) || beyond(one, panel)) : []),
      ...[...panel.querySelectorAll('canvas')].flatMap(ticks),
    ].map(one => one.innerText.trim()),
    bottom: panel.getBoundingClientRect().bottom + scrollY,
  }}));
}})()"""


def draw(page: Browser, url: str, width: int, height: int, *, dark: bool = True, of: str = "") -> None:
    """
    Open a dashboard in a window of this size; wait until all visible panels are drawn.

    of: further parameters of the page's address, as `from=...&to=...`.
    """
    watch(page)
    for _ in range(TRIALS):
        page.visit(f"{url}?theme={'dark' if dark else 'light'}&{of}".rstrip("&"), width, height, dark=dark)
        _settle(page)
        if not _dropped(page):
            return


def watch(page: Browser) -> None:
    """Let the pages that are opened from now on remember the texts of their charts."""
    page.ask("Page.addScriptToEvaluateOnNewDocument", source=_REMEMBER_TEXTS)


def _settle(page: Browser) -> None:
    end = time.monotonic() + PATIENCE
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < SETTLED and time.monotonic() < end and not _dropped(page):
        if page.evaluate(_PENDING):
            quiet_since = time.monotonic()
        time.sleep(0.1)


def _dropped(page: Browser) -> bool:
    return any("ERR_NETWORK_CHANGED" in one for one in page.complaints)


def panels(page: Browser) -> list[dict[str, Any]]:
    """Return each visible panel's title, text, cut-off words, badges, and bottom edge in pixels."""
    found: list[dict[str, Any]] = page.evaluate(_LOOK)
    return found


def complaints(page: Browser) -> Iterator[str]:
    """Yield the visible panels' faults: no data, an error, a cut-off title, legend, tick or tile."""
    found = panels(page)
    if not found:
        yield "there is no panel"
    for panel in found:
        title, text = panel["title"], panel["text"]
        if not panel["drawn"]:
            yield f"{title}: nothing is drawn ({text or 'no text'})"
        if "No data" in text:
            yield f"{title}: No data"
        yield from (f"{title}: {badge}" for badge in panel["badges"])
        yield from (f"{title}: cut off: {cut}" for cut in panel["cut"])
    yield from (f"console: {one[:200]}" for one in page.complaints if "WebGL" not in one)
