"""Histograms, counters, and a run's result."""
