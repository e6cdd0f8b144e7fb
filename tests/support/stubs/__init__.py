"""Servers and loads with known behaviour, most of them in their own processes."""
