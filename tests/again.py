"""
Run the tests that failed again, one after another: `make test-all` ends with this.

A shared machine can hold up one test of ten thousand, which says nothing of a change. A flaw that shows once in a
thousand times looks the same. So what fails twice has failed, and what failed once is named, to be looked into.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

MOST = 3
"""More failures than this are not due to chance, and aren't run again."""
FILE = "TESTS_OUTCOMES"
"""The environment variable that names the file for pytest's outcomes (tests/conftest.py)."""


def main(folder: Path, statuses: Sequence[int]) -> int:
    """
    Return 0 if all tests have passed, at the latest when they were run again.

    folder: has each part's outcomes, in 0.json, 1.json ... statuses: pytest's, in the same order.
    """
    if not any(statuses):
        return 0
    if not {*statuses} <= {0, 1}:
        print(f"tcplab: pytest itself failed, or was stopped (statuses {', '.join(map(str, statuses))})")
        return 1
    failed = []
    for number, status in enumerate(statuses):
        its = outcomes(folder / f"{number}.json")["failed"] if status else []
        if status and not its:
            print(f"tcplab: part {number} failed, and no test of it did")
            return 1
        failed += its
    if len(failed) > MOST:
        print(f"tcplab: {len(failed)} tests failed; up to {MOST} would be run again")
        return 1
    print(f"tcplab: {len(failed)} failed; running again, one after another", flush=True)
    file = folder / "again.json"
    run = subprocess.run([sys.executable, "-m", "pytest", *failed], env={**os.environ, FILE: str(file)}, check=False)
    then = outcomes(file)
    passed = [test for test in failed if test in then["passed"]]
    for test in passed:
        print(f"FAILED ONCE: {test}: it passed when run again. Find out why (CONTRIBUTING.md)")
    return 0 if run.returncode == 0 and passed == failed else 1


def outcomes(file: Path) -> dict[str, list[str]]:
    """Return the ids of the tests that failed and that passed; none, if pytest could not write them."""
    found: dict[str, list[str]] = json.loads(file.read_text()) if file.exists() else {"failed": [], "passed": []}
    return found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), [int(each) for each in sys.argv[2:]]))
