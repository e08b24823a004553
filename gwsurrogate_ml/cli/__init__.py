"""gwsurrogate_ml.cli."""
