"""Faults: clients that vanish or do not read, descriptors and threads that run out."""
