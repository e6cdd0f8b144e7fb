"""How a run is made, and what is read of it from outside."""
