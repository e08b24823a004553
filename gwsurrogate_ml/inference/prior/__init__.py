"""Priors of binaries, and whether a waveform model covers them."""
