"""What people look at, drawn from a result alone."""
