"""Bytes and deadlines: the listening socket, and a connection for each way of doing I/O."""
