"""What stands on every page: its style sheet, and how each measure was obtained."""

from typing import Final

HOW: Final = (
    (
        "a figure",
        "The median over the runs that are valid. Under it, from ten runs on, the median's 99 % bootstrap interval over"
        " runs, and with fewer the least and the most of them, which is no more than indicative. A run excluded for"
        " another reason than the server (×, ?) is shown and is in no median, interval, curve or verdict.",
    ),
    (
        "a verdict",
        "Two servers are different if the 99 % interval of the ratio of their medians excludes 1, equivalent if it lies"
        " within 5 % of it, and otherwise the runs can't tell. Lower bounds among the runs open the interval, so that"
        " it holds whatever they are in truth (≥ 0.98: no upper end). Only what is fair in a scenario is judged.",
    ),
    (
        "requests/s",
        "Replies that were right byte for byte, divided by the length of the window. Where clients never pause and"
        " only the cores set the rate, it is the server's top speed only where the server was busy for 95 % of its core"
        " and the generator for less than 90 % of its own (and below 90 % of its ceiling, where that was measured);"
        " otherwise ≥.",
    ),
    (
        "response p50, p99",
        "Half of the replies, or 99 of 100, came within this time; from when the request was due to the reply's"
        " last byte, without the first reply on each connection. What was unanswered when the window ended"
        " counts at its age; ≥ where that could raise it by more than 5 %. In brackets where clients never pause"
        " (closed loop): there it is clients / throughput, not the server's latency, whichever is the bottleneck; it is"
        " neither judged nor ranked, nor drawn.",
    ),
    (
        "service p99",
        "The same from when the request was sent: what the server made of it, without what it had to wait before.",
    ),
    (
        "context switches, ready without a core",
        "Per request: how often one of the server's threads got a core, and how long its threads were ready and had"
        " none (the kernel's schedstat, up to 200 threads). They explain a cost: each switch takes processor time, and"
        " a thread that waits for another on the same core is late.",
    ),
    (
        "first reply",
        "From the beginning of connect to the first reply's last byte: it holds the wait for one's turn. Where clients"
        " stay (saturate, crowd), all connect before the window; those who had their reply by then count as"
        " the fastest.",
    ),
    (
        "durations by percentile",
        "The histograms of all valid runs merged, not an average of their percentiles; as far as ten durations lie"
        " beyond. Dotted, with hollow marks: requests that were unanswered could raise it.",
    ),
    (
        "served",
        "Clients with at least one right reply within the window, of those that had connected; of several runs, the one"
        " with the smallest share.",
    ),
    (
        "longest wait, fairness",
        "The longest that any client waited for a reply, answered or not (≥) when the window ended. Jain's index of how"
        " alike the clients' shares of the replies were: 1 if all had as many, 1/n if one of n had all. It says nothing"
        " of how good the service was, and clients that could not connect are not in it.",
    ),
    (
        "memory, threads",
        "The most resident memory and the most threads of the server's process seen within the window, read ten times a"
        " second from outside.",
    ),
    (
        "what one more client takes",
        "The slope of a line through what fresh processes took at ten numbers of clients: resident memory; and, where"
        " the server had a control group of its own, what was charged to that, which is the program's own memory and"
        " what the kernel holds for it: thread stacks, page tables, sockets and their buffers.",
    ),
    (
        "CPU per request",
        "User and system time of the server's process within the window, interpolated between samples at its"
        " ends, for each right reply. Where clients leave and come back it includes accepting and closing"
        " connections. It holds also where the cores don't suffice.",
    ),
    (
        "generator's core, busy",
        "The share of its core that the load generator used, and the share of the time in which it worked or was kept"
        " from its core; of several runs, the largest. Where either reaches 90 %, the generator is the limit.",
    ),
    (
        "the window",
        "Every run has a server process of its own and a Locust process of its own, and begins with a"
        " warm-up that is thrown away. It is long where clients wait for each other: the queue at the single server"
        " needs its whole length to build up.",
    ),
)
"""Measures, each with how it was obtained."""

STYLE: Final = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2024; --muted: #555c63; --line: #dfe3e6; --panel: #f6f7f8;
  --warn: #8a4b00; --warned: #fff6e6; --link: #0b5cad; --good: #00694d; }
@media (prefers-color-scheme: dark) { :root { --paper: #16191c; --ink: #eceef0; --muted: #a9b0b7; --line: #33393f;
  --panel: #1e2226; --warn: #f0b050; --warned: #2b2417; --link: #7db8f5; --good: #3ccf9f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1440px; padding: 22px 24px 60px; background: var(--paper);
  color: var(--ink); overflow-wrap: break-word;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
h1 { font-size: 25px; line-height: 1.25; margin: 0 0 4px; } h2 { font-size: 20px; margin: 38px 0 8px; }
h3 { font-size: 16px; margin: 22px 0 4px; }
a { color: var(--link); } p { max-width: 80ch; margin: 6px 0; } .faint { color: var(--muted); }
.where { max-width: none; }
.warn { color: var(--warn); font-weight: 600; }
.answer { background: var(--panel); border-radius: 10px; padding: 14px 18px; margin: 14px 0; }
.answer h2 { margin: 0 0 6px; } .caution { background: var(--warned); border-left: 4px solid var(--warn);
  border-radius: 4px; padding: 7px 12px; margin: 10px 0; max-width: none; }
.about { display: grid; grid-template-columns: minmax(190px, max-content) 1fr; gap: 7px 18px; margin: 8px 0; }
.about > div:nth-child(odd) { color: var(--muted); }
.chain > span { display: inline-block; margin: 0 5px 4px 0; }
.who { font-weight: 600; white-space: nowrap; } .who svg, .key svg { width: 13px; height: 13px; margin-right: 5px;
  vertical-align: -1px; overflow: visible; }
.link { border: 1px solid var(--line); background: var(--paper); border-radius: 7px; padding: 1px 8px; }
.among { white-space: nowrap; } .than { color: var(--muted); padding: 2px 3px; } .than b { color: var(--ink); }
.key { display: flex; flex-wrap: wrap; gap: 4px 22px; font-size: 14px; margin: 12px 0 0; padding: 0;
  list-style: none; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 4px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line);
  vertical-align: top; } td small { display: block; color: var(--muted); font-size: 12px; }
th { color: var(--muted); font-weight: 500; vertical-align: bottom; white-space: normal; }
th:first-child, td:first-child, td.left, th.left { text-align: left; }
td.left { white-space: normal; min-width: 200px; }
.claim code span { white-space: nowrap; }
.claim { margin-bottom: 8px; max-width: 46ch; } .agrees { color: var(--good); } .disagrees { color: var(--warn); }
tr.load td { background: var(--panel); font-weight: 600; } tr.unsure td { color: var(--muted); font-style: italic; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); gap: 18px;
  align-items: start; margin-top: 12px; }
.charts figure { margin: 0; padding: 16px 16px 10px; background: var(--panel); border-radius: 10px; }
.charts svg { display: block; width: 100%; max-width: 560px; height: auto; }
figcaption { color: var(--muted); font-size: 13px; margin-top: 6px; }
dt { font-weight: 600; margin-top: 8px; } dd { margin: 0; max-width: 90ch; }
li { max-width: 110ch; margin: 4px 0; } summary { cursor: pointer; margin: 10px 0; }
code { font: 13px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre { background: var(--panel); padding: 10px 14px; border-radius: 6px; white-space: pre-wrap;
  overflow-wrap: anywhere; }
@media (max-width: 600px) { body { padding: 14px 12px 40px; } .charts figure, .answer { padding: 12px 10px; }
  .about { grid-template-columns: 1fr; gap: 1px; } .about > div:nth-child(even) { margin-bottom: 9px; }
  .answer { display: flex; flex-direction: column; } .answer h2 { order: -2; } .caution { order: -1; }
  .stack thead, .stack td:empty { display: none; } .stack :is(table, tbody, tr, td) { display: block; }
  .stack td { border: 0; padding: 3px 0; } .stack td:first-child { font-weight: 600; font-size: 16px; }
  .stack tr { border-bottom: 1px solid var(--line); padding: 6px 0; }
  .stack td[data-of]::before { content: attr(data-of); color: var(--muted); }
  h1 { font-size: 21px; } ul { padding-left: 20px; } }
"""
