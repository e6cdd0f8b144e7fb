"""The servers: three concurrency models, and what they share."""
