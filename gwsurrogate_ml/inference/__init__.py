"""gwsurrogate_ml.inference."""
