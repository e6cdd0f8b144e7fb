"""The dashboard "Load generator": whether a figure shows the servers' limit or the generator's own."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import common as builders
from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.models import common, dashboard

from grafana import colours, figures, texts, units
from grafana.fields import DASHED, coloured, fixed_colour, query_now, steps, words
from grafana.page import Line, page
from grafana.panels import Series, chart, chart_of, parts, tile, timeline
from grafana.status import status
from loadtest.recording.counters import BREAKS, CONNECTIONS, OUTCOMES
from loadtest.run_checks import BUSY, LAGGING, ON_TIME, STARVED, STOLEN


def by_variant(title: str, description: str, expr: str, unit: str = units.PER_SECOND) -> timeseries.Panel:
    """Return a chart of what the load counts, with a line for each variant."""
    return chart(title, description, unit, Series(expr))


def by_worker(title: str, description: str, expr: str, unit: str) -> timeseries.Panel:
    """Return a chart with a line for each load process."""
    description += " A worker's number is never reused; its line ends with the process."
    panel = chart(title, description, unit, Series(expr, legend="worker {{worker}}"))
    for digit, colour in enumerate(colours.KINDS):  # numbers grow without bound; neighbours differ in the last digit
        panel.override_by_regexp(f"/{digit}$/", [fixed_colour(colour)])
    return panel


def limited(title: str, description: str, metric: str, limit: float, unit: str = units.SHARE) -> timeseries.Panel:
    """Return a chart of each load process, with the limit beyond which a run gets a warning as a dashed line."""
    dashed = builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
    return (
        by_worker(title, description, f"max by (worker) (tcplab_load_worker_{metric})", unit)
        .axis_soft_max(limit * 1.2)
        .thresholds(steps(colours.NONE, (limit, colours.WARNING)))
        .thresholds_style(dashed)
    )


BOTTLENECK = """\
clamp_max(
  2 * max(tcplab_load_warning{about="generator",degree="doubt"})
  + max(tcplab_load_warning{about="generator",degree="note"}),
  2
) and on () max(tcplab_load_running) == 1"""

WARNINGS = f"""\
(2 * max by (warning) (tcplab_load_warning{{degree="doubt"}}) > 0
  or max by (warning) (tcplab_load_warning)) and on () {figures.RUNNING}"""

MORE_WORKERS = f"""\
(2 + 0 * (max(tcplab_load_worker_starved_ratio) > {STARVED})
or 1 + 0 * (max(tcplab_load_worker_busy_ratio) >= {BUSY})
or 1 + 0 * (max(tcplab_load_worker_cpu_ratio) >= {BUSY})
or 1 + 0 * (max(tcplab_load_worker_lag_seconds) > {LAGGING})
or 0 * max(tcplab_load_worker_busy_ratio)) and {figures.RUNNING}"""


def answers() -> Line:
    """Return the tiles that answer what the charts below show."""
    bottleneck = _answer(
        "Is the generator the bottleneck?",
        "What its own warnings say. If a little, medians and high quantiles may read longer than they are; if yes, a "
        "top speed and every latency may be the generator's instead of the servers'.",
        BOTTLENECK,
        {
            "0": ("No", colours.GOOD),
            "1": ("A little: read latencies as at most", colours.WARNING),
            "2": ("Yes: speed and latency may be its own", colours.WARNING),
        },
    )
    more = _answer(
        "Would more workers help?",
        f"Yes, if a worker uses {BUSY:.0%} of its core, or is over {LAGGING * 1000:g} ms late, though it never waits "
        f"for a core. No, if one waits for a core for over {STARVED:.0%} of the time: more would wait too, so give "
        "the load cores of its own. docker compose up --detach --scale locust-worker=4 --no-recreate",
        MORE_WORKERS,
        {
            "0": ("No: they have time to spare", colours.GOOD),
            "1": ("Yes: one has no time left", colours.WARNING),
            "2": ("No: they wait for a core", colours.WARNING),
        },
    )
    return Line(3, [bottleneck, more])


def _answer(title: str, description: str, expr: str, meanings: dict[str, tuple[str, str]]) -> stat.Panel:
    panel = tile(title, description, texts.NO_LOAD).with_target(query_now(expr, "A"))
    return panel.text(builders.VizTextDisplayOptions().value_size(20)).mappings([words(meanings)])


def load() -> list[Line]:
    """Return the charts of clients, workers and their requests."""
    requests = by_worker(
        "Requests ended per second, by worker",
        "Right and wrong ones. Workers share the clients equally: one that does much less than the others is kept from "
        "its core, or has the slower servers' clients.",
        "sum by (worker) (worker:tcplab_load_requests:rate10s)",
        units.REQUESTS_PER_SECOND,
    )
    cpu = limited(
        "CPU, share of one core",
        f"CPU of each load process over ten seconds. From {BUSY:.0%} on, figures show the generator's limit, not the "
        "server's: add workers.",
        "cpu_ratio",
        BUSY,
    )
    lag = limited(
        "Timer lag p99",
        "How much later than asked a load process's event loop ran a timer (p99 over ten seconds). Above "
        f"{LAGGING * 1000:g} ms, latencies are partly the generator's.",
        "lag_seconds",
        LAGGING,
        units.SECONDS,
    )
    users = by_variant(
        "Clients",
        "Clients (Locust's users) for each server, connected or away. A client that is away has no connection: compare "
        "with clients connected.",
        "max by (variant) (tcplab_load_users)",
        units.COUNT,
    )
    workers = chart(
        "Workers",
        "Load processes that report. When one joins or leaves during a run, clients move, and the figures carry a "
        "warning.",
        units.COUNT,
        Series("max(tcplab_load_workers)", legend="workers"),
    )
    warnings = timeline(
        "Run warnings over time",
        "A lane for each warning of the load generator; in an empty lane it never occurred. Amber: a "
        "doubt; grey: a note. loadtest/README.md has the hint of each.",
        WARNINGS,
        "{{warning}}",
        none="no",
    )
    return [Line(8, [requests, cpu, lag]), Line(8, [users, workers, warnings])]


def strain() -> Line:
    """Return the charts of the load processes' other limits; all are those of loadtest/run_checks.py."""
    busy = limited(
        "Event loop busy, share of time",
        "Time in which a load process's event loop never waited, because it worked or was kept from its core. From "
        f"{BUSY:.0%} on, a top speed is the generator's: add workers.",
        "busy_ratio",
        BUSY,
    )
    starved = limited(
        "Waiting for a core, share of time",
        "Time in which a load process could run but others had its core (/proc/self/schedstat; 0 where the system "
        f"does not report it). Above {STARVED:.0%} it adds to latencies, even if CPU and lag do not show it.",
        "starved_ratio",
        STARVED,
    )
    stolen = limited(
        "CPU stolen by the host, share of one core",
        f"CPU that a virtual machine's host withheld. Above {STOLEN:.0%}, two runs differ by more than usual.",
        "stolen_ratio",
        STOLEN,
    )
    return Line(8, [busy, starved, stolen])


def pace() -> Line:
    """Return the charts of requests due, sent and late."""
    rates = chart(
        "Requested and achieved rate",
        "All clients together; dashed: requests due in the open model (--rate). In the closed model it is 0, because a "
        f"client sends once it is answered. If less than {ON_TIME:.0%} of the requests due are sent, the run gets the "
        "warning `rate`.",
        units.REQUESTS_PER_SECOND,
        Series("max(tcplab_load_target_rate)", legend="due"),
        Series("sum(rate(tcplab_load_sent_total[$__rate_interval]))", legend="sent"),
        Series('sum(rate(tcplab_load_requests_total{outcome="verified"}[$__rate_interval]))', legend="answered right"),
    )
    coloured(rates, ["sent", "answered right"], colours.KINDS)
    rates.override_by_name("due", [fixed_colour(colours.NEUTRAL), DASHED])
    unsent = by_variant(
        "Requests due and not sent",
        "Requests due by the schedule (open model) whose clients still wait for a reply. None is dropped: each is sent "
        "as soon as possible, and its response time counts from when it was due.",
        "max by (variant) (tcplab_load_unsent)",
        units.COUNT,
    ).axis_soft_max(1)
    late = by_variant(
        "Requests sent late per second",
        "Requests that left over 5 ms after they were due because the generator was busy. Response time counts from "
        "when they were due, so it includes this delay; service time doesn't.",
        "sum by (variant) (rate(tcplab_load_late_sends_total[$__rate_interval]))",
    ).axis_soft_max(1)
    return Line(8, [rates, unsent, late])


def lost() -> list[Line]:
    """Return the charts of requests without a right reply, and of connections."""
    in_flight = by_variant(
        "Requests in flight",
        "Sent and not answered yet, counted by the clients. None is lost: at the end of a run, sent = verified + "
        "failed + abandoned (their client was stopped) + unanswered.",
        "max by (variant) (tcplab_load_unanswered)",
        units.COUNT,
    )
    abandoned = by_variant(
        "Requests abandoned per second",
        "Requests whose client was stopped before the reply came: the run ended, clients were removed, or moved to "
        "another worker. They are neither answered nor failed.",
        "sum by (variant) (rate(tcplab_load_abandoned_total[$__rate_interval]))",
    ).axis_soft_max(1)
    connecting = by_variant(
        "Connections made per second",
        "Attempts to connect that succeeded. There are none in `saturate` and `crowd` once their clients, which stay, "
        "have connected.",
        'sum by (variant) (rate(tcplab_load_connections_total{outcome="connected"}[$__rate_interval]))',
    )
    failed = _by_outcome(
        "Requests that fail per second",
        figures.FAILED.text,
        'tcplab_load_requests_total{outcome!="verified"}',
        OUTCOMES[1:],
    )
    unconnected = _by_outcome(
        "Connects that fail per second",
        "Failed attempts to connect: refused (no server listened), timeout (5 s; a full accept queue), reset. no_port "
        "and failed are the load's own machine's fault.",
        'tcplab_load_connections_total{outcome!="connected"}',
        CONNECTIONS[1:],
    )
    breaks = _by_outcome(
        "Connections broken per second",
        "Connections that ended while no request was open on them: corrupt (unrequested bytes), closed, reset. No "
        "request failed, but no client ended them either.",
        "tcplab_load_connections_broken_total",
        BREAKS,
    )
    return [Line(8, [in_flight, abandoned, connecting]), Line(8, [failed, unconnected, breaks])]


def _by_outcome(title: str, description: str, counter: str, outcomes: Sequence[str]) -> timeseries.Panel:
    expr = f"sum by (outcome) (rate({counter}[$__rate_interval]))"
    reds = colours.reds(len(outcomes))
    panel = parts(title, description, units.PER_SECOND, expr, "outcome", kinds=outcomes, palette=reds)
    return panel.axis_soft_max(1)


def connecting_time() -> Line:
    """Return the charts of the time to connect."""
    connect = [
        chart(
            f"Time to connect, {percent}",
            "From the start of connect() to the open connection. The kernel answers, so even a stuck server connects "
            f"in microseconds until its accept queue is full, then in a second or more. {texts.EXACT}",
            units.SECONDS,
            Series(figures.recent("connect", quantile)),
            empty="No connection made in the last ten seconds",
            log=True,
        )
        for quantile, percent in (("0.5", "p50"), ("0.99", "p99"))
    ]
    return Line(8, [*connect, chart_of(figures.CONNECTED)])


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    sections = {
        "": [status(), answers()],
        "Each worker, and its load": load(),
        "What else limits a worker": [strain()],
        "Requested and achieved rate": [pace()],
        "Requests and connections that failed": lost(),
        "Connecting": [connecting_time()],
    }
    return page("load", sections)
