"""gwsurrogate_ml.surrogate."""
