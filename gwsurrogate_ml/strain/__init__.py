"""Strain: data around an event from files or GWOSC, PSDs, analysis segments, simulation, whitening, matched filter."""
