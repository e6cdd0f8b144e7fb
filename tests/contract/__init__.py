"""One contract for every server: real processes, real sockets, literal bytes."""
