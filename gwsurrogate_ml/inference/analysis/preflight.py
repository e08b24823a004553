"""Are the data what the likelihood takes them for? The whitened segment, less its signal, against the noise spectra.

The likelihood believes that the noise is Gaussian and as strong as its spectrum says. Both are looked at in tiles of time and
frequency: a tile's energy over what the spectrum foretells has mean one in such noise. Its median over the segment, away from the
signal, tells before any sampling whether the spectrum belongs to these data; its loudest tile whether there is a glitch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.arguments import whole
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.inference.likelihood.tiles import TILE, tiles
from gwsurrogate_ml.strain.spectrum_given import label_of

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
    from gwsurrogate_ml.inference.likelihood.trigger import Trigger
    from gwsurrogate_ml.strain.spectrum_given import PsdSource

BEFORE, AFTER = 0.75, 0.25
"""Seconds about the loudest template's merger that are left out: it is not the signal, and leaves some of it."""
FEWEST = 100
"""Draws that weights need."""
UNSTEADY, STEADY = (0.3, 2.5), (0.6, 1.5)
"""Usual ratios of the noise's power to the spectrum's, in bands below `STEADY_FROM` Hz, where noise changes most, and above."""
STEADY_FROM = 80.0
LEFT, HARMLESS = 0.2, 0.1
"""Share of the signal's energy that the loudest template may leave, and its share in the noise's of a tile that is asked still."""
NO_NOISE, SILENT = 0.02, 1e-4
"""Power, in units of the spectrum's, below which every band of data without noise lies, where the template leaves some of the
signal, and below which one of them does: noise of a spectrum that is far too large is as far below it in all."""
WRONG = 3.0
"""Ratio, the median of the bands', above which the spectrum is not that of these data: weights and evidence would be fiction."""

GIVEN = "leave out --psd (psd), so that it is measured beside the event, "
"""The remedy for a spectrum that was given."""


def draws_and_seed(n: int, seed: int, n_sets: int = 1) -> tuple[int, int]:
    """Number of draws and seed of an analysis, checked.

    Raises
    ------
    ConfigError
        if either is no whole number, the seed negative, or the draws too few, or fewer than the sets of extrinsic points

    Examples
    --------
    >>> draws_and_seed(5000.0, 1)
    (5000, 1)
    """
    n, seed = whole(n, "n"), whole(seed, "seed")
    if n < FEWEST:
        raise ConfigError(f"n is {n}: weights need at least {FEWEST} draws")
    if not 1 <= n_sets <= n:
        raise ConfigError(f"n_sets is {n_sets}: give one set of extrinsic points or more, and no more than there are draws, {n}")
    return n, seed


def best_template(likelihood: SegmentLikelihood, found: Trigger) -> np.ndarray:
    """The loudest template (n_det, n_f), 1/Hz, in each detector with its own best amplitude, phase and time."""
    h = found.waveform * np.exp(-2j * np.pi * likelihood.frequencies * found.times[:, None])
    match = np.sum(likelihood.weight * np.conj(h) * likelihood.strain, axis=1)
    return (match / likelihood.power(found.waveform[None])[0])[:, None] * h


def require_spectra(likelihood: SegmentLikelihood, sources: PsdSource | Mapping[str, PsdSource]) -> None:
    """Raise before any search where noise spectra that were given, `sources`, are not those of the segment.

    As in `spectrum_flags`, but with the signal in: it is in few of the tiles that the medians are taken of.

    Raises
    ------
    DataError
        naming the detector, and the file or the curve
    """
    for d, name in enumerate(likelihood.segment.detectors):
        t = tiles(likelihood, likelihood.strain, d)
        merger = likelihood.segment.gps - likelihood.segment.start_time
        away = (t.times + TILE < merger - BEFORE) | (t.times > merger + AFTER)
        typical = float(np.median(t.levels(away)))
        if typical > WRONG:
            raise _another(name, typical, f", {label_of(sources, name)}", GIVEN)


def _another(name: str, typical: float, which: str, remedy: str) -> DataError:
    """The error of a detector whose noise has `typical` times the power of its spectrum."""
    return DataError(
        f"{name}: the noise of the segment has {typical:.1f} times the power that its spectrum says{which}: the spectrum is not "
        f"that of these data, or the noise is far from steady; {remedy}give the spectrum of these data, or leave the detector out"
    )


def spectrum_flags(likelihood: SegmentLikelihood, found: Trigger) -> list[str]:
    """Does each noise spectrum belong to the segment? A sentence for each detector whose noise is not as it says.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    found : Trigger
        the loudest template, which is taken away

    Raises
    ------
    DataError
        where the noise's power is more than `WRONG` times the spectrum's, in the median of the bands
    """
    signal, out = best_template(likelihood, found), []
    for d, name in enumerate(likelihood.segment.detectors):
        t = tiles(likelihood, likelihood.strain - signal, d)
        away = (t.times + TILE < found.times[d] - BEFORE) | (t.times > found.times[d] + AFTER)
        levels = t.levels(away & (LEFT * tiles(likelihood, signal, d).ratio < HARMLESS))
        # No band to tell by, or a signal without noise, for which any spectrum will do.
        if not levels.size or (np.all(levels < NO_NOISE) and np.any(levels < SILENT)):
            continue
        measured = any(likelihood.segment.psd_segments[d : d + 1])
        if (typical := float(np.median(levels))) > WRONG:
            raise _another(name, typical, "", "" if measured else GIVEN)
        usual = [STEADY if low >= STEADY_FROM else UNSTEADY for low, _ in t.bands]
        odd = [k for k, (least, most) in enumerate(usual) if not least < levels[k] < most]
        if odd:
            said = ", ".join(f"{levels[k]:.2g} at {t.bands[k, 0]:g} to {t.bands[k, 1]:g} Hz" for k in odd)
            out.append(
                f"spectrum unlike the noise: {name}'s segment has {said} of the power that its spectrum says; errors and evidence "
                "are off where it matters: give a spectrum of these data, or a band without it"
            )
    return out
