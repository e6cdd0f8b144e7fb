"""The client that does something else than the others: there is one, and no other figure includes it."""

from pathlib import Path
from typing import Any

import pytest

from loadtest import settings
from tests.support.load.cluster import Cluster
from tests.support.load.locust import assert_conserved, run
from tests.support.processes import eventually
from tests.support.servers import MODELS, Samples, Server

pytestmark = pytest.mark.slow

NOISY = ("AsyncioUser", "--scenario", "noisy-neighbour", "--rate", "30", "-r", "100")

SECONDS = 4

[THREADED] = [each for each in MODELS if each.name == "threaded"]


def told(server: Server) -> dict[str, str]:
    """Return where the load finds the server."""
    return {"asyncio": "{}:{}".format(*server.address)}


def check(part: dict[str, Any], seen: Samples) -> None:
    """Check a run of ten clients against what their server has counted."""
    assert_conserved(part)
    assert (part["users"], part["connected"], part["served"]) == (10, 10, 10)
    neighbour = part["neighbour"]
    asked = seen.by("requests_total", "command")
    # After the window all go on until they are told to end: what they send then counts at the server alone.
    later = (settings.LINGER + 1) / SECONDS
    assert 40 < part["verified"] <= asked["echo"] <= part["sent"] * (1 + later) + 10
    assert neighbour["sent"] - 1 <= asked["work"] <= neighbour["sent"] * (1 + later) + 1
    assert neighbour["sent"] == neighbour["verified"] + neighbour["unanswered"] + sum(neighbour["errors"].values())
    assert part["connections"]["connected"] == 10
    assert sum(seen.by("connections_ended_total", "outcome").values()) == 11
    assert min(map(int, neighbour["histograms"]["service"])) > 5_000, "each computes for tens of milliseconds"


def computes_for(server: Server, users: int) -> None:
    """Wait until so many users and the neighbour are there, and it has computed some more."""
    eventually(lambda: server.metrics()("connections_open") == users + 1, f"{users} and one")
    before = server.metrics()("requests_total", command="work")
    eventually(lambda: server.metrics()("requests_total", command="work") > before + 3, "it goes on")


def test_a_neighbour_is_in_no_other_figure(tmp_path: Path) -> None:
    with Server(THREADED) as server:
        locust = run(tmp_path, *NOISY, "-u", "10", seconds=SECONDS, targets=told(server))
        check(locust.outcome()["variants"]["asyncio"], server.wait_for_ends(11))


def test_each_load_process_has_one_neighbour(tmp_path: Path) -> None:
    with Server(THREADED) as server, Cluster(tmp_path, told(server), *NOISY, "-u", "10") as cluster:
        workers = [cluster.start_worker(), cluster.start_worker()]
        eventually(lambda: server.metrics()("connections_open") == 12, "all are there")
        assert all(worker.process.poll() is None for worker in workers)


def test_a_neighbour_outlives_the_client_it_came_with(tmp_path: Path) -> None:
    with Server(THREADED) as server, Cluster(tmp_path, told(server), *NOISY, "-u", "8") as cluster:
        cluster.start_worker()
        computes_for(server, 8)
        for users in (2, 1):
            cluster.change(users)
            computes_for(server, users)


def test_other_scenarios_have_no_neighbour(tmp_path: Path) -> None:
    with Server(THREADED) as server:
        ordinary = ("AsyncioUser", "--scenario", "saturate", "--rate", "30", "-r", "100")
        locust = run(tmp_path, *ordinary, "-u", "3", seconds=2, targets=told(server))
        assert locust.outcome()["variants"]["asyncio"]["neighbour"] is None
        assert sum(server.wait_for_ends(3).by("requests_total", "command").values()) > 0
