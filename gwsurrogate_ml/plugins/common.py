"""What the plug-ins share: names of approximants, the order of the bodies, refusals, and the grid in frequency."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.errors import ConfigError, DomainError, NoWaveformError
from gwsurrogate_ml.surrogate.load import load_aligned
from gwsurrogate_ml.surrogate.model import Surrogate

PREFIX = "GWSML_"
"""An approximant's name, as peers see it, is this and a shipped surrogate's name in capitals."""


@cache
def model(approximant: str) -> Surrogate:
    """The surrogate behind an approximant's name, loaded once.

    Raises
    ------
    ConfigError
        a name that does not begin as this package's do
    ArtifactError
        no such surrogate is shipped

    Examples
    --------
    >>> model("GWSML_NR22").info["name"]
    'nr22'
    """
    if not approximant.startswith(PREFIX):
        raise ConfigError(f"{approximant!r} is no approximant of this package: their names begin with {PREFIX}")
    name = approximant.removeprefix(PREFIX).lower()
    artifacts.resolve(artifacts.SHIPPED / name, "surrogate")
    return load_aligned(artifacts.SHIPPED / name)


def heavier_first(mass1: float, mass2: float, spin1: float, spin2: float) -> tuple[float, float, float, float]:
    """Masses and spins with the heavier body first: the order of the arguments has no meaning, as in LAL's Phenom models.

    Examples
    --------
    >>> heavier_first(20.0, 30.0, 0.1, -0.2)
    (30.0, 20.0, -0.2, 0.1)
    """
    return (mass2, mass1, spin2, spin1) if mass1 < mass2 else (mass1, mass2, spin1, spin2)


@contextmanager
def no_waveform() -> Iterator[None]:
    """Let a binary beyond the model leave as the error that samplers catch where they are told to.

    bilby (`catch_waveform_errors`) takes any error whose text holds LAL's "Input domain error", pycbc (`ignore_failed_waveforms`) a
    RuntimeError. Errors of the settings, which no point of the prior would mend, stay what they are.

    Raises
    ------
    NoWaveformError
        for a `DomainError` inside

    Examples
    --------
    >>> with no_waveform():
    ...     model("GWSML_NR22")(99.0, 0.0, 0.0)
    Traceback (most recent call last):
    gwsurrogate_ml.errors.NoWaveformError: Input domain error: q = 99 is outside [1, 10.5], the hard limit of this model: ...
    """
    try:
        yield
    except DomainError as error:
        raise NoWaveformError(f"Input domain error: {error}") from error


def require_place(luminosity_distance: float, theta_jn: float, phase: float) -> None:
    """Raise for a distance (Mpc) or angles (rad) that no binary has: conversions of a point of the prior may give them.

    Raises
    ------
    DomainError
        naming the parameter
    """
    for name, value in {"luminosity_distance": luminosity_distance, "theta_jn": theta_jn, "phase": phase}.items():
        if not math.isfinite(value):
            raise DomainError(f"{name} is {value}: give a finite number")
    if not luminosity_distance > 0:
        raise DomainError(f"luminosity_distance is {luminosity_distance:g}: give a number above zero in Mpc")


def refuse(given: dict[str, Any], names: Iterable[str], why: str) -> None:
    """Raise for the first of `names` that is given and is neither None, zero nor empty.

    Raises
    ------
    ConfigError
        naming the parameter and its value
    DomainError
        a value that is not finite, as conversions of a point of the prior may give
    """
    for name in names:
        value = given.get(name)
        if value is None or (isinstance(value, str | list | tuple) and not value):
            continue
        if not isinstance(value, str | list | tuple) and not math.isfinite(value):
            raise DomainError(f"{name} is {value}: give a finite number")
        if isinstance(value, str | list | tuple) or abs(float(value)) > 1e-8:
            raise ConfigError(f"{name} = {value}: {why}")


def turned(plus: np.ndarray, cross: np.ndarray, long_asc_nodes: float) -> tuple[np.ndarray, np.ndarray]:
    """Polarizations in axes turned by the longitude of the ascending nodes (rad), in LAL's sense."""
    if not long_asc_nodes:
        return plus, cross
    c, s = np.cos(2.0 * long_asc_nodes), np.sin(2.0 * long_asc_nodes)
    return c * plus + s * cross, c * cross - s * plus


def choose_modes(wanted: Iterable[tuple[int, int]], surrogate: Surrogate) -> list[tuple[int, int]]:
    """The surrogate's modes among `wanted`, pairs (l, m) of either sign of m.

    Raises
    ------
    ConfigError
        modes that it lacks, with those that it has; one sign of m without the other

    Examples
    --------
    >>> choose_modes([(2, 2), (2, -2), (3, 3), (3, -3)], model("GWSML_NRHM"))
    [(2, 2), (3, 3)]
    """
    try:
        chosen = {(int(l), int(m)) for l, m in wanted}
    except (TypeError, ValueError):
        raise ConfigError(f"modes {wanted!r}: give pairs (l, m)") from None
    if lacking := sorted({(l, abs(m)) for l, m in chosen} - set(surrogate.modes)):
        raise ConfigError(f"modes {lacking} are asked for: this approximant has {list(surrogate.modes)}")
    negative = {(l, -m) for l, m in chosen if m < 0}
    if negative and (alone := sorted(negative ^ {(l, m) for l, m in chosen if m > 0})):
        raise ConfigError(f"of {alone} one sign of m is asked for: reflection symmetry gives both, name both or m > 0 alone")
    return [mode for mode in surrogate.modes if mode in {(l, abs(m)) for l, m in chosen}]


def keywords(
    surrogate: Surrogate,
    binary: tuple[float, float, float, float],
    place: tuple[float, float, float],
    f_min: float,
    f_ref: float,
    modes: Iterable[tuple[int, int]] | None,
) -> dict[str, Any]:
    """Keywords of `Surrogate.strain`, but for the grid, from two masses and spins in either order and a distance, angles and modes.

    Raises
    ------
    DomainError, ConfigError
        see `require_place` and `choose_modes`
    """
    require_place(*place)
    names = ("mass_1", "mass_2", "chi_1", "chi_2", "luminosity_distance", "theta_jn", "phase", "f_min")
    found: dict[str, Any] = dict(zip(names, (*heavier_first(*binary), *place, f_min), strict=True))
    if f_ref:
        found["f_ref"] = f_ref
    return found if modes is None else found | {"modes": choose_modes(modes, surrogate)}


def fourier_grid(delta_f: float, f_max: float, total_mass: float, highest_m: int, signal: float) -> tuple[float, int, float]:
    """Sampling frequency, thinning and duration of a segment whose Fourier transform holds every multiple of `delta_f`.

    Parameters
    ----------
    delta_f : float, Hz
    f_max : float, Hz
        highest frequency wanted
    total_mass : float, s
    highest_m : int
        of the modes summed: the band must hold their ringdown, else it would be folded back below `f_max`
    signal : float, s
        time the segment must hold

    Returns
    -------
    sampling_frequency : float, Hz
        twice a power of two times `delta_f`
    thinning : int
        power of two: of the segment's frequencies, every `thinning`-th is a multiple of `delta_f`
    duration : float, s
        ``thinning / delta_f``

    Examples
    --------
    >>> fourier_grid(0.25, 1024.0, 65 * 4.925e-6, 2, 0.8)
    (2048.0, 1, 4.0)
    >>> fourier_grid(1.0, 256.0, 65 * 4.925e-6, 2, 1.8)
    (2048.0, 2, 2.0)
    """
    needed = max(f_max, 0.13 * highest_m / total_mass)
    bins = 1
    while bins * delta_f < needed * (1 - 1e-9):
        bins *= 2
    thinning = 1
    while thinning / delta_f < signal:
        thinning *= 2
    return 2 * bins * delta_f, thinning, thinning / delta_f


def transforms(surrogate: Surrogate, keywords: dict[str, Any], delta_f: float, f_final: float) -> tuple[np.ndarray, np.ndarray]:
    """Fourier transforms of plus and cross at multiples of `delta_f`, as LAL's frequency-domain models give them.

    Parameters
    ----------
    surrogate : Surrogate
    keywords : dict
        of `Surrogate.frequency_domain_polarizations`, but for the segment
    delta_f : float, Hz
    f_final : float, Hz
        highest frequency; 0 for all of the ringdown

    Returns
    -------
    h_plus, h_cross : (2^k + 1,) complex128, 1/Hz
        the last bin at or above `f_final`; zero below `f_min` and above `f_final`; the peak at the start of ``1 / delta_f``
    """
    masses = {name: keywords[name] for name in ("mass_1", "mass_2", "chi_1", "chi_2", "f_min")}
    unit = (keywords["mass_1"] + keywords["mass_2"]) * MTSUN_SI
    signal = surrogate.time_before_peak(**masses) + 0.5 + surrogate.t_max * unit
    highest_m = max(m for _, m in keywords.get("modes") or surrogate.modes)
    sampling_frequency, thinning, duration = fourier_grid(delta_f, f_final, unit, highest_m, signal)
    both = surrogate.frequency_domain_polarizations(**keywords, sampling_frequency=sampling_frequency, duration=duration)
    bins = round(0.5 * sampling_frequency / delta_f)
    first, last = int(np.ceil(keywords["f_min"] / delta_f - 1e-6)), bins
    if f_final:
        last = int(np.floor(f_final / delta_f + 1e-6))
        while bins >= 2 * last:
            bins //= 2
    out = []
    for h in both:
        h = h[::thinning][: bins + 1].copy()
        h[:first] = 0.0
        h[last + 1 :] = 0.0
        out.append(h)
    return out[0], out[1]
