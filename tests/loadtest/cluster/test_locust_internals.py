"""Only locust_internals.py uses Locust beyond its public API; it was written for the pinned version."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

LOADTEST = ROOT / "loadtest"
INTERNALS = LOADTEST / "locust_internals.py"
OTHERS = sorted(set(LOADTEST.rglob("*.py")) - {INTERNALS})

PUBLIC = {
    *("locust.User", "locust.task", "locust.events", "locust.LoadTestShape"),
    *("locust.env.Environment", "locust.event.EventHook", "locust.web.WebUI"),
    *("locust.runners.Runner", "locust.runners.MasterRunner", "locust.runners.WorkerRunner"),
    "locust.argument_parser.LocustArgumentParser",
}
"""What Locust's documentation names, of what the load imports."""

OF_NAMED_TUPLES = {"_asdict", "_fields", "_replace"}


def imported(tree: ast.AST) -> dict[str, str]:
    """Return what is imported of Locust: full names, by the names in the module."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "locust":
                    found[alias.asname or "locust"] = alias.name
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "locust":
            found.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return found


def root(node: ast.expr) -> str:
    """Return the first name of a chain of attributes; "" without one."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def changed(tree: ast.AST) -> list[ast.Attribute]:
    """Return the attributes that are assigned to, deleted, or given to setattr()."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)]
    calls = (
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and root(node.func) in {"setattr", "delattr"}
    )
    return found + [ast.Attribute(node.args[0], ast.unparse(node.args[1]), ast.Store()) for node in calls]


def own_privates(tree: ast.AST) -> set[str]:
    """Return the private names that a module defines itself, in classes or at its top."""
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and root(node) in {"self", "cls"}:
            found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def reaches(source: str) -> list[str]:
    """Return what a module does that only locust_internals.py may."""
    tree = ast.parse(source)
    names = imported(tree)
    found = [f"imports {full}" for full in names.values() if full not in PUBLIC]
    found += [f"changes {names[root(node)]}.{node.attr}" for node in changed(tree) if root(node.value) in names]
    foreign = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
    }
    return found + [f"uses {name}" for name in sorted(foreign - own_privates(tree) - OF_NAMED_TUPLES)]


def test_the_modules_are_found() -> None:
    found = {path.name for path in OTHERS}
    assert {"master.py", "worker.py", "leaving.py", "scenario_user.py", "locustfile.py"} <= found


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(LOADTEST)))
def test_other_modules_keep_to_the_public_api(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    if imported(ast.parse(source)):
        assert reaches(source) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from locust.runners import MasterRunner\nMasterRunner.handle_message = print", "locust.runners.MasterRunner"),
        ("import locust.stats\nlocust.stats.bucket_response_time = round", "locust.stats"),
        ("from locust import runners\nrunners.WORKER_REPORT_INTERVAL = 1.0", "locust.runners"),
        ("from locust.runners import Runner\nsetattr(Runner, 'stop_users', print)", "locust.runners.Runner"),
        ("from locust.runners import STATE_STOPPED", "STATE_STOPPED"),
        ("from locust.stats import StatsEntry", "StatsEntry"),
        ("def f(runner): runner._users_dispatcher.add_worker(1)", "_users_dispatcher"),
        ("class Mine(Other):\n def f(self): return self._state", "_state"),
    ],
)
def test_a_reach_into_locust_is_found(source: str, found: str) -> None:
    assert any(found in each for each in reaches(source))


def test_each_reach_names_the_pinned_version() -> None:
    [pinned] = re.findall(r"^locust==(\S+)", (LOADTEST / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"^ *# Locust ([0-9.]+), ", INTERNALS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(named) > 20
    assert set(named) == {pinned}


# In a process of its own: to import Locust is to patch the process.
TIMES = """
from loadtest.locust_internals import move_times

def entry(second):
    return {
        "start_time": float(second),
        "last_request_timestamp": second + 0.5,
        "num_reqs_per_sec": {second: 2},
        "num_fail_per_sec": {second: 1},
    }

def report(second):
    return {
        "stats": [entry(second)],
        "stats_total": {**entry(second), "last_request_timestamp": None},
        "errors": {"some": {"first_seen": float(second), "last_seen": second + 0.5}},
    }

moved = report(4600)
move_times(moved, -3600)
assert moved == report(1000), moved
move_times(moved, 0)
assert moved == report(1000), moved
"""


def test_times_in_a_report_are_moved() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TIMES], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
