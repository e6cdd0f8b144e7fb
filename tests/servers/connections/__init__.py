"""Tests of the accepting socket and the connections, below the models."""
