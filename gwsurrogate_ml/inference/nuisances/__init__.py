"""Calibration errors and errors of the waveform: splines with Gaussian nodes, integrated for each draw of a posterior."""
