"""Precessing binaries: dynamics of orbit, frame and spins, co-orbital modes by the spins at each time, rotation to an observer."""
