"""The whole lab for the tests: in Docker, on this machine, over several hosts; its Prometheus, and a browser for it."""
