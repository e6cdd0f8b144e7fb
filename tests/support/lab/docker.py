"""The lab in Docker, driven through `docker compose`, its published ports and Prometheus's HTTP API."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import yaml
from prometheus_client.parser import text_string_to_metric_families

from servers.variants import VARIANTS
from tests.support.processes import ROOT, free_ports

FILE = ROOT / "docker-compose.yml"
WITHOUT_GRAFANA = ROOT / "tests" / "e2e" / "without-grafana.yml"

CANARY = "a-canary-that-the-user-keeps-in-the-environment"
"""A value in the environment of every docker command here, which must appear nowhere else."""

PORTS = (*(variant.name for variant in VARIANTS), "locust", "prometheus", "grafana")

Labels = frozenset[tuple[str, str]]
T = TypeVar("T")


class Samples(dict[tuple[str, Labels], float]):
    """One scrape of a /metrics, by name and labels."""

    def of(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of `name` with these labels; AssertionError if there is none."""
        wanted = labels.items()
        found = [value for (each, has), value in self.items() if each == name and wanted <= set(has)]
        assert found, f"no sample of {name} {labels}"
        return sum(found)


def composition() -> dict[str, Any]:
    """Return docker-compose.yml with anchors resolved, variables not."""
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def why_no_docker() -> str:
    """Return in one line why the lab can't start here; empty if it can."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    for command, lacks in (
        (("docker", "version", "--format", "{{.Server.Version}}"), "no Docker Engine answers"),
        (("docker", "compose", "version", "--short"), "docker has no Compose v2 plugin"),
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            return f"{lacks}: {(done.stderr.strip() or '?').splitlines()[-1]}"
    return ""


def fetch(url: str, form: Mapping[str, Any] | None = None, timeout: float = 10) -> bytes:
    """Return the body of a GET, or of a POST with a form."""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=timeout) as response:
        body: bytes = response.read()
    return body


def until(check: Callable[[], T], seconds: float, what: str, pause: float = 0.5) -> T:
    """Return the first true value of `check`; AssertionError with `what` and the last value if none comes in time."""
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what} (the last look: {value!r})"
        time.sleep(pause)
    return value


@dataclass(slots=True)
class Lab:
    """
    One lab with its own project name and ports, so that others on the machine do not interfere.

    no_grafana: why Grafana is left out; empty if it runs. settings: those of .env that differ. began, healthy_at: when
    `up` was called, and when all services were healthy (monotonic clock, seconds).
    """

    project: str = field(default_factory=lambda: f"tcplab-e2e-{os.getpid()}")
    ports: dict[str, int] = field(
        default_factory=lambda: dict(zip(PORTS, map(int, free_ports(len(PORTS))), strict=True))
    )
    no_grafana: str = field(default="", repr=False)
    settings: dict[str, str] = field(default_factory=dict)
    began: float = 0.0
    healthy_at: float = 0.0

    @property
    def environment(self) -> dict[str, str]:
        """Docker's environment: this lab's ports, without a developer's settings for the lab."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TCPLAB_", "COMPOSE_"))}
        mine = {f"TCPLAB_PORT_{name.upper()}": str(port) for name, port in self.ports.items()}
        return {
            **kept,
            **mine,
            **self.settings,
            "CANARY": CANARY,
            "TCPLAB_UID": str(os.getuid()),
            "TCPLAB_GID": str(os.getgid()),
        }

    @property
    def services(self) -> list[str]:
        """The services that `up` starts here."""
        chosen = self.settings.get("COMPOSE_PROFILES", "").split(",")
        return [
            name
            for name, service in composition()["services"].items()
            if not {*service.get("profiles", chosen)}.isdisjoint(chosen) and not (name == "grafana" and self.no_grafana)
        ]

    def docker(self, *arguments: str, timeout: float = 120, check: bool = True) -> str:
        """Return docker's output."""
        return self._run(("docker", *arguments), timeout, check=check).stdout

    def compose(self, *arguments: str, timeout: float = 120, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run docker compose on this lab."""
        files = [FILE, *([WITHOUT_GRAFANA] if self.no_grafana else [])]
        chosen = [word for file in files for word in ("--file", str(file))]
        command = ("docker", "compose", "--project-name", self.project, "--project-directory", str(ROOT), *chosen)
        return self._run((*command, *arguments), timeout, check=check)

    def _run(self, command: Sequence[str], timeout: float, *, check: bool) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, env=self.environment, cwd=ROOT
        )
        assert not (check and done.returncode), f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done

    # Containers

    def containers(self, service: str = "") -> list[str]:
        """Return the container ids of a service (or of all), running or not."""
        return self.compose("ps", "--all", "--quiet", *([service] if service else [])).stdout.split()

    def inspect(self, service: str) -> dict[str, Any]:
        """Return `docker inspect` of the service's only container."""
        (container,) = self.containers(service)
        (found,) = json.loads(self.docker("inspect", container))
        return dict(found)

    def health(self) -> dict[str, str]:
        """Return each container's health, or its state if it isn't running, by name."""
        ids = self.containers()
        if not ids:
            return {}
        states = {one["Name"].strip("/"): one["State"] for one in json.loads(self.docker("inspect", *ids))}
        return {
            name: state["Health"]["Status"] if state["Running"] else state["Status"] for name, state in states.items()
        }

    def unhealthy(self) -> dict[str, str]:
        """Return the health of the containers that are not healthy."""
        return {name: health for name, health in self.health().items() if health != "healthy"}

    def logs(self, *services: str) -> str:
        """Return the services' last log lines."""
        return self.compose("logs", "--no-color", "--tail", "15", *services).stdout

    def exec(self, service: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the service's container."""
        return self.compose("exec", "--no-TTY", service, *command, check=check)

    # What it measures

    def url(self, name: str, path: str = "") -> str:
        """Return an address at the published port of this name."""
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def samples(self, where: str) -> Samples:
        """Scrape an exporter on the lab's own network (host:port), from Prometheus's container."""
        text = self.exec("prometheus", "wget", "-q", "-O", "-", f"http://{where}/metrics").stdout
        return Samples(
            ((sample.name, frozenset(sample.labels.items())), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        )

    def load(self) -> Samples:
        """Scrape the load's master."""
        return self.samples("locust-master:9104")

    def query(self, promql: str, *, at: float | None = None) -> list[tuple[dict[str, str], float]]:
        """Return an instant query's series as (labels, value), from the lab's Prometheus; `at` is in unix seconds."""
        when = {} if at is None else {"time": at}
        answer = json.loads(fetch(self.url("prometheus", "/api/v1/query"), {"query": promql, **when}))
        assert answer["status"] == "success", answer
        return [(series["metric"], float(series["value"][1])) for series in answer["data"]["result"]]

    def by_variant(self, promql: str, *, at: float | None = None) -> dict[str, float]:
        """Return a query's values by variant."""
        return {labels["variant"]: value for labels, value in self.query(promql, at=at)}

    def stats(self) -> dict[str, Any]:
        """Return the statistics of Locust's page."""
        answer: dict[str, Any] = json.loads(fetch(self.url("locust", "/stats/requests")))
        return answer

    def workers(self) -> list[dict[str, Any]]:
        """Return Locust's list of its workers."""
        return list(self.stats()["workers"])

    def dialogue(self, service: str, sent: bytes, seconds: float = 30) -> bytes:
        """Send to a server's published port; return its replies until it closes."""
        with socket.create_connection(("127.0.0.1", self.ports[service]), timeout=seconds) as client:
            client.sendall(sent)
            return b"".join(iter(lambda: client.recv(4096), b""))

    # Up and down

    def up(self, *arguments: str) -> None:
        """Start the services that are down; leave the others alone."""
        self.compose("up", "--detach", "--no-recreate", *arguments)

    def wait_healthy(self, seconds: float) -> None:
        """Wait until every container is healthy."""
        try:
            until(lambda: not self.unhealthy(), seconds, f"healthy: {self.services}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.unhealthy()}\n{self.logs()}") from None

    def down(self) -> None:
        """Remove everything."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans")

    def left_over(self) -> list[str]:
        """Return this project's remaining containers, volumes and networks."""
        mine = f"label=com.docker.compose.project={self.project}"
        return [
            f"{kind} {line}"
            for kind, command in (("container", "ps --all"), ("volume", "volume ls"), ("network", "network ls"))
            for line in self.docker(*command.split(), "--filter", mine, "--quiet").split()
        ]


def brought_up(**settings: str) -> Iterator[Lab]:
    """Build and start the lab with these settings, yield it once it is healthy, and take it down."""
    lab = Lab(settings=settings)
    image = composition()["services"]["grafana"]["image"]
    if lab._run(("docker", "image", "inspect", image), 60, check=False).returncode:
        pulled = lab._run(("docker", "pull", "--quiet", image), 600, check=False)
        lab.no_grafana = pulled.stderr.strip().splitlines()[-1] if pulled.returncode else ""
    try:
        lab.compose("build", timeout=900)
        lab.began = time.monotonic()
        lab.up()
        lab.wait_healthy(120)
        lab.healthy_at = time.monotonic()
        yield lab
    finally:
        lab.down()
