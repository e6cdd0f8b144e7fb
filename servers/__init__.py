"""The servers: one file per concurrency model, and the parts they share."""
