"""
Take pictures of a lab's dashboards at 1440x900: `python -m tests.e2e.pictures`, with `--help` for its options.

Writes grafana/pictures/*.png. For a page with faults it prints them, writes no picture, and exits with status 1. A
browser takes CPU from the lab that it looks at: take pictures after the run, `--at` a moment in it.
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from tests.e2e.looks import complaints, draw
from tests.observability.queries import ROOT, dashboards
from tests.support.lab.browser import Browser, browser, program

FOLDER: Final = ROOT / "grafana" / "pictures"
WIDTH, HEIGHT = 1440, 900
LARGEST: Final = 250_000
"""Bytes of a picture, at most: every clone contains it."""


def span(uid: str, at: float, minutes: float | None = None) -> str:
    """Return the parameters for so long before a moment in seconds since 1970, or a dashboard's own time (`now-5m`)."""
    shown = json.loads((ROOT / "grafana" / "dashboards" / f"{uid}.json").read_text(encoding="utf-8"))["time"]["from"]
    minutes = minutes or int(shown.removeprefix("now-").removesuffix("m"))
    return f"from={(at - minutes * 60) * 1000:.0f}&to={at * 1000:.0f}"


def take(page: Browser, address: str, uid: str, time_shown: str) -> list[str]:
    """Take a dashboard's picture; return its faults."""
    draw(page, f"{address}/d/{uid}", WIDTH, HEIGHT, of=f"{time_shown}&kiosk".lstrip("&"))
    wrong = list(complaints(page))
    file = FOLDER / f"{uid}.png"
    if not wrong:
        page.picture(file)
        if file.stat().st_size > LARGEST:
            wrong.append(f"the picture has {file.stat().st_size:,} bytes, more than {LARGEST:,}")
            file.unlink()
    return wrong


def main(address: str, names: list[str], at: float | None = None, minutes: float | None = None) -> int:
    """Take the pictures of the named dashboards, or all; return the exit status."""
    known = [Path(name).stem for name in dashboards()]
    if unknown := sorted({*names} - {*known}):
        print(f"pictures: no dashboard is called {unknown[0]}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    executable = program()
    if executable is None:
        print("pictures: no Chromium is on the PATH; install one", file=sys.stderr)
        return 2
    if at and at > time.time():
        print(f"pictures: --at {at:.0f} is in the future; give seconds since 1970 (date +%s)", file=sys.stderr)
        return 2
    try:
        urllib.request.urlopen(f"{address}/api/health", timeout=10).close()
    except (urllib.error.URLError, OSError) as error:
        print(f"pictures: no Grafana answers at {address} ({error}); run docker compose up first", file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    status = 0
    with browser(executable) as page:
        for uid in names or known:
            for wrong in take(page, address, uid, span(uid, at, minutes) if at else ""):
                print(f"pictures: {uid}: {wrong}", file=sys.stderr)
                status = 1
    return status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.pictures", description="Take pictures of dashboards.")
    parser.add_argument("address", nargs="?", default="http://127.0.0.1:3000", help="Grafana's")
    parser.add_argument("dashboards", nargs="*", help="their names; all without one")
    parser.add_argument("--at", type=float, help="a moment in seconds since 1970; without it, now")
    parser.add_argument("--minutes", type=float, help="how long before it; without it, as the dashboard has it")
    options = parser.parse_args()
    sys.exit(main(options.address, options.dashboards, options.at, options.minutes))
