"""Compiled signal processing, numpy in and numpy out: `fft`, `psd`, `whiten`, `matched_filter`, `bank`, `chisq`.

Kernels take plain arrays (one-sided spectra, real series, one-sided PSDs in 1/Hz), keep no global state, release the
GIL and may be called from several threads. They compute in float64 unless given float32 or complex64, and say what that
costs. Compiled code is cached on disk: the first call ever takes seconds, later processes load it.
"""
