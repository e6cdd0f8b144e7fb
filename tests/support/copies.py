"""A copy of the tree to which a concurrency model is added, as a reader of the README does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.processes import ROOT
from tests.support.servers import environment

FOLDERS: Final = ("servers", "loadtest", "grafana", "prometheus", "tests")
FILES: Final = ("docker-compose.yml", ".env", "pyproject.toml", "Makefile", "README.md")
LEFT_OUT: Final = shutil.ignore_patterns("__pycache__", "results", "pictures", ".hypothesis")


def copy_tree(to: Path) -> Path:
    """Copy the files that a model needs; return the copy's root."""
    root = to / "lab"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, root / folder, ignore=LEFT_OUT)
    for file in FILES:
        shutil.copy(ROOT / file, root / file)
    return root


def add_model(root: Path, module: str, source: str, row: str) -> None:
    """Write a model's file, and append its row to the table."""
    (root / "servers" / "models" / f"{module}.py").write_text(source, encoding="utf-8")
    table = root / "servers" / "variants.py"
    text = table.read_text(encoding="utf-8")
    at = text.index("\n)\n", text.index("VARIANTS: "))
    table.write_text(f"{text[:at]}\n{row.rstrip()}{text[at:]}", encoding="utf-8")


def run(root: Path, *command: str, timeout: float = 60.0) -> str:
    """Run Python in the copy; return its output. It must exit with status 0."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env=environment(PYTHONPATH=os.fspath(root)),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def contract(root: Path, name: str) -> str:
    """Run the contract in the copy for the model `name`; return pytest's last line."""
    said = run(root, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", name, "tests/contract", timeout=300)
    return said.splitlines()[-1]
