"""The load on the servers, and what is learnt from it."""
