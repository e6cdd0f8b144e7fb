"""The load for the tests: Locust's processes, a cluster of them, the comparison, and recorders without either."""
