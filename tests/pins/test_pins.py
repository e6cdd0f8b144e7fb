"""The list of pins names every version that a file of the lab pins, and no other."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.pins.support import FILE, Pin, read

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = Path("servers/Dockerfile")
STAND_INS = Path("tests/docker_engine/stand-ins")
FREE_THREADED = Path("tests/free_threaded/build")
GATE = Path("loadtest/compare/gate.yml")
COMPOSE = [Path("docker-compose.yml"), *(path.relative_to(ROOT) for path in ROOT.glob("*/*.yml"))]

Found = set[tuple[str, str, str]]
"""Pins as (where, name, version)."""


def text(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def of_compose(where: Path, written: str) -> Found:
    """Return the images of others that a Compose file names."""
    services = (yaml.safe_load(written) or {}).get("services", {})
    images = {service["image"] for service in services.values() if "image" in service}
    return {(str(where), *split(image)) for image in images if not image.startswith("tcplab-")}


def split(image: str) -> tuple[str, str]:
    name, _, tag = image.partition(":")
    return name, tag


def of_dockerfile(written: str) -> Found:
    """Return the base images that are no stage of the file itself, and the Debian that each stands on."""
    stages = set(re.findall(r"(?im)^FROM .* AS (\S+)$", written))
    found: Found = set()
    for image in set(re.findall(r"(?im)^FROM (?:\$\{BASE:-)?([^\s}]+)", written)) - stages:
        name, tag = split(image)
        version, _, debian = tag.partition("-slim-")
        found |= {(str(DOCKERFILE), name, version), (str(DOCKERFILE), "debian", debian)}
    return found


def of_project(written: str) -> Found:
    """Return the packages with a version, and the oldest Python."""
    project = tomllib.loads(written)["project"]
    asked = [*project["dependencies"], *(each for some in project["optional-dependencies"].values() for each in some)]
    pinned = [each.split(";")[0].strip().split("==") for each in asked if "==" in each]
    return {("pyproject.toml", "python", project["requires-python"])} | {
        ("pyproject.toml", name, version) for name, version in pinned
    }


def of_makefile(written: str) -> Found:
    return {("Makefile", name, version) for name, version in re.findall(r"([\w-]+)==([\w.]+)", written)}


def of_dashboards(written: str) -> Found:
    return {("grafana/page.py", "grafana/grafana", each) for each in re.findall(r'^GRAFANA.*"(.+)"', written, re.M)}


def of_stand_ins(written: str) -> Found:
    """Return the Debian of the stand-ins; a version of anything else in a command would be one more place to change."""
    commands = "\n".join(line for line in written.splitlines() if not line.lstrip().startswith("#"))
    assert re.findall(r"\d+\.\d+\.\d+|:v?\d+\.\d|\btrixie\b", commands) == []
    return {(str(STAND_INS), "debian", each) for each in re.findall(r"debootstrap .* (\w+) \"\$directory\"", commands)}


def of_free_threaded(written: str) -> Found:
    """Return the Python that the tests build, and the Debian whose source it is."""
    names = {"version": "python", "release": "debian"}
    found = re.findall(r"(?m)^(version|release)=(\S+)$", written)
    return {(str(FREE_THREADED), names[name], each) for name, each in found}


def of_gate(written: str) -> Found:
    """Return the actions that the workflow uses, each by a commit, with the version beside it."""
    found = re.findall(r"(?m)^ +- uses: ([\w/-]+)@[0-9a-f]{40} # (v[\d.]+)$", written)
    assert len(found) == written.count("uses:"), "an action without its commit or its version"
    return {(str(GATE), name, version) for name, version in found}


def named() -> Found:
    """Return all that the files name."""
    found: Found = set()
    for path in COMPOSE:
        found |= of_compose(path, text(path))
    found |= of_dockerfile(text(DOCKERFILE)) | of_project(text(Path("pyproject.toml")))
    found |= of_makefile(text(Path("Makefile"))) | of_dashboards(text(Path("grafana/page.py")))
    return found | of_stand_ins(text(STAND_INS)) | of_free_threaded(text(FREE_THREADED)) | of_gate(text(GATE))


def pins() -> list[Pin]:
    return read(FILE.read_text(encoding="utf-8"))


def test_the_list_holds_what_the_files_pin() -> None:
    assert {(pin.where, pin.name, pin.version) for pin in pins()} == named()


def test_no_pin_is_listed_twice() -> None:
    listed = [(pin.where, pin.name, pin.version) for pin in pins()]
    assert len(set(listed)) == len(listed)


def test_the_same_version_ends_on_the_same_day() -> None:
    ends = {(pin.name, pin.version): pin.ends for pin in pins()}
    assert [pin for pin in pins() if pin.ends != ends[pin.name, pin.version]] == []


def test_every_image_of_others_has_an_end() -> None:
    assert [pin for pin in pins() if pin.where in {"docker-compose.yml", "servers/Dockerfile"} and not pin.ends] == []


@pytest.mark.parametrize("pin", pins(), ids=lambda pin: f"{pin.where} {pin.name}")
def test_where_an_end_was_read_is_dated(pin: Pin) -> None:
    assert re.search(r"; 20\d\d-\d\d-\d\d$", pin.read)


def changed(path: Path, old: str, new: str) -> str:
    written = text(path)
    assert old in written
    return written.replace(old, new)


def test_a_changed_pin_is_seen_in_each_file() -> None:
    compose, project, makefile = Path("docker-compose.yml"), Path("pyproject.toml"), Path("Makefile")
    page = Path("grafana/page.py")
    by_file = {pin.where: (pin.name, pin.version) for pin in pins() if pin.name not in {"python", "debian"}}
    name, version = by_file["docker-compose.yml"]
    assert ("docker-compose.yml", name, "9.9.9") in of_compose(compose, changed(compose, version, "9.9.9"))
    name, version = by_file["pyproject.toml"]
    assert ("pyproject.toml", name, "9.9.9") in of_project(changed(project, f"{name}=={version}", f"{name}==9.9.9"))
    assert ("pyproject.toml", "python", ">=3.9") in of_project(changed(project, '">=3.11"', '">=3.9"'))
    name, version = by_file["Makefile"]
    assert ("Makefile", name, "9.9.9") in of_makefile(changed(makefile, f"{name}=={version}", f"{name}==9.9.9"))
    name, version = by_file["grafana/page.py"]
    assert ("grafana/page.py", name, "9.9.9") in of_dashboards(changed(page, version, "9.9.9"))
    assert (str(DOCKERFILE), "debian", "sid") in of_dockerfile(changed(DOCKERFILE, "-slim-trixie", "-slim-sid"))
    assert (str(STAND_INS), "debian", "duke") in of_stand_ins(changed(STAND_INS, " forky ", " duke "))
    assert (str(GATE), "actions/checkout", "v9") in of_gate(changed(GATE, "# v6.0.2", "# v9"))
    newer = of_free_threaded(changed(FREE_THREADED, "\nversion=3.13\nrelease=trixie", "\nversion=3.9\nrelease=sid"))
    assert newer == {(str(FREE_THREADED), "python", "3.9"), (str(FREE_THREADED), "debian", "sid")}


def test_a_new_pin_is_seen_in_each_file() -> None:
    compose, project, makefile = Path("docker-compose.yml"), Path("pyproject.toml"), Path("Makefile")
    more = changed(compose, "\nvolumes:\n", "\n  loki:\n    image: grafana/loki:3.5.0\n\nvolumes:\n")
    assert ("docker-compose.yml", "grafana/loki", "3.5.0") in of_compose(compose, more)
    more = changed(project, '"ruff==', '"black==99.1.0", "ruff==')
    assert ("pyproject.toml", "black", "99.1.0") in of_project(more)
    assert ("Makefile", "tox", "4.0") in of_makefile(f"{text(makefile)}\n\tpip install tox==4.0\n")
    more = f"FROM alpine:3.20 AS tools\n{text(DOCKERFILE)}"
    assert (str(DOCKERFILE), "alpine", "3.20") in of_dockerfile(more)
    with pytest.raises(AssertionError):
        of_stand_ins(f"{text(STAND_INS)}\nimport prom/prometheus:v3.13.5 x\n")
    with pytest.raises(AssertionError, match="without its commit"):
        of_gate(f"{text(GATE)}\n      - uses: actions/cache@v4\n")
