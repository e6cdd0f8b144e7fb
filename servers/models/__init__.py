"""The concurrency models, one file each, to be read side by side."""
