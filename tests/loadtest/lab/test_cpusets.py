"""The cores of the lab in Docker, from what lscpu said on machines of several kinds."""

from pathlib import Path

import pytest
import yaml

from loadtest.lab.cpusets import HEADER, Sets, divided, hyperthreads, override, write
from servers.variants import VARIANTS
from tests.support.processes import ROOT

COMMENT = "# The following is the parsable format, which can be fed to other\n# CPU,Core,Socket\n"
TWO = COMMENT + "0,0,0\n1,1,0\n"
FOUR = COMMENT + "".join(f"{cpu},{cpu},0\n" for cpu in range(4))
EIGHT = COMMENT + "".join(f"{cpu},{cpu},0\n" for cpu in range(8))
WORKSTATION = COMMENT + "".join(f"{cpu},{cpu % 4},0\n" for cpu in range(8))  # hyperthreads: 0 and 4, 1 and 5, ...
CLOUD = COMMENT + "".join(f"{cpu},{cpu // 2},0\n" for cpu in range(8))  # hyperthreads: 0 and 1, 2 and 3, ...
SMALL_CLOUD = COMMENT + "".join(f"{cpu},{cpu // 2},0\n" for cpu in range(4))
ONE_WITH_HYPERTHREADS = COMMENT + "0,0,0\n1,0,0\n2,0,0\n3,0,0\n"
TWO_SOCKETS = COMMENT + "0,0,0\n1,1,0\n2,0,1\n3,1,1\n"


def test_hyperthreads_of_a_core_are_together() -> None:
    assert hyperthreads(WORKSTATION) == [(0, 4), (1, 5), (2, 6), (3, 7)]
    assert hyperthreads(CLOUD) == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert hyperthreads(TWO_SOCKETS) == [(0,), (1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("listed", "sets"),
    [
        (TWO, None),
        (ONE_WITH_HYPERTHREADS, None),
        (FOUR, Sets(servers=(2, 3), load=(1,), rest=(0,))),
        (TWO_SOCKETS, Sets(servers=(2, 3), load=(1,), rest=(0,))),
        (EIGHT, Sets(servers=(3, 4, 5, 6, 7), load=(1, 2), rest=(0,))),
        (WORKSTATION, Sets(servers=(2, 3, 6, 7), load=(1, 5), rest=(0, 4))),
        (CLOUD, Sets(servers=(4, 5, 6, 7), load=(2, 3), rest=(0, 1))),
        (SMALL_CLOUD, Sets(servers=(2, 3), load=(0, 1), rest=(0, 1))),
    ],
)
def test_each_part_has_cores_of_its_own(listed: str, sets: Sets | None) -> None:
    assert divided(hyperthreads(listed)) == sets


def test_every_service_of_the_lab_is_placed() -> None:
    def lasting(services: dict[str, dict[str, object]]) -> set[str]:
        return {name for name, each in services.items() if each.get("profiles") in (None, ["more"])}

    placed = yaml.safe_load(override(Sets((2, 3), (1,), (0,))))["services"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    assert placed.keys() == lasting(compose)
    assert {name: each["cpuset"] for name, each in placed.items()} == {
        **{variant.name: "2,3" for variant in VARIANTS},
        "locust-worker": "1",
        "locust-master": "0",
        "prometheus": "0",
        "grafana": "0",
    }


def test_the_file_is_written_and_removed(tmp_path: Path) -> None:
    file = tmp_path / "docker-compose.override.yml"
    said = write(Sets((2, 3), (1,), (0,)), file)
    assert said.startswith("servers on cores 2,3, load on 1, the rest of the lab on 0")
    assert file.read_text(encoding="utf-8").startswith(HEADER)
    assert "locust-worker" in yaml.safe_load(file.read_text(encoding="utf-8"))["services"]
    assert "share all cores" in write(None, file)
    assert not file.exists()
    assert "share all cores" in write(None, file)


def test_another_override_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "docker-compose.override.yml"
    file.write_text("services: {}\n", encoding="utf-8")
    for sets in (Sets((2, 3), (1,), (0,)), None):
        with pytest.raises(ValueError, match="`make cpusets` did not write"):
            write(sets, file)
    assert file.read_text(encoding="utf-8") == "services: {}\n"
