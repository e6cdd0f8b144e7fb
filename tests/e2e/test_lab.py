"""
The real lab in Docker: brought up, viewed, scaled, damaged, and taken down.

The tests share one lab, in the order of a user's session; each leaves it as it found it. Prometheus's answers are
compared with the load's own counts (its master's exporter, Locust's page).
"""

import base64
import contextlib
import errno
import json
import math
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from loadtest.check.scorecard import ROWS
from loadtest.shapes import TOUR
from servers.variants import DEFAULT, VARIANTS
from tests.e2e.leaks import leaks
from tests.e2e.looks import complaints, draw, panels
from tests.e2e.privileges import of_root
from tests.observability.queries import SCRAPE_SECONDS, Query, dashboards, queries
from tests.observability.queries import panels as committed
from tests.pins import support
from tests.support.lab.browser import Browser, browser, required
from tests.support.lab.docker import CANARY, Lab, Samples, fetch, until
from tests.support.processes import ROOT
from tests.support.servers import Client, close_all

pytestmark = pytest.mark.docker

IMAGES = ("tcplab-server", "tcplab-load")
HISTORY = (("history", "--no-trunc"), ("image", "inspect"))

NAMES = [variant.name for variant in DEFAULT]
CONCURRENT = [variant.name for variant in DEFAULT if variant.clients != 1]
QUERIES = queries(DEFAULT)
CLIENTS = 30
WINDOW = 60
"""Seconds over which figures are compared, many conversations even of the single server, where each takes 70 ms."""


def verified(load: Samples, name: str) -> float:
    return load.of("tcplab_load_requests_total", variant=name, outcome="verified")


def outcomes(load: Samples, name: str) -> float:
    return load.of("tcplab_load_requests_total", variant=name)


def replies(lab: Lab, name: str) -> float:
    port = next(variant.metrics_port for variant in DEFAULT if variant.name == name)
    return lab.samples(f"{name}:{port}").of("tcplab_requests_total", command="echo")


def failures(load: Samples) -> dict[str, float]:
    """Return the counts of failed requests and connections, by their labels."""
    return {
        f"{name} {dict(labels)}": value
        for (name, labels), value in load.items()
        if value
        and name in {"tcplab_load_requests_total", "tcplab_load_connections_total"}
        and not {("outcome", "verified"), ("outcome", "connected")} & labels
    }


def users(lab: Lab) -> dict[str, float]:
    """Return the number of clients of each variant."""
    load = lab.load()
    return {name: load.of("tcplab_load_users", variant=name) for name in NAMES}


def flows(lab: Lab, names: list[str]) -> Callable[[], bool]:
    """Return a check that each of `names` has more verified requests than at the check's first call."""
    first: dict[str, float] = {}

    def check() -> bool:
        load = lab.load()
        for name in names:
            first.setdefault(name, verified(load, name))
        return all(verified(load, name) > first[name] for name in names)

    return check


def test_all_services_are_healthy_within_a_minute(lab: Lab) -> None:
    seconds = lab.healthy_at - lab.began
    print(f"healthy after {seconds:.1f} s: {lab.health()}")
    assert seconds < 60
    assert len(lab.health()) == len(lab.services)


def test_what_is_left_out_is_said(lab: Lab) -> None:
    if lab.no_grafana:
        pytest.skip(f"Grafana is left out of the lab (tests/e2e/without-grafana.yml): {lab.no_grafana}")


def on_compare(panel: str, part: str = "") -> list[Query]:
    """Return the queries of a panel of Compare that contain `part`."""
    return [q for q in QUERIES if q.dashboard == "compare.json" and q.panel == panel and part in q.expr]


def test_panels_have_data_within_half_a_minute(lab: Lab) -> None:
    (chart,) = on_compare("Correct replies per second")
    left = lab.healthy_at + 30 - time.monotonic()
    until(lambda: set(lab.by_variant(chart.promql())) == set(NAMES), max(left, 1), f"{chart.panel} shows {NAMES}")


# Containers


def test_containers_can_do_nothing_but_their_work(lab: Lab) -> None:
    for service in lab.services:
        found = lab.inspect(service)
        host = found["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert not host["CapAdd"], service
        assert not host["Privileged"], service
        assert host["SecurityOpt"] == ["no-new-privileges:true"], service
        assert 0 < host["Memory"] == host["MemorySwap"], service
        assert host["PidsLimit"] > 0, service
        assert host["LogConfig"]["Config"].keys() == {"max-size", "max-file"}, service
        status = lab.exec(service, "cat", "/proc/1/status").stdout
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["CapEff"] == facts["CapPrm"] == facts["CapBnd"] == "0" * 16, service
        assert facts["NoNewPrivs"] == "1", service
        image = found["Config"]["Image"]
        (about,) = json.loads(lab.docker("image", "inspect", image))
        users = (found["Config"]["User"], about["Config"]["User"])
        assert of_root(*users, status, is_ours=image in IMAGES) == [], service
        assert facts["Seccomp"] == "2", service  # Docker's own filter of system calls
        bound = lab.exec(service, "cat", "/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max", check=False).stdout
        assert int(bound) == host["PidsLimit"], service
        assert lab.exec(service, "touch", "/here", check=False).returncode, service


def test_every_port_is_bound_to_loopback(lab: Lab) -> None:
    published = {
        int(binding["HostPort"]): binding["HostIp"]
        for service in lab.services
        for bindings in lab.inspect(service)["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    }
    assert set(published.values()) == {"127.0.0.1"}
    left_out = {variant.name for variant in VARIANTS if variant.profile} | ({"grafana"} if lab.no_grafana else set())
    expected = {port for name, port in lab.ports.items() if name not in left_out}
    assert set(published) == expected


def test_nobody_reaches_the_lab_from_another_machine(lab: Lab) -> None:
    """At this machine's other addresses no port of the lab answers; the load's own port is not published."""
    addresses = {
        each.address
        for some in psutil.net_if_addrs().values()
        for each in some
        if each.family == socket.AF_INET and not each.address.startswith("127.")
    }
    assert addresses, "Docker's bridge has one"
    for address in addresses:
        for port in lab.ports.values():
            with socket.socket() as client:
                client.settimeout(5)
                assert client.connect_ex((address, port)) == errno.ECONNREFUSED, (address, port)
    assert not lab.inspect("locust-master")["NetworkSettings"]["Ports"].get("5557/tcp")


def test_no_image_or_log_holds_a_secret(lab: Lab) -> None:
    said = {f"{image} {what[0]}": lab.docker(*what, image) for image in IMAGES for what in HISTORY}
    said |= {service: json.dumps(lab.inspect(service)["Config"]) for service in lab.services}
    said |= {f"{service}'s log": lab.compose("logs", "--no-color", service).stdout for service in lab.services}
    assert {where: found for where, text in said.items() if (found := leaks(text))} == {}
    # The environment of the user who starts the lab must not leak.
    assert CANARY in lab.environment.values()
    assert [where for where, text in said.items() if CANARY in text] == []


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_only_the_project(lab: Lab, image: str) -> None:
    def run(script: str) -> list[str]:
        alone = ("--rm", "--user", "0", "--network", "none", "--entrypoint", "bash")
        return lab.docker("run", *alone, image, "-c", script).splitlines()

    assert run("for tool in gcc cc g++ clang make as ld rustc cargo git; do command -v $tool; done; true") == []
    caches = "/root/.cache /home /tmp /var/tmp /var/lib/apt/lists /var/cache/apt/archives"
    assert run(f"find {caches} -type f -size +0 2>/dev/null; true") == []  # not every image has all of them
    kinds = {"requirements.lock" if "lock" in name else Path(name).suffix for name in run("find /lab -type f")}
    rooms = {"servers"} if image == "tcplab-server" else {"servers", "loadtest"}
    templates = list((ROOT / "loadtest/compare/report/html/templates").iterdir()) if "loadtest" in rooms else []
    assert kinds == {".py", ".pyc", "requirements.lock", *(path.suffix for path in templates)}
    assert set(run("ls /lab")) == rooms
    ours = {*templates, *(path for room in rooms for path in (ROOT / room).rglob("*.py"))}
    found = run("find /lab -type f ! -name '*.pyc' ! -name requirements.lock")
    assert {name.removeprefix("/lab/") for name in found} == {str(path.relative_to(ROOT)) for path in ours}


def test_what_runs_is_what_is_pinned(lab: Lab) -> None:
    pins = support.read(support.FILE.read_text(encoding="utf-8"))
    pinned = {(pin.where, pin.name): pin.version for pin in pins}
    built = json.loads(fetch(lab.url("prometheus", "/api/v1/status/buildinfo")))
    assert f"v{built['data']['version']}" == pinned["docker-compose.yml", "prom/prometheus"]
    script = "import sys, locust, uvloop; print(*sys.version_info[:2], locust.__version__, uvloop.__version__)"
    python = pinned["servers/Dockerfile", "python"].split(".")[:2]  # a stand-in image has Debian's patch level
    packages = [pinned["pyproject.toml", name] for name in ("locust", "uvloop")]
    assert lab.exec("locust-master", "python", "-c", script).stdout.split() == [*python, *packages]


def test_the_servers_have_equal_limits_and_one_image(lab: Lab) -> None:
    def limits(name: str) -> dict[str, object]:
        found = lab.inspect(name)
        keys = ("Memory", "MemorySwap", "PidsLimit", "Ulimits", "NanoCpus", "CpuQuota", "CpuShares", "CpusetCpus")
        return {"image": found["Image"], **{key: found["HostConfig"][key] for key in keys}}

    first = limits(NAMES[0])
    assert first["Memory"] == first["MemorySwap"] == 512 * 2**20
    assert not first["NanoCpus"]
    assert not first["CpuQuota"]
    for name in NAMES[1:]:
        assert limits(name) == first


def test_a_second_up_changes_nothing(lab: Lab) -> None:
    before = {lab.inspect(service)["Id"] for service in lab.services}
    lab.compose("up", "--detach")
    assert {lab.inspect(service)["Id"] for service in lab.services} == before


# Load


@pytest.mark.parametrize("name", NAMES)
def test_a_person_can_talk_to_every_server(lab: Lab, name: str) -> None:
    assert lab.dialogue(name, b"ECHO hi\nQUIT\n") == b"OK hi\nOK\n"


def test_the_load_runs_and_nothing_fails(lab: Lab) -> None:
    until(flows(lab, NAMES), 30, "verified requests for every variant")
    until(lambda: users(lab) == dict.fromkeys(NAMES, CLIENTS), 30, "all clients have started")
    assert failures(lab.load()) == {}
    stats = lab.stats()
    assert stats["state"] == "running"
    assert stats["errors"] == []
    assert stats["fail_ratio"] == 0


def test_single_queues_and_the_others_do_not(lab: Lab) -> None:
    promql = 'max by (variant) (tcplab_load_recent_seconds{series="first_reply",q="0.5"})'
    until(lambda: lab.by_variant(promql).get("single", 0) > 0.5, 60, "the single server's first reply late")
    assert lab.by_variant("tcplab_accept_queue_connections")["single"] > 8
    for name in CONCURRENT:
        assert lab.by_variant(promql)[name] < 0.01
        assert lab.by_variant("tcplab_accept_queue_connections")[name] < 5


# Queries


class Watched(NamedTuple):
    """What the load and the servers counted themselves in WINDOW seconds, by variant."""

    end: float
    """Unix seconds."""
    rates: dict[str, float]
    """Verified requests per second."""
    costs: dict[str, float]
    """CPU seconds per request."""
    first: dict[str, float]
    """Mean seconds to the first reply."""


@pytest.fixture(scope="module")
def watched(lab: Lab) -> Watched:
    """Watch for WINDOW undisturbed seconds."""
    until(lambda: time.monotonic() - lab.healthy_at > 25, 60, "the single server's queue has built up")

    def cpu(name: str) -> float:
        port = next(variant.metrics_port for variant in DEFAULT if variant.name == name)
        samples = lab.samples(f"{name}:{port}")
        return samples.of("tcplab_cpu_seconds_total") - samples.of("tcplab_scrape_cpu_seconds_total")

    def look() -> tuple[float, Samples, dict[str, float], dict[str, float]]:
        return time.time(), lab.load(), {n: cpu(n) for n in NAMES}, {n: replies(lab, n) for n in NAMES}

    then, before, cpu_before, served_before = look()
    time.sleep(WINDOW)
    now, after, cpu_after, served_after = look()

    def grown(name: str, metric: str) -> float:
        return after.of(metric, variant=name) - before.of(metric, variant=name)

    rates = {name: (verified(after, name) - verified(before, name)) / (now - then) for name in NAMES}
    costs = {n: (cpu_after[n] - cpu_before[n]) / (served_after[n] - served_before[n]) for n in NAMES}
    first = {
        n: grown(n, "tcplab_load_first_reply_seconds_sum") / grown(n, "tcplab_load_first_reply_seconds_count")
        for n in NAMES
    }
    return Watched(now, rates, costs, first)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
@pytest.mark.usefixtures("watched")
def test_every_query_of_every_panel_has_data(lab: Lab, query: Query) -> None:
    found = lab.query(query.promql())
    if query.may_be_empty:
        return
    assert found, f"no data: {query.promql()}"
    assert not [value for _, value in found if math.isnan(value)], f"not a number: {found}"
    if query.per == "variant":
        assert {labels.get("variant") for labels, _ in found} >= set(NAMES), f"not every variant: {found}"


@pytest.mark.parametrize(
    "title", [panel["title"] for panel in committed(dashboards()["capacity.json"]) if panel["type"] == "trend"]
)
@pytest.mark.usefixtures("watched")
def test_every_figure_has_a_point_per_variant(lab: Lab, title: str) -> None:
    panel = title.replace("${series:text}", "Response time")
    (drawn,) = {q.promql() for q in QUERIES if q.dashboard == "capacity.json" and q.panel == panel and q.ref == "B"}
    assert set(lab.by_variant(drawn)) == set(NAMES)


def about(expected: dict[str, float]) -> object:
    return pytest.approx(expected, rel=0.1)


SIDE_BY_SIDE = "Side by side: the last ten seconds of this stage"


def asked(lab: Lab, panel: str, watched: Watched) -> dict[str, float]:
    """Return a panel's values by variant, with rates over the watched seconds."""
    (query,) = on_compare(panel)
    return lab.by_variant(query.promql(rate_interval=f"{WINDOW}s"), at=watched.end)


def side_by_side(lab: Lab, part: str, watched: Watched) -> dict[str, float]:
    """Return the mean of a figure of ten seconds over the watched ones: in ten seconds a request's cost varies."""
    (query,) = on_compare(SIDE_BY_SIDE, part)
    return lab.by_variant(f"avg_over_time(({query.promql()})[{WINDOW - 10}s:{SCRAPE_SECONDS}s])", at=watched.end)


def test_throughput_agrees_with_the_loads_own_counts(lab: Lab, watched: Watched) -> None:
    assert asked(lab, "Correct replies per second", watched) == about(watched.rates)
    assert side_by_side(lab, 'recent_rate{outcome="verified"}', watched) == about(watched.rates)


def test_cpu_per_request_agrees_with_server_counts(lab: Lab, watched: Watched) -> None:
    assert asked(lab, "CPU per request", watched) == about(watched.costs)
    assert side_by_side(lab, "cpu_seconds_per_request", watched) == about(watched.costs)


def test_first_replies_agree_with_the_loads_times(lab: Lab, watched: Watched) -> None:
    # The age of the oldest that waits, where most wait: somewhat more than the mean of those that came.
    single = asked(lab, "A new client's wait", watched)["single"]
    assert 0.9 * watched.first["single"] < single < 1.5 * watched.first["single"]


def test_the_queue_agrees_with_the_loads_own_connections(lab: Lab) -> None:
    # All connected clients but the served one wait.
    promql = 'avg_over_time(tcplab_accept_queue_connections{variant="single"}[1m])'
    connected = 'avg_over_time(tcplab_load_clients_connected{variant="single"}[1m])'
    (waiting,), (clients,) = lab.query(promql), lab.query(connected)
    assert waiting[1] == pytest.approx(clients[1] - 1, rel=0.1)


def test_no_servers_reply_is_lost_or_invented(lab: Lab) -> None:
    for name in NAMES:
        before, echoed, after = lab.load(), replies(lab, name), lab.load()
        talks = 1  # from test_a_person_can_talk_to_every_server
        sent = after.of("tcplab_load_sent_total", variant=name)
        # The workers' counts reach the exporter once a second.
        slack = 2 * CLIENTS + 3 * (sent / (time.monotonic() - lab.healthy_at))
        assert verified(before, name) - slack <= echoed - talks <= sent + slack


# Scaling


def conserved(load: Samples, name: str) -> tuple[float, float]:
    """Return the requests sent, and the sum of their outcomes: both are equal at any moment."""
    open_or_left = load.of("tcplab_load_unanswered", variant=name) + load.of(
        "tcplab_load_abandoned_total", variant=name
    )
    return load.of("tcplab_load_sent_total", variant=name), outcomes(load, name) + open_or_left


OF_A_WORKER = ("Requests ended per second, by worker", "CPU, share of one core", "Timer lag p99")
"""Charts of the dashboard Load generator."""


def shown_of_workers(lab: Lab) -> dict[str, int]:
    """Return the number of lines of each chart with a line for each worker."""
    return {one.panel: len(lab.query(one.promql())) for one in QUERIES if one.panel in OF_A_WORKER}


def test_workers_can_be_added_during_the_run(lab: Lab) -> None:
    before = lab.load()
    lab.compose("up", "--detach", "--no-recreate", "--scale", "locust-worker=3")
    try:

        def spread() -> bool:
            workers = lab.workers()
            running = [worker for worker in workers if worker["state"] == "running" and worker["user_count"] > 0]
            return len(workers) == len(running) == 3 and sum(w["user_count"] for w in workers) == CLIENTS * len(NAMES)

        until(spread, 45, "three workers carry all users between them")
        until(lambda: lab.load().of("tcplab_load_workers") == 3, 15, "the exporter counts three workers")
        until(lambda: shown_of_workers(lab) == dict.fromkeys(OF_A_WORKER, 3), 20, "each worker's line on its charts")
        until(flows(lab, NAMES), 30, "verified requests for every variant")
        until(lambda: not lab.unhealthy(), 30, "all healthy")
        load = lab.load()
        for name in NAMES:
            assert load.of("tcplab_load_users", variant=name) == CLIENTS
            assert verified(load, name) > verified(before, name)
            sent, accounted = conserved(load, name)
            assert sent == accounted, name
        assert failures(load) == {}
        assert lab.stats()["errors"] == []
    finally:
        lab.compose("up", "--detach", "--no-recreate", "--scale", "locust-worker=1")
    until(lambda: lab.load().of("tcplab_load_users") == CLIENTS * len(NAMES), 45, "one worker carries all users")


def silent(lab: Lab) -> list[str]:
    """Return the panels' queries that wrongly return no data, or none of some variant."""
    return [
        query.name
        for query in QUERIES
        if not query.may_be_empty
        and not (
            (found := lab.query(query.promql()))
            and (query.per != "variant" or {labels.get("variant") for labels, _ in found} >= set(NAMES))
        )
    ]


def wait_for_every_panel(lab: Lab) -> None:
    with contextlib.suppress(AssertionError):  # its message would not name the silent ones
        until(lambda: not silent(lab), 45, "every panel has data")
    assert silent(lab) == []


def unseen(lab: Lab, seconds: float) -> set[str]:
    """Return the targets that Prometheus missed for longer than two scrapes at any time in the last `seconds`."""
    seen = f'max_over_time(up{{job=~"servers|load"}}[{3 * SCRAPE_SECONDS}s])'
    found = lab.query(f"min_over_time({seen}[{seconds:.0f}s:1s])")
    assert len(found) == len(NAMES) + 1
    return {labels.get("variant", labels["job"]) for labels, value in found if value != 1}


def test_no_panel_has_a_gap_by_scaling(lab: Lab) -> None:
    wait_for_every_panel(lab)
    assert unseen(lab, min(120, time.monotonic() - lab.healthy_at - 10)) == set()


def test_nothing_is_miscounted_after_the_load_stops(lab: Lab) -> None:
    fetch(lab.url("locust", "/stop"), {})
    try:
        until(lambda: lab.load().of("tcplab_load_users") == 0, 20, "the load has stopped")
        time.sleep(2)
        load = lab.load()
        for name in NAMES:
            sent, accounted = conserved(load, name)
            assert sent == accounted, name
            unanswered = load.of("tcplab_load_abandoned_total", variant=name)
            assert unanswered <= 6 * CLIENTS, name  # at most one per client each time users were moved
            # The server answered each verified request and at most all sent ones; one dialogue was this test's.
            assert verified(load, name) <= replies(lab, name) - 1 <= sent, name
        assert failures(load) == {}
    finally:
        fetch(lab.url("locust", "/swarm"), {"user_count": CLIENTS * len(NAMES), "spawn_rate": 20})
    until(flows(lab, NAMES), 30, "the load runs again")


def stages(lab: Lab, seconds: float) -> dict[int, set[str]]:
    """Watch the load; return the warnings that were on, by the number of clients of each server."""
    seen: dict[int, set[str]] = {}
    until_then = time.monotonic() + seconds
    while time.monotonic() < until_then:
        time.sleep(SCRAPE_SECONDS)
        load = lab.load()
        clients = {int(load.of("tcplab_load_users", variant=name)) for name in NAMES}
        if len(clients) == 1:
            seen.setdefault(clients.pop(), set()).update(
                f"{dict(labels)['warning']} of {dict(labels)['variant']}"
                for (name, labels), value in load.items()
                if name == "tcplab_load_warning" and value and dict(labels)["about"] == "server"
            )
    return seen


def test_the_default_is_a_tour_without_failures(lab: Lab) -> None:
    """All stages within two minutes; only the single server's queue makes clients wait."""
    steady, lab.settings = lab.settings, {}
    try:
        lab.compose("up", "--detach", "locust-master", "locust-worker")
        lab.wait_healthy(60)
        until(flows(lab, NAMES), 60, "the tour has begun")
        seen = stages(lab, 120)
        load = lab.load()
    finally:
        lab.settings = steady
        lab.compose("up", "--detach", "locust-master", "locust-worker")
        lab.wait_healthy(60)
    assert set(TOUR) <= set(seen), "each of its stages"
    assert set.union(*seen.values()) <= {"unserved of single"}
    assert failures(load) == {}
    until(lambda: users(lab) == dict.fromkeys(NAMES, CLIENTS), 60, "the steady load is back")


# Losing


def warned(lab: Lab, name: str) -> bool:
    """Return whether the load has this warning."""
    return lab.load().of("tcplab_load_warning", warning=name) >= 1


def held(lab: Lab, end: float) -> float:
    """Return Prometheus's number of samples of requests sent in the half minute up to `end` (unix seconds)."""
    promql = f'count_over_time(tcplab_load_sent_total{{variant="asyncio"}}[30s] @ {end:.3f})'
    return sum(number for _, number in lab.query(promql))


def half_a_minute(lab: Lab) -> tuple[float, float]:
    """Wait for half a minute of samples; return its end (unix seconds) and their number."""
    until(lambda: held(lab, time.time()) > 4, 60, "half a minute of samples")
    end = time.time()
    return end, held(lab, end)


@pytest.mark.parametrize("victim", [*NAMES, "locust-worker", "locust-master", "prometheus", "grafana"])
def test_a_killed_container_leaves_the_others_working(lab: Lab, victim: str) -> None:
    if victim not in lab.services:
        pytest.skip(f"{victim} is left out of the lab: {lab.no_grafana}")
    (container,) = lab.containers(victim)
    lab.docker("kill", "--signal", "KILL", container)
    try:
        time.sleep(3)
        (name,) = lab.unhealthy()
        assert victim in name
        if victim != "prometheus":  # the test itself needs it
            others = [other for other in NAMES if other != victim]
            assert all(replies(lab, other) >= 0 for other in others)
            assert lab.by_variant('up{job="servers"}').keys() == set(NAMES)
            if not victim.startswith("locust"):
                until(flows(lab, others), 30, f"the load goes on for {others}")
        if victim in NAMES:
            until(lambda: warned(lab, "disconnected"), 15, "the run is marked")
        for other in CONCURRENT:
            if other != victim:
                assert lab.dialogue(other, b"ECHO still there\nQUIT\n") == b"OK still there\nOK\n"
    finally:
        lab.up(victim)  # the killed one starts again when asked
    until(lambda: not lab.unhealthy(), 60, "all healthy")
    until(flows(lab, NAMES), 60, "the load has found it again")


def test_a_restarted_server_is_its_own_gap(lab: Lab) -> None:
    lab.compose("restart", "threaded")
    began = time.monotonic()
    until(flows(lab, NAMES), 60, "the load has found it again")
    wait_for_every_panel(lab)
    assert unseen(lab, time.monotonic() - began) <= {"threaded"}
    (restarts,) = lab.query('changes(process_start_time_seconds{variant="threaded"}[1m])')
    assert restarts[1] == 1


def test_a_lost_master_reloads_within_90_seconds(lab: Lab) -> None:
    lost = lab.inspect("locust-master")["State"]["StartedAt"]
    began = time.monotonic()
    # Not through Docker, which would not restart what a user has killed: the process dies as if out of memory.
    lab.exec("locust-master", "bash", "-c", "kill -KILL -1", check=False)
    until(lambda: lab.inspect("locust-master")["State"]["StartedAt"] != lost, 30, "the master is started again")

    until(returns(lab), began + 90 - time.monotonic(), "the load is back")
    print(f"the load was back after {time.monotonic() - began:.0f} s")


def returns(lab: Lab) -> Callable[[], bool]:
    """Return a check that all clients are there again and answered; it is false while the master is gone."""
    flowing = flows(lab, NAMES)

    def back() -> bool:
        try:
            return lab.load().of("tcplab_load_users") == CLIENTS * len(NAMES) and flowing()
        except AssertionError:
            return False

    return back


def test_a_restarted_master_has_its_workers_back(lab: Lab) -> None:
    """It ends its workers in order, which Docker alone would leave so."""
    lab.compose("restart", "locust-master")
    until(returns(lab), 90, "the load is back")
    assert len(lab.workers()) == 1


def test_a_server_out_of_memory_is_marked(lab: Lab) -> None:
    """The kernel kills it at its container's limit: the run is excluded, and alerts fire."""
    victim = "threaded"
    (container,) = lab.containers(victim)
    limit = lab.inspect(victim)["HostConfig"]["Memory"]
    clients: list[Client] = []

    def is_gone() -> bool:
        return not lab.inspect(victim)["State"]["Running"]

    lab.docker("update", "--memory", "48m", "--memory-swap", "48m", container)
    try:
        with contextlib.suppress(OSError):  # the server has been killed
            for _ in range(900):  # a thread each, and an unfinished line: some 100 kB
                clients.append(Client(("127.0.0.1", lab.ports[victim])))
                clients[-1].send(bytes(60_000))
        until(is_gone, 20, "it is out of memory")
        state = lab.inspect(victim)["State"]
        assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)
        until(lambda: warned(lab, "disconnected"), 15, "the run is marked")
        firing = 'ALERTS{alertstate="firing",alertname="%s",%s}'
        until(lambda: lab.query(firing % ("RunWarnings", 'warning="disconnected"')), 30, "RunWarnings fires")
        until(lambda: lab.query(firing % ("ServerDown", f'variant="{victim}"')), 40, "ServerDown fires")
        until(flows(lab, [name for name in NAMES if name != victim]), 30, "the load goes on for the others")
    finally:
        close_all(clients)
        lab.docker("update", "--memory", str(limit), "--memory-swap", str(limit), container)
        lab.up(victim)
    until(lambda: not lab.unhealthy(), 60, "all healthy")
    until(flows(lab, NAMES), 60, "the load has found it again")


def test_prometheus_restarted_has_lost_only_the_gap(lab: Lab) -> None:
    (then, before), last = half_a_minute(lab), scraped(lab)
    (container,) = lab.containers("prometheus")
    lab.docker("kill", "--signal", "KILL", container)
    lab.up("prometheus")
    again = until(lambda: max(0.0, scraped(lab) - then), 60, "it scrapes again") + then
    assert held(lab, then) == before
    print(f"nothing was recorded for {again - last:.1f} s")


def scraped(lab: Lab) -> float:
    """Return when Prometheus last scraped the load's master, in unix seconds; 0 if it doesn't answer."""
    with contextlib.suppress(OSError):
        return max((when for _, when in lab.query('timestamp(tcplab_load_sent_total{variant="asyncio"})')), default=0.0)
    return 0.0


# Ports that are taken


def make_up(lab: Lab, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `make up` without the variables of the outer make in which these tests run."""
    environment = {**lab.environment, "COMPOSE_PROJECT_NAME": lab.project, **more}
    typed = {name: value for name, value in environment.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    return subprocess.run(["make", "up"], cwd=ROOT, env=typed, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("service", "setting"), [("single", "SINGLE"), ("grafana", "GRAFANA"), ("locust-master", "LOCUST")]
)
def test_a_taken_port_is_one_line_with_advice(lab: Lab, service: str, setting: str) -> None:
    other = Lab(project=f"{lab.project}-other")
    port = other.ports[setting.lower()]
    with socket.create_server(("127.0.0.1", port)):
        done = make_up(other)
    assert done.returncode != 0
    assert done.stdout == ""
    line, made = done.stderr.splitlines()
    assert line == (
        f"tcplab: port {port}, for {service}, is in use; end what uses it, or choose another:"
        f" TCPLAB_PORT_{setting}=... make up (or in .env)"
    )
    assert made.startswith("make: ***")
    assert other.left_over() == []


def test_a_running_lab_is_no_obstacle_to_up(lab: Lab, tmp_path: Path) -> None:
    """`make up` again, with a docker command that skips `up`."""
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$2" != up ] || exit 0\nexec {shutil.which("docker")} "$@"\n')
    docker.chmod(0o755)
    done = make_up(lab, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "docker compose up --build\n", "")


def test_docker_itself_names_the_port_that_is_taken(lab: Lab) -> None:
    other = Lab(project=f"{lab.project}-other", no_grafana=lab.no_grafana)
    port = other.ports["single"]
    try:
        with socket.create_server(("127.0.0.1", port)):
            done = other.compose("up", "--detach", "single", check=False)
        assert done.returncode != 0
        assert re.search(rf"127\.0\.0\.1:{port}\b.*address already in use", done.stderr), done.stderr
    finally:
        other.down()


# Grafana


def test_grafana_opens_on_the_comparison_without_a_login(lab: Lab) -> None:
    if lab.no_grafana:
        pytest.skip(f"Grafana is left out of the lab: {lab.no_grafana}")
    home = json.loads(fetch(lab.url("grafana", "/api/dashboards/home")))
    assert home["dashboard"]["uid"] == "compare"
    assert json.loads(fetch(lab.url("grafana", "/api/dashboards/uid/compare")))["meta"]["canSave"] is False
    source = json.loads(fetch(lab.url("grafana", "/api/datasources/uid/prometheus/resources/api/v1/query?query=up")))
    assert source["status"] == "success"


@pytest.mark.parametrize("path", ["/api/dashboards/db", "/api/datasources", "/api/annotations", "/api/folders"])
@pytest.mark.parametrize("password", ["", "admin"])
def test_a_viewer_cannot_edit(lab: Lab, path: str, password: str) -> None:
    if lab.no_grafana:
        pytest.skip(f"Grafana is left out of the lab: {lab.no_grafana}")
    request = urllib.request.Request(lab.url("grafana", path), b"{}", {"Content-Type": "application/json"})
    if password:
        request.add_header("Authorization", f"Basic {base64.b64encode(f'admin:{password}'.encode()).decode()}")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code in {401, 403}


@pytest.fixture(scope="module")
def page(lab: Lab) -> Iterator[Browser]:
    if lab.no_grafana:
        pytest.skip(f"Grafana is left out of the lab: {lab.no_grafana}")
    with browser(required()) as found:
        yield found


@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
@pytest.mark.parametrize(("width", "height"), [(1440, 5000), (500, 14_000)], ids=["1440", "narrow"])
@pytest.mark.parametrize("name", dashboards())
def test_every_panel_can_be_read(page: Browser, lab: Lab, name: str, width: int, height: int, dark: bool) -> None:
    draw(page, lab.url("grafana", f"/d/{Path(name).stem}"), width, height, dark=dark)
    assert len(panels(page)) == len(list(committed(dashboards()[name]))), "a page that is high enough shows all"
    assert list(complaints(page)) == []


def test_the_answer_is_seen_without_scrolling(page: Browser, lab: Lab) -> None:
    draw(page, lab.url("grafana", "/"), 1440, 900)
    bottoms = {panel["title"]: panel["bottom"] for panel in panels(page)}
    every = dashboards()["compare.json"]["panels"]
    first = next(index for index, panel in enumerate(every) if panel["type"] == "row")
    for panel in every[:first]:
        title = panel["title"].replace("${series:text}", "Response time")
        assert bottoms[title] <= 900, title


# Docker only


def alone(lab: Lab, service: str, results: Path, user: int, *arguments: str) -> tuple[int, str, str]:
    """Run one of the commands that need nothing else of the lab; return its status, output and errors."""
    volume = f"{results}:/lab/loadtest/results"
    options = ("run", "--rm", "--no-TTY", "--user", f"{user}:{user}", "--volume", volume)
    done = lab.compose(*options, service, *arguments, timeout=300, check=False)
    return done.returncode, done.stdout, done.stderr


def test_compare_runs_in_docker_alone(lab: Lab, tmp_path: Path) -> None:
    arguments = ("--variants", *NAMES, "--scenarios", "conversation", "--clients", "2", "--seconds", "2")
    status, out, errors = alone(lab, "compare", tmp_path, os.getuid(), *arguments)
    assert status == 0, out + errors
    for variant in DEFAULT:
        assert variant.name in out
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir() and not path.is_symlink()]
    result = json.loads((folder / "compare.json").read_text(encoding="utf-8"))
    assert {run["candidate"] for run in result["runs"]} == set(NAMES)
    assert (folder / "compare.html").stat().st_uid == os.getuid()
    # It must print the host's paths of its files, not the container's.
    named = [
        line.split()[-1] for line in out.splitlines() if line.startswith(("Page:", "Picture:", "Markdown:", "Figures:"))
    ]
    assert [Path(name).parent for name in named] == [Path("loadtest", "results", folder.name)] * 4
    assert all((folder / Path(name).name).is_file() for name in named)
    assert "/lab/" not in out + errors


def test_a_lesson_runs_in_docker_alone(lab: Lab, tmp_path: Path) -> None:
    """A container has no control groups of its own to give to servers, so that memory is between bounds."""
    status, out, errors = alone(lab, "lesson", tmp_path, os.getuid(), "3", "--predict", "1", "--lang", "en")
    assert status == 0, out + errors
    assert "Your prediction: 1 " in out
    assert "Measured: " in out
    assert "(it is between " in out
    assert (tmp_path / "lesson-3.svg").stat().st_uid == os.getuid()
    assert "/lab/" not in out + errors


def test_a_check_runs_in_docker_alone(lab: Lab, tmp_path: Path) -> None:
    server = "mine=python -m servers threaded --port {port}"
    options = ["--server", server, "--commands", "SLEEP", "WORK", "QUIT", "ERR"]
    status, out, errors = alone(lab, "check", tmp_path, os.getuid(), *options)
    assert status == 0, out + errors
    assert f"mine: all {len(ROWS)} rows passed." in out
    assert json.loads((tmp_path / "check" / "mine.json").read_text(encoding="utf-8"))["passed"] == len(ROWS)
    assert (tmp_path / "check" / "mine.md").stat().st_uid == os.getuid()


def test_compare_says_that_it_cannot_write(lab: Lab, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    status, out, errors = alone(lab, "compare", tmp_path, 54321)
    assert status == 2, out + errors
    (line,) = [line for line in errors.splitlines() if line.startswith("tcplab: ")]
    assert "TCPLAB_UID" in line
    assert line.startswith("tcplab: results cannot be kept in loadtest/results: ")
    assert out == ""


def test_containers_are_weighed_from_docker_alone(lab: Lab, tmp_path: Path) -> None:
    """From the control groups that they export; the comparison's own servers have none."""
    others = [name for name in lab.services if name not in NAMES]
    lab.compose("stop", *others)  # the load's clients and a scrape's memory would affect the slopes
    weighed = [each for each in DEFAULT if each.name in {"single", "threaded"}]
    lab.compose("up", "--detach", "--wait", "--no-deps", "--force-recreate", *(each.name for each in weighed))
    options = ["--variants", "protocol", "--scenarios", "saturate", "--clients", "1", "--seconds", "1", "--memory"]
    for each in weighed:
        metrics = f"http://{each.name}:{each.metrics_port}/metrics"
        options += ["--server", f"live-{each.name}={each.name}:{each.port} {metrics}"]
    status, out, errors = alone(lab, "compare", tmp_path, os.getuid(), *options)
    lab.compose("start", *others)
    assert status == 0, out + errors
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir() and not path.is_symlink()]
    records = json.loads((folder / "compare.json").read_text(encoding="utf-8"))["memory"]
    found = {each["candidate"]: each for each in records}
    assert found["protocol"]["container_silent"] == {}
    assert found["protocol"]["container_why"].startswith("no control group of its own: ")
    for each in weighed:
        record = found[f"live-{each.name}"]
        assert record["container_why"] == ""
        assert record["note"].endswith("one process, which ran already: no interval")
        process, charged = record["silent"]["value"], record["container_silent"]
        # The kernel counts both in batches, of 512 kB (memory.stat) and 256 kB (a process) on two processors.
        assert charged["anon"]["value"] == pytest.approx(process, rel=0.1, abs=1000)
        total = charged["anon"]["value"] + charged["kernel"]["value"] + charged["sock"]["value"]
        assert charged["total"]["value"] == pytest.approx(total, abs=1)
    threads, single = found["live-threaded"], found["live-single"]
    assert threads["threads"]["value"] == pytest.approx(1, rel=0.01)
    assert 16_384 < threads["container_silent"]["kernel"]["value"] < 100_000  # a thread's stack in the kernel has 16 kB
    assert single["container_silent"]["total"]["value"] == pytest.approx(0, abs=1000)


# Down


def test_the_lab_returns_with_its_data(lab: Lab) -> None:
    lab.up()
    lab.wait_healthy(120)
    then, before = half_a_minute(lab)
    lab.compose("down")
    assert all(each.startswith("volume") for each in lab.left_over())
    lab.up()
    lab.wait_healthy(120)
    assert held(lab, then) == before
    until(flows(lab, NAMES), 30, "the load runs again")


def test_down_leaves_nothing(lab: Lab) -> None:
    assert lab.left_over()
    lab.down()
    assert lab.left_over() == []
    for image in IMAGES:  # images stay, as README.md says
        lab.docker("image", "inspect", image)
