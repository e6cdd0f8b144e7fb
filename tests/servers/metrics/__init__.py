"""Tests of what a server exports."""
