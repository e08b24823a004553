"""Whether a waveform model covers all of a prior, in the band and on the segment, found out before any work.

With f the frequency of the (2,2) mode in units of the total mass, a waveform of chirp mass Mc begins at or below `f_min`, and peaks
above it, where ``a <= f_min Mc <= b``; a and b are the extremes over the prior's mass ratios and spins.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.conventions import component_masses
from gwsurrogate_ml.errors import DomainError
from gwsurrogate_ml.inference.prior.binary import require_inside
from gwsurrogate_ml.inference.prior.composition import Prior

Bounds = dict[str, tuple[float, float]]
if TYPE_CHECKING:
    from gwsurrogate_ml.waveform.model import WaveformModel

MARGIN = 1e-3
"""Of a, b and the longest duration: an extreme may lie between the points of the scan (the lowest peak has one spin near zero)."""
MASS_RATIOS, SPINS = 5, 7
"""Points of the scan along the mass ratio and either spin."""


def require_covered(prior: Prior, model: WaveformModel, name: str, f_min: float, duration: float) -> None:
    """Raise unless the model, called `name`, has a waveform for each binary of the prior.

    Raises
    ------
    ConfigError
        mass ratios or spins beyond the model
    DomainError
        see `require_reach`
    """
    require_inside(prior, dict(model.limits), name)
    require_reach(prior, model, f_min, duration)


def require_reach(prior: Prior, model: WaveformModel, f_min: float, duration: float) -> None:
    """Raise unless each waveform of the prior begins at `f_min`, ends above it, and fits into the segment.

    Parameters
    ----------
    prior : Prior
    model : WaveformModel
    f_min : float, Hz
    duration : float, s

    Raises
    ------
    DomainError
        with those of the remedies that work: another f_min, other chirp masses, a longer segment
    """
    bounds = prior.bounds()
    a, b = _limits(bounds, model, f_min)
    low, high = bounds["chirp_mass"]
    if f_min * low < a:
        what = f"the model does not reach down to f_min = {f_min:g} Hz for chirp masses from {low:g} solar masses"
    elif f_min * high > b:
        what = f"some waveforms peak below f_min = {f_min:g} Hz for chirp masses up to {high:g} solar masses"
    elif longer := _longer(bounds, model, f_min, duration, "take one of "):
        raise DomainError(
            f"signals with chirp masses from {low:g} solar masses last longer from f_min = {f_min:g} Hz than the segment of "
            f"{duration:g} s: {longer}"
        )
    else:
        return
    ways = ", or ".join(_remedies(bounds, model, f_min, duration, a, b))
    within = f"give a prior on chirp mass within {_rounded(a / f_min, up=True):g} to {_rounded(b / f_min, up=False):g}"
    raise DomainError(f"{what}: {ways or within}")


def _remedies(bounds: Bounds, model: WaveformModel, f_min: float, duration: float, a: float, b: float) -> Iterator[str]:
    """What can be changed so that all of the prior is covered: f_min, or the chirp masses, and with it the duration."""
    low, high = bounds["chirp_mass"]
    lowest, highest = _rounded(a / low, up=True), _rounded(b / high, up=False)
    if lowest <= highest:
        least, other = ("least", "most"), (lowest, highest)
        here, there = (0, 1) if f_min < lowest else (1, 0)
        yield (
            f"for this prior set f_min (--f-min) to at {least[here]} {other[here]:g} Hz (and at {least[there]} {other[there]:g})"
            f"{_longer(bounds, model, other[here], duration, ' with a segment of ')}"
        )
    first, last = max(low, _rounded(a / f_min, up=True)), min(high, _rounded(b / f_min, up=False))
    if first < last:
        begin = f"begin the prior at a chirp mass of {first:g}" if first > low else ""
        end = f"end {'it' if begin else 'the prior'} at a chirp mass of {last:g}" if last < high else ""
        narrower = bounds | {"chirp_mass": (first, last)}
        yield (
            f"{' and '.join(filter(None, (begin, end)))} (--prior chirp_mass={first:g},{last:g})"
            f"{_longer(narrower, model, f_min, duration, ' with a segment of ')}"
        )


def _scan(bounds: Bounds) -> np.ndarray:
    """Mass ratios and spins that span the prior, its corners among them, (N, 3)."""
    spins = [
        bounds.get(f"chi_{body}") or (-bounds[f"a_{body}"][1], bounds[f"a_{body}"][1]) for body in (1, 2)
    ]  # of precessing binaries, the components along the orbit
    sides = (np.linspace(*bounds["mass_ratio"], MASS_RATIOS), *(np.linspace(*spin, SPINS) for spin in spins))
    return np.array(list(product(*sides)))


def _limits(bounds: Bounds, model: WaveformModel, f_min: float) -> tuple[float, float]:
    """Smallest and largest product of f_min and chirp mass, Hz times solar masses, that suit all mass ratios and spins."""
    mass_ratio, chi_1, chi_2 = _scan(bounds).T
    smallest, largest = model.total_mass_range(1.0 / mass_ratio, chi_1, chi_2, f_min)
    total = np.sum(component_masses(np.ones(1), mass_ratio), axis=0)  # for a chirp mass of one
    return (1 + MARGIN) * float(f_min * np.max(smallest / total)), (1 - MARGIN) * float(f_min * np.min(largest / total))


def _longer(bounds: Bounds, model: WaveformModel, f_min: float, duration: float, words: str) -> str:
    """`words` and the duration that holds each signal from `f_min` on, and a cycle before it for its taper; empty where it does."""
    low, high = (np.array([mass]) for mass in bounds["chirp_mass"])
    longest = 0.0
    for mass_ratio, chi_1, chi_2 in _scan(bounds):
        m_1, m_2 = (float(m[0]) for m in component_masses(low, mass_ratio))
        longest = max(longest, model.time_before_peak(mass_1=m_1, mass_2=m_2, chi_1=chi_1, chi_2=chi_2, f_min=f_min))
    heaviest = float(np.sum(component_masses(high, np.array(bounds["mass_ratio"][:1]))))
    needed = (1 + MARGIN) * longest + 1.0 / f_min + model.ringdown(heaviest)
    return f"{words}at least {math.ceil(needed)} s (--duration)" if needed > duration else ""


def _rounded(value: float, *, up: bool) -> float:
    """To three digits, up or down.

    Examples
    --------
    >>> _rounded(188.37, up=False), _rounded(10.42, up=True)
    (188.0, 10.5)
    """
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return round((math.ceil if up else math.floor)(value / step - (1e-9 if up else -1e-9)) * step, 12)
