"""Recipes from raw data to training sets; they use the public API of `gwsurrogate_ml` and nothing there imports them."""
