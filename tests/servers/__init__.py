"""Unit tests of what the servers are made of."""
