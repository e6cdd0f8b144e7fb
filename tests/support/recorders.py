"""A recorder whose clock is set by hand, and clients of it."""

from loadtest.recording.counters import Tally
from loadtest.recording.histogram import Histogram, count
from loadtest.recording.recorder import Recorder, Tracker, unpack


class Clock:
    """A clock that is set by hand, in microseconds; the recorder reads nanoseconds."""

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


def connected(found: Recorder, clock: Clock, variant: str = "single") -> Tracker:
    tracker = found.client(variant)
    tracker.started()
    tracker.connecting(clock())
    tracker.connected_at(clock.after(30))
    return tracker


def tally(found: Recorder, phase: int, variant: str = "single") -> Tally:
    pooled = Tally()
    for part in unpack(found.report()):
        if part.phase == phase and variant in part.tallies:
            pooled.add(part.tallies[variant])
    return pooled


def answer(tracker: Tracker, clock: Clock, times: int) -> None:
    for _ in range(times):
        tracker.sent(clock())
        tracker.verified(clock.after(50))


def served(found: Recorder, clock: Clock) -> Tracker:
    """Return a client that has had its first reply; what has happened until now is no part of what is counted next."""
    tracker = connected(found, clock)
    tracker.sent(clock())
    tracker.verified(clock.after(50))
    found.report()
    return tracker


def histogram_of(durations: list[int]) -> Histogram:
    found: Histogram = {}
    for duration in durations:
        count(found, duration)
    return found
