"""
Take pictures of a running lab's dashboards at 1440x900: `python -m tests.e2e.pictures`.

Arguments: Grafana's address (default http://127.0.0.1:3000), and names of dashboards (default all).
Writes grafana/pictures/*.png. For a page with faults it prints them, writes no picture, and exits with status 1.
"""

import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.e2e.looks import complaints, draw
from tests.observability.queries import ROOT, dashboards
from tests.support.lab.browser import Browser, browser, program

FOLDER = ROOT / "grafana" / "pictures"
WIDTH, HEIGHT = 1440, 900
LARGEST = 250_000
"""Bytes of a picture, at most: every clone contains it."""


def take(page: Browser, address: str, uid: str) -> list[str]:
    """Take a dashboard's picture; return its faults."""
    draw(page, f"{address}/d/{uid}", WIDTH, HEIGHT)
    wrong = list(complaints(page))
    file = FOLDER / f"{uid}.png"
    if not wrong:
        page.picture(file)
        if file.stat().st_size > LARGEST:
            wrong.append(f"the picture has {file.stat().st_size:,} bytes, more than {LARGEST:,}")
            file.unlink()
    return wrong


def main(address: str = "http://127.0.0.1:3000", *names: str) -> int:
    """Take the pictures of the named dashboards; return the exit status."""
    known = [Path(name).stem for name in dashboards()]
    if unknown := sorted({*names} - {*known}):
        print(f"pictures: no dashboard is called {unknown[0]}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    executable = program()
    if executable is None:
        print("pictures: no Chromium is on the PATH; install one", file=sys.stderr)
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
            for wrong in take(page, address, uid):
                print(f"pictures: {uid}: {wrong}", file=sys.stderr)
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
