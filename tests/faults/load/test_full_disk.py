"""A full disk while results are written: earlier results stay readable, and one line says what to do."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.load.locust import headless
from tests.support.processes import ROOT, eventually
from tests.support.stubs.recording import Stub, honest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="to mount a small disk takes root")

MEASURED = "[ 2/"
"""A comparison's output when its second run begins."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> None:
    """Fill the disk."""
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(1024))
    with pytest.raises(OSError, match="No space left on device"):
        (disk / "more").write_bytes(bytes(4096))
    (disk / "more").unlink(missing_ok=True)


def test_an_unwritable_result_keeps_the_older_one(disk: Path, tmp_path: Path) -> None:
    result = disk / "result.json"
    older = '{"older": "whole"}\n'
    result.write_text(older)
    with Stub(honest) as stub:
        arguments = ("AsyncioUser", "-u", "3", "-r", "100", "--scenario", "saturate", "--think", "0.01")
        with headless(tmp_path, *arguments, "--result", str(result), targets={"asyncio": stub.address}) as locust:
            eventually(lambda: len(stub.texts) > 50, "load flows")
            fill(disk)
            assert locust.stop(signal.SIGTERM) == 1
    said = f"Cannot write the result to {result}: No space left on device. Free space there, or choose another --result"
    assert next(line for line in locust.log.splitlines() if "No space left" in line).endswith(said)
    assert locust.log.count("No space left") == 1
    assert "Traceback" not in locust.log
    assert "asyncio" in locust.log.split("variant")[1], "the figures are on the terminal all the same"
    assert result.read_text() == older
    assert sorted(path.name for path in disk.iterdir()) == ["ballast", "result.json"]


def test_a_comparison_keeps_what_it_has_measured_before(disk: Path) -> None:
    quick = ("--scenarios", "saturate", "--clients", "3", "--seconds", "1", "--variants", "single", "asyncio")
    command = [sys.executable, "-m", "tests.support.load.compare", *quick, "--repeats", "3", "--output", str(disk)]
    said = ""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            while MEASURED not in said:
                read = process.stdout.read(1)
                assert read, said
                said += read
            fill(disk)
            out, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 1, out + errors
    [folder] = [path for path in disk.iterdir() if path.is_dir() and not path.is_symlink()]
    assert errors == (
        f"tcplab: the result could not be kept in {folder}: No space left on device; free space there, or name another"
        " folder with --output. compare.json has what was measured before\n"
    )
    kept = json.loads((folder / "compare.json").read_text())
    assert [run["status"] for run in kept["runs"]] == ["done", *["not run"] * 5]
    assert not kept["complete"]
    assert [path.name for path in folder.iterdir()] == ["compare.json"]
    (disk / "ballast").unlink()
    drawn = subprocess.run(
        [sys.executable, "-m", "loadtest", "report", str(folder / "compare.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert "1 of 6" in drawn.stdout
