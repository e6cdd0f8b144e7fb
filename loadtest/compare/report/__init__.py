"""The reports, drawn from a result alone."""
