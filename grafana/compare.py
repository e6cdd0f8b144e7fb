"""The dashboard "Compare": the variants side by side under the same load, and whether the figures can be believed."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import statetimeline
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard

from grafana.panels import (
    BAD,
    DATASOURCE,
    DOUBTFUL,
    FAINT,
    GOOD,
    NEUTRAL,
    TALL,
    Place,
    Series,
    chart,
    fixed_colour,
    grid,
    note,
    prop,
    query,
    query_now,
    query_table,
    shade,
    steps,
    threshold_line,
    tile,
    transform,
    variant_words,
    words,
)
from servers.variants import VARIANTS, Variant

Panels = Iterator[Builder[dashboard.Panel]]

TABLE = 4 + len(VARIANTS)
"""Height of the table with a row for each variant."""

INTRODUCTION = f"""\
**Same requests, same load: only the way to serve many clients at once differs.**<br>
{" &nbsp; ".join(f'<b style="color:{v.colour}; white-space:nowrap">■ {v.title}</b>' for v in VARIANTS)}

**Compare** latency, memory and CPU per request, always beside *clients served*. In `conversation`, *one at a time*
makes its clients **wait** (its accept queue, its first reply); it isn't slow: one conversation follows another.

**Doubt** what stands in a red band: there the load generator doubts its own figures; the tile on the right says why.
"""

DOUBTS_NOW = """\
max by (doubt) (tcplab_load_doubt) == 1
or label_replace(max(tcplab_load_doubt) == 0, "doubt", "no doubts", "", "")
or label_replace(2 * absent(tcplab_load_doubt), "doubt", "the load is not measured", "", "")"""

WARNINGS_NOW = """\
max by (alertname, variant) (ALERTS{alertstate="firing",alertname!="FiguresInDoubt"})
or label_replace(0 * absent(ALERTS{alertstate="firing",alertname!="FiguresInDoubt"}), "alertname", "nothing", "", "")"""


def recent(series: str, quantile: str) -> str:
    """Return the query of an exact quantile over the last ten seconds; `max` only drops the target's labels."""
    return f'max by (variant) (tcplab_load_recent_seconds{{series="{series}",quantile="{quantile}"}})'


def head(y: int) -> Panels:
    """Yield what stands at the top: what this is, and whether to believe it."""
    yield note(INTRODUCTION, Place(0, y, 10, 7))
    yield (
        tile(
            "Believe these figures?",
            "Every doubt that the load generator has about its own run, by name; loadtest/README.md has the remedy "
            "of each. In doubt, a figure may be the generator's limit and not the server's. Red bands in the charts "
            "show when.",
            Place(10, y, 8, 4),
        )
        .with_target(query_now(DOUBTS_NOW, "A", "{{doubt}}"))
        .text_mode(common.BigValueTextMode.NAME)
        .orientation(common.VizOrientation.HORIZONTAL)
        .thresholds(steps(GOOD, (1, BAD), (2, DOUBTFUL)))
    )
    yield (
        tile(
            "What else is wrong?",
            "The alerts that fire now (prometheus/rules/alerts.yml): a server down, no load, requests that fail, a "
            "full accept queue, a CPU quota that holds a server back.",
            Place(18, y, 6, 4),
        )
        .with_target(query_now(WARNINGS_NOW, "A", "{{alertname}} {{variant}}"))
        .text_mode(common.BigValueTextMode.NAME)
        .orientation(common.VizOrientation.HORIZONTAL)
        .thresholds(steps(GOOD, (1, DOUBTFUL)))
    )
    servers = (
        tile(
            "Are the servers up?",
            "Whether each server answers on its metrics port. It does so even while its clients wait.",
            Place(10, y + 4, 8, 3),
        )
        .with_target(query_now('max by (variant) (up{job="servers"})', "A", "{{variant}}"))
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
        .text(common_builders.VizTextDisplayOptions().title_size(11).value_size(26))
        .mappings([words({"1": ("up", GOOD), "0": ("down", BAD)})])
    )
    for variant in VARIANTS:
        servers.override_by_name(variant.name, [prop("displayName", variant.title)])
    yield servers
    yield (
        tile(
            "Is there any load?",
            "Whether a run is on, how many workers make its load, and how many clients (Locust's users) it has. "
            "Change it on Locust's page, port 8089.",
            Place(18, y + 4, 6, 3),
        )
        .with_target(query_now("max(tcplab_load_running)", "A", "run"))
        .with_target(query_now("max(tcplab_load_workers)", "B", "workers"))
        .with_target(query_now("sum(tcplab_load_users)", "C", "clients"))
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
        .text(common_builders.VizTextDisplayOptions().title_size(11).value_size(26))
        .thresholds(steps(NEUTRAL))
        .no_value("not reachable")
        .override_by_name("run", [prop("mappings", [words({"1": ("on", GOOD), "0": ("off", DOUBTFUL)})])])
    )


def last_minute(y: int) -> Panels:
    """Yield the table of the last minute: one row for each variant."""
    columns = (
        ("Replies /s", "sum by (variant) (variant:tcplab_load_verified:rate1m)", "none"),
        ("Reply p50", recent("response", "0.5"), "s"),
        ("Reply p99", recent("response", "0.99"), "s"),
        ("First reply p50", recent("first_reply", "0.5"), "s"),
        ("Clients served", "max by (variant) (tcplab_load_clients_served)", "none"),
        ("Clients now", "max by (variant) (tcplab_load_clients_connected)", "none"),
        ("In the queue", "max by (variant) (tcplab_accept_queue_connections)", "none"),
        ("Failed /s", "sum by (variant) (variant:tcplab_load_failed:rate1m)", "none"),
        ("Memory", "max by (variant) (tcplab_resident_memory_bytes)", "bytes"),
        ("CPU per request", "sum by (variant) (variant:tcplab_cpu_seconds_per_request:ratio_rate1m)", "s"),
    )
    panel = (
        grid(
            "The last minute, side by side",
            "Replies, failures and CPU are over the last minute, latencies exact over the last ten seconds as the "
            "clients saw them, the rest is now. Reply: of a connection's second, third, ... request, from when it was "
            "due. First reply: from the start of connect(), the wait in the accept queue included. A latency tells of "
            "those who were served: read it beside clients served and clients now (connected). At a light load, CPU "
            "per request contains what an idle server uses.",
            Place(0, y, 24, TABLE),
        )
        .no_value("–")
        .min_width(70)
    )
    for index, (title, expr, unit) in enumerate(columns):
        panel.with_target(query_table(expr, chr(ord("A") + index)))
        panel.override_by_name(
            title, [prop("unit", unit), prop("custom.align", "right"), prop("custom.wrapHeaderText", True)]
        )
    panel.override_by_name(
        "Server",
        [
            prop("mappings", [variant_words()]),
            prop("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
            prop("custom.width", 160),
        ],
    )
    panel.override_by_name(
        "Failed /s",
        [
            prop("custom.cellOptions", {"type": "color-text"}),
            prop("thresholds", steps("text", (1e-9, BAD)).build()),
            prop("color", {"mode": "thresholds"}),
        ],
    )
    names = {f"Value #{chr(ord('A') + index)}": title for index, (title, _, _) in enumerate(columns)}
    panel.with_transformation(transform("merge", {}))
    panel.with_transformation(
        transform(
            "organize",
            {
                "excludeByName": {"Time": True},
                "indexByName": {name: index for index, name in enumerate(["variant", *names])},
                "renameByName": {"variant": "Server", **names},
            },
        )
    )
    panel.with_transformation(transform("sortBy", {"fields": {}, "sort": [{"field": "Server"}]}))
    yield panel


def throughput(y: int) -> Panels:
    """Yield throughput, and what must stand beside it."""
    yield chart(
        "How many requests are answered each second?",
        "Replies that came back and were right byte for byte, counted by the clients. In `conversation` the one-at-a-"
        "time server's rate is one conversation after another by construction: it waits, it isn't slow. Rank top "
        "speeds in `saturate` only, one variant after another, the one-at-a-time server with one client.",
        Place(0, y, 12, TALL),
        [Series('sum by (variant) (rate(tcplab_load_requests_total{outcome="verified"}[$__rate_interval]))')],
        unit="reqps",
        calcs=("lastNotNull", "mean"),
    )
    yield chart(
        "How many of the connected clients have been served?",
        "Solid: clients that have had a right reply on the connection they have now. Dashed: clients connected now. "
        "Where the two part, throughput and latency tell of the lucky ones only.",
        Place(12, y, 12, TALL),
        [
            Series("max by (variant) (tcplab_load_clients_served)", "served"),
            Series("max by (variant) (tcplab_load_clients_connected)", "connected", dashed=True),
        ],
        unit="none",
        calcs=(),
    )


def latency(y: int) -> Panels:
    """Yield latency as the client sees it, one chart for each quantile, a line for each variant."""
    how = (
        "Response time of a connection's second, third, ... reply, from when the request was due; exact, over the last "
        "ten seconds, from all workers' samples together (never an average of quantiles). The first reply is apart, "
        'below. Service time, from the actual send, is the same series with series="service"; the two differ when '
        "the generator itself is late. Logarithmic axis."
    )
    for index, (quantile, title, trap) in enumerate(
        (
            ("0.5", "Half of the replies within (p50)", "Half of the replies took longer than this."),
            ("0.95", "19 of 20 replies within (p95)", "One reply in twenty took longer than this."),
            ("0.99", "99 of 100 replies within (p99)", "At few replies a second this is a handful of samples."),
        )
    ):
        yield chart(
            title,
            f"{how} {trap}",
            Place(8 * index, y, 8, TALL),
            [Series(recent("response", quantile))],
            unit="s",
            log=True,
            absent="No reply in the last ten seconds",
        )


def waiting(y: int) -> Panels:
    """Yield who waits, where, and what the server knows of it."""
    yield chart(
        "How long until the first reply?",
        "From the start of connect() to the last byte of the connection's first reply, exact, over the last ten "
        "seconds. This is where one at a time shows: the kernel accepts the connection at once, and then nobody "
        "answers until those before have left. Solid p50, dashed p99. Logarithmic axis.",
        Place(0, y, 10, TALL + 1),
        [
            Series(recent("first_reply", "0.5"), "p50"),
            Series(recent("first_reply", "0.99"), "p99", dashed=True),
        ],
        unit="s",
        log=True,
        calcs=(),
        absent="No first reply in the last ten seconds",
    ).mappings([words({"100": ("100 s", NEUTRAL)})])
    yield chart(
        "Waiting to be accepted",
        "The accept queue of the listening socket, as the kernel tells it (TCP_INFO). Clients who gave up stay in it "
        "until the server gets to them. Past its limit, connecting takes a second or more; the limit stands in the "
        "legend (a click draws it, too).",
        Place(10, y, 7, TALL + 1),
        [
            Series("max by (variant) (tcplab_accept_queue_connections)"),
            Series("min(tcplab_accept_queue_limit)", legend="limit"),
        ],
        unit="none",
        absent="This system does not tell (Linux does)",
    ).override_by_name(
        "limit",
        [fixed_colour(NEUTRAL), prop("custom.hideFrom", {"viz": True, "legend": False, "tooltip": False})],
    )
    yield chart(
        "What the server sees (p99)",
        "Service time as the server measures it, from having the request to having written the reply; estimated from "
        "its histogram, so within a bucket (1-2-5 steps). It knows nothing of clients in its accept queue: compare "
        "with the chart on the left. That is why the lab measures at the client.",
        Place(17, y, 7, TALL + 1),
        [
            Series(
                "histogram_quantile(0.99, sum by (le, variant) (rate(tcplab_service_seconds_bucket[$__rate_interval])))"
            )
        ],
        unit="s",
        log=True,
        absent="No request served",
    )


def cost(y: int) -> Panels:
    """Yield what the models cost in memory, CPU and threads."""
    yield chart(
        "Process memory",
        "Resident memory of the server's process. It leaves out the kernel's socket buffers and other kernel memory: "
        "see the containers' own accounts below. Virtual size is not shown: a thread reserves megabytes that it never "
        "touches.",
        Place(0, y, 6, TALL),
        [Series("max by (variant) (tcplab_resident_memory_bytes)")],
        unit="bytes",
    )
    yield chart(
        "CPU per request",
        "CPU seconds of the server's process (user and system) divided by its requests, QUIT left out. It holds on "
        "any number of cores. At a light load it contains what an idle server uses, such as answering Prometheus: "
        "compare under `saturate`.",
        Place(6, y, 6, TALL),
        [
            Series(
                "sum by (variant) (rate(tcplab_cpu_seconds_total[$__rate_interval]))\n"
                '/ (sum by (variant) (rate(tcplab_requests_total{command!="quit"}[$__rate_interval])) > 0)'
            )
        ],
        unit="s",
        absent="No request served",
    )
    yield chart(
        "Cores in use",
        "CPU seconds a second of the server's process: 1 is one core kept busy. Threads take turns at Python's lock, "
        "so even the threaded server stays little above 1.",
        Place(12, y, 6, TALL),
        [Series("sum by (variant) (rate(tcplab_cpu_seconds_total[$__rate_interval]))")],
        unit="none",
    )
    yield chart(
        "Threads",
        "Threads of the server's process, those included that serve its metrics.",
        Place(18, y, 6, TALL),
        [Series("max by (variant) (tcplab_threads)")],
        unit="none",
    )


def container_memory(y: int) -> Panels:
    """Yield one stacked chart for each variant: what its container holds, the kernel's part included."""
    parts = (("anon", "the program's own", 0.0), ("kernel", "the kernel's", 0.45), ("sock", "socket buffers", 0.75))
    width = 24 // len(VARIANTS)

    def one(variant: Variant, x: int) -> Builder[dashboard.Panel]:
        panel = chart(
            f"Memory: {variant.title}",
            "The container's memory as its cgroup accounts for it: the program's own (anon: heap and stacks), the "
            "kernel's on its behalf (kernel stacks, page tables, sockets), and socket buffers. File cache is left out: "
            "it belongs to whoever touched a file first.",
            Place(x, y, width, 9),
            [
                Series(
                    f'max by (part) (tcplab_container_memory_bytes{{variant="{variant.name}",part="{part}"}})',
                    legend=title,
                )
                for part, title, _ in parts
            ],
            unit="bytes",
            absent="Only a container has these (docker compose up)",
        )
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
        # The charts stand side by side: one scale while all fit into it.
        panel.fill_opacity(60).line_width(1).axis_soft_max(48 * 2**20)
        for _, title, lightness in parts:
            panel.override_by_name(title, [fixed_colour(shade(variant.colour, lightness))])
        return panel

    for index, variant in enumerate(VARIANTS):
        yield one(variant, index * width)


def errors(y: int) -> Panels:
    """Yield what went wrong: over time, and by kind, where zero reads as zero."""
    yield chart(
        "How much fails?",
        "Requests that timed out (30 s), came back wrong or were cut off, and connections that could not be made, each "
        "second, as the clients counted them.",
        Place(0, y, 6, 14),
        [
            Series(
                'sum by (variant) (rate(tcplab_load_requests_total{outcome!="verified"}[$__rate_interval]))\n'
                '+ sum by (variant) (rate(tcplab_load_connections_total{outcome!="connected"}[$__rate_interval]))'
            )
        ],
        unit="suffix:/s",
        calcs=("max", "lastNotNull"),
    ).axis_soft_max(1)
    for x, title, description, expr in (
        (
            6,
            "What the clients saw fail",
            "Counts in the time shown; Prometheus extrapolates them, so they may be off by a few per cent, but zero is "
            "zero. closed and reset: the server ended the connection before it answered. corrupt: a reply with wrong "
            "bytes. refused: the server said ERR, or nobody listened. no_port: the client's machine ran out of ports.",
            'sum by (variant, kind) (label_replace(increase(tcplab_load_requests_total{outcome!="verified"}'
            '[$__range]), "kind", "request $1", "outcome", "(.*)"))\n'
            'or sum by (variant, kind) (label_replace(increase(tcplab_load_connections_total{outcome!="connected"}'
            '[$__range]), "kind", "connect $1", "outcome", "(.*)"))',
        ),
        (
            15,
            "What the servers complained of",
            "Counts in the time shown, by the servers' own reckoning. unknown, argument, overlong, unfinished: a "
            "client broke the protocol. idle, dripping, unread: a client met a deadline. full, threads, descriptors: "
            "the server met a limit.",
            "sum by (variant, kind) (increase(tcplab_errors_total[$__range]))",
        ),
    ):
        panel = (
            grid(title, description, Place(x, y, 9, 14))
            .with_target(query_table(expr, "A"))
            .unit("short")
            .decimals(0)
            .min_width(65)
            .thresholds(steps("text", (0.5, BAD)))
            .color_scheme(dashboard_builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
            .with_transformation(
                transform(
                    "groupingToMatrix",
                    {"columnField": "variant", "rowField": "kind", "valueField": "Value", "emptyValue": "zero"},
                )
            )
            .with_transformation(
                transform(
                    "organize",
                    {
                        "indexByName": {
                            name: index for index, name in enumerate(["kind\\variant", *(v.name for v in VARIANTS)])
                        },
                        "renameByName": {"kind\\variant": "kind"},
                    },
                )
            )
        )
        panel.override_by_name("kind", [prop("custom.width", 125)])
        for variant in VARIANTS:
            panel.override_by_name(
                variant.name,
                [
                    prop("displayName", variant.title),
                    prop("custom.align", "center"),
                    prop("custom.wrapHeaderText", True),
                    prop("custom.cellOptions", {"type": "color-text"}),
                ],
            )
        yield panel


def measurement(y: int) -> Panels:
    """Yield the state of the measurement itself."""
    yield threshold_line(
        chart(
            "How busy is the load generator?",
            "CPU of each worker, as a share of one core. Above 90 % its own figures are its limit, not the server's: "
            "add workers.",
            Place(0, y, 8, 7),
            [Series("max by (worker) (tcplab_load_worker_cpu_ratio)", legend="worker {{worker}}")],
            unit="percentunit",
        ).axis_soft_max(1),
        0.9,
    )
    yield threshold_line(
        chart(
            "How late is the load generator?",
            "Lag of each worker's loop: how much later than asked it woke. Above 5 ms, latencies are partly its own.",
            Place(8, y, 8, 7),
            [Series("max by (worker) (tcplab_load_worker_lag_seconds)", legend="worker {{worker}}")],
            unit="s",
        ).axis_soft_max(0.006),
        0.005,
    )
    yield (
        statetimeline.Panel()
        .title("What was doubted, and when?")
        .description(
            "Each doubt that the load generator knows, over time. The same doubts are red bands in all charts."
        )
        .datasource(DATASOURCE)
        .grid_pos(Place(16, y, 8, 7 + TALL).position())
        .with_target(query("max by (doubt) (tcplab_load_doubt)", "A", "{{doubt}}"))
        .mappings([words({"0": ("no", FAINT), "1": ("doubt", BAD)})])
        .show_value(common.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.6)
        .disable_pagination()
        .span_nulls(15_000)
        .fill_opacity(100)
        .line_width(0)
        .legend(common_builders.VizLegendOptions().show_legend(False).display_mode(common.LegendDisplayMode.LIST))
        .tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
        .no_value("The load is not measured")
    )
    yield chart(
        "Requests under way",
        "Sent and not answered yet, as the clients count. Such requests are never forgotten: at the end of a run, "
        "sent = verified + failed + abandoned (their client was stopped) + unanswered.",
        Place(0, y + 7, 8, TALL),
        [Series("max by (variant) (tcplab_load_unanswered)")],
        unit="none",
    )
    yield chart(
        "Requests sent late",
        "Requests that left after they were due because the generator was busy, each second. Response time counts from "
        "when they were due, so it contains this delay; service time doesn't.",
        Place(8, y + 7, 8, TALL),
        [Series("sum by (variant) (rate(tcplab_load_late_sends_total[$__rate_interval]))")],
        unit="reqps",
    ).axis_soft_max(1)


SECTIONS = (
    ("", head, 7),
    ("", last_minute, TABLE),
    ("Speed, and who gets any of it", throughput, TALL),
    ("Latency, as the clients see it", latency, TALL),
    ("Waiting", waiting, TALL + 1),
    ("Cost", cost, TALL),
    ("Memory of the whole container, with what the kernel holds for it", container_memory, 9),
    ("Errors", errors, 14),
    ("The measurement itself", measurement, 7 + TALL),
)


def build() -> dashboard.Dashboard:
    """Return the dashboard, in Grafana's classic model."""
    result = (
        dashboard_builders.Dashboard("Compare")
        .uid("compare")
        .description(
            "Which concurrency model should a TCP server use? One server of each under the same load, side by side."
        )
        .tags(["tcp-concurrency-lab"])
        .time("now-15m", "now")
        .refresh("5s")
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .timepicker(dashboard_builders.TimePicker().refresh_intervals(["5s", "10s", "30s", "1m", "5m"]))
        .annotation(
            dashboard_builders.AnnotationQuery()
            .name("Doubts")
            .datasource(DATASOURCE)
            .enable(True)
            .icon_color(BAD)
            .expr("max by (doubt) (tcplab_load_doubt) == 1")
            .step("5s")
            .title_format("In doubt: {{doubt}}")
        )
    )
    y = 0
    panels: list[dashboard.Panel | dashboard.RowPanel] = []
    for title, section, height in SECTIONS:
        if title:
            panels.append(dashboard_builders.Row(title).grid_pos(dashboard.GridPos(h=1, w=24, x=0, y=y)).build())
            y += 1
        panels.extend(panel.build() for panel in section(y))
        y += height
    for number, panel in enumerate(panels, start=1):
        panel.id_val = number
    built = result.build()
    built.panels = panels
    return built
