"""The listening socket, and a connection for each way of doing I/O: bytes and deadlines, no policy."""
