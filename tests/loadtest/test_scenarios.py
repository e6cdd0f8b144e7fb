"""
Every scenario against every real server: the load's counts and the server's own must agree.

The servers' counters are compared with the load's totals (its /metrics), because the result ends with its window, a
moment before the last users.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadtest.recording.histogram import quantile
from loadtest.scenarios import SCENARIOS
from servers.variants import VARIANTS
from tests.support.load.locust import Locust, assert_conserved, durations, nonzero, warnings
from tests.support.processes import eventually, free_ports
from tests.support.servers import Model, Server

CLIENTS = 6
"""For each of the variants."""

LONGER = {"slow-client": 6}
"""Seconds of a run that needs more than 3: one client stalls for 2."""


@dataclass(frozen=True)
class Totals:
    """What the load has counted for one variant until its last user was gone."""

    sent: int
    verified: int
    failed: int
    abandoned: int
    connected: int


def totals(locust: Locust, variant: str) -> Totals:
    seen = locust.metrics()
    outcomes = {
        key[1]: int(n) for key, n in seen.items() if key[0] == "tcplab_load_requests_total" and key[2] == variant
    }
    return Totals(
        sent=int(seen["tcplab_load_sent_total", variant]),
        verified=outcomes.pop("verified"),
        failed=sum(outcomes.values()),
        abandoned=int(seen["tcplab_load_abandoned_total", variant]),
        connected=int(seen["tcplab_load_connections_total", "connected", variant]),
    )


def replies(server: Server, connected: int) -> int:
    """Return how many requests a server has answered, once all clients have gone."""
    settled = server.wait_for(
        lambda seen: (
            seen("connections_open") == seen("accept_queue_connections") == 0
            and sum(seen.by("connections_ended_total", "outcome").values()) >= connected
        ),
        "every client has left",
    )
    return int(sum(settled.by("requests_total", "command").values()))


def load(folder: Path, scenario: str, *arguments: str, seconds: int) -> dict[str, Any]:
    """Load one server of each variant. Return the result, after comparing it with the servers' own counts."""
    [web] = free_ports(1)
    with ExitStack() as stack:
        servers = {each.name: stack.enter_context(Server(Model(each.name, each.name))) for each in VARIANTS}
        locust = stack.enter_context(
            Locust(
                folder,
                *("--autostart", "-t", f"{seconds}s", "--web-host", "127.0.0.1", "--web-port", web),
                *("--scenario", scenario, "--clients", str(CLIENTS), "-r", "100", *arguments),
                *("--result", str(folder / "result.json")),
                targets={name: "{}:{}".format(*server.address) for name, server in servers.items()},
            )
        )
        eventually(locust.result.exists, "it has a result", within=seconds + 20)
        eventually(lambda: not any(users(locust)), "the last counts are in")
        outcome = locust.outcome()
        assert not warnings(outcome) & {"conservation", "corrupt", "worker-lost"}
        for name, server in servers.items():
            part, whole = outcome["variants"][name], totals(locust, name)
            assert_conserved(part)
            assert not nonzero(part["errors"])
            assert not nonzero(part["breaks"])
            assert set(nonzero(part["connections"])) == {"connected"}
            assert part["users"] == part["connected"] == CLIENTS
            assert part["verified"] > 0

            assert whole.failed == 0
            assert whole.sent == whole.verified + whole.abandoned
            assert part["sent"] <= whole.sent
            assert part["verified"] <= whole.verified
            answered = replies(server, whole.connected)
            assert whole.verified <= answered <= whole.sent, (name, whole)  # equal if nothing is unanswered
    return outcome


def users(locust: Locust) -> list[float]:
    return [value for key, value in locust.metrics().items() if key[0] == "tcplab_load_users"]


def wait(part: Mapping[str, Any], fraction: float) -> float:
    """Return a quantile of the wait for the first reply in seconds; a client still waiting counts with its age."""
    found = quantile(durations(part, "first_reply"), fraction, durations(part, "first_reply", "censored"))
    assert found is not None
    return found.microseconds / 1e6


# Where one more client asks too, client/test_neighbour.py has the counts.
@pytest.mark.parametrize("scenario", [name for name, each in SCENARIOS.items() if each.neighbour is None])
def test_load_and_servers_count_the_same_requests(scenario: str, tmp_path: Path) -> None:
    pace = ("--rate", "400") if SCENARIOS[scenario].paced else ()
    outcome = load(tmp_path, scenario, *pace, seconds=LONGER.get(scenario, 3))
    variants = outcome["variants"]
    served = {name: part["served"] for name, part in variants.items()}
    if SCENARIOS[scenario].requests is None:
        # No client leaves, so the single server serves one: each of the others has asked, and still waits.
        assert served == {each.name: 1 if each.name == "single" else CLIENTS for each in VARIANTS}
        assert variants["single"]["unanswered"] >= CLIENTS - 1
        [unserved] = [warning["detail"] for warning in outcome["warnings"] if warning["name"] == "unserved"]
        assert unserved == f"some clients never had a reply: single served 1 of {CLIENTS}"
    else:
        assert all(served[name] == CLIENTS for name in served if name != "single")
    assert ("all-at-once" in warnings(outcome)) == SCENARIOS[scenario].alone
    if scenario == "slow-client":
        # One of six stalls: at the single server everybody waits for that one, elsewhere nobody does.
        for name, part in variants.items():
            assert wait(part, 0.99) > 1 if name == "single" else wait(part, 0.99) < 0.5, name


def test_load_and_servers_agree_on_a_schedule(tmp_path: Path) -> None:
    """The open model: no request is sent early or lost, and no client waits in `churn`."""
    rate = 90
    outcome = load(tmp_path, "churn", "--rate", str(rate), "--arrivals", "periodic", seconds=3)
    assert (outcome["model"], outcome["arrivals"], outcome["target_rate"]) == ("open", "periodic", rate)
    due = 0
    for name, part in outcome["variants"].items():
        assert part["served"] == CLIENTS
        assert wait(part, 0.99) < 0.5, name
        due += part["sent"] + part["unsent"]
    # Each client's first request falls due at some moment of its first interval.
    allowed = rate * outcome["window"]["seconds"] + CLIENTS * len(VARIANTS)
    assert allowed / 2 <= due <= allowed
