"""Locust's master and workers: the life of a run."""
