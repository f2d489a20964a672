"""`sticky`."""
