"""What more than one panel says. What one panel alone says stands where that is made."""

NO_REPLY = "No reply in the last ten seconds"
NO_LOAD = "No load is measured"
NO_SERVER = "The server is not measured"
ONLY_A_CONTAINER = "Only a container tells (docker compose up)"
ONLY_LINUX = "This system does not tell (Linux does)"
TOO_FEW = "Fewer than 100 clients are connected"
NOTHING_STEADY = "No number of clients has stood for 15 s yet"

EXACT = (
    "Exact, over the last ten seconds, from all workers' samples together (never an average of quantiles). Logarithmic "
    "axis. It tells of those who were answered: read it beside clients served."
)

LATER_REPLIES = (
    "Of a connection's second, third, ... reply; the first one is apart. Response time counts from when the request "
    "was due, service time from when it was sent: choose above. The two differ where requests fall due at a rate "
    "(open model) or the generator is late."
)

FIRST_REPLY = (
    "From the start of connect() to the last byte of the connection's first reply: what a new client waits. This is "
    "where one at a time shows: the kernel accepts the connection at once, and then nobody answers until those before "
    "have left."
)

SERVED = (
    "Clients that have had a right reply on the connection they have now, of those connected now. Where the two part, "
    "throughput and latency tell of the lucky ones only."
)

THROUGHPUT = (
    "Replies that came back and were right byte for byte, counted by the clients. In `conversation` the one-at-a-time "
    "server's rate is one conversation after another by construction: it waits, it isn't slow. Rank top speeds in "
    "`saturate` only, one variant after another, the one-at-a-time server with one client."
)

FAILED = (
    "Requests that timed out (30 s), came back wrong or were cut off, each second, as the clients counted them. "
    "Zero is zero: nothing is left out."
)

CPU_PER_REQUEST = (
    "CPU seconds of the server's process (user and system) divided by its requests, QUIT left out. It holds on any "
    "number of cores. At a light load it contains what an idle server uses, such as answering Prometheus: compare "
    "under `saturate`."
)

PROCESS_MEMORY = (
    "Resident memory of the server's process. It leaves out the kernel's socket buffers and other kernel memory: "
    "see the container's. Virtual size is not compared: a thread reserves megabytes that it never touches."
)

CONTAINER_MEMORY = (
    "What the server's container holds: the program's own memory, the kernel's on its behalf (thread stacks, page "
    "tables, sockets) and socket buffers. File cache is left out: it belongs to whoever touched a file first."
)

MEMORY_ABOVE_IDLE = (
    "What the server's process weighs beyond what it weighed before its first client. Part of it is taken once, for "
    "the first clients, and what clients leave behind when they go stays in it: start the server anew before "
    "weighing fewer."
)

MEMORY_PER_CLIENT = (
    "Memory above idle divided by the clients connected now, from 100 of them on: with fewer, what is taken once "
    "would look like a client's price. What clients leave behind stays in it: after a crowd, fewer clients seem "
    "dear. A slope over many clients is exact: python -m loadtest compare --memory."
)

ACCEPT_QUEUE = (
    "Connections that the kernel has accepted and the server has not, as the kernel tells it (TCP_INFO of the "
    "listening socket). Clients who gave up stay in it until the server gets to them. Past its limit, connecting "
    "takes a second or more."
)

CORES = (
    "CPU seconds a second of the server's process: 1 is one core kept busy. Threads take turns at Python's lock, so "
    "even the threaded server stays little above 1."
)

THREADS = (
    "Python threads of the server's process, those for signals, for the metrics and for a scrape included: compare the "
    "growth, not the number."
)

CONNECTIONS = (
    "Connections that the server is serving now, by its own count. Those in its accept queue are not among them: the "
    "one-at-a-time server has one."
)

SERVICE_TIME = (
    "From having a request to having its reply ready, as the server measures it, SLEEP's wait included. It knows "
    "nothing of clients in the accept queue: that is why the lab measures at the client."
)

WITHIN_A_BUCKET = "Estimated from a histogram, so within a bucket."

BUCKETS = (
    "Each column is a moment, each row a bucket of the histogram; the darker, the more replies. Two bands mean two "
    "kinds of requests: a quantile would show one of them."
)
