"""Load processes that are killed, frozen, or come back: the load goes on, and its figures are marked."""

import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.load.cluster import Cluster
from tests.support.load.locust import ALL, Locust, assert_conserved, locustfile, shows, users, warnings
from tests.support.processes import eventually
from tests.support.stubs.recording import Stub, honest

CLIENTS = 6
SHARED = ("--clients", str(CLIENTS), "--spawn-rate", "100", "--scenario", "saturate", "--think", "0.02")
STOPPED_SECONDS = 10

GIVES_OUT_UNTIL_TWO_ARE_THERE = """
import os
from locust import runners
from locust.runners import MasterRunner

runners.HEARTBEAT_LIVENESS = 60  # on a busy machine Locust might give up the first while the second starts
os.environ["LOCUST_WAIT_FOR_WORKERS_REPORT_AFTER_RAMP_UP"] = "60"
counted = MasterRunner.user_count
MasterRunner.user_count = property(lambda self: counted.fget(self) if len(self.clients) > 1 else 0)
"""
"""Locustfile lines: the master sees no users, and so waits for them, until a second worker has joined."""


def carried_by(cluster: Cluster, workers: int) -> Callable[[], bool]:
    """Return a check that so many workers run all users together, also by the exporter's count."""
    each = CLIENTS * len(ALL) // workers

    def check() -> bool:
        seen = cluster.master.metrics()
        there = [seen["tcplab_load_users", variant] for variant in ALL]
        return (
            cluster.users() == [each] * workers
            and seen["tcplab_load_workers",] == workers
            and there == [CLIENTS] * len(ALL)
        )

    return check


def live(cluster: Cluster, warning: str) -> bool:
    return shows(cluster.master.metrics(), warning) == 1


def indexes(samples: Mapping[tuple[str, ...], float]) -> set[str]:
    """Return the workers' indexes, in which all workers' series must agree."""
    by_series: dict[str, set[str]] = {}
    for name, *labels in samples:
        if name.startswith("tcplab_load_worker_"):
            by_series.setdefault(name, set()).update(labels)
    assert len(by_series) == 6
    (found,) = {frozenset(each) for each in by_series.values()}
    return set(found)


def stopped(cluster: Cluster) -> Locust:
    """End the run; wait until all users have stopped and the last counts have arrived."""
    cluster.stop()
    gone = [("tcplab_load_users", variant) for variant in ALL]
    eventually(lambda: not any(cluster.master.metrics()[key] for key in gone), "the last counts are in")
    return cluster.master


def test_a_frozen_worker_returns_and_marks_the_run(tmp_path: Path) -> None:
    with Stub(honest) as stub, Cluster(tmp_path, dict.fromkeys(ALL, stub.address), *SHARED) as cluster:
        cluster.start_worker()
        stands = cluster.start_worker()
        eventually(carried_by(cluster, 2), "two workers carry half each")
        stands.process.send_signal(signal.SIGSTOP)
        back_at = time.monotonic() + STOPPED_SECONDS
        eventually(carried_by(cluster, 1), "one worker carries all")
        assert live(cluster, "worker-lost")
        time.sleep(max(0.0, back_at - time.monotonic()))
        stands.process.send_signal(signal.SIGCONT)
        eventually(carried_by(cluster, 2), "two workers carry half each again")
        assert live(cluster, "worker-joined")
        master = stopped(cluster)
        totals = master.metrics()
        outcome = master.outcome()
        assert master.stop(signal.SIGTERM) == 0, master.log
        asked = len(stub.texts)
    for variant in ALL:
        assert_conserved(outcome["variants"][variant])
    # Nothing from before or after the freeze is lost or counted twice.
    sent = sum(totals["tcplab_load_sent_total", variant] for variant in ALL)
    verified = sum(totals["tcplab_load_requests_total", "verified", variant] for variant in ALL)
    abandoned = sum(totals["tcplab_load_abandoned_total", variant] for variant in ALL)
    assert sent == asked == verified + abandoned
    assert {"worker-joined", "loop-lag"} <= warnings(outcome)
    assert "conservation" not in warnings(outcome)
    assert "Traceback" not in master.log + stands.log


def test_a_result_says_that_a_worker_was_lost(tmp_path: Path) -> None:
    with Stub(honest) as stub, Cluster(tmp_path, dict.fromkeys(ALL, stub.address), *SHARED) as cluster:
        cluster.start_worker()
        killed = cluster.start_worker()
        eventually(carried_by(cluster, 2), "two workers carry half each")
        killed.process.kill()
        eventually(carried_by(cluster, 1), "one worker carries all")
        cluster.start_worker()
        eventually(carried_by(cluster, 2), "another one has taken its place")
        master = stopped(cluster)
        outcome = master.outcome()
        assert master.stop(signal.SIGTERM) == 0, master.log
        asked = len(stub.texts)
    assert {"worker-lost", "worker-joined"} <= warnings(outcome)
    assert outcome["generator"]["lost_workers"] == 1
    assert outcome["generator"]["joined_workers"] >= 1  # on a busy machine the other may have been lost for a while
    assert "conservation" not in warnings(outcome)
    for variant in ALL:
        assert_conserved(outcome["variants"][variant])
    assert sum(part["sent"] for part in outcome["variants"].values()) < asked, "what it counted last is missing"


def test_a_worker_joining_while_users_spawn_gets_some(tmp_path: Path) -> None:
    """Locust alone overlooks it: the first worker would keep all users to the end of the run."""
    own = locustfile(tmp_path, GIVES_OUT_UNTIL_TWO_ARE_THERE, users())
    with (
        Stub(honest) as stub,
        Cluster(tmp_path, dict.fromkeys(ALL, stub.address), *SHARED, locustfile=own) as cluster,
    ):
        cluster.start_worker()
        eventually(lambda: "Sending spawn jobs" in cluster.master.log, "users are given out")
        cluster.start_worker()
        eventually(carried_by(cluster, 2), "two workers carry half each")


def test_a_killed_masters_successor_has_a_sound_result(tmp_path: Path) -> None:
    with Stub(honest) as stub, Cluster(tmp_path, dict.fromkeys(ALL, stub.address), *SHARED) as cluster:
        workers = [cluster.start_worker(), cluster.start_worker()]
        eventually(carried_by(cluster, 2), "two workers carry half each")
        cluster.master.process.kill()
        cluster.master.process.wait()
        assert not (tmp_path / "result.json").exists()
        before = len(stub.texts)
        cluster.start_master()
        eventually(carried_by(cluster, 2), "the next master has both workers, and the load")
        master = stopped(cluster)
        outcome = master.outcome()
        assert master.stop(signal.SIGTERM) == 0, master.log
        assert [worker.ended() for worker in workers] == [0, 0]
        asked = len(stub.texts) - before
    for variant in ALL:
        assert_conserved(outcome["variants"][variant])
    assert 0 < sum(part["sent"] for part in outcome["variants"].values()) <= asked
    assert not warnings(outcome) & {"conservation", "worker-lost", "disconnected"}
    assert "Traceback" not in master.log + "".join(worker.log for worker in workers)


def test_the_load_stays_while_workers_come_and_go(tmp_path: Path) -> None:
    with Stub(honest) as stub, Cluster(tmp_path, dict.fromkeys(ALL, stub.address), *SHARED) as cluster:
        first = cluster.start_worker()
        eventually(carried_by(cluster, 1), "one worker carries all")
        second, third = cluster.start_worker(), cluster.start_worker()
        eventually(carried_by(cluster, 3), "three workers carry a third each")
        assert second.stop(signal.SIGTERM) == 0
        eventually(carried_by(cluster, 2), "two workers carry all")
        assert not live(cluster, "worker-lost")
        before = cluster.master.metrics()
        assert sum(value for key, value in before.items() if key[0] == "tcplab_load_sent_total") <= len(stub.texts)
        third.process.kill()
        eventually(carried_by(cluster, 1), "one worker carries all again")
        assert live(cluster, "worker-lost")
        after = cluster.master.metrics()
        assert indexes(after) == {"0"}
        counters = [key for key in before if key[0].endswith("_total") and "tcplab" in key[0]]
        left = [key for key in counters if key[0] != "tcplab_load_worker_requests_total" or key[1] == "0"]
        assert all(after[key] >= before[key] for key in left)
        first.process.kill()
        eventually(lambda: cluster.master.metrics()["tcplab_load_running",] == 0, "no worker, no run")
        cluster.start_worker()
        eventually(carried_by(cluster, 1), "the load is back with the worker")
        assert indexes(cluster.master.metrics()) == {"3"}, "no worker gets the index of one that has left"
        assert cluster.master.stop(signal.SIGINT) == 0
        assert "Traceback" not in cluster.master.log
