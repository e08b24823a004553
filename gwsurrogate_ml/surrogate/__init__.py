"""Surrogates of numerical relativity: coordinates, post-Newtonian baseline, networks, the model and its training."""
