"""What holds for all tests, however they were started: which of them `make test` leaves out, and what a skip says."""

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.support")

# After what rewrites their asserts.
from tests import again  # noqa: E402
from tests.support.needs import hint  # noqa: E402
from tests.support.servers import Model  # noqa: E402


def pytest_configure() -> None:
    """Hear SIGINT again: a shell starts its background jobs deaf to it, and all processes of the tests would be so."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of servers on an event loop other than the default, and of those without a GIL."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        models = [value for value in callspec.params.values() if isinstance(value, Model)] if callspec else []
        if any(model.loop for model in models):
            item.add_marker(pytest.mark.other_loop)
        if any(model.free_threaded for model in models):
            item.add_marker(pytest.mark.free_threaded)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in a line for each reason how many tests were skipped: a check that was not made must not look passed."""
    skipped = Counter(
        str(report.longrepr[2]).removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    for why, number in sorted(skipped.items()):
        how = hint(why)
        told = f"NOT CHECKED: {number} {'test' if number == 1 else 'tests'}: {why}{f'. {how}' if how else ''}"
        terminalreporter.write_line(told, yellow=True, bold=True)
    if file := os.environ.get(again.FILE):
        Path(file).write_text(json.dumps(_outcomes(terminalreporter)))


def _outcomes(terminalreporter: pytest.TerminalReporter) -> dict[str, list[str]]:
    """Return the ids of the tests that passed, and of those that failed, also in a fixture."""
    stats = terminalreporter.stats
    failed = {report.nodeid for kind in ("failed", "error") for report in stats.get(kind, [])}
    passed = {report.nodeid for report in stats.get("passed", [])}
    return {"failed": sorted(failed), "passed": sorted(passed - failed)}
