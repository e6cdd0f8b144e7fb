"""What the benchmarks print."""

import statistics
from collections.abc import Mapping, Sequence


def report(
    name: str, clients: int, ours: Sequence[Mapping[str, float]], baseline: Sequence[Mapping[str, float]]
) -> None:
    """Print a line for each figure: the median ratio of ours over the baseline's, its spread, and both medians."""
    for figure in ours[0]:
        ratios = [a[figure] / b[figure] for a, b in zip(ours, baseline, strict=True)]
        medians = [statistics.median(run[figure] for run in runs) for runs in (ours, baseline)]
        print(
            f"{name:9} {clients:6}  {figure:25} {statistics.median(ratios):6.2f}"
            f"  {min(ratios):6.2f} to {max(ratios):<6.2f} {medians[0]:12.2f} {medians[1]:12.2f}",
            flush=True,
        )
