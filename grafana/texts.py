"""Texts that several panels share; a text of one panel stands with that panel."""

NO_REPLY = "No reply in this stage's last ten seconds"
NO_LOAD = "No load is measured"
NO_SERVER = "The server is not measured"
ONLY_A_CONTAINER = "Only in a container (docker compose up)"
ONLY_LINUX = "Only on Linux"
TOO_FEW = "Fewer than 100 clients are connected"
NOTHING_STEADY = "No number of clients has been steady for 15 s in this scenario and time"

EXACT = (
    "Exact over the samples of the stage's last ten seconds from all workers. Clients without a reply are missing: "
    "read it beside clients served."
)

LATER_REPLIES = (
    "All replies of a connection but its first: response time counts from when the request was due, service time from "
    "when it was sent (choose above)."
)

FIRST_REPLY = (
    "From the start of connect() to the last byte of a connection's first reply: under one at a time it comes only "
    "after earlier clients have left."
)

FIRST_WAIT = (
    "The median of ten seconds; if over a quarter of the clients still waits, the age of the oldest that does, if that "
    "is more."
)

SERVED = (
    "A client is served unless it waits for the first reply of its connection (or for the connection, over a second); "
    "away between two connections, it does not wait. Mean of ten seconds. Where many wait, throughput and latency "
    "describe only the few that are served."
)

THROUGHPUT = (
    "Replies that were correct byte for byte, counted by the clients. In `conversation`, one at a time serves one "
    "conversation after another: its clients wait, it isn't slow. Compare top speeds in `saturate` only, one variant "
    "after another, and one at a time with one client."
)

FAILED = (
    "Requests that timed out (30 s), came back wrong or were cut off, and attempts to connect that failed, counted by "
    "the clients. None is left out."
)

CPU_PER_REQUEST = (
    "CPU time (user and system) of the server's process divided by its requests without QUIT, valid on any number of "
    "cores. What answering Prometheus costs is taken off; there is no figure below 20 requests per second. At a light "
    "load a request costs more than in `saturate`, because the server wakes up for each."
)

PROCESS_MEMORY = (
    "Resident memory of the server's process, without the kernel's socket buffers and other kernel memory: see the "
    "container's. Virtual size is not shown, because a thread reserves megabytes that it never uses."
)

CONTAINER_MEMORY = (
    "The program's own memory, the kernel's for it (thread stacks, page tables, sockets) and socket buffers. File "
    "cache is left out: it is charged to the container that read a file first."
)

MEMORY_ABOVE_IDLE = (
    "Memory of the server's process beyond what it had before its first client. It is due to all clients so far: it "
    "includes one-off costs of the first and memory that others left behind. Restart the server to measure fewer."
)

MEMORY_PER_CLIENT = (
    "Memory above idle divided by the clients connected now, from 100 on: with fewer, one-off costs would count as a "
    "client's. Memory left behind by earlier clients makes fewer ones look expensive. For the exact slope, run "
    "python -m loadtest compare --memory."
)

ACCEPT_QUEUE = (
    "Connections that the kernel has accepted and the server has not (TCP_INFO of the listening socket). Clients that "
    "gave up stay until the server reaches them. Beyond the limit (click it in the legend) clients are not counted, "
    "and need a second or more to connect."
)

CORES = (
    "CPU seconds per second of the server's process: 1 is one busy core. Python's lock (GIL) lets one thread run at a "
    "time, so even the threaded server stays little above 1."
)

THREADS = (
    "Python threads of the server's process, including those for signals, metrics and a scrape: compare the growth, "
    "not the number."
)

CONNECTIONS = (
    "Connections that the server serves now, by its own count. Those in its accept queue, or waiting for a thread of "
    "its pool, are not included: one at a time has one."
)

SERVICE_TIME = (
    "From having a request to having its reply ready, measured by the server, SLEEP's wait included. It leaves out the "
    "accept queue, so the lab measures latency at the client."
)

WITHIN_A_BUCKET = "Estimated to within a bucket of the histogram; logarithmic axis."

BUCKETS = "Darker cells hold more; two bands mean two kinds, of which a quantile shows only one."
