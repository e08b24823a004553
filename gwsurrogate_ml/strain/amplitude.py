"""How strong noise and data of a segment are about 100 Hz, and whether a detector's can be: units and scale found out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gwsurrogate_ml.strain.segment import AnalysisSegment

QUIETEST, NOISIEST = 1e-25, 3e-21
"""Amplitude spectral densities (1/sqrt(Hz)) about 100 Hz that real detectors lie between.

Cosmic Explorer's design has 1.6e-25, the Einstein Telescope's 2.6e-25, LIGO's 4e-24, LIGO 1e-23 in O1, initial LIGO's 4e-23,
Virgo in O3 1e-22 on its lines. In metres, A+ would have 7e-21, LIGO in O4 1.6e-20 (arms of 4 km), Virgo 1.4e-20 (3 km).
"""
MULTIPLIED = 1e6
"""So far above the noisiest detector lies no unit of length, but strain that a program has multiplied."""
LOUD = {"GEO600": 3e-20}
"""GEO 600 had 9e-21 in S6, and in metres has 5e-18."""


def amplitudes(segment: AnalysisSegment) -> dict[str, tuple[float, float]]:
    """Median amplitudes (1/sqrt(Hz)) about 100 Hz of PSD and data, by detector; none where the band holds nothing there."""
    near = segment.mask & (np.abs(segment.frequencies - 100.0) < 20.0)
    found = {}
    for name, strain, psd in zip(segment.detectors, segment.strain, segment.psd, strict=True):
        usable = near & np.isfinite(psd) & (psd > 0)
        if usable.any():
            noise = float(np.sqrt(np.median(psd[usable])))
            found[name] = noise, float(np.sqrt(2.0 / segment.duration) * np.median(np.abs(strain[usable])))
    return found


def unusual_scale(segment: AnalysisSegment) -> tuple[str, ...]:
    """A sentence for each detector whose noise no detector has, or whose data are stronger: distances are as wrong as the scale."""
    found = []
    for name, (noise, data) in amplitudes(segment).items():
        most = LOUD.get(name, NOISIEST)
        if noise < QUIETEST or max(noise, data) > most:
            remedy = "check that the strain is neither scaled nor in metres"
            if max(noise, data) > MULTIPLIED * most:
                remedy = "divide the strain by the factor it was multiplied by (pycbc's DYN_RANGE_FAC is 5.9e20)"
            found.append(
                f"unusual scale: about 100 Hz the noise of {name} is {noise:.1e}, its data are {data:.1e} per root Hz; "
                f"detectors have {QUIETEST:g} to {most:g}: {remedy}, for distances are as wrong as it is"
            )
    return tuple(found)
