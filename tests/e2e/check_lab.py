"""
Checks the whole lab in Docker, as a user gets it: `make check-lab`.

It builds or pulls the images, starts a lab of its own on free ports, asks every query of every panel through Grafana
(or Prometheus, if Grafana's image can't be had), says which get no answer, and takes the lab down.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlencode

from servers.variants import VARIANTS
from tests.observability.queries import Query, dashboards, panels, queries
from tests.support.lab.docker import Lab, brought_up, fetch, why_no_docker

PATIENCE: Final = 150.0
"""Seconds until every query has had an answer: a tour of all stages, and the time until the first has begun."""

PAUSE: Final = 2.0
"""Seconds between two rounds: a scrape."""

NAMES: Final = frozenset(variant.name for variant in VARIANTS)

Series = list[tuple[dict[str, str], float]]
"""A query's answer: labels and value of each series."""

Ask = Callable[[str], Series]
"""Takes PromQL; returns the answer. OSError or ValueError if there is none."""


def why_wrong(query: Query, ask: Ask) -> str:
    """Return in words what a query's answer lacks; "" if nothing."""
    try:
        found = ask(query.promql())
    except HTTPError as error:
        return f"refused: {error.code} {error.read().decode(errors='replace').strip()[:200]}"
    except (OSError, ValueError) as error:
        return f"no answer: {error}"
    if query.may_be_empty:
        return ""
    if not found:
        return "no data"
    if any(math.isnan(value) for _, value in found):
        return "not a number"
    missing = NAMES - {labels.get("variant", "") for labels, _ in found} if query.per == "variant" else ()
    return f"no data of {', '.join(sorted(missing))}" if missing else ""


def wrong(asked: Iterable[Query], ask: Ask, seconds: float, pause: float = PAUSE) -> dict[str, str]:
    """Return what is wrong with each query, by its name, that had no right answer within so many seconds."""
    left, until = list(asked), time.monotonic() + seconds
    while True:
        found = [(query, why) for query in left if (why := why_wrong(query, ask))]
        left = [query for query, _ in found]
        if not left or time.monotonic() >= until:
            return {query.name: why for query, why in found}
        time.sleep(pause)


def lost_panels(lab: Lab) -> Sequence[str]:
    """Return the dashboards that Grafana doesn't have as they are committed."""
    lost = []
    for name, committed in dashboards().items():
        try:
            had = json.loads(fetch(lab.url("grafana", f"/api/dashboards/uid/{committed['uid']}")))["dashboard"]
        except (OSError, ValueError) as error:
            lost.append(f"{name}: {error}")
            continue
        if len(list(panels(had))) != len(list(panels(committed))):
            lost.append(f"{name}: Grafana has {len(list(panels(had)))} of {len(list(panels(committed)))} panels")
    return lost


def through_grafana(lab: Lab) -> Ask:
    """Return what asks the lab's Prometheus by Grafana's data source, as its panels do."""

    def ask(promql: str) -> Series:
        path = f"/api/datasources/uid/prometheus/resources/api/v1/query?{urlencode({'query': promql})}"
        answer = json.loads(fetch(lab.url("grafana", path)))
        return [(series["metric"], float(series["value"][1])) for series in answer["data"]["result"]]

    return ask


def check(lab: Lab, seconds: float = PATIENCE) -> int:
    """Ask a lab that runs; print what is wrong and what was not asked, and return the exit status."""
    every = queries()
    way, ask = ("Prometheus", lab.query) if lab.no_grafana else ("Grafana", through_grafana(lab))
    _say(f"healthy after {lab.healthy_at - lab.began:.0f} s; asking {len(every)} queries through {way}")
    failed = wrong(every, ask, seconds)
    for name, why in failed.items():
        print(f"NO ANSWER  {name}: {why}")
    lost = [] if lab.no_grafana else lost_panels(lab)
    for line in lost:
        print(f"NO ANSWER  {line}")
    if lab.no_grafana:
        print(f"NOT ASKED  Grafana, whose image can't be had: {lab.no_grafana}")
    _say(f"{len(every) - len(failed)} of {len(every)} queries have an answer")
    return 1 if failed or lost else 0


def main() -> int:
    """Bring the lab up, check it, and take it down; return the exit status."""
    if why := why_no_docker():
        sys.stderr.write(f"tcplab check-lab: {why}; install Docker with Compose v2, and start it\n")
        return 2
    _say("pulling or building the images, and starting a lab of its own: some minutes the first time")
    try:
        profiles = ",".join({variant.profile: None for variant in VARIANTS if variant.profile})
        with contextmanager(brought_up)(COMPOSE_PROFILES=profiles) as lab:
            status = check(lab)
    except AssertionError as error:  # docker's own words
        sys.stderr.write(f"tcplab check-lab: the lab did not start: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("tcplab check-lab: interrupted; the lab is taken down\n")
        return 130
    _say("the lab is taken down")
    return status


def _say(line: str) -> None:
    print(f"tcplab check-lab: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
