"""Mode containers, splines on fixed knots, polarizations, conditioning to the frequency domain, comparison of waveforms."""
