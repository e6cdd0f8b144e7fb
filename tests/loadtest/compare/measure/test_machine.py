from pathlib import Path

import pytest

from loadtest.compare.measure.machine import commit, describe, share_out, siblings


@pytest.fixture
def cpus(tmp_path: Path) -> Path:
    """Make a machine with four cores of two hyperthreads each: 0 and 4, 1 and 5, ..."""
    for core in range(8):
        topology = tmp_path / f"cpu{core}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{core % 4},{core % 4 + 4}\n")
    return tmp_path


def test_hyperthreads_of_one_core(cpus: Path) -> None:
    assert siblings(1, cpus) == {1, 5}
    (cpus / "cpu1" / "topology" / "thread_siblings_list").write_text("0-3\n")
    assert siblings(1, cpus) == {0, 1, 2, 3}
    assert siblings(99, cpus) == {99}


@pytest.mark.parametrize(
    ("usable", "server", "generator", "warning"),
    [
        (range(8), {7}, {6}, None),
        ([0, 1], {1}, {0}, None),
        ([0, 1, 4], {4}, {1}, None),  # 0 shares its hardware with 4
        ([3, 7], {7}, {3}, "shared-core"),
        ([0], set(), set(), "not-pinned"),
        ([], set(), set(), "not-pinned"),
    ],
)
def test_server_and_generator_share_no_hardware_if_possible(
    cpus: Path, usable: list[int], server: set[int], generator: set[int], warning: str | None
) -> None:
    cores = share_out(usable, cpus)
    assert (set(cores.server), set(cores.generator)) == (server, generator)
    assert (cores.warning and cores.warning.name) == warning
    assert not cores.rest & cores.server


def test_the_machine_is_described() -> None:
    about = describe()
    assert about["cores"]
    assert str(about["python"]).startswith("CPython 3.")


def test_no_commit_outside_of_git(tmp_path: Path) -> None:
    assert commit(tmp_path) is None
