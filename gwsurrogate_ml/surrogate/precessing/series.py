"""Polarizations of many precessing binaries on one grid of times, in SI units."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI, require_heavier_first, require_tilts
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.kernels.threads import in_threads
from gwsurrogate_ml.surrogate.aligned.physical import MOST_SAMPLES, PhysicalModes
from gwsurrogate_ml.surrogate.precessing import many
from gwsurrogate_ml.surrogate.precessing.orders import TOP
from gwsurrogate_ml.waveform.lal import spins_in_orbit
from gwsurrogate_ml.waveform.model import require_places

if TYPE_CHECKING:
    from gwsurrogate_ml.surrogate.precessing.physical import PhysicalWaveforms


def require_magnitudes(a_1: Any, a_2: Any) -> None:
    """Raise DomainError for spin magnitudes below 0 or above 1."""
    for name, value in (("a_1", a_1), ("a_2", a_2)):
        if np.min(value, initial=0.0) < 0:
            raise DomainError(f"{name} is {np.min(value):g}: a magnitude is not negative, give a tilt beyond pi / 2 instead")
        if np.max(value, initial=0.0) > 1:
            raise DomainError(f"{name} is {np.max(value):g}: no black hole spins faster than 1")


def binaries(v: dict[str, np.ndarray]) -> Binaries:
    """Binaries of columns (N,) by bilby's names, checked."""
    for name, values in v.items():
        if not np.isfinite(values).all():
            raise ConfigError(f"{name} is not finite everywhere: check the values passed")
    require_magnitudes(v["a_1"], v["a_2"])
    require_tilts(v["tilt_1"], v["tilt_2"])
    if len(v["mass_1"]):
        positive(float(v["mass_2"].min()), "mass_2", "solar masses")
    require_heavier_first(v["mass_1"], v["mass_2"])
    azimuths = np.zeros_like(v["phi_12"]), v["phi_12"]
    spins = [
        np.stack([a * np.sin(tilt) * np.cos(azimuth), a * np.sin(tilt) * np.sin(azimuth), a * np.cos(tilt)], 1)
        for a, tilt, azimuth in zip((v["a_1"], v["a_2"]), (v["tilt_1"], v["tilt_2"]), azimuths, strict=True)
    ]
    return Binaries(v["mass_1"], v["mass_2"], spins[0], spins[1], v["phi_jl"])


def batch(
    physical: PhysicalWaveforms,
    given: dict[str, Any],
    f_ref: float,
    start: float,
    samples: int,
    sampling_frequency: float,
) -> np.ndarray:
    """See `PrecessingSurrogate.batch_polarizations`; `given` are parameters by bilby's names."""
    for name, value in (("sampling_frequency", sampling_frequency), ("f_ref", f_ref), ("samples", samples)):
        positive(value, name)
    if samples != int(samples) or samples > MOST_SAMPLES:
        raise ConfigError(f"samples is {samples!r}: give a whole number, at most {MOST_SAMPLES}")
    finite(start, "start", "s from the peak")
    n, model = int(samples), physical.model
    columns = PhysicalModes.columns(given)
    distance, theta, phase = (columns[name] for name in ("luminosity_distance", "theta_jn", "phase"))
    require_places(len(theta), theta, phase, distance)
    every = binaries(columns)
    units = (every.mass_1 + every.mass_2) * MTSUN_SI
    if len(units):
        model.checked_times(np.outer([start, start + (n - 1) / sampling_frequency], [1 / units.min(), 1 / units.max()]).ravel())
    out = np.empty((len(every), 2, n))

    def work(part: slice) -> None:
        q = every.mass_1[part] / every.mass_2[part]
        iota, chi1, chi2 = spins_in_orbit(every[part], theta[part], f_ref, phase[part])
        model.check_all(q, chi1, chi2)
        t_ref = model.times_of(q, chi1, chi2, math.pi * f_ref * units[part], f"f_ref = {f_ref:g}")
        first = start / units[part]
        for j, e in enumerate(many.evolve(model, q, chi1, chi2, t_ref, first)):
            i = part.start + j
            PhysicalModes.require_rate(sampling_frequency, TOP * float(e.rates[:, 4].max()) / (2 * np.pi * units[i]), TOP)
            step = 1.0 / sampling_frequency / units[i]
            factor = float(units[i] / (distance[i] * MPC_SECONDS))
            physical.observed(e, float(iota[j]), 0.5 * np.pi - float(phase[i]), float(first[j]), step, factor, out[i])

    in_threads(work, len(every))
    return out
