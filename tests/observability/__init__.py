"""Tests of Prometheus's configuration and Grafana's dashboards without Docker."""
