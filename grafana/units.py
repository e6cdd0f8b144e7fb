"""Every unit that a panel shows, by its name in Grafana."""

COUNT = "locale"  # 1,234
SECONDS = "s"
BYTES = "decbytes"
SHARE = "percentunit"
REQUESTS_PER_SECOND = "reqps"
PER_SECOND = "suffix:/s"
CORES = "suffix:cores"
SHORT = "short"
