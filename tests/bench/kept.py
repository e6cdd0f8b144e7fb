"""Keeps what a benchmark measured, for the tables in loadtest/README.md."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtest.compare.measure import machine
from tests.support.processes import ROOT


def keep(path: Path, figures: dict[str, Any]) -> None:
    """Write figures, with the commit, day and machine, as JSON into a file, and the tables anew."""
    described = machine.describe()
    kept = {
        "commit": machine.commit(ROOT),
        "date": datetime.now(UTC).date().isoformat(),
        **{name: described[name] for name in ("cpu", "cores", "system", "python")},
        **figures,
    }
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "loadtest.readme_tables"], cwd=ROOT, check=True)
