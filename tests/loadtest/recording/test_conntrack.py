"""A connection-tracking table near its limit causes a warning, if the load process can read it."""

from pathlib import Path

import pytest

from loadtest.recording import conntrack
from loadtest.recording.counters import Effort
from loadtest.recording.recorder import Recorder, unpack
from tests.support.load.locust import locustfile, run, users
from tests.support.stubs.recording import Stub, honest


def table(folder: Path, count: str, most: str) -> Path:
    """Write files like the kernel's."""
    (folder / "nf_conntrack_count").write_text(count)
    (folder / "nf_conntrack_max").write_text(most)
    return folder


@pytest.mark.parametrize(
    ("count", "most", "share"),
    [
        ("262144\n", "262144\n", 1.0),
        ("131072\n", "262144\n", 0.5),
        ("0\n", "262144\n", 0.0),
        ("9\n", "0\n", 0.0),
        ("nonsense", "9", 0.0),
        ("", "", 0.0),
    ],
)
def test_the_share_of_the_table_in_use(count: str, most: str, share: float, tmp_path: Path) -> None:
    assert conntrack.used(table(tmp_path, count, most)) == share


def test_where_nothing_is_tracked_nothing_is_full(tmp_path: Path) -> None:
    assert conntrack.used(tmp_path / "missing") == 0.0
    (tmp_path / "nf_conntrack_count").write_text("9")
    assert conntrack.used(tmp_path) == 0.0


def test_the_fullest_moment_is_what_is_told() -> None:
    shares = [0.2, 0.97, 0.4]
    recorder = Recorder(conntrack=lambda: shares.pop(0))
    total = Effort()
    for _ in range(3):
        for part in unpack(recorder.report()):
            total.add(part.effort)
    assert total.conntrack_ratio == 0.97


@pytest.mark.parametrize(("count", "warned"), [("970", True), ("890", False)])
def test_a_table_nearly_full_is_a_warning(count: str, warned: bool, tmp_path: Path) -> None:
    folder = table(tmp_path, count, "1000")
    own = locustfile(
        tmp_path,
        "from functools import partial\nfrom pathlib import Path\nfrom loadtest.recording import conntrack\n"
        f"conntrack.used = partial(conntrack.used, Path({str(folder)!r}))\n",
        users(),
    )
    with Stub(honest) as stub:
        arguments = ("AsyncioUser", "-u", "2", "--scenario", "saturate", "--think", "0.05")
        locust = run(tmp_path, *arguments, seconds=2, locustfile=own, targets={"asyncio": stub.address})
    outcome = locust.outcome()
    assert outcome["generator"]["conntrack_ratio"] == int(count) / 1000
    said = [warning["detail"] for warning in outcome["warnings"] if warning["name"] == "conntrack"]
    assert ["was 97% full" in each for each in said] == [True] * warned
