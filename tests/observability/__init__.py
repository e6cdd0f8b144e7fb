"""Prometheus's configuration and Grafana's dashboards, tested without Docker."""
