"""The concurrency models, a file each: read them side by side."""
