"""Figures: every function takes arrays or gwpy series and returns a matplotlib `Figure`.

Figures carry units on their axes and stay readable in greyscale: curves in one panel differ in line style as well as in
colour (Okabe and Ito's colour-blind-safe palette). They are made without pyplot: no global state, nothing to close.
Save with ``figure.savefig(path)``; in a notebook the figure is the cell's value.
"""

from gwsurrogate_ml.plot.posterior import corner, importance_weights, sky_areas, sky_density, sky_probability, skymap
from gwsurrogate_ml.plot.series import polarizations, q_transform, snr, strain, waveform_band, whitened
from gwsurrogate_ml.plot.style import axis_label

__all__ = [
    "axis_label",
    "corner",
    "importance_weights",
    "polarizations",
    "q_transform",
    "sky_areas",
    "sky_density",
    "sky_probability",
    "skymap",
    "snr",
    "strain",
    "waveform_band",
    "whitened",
]
