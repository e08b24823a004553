"""aligned."""
