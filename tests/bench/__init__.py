"""Benchmarks of the lab's servers and load against bare ones, in the same run: `make bench`."""
