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
from gwsurrogate_ml.surrogate.load import load_surrogate
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.surrogate.precessing.model import TOP, PrecessingSurrogate

Model = Surrogate | PrecessingSurrogate
Spin = tuple[float, ...]
"""Three components."""

PREFIX = "GWSML_"
"""An approximant's name, as peers see it, is this and a shipped surrogate's name in capitals."""
TAPER = 0.4 / 0.9
"""Seconds that the transforms of aligned models begin before `f_min`, where they reach so far."""
END = 0.13
"""Frequency for each m, times the total mass, below which a mode's ringdown lies."""


@cache
def model(approximant: str) -> Model:
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
    return load_surrogate(artifacts.SHIPPED / name)


def heavier_first(mass1: float, mass2: float, spin1: Spin, spin2: Spin) -> tuple[float, float, Spin, Spin]:
    """Masses and spins with the heavier body first: the order of the arguments has no meaning, as in LAL's Phenom models.

    Azimuths of spins and the phase stay, as there: the separation then points to the heavier body, whichever is named first
    (LAL's SpinTaylor models have it point to the one that is named first).

    Examples
    --------
    >>> heavier_first(20.0, 30.0, (0.0, 0.3, 0.1), (0.0, 0.0, -0.2))
    (30.0, 20.0, (0.0, 0.0, -0.2), (0.0, 0.3, 0.1))
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
    """Polarizations in axes turned by the longitude of the ascending nodes (rad), in LAL's sense.

    Raises
    ------
    DomainError
        an angle that is not finite
    """
    if not math.isfinite(long_asc_nodes):
        raise DomainError(f"longitude of the ascending nodes is {long_asc_nodes}: give a finite number in rad")
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
    surrogate: Model,
    masses: tuple[float, float],
    spins: tuple[Spin, Spin],
    place: tuple[float, float, float],
    f_min: float,
    f_ref: float,
    modes: Iterable[tuple[int, int]] | None,
) -> dict[str, Any]:
    """Keywords of the surrogate's `strain`, but for the grid, from two bodies in either order and a distance, angles and modes.

    Spins of aligned models have been checked to lie along the orbit. A precessing one takes them at `f_ref`, and `f_ref` = 0 for
    `f_min`; it sums all its modes.

    Raises
    ------
    DomainError, ConfigError
        masses that are not above zero; see `require_place` and `choose_modes`
    """
    require_place(*place)
    distance, inclination, phase = place
    m_1, m_2, s_1, s_2 = heavier_first(*masses, *spins)
    for name, mass in (("mass_1", m_1), ("mass_2", m_2)):
        if not (math.isfinite(mass) and mass > 0):
            raise DomainError(f"{name} is {mass}: give a positive number of solar masses")
    found: dict[str, Any] = {"mass_1": m_1, "mass_2": m_2, "luminosity_distance": distance, "phase": phase, "f_min": f_min}
    if isinstance(surrogate, Surrogate):
        found |= {"chi_1": s_1[2], "chi_2": s_2[2], "theta_jn": inclination}
        if f_ref:
            found["f_ref"] = f_ref
        return found if modes is None else found | {"modes": choose_modes(modes, surrogate)}
    if modes is not None:
        raise ConfigError(f"modes {list(modes)} are asked for: {surrogate.name} sums all its modes, leave the choice out")
    return found | {"spin_1": s_1, "spin_2": s_2, "inclination": inclination, "f_ref": f_ref or f_min}


def series(
    surrogate: Model, keywords: dict[str, Any], sampling_frequency: float, taper: bool = False
) -> tuple[float, np.ndarray, np.ndarray]:
    """First time (s from the peak) and both polarizations (n,); series of a precessing model always rise by a taper."""
    if isinstance(surrogate, Surrogate):
        return surrogate.strain(**keywords, sampling_frequency=sampling_frequency, taper=taper)
    return surrogate.strain(**keywords, sampling_frequency=sampling_frequency)


def length(surrogate: Model, keywords: dict[str, Any]) -> float:
    """Seconds from the first sample of a waveform, its taper included, to the end of its ringdown; `keywords` as `transforms`."""
    if isinstance(surrogate, PrecessingSurrogate):
        return surrogate.length(**{name: keywords[name] for name in ("mass_1", "mass_2", "spin_1", "spin_2", "f_min", "f_ref")})
    binary = {name: keywords[name] for name in ("mass_1", "mass_2", "chi_1", "chi_2", "f_min")}
    total = keywords["mass_1"] + keywords["mass_2"]
    taper = max(TAPER, 1.0 / keywords["f_min"])
    before = min(surrogate.time_before_peak(**binary) + taper, -surrogate.t_min * total * MTSUN_SI)
    return before + surrogate.ringdown(total)


def highest_frequency(surrogate: Model, keywords: dict[str, Any]) -> float:
    """Frequency (Hz) that holds the ringdown of all modes summed, its tail included; `keywords` as for `transforms`."""
    if isinstance(surrogate, PrecessingSurrogate):
        highest_m = TOP
    else:
        highest_m = max(m for _, m in keywords.get("modes") or surrogate.modes)
    return END * highest_m / ((keywords["mass_1"] + keywords["mass_2"]) * MTSUN_SI)


def fourier_grid(delta_f: float, needed: float, signal: float) -> tuple[float, int, float]:
    """Sampling frequency, thinning and duration of a segment whose Fourier transform holds every multiple of `delta_f`.

    Parameters
    ----------
    delta_f : float, Hz
    needed : float, Hz
        highest frequency wanted, or in the signal: what lies above would be folded back
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
    >>> fourier_grid(0.25, 1024.0, 0.8)
    (2048.0, 1, 4.0)
    >>> fourier_grid(1.0, 812.0, 1.8)
    (2048.0, 2, 2.0)
    """
    bins = 1
    while bins * delta_f < needed * (1 - 1e-9):
        bins *= 2
    thinning = 1
    while thinning / delta_f < signal:
        thinning *= 2
    return 2 * bins * delta_f, thinning, thinning / delta_f


def transforms(surrogate: Model, keywords: dict[str, Any], delta_f: float, f_final: float) -> tuple[np.ndarray, np.ndarray]:
    """Fourier transforms of plus and cross at multiples of `delta_f`, as LAL's frequency-domain models give them.

    Parameters
    ----------
    surrogate : Surrogate or PrecessingSurrogate
    keywords : dict
        of its `frequency_domain_polarizations`, but for the segment
    delta_f : float, Hz
    f_final : float, Hz
        highest frequency; 0 for all of the ringdown

    Returns
    -------
    h_plus, h_cross : (2^k + 1,) complex128, 1/Hz
        the last bin at or above `f_final`; zero below `f_min` and above `f_final`; the peak at the start of ``1 / delta_f``
    """
    needed = max(f_final, highest_frequency(surrogate, keywords))
    sampling_frequency, thinning, duration = fourier_grid(delta_f, needed, length(surrogate, keywords) + 0.06)
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
