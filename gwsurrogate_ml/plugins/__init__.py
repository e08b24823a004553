"""Plug-ins: the shipped surrogates inside pycbc, and inside gwsignal and so bilby; found there by entry points.

The modules are named after their hosts. Importing one costs next to nothing: torch stays out, weights are read on first use.
"""
