"""Which binary is in the data, before anything is known of it: a bank over chirp mass, filtered around the time given.

Chirp mass decides how a signal looks, mass ratio and spins bend it; so the bank is dense in the first alone, with a few shapes of
the others. What is found is a range of chirp masses, for whoever chooses how to analyse the event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import maximum_filter1d

from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.errors import DataError, DomainError
from gwsurrogate_ml.inference.analysis.arrival import EARTH, LOUDER, REACH, shared
from gwsurrogate_ml.inference.analysis.conclude import QUIET, require_strain
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import network_lags, snr_series, total
from gwsurrogate_ml.strain.data import USABLE
from gwsurrogate_ml.strain.spectrum import ROUGH
from gwsurrogate_ml.waveform.model import inspiral_time

if TYPE_CHECKING:
    from gwsurrogate_ml.strain.data import StrainData
    from gwsurrogate_ml.strain.segment import AnalysisSegment
    from gwsurrogate_ml.waveform.model import WaveformModel

LIGHTEST, HEAVIEST = 6.0, 150.0
"""Chirp masses of the bank, solar masses, detector frame."""
SHAPES = ((0.9, 0.0), (0.9, -0.5), (0.9, 0.5), (0.9, 0.8), (0.4, 0.0), (0.4, 0.5))
"""Mass ratios and spins, of both bodies, of its templates."""
TURN, RATIO, PIVOT = 3.0, 1.08, 40.0
"""Chirp masses lie at most this phase (rad) apart, of the whole inspiral from `PIVOT` Hz, and at most this factor."""
CUTS = ((16.0, 4.0, 20.0), (8.0, 3.5, 27.0), (4.0, 2.0, 35.0))
"""Duration, seconds after the time given, and lowest frequency (Hz) of the segments that are tried, until the data hold one: each
holds the lightest binary.
"""
LONGEST = 1.3
"""Factor by which spins may lengthen an inspiral, against its leading order."""
F_MAX = 512.0
NEAR = 0.1
"""Seconds from the time given within which a signal need not be louder than all else."""
POSSIBLE, LIKELY, SHARE = 9.0, 4.0, 0.06
"""Squared signal-to-noise ratio by which a template may be quieter than the loudest and still be possible, or likely, for noise;
and, as a share of the loudest's, for what lies between the templates. Half of it is in the log likelihood.
"""
GAP = 1.25
"""Ratio of chirp masses over which possible ones still belong together."""
_BATCH = 64


@dataclass(frozen=True)
class Located:
    """What the bank found.

    Parameters
    ----------
    gps : float, GPS s
        of arrival at the first detector
    chirp_mass : float
        of the loudest template, solar masses, detector frame
    possible, likely : (low, high)
        chirp masses whose templates are about as loud; and those that hold most of a posterior
    snr : mapping from detector to the loudest template's signal-to-noise ratio
    farthest : float, Mpc
        from where the loudest template would be as loud, overhead of all detectors and face-on
    """

    gps: float
    chirp_mass: float
    possible: tuple[float, float]
    likely: tuple[float, float]
    snr: Mapping[str, float]
    farthest: float

    @property
    def network_snr(self) -> float:
        """Root of the sum of squares."""
        return float(np.linalg.norm(list(self.snr.values())))


def chirp_masses() -> np.ndarray:
    """Those of the bank, ascending.

    Examples
    --------
    >>> masses = chirp_masses()
    >>> len(masses) < 150, float(masses[0]), float(masses[-1]) >= 150.0
    (True, 6.0, True)
    """
    masses = [LIGHTEST]
    while masses[-1] < HEAVIEST:
        phase = 3 / 128 * (np.pi * MTSUN_SI * masses[-1] * PIVOT) ** (-5 / 3)
        fewer = max(phase - TURN, 0.5 * phase)
        masses.append(masses[-1] * min(RATIO, (phase / fewer) ** 0.6))
    return np.array(masses)


def locate(data: StrainData, model: WaveformModel, psd: Any = None, f_min: float = 20.0) -> Located:
    """The binary about the time given.

    Parameters
    ----------
    data : StrainData
    model : WaveformModel
        of aligned spins
    psd : as `StrainData.segment` takes it
    f_min : float, Hz

    Raises
    ------
    DomainError
        no signal
    DataError
        data that hold no segment about the event, are no strain, or of which there is too little for a noise spectrum
    """
    segment = _cut(data, psd, f_min)
    require_strain(segment)
    likelihood = SegmentLikelihood(segment, model)
    masses = chirp_masses()
    theta = np.array([(mass, q, chi, chi) for q, chi in SHAPES for mass in masses])
    # Shapes that the model does not cover at some mass: the others will find it.
    smallest, largest = model.total_mass_range(1 / theta[:, 1], theta[:, 2], theta[:, 3], segment.f_min)
    sums = theta[:, 0] * (1 + theta[:, 1]) ** 1.2 / theta[:, 1] ** 0.6
    fits = np.array(
        [LONGEST * inspiral_time({"mass_1": m, "mass_2": m}, segment.f_min) < segment.duration for m in theta[:, 0] * 2**0.2]
    )
    theta = theta[(sums > 1.001 * smallest) & (sums < 0.999 * largest) & fits]
    waveforms = np.concatenate([likelihood.waveforms(theta[i : i + _BATCH]) for i in range(0, len(theta), _BATCH)])
    half = min(REACH, data.gps - segment.start_time - 2 * segment.roll_off, segment.start_time + segment.duration - data.gps)
    here, elsewhere = _heard(likelihood, waveforms, data.gps, (NEAR + EARTH, half - EARTH))
    at = int(np.argmax(here.together))
    best, gps = here, data.gps
    other = int(np.argmax(elsewhere.equal))
    if elsewhere.equal[other] > here.equal.max() + LOUDER and elsewhere.together[other] > QUIET**2:
        gps = float(elsewhere.times[other])
        (best,) = _heard(likelihood, waveforms, gps, (NEAR,))
        at = int(np.argmax(best.together))
    if best.together[at] < QUIET**2:
        raise DomainError(
            f"no signal: of a bank of black-hole binaries with detector-frame chirp masses of {LIGHTEST:g} to {HEAVIEST:g} solar "
            f"masses the loudest template about GPS {data.gps:.3f} reaches a signal-to-noise ratio of "
            f"{np.sqrt(best.together[at]):.1f} in {', '.join(data.detectors)}, noise alone often reaches {QUIET:g}; check the time "
            "(--gps) and the detectors; for lighter binaries give --prior chirp_mass=LOW,HIGH"
        )
    quieter = best.together[at] * (1 - SHARE) - best.together
    mass = float(theta[at, 0])
    possible, likely = (_about(mass, np.unique(theta[quieter < spread, 0])) for spread in (POSSIBLE, LIKELY))
    power = likelihood.power(waveforms[at][None])[0]
    return Located(
        gps=float(best.times[at]),
        chirp_mass=mass,
        possible=possible,
        likely=likely,
        snr=dict(zip(segment.detectors, np.sqrt(best.squared[:, at]).tolist(), strict=True)),
        farthest=float(np.sqrt(power.sum() / best.together[at])),
    )


@dataclass(frozen=True)
class _Heard:
    """Of each template (N,) its loudest time: squared signal-to-noise ratios (n_det, N), their sum, and what they share."""

    squared: np.ndarray
    together: np.ndarray
    equal: np.ndarray
    times: np.ndarray


def _heard(likelihood: SegmentLikelihood, waveforms: np.ndarray, gps: float, half_widths: tuple[float, ...]) -> list[_Heard]:
    """Within each of some times (s) from `gps`."""
    segment = likelihood.segment
    rate = 2 * float(likelihood.frequencies[-1])
    lags = network_lags(likelihood, rate)
    n, centre = round(rate * segment.duration), gps - segment.start_time
    windows = [(max(round((centre - half) * rate), 0), min(round((centre + half) * rate), n - 1) + 1) for half in half_widths]
    parts: list[list[tuple[np.ndarray, ...]]] = [[] for _ in windows]
    for start in range(0, len(waveforms), _BATCH):
        series = snr_series(likelihood, waveforms[start : start + _BATCH], rate)
        for (first, last), columns in zip(windows, parts, strict=True):
            near = [rho[:, first:last] ** 2 for rho in series]
            squared = np.stack(
                [maximum_filter1d(x, 2 * lag + 1, axis=1, mode="constant") if lag else x for x, lag in zip(near, lags, strict=True)]
            )
            together, equal = total(squared), shared(squared)
            rows, index, alike = np.arange(len(equal)), np.argmax(together, axis=1), np.argmax(equal, axis=1)
            columns.append((squared[:, rows, index].T, together[rows, index], equal[rows, alike], (first + alike) / rate))
    out = []
    for columns in parts:
        loudness, together, equal, times = (np.concatenate(column) for column in zip(*columns, strict=True))
        out.append(_Heard(loudness.T, together, equal, segment.start_time + times))
    return out


def _about(mass: float, possible: np.ndarray) -> tuple[float, float]:
    """The stretch of `possible` chirp masses, ascending, without a gap wider than `GAP`, that holds `mass`.

    Examples
    --------
    >>> _about(10.0, np.array([6.0, 9.0, 10.0, 11.0, 30.0]))
    (9.0, 11.0)
    """
    low = high = mass
    for other in possible[possible > mass]:
        if other > GAP * high:
            break
        high = float(other)
    for other in possible[possible < mass][::-1]:
        if low > GAP * other:
            break
        low = float(other)
    return low, high


def _cut(data: StrainData, psd: Any, f_min: float) -> AnalysisSegment:
    """The longest of the segments that the data hold, with enough beside it for a noise spectrum that is not rough."""
    reach = min(F_MAX, float(np.floor(USABLE * 0.5 * data.sampling_frequency)))
    for duration, after, lowest in CUTS:
        last = duration == CUTS[-1][0]
        try:
            segment = data.segment(duration=duration, post_trigger=after, f_min=max(f_min, lowest), f_max=reach, psd=psd)
        except DataError:
            if last:
                raise
            continue
        if last or not 0 < min(segment.psd_segments) < ROUGH:
            return segment
    raise AssertionError("not reached")
