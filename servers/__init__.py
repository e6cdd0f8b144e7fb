"""The servers: one file for each concurrency model, and what they share."""
