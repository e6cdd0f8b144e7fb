"""
Control groups: of both versions, simulated by plain files; and the kernel's own, with servers of known memory.

With TCPLAB_REQUIRE_GROUPS=1 a machine without the right to create one is a failure.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtest.compare.candidates import LAB, Candidate, own
from loadtest.compare.measure import cgroups, memory
from loadtest.compare.measure.cgroups import Group, NoGroupError
from loadtest.compare.measure.machine import Cores
from loadtest.compare.measure.memory import price
from loadtest.compare.measure.process_memory import ProcessMemory
from loadtest.compare.measure.run import Laboratory, RunFailedError, charges
from loadtest.lab.processes import Children, Interrupt
from tests.support.needs import GROUPS, provided
from tests.support.processes import ROOT

pytestmark = pytest.mark.slow

KILOBYTES_64 = 65_536

# Made of plain files

NOBODY = 99_999_999
"""A number that no process has."""


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def machine(root: Path, belongs: str, *mounts: str) -> Path:
    """Make what the kernel tells of a process in these groups, with these mounts ("ROOT POINT TYPE OPTIONS")."""
    lines = []
    for mount in mounts:
        top, point, kind, options = mount.split()
        lines.append(f"35 31 0:32 {top} {root / point} rw,relatime shared:9 - {kind} cgroup rw,{options}\n")
    write(
        root,
        {"proc/self/cgroup": belongs, "proc/self/mountinfo": "23 1 0:2 / / rw - ext4 /dev/a rw\n" + "".join(lines)},
    )
    return root / "proc"


V1 = "9:name=systemd:/\n5:cpu,cpuacct:/c\n4:memory:/lab/here\n0::/\n"
V1_MOUNTS = ("/ fs/cpu cgroup cpu,cpuacct", "/ fs/memory cgroup memory", "/ fs/unified cgroup2 nsdelegate")


def test_version_1_makes_a_child_group(tmp_path: Path) -> None:
    proc = machine(tmp_path, V1, *V1_MOUNTS)
    here = tmp_path / "fs/memory/lab/here"
    here.mkdir(parents=True)
    group = cgroups.make(proc)
    assert group.folder.parent == here
    assert group.folder.name.startswith(f"tcplab-{os.getpid()}-")
    assert group.procs == group.folder / "cgroup.procs"
    assert (group.folder / "memory.kmem.tcp.limit_in_bytes").read_text() == "-1"
    files = {
        "memory.stat": "cache 1\nrss 2\ntotal_cache 7\ntotal_rss 1000\ntotal_swap 50\n",
        "memory.kmem.usage_in_bytes": "300\n",
        "memory.kmem.tcp.usage_in_bytes": "70\n",
    }
    write(group.folder, files)
    assert group.charged() == {"anon": 1050, "kernel": 300, "sock": 70}
    write(group.folder, {"memory.stat": "total_rss 4242\n"})
    assert group.charged()["anon"] == 4242
    (group.folder / "memory.kmem.usage_in_bytes").unlink()
    assert group.charged() == {"anon": 4242, "sock": 70}, "what the kernel doesn't tell is left out, and no zero"


def test_version_1_works_with_a_hosts_names(tmp_path: Path) -> None:
    proc = machine(tmp_path, "4:memory:/docker/abc\n", "/docker/abc fs/memory cgroup memory")
    (tmp_path / "fs/memory").mkdir(parents=True)
    assert cgroups.make(proc).folder.parent == tmp_path / "fs/memory"


V2_STAT = "anon 1000\nfile 2000\nkernel 300\nkernel_stack 40\npagetables 50\npercpu 6\nsock 70\nslab 8\n"


def test_version_2_makes_a_sibling_where_delegated(tmp_path: Path) -> None:
    proc = machine(tmp_path, "0::/user/app/scope\n", "/ fs cgroup2 nsdelegate")
    passed = {"fs/user/app/scope": "", "fs/user/app": "cpu memory pids", "fs/user": "memory", "fs": "memory"}
    write(tmp_path, {f"{name}/cgroup.subtree_control": f"{words}\n" for name, words in passed.items()})
    group = cgroups.make(proc)
    assert group.folder.parent == tmp_path / "fs/user/app"
    write(group.folder, {"memory.stat": V2_STAT})
    assert group.charged() == {"anon": 1000, "kernel": 300, "sock": 70}
    write(group.folder, {"memory.swap.current": "5\n"})
    assert group.charged()["anon"] == 1005
    write(group.folder, {"memory.stat": V2_STAT.replace("kernel 300\n", "")})  # before Linux 5.18
    assert group.charged()["kernel"] == 40 + 50 + 6 + 8


def test_version_2_goes_up_where_it_must(tmp_path: Path) -> None:
    proc = machine(tmp_path, "0::/a/b\n", "/ fs cgroup2 rw")
    write(tmp_path, {"fs/a/b/cgroup.subtree_control": "memory\n", "fs/cgroup.subtree_control": "memory\n"})
    refuse(tmp_path / "fs/a/b")
    assert cgroups.make(proc).folder.parent == tmp_path / "fs"


def refuse(parent: Path) -> None:
    """Prevent groups in a folder, even for root: their names exist already."""
    for number in range(1000):
        (parent / f"tcplab-{os.getpid()}-{number}").write_text("")


def why(proc: Path) -> str:
    with pytest.raises(NoGroupError) as caught:
        cgroups.make(proc)
    return str(caught.value)


def test_why_there_is_none(tmp_path: Path) -> None:
    assert why(tmp_path / "proc") == "this system has no control groups"
    assert why(machine(tmp_path, "9:name=systemd:/\n")) == "this system has no control groups for memory"
    assert why(machine(tmp_path, V1, "/ fs/cpu cgroup cpu")) == "the control groups are not mounted here"
    proc = machine(tmp_path, "0::/scope\n", "/ fs cgroup2 rw")
    write(tmp_path, {"fs/scope/cgroup.subtree_control": "\n", "fs/cgroup.subtree_control": "cpu pids\n"})
    assert why(proc) == (
        f"no group from {tmp_path}/fs/scope upwards passes the memory controller on (cgroup.subtree_control): run as"
        " root, or in a delegated group, as in: systemd-run --user --scope make compare"
    )


def test_why_none_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proc = machine(tmp_path, V1, *V1_MOUNTS)

    def read_only(path: Path) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "mkdir", read_only)
    expected = (
        f"none can be made in {tmp_path}/fs/memory/lab/here (Read-only file system): run as root, outside a container"
    )
    assert why(proc) == expected
    with cgroups.group(proc) as none:
        assert str(none) == expected


def test_leftovers_are_removed_unless_in_use(tmp_path: Path) -> None:
    proc = machine(tmp_path, V1, *V1_MOUNTS)
    here = tmp_path / "fs/memory/lab/here"
    left, used, foreign = here / f"tcplab-{NOBODY}-1", here / "tcplab-4711-1", here / "docker"
    for folder in (left, used, foreign, proc / "4711"):
        folder.mkdir(parents=True)
    cgroups.make(proc)
    assert (left.exists(), used.exists(), foreign.exists()) == (False, True, True)


def test_an_invisible_process_is_not_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number is read as 0, and a signal to 0 would be one to ourselves."""
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: killed.append(pid))
    monkeypatch.setattr(cgroups, "_EMPTY_WITHIN", 0.05)
    write(tmp_path, {"cgroup.procs": f"0\n{NOBODY}\n"})
    group = Group(tmp_path, dict)
    group.remove()
    assert set(killed) == {NOBODY}
    assert group.holds([NOBODY])
    assert not group.holds([0])


# The kernel's own


@pytest.fixture(scope="module")
def parent() -> Path:
    """Return the group in which ours are made, where this machine lets us make any."""
    with cgroups.group() as found:
        if isinstance(found, Group):
            return found.folder.parent
    provided(GROUPS, f"there is no control group to be had: {found}")
    raise AssertionError("neither a group nor a reason")


def made_by(parent: Path, pid: int) -> list[str]:
    return [each.name for each in parent.glob(f"tcplab-{pid}-*")]


class StubLaboratory(Laboratory):
    """Starts the stub in place of the lab's servers."""

    options: Mapping[str, Any] = {}

    def server_command(self, _candidate: Candidate) -> list[str]:
        return [sys.executable, "-m", "tests.support.stubs.memory", json.dumps(self.options)]


@contextmanager
def laboratory(folder: Path, kind: type[Laboratory] = Laboratory, **options: Any) -> Iterator[Laboratory]:
    children = Children(patience=2.0)
    with Interrupt(children) as interrupt, children:
        found = kind(folder, Cores(), children, interrupt)
        if isinstance(found, StubLaboratory):
            found.options = options
        yield found


def test_64_kb_per_client_within_5_percent(parent: Path, tmp_path: Path) -> None:
    with laboratory(tmp_path, StubLaboratory, connected=KILOBYTES_64) as lab:
        found = price([lab.weigh(LAB["asyncio"], 400) for _ in range(3)])
    assert found.container_why == ""
    assert set(found.container_silent) == {"anon", "kernel", "sock", "total"}
    anon = found.container_silent["anon"]
    assert anon.value == pytest.approx(KILOBYTES_64, rel=0.05)
    assert anon.value == pytest.approx(found.silent.value, rel=0.02), "both see the program's own memory"
    assert (anon.r2 or 0) > 0.999
    total = found.container_silent["total"]
    low, high = total.low, total.high
    assert low is not None
    assert high is not None
    # A socket, its file and its place in epoll, and the page tables of the 64 kB: more than nothing, and little.
    assert 0.95 * KILOBYTES_64 < low <= high < 1.2 * KILOBYTES_64
    assert (total.base or 0) > (anon.base or 0) > 1_000_000
    assert made_by(parent, os.getpid()) == []


def test_the_kernels_part_of_a_thread_is_seen(parent: Path, tmp_path: Path) -> None:
    with laboratory(tmp_path) as lab:
        found = price([lab.weigh(LAB["threaded"], 200)])
    kernel, total = found.container_silent["kernel"].value, found.container_silent["total"].value
    assert kernel is not None
    assert total is not None
    assert found.silent.value is not None
    assert 16_384 < kernel < 100_000, "a thread's stack in the kernel alone has 16 kB (arch/x86, arch/arm64)"
    assert total == pytest.approx(found.silent.value + kernel, rel=0.1)
    assert made_by(parent, os.getpid()) == []


def test_unread_input_is_charged_to_the_server(parent: Path) -> None:
    unread = 50_000  # less than the buffers of either side
    accepts = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True);"
    accepts += "c = s.accept(); print('accepted', flush=True); time.sleep(60)"
    with cgroups.group() as group:
        assert isinstance(group, Group)
        process = join(group, [sys.executable, "-c", accepts])
        try:
            assert process.stdout is not None
            with socket.create_connection(("127.0.0.1", int(process.stdout.readline()))) as client:
                process.stdout.readline()
                before = group.charged()["sock"]
                client.sendall(bytes(unread))
                deadline = time.monotonic() + 10
                while group.charged()["sock"] - before < unread and time.monotonic() < deadline:
                    time.sleep(0.01)
                assert unread <= group.charged()["sock"] - before < 10 * unread
        finally:
            end(process)
    assert made_by(parent, os.getpid()) == []


def join(group: Group, command: Sequence[str]) -> subprocess.Popen[str]:
    procs = str(group.procs)
    launcher = ["sh", "-c", 'echo 0 > "$0" && exec "$@"', procs, *command]
    return subprocess.Popen(launcher, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_leftover_processes_end_with_their_group(parent: Path) -> None:
    leaves = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
    leaves += " start_new_session=True); print(p.pid, flush=True)"
    with cgroups.group() as group:
        assert isinstance(group, Group)
        process = join(group, [sys.executable, "-c", leaves])
        assert process.stdout is not None
        left = psutil.Process(int(process.stdout.readline()))
        process.wait()
        process.stdout.close()
        assert group.holds([left.pid])
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
    assert made_by(parent, os.getpid()) == []


@pytest.mark.usefixtures("parent")
def test_a_server_outside_its_group_is_not_weighed(tmp_path: Path) -> None:
    """What its former group is charged with is not what it takes: shown as that, it would be an artefact."""
    with cgroups.group() as group:
        assert isinstance(group, Group)
        outside = str(group.folder.parent / "cgroup.procs")
        process = join(group, ["sh", "-c", f"echo 0 > {outside}; echo left; exec sleep 60"])
        try:
            assert process.stdout is not None
            process.stdout.readline()
            read, why_not = charges(process.pid, "", group)
        finally:
            end(process)
    assert read is None
    assert why_not == (
        f"no control group of its own: not all of its processes could join {group.folder}, or stayed in it"
    )


def test_a_missing_group_is_explained_in_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_proc: Path) -> Group:
        raise NoGroupError("none can be made in /here (Read-only file system)")

    monkeypatch.setattr(cgroups, "make", none)
    with laboratory(tmp_path, StubLaboratory) as lab:
        found = price([lab.weigh(LAB["asyncio"], 50)])
    assert (found.container_silent, found.container_spoken) == ({}, {})
    assert found.container_why == ("no control group of its own: none can be made in /here (Read-only file system)")
    assert found.silent.value is not None


def test_the_group_is_removed_after_a_servers_crash(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def crash(serving: memory.Serving, *_: object) -> memory.MemoryRun:
        seen.append(made_by(parent, os.getpid()))
        assert isinstance(serving.seen, ProcessMemory)
        os.kill(serving.seen.pid, signal.SIGSEGV)
        raise memory.NotMeasuredError("the server ended while its memory was measured")

    monkeypatch.setattr(memory, "measure", crash)
    with laboratory(tmp_path, StubLaboratory) as lab, pytest.raises(RunFailedError, match="the server ended while"):
        lab.weigh(LAB["asyncio"], 50)
    assert [len(names) for names in seen] == [1]
    assert made_by(parent, os.getpid()) == []


def test_a_server_that_fails_leaves_no_group(parent: Path, tmp_path: Path) -> None:
    with laboratory(tmp_path) as lab, pytest.raises(RunFailedError, match="does not serve"):
        lab.weigh(own("mine=false {port}", 0), 50)
    assert made_by(parent, os.getpid()) == []


@pytest.fixture
def weighing(parent: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a comparison, and wait until it has a server in a group."""
    options = ["--variants", "threaded", "--clients", "1", "--seconds", "1", "--warmup", "1", "--memory"]
    command = [sys.executable, "-m", "tests.support.load.compare", *options, "--output", str(tmp_path / "results")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any((parent / name / "cgroup.procs").read_text() for name in made_by(parent, process.pid)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield process
    end(process)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_group_is_removed_after_ctrl_c(
    parent: Path, weighing: subprocess.Popen[str], number: signal.Signals
) -> None:
    weighing.send_signal(number)
    assert weighing.wait(30) == 130
    assert made_by(parent, weighing.pid) == []


def test_after_kill_9_the_next_one_removes_it(parent: Path, weighing: subprocess.Popen[str]) -> None:
    weighing.kill()
    weighing.wait()
    deadline = time.monotonic() + 10
    while made_by(parent, weighing.pid):
        assert time.monotonic() < deadline
        with cgroups.group():  # its server is ended by the kernel, which takes a moment
            time.sleep(0.02)
