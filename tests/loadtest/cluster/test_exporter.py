"""What the load exports: every series from the start, with what happened."""

from collections import deque

import pytest

from loadtest import run_checks, run_warnings
from loadtest.cluster.exporter import BOUNDS, cumulative
from loadtest.pacing import Periodic
from loadtest.recording.aggregator import Worker
from loadtest.recording.counters import Effort
from tests.support.load.aggregation import Lab
from tests.support.load.locust import shows


def test_everything_is_exported_from_zero() -> None:
    samples = Lab().samples(started=None)
    for variant in ("single", "asyncio"):
        assert samples["tcplab_load_sent_total", variant] == 0
        assert samples["tcplab_load_abandoned_total", variant] == 0
        assert samples["tcplab_load_requests_total", "verified", variant] == 0
        assert samples["tcplab_load_requests_total", "corrupt", variant] == 0
        assert samples["tcplab_load_connections_total", "no_port", variant] == 0
        assert samples["tcplab_load_response_seconds_bucket", "+Inf", variant] == 0
        assert samples["tcplab_load_first_reply_seconds_count", variant] == 0
        for gauge in ("unanswered", "unsent", "clients_connected", "clients_served", "users"):
            assert samples[f"tcplab_load_{gauge}", variant] == 0
        for how in ("corrupt", "closed", "reset"):
            assert samples["tcplab_load_connections_broken_total", how, variant] == 0
    for name in run_warnings.CHECKED:
        assert shows(samples, name) == 0
    assert samples["tcplab_load_running",] == samples["tcplab_load_workers",] == 0
    assert samples["tcplab_load_target_rate",] == 0
    absent = {
        "tcplab_load_run_info",
        "tcplab_load_run_start_timestamp_seconds",
        "tcplab_load_worker_cpu_ratio",
        "tcplab_load_worker_requests_total",
    }
    assert not [key for key in samples if key[0] in absent]


def worker(effort: Effort, requests: int = 0) -> Worker:
    return Worker(recent=deque([effort]), requests=requests)


def test_what_is_exported_is_what_happened() -> None:
    lab = Lab()
    client_stats = lab.client("one")
    lab.begin(5)
    lab.ask(client_stats, 0.25)
    for seconds in (0.000_045, 0.000_05, 0.003):
        lab.ask(client_stats, seconds)
    client_stats.sent(lab.now)
    lab.report()
    samples = lab.samples(
        warnings=tuple(
            run_warnings.check(
                run_checks.Facts(
                    cpu_ratio=1,
                    starved_ratio=0.03,
                    variants={
                        "asyncio": run_checks.VariantFacts(users=9, connected=9, served=9),
                        "single": run_checks.VariantFacts(users=9, connected=9, served=1),
                    },
                )
            )
        ),
        workers={
            0: worker(
                Effort(2.5, 10, busy_seconds=6, starved_seconds=0.3, stolen_seconds=0.5, lag={1000: 99, 2000: 1})
            ),
            3: worker(Effort(cpu_seconds=1, seconds=10), requests=7),
        },
    )
    assert samples["tcplab_load_sent_total", "asyncio"] == 5
    assert samples["tcplab_load_requests_total", "verified", "asyncio"] == 4
    assert samples["tcplab_load_unanswered", "asyncio"] == 1
    assert samples["tcplab_load_clients_connected", "asyncio"] == samples["tcplab_load_users", "asyncio"] == 1
    assert samples["tcplab_load_first_reply_seconds_count", "asyncio"] == 1
    assert samples["tcplab_load_first_reply_seconds_sum", "asyncio"] == pytest.approx(0.25)
    buckets = [
        samples["tcplab_load_response_seconds_bucket", le, "asyncio"] for le in ("3e-05", "5e-05", "0.002", "0.003")
    ]
    assert buckets == [0, 2, 2, 3]
    assert samples["tcplab_load_response_seconds_sum", "asyncio"] == pytest.approx(0.003_095)
    assert (samples["tcplab_load_running",], samples["tcplab_load_workers",]) == (1, 2)
    assert (samples["tcplab_load_worker_cpu_ratio", "0"], samples["tcplab_load_worker_cpu_ratio", "3"]) == (0.25, 0.1)
    assert (samples["tcplab_load_worker_busy_ratio", "0"], samples["tcplab_load_worker_busy_ratio", "3"]) == (0.6, 0)
    assert (samples["tcplab_load_worker_starved_ratio", "0"], samples["tcplab_load_worker_starved_ratio", "3"]) == (
        0.03,
        0,
    )
    assert (samples["tcplab_load_worker_stolen_ratio", "0"], samples["tcplab_load_worker_stolen_ratio", "3"]) == (
        0.05,
        0,
    )
    assert (samples["tcplab_load_worker_lag_seconds", "0"], samples["tcplab_load_worker_lag_seconds", "3"]) == (
        0.001,
        0,
    )
    requests = {key[1]: value for key, value in samples.items() if key[0] == "tcplab_load_worker_requests_total"}
    assert requests == {"0": 0, "3": 7}
    assert samples["tcplab_load_run_info", "conversation"] == 1
    assert samples["tcplab_load_run_start_timestamp_seconds",] == 1234.5
    assert shows(samples, "generator-cpu") == 1
    assert shows(samples, "loop-lag") == 0
    # By about, degree, moves, variant and warning.
    on = {key[1:] for key, value in samples.items() if key[0] == "tcplab_load_warning" and value}
    assert on == {
        ("generator", "doubt", "rate,first,p50,p99", "asyncio", "generator-cpu"),
        ("generator", "doubt", "rate,first,p50,p99", "single", "generator-cpu"),
        ("generator", "note", "p50,p99", "asyncio", "starved"),
        ("generator", "note", "p50,p99", "single", "starved"),
        ("server", "note", "rate,first,p50,p99", "single", "unserved"),
    }


def test_the_open_models_export_is_what_happened() -> None:
    lab = Lab()
    client_stats, failing = lab.client("one"), lab.client("one", "single")
    lab.ask(client_stats, 0.25)
    client_stats.schedule = Periodic(lab.now, 10**9)
    lab.seconds += 2.5
    client_stats.due(client_stats.schedule.take())
    client_stats.sent(lab.now, late=True)
    lab.seconds += 0.5
    client_stats.verified(lab.now)
    for how in ("corrupt", "closed", "closed"):
        failing.broke(how)
    lab.report()
    samples = lab.samples(rate=12.5)
    assert (samples["tcplab_load_unsent", "asyncio"], samples["tcplab_load_unsent", "single"]) == (3, 0)
    assert samples["tcplab_load_connections_broken_total", "closed", "single"] == 2
    assert samples["tcplab_load_connections_broken_total", "corrupt", "single"] == 1
    assert samples["tcplab_load_connections_broken_total", "reset", "single"] == 0
    assert samples["tcplab_load_connections_broken_total", "closed", "asyncio"] == 0
    assert samples["tcplab_load_late_sends_total", "asyncio"] == 1
    assert samples["tcplab_load_target_rate",] == 12.5
    assert samples["tcplab_load_response_seconds_sum", "asyncio"] == 3.0
    assert samples["tcplab_load_service_seconds_sum", "asyncio"] == 0.5


def test_buckets_span_20_us_to_twice_the_timeout() -> None:
    assert (BOUNDS[0], BOUNDS[-1]) == (20, 60_000_000)
    assert list(BOUNDS) == sorted(set(BOUNDS))
    buckets, total = cumulative({20: 1, 21: 2, 59_999_999: 1, 70_000_000: 1})
    assert (buckets[0], buckets[1][1], buckets[-2][1], buckets[-1]) == (("2e-05", 1), 3, 4, ("+Inf", 5))
    assert total == pytest.approx(130.000_061)
