r"""
Makes spread.json: the measured differences between runs of one server.

    for seed in 1 2 3 4 5; do
        python -m loadtest compare --variants asyncio --clients 50 --repeats 10 --seconds 1 --warmup 1 --seed $seed \
            --server 'twin=python -m servers asyncio --port {port} --metrics-port 0' \
            --server 'slowed=python -m tests.support.stubs.slowed {port} 1.6' --output FOLDER
    done
    here=tests/loadtest/compare/analysis
    python -m ${here//\//.}.spread FOLDER/2*/compare.json > $here/spread.json

It keeps only the valid runs' deviations from the median. The same five comparisons test the verdict in reality: with
one server under two names (twin), and with one whose requests take 1.6 us more, a fifth.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, pstdev
from typing import Any

from loadtest.compare.analysis.measures import RunMeasures, excludes, measures_of

MEASURES = ("requests_per_second", "cpu_us", "response_p99_us")
KEPT = Path(__file__).with_name("spread.json")


@dataclass(frozen=True, slots=True)
class Spread:
    """One measure of one server: each run's, as a multiple of the median of all. warned: how many runs had warnings."""

    variant: str
    measure: str
    warned: int
    deviations: tuple[float, ...]

    @property
    def name(self) -> str:
        return f"{self.variant} {self.measure}"

    @property
    def wide(self) -> float:
        """The standard deviation, as a share of the median."""
        return pstdev(self.deviations)


def kept() -> list[Spread]:
    """Return the content of spread.json."""
    found = json.loads(KEPT.read_text(encoding="utf-8"))["spreads"]
    return [Spread(**{**each, "deviations": tuple(each["deviations"])}) for each in found]


def main(files: Iterable[str]) -> None:
    """Print the spreads of the results in `files`."""
    results = [json.loads(Path(file).read_text(encoding="utf-8")) for file in files]
    every = [measures_of(run) for result in results for run in result["runs"]]
    rows = [each for each in every if not excludes(each.warnings)]
    first = results[0]
    content = {
        "made": "by tests/loadtest/compare/analysis/spread.py, whose first lines say how",
        "started": first["started"],
        "commit": first["commit"],
        "cpu": first["machine"]["cpu"],
        "cores": first["machine"]["cores"],
        "warnings": Counter(warning.name for each in rows for warning in each.warnings),
        "spreads": [
            _spread([each for each in rows if each.candidate == variant], measure)
            for variant in sorted({each.candidate for each in rows})
            for measure in MEASURES
        ],
    }
    print(json.dumps(content).replace(', {"variant"', ',\n{"variant"'))  # one spread a line, for a diff to be read


def _spread(rows: list[RunMeasures], measure: str) -> dict[str, Any]:
    values = [value for each in rows if (value := getattr(each, measure).value) is not None]
    middle = median(values)
    return {
        "variant": rows[0].candidate,
        "measure": measure,
        "warned": sum(1 for each in rows if each.warnings),
        "deviations": [round(value / middle, 4) for value in values],
    }


if __name__ == "__main__":
    main(sys.argv[1:])
