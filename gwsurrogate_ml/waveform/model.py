"""From a waveform model and bilby's parameters to the polarizations of an aligned-spin signal: all modes, or (2, +-2) alone.

Of the (2, +-2) modes, with ``h = h_plus - i h_cross`` and the direction (theta_jn, pi/2 - phase) of `conventions`, the
model's transform h(f) of h_plus face-on at phase 0 gives, for f > 0, ``h_plus = (1 + c^2)/2 h exp(2i phase)`` and
``h_cross = -i c h exp(2i phase)`` with c = cos(theta_jn).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from gwsurrogate_ml.conventions import MTSUN_SI, chirp_mass_from_components, component_masses
from gwsurrogate_ml.errors import ConfigError


class Waveform(Protocol):
    """What a waveform model must offer here: the transform of h_plus of the (2, 2) mode for a batch of binaries."""

    def frequency_domain(
        self,
        mass_1: np.ndarray,
        mass_2: np.ndarray,
        chi_1: np.ndarray,
        chi_2: np.ndarray,
        *,
        duration: float,
        sampling_frequency: float,
        f_min: float,
    ) -> np.ndarray:
        """Complex128 (N, n_f), 1/Hz, at 1 Mpc, theta_jn = 0, phase = 0, peak at t = 0 of the periodic segment."""
        ...


class Quadrupole:
    """The (2, 2) mode of a model of several, as a model of its own: for whoever means it, and says so.

    Parameters
    ----------
    model : Waveform
    """

    modes = ((2, 2),)

    def __init__(self, model: Waveform) -> None:
        self.frequency_domain = model.frequency_domain


def intrinsic(parameters: Mapping[str, float]) -> tuple[float, float, float, float]:
    """mass_1, mass_2 (Msun, as given), chi_1, chi_2 of a mapping with bilby's names; left-out spins are zero.

    Raises
    ------
    ConfigError
        if neither mass_1 and mass_2 nor chirp_mass and mass_ratio are there

    Examples
    --------
    >>> intrinsic({"mass_1": 36, "mass_2": 29, "chi_1": 0.3})
    (36.0, 29.0, 0.3, 0.0)
    """
    if "mass_1" in parameters and "mass_2" in parameters:
        mass_1, mass_2 = float(parameters["mass_1"]), float(parameters["mass_2"])
    elif "chirp_mass" in parameters and "mass_ratio" in parameters:
        masses = component_masses(np.asarray(parameters["chirp_mass"]), np.asarray(parameters["mass_ratio"]))
        mass_1, mass_2 = (float(m) for m in masses)
    else:
        raise ConfigError(
            f"masses missing: give mass_1 and mass_2, or chirp_mass and mass_ratio (got {sorted(parameters)})"
        )
    return mass_1, mass_2, float(parameters.get("chi_1", 0.0)), float(parameters.get("chi_2", 0.0))


def evaluate(
    model: Waveform, parameters: Mapping[str, float], *, duration: float, sampling_frequency: float, f_min: float
) -> np.ndarray:
    """Transform (n_f,) complex128, 1/Hz, of the model's h_plus at 1 Mpc, face-on, phase 0, peak at t = 0."""
    binary = (np.array([value]) for value in intrinsic(parameters))
    h = model.frequency_domain(*binary, duration=duration, sampling_frequency=sampling_frequency, f_min=f_min)
    h = np.asarray(h, np.complex128)
    n_f = round(duration * sampling_frequency / 2) + 1
    if h.shape != (1, n_f):
        raise ConfigError(f"the waveform model returned shape {h.shape}, expected (1, {n_f}): is it a Surrogate?")
    return h[0]


def polarizations(h: np.ndarray, parameters: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """h_plus and h_cross (n_f,), 1/Hz, from the model's `h`; `luminosity_distance` (Mpc), `theta_jn`, `phase` (rad)."""
    cosine = np.cos(parameters["theta_jn"])
    face_on = h * (np.exp(2j * parameters["phase"]) / parameters["luminosity_distance"])
    return 0.5 * (1 + cosine**2) * face_on, -1j * cosine * face_on


def transforms(
    model: Waveform, parameters: Mapping[str, float], *, duration: float, sampling_frequency: float, f_min: float
) -> tuple[np.ndarray, np.ndarray]:
    """h_plus and h_cross (n_f,), 1/Hz, of all the modes that the model has; peak at t = 0 of the periodic segment.

    Parameters
    ----------
    model : a surrogate, or a (2, 2) model with its `frequency_domain`
    parameters : mapping
        by bilby's names: masses, spins, luminosity_distance (Mpc), theta_jn, phase (rad)
    duration : float, s
    sampling_frequency, f_min : float, Hz
    """
    grid = {"duration": duration, "sampling_frequency": sampling_frequency, "f_min": f_min}
    if modes_of(model) == ((2, 2),):
        return polarizations(evaluate(model, parameters, **grid), parameters)
    mass_1, mass_2, chi_1, chi_2 = intrinsic(parameters)
    binary = {"mass_1": mass_1, "mass_2": mass_2, "chi_1": chi_1, "chi_2": chi_2}
    place = {name: float(parameters[name]) for name in ("luminosity_distance", "theta_jn", "phase")}
    plus, cross = model.frequency_domain_polarizations(**binary, **place, **grid)  # type: ignore[attr-defined]
    return plus, cross


def modes_of(model: Waveform) -> tuple[tuple[int, int], ...]:
    """The modes (l, m), m > 0, of a waveform model; a model that does not say has (2, 2) alone."""
    return tuple(getattr(model, "modes", ((2, 2),)))


def require_quadrupole(model: Waveform) -> None:
    """Raise where a model has other modes than (2, 2): what holds for any orientation and phase would leave them out.

    Raises
    ------
    ConfigError
    """
    if (modes := modes_of(model)) != ((2, 2),):
        listed = ", ".join(f"({l},{m})" for l, m in modes)
        raise ConfigError(
            f"the waveform model has the modes {listed}; the integral over orientation and phase holds for (2,2) alone: give "
            "load_surrogate('nr22'), and let result.with_higher_modes(segment) bring in the others"
        )


def inspiral_time(parameters: Mapping[str, float], f_min: float) -> float:
    """Leading-order time (s) from a (2,2) frequency of `f_min` (Hz) to the merger: how much data the signal fills.

    Examples
    --------
    >>> round(inspiral_time({"mass_1": 36, "mass_2": 29}, 20.0), 2)
    0.85
    """
    mass_1, mass_2, _, _ = intrinsic(parameters)
    chirp = MTSUN_SI * float(chirp_mass_from_components(np.asarray(mass_1), np.asarray(mass_2)))
    return 5.0 / 256.0 * (np.pi * f_min) ** (-8.0 / 3.0) * chirp ** (-5.0 / 3.0)
