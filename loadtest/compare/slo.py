"""SLOs, such as p99<50ms, as text and as data."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, cast

LONGEST_US: Final = 30_000_000  # the longest limit: a later reply is a failed request (outcomes.REPLY_TIMEOUT)

Series = Literal["", "later", "first"]

_UNITS: Final = {"s": 1_000_000, "ms": 1000, "us": 1}
_SHAPE: Final = re.compile(
    r"\s*(?:(?P<series>later|first)\s+)?p(?P<percent>\d{1,3}(?:\.\d{1,4})?)\s*<\s*(?P<limit>\d{1,9}(?:\.\d{1,6})?)"
    r"\s*(?P<unit>us|ms|s)\s*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Slo:
    """A quantile that must be below a limit; `str` gives the text for `parse`."""

    series: Series  # its replies; "" for the scenario's default (slo_check.series_in)
    quantile: float  # 0.99 for p99
    limit_us: int  # whole microseconds

    def __str__(self) -> str:
        return f"{self.series} p{self.quantile * 100:g}<{exact_duration(self.limit_us)}".lstrip()


def parse(text: str) -> Slo:
    """Parse an SLO like `p99<50ms`, `first p99.9<2s` or `later p50<800us`; ValueError on a bad one."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an SLO; write it like p99<50ms, p50<800us, or first p99.9<2s")
    percent, limit = Decimal(match["percent"]), Decimal(match["limit"]) * _UNITS[match["unit"]]
    if not 0 < percent <= 100:
        raise ValueError(f"{text!r} is not an SLO: there is no p{percent}; choose from p0.0001 to p100")
    if not 1 <= limit <= LONGEST_US or limit % 1:
        raise ValueError(f"{text!r} is not an SLO: its limit must be whole microseconds, from 1us to 30s")
    return Slo(cast("Series", match["series"] or ""), float(percent / 100), int(limit))


def exact_duration(microseconds: int) -> str:
    """Return a duration exactly, as in an SLO: "800us", "63.4ms", "2s"."""
    unit = next(unit for unit, size in _UNITS.items() if microseconds >= size or unit == "us")
    return f"{(Decimal(microseconds) / _UNITS[unit]).normalize():f}{unit}"
