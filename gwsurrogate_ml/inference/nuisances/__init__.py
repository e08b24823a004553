"""Calibration errors, errors of the waveform and glitches, integrated for each draw of a posterior."""
