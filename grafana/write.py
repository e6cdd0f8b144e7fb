"""Write dashboards/*.json: `python -m grafana.write`, or `make dashboards`."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import capacity, compare, generator, server

FOLDER = Path(__file__).parent / "dashboards"


def files() -> dict[Path, str]:
    """Return every generated file with its text, always the same for the same dashboard."""
    return {
        FOLDER / f"{one.uid}.json": json.dumps(one, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"
        for one in (page.build() for page in (compare, capacity, generator, server))
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
