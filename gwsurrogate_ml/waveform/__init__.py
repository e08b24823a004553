"""gwsurrogate_ml.waveform."""
