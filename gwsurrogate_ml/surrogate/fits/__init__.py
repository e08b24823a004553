"""Regressions: ensembles of small networks, sparse Gaussian processes."""
