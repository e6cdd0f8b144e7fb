"""
A headless Chromium, driven over its own pipe, without a driver program or package.

Protocol: Chromium's "--remote-debugging-pipe", JSON messages that end with a zero byte, on descriptors 3 and 4.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tests.support.needs import BROWSER, provided

# Moves the pipes to the browser's descriptors, then executes the browser.
_MOVE: Final = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_ANSWERS_WITHIN: Final = 60.0

_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def program() -> str | None:
    """Return Chromium's path; None if there is none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def required() -> str:
    """Return Chromium's path; without it skip the test, or fail it if TCPLAB_REQUIRE_BROWSER=1."""
    found = program()
    provided(BROWSER, "" if found else "there is no Chromium")
    assert found is not None
    return found


class Browser:
    """A page in the browser. events: the browser's events about it in order, (method, parameters)."""

    def __init__(self, to: int, of: int) -> None:
        self._to, self._of = to, of
        self._number = 0
        self._rest = b""
        self._session = ""
        self.events: list[tuple[str, dict[str, Any]]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command; return its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            found = self._read()
            if found.get("id") == self._number:
                assert "error" not in found, found
                answer: dict[str, Any] = found["result"]
                return answer

    def open(self, file: Path, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Load a file into a window of this size; wait until it is loaded."""
        self.visit(file.as_uri(), width, height, dark=dark)

    def visit(self, url: str, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Load a page into a window of this size; wait until it is loaded."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=scheme)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.events.clear()
        self.ask("Page.navigate", url=url)
        while all(method != "Page.loadEventFired" for method, _ in self.events):
            self._read()

    def evaluate(self, script: str) -> Any:
        """Return a script's value, from JSON."""
        found = self.ask("Runtime.evaluate", expression=f"JSON.stringify({script})", returnByValue=True)
        assert "exceptionDetails" not in found, found
        return json.loads(found["result"]["value"])

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings logged since the page was opened, and exceptions."""
        found = []
        for method, given in self.events:
            if method == "Runtime.exceptionThrown":
                found.append(str(given["exceptionDetails"]))
            if method == "Runtime.consoleAPICalled" and given["type"] in {"error", "warning", "assert"}:
                found.append(str(given["args"]))
            if method == "Log.entryAdded" and given["entry"]["level"] in {"error", "warning"}:
                found.append(str(given["entry"]["text"]))
        return found

    @property
    def requests(self) -> list[str]:
        """The addresses that the page requested, including its own."""
        return [given["request"]["url"] for method, given in self.events if method == "Network.requestWillBeSent"]

    def picture(self, file: Path, *, whole: bool = False) -> None:
        """Write a PNG of the window, or of the whole page."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=whole, **(self._all() if whole else {}))
        file.write_bytes(base64.b64decode(shot["data"]))

    def _all(self) -> dict[str, Any]:
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def _read(self) -> dict[str, Any]:
        """Return the next message; keep it if it is an event."""
        deadline = time.monotonic() + _ANSWERS_WITHIN
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._of], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            some = os.read(self._of, 1 << 16)
            assert some, "the browser has ended"
            self._rest += some
        raw, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        if "method" in message:
            self.events.append((message["method"], message["params"]))
        return message


def _pipes() -> tuple[int, int, int, int]:
    """Return two pipes with descriptors above those that the browser uses."""
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    high = []
    for low in (their_in, their_out):
        high.append(fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(low)
    return our_in, our_out, high[0], high[1]


@contextmanager
def browser(executable: str) -> Iterator[Browser]:
    """Start a browser with its own profile, and end it."""
    our_in, our_out, their_in, their_out = _pipes()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [sys.executable, "-c", _MOVE, str(their_in), str(their_out), executable, *_FLAGS]
        process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}"],
            pass_fds=(their_in, their_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(their_in)
        os.close(their_out)
        try:
            yield Browser(our_out, our_in)
        finally:
            with suppress(OSError):
                os.close(our_out)
            os.close(our_in)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
