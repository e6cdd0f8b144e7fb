"""A warning and a scenario are one row each: added to a copy of the tree, they appear everywhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest import readme_tables
from tests.support.copies import copy_tree, run
from tests.support.processes import ROOT

WARNING = """
    "too-quiet": Row(
        "it is too quiet",
        "nobody is there",
        "make some noise",
        Effect(About.RUN, frozenset({"rate"}), TakesOut.RUN, ForSlo.VOID),
        lambda facts: None if any(each.users for each in facts.variants.values()) else "nobody is there",
    ),
"""
SCENARIO = """
    Scenario(
        name="quiet",
        sentence="Nobody says much: who notices?",
        does="connects, asks once",
        compare="silence, at any number of clients",
        requests=1,
        loads=Loads((7,), thorough=(7, 8)),
    ),
"""
ASK = """
import argparse, json
from prometheus_client import CollectorRegistry, generate_latest
from loadtest import run_checks, run_warnings, settings
from loadtest.cluster.exporter import LoadCollector, Status
from loadtest.compare.analysis import measures
from loadtest.compare.plan import thorough
from loadtest.recording.aggregator import Aggregator
found = run_warnings.check(run_checks.Facts(variants={"asyncio": run_checks.VariantFacts()}))
status = Status(None, "", 0.0, found, {})
registry = CollectorRegistry()
registry.register(LoadCollector(Aggregator(["asyncio"]), lambda: status, lambda: 0.0))
print(json.dumps({
    "hint": [each.hint for each in found],
    "metrics": [line for line in generate_latest(registry).decode().splitlines() if "too-quiet" in line],
    "excludes": measures.excludes(found),
    "plan": [t.workload.clients for t in thorough(1).tasks if t.workload.scenario == "quiet"],
}))
"""


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy with a row more in each table, in which `make tables` was run."""
    root = copy_tree(tmp_path_factory.mktemp("rows"))
    for name, end, row in (("run_warnings", "\n}\n", WARNING), ("scenarios", "\n)\n\nSCENARIOS", SCENARIO)):
        table = root / "loadtest" / f"{name}.py"
        text = table.read_text(encoding="utf-8")
        at = text.index(end)
        table.write_text(text[:at] + row.rstrip() + text[at:], encoding="utf-8")
    rule = (root / "Makefile").read_text().partition("\ntables:")[2].partition("\n\n")[0]
    commands = [line.split("python ")[1] for line in rule.splitlines()[1:]]
    assert len(commands) == 2
    for command in commands:
        run(root, *command.split())
    return root


def test_a_row_is_checked_exported_and_compared(added: Path) -> None:
    assert json.loads(run(added, "-c", ASK)) == {
        "hint": ["make some noise"],
        "metrics": [
            'tcplab_load_warning{about="run",degree="doubt",moves="rate",variant="asyncio",warning="too-quiet"} 1.0'
        ],
        "excludes": True,
        "plan": [7, 8],
    }


def test_a_row_is_on_dashboards_and_documents(added: Path) -> None:
    readme = (added / "loadtest" / "README.md").read_text(encoding="utf-8")
    assert "| `too-quiet` | nobody is there | make some noise | the run |" in readme
    assert "| `quiet` | connects, asks once | silence, at any number of clients |" in readme
    for name in ("compare", "capacity", "load"):
        page = (added / "grafana" / "dashboards" / f"{name}.json").read_text(encoding="utf-8")
        assert '"too-quiet: it is too quiet"' in page


def test_a_new_scenario_can_be_chosen(added: Path) -> None:
    assert "quiet" in run(added, "-m", "loadtest", "compare", "--help")
    command = [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless", "--scenario", "nobody"]
    refused = subprocess.run(command, cwd=added, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "'quiet'" in refused.stderr


def test_the_readmes_tables_are_the_rows() -> None:
    code = (
        "from loadtest.readme_tables import texts;"
        " assert all(text == page.read_text('utf-8') for page, text in texts().items()), 'make tables'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_bias_table_says_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "bias.json"
    monkeypatch.setattr(readme_tables, "BIAS", kept)
    p50, p99 = (
        dict(zip(("truth", "bias", "low", "high"), row, strict=True)) for row in ((53, 19, -1, 20), (156, 74, 60, 81))
    )
    where = {
        "commit": "abc",
        "date": "2026-11-28",
        "cpu": "a CPU",
        "cores": 2,
        "system": "Linux 6",
        "python": "CPython 3",
    }
    how = {"clients": 4, "load": 0.2, "runs": 3, "seconds": 8}
    kept.write_text(json.dumps({**where, **how, "stubs": [{"service": 50, "p50": p50, "p99": p99}]}))
    assert list(readme_tables.bias())[3:] == [
        "| 50 us | 53 us | +19 us (-1 to +20) | 156 us | +74 us (+60 to +81) |",
        "",
        "The median of 3 runs of 8 s with 4 clients, Poisson arrivals, at 20% of what the stub can do.",
        "Commit abc, 2026-11-28, a CPU, 2 cores, Linux 6, CPython 3.",
        "",
    ]
