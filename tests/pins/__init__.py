"""The versions that the lab names, and how long each is supported."""
