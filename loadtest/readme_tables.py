"""Writes the tables in loadtest/README.md and check/README.md: `python -m loadtest.readme_tables`."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtest.check.scorecard import ROWS
from loadtest.run_warnings import RUN_WARNINGS
from loadtest.scenarios import SCENARIOS
from servers.variants import Variant
from servers.write import written

README: Final = Path(__file__).with_name("README.md")
CHECK: Final = Path(__file__).parent / "check" / "README.md"
BIAS: Final = Path(__file__).with_name("bias.json")
"""What tests/bench/of_bias.py has measured."""

WORKER: Final = Path(__file__).with_name("worker.json")
"""What tests/bench/of_worker.py has measured."""

ERROR_RATES: Final = Path(__file__).parent / "compare" / "analysis" / "error_rates.json"
"""What tests/loadtest/compare/analysis/simulation.py found."""

PORTS: Final = 60_999 - 32_768 + 1
"""Local ports of an address: Linux's default net.ipv4.ip_local_port_range."""

TIME_WAIT: Final = 60
"""Seconds that a port rests after its connection: TCP_TIMEWAIT_LEN in Linux's include/net/tcp.h."""

PACKET: Final = 70 + 66
"""Bytes on the wire for a message of 64: the line, and the headers of Ethernet, IPv4 and TCP with time stamps."""


def _table(heads: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield a Markdown table, with an empty line before and after it."""
    lines = ["".join(f" {cell} |" if cell else " |" for cell in cells) for cells in (heads, *rows)]
    yield from ("", f"|{lines[0]}", f"|{'---|' * len(heads)}", *(f"|{line}" for line in lines[1:]), "")


def scenarios(_: Sequence[Variant] = ()) -> Iterator[str]:
    """Yield the table of scenarios."""
    heads = ("scenario", "what a client does", "what may be compared")
    return _table(heads, ((f"`{each.name}`", each.does, each.compare) for each in SCENARIOS.values()))


def warnings(_: Sequence[Variant] = ()) -> Iterator[str]:
    """Yield the table of warnings."""
    heads = ("warning", "when", "what to do", "left out of a comparison")
    rows = ((f"`{name}`", row.when, row.hint, row.effect.takes_out) for name, row in RUN_WARNINGS.items())
    return _table(heads, rows)


def bias(_: Sequence[Variant] = ()) -> Iterator[str]:
    """Yield how far the response times are from the truth, and how that was measured."""
    kept = json.loads(BIAS.read_text(encoding="utf-8"))
    off = "bias (least to most)"
    rows = []
    for stub in kept["stubs"]:
        cells = [f"{stub['service']} us"]
        for row in (stub["p50"], stub["p99"]):
            cells += [f"{row['truth']} us", f"{row['bias']:+} us ({row['low']:+} to {row['high']:+})"]
        rows.append(cells)
    yield from _table(("a request takes the server", "p50: truth", off, "p99: truth", off), rows)
    yield (
        f"The median of {kept['runs']} runs of {kept['seconds']} s with {kept['clients']} clients, Poisson arrivals, at"
        f" {kept['load']:.0%} of what the stub can do."
    )
    yield from (_origin(kept), "")


def _origin(kept: Mapping[str, Any]) -> str:
    return (
        f"Commit {kept['commit']}, {kept['date']}, {kept['cpu']}, {kept['cores']} cores, {kept['system']},"
        f" {kept['python']}."
    )


def worker(_: Sequence[Variant] = ()) -> Iterator[str]:
    """Yield the limits of one worker: what was measured, and what follows from Linux's defaults."""
    kept = json.loads(WORKER.read_text(encoding="utf-8"))
    rates, memory = kept["rates"], {int(name): size for name, size in kept["memory_mb"].items()}
    rate = sorted(rates)[len(rates) // 2]
    fewest, most = min(memory), max(memory)
    each = (memory[most] - memory[fewest]) / (most - fewest) * 1e3
    sizes = ", ".join(f"{size:.0f} MB with {number:,}" for number, size in sorted(memory.items()))
    rows = (
        f"requests/s, never pausing | {rate:,} ({rates[0]:,} to {rates[-1]:,}) against a bare sink: {kept['cpu_us']} us"
        " of CPU each | its core: `generator-cpu` | *Event loop busy*, *CPU*",
        f"connections | {most:,} tried | descriptors: 16,384 in Docker, else `ulimit -n`, which Locust raises to"
        " 10,000. Then `local-limit` | *Connects that fail*: `failed`",
        f"memory | {sizes}: {each:.0f} kB for each connection | the host's memory | not there; Locust's page under"
        " *Workers*",
        f"local ports | {PORTS:,} connections to one server from one address | the host's address, which all its"
        " workers share, also behind Docker's NAT: more hosts or addresses, or a wider `net.ipv4.ip_local_port_range`."
        " Then `local-limit` | *Connects that fail*: `no_port`",
        f"connects/s to one server (`churn`) | {PORTS // TIME_WAIT} from one address: each port rests for {TIME_WAIT} s"
        " | the same; none with `sysctl -w net.ipv4.tcp_tw_reuse=1`, which workers in Docker have set | *Connects that"
        " fail*: `no_port`",
        f"network, at {rate:,} requests/s of 64 bytes | computed: {rate:,} packets and {rate * PACKET / 1e6:.0f} MB a"
        f" second each way | a link of 1 Gbit/s with {125e6 / (rate * PACKET):.0f} such workers; a virtual machine's"
        " packets per second often before | not there: response times grow while no worker is busy; see `ip -s link`",
    )
    heads = ("", "one worker", "what becomes the limit", "where it shows (dashboard *Load generator*)")
    yield from _table(heads, ([row] for row in rows))
    yield (
        f"Over loopback with {kept['clients']} clients, the median of {kept['runs']} runs; memory in `crowd`. Ports and"
        " their rest are Linux's defaults."
    )
    yield from (_origin(kept), "")


def _rates() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(ERROR_RATES.read_text(encoding="utf-8"))
    return found


def _by_machine(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {name: [row for row in rows if row["machine"] == name] for name in dict.fromkeys(r["machine"] for r in rows)}


def verdicts(_: Sequence[Variant] = ()) -> Iterator[str]:
    """Yield the table of a verdict's error rates: of each machine with 10 repeats, and after a slash with 20."""
    rows = _rates()["verdict"]
    found = [f"{name} slower: found" for name in rows[0]["found"]]
    heads = ("runs differ by", "equal: *different*", "the 99 % interval holds", *found, "equal: *equivalent*")

    def shares(row: dict[str, Any]) -> tuple[float, ...]:
        alike = (row["equivalent"], row["equivalent_though"]["6 %"])
        return (row["different"], row["covered"], *row["found"].values(), *alike)

    return _table(
        (*heads, "6 % slower: *equivalent*"),
        (
            (name, *(" / ".join(f"{share:.1%}" for share in both) for both in zip(*map(shares, some), strict=True)))
            for name, some in _by_machine(rows).items()
        ),
    )


def estimators(_: Sequence[Variant] = ()) -> Iterator[str]:
    """Yield the table of estimators: how often each finds a server 10 % slower, and calls equal ones different."""
    rows = _rates()["methods"]
    return _table(
        ("runs differ by", *dict.fromkeys(row["method"] for row in rows)),
        (
            (name, *(f"{row['found']['10 %']:.0%} ({row['different']:.1%})" for row in some))
            for name, some in _by_machine(rows).items()
        ),
    )


def modes(_: Sequence[Variant] = ()) -> Iterator[str]:
    """Yield the table of how often two modes are told."""
    return _table(
        ("runs", "from run to run", "one mode: called two", "two modes, 8.9 and 10.6 us: told"),
        ((row["runs"], f"{row['noise']:.0%}", f"{row['one']:.1%}", f"{row['two']:.0%}") for row in _rates()["modes"]),
    )


def sides(_: Sequence[Variant] = ()) -> Iterator[str]:
    """Yield the table of verdicts over sessions."""
    rows = _rates()["sides"]
    return _table(
        (
            *("sessions a side", "between sessions", "equal: any alarm"),
            *(f"{name} slower: found" for name in rows[0]["found"]),
        ),
        (
            (
                *(row["sessions"], f"{row['spread']:.0%}", f"{row['alarms']:.1%}"),
                *(f"{share:.0%}" for share in row["found"].values()),
            )
            for row in rows
        ),
    )


def rows(_: Sequence[Variant] = ()) -> Iterator[str]:
    """Yield the table of what is asked of a server."""
    return _table(
        ("row", "commands", "what is asked"), ((each.name, ", ".join(each.commands), each.asks) for each in ROWS)
    )


_PARTS: Final = (scenarios, warnings, bias, worker, verdicts, estimators, modes, sides)
"""The tables of README.md; each has the name of its marks."""


def texts() -> dict[Path, str]:
    """Return the pages with their tables rewritten."""
    parts = {README: {each.__name__: each for each in _PARTS}, CHECK: {"rows": rows}}
    return {page: written(page.read_text(encoding="utf-8"), parts[page]) for page in parts}


if __name__ == "__main__":
    for page, text in texts().items():
        page.write_text(text, encoding="utf-8")
