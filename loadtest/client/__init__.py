"""The clients of one load process: what they do, and the sockets they do it with."""
