"""What each worker of a pre-fork server does, so that imbalance is seen: read from its block of shared memory."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from servers.workers.supervisor import Workers


class WorkersCollector(Collector):
    """Exports connections, requests and restarts of each worker."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family. A worker's successor counts on under its number."""
        stats = self._workers.stats
        totals = [stats.total(block) for block in stats.blocks[1:]]
        yield _each(
            GaugeMetricFamily(
                "tcplab_worker_connections_open", "Clients that each worker serves now.", labels=["worker"]
            ),
            [total.open for total in totals],
        )
        yield _each(
            CounterMetricFamily(
                "tcplab_worker_connections_ended",
                "Connections of each worker that have ended, those included that it has refused.",
                labels=["worker"],
            ),
            [sum(total.ended.values()) for total in totals],
        )
        yield _each(
            CounterMetricFamily(
                "tcplab_worker_requests", "Requests that each worker has answered with OK.", labels=["worker"]
            ),
            [sum(total.requests) for total in totals],
        )
        yield _each(
            CounterMetricFamily(
                "tcplab_worker_restarts", "How often each worker has died and was started again.", labels=["worker"]
            ),
            self._workers.restarts,
        )


def _each(family: GaugeMetricFamily | CounterMetricFamily, values: Iterable[float]) -> Metric:
    for number, value in enumerate(values, 1):
        family.add_metric([str(number)], value)
    return family
