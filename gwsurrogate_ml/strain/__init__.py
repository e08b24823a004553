"""gwsurrogate_ml.strain."""
