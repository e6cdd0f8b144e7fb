"""The lab without Docker: processes, one host or several."""
