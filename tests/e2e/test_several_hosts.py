"""The lab over several hosts in Compose: the files used with docker-compose.yml, and a run with them."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from servers.variants import DEFAULT, Variant
from tests.support.lab.docker import Lab, composition, fetch, until
from tests.support.lab.hosts import Part
from tests.support.lab.network import Namespace, why_no_network
from tests.support.needs import HOSTS, provided
from tests.support.processes import ROOT

SERVERS = ROOT / "loadtest" / "servers-elsewhere.yml"
WORKERS = ROOT / "loadtest" / "workers-elsewhere.yml"

HERE: Final = "198.19.77.2"
ELSEWHERE: Final = "198.19.77.5"
"""The engine's machine and a host beside it, in the block for measurements (RFC 2544)."""


def services(path: Path) -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["services"]
    return loaded


@pytest.mark.parametrize("variant", DEFAULT, ids=lambda variant: variant.name)
def test_a_server_is_published_only_where_named(variant: Variant) -> None:
    assert services(SERVERS)[variant.name] == {
        "profiles": ["servers"],
        "ports": [f"${{TCPLAB_SERVERS}}:{port}:{port}" for port in (variant.port, variant.metrics_port)],
    }


def test_all_servers_are_found_at_one_address() -> None:
    looking = {
        name
        for name, service in composition()["services"].items()
        if "TCPLAB_SINGLE" in service.get("environment", {}) or name == "prometheus"
    }
    found = {name: service for name, service in services(SERVERS).items() if "extra_hosts" in service}
    assert set(found) == looking == {"locust-master", "locust-worker", "prometheus"}
    for service in found.values():
        assert set(service["extra_hosts"]) == {variant.name for variant in DEFAULT}
        assert {re.sub(r":\?[^}]*", "", address) for address in service["extra_hosts"].values()} == {
            "${TCPLAB_SERVERS}"
        }


def test_the_masters_port_is_published_on_request_only() -> None:
    assert not any("5557" in port for each in composition()["services"].values() for port in each.get("ports", ()))
    assert not any("5557" in port for each in services(SERVERS).values() for port in each.get("ports", ()))
    [port] = services(WORKERS)["locust-master"]["ports"]
    assert re.fullmatch(r"\$\{TCPLAB_MASTER:\?[\w' ]+\.env\}:5557:5557", port)
    worker, master = services(WORKERS)["locust-worker"], composition()["services"]["locust-master"]
    assert worker["command"] == ["--worker", "--master-host", "${TCPLAB_MASTER}"]
    assert worker["build"] == master["build"]


def test_env_names_the_files_and_the_addresses() -> None:
    offered = re.findall(r"^#(\w+)=(\S+)$", (ROOT / ".env").read_text(encoding="utf-8"), re.MULTILINE)
    files, *addresses = offered
    assert files[0] == "COMPOSE_FILE"
    assert [ROOT / name for name in files[1].split(":")] == [ROOT / "docker-compose.yml", SERVERS, WORKERS]
    used = set(re.findall(r"\$\{(\w+)", SERVERS.read_text(encoding="utf-8") + WORKERS.read_text(encoding="utf-8")))
    assert [name for name, _ in addresses] == ["TCPLAB_SERVERS", "TCPLAB_MASTER"]
    assert used == {"TCPLAB_SERVERS", "TCPLAB_MASTER"}


def test_the_documented_commands_for_hosts_can_be_typed() -> None:
    text = (ROOT / "loadtest" / "HOSTS.md").read_text(encoding="utf-8")
    known = set(composition()["services"])
    composed = re.findall(r"`docker compose up([^`]*)`", text)
    assert len(composed) == 3
    for words in composed:
        options = {word for word in words.split() if word.startswith("--")}
        services_named = {word.partition("=")[0] for word in set(words.split()) - options}
        assert options <= {"--build", "--detach", "--scale"}
        assert services_named <= known
    made = re.findall(r"`make ([^`]*)`", text)
    assert [words.split()[0] for words in made] == ["servers", "master", "workers"]
    for words in made:
        done = subprocess.run(
            ["make", "--no-print-directory", "--dry-run", *words.split()],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        last = done.stdout.splitlines()[-1]
        assert last.startswith(f'.venv/bin/python -m loadtest.lab.hosts {words.split()[0]} --servers "10.0.0.5"')
        assert ("--number 4" in last, '--master "10.0.0.2"' in last) == ("N=4" in words, "MASTER=" in words)


class Apart(Lab):
    """The lab's load and observability on this host, with the files for several hosts; the servers run elsewhere."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "TCPLAB_SERVERS": ELSEWHERE, "TCPLAB_MASTER": HERE}

    def compose(self, *arguments: str, timeout: float = 120, check: bool = True) -> subprocess.CompletedProcess[str]:
        files = ("--file", str(SERVERS), "--file", str(WORKERS))
        return super().compose(*files, *arguments, timeout=timeout, check=check)


@contextmanager
def host_beside_this() -> Iterator[Namespace]:
    """Make a host at ELSEWHERE, joined to this machine (HERE) by a cable."""
    with Namespace("servers") as host:
        cable = f"tcplab-{host.name[-8:]}"
        subprocess.run(
            ["ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host.name], check=True
        )
        subprocess.run(["ip", "address", "add", f"{HERE}/24", "dev", cable], check=True)
        subprocess.run(["ip", "link", "set", cable, "up"], check=True)
        host.ip("address", "add", f"{ELSEWHERE}/24", "dev", "eth0")
        host.ip("link", "set", "eth0", "up")
        yield host


@pytest.mark.docker
def test_docker_load_with_a_server_and_worker_elsewhere(lab: Lab, tmp_path: Path) -> None:
    provided(HOSTS, why_no_network())
    names = {variant.name for variant in DEFAULT}
    with host_beside_this() as host, ExitStack() as stack:
        servers = stack.enter_context(Part(host, tmp_path, "servers", "--servers", ELSEWHERE))
        servers.says("The servers run on")
        apart = Apart(project=f"{lab.project}-apart", no_grafana=lab.no_grafana)
        stack.callback(apart.down)
        apart.up("locust-master", "locust-worker", "prometheus")
        addresses = ("--servers", ELSEWHERE, "--master", HERE, "--number", "1")
        worker = stack.enter_context(Part(host, tmp_path, "workers", *addresses))
        worker.says("1 of 1 have joined the master.")
        until(lambda: apart.load().of("tcplab_load_workers") == 2, 60, "a worker here and one there")
        until(lambda: not apart.unhealthy(), 60, "all healthy")
        until(
            lambda: {name for name, value in apart.by_variant('up{job="servers"}').items() if value == 1} == names,
            60,
            "Prometheus reaches every server",
        )
        published = apart.inspect("locust-master")["NetworkSettings"]["Ports"]["5557/tcp"]
        assert [(binding["HostIp"], binding["HostPort"]) for binding in published] == [(HERE, "5557")]
        assert {name.split("-")[-2] for name in apart.health()} == {"master", "worker", "prometheus"}
        fetch(apart.url("locust", "/stop"), {})
        until(lambda: apart.load().of("tcplab_load_users") == 0, 30, "the last counts are in")
        load = apart.load()
        for name in names:
            ended = load.of("tcplab_load_requests_total", variant=name)
            assert ended == load.of("tcplab_load_requests_total", variant=name, outcome="verified") > 0
            assert load.of("tcplab_load_sent_total", variant=name) == ended + load.of(
                "tcplab_load_abandoned_total", variant=name
            )
