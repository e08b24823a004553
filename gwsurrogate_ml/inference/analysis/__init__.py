"""Analyses as users start them: with a trained estimator or from scratch, from the data's checks to the result."""
