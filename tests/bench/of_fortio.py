"""
The load beside fortio in its TCP mode (Go), where Go is at hand: CPU for each request that is sent and verified.

Fortio compares its echo too, so it gets the bare echo server; the load gets the null server, which answers by the
wire. A B A B, in fresh processes, the server on one core and the load on the other; neither pauses.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.bench.candidate import candidate
from tests.bench.of_load import CLIENTS, LOAD, PAIRS, SECONDS, speed
from tests.bench.ratios import report

VERSION: Final = "fortio.org/fortio@v1.66.5"
"""Later ones need a module that isn't everywhere to be had."""

SIZE: Final = 64


def built(folder: Path) -> Path | str:
    """Build it in `folder`; return its path, or why it isn't there."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        return "there is no Go here"
    where = {"GOBIN": str(folder), "GOPATH": str(folder / "path"), "GOFLAGS": "-modcacherw"}
    done = subprocess.run([go, "install", VERSION], env=os.environ | where, capture_output=True, text=True, check=False)
    return folder / "fortio" if done.returncode == 0 else f"go install {VERSION} failed: {done.stderr.splitlines()[-1]}"


def fortio(program: Path, cores: Sequence[int], folder: Path) -> dict[str, float]:
    """CPU per request and throughput while every connection always has a request under way."""
    found = folder / "fortio.json"
    with candidate("protocol", baseline=True, core=cores[0]) as server:
        options = f"-quiet -qps 0 -c {CLIENTS} -t {SECONDS:g}s -payload-size {SIZE} -json {found}".split()
        pinned = ["taskset", "--cpu-list", str(cores[1]), str(program)]  # before Go counts its cores
        process = subprocess.Popen(
            [*pinned, "load", *options, f"tcp://127.0.0.1:{server.port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, "fortio failed"
    result = json.loads(found.read_text())
    assert set(result["RetCodes"]) == {"OK"}, result["RetCodes"]
    requests = result["DurationHistogram"]["Count"]
    return {"CPU us/request": (used.ru_utime + used.ru_stime) / requests * 1e6, "requests/s": result["ActualQPS"]}


def run(cores: Sequence[int]) -> None:
    """Run it: the servers on the first core, the loads on the second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("\rload: building fortio ", end="", file=sys.stderr, flush=True)
        program = built(folder)
        print("\r", end="", file=sys.stderr)
        if isinstance(program, str):
            print(f"the load beside fortio: not measured, {program}")
            return
        ours: list[dict[str, float]] = []
        theirs: list[dict[str, float]] = []
        for pair in range(PAIRS):
            print(f"\rload: beside fortio, pair {pair + 1} of {PAIRS} ", end="", file=sys.stderr, flush=True)
            ours.append(speed(LOAD, cores))
            theirs.append(fortio(program, cores, folder))
        print("\r", end="", file=sys.stderr)
        print(f"baseline: {VERSION}, tcp:// with {SIZE} bytes against the bare echo of protocol")
        report("load", CLIENTS, ours, theirs)
