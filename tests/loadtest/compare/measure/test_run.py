"""How a run starts its clients."""

from loadtest.compare.measure.run import arrivals
from loadtest.compare.plan import Workload


def test_thousands_at_full_speed_start_one_by_one() -> None:
    assert arrivals(Workload("crowd", 1000, warmup=6, seconds=6)) == 250
    assert arrivals(Workload("saturate", 50, warmup=1, seconds=2)) == 50


def test_clients_at_a_rate_start_at_once() -> None:
    """They connect when their first request is due: the rate spreads them."""
    assert arrivals(Workload("rates", 5000, warmup=15, seconds=4, rate=2500.0)) == 5000
