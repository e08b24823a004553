"""The integral over what the proposals leave out: arrival time, sky, orientation, phase and distance."""
