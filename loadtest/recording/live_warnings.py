"""The warnings of the run that is on: none comes or goes with a single second's figures."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from loadtest.recording.counters import Strain
from loadtest.run_checks import Facts
from loadtest.run_warnings import CHECKED, About, Degree, Level, LoadWarning, Row, only

COMES_AFTER: Final = 3.0
"""Seconds for which a row that `lasts` must be found before its warning is on; others are on at once."""

GOES_AFTER: Final = 10.0
"""Seconds for which a warning must not be found before it is off: as long as live figures look back."""

EASED: Final = 0.75
"""The share of its threshold below which a load process's figure must fall before a warning may go."""


class _Key(NamedTuple):
    """A warning in a degree, about one variant; "": about all."""

    name: str
    degree: Degree
    variant: str


@dataclass(slots=True)
class _State:
    """since: when the opposite was found first, and without a break (steady seconds); None if the last look agreed."""

    is_on: bool = False
    since: float | None = None
    detail: str = ""


class LiveWarnings:
    """Call `look` once a second, and `forget` when a run begins."""

    def __init__(self) -> None:
        self._states: dict[_Key, _State] = {}

    def forget(self) -> None:
        """Forget the run before."""
        self._states.clear()

    def look(self, facts: Facts, now: float) -> None:
        """Take the facts about the run's last seconds; now: steady seconds."""
        for name, row in CHECKED.items():
            for level in row.levels:
                for variant, part in _parts(row, facts):
                    state = self._states.setdefault(_Key(name, level.degree, variant), _State())
                    _update(state, row, level, part, now)

    def warnings(self) -> list[LoadWarning]:
        """Return the warnings that are on, each in its strongest degree."""
        found = []
        for name, row in CHECKED.items():
            variants_left = {key.variant for key in self._states if key.name == name}
            for level in row.levels:
                on = {
                    key.variant: state.detail
                    for key, state in self._states.items()
                    if key[:2] == (name, level.degree) and state.is_on and key.variant in variants_left
                }
                if on:
                    variants_left -= set(on)
                    found.append(LoadWarning(name, "; ".join(on.values()), row.hint, level.degree, tuple(on)))
        return found


def _parts(row: Row, facts: Facts) -> Iterator[tuple[str, Facts]]:
    """Yield the facts that a row judges: each variant's own if it is about servers."""
    for variant in facts.variants:
        yield variant, only(facts, variant) if row.about is About.SERVER else facts


def _update(state: _State, row: Row, level: Level, facts: Facts, now: float) -> None:
    judged = _raised(facts) if row.lasts and state.is_on else facts
    detail = level.check(judged)
    if detail is not None and judged is facts:
        state.detail = detail
    if (detail is not None) == state.is_on:
        state.since = None
        return
    state.since = now if state.since is None else state.since
    patience = GOES_AFTER if state.is_on else COMES_AFTER if row.lasts else 0.0
    if now - state.since >= patience:
        state.is_on, state.since = not state.is_on, None


def _raised(facts: Facts) -> Facts:
    """Return facts whose load processes' figures exceed a threshold until they are below EASED of it."""
    return replace(facts, **{name: getattr(facts, name) / EASED for name in Strain._fields})
