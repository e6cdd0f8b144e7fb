"""The container's account, from control groups of either version, made of plain files."""

from pathlib import Path

import pytest

from servers.metrics.cgroup import Throttled, find

V2_STAT = "anon 1000\nfile 2000\nkernel 300\nkernel_stack 40\npagetables 50\npercpu 6\nsock 70\nslab 8\n"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_bare_machine_is_no_container(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    assert find(tmp_path / "missing") is None


def test_version_2(tmp_path: Path) -> None:
    cpu = "usage_usec 5\nnr_periods 10\nnr_throttled 3\nthrottled_usec 250000\n"
    write(tmp_path, {"memory.max": "536870912\n", "memory.stat": V2_STAT, "cpu.stat": cpu})
    found = find(tmp_path)
    assert found is not None
    assert found.memory() == {"anon": 1000, "kernel": 300, "sock": 70, "file": 2000}
    assert found.throttled() == Throttled(3, 0.25)


def test_version_2_without_a_limit_is_no_container(tmp_path: Path) -> None:
    write(tmp_path, {"memory.max": "max\n", "memory.stat": V2_STAT})
    assert find(tmp_path) is None


def test_older_version_2_has_the_kernels_parts_alone(tmp_path: Path) -> None:
    write(tmp_path, {"memory.max": "1000000\n", "memory.stat": V2_STAT.replace("kernel 300\n", "")})
    found = find(tmp_path)
    assert found is not None
    assert found.memory()["kernel"] == 40 + 50 + 6 + 8


@pytest.mark.parametrize("cpu", [{}, {"cpu.stat": "usage_usec 5\n"}], ids=["no file", "no quota"])
def test_no_account_of_throttling_is_none(tmp_path: Path, cpu: dict[str, str]) -> None:
    write(tmp_path, {"memory.max": "1000000\n", "memory.stat": V2_STAT} | cpu)
    found = find(tmp_path)
    assert found is not None
    assert found.throttled() is None


V1 = {
    "memory/memory.limit_in_bytes": "536870912\n",
    "memory/memory.stat": "cache 1\nrss 2\ntotal_cache 2000\ntotal_rss 1000\n",
    "memory/memory.kmem.usage_in_bytes": "300\n",
    "memory/memory.kmem.tcp.usage_in_bytes": "70\n",
    "cpu/cpu.stat": "nr_periods 10\nnr_throttled 3\nthrottled_time 250000000\n",
}


def test_version_1(tmp_path: Path) -> None:
    write(tmp_path, V1)
    found = find(tmp_path)
    assert found is not None
    assert found.memory() == {"anon": 1000, "kernel": 300, "sock": 70, "file": 2000}
    assert found.throttled() == Throttled(3, 0.25)


def test_version_1_without_kernel_accounting_leaves_it_out(tmp_path: Path) -> None:
    write(tmp_path, {name: text for name, text in V1.items() if "kmem" not in name})
    found = find(tmp_path)
    assert found is not None
    assert found.memory() == {"anon": 1000, "file": 2000}


def test_version_1_without_a_limit_is_no_container(tmp_path: Path) -> None:
    write(tmp_path, V1 | {"memory/memory.limit_in_bytes": "9223372036854771712\n"})
    assert find(tmp_path) is None


def test_figures_are_read_anew_each_time(tmp_path: Path) -> None:
    write(tmp_path, {"memory.max": "1000000\n", "memory.stat": V2_STAT})
    found = find(tmp_path)
    assert found is not None
    write(tmp_path, {"memory.stat": V2_STAT.replace("anon 1000", "anon 4242")})
    assert found.memory()["anon"] == 4242
