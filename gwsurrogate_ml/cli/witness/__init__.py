"""`gwsml denoise witness`: subtraction of what witness channels explain, and its report."""
