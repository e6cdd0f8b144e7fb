"""
Pictures of a running lab's dashboards, as they are seen at 1440x900: `python -m tests.e2e.pictures`.

Arguments: Grafana's address (http://127.0.0.1:3000 by default), and names of dashboards (all of them by default).
Writes grafana/pictures/*.png, and prints what is wrong with a page. The exit status is 1 if anything is, and nothing is
written of a page that is wrong.
"""

import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.e2e.looks import complaints, draw
from tests.observability.queries import ROOT, dashboards
from tests.support.browser import Browser, browser, program

FOLDER = ROOT / "grafana" / "pictures"
WIDTH, HEIGHT = 1440, 900
LARGEST = 250_000
"""Bytes that a picture may have: it is cloned by everybody."""


def take(page: Browser, address: str, uid: str) -> list[str]:
    """Take the picture of a dashboard; return what is wrong with it."""
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
    """Take the pictures of the dashboards so called."""
    known = [Path(name).stem for name in dashboards()]
    if unknown := sorted({*names} - {*known}):
        print(f"pictures: no dashboard is called {unknown[0]}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    executable = program()
    if executable is None:
        print("pictures: there is no Chromium on the PATH; install one", file=sys.stderr)
        return 2
    try:
        urllib.request.urlopen(f"{address}/api/health", timeout=10).close()
    except (urllib.error.URLError, OSError) as error:
        print(f"pictures: no Grafana answers at {address} ({error}); docker compose up, and try again", file=sys.stderr)
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
