"""Denoising: witness subtraction with a known optimum, and signals recovered from whitened strain with honest errors."""
