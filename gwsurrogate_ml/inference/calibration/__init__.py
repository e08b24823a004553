"""Is an estimator what it claims to be? Simulated events, coverage tests, its card, and strain that was cleaned."""
