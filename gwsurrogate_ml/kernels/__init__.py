"""gwsurrogate_ml.kernels."""
