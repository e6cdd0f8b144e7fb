"""Texts that several panels share; a text of one panel stands with that panel, a figure's with the figure."""

NO_REPLY = "No reply in this stage's last ten seconds"
NO_LOAD = "No load is measured"
NO_SERVER = "The server is not measured"
ONLY_A_CONTAINER = "Only in a container (docker compose up)"
ONLY_LINUX = "Only on Linux"

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
SERVED = (
    "A client is served unless it waits for the first reply of its connection (or for the connection, over a second); "
    "away between two connections, it does not wait. Mean of ten seconds. Where many wait, throughput and latency "
    "describe only the few that are served."
)
SERVICE_TIME = (
    "From having a request to having its reply ready, measured by the server, SLEEP's wait included. It leaves out the "
    "accept queue, so the lab measures latency at the client."
)
WITHIN_A_BUCKET = "Estimated to within a bucket of the histogram; logarithmic axis."
