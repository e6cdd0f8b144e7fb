"""The number of series in Prometheus: constant from the start, except for what each load process adds."""

from collections.abc import Iterable

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric

from loadtest.cluster.exporter import LoadCollector, Status
from loadtest.recording.aggregator import Aggregator
from loadtest.recording.counters import BREAKS, CONNECTIONS, OUTCOMES
from loadtest.recording.recorder import Recorder
from servers.stats import ERRORS, Stats
from servers.stats import OUTCOMES as ENDS
from servers.variants import VARIANTS
from servers.wire import Command
from tests.observability.catalogue import server
from tests.observability.queries import ROOT

OF_A_SCRAPE = 5
"""Series that Prometheus adds per target: `up` and four about the scrape."""

OF_A_WORKER = 6

Series = set[tuple[str, frozenset[tuple[str, str]]]]


def series(families: Iterable[Metric]) -> Series:
    return {(sample.name, frozenset(sample.labels.items())) for family in families for sample in family.samples}


def test_a_server_never_exports_150_series() -> None:
    stats = Stats()
    with server(stats) as exporter:
        before = series(exporter.collect())
        for index, kind in enumerate(ERRORS):
            stats.own.failed(kind)
            counts = stats.own.enter()
            counts.failed(kind)
            for command in Command:
                counts.answered(command, 10.0**-index)
        for end in ENDS:
            stats.own.leave(stats.own.enter(), end)
        assert series(exporter.collect()) == before
    assert len(before) + OF_A_SCRAPE < 150


def of_load(workers: int, clients: int) -> Series:
    """Return the load's series after every possible event in each of its workers."""
    now = 0

    def clock() -> int:
        return now

    aggregator = Aggregator([variant.name for variant in VARIANTS])
    for index in range(workers):
        recorder = Recorder(clock)
        for variant in VARIANTS:
            for number in range(clients):
                client = recorder.client(variant.name)
                for outcome in CONNECTIONS:
                    client.connecting(now)
                    now += 1_234_567 * number
                    if outcome == "connected":
                        client.connected_at(now)
                    else:
                        client.connect_failed(outcome, now)
                for outcome in (*OUTCOMES, "verified", "verified"):
                    client.sent(now)
                    now += 7_654_321 * number
                    if outcome == "verified":
                        client.verified(now)
                    else:
                        client.failed(outcome, now)
                for how in BREAKS:
                    client.broke(how)
        aggregator.take(f"{index}-of-{workers}", recorder.report(), now=0.0)
    processes = dict(enumerate(aggregator.workers.values()))
    status = Status(started=1.0, scenario="conversation", rate=0.0, warnings=(), workers=processes)
    return series(LoadCollector(aggregator, lambda: status, lambda: 0.0).collect())


def test_the_loads_do_not_grow_with_clients() -> None:
    assert of_load(workers=1, clients=2) == of_load(workers=1, clients=200)


def test_a_worker_adds_six_to_the_loads() -> None:
    one, four = of_load(workers=1, clients=2), of_load(workers=4, clients=2)
    assert one < four
    added = four - one
    assert {labels for _, labels in added} == {frozenset({("worker", str(index))}) for index in (1, 2, 3)}
    assert len(added) == 3 * OF_A_WORKER


def test_the_readme_says_how_many_there_are() -> None:
    load = of_load(workers=1, clients=2)
    of_variants = len([labels for _, labels in load if "variant" in dict(labels)]) // len(VARIANTS)
    standing = len(load) - of_variants * len(VARIANTS) - OF_A_WORKER + len(series(REGISTRY.collect())) + OF_A_SCRAPE
    with server(Stats()) as exporter:
        of_a_server = len(series(exporter.collect())) + OF_A_SCRAPE
    text = " ".join((ROOT / "prometheus" / "README.md").read_text(encoding="utf-8").split())
    assert f"{of_a_server} of each server" in text
    assert f"{of_variants} for each variant, {OF_A_WORKER} for each worker and {standing} of its own" in text
