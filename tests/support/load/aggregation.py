"""An aggregator with workers whose clocks are set by hand."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from loadtest import run_warnings
from loadtest.cluster.exporter import LoadCollector, Status
from loadtest.recording.aggregator import Aggregator, Worker
from loadtest.recording.client_stats import ClientStats
from loadtest.recording.recorder import Recorder
from loadtest.scenarios import SCENARIOS
from loadtest.settings import Settings

SETTINGS = Settings(SCENARIOS["conversation"], rate=None, arrivals="poisson", warmup=1.5, result=None)
Samples = dict[tuple[str, ...], float]


class Lab:
    """
    An aggregator with workers whose clocks are set by hand.

    Each uses a tenth of a core, waits half of the time, and its host keeps back a hundredth of a core.
    """

    def __init__(self) -> None:
        self.seconds = 100.0
        self.aggregator = Aggregator(["single", "asyncio"])
        self.workers: dict[str, Recorder] = {}

    def worker(self, name: str) -> Recorder:
        if name not in self.workers:
            found = Recorder(
                lambda: self.now,
                lambda: self.seconds * 0.1,
                starved=lambda: self.seconds * 0.015,
                stolen=lambda: self.seconds * 0.01,
            )
            found.waited = lambda: self.now // 2
            found.report()
            self.workers[name] = found
        return self.workers[name]

    def client(self, worker: str, variant: str = "asyncio") -> ClientStats:
        client_stats = self.worker(worker).client(variant)
        client_stats.started()
        client_stats.connecting(self.now)
        client_stats.connected_at(self.now)
        return client_stats

    @property
    def now(self) -> int:
        return int(self.seconds * 1e9)

    def ask(self, client_stats: ClientStats, seconds: float) -> None:
        """Have one request answered."""
        client_stats.sent(self.now)
        self.seconds += seconds
        client_stats.verified(self.now)

    def begin(self, phase: int) -> None:
        for worker in self.workers.values():
            worker.begin(phase)
        self.aggregator.begin(phase, self.seconds, 1000 + self.seconds)

    def report(self, *names: str) -> None:
        for name in names or self.workers:
            self.aggregator.take(name, self.workers[name].report(), self.seconds)

    def end(self, *closing: str) -> None:
        for name in closing or self.workers:
            self.workers[name].close()
            self.report(name)
        self.aggregator.end(self.seconds, {"asyncio": 2})

    def samples(
        self,
        *,
        started: float | None = 1234.5,
        rate: float = 0.0,
        warnings: tuple[run_warnings.LoadWarning, ...] = (),
        workers: dict[int, Worker] | None = None,
    ) -> Samples:
        registry = CollectorRegistry()
        status = Status(started, "conversation", rate, warnings, workers or {})
        registry.register(LoadCollector(self.aggregator, lambda: status, lambda: self.seconds))
        text = generate_latest(registry).decode()
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
