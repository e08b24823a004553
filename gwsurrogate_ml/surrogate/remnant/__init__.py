"""remnant."""
