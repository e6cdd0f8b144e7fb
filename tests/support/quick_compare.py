"""
The real command with real servers, and a stub for Locust that begins at once: python -m tests.support.quick_compare.

TEST_FAULT makes one of the processes fail: server-dies, load-fails, load-silent, server-refuses, sink-fails.
TEST_MEMORY_CLIENTS is up to how many clients memory is measured.
"""

import os
import sys
from pathlib import Path

from loadtest.compare import command, comparison
from loadtest.compare.candidates import Subject
from loadtest.compare.measure.run import Laboratory, users_of
from loadtest.compare.plan import Case

FAULT = os.environ.get("TEST_FAULT", "")


class QuickLaboratory(Laboratory):
    """Real servers, a stand-in for Locust."""

    def server_command(self, subject: Subject) -> list[str]:
        usual = super().server_command(subject)
        if subject.name == "threaded" and FAULT == "server-refuses":
            return [*usual, "--backlog", "none"]
        return usual

    def sink_command(self) -> list[str]:
        if FAULT == "sink-fails":
            return [sys.executable, "-c", "import sys; sys.exit('no sink today')"]
        return super().sink_command()

    def load_command(self, subject: Subject, case: Case, result: Path) -> list[str]:
        if subject.name == "threaded" and FAULT == "load-fails":
            return [sys.executable, "-c", "import sys; sys.exit('no load today')"]
        if subject.name == "threaded" and FAULT == "load-silent":
            return [sys.executable, "-c", "pass"]
        if subject.name == "threaded" and FAULT == "server-dies":
            # The server is the only other child of our parent.
            end = "import os, psutil, time; time.sleep(0.3); "
            end += "[c.kill() for c in psutil.Process(os.getppid()).children() if c.pid != os.getpid()]; time.sleep(9)"
            return [sys.executable, "-c", end]
        arguments = [
            users_of(subject),
            case.scenario,
            *map(str, (case.clients, case.warmup, case.seconds)),
            str(result),
        ]
        return [sys.executable, "-m", "tests.support.stubs.load", *arguments]


if __name__ == "__main__":
    comparison.MEMORY_CLIENTS = int(os.environ.get("TEST_MEMORY_CLIENTS", comparison.MEMORY_CLIENTS))  # type: ignore[misc]
    sys.exit(command.compare(sys.argv[1:], QuickLaboratory))
