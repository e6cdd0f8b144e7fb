"""Searches a capacity by runs: the search asks for a number of clients, a run gives the answer."""

from collections.abc import Callable

from loadtest.compare.analysis.slo import Answer, Judgement, Target, judge
from loadtest.compare.measure.capacity import Bracket, Limits, Probe, conclude, propose
from loadtest.compare.measure.load import Load
from loadtest.compare.measure.run import CellFailedError


def find_capacity(
    probe: Callable[[int], Load], target: Target, limits: Limits, tell: Callable[[Probe], None]
) -> Bracket:
    """
    Return the bracket of clients between which the capacity within `target` lies.

    probe: runs a load of so many clients and returns what it found, with every doubt about the run; a run that raises
    CellFailedError cannot tell, whoever was at fault. tell: told each try when it is over; what it has kept can be
    concluded (capacity.conclude) should a run be interrupted, whose exception passes through.
    """
    probes: list[Probe] = []
    while (clients := propose(probes, limits)) is not None:
        try:
            judgement = judge(target, probe(clients))
        except CellFailedError as error:
            judgement = Judgement(Answer.CANNOT_TELL, None, f"the run failed: {error}")
        probes.append(Probe.of(clients, judgement))
        tell(probes[-1])
    return conclude(probes, limits)
