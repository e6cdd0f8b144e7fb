"""A Python without a GIL, and what of the servers depends on the lack of one."""
