"""The dashboards, as a program: `python -m grafana.write` writes dashboards/*.json."""
