"""Without a GIL, the servers' counters are exact where a plain `+=` is not."""

import json
import subprocess
from typing import Any, Final

import pytest

from tests.free_threaded.hammer import CLIENTS, PLAIN, REQUESTS, SCRAPES, THREADS
from tests.support import interpreters
from tests.support.processes import ROOT
from tests.support.servers import PATIENCE, environment

pytestmark = pytest.mark.free_threaded

LEFT: Final = THREADS * CLIENTS
EACH: Final = LEFT * REQUESTS


@pytest.fixture(scope="module")
def counted() -> dict[str, Any]:
    """Return what eight threads have counted under a Python without a GIL."""
    command = [interpreters.free_threaded(), "-m", "tests.free_threaded.hammer"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=2 * PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["gil"] is False
    return said


@pytest.mark.parametrize("where", ["lists", "shared"])
def test_counters_are_exact_without_a_gil(counted: dict[str, Any], where: str) -> None:
    assert counted[where] == {
        "echoed": EACH,
        "worked": EACH,
        "timed": 2 * EACH,
        "seconds": 0.25 * 2 * EACH,
        "received": 7 * EACH,
        "sent": 5 * EACH,
        "unknown": EACH,
        "full": LEFT,
        "quit": LEFT,
        "refused": LEFT,
        "waits": LEFT,
        "waited": 0.5 * LEFT,
        "open": 0,
        "waiting": 0,
    }


def test_the_cpu_time_of_scrapes_is_exact(counted: dict[str, Any]) -> None:
    assert counted["scraped"] == THREADS * SCRAPES


def test_a_plain_integer_loses_counts(counted: dict[str, Any]) -> None:
    """Else the test above could not fail."""
    assert 0 < counted["plain"] < THREADS * PLAIN
