"""What the lab's servers cost, beside bare echo servers of their own kind, in the same run. `make bench` runs it."""
