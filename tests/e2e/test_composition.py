"""docker-compose.yml and .env as written, checked without Docker."""

import re
from typing import Any

import pytest

from servers.variants import DEFAULT, VARIANTS, Variant
from tests.support.lab.docker import FILE, composition
from tests.support.processes import ROOT

SERVICES: dict[str, dict[str, Any]] = composition()["services"]
LESSON = {"command", "ports", "healthcheck", "build", "profiles"}
"""The keys in which the servers' services may differ; one service has `build`, for the image of all."""


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_is_a_service(variant: Variant) -> None:
    assert variant.name in SERVICES, f"docker-compose.yml has no service {variant.name}"
    service = SERVICES[variant.name]
    assert service["command"] == [variant.name]
    assert service["ports"] == [f"127.0.0.1:${{TCPLAB_PORT_{variant.name.upper()}:-{variant.port}}}:{variant.port}"]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_servers_differ_only_where_the_lesson_is(variant: Variant) -> None:
    def common(name: str) -> dict[str, Any]:
        return {key: value for key, value in SERVICES[name].items() if key not in LESSON}

    assert common(variant.name) == common(VARIANTS[0].name)


def test_further_models_run_only_with_their_profile() -> None:
    profiles = {variant.name: SERVICES[variant.name].get("profiles", []) for variant in VARIANTS}
    assert profiles == {variant.name: [variant.profile] if variant.profile else [] for variant in VARIANTS}
    assert [profiles[name] for name in ("single", "threaded", "asyncio", "protocol", "pool")] == [[]] * 4 + [["more"]]


def test_the_load_starts_after_further_models() -> None:
    """It looks for their names when it starts; without their profile it doesn't wait. Its workers restart with it."""
    waits = {v.name: {"condition": "service_started", "required": False} for v in VARIANTS if v.profile}
    assert SERVICES["locust-master"]["depends_on"] == waits
    others = {name: each["depends_on"] for name, each in SERVICES.items() if "depends_on" in each}
    del others["locust-master"]
    assert others == {"locust-worker": {"locust-master": {"condition": "service_started", "restart": True}}}


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_a_health_check_is_no_client(variant: Variant) -> None:
    check = SERVICES[variant.name]["healthcheck"]["test"]
    assert f"/{variant.metrics_port}" in check[-1]
    assert str(variant.port) not in check[-1]
    assert check[:2] == ["CMD", "bash"]  # an interpreter's memory and CPU would count as the server's


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_the_load_finds_every_variant(variant: Variant) -> None:
    wanted = {f"TCPLAB_{variant.name.upper()}": f"{variant.name}:{variant.port}"}
    for service in ("locust-master", "locust-worker"):
        assert wanted.items() <= SERVICES[service]["environment"].items()


def test_the_workers_alone_come_first_for_a_core() -> None:
    """What they wait for one would be in every latency."""
    assert {name: service["cpu_shares"] for name, service in SERVICES.items() if "cpu_shares" in service} == {
        "locust-worker": 262144  # the most that Docker takes
    }


def test_every_published_port_is_bound_to_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == len(VARIANTS) + 3
    assert all(port.startswith("127.0.0.1:${TCPLAB_PORT_") for port in ports)


def test_env_holds_every_variable_with_the_same_default() -> None:
    lines = (ROOT / ".env").read_text(encoding="utf-8").splitlines()
    turned = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", FILE.read_text(encoding="utf-8")))
    assert turned == used
    assert "$" not in re.sub(r"\$\{\w+:-[^}]*\}", "", FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_contained(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "cpus", "cpu_quota", "network_mode", "pid", "container_name"} & set(service)
    options = service["logging"]["options"]
    assert set(options) == {"max-size", "max-file"}
    assert service["pids_limit"] > 0
    assert service["mem_limit"] == service["memswap_limit"]


def test_grafana_logs_warnings_alone() -> None:
    assert SERVICES["grafana"]["environment"]["GF_LOG_LEVEL"] == "warn"


def test_images_are_pinned_or_our_own() -> None:
    images = {service["image"] for service in SERVICES.values()}
    assert {image for image in images if ":" not in image} == {"tcplab-server", "tcplab-load"}
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in images if ":" in image)
    stages = re.findall(r"^FROM (\S+)", (ROOT / "servers" / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(stages) == 2
    assert re.fullmatch(r"\$\{BASE:-python:3\.\d+\.\d+-slim-\w+\}", stages[0])
    assert stages[1] == "server"


def test_another_base_image_is_for_servers_alone() -> None:
    """The load's packages are not built for every Python, and its speed must not depend on it."""
    given = {name: service["build"].get("args") for name, service in SERVICES.items() if "build" in service}
    assert {name: args for name, args in given.items() if args} == {"single": {"BASE": "${TCPLAB_BASE:-}"}}


@pytest.mark.parametrize("image", ["tcplab-server", "tcplab-load"])
def test_one_service_of_up_builds_an_image(image: str) -> None:
    users = {
        name: "build" in service
        for name, service in SERVICES.items()
        if service["image"] == image and "profiles" not in service
    }
    assert sum(users.values()) == 1
    assert all(SERVICES[name]["pull_policy"] == "never" for name in users)


def test_a_server_has_time_for_its_grace() -> None:
    for variant in VARIANTS:
        service = SERVICES[variant.name]
        assert int(service["stop_grace_period"].removesuffix("s")) > service["environment"]["TCPLAB_GRACE"]


def test_prometheus_scrapes_services_alone() -> None:
    targets = re.findall(r'"([\w-]+):\d+"', (ROOT / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    assert set(targets) - {"localhost"} == {*(variant.name for variant in DEFAULT), "locust-master"}
    assert set(targets) - {"localhost"} <= set(SERVICES)
