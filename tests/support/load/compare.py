"""
The real command with real servers, and a stub for Locust that starts at once: python -m tests.support.load.compare.

TEST_FAULT makes a process fail: server-dies, load-fails, load-silent, server-refuses, sink-fails.
TEST_MEMORY_CLIENTS is the largest number of clients for which memory is measured.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from loadtest.compare import command, comparison
from loadtest.compare.candidates import Candidate
from loadtest.compare.measure.run import Laboratory, users_of
from loadtest.compare.plan import Workload

FAULT = os.environ.get("TEST_FAULT", "")


class QuickLaboratory(Laboratory):
    """Real servers, a stub for Locust."""

    def server_command(self, candidate: Candidate) -> list[str]:
        usual = super().server_command(candidate)
        if candidate.name == "threaded" and FAULT == "server-refuses":
            return [*usual, "--backlog", "none"]
        return usual

    def null_server_command(self) -> list[str]:
        if FAULT == "sink-fails":
            return [sys.executable, "-c", "import sys; sys.exit('no sink today')"]
        return super().null_server_command()

    def load_command(self, candidate: Candidate, workloads: Sequence[Workload], result: Path) -> list[str]:
        if candidate.name == "threaded" and FAULT == "load-fails":
            return [sys.executable, "-c", "import sys; sys.exit('no load today')"]
        if candidate.name == "threaded" and FAULT == "load-silent":
            return [sys.executable, "-c", "pass"]
        if candidate.name == "threaded" and FAULT == "server-dies":
            # The server is the only other child of our parent.
            end = "import os, psutil, time; time.sleep(0.3); "
            end += "[c.kill() for c in psutil.Process(os.getppid()).children() if c.pid != os.getpid()]; time.sleep(9)"
            return [sys.executable, "-c", end]
        [workload] = workloads
        arguments = [
            users_of(candidate),
            workload.scenario,
            *map(str, (workload.clients, workload.warmup, workload.seconds)),
            str(result),
        ]
        return [sys.executable, "-m", "tests.support.stubs.load", *arguments]


if __name__ == "__main__":
    comparison.MEMORY_CLIENTS = int(os.environ.get("TEST_MEMORY_CLIENTS", comparison.MEMORY_CLIENTS))  # type: ignore[misc]
    sys.exit(command.compare(sys.argv[1:], QuickLaboratory))
