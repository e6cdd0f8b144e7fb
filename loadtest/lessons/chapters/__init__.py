"""A file for each lesson; it is found by being here."""
