"""What is counted: histograms, counters, and a run's result."""
