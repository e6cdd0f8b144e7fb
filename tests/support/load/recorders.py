"""A recorder whose clock is set by hand, and its clients."""

from loadtest.recording.client_stats import ClientStats
from loadtest.recording.counters import Counters
from loadtest.recording.histogram import Histogram, count
from loadtest.recording.recorder import Recorder, unpack


class Clock:
    """A clock set by hand, in microseconds; the recorder reads nanoseconds."""

    def __init__(self) -> None:
        self.microseconds = 1_000_000

    def __call__(self) -> int:
        return self.microseconds * 1000

    def after(self, microseconds: int) -> int:
        self.microseconds += microseconds
        return self()


def recorder() -> tuple[Recorder, Clock]:
    """Return a recorder and its clock."""
    clock = Clock()
    return Recorder(clock, lambda: clock.microseconds / 2e6), clock


def connected(found: Recorder, clock: Clock, variant: str = "single") -> ClientStats:
    client_stats = found.client(variant)
    client_stats.started()
    client_stats.connecting(clock())
    client_stats.connected_at(clock.after(30))
    return client_stats


def counters(found: Recorder, phase: int, variant: str = "single") -> Counters:
    pooled = Counters()
    for part in unpack(found.report()):
        if part.phase == phase and variant in part.counters:
            pooled.add(part.counters[variant])
    return pooled


def answer(client_stats: ClientStats, clock: Clock, times: int) -> None:
    for _ in range(times):
        client_stats.sent(clock())
        client_stats.verified(clock.after(50))


def served(found: Recorder, clock: Clock) -> ClientStats:
    """Return a client that has had its first reply; earlier events are in no later count."""
    client_stats = connected(found, clock)
    client_stats.sent(clock())
    client_stats.verified(clock.after(50))
    found.report()
    return client_stats


def histogram_of(durations: list[int]) -> Histogram:
    found: Histogram = {}
    for duration in durations:
        count(found, duration)
    return found
