"""The dashboard "Load generator": what makes the load, and whether a figure is its own limit, not the servers'."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from grafana import colours, figures, texts, units
from grafana.fields import coloured, fixed_colour, prop, threshold_line, words
from grafana.layout import Line, Section
from grafana.page import page
from grafana.panels import Series, chart, chart_of, timeline
from grafana.status import status
from loadtest.recording.counters import BREAKS, CONNECTIONS, OUTCOMES
from loadtest.run_checks import BUSY, LAGGING, ON_TIME, STARVED, STOLEN


def by_variant(title: str, description: str, expr: str, unit: str) -> timeseries.Panel:
    """Return a chart with a line for each variant, of what the load counts."""
    return chart(title, description, [Series(expr)], unit=unit, empty=texts.NO_LOAD)


def by_worker(title: str, description: str, expr: str, unit: str) -> timeseries.Panel:
    """Return a chart with a line for each load process."""
    panel = chart(
        title,
        f"{description} A load process's number is never given to another; its line ends with it.",
        [Series(expr, legend="worker {{worker}}")],
        unit=unit,
        empty=texts.NO_LOAD,
    )
    for digit, colour in enumerate(colours.KINDS):  # numbers grow without bound, and those present are neighbours
        panel.override_by_regexp(f"/{digit}$/", [fixed_colour(colour)])
    return panel


def limited(title: str, description: str, metric: str, unit: str, limit: float) -> Builder[dashboard.Panel]:
    """Return a chart of each load process, with the limit past which there is a warning."""
    panel = by_worker(title, description, f"max by (worker) ({metric})", unit)
    return threshold_line(panel.axis_soft_max(limit * 1.2), limit)


def load() -> list[Line]:
    """Return how much load there is, and by whom."""
    workers = chart(
        "Workers",
        "Load processes that report. One that joins or leaves during a run has clients moved to or from it: figures of "
        "that moment carry a warning.",
        [Series("max(tcplab_load_workers)", legend="workers")],
        unit=units.COUNT,
        empty=texts.NO_LOAD,
    )
    users = by_variant(
        "Clients",
        "Clients (Locust's users) that the load runs, connected or away, for each server. Who is away has no "
        "connection: compare with clients connected.",
        "max by (variant) (tcplab_load_users)",
        units.COUNT,
    )
    requests = by_worker(
        "Requests by worker",
        "Requests that have ended, right or wrong, each second. Workers share the clients alike: one that does much "
        "less than the others is kept from its core, or has the slower servers' clients.",
        "sum by (worker) (worker:tcplab_load_requests:rate10s)",
        units.REQUESTS_PER_SECOND,
    )
    return [Line(8, [users, workers, requests])]


def strain() -> list[Line]:
    """Return what the load processes suffer from: each limit is one of loadtest/run_checks.py."""
    busy = limited(
        "How busy is it?",
        "Share of the time in which a load process's engine had no moment to wait, whether it worked or was kept "
        f"from its core. From {BUSY:.0%} on a top speed is the generator's: add workers.",
        "tcplab_load_worker_busy_ratio",
        units.SHARE,
        BUSY,
    )
    cpu = limited(
        "CPU",
        f"CPU of each load process, as a share of one core, over ten seconds. From {BUSY:.0%} on its figures are "
        "its own limit, not the server's: add workers.",
        "tcplab_load_worker_cpu_ratio",
        units.SHARE,
        BUSY,
    )
    lag = limited(
        "How late does it wake up?",
        "How much later than asked a load process's loop looked at a timer (p99, ten seconds). Above "
        f"{LAGGING * 1000:g} ms latencies are partly its own.",
        "tcplab_load_worker_lag_seconds",
        units.SECONDS,
        LAGGING,
    )
    starved = limited(
        "Waiting for a core",
        "Share of the time in which a load process could run and others had its core (/proc/self/schedstat). Above "
        f"{STARVED:.0%} it shows in the latencies, though neither CPU nor lag need tell. 0 where the system does "
        "not tell.",
        "tcplab_load_worker_starved_ratio",
        units.SHARE,
        STARVED,
    )
    stolen = limited(
        "Stolen by the host",
        f"CPU that the host of a virtual machine kept back, as a share of one core. Above {STOLEN:.0%} two runs "
        "differ by more than runs do.",
        "tcplab_load_worker_stolen_ratio",
        units.SHARE,
        STOLEN,
    )
    return [Line(8, [cpu, busy, lag]), Line(8, [starved, stolen, _warnings()])]


def _warnings() -> Builder[dashboard.Panel]:
    panel = timeline(
        "Which warnings, and when?",
        "Each warning of the load generator, over time: an empty lane never had it. The same warnings are "
        "amber bands in all charts. loadtest/README.md has the hint of each.",
        "max by (warning) (tcplab_load_warning)",
        "{{warning}}",
        texts.NO_LOAD,
    )
    return panel.mappings([words({"0": ("no", colours.FAINT), "1": ("warning", colours.WARNING)})])


def pace() -> list[Line]:
    """Return whether what is asked for is done, and in time."""
    rates = chart(
        "Rate asked for and achieved",
        "Dashed: what falls due each second in all, in the open model (--rate); 0 in the closed one, which asks as "
        f"fast as it is answered. Sent and answered right: by all clients together. Where less than {ON_TIME:.0%} "
        "of what is due is sent, the run says so (rate).",
        [
            Series("max(tcplab_load_target_rate)", legend="asked for"),
            Series("sum(rate(tcplab_load_sent_total[$__rate_interval]))", legend="sent"),
            Series(
                'sum(rate(tcplab_load_requests_total{outcome="verified"}[$__rate_interval]))', legend="answered right"
            ),
        ],
        unit=units.REQUESTS_PER_SECOND,
        empty=texts.NO_LOAD,
    )
    coloured(rates, ["sent", "answered right"], colours.KINDS)
    rates.override_by_name(
        "asked for", [fixed_colour(colours.NEUTRAL), prop("custom.lineStyle", {"fill": "dash", "dash": [6, 6]})]
    )
    unsent = by_variant(
        "Due and not sent",
        "Requests that are due by the schedule and not sent yet (open model), for their clients still wait for a "
        "reply. None is dropped: each is sent as soon as it can be, and its response time counts from when it was "
        "due.",
        "max by (variant) (tcplab_load_unsent)",
        units.COUNT,
    ).axis_soft_max(1)
    late = by_variant(
        "Requests sent late",
        "Requests that left over 5 ms after they were due because the generator was busy, each second. Response time "
        "counts from when they were due, so it contains this delay; service time doesn't.",
        "sum by (variant) (rate(tcplab_load_late_sends_total[$__rate_interval]))",
        units.PER_SECOND,
    ).axis_soft_max(1)
    return [Line(8, [rates, unsent, late])]


def lost() -> list[Line]:
    """Return what became of what was not answered."""
    under_way = by_variant(
        "Requests under way",
        "Sent and not answered yet, as the clients count. Such requests are never forgotten: at the end of a run, "
        "sent = verified + failed + abandoned (their client was stopped) + unanswered.",
        "max by (variant) (tcplab_load_unanswered)",
        units.COUNT,
    )
    abandoned = by_variant(
        "Requests abandoned",
        "Requests whose client was stopped before the reply came, each second: the end of a run, fewer clients, or "
        "clients moved to another worker. Neither answered nor failed.",
        "sum by (variant) (rate(tcplab_load_abandoned_total[$__rate_interval]))",
        units.PER_SECOND,
    ).axis_soft_max(1)
    connecting = by_variant(
        "Connections made",
        "Attempts to connect that succeeded, each second. Nothing to see in `saturate` and `crowd`, whose clients "
        "stay.",
        'sum by (variant) (rate(tcplab_load_connections_total{outcome="connected"}[$__rate_interval]))',
        units.PER_SECOND,
    )
    failed = _by_outcome(
        "Requests that fail",
        texts.FAILED,
        'sum by (outcome) (rate(tcplab_load_requests_total{outcome!="verified"}[$__rate_interval]))',
        OUTCOMES[1:],
    )
    unconnected = _by_outcome(
        "Connects that fail",
        "Attempts to connect by how they failed, each second: refused (nobody listened), timeout (5 s; a full accept "
        "queue), reset; no_port and failed are this machine's own fault.",
        'sum by (outcome) (rate(tcplab_load_connections_total{outcome!="connected"}[$__rate_interval]))',
        CONNECTIONS[1:],
    )
    breaks = _by_outcome(
        "Connections that break",
        "Connections that ended while no request was open on them, each second: corrupt (bytes that nobody had "
        "asked for), closed, reset. No request's failure, yet no client's wish either.",
        "sum by (outcome) (rate(tcplab_load_connections_broken_total[$__rate_interval]))",
        BREAKS,
    )
    return [Line(8, [under_way, abandoned, connecting]), Line(8, [failed, unconnected, breaks])]


def _by_outcome(title: str, description: str, expr: str, outcomes: Sequence[str]) -> Builder[dashboard.Panel]:
    panel = chart(title, description, [Series(expr, legend="{{outcome}}")], unit=units.PER_SECOND, empty=texts.NO_LOAD)
    return coloured(panel, outcomes, colours.reds(len(outcomes))).axis_soft_max(1)


def connecting_time() -> Sequence[Line]:
    """Return what the kernel alone answers."""
    connect = [
        chart(
            f"Connecting ({percent})",
            "From the start of connect() to the open connection. The kernel answers it, so a server that serves nobody "
            f"connects in microseconds, until its accept queue is full: then a second or more. {texts.EXACT}",
            [Series(figures.recent("connect", quantile))],
            unit=units.SECONDS,
            empty="No connection made in the last ten seconds",
            log=True,
        )
        for quantile, percent in (("0.5", "p50"), ("0.99", "p99"))
    ]
    return [Line(8, [*connect, chart_of(figures.CONNECTED)])]


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return page(
        "load",
        [
            Section("", [status(), *load()]),
            Section("May its figures be believed?", strain()),
            Section("Is what is asked for done, and in time?", pace()),
            Section("What was lost?", lost()),
            Section("Connecting", connecting_time()),
        ],
        shown=[],
    )
