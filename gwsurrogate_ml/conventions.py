"""Units, mode keys, parameter names and conversions: the one place where a convention is written down.

Signs and phases
----------------
- ``h = h_plus - i h_cross`` and ``h(t, theta, phi) = (M / D) sum_lm h_lm(t) -2Y_lm(theta, phi)``; `h_lm` is dimensionless
  ``r h / M`` and time is in units of the total mass M.
- ``h_22 = A exp(-2 i phi_orb)`` with A > 0. The orbital phase grows with time, so the phase of `h_22` falls.
- t = 0 is the spline-refined maximum of the sum over the model's modes of |h_lm|^2.
- The reference moment is t = 0: there the stored modes have orbital phase zero. A physical waveform with bilby's
  parameters (`theta_jn`, `phase`) is evaluated in the direction ``theta = theta_jn``, ``phi = pi/2 - phase``, as in LAL; hence
  `phase` is the orbital phase at t = 0, and equals LAL's `phiRef` when LAL's `f_ref` is the (2,2) frequency at t = 0.
- With `f_ref`, `phase` is the orbital phase at the moment t_ref < 0 at which the (2,2) frequency is `f_ref`: LAL's `phiRef` of
  the models made in the time domain (IMRPhenomT, THM). Models made in the frequency domain fix the phase of the transform at
  `f_ref` instead, with their peak at t = 0. For face-on h_plus it is ``2 phiRef - 3 pi / 4`` in IMRPhenomXAS and XHM and
  ``2 phiRef`` in IMRPhenomD and HM, and here ``2 phase - 2 pi f_ref t_ref - 3 pi / 4`` (stationary phase), so that the same
  waveform has ``phase = phiRef + pi f_ref t_ref`` (XAS, XHM) or ``phase = phiRef + pi f_ref t_ref + 3 pi / 8`` (D, HM), modulo
  pi. Their peaks are at t = 0 within 3 M (XAS, XHM) and 30 M (D, HM): t_ref is theirs, from where they put t = 0.
- For aligned spins ``h_{l,-m} = (-1)^l conj(h_lm)``: only m >= 0 is stored.
- Precessing spins, and the angles below, belong to a reference: a time, or `f_ref`. The frame has z along the Newtonian orbital
  angular momentum L then, x from the lighter to the heavier body, and does not turn; modes of both signs of m are needed.
- `tilt_1`, `tilt_2` are the angles from L to the spins of magnitudes `a_1`, `a_2`; `phi_12` is the azimuth of the second spin about
  L less that of the first; `theta_jn` is the angle from the total angular momentum J to the line of sight, `phi_jl` the azimuth of
  L about J, pi/2 where L leans towards the line of sight. `phase` is the orbital phase at the reference, and the direction
  ``theta = iota``, ``phi = pi/2 - phase``, with iota from L to the line of sight. All as in LAL and bilby.
- ``q = m1 / m2 >= 1`` in dimensionless calls; bilby's ``mass_ratio = m2 / m1 <= 1`` in physical ones.
- Fourier transform: ``H(f) = integral h(t) exp(-2 pi i f t) dt`` (numpy, LAL, bilby).
- Masses are in solar masses and detector-frame unless the name says ``_source``; distances in Mpc; angles in radians.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DomainError

MTSUN_SI = 4.925490947641267e-06
"""One solar mass in seconds (lal.MTSUN_SI)."""
C_SI = 299792458.0
"""Speed of light in m / s."""
MPC_SI = 3.085677581491367e22
"""One megaparsec in m (lal.PC_SI * 1e6)."""
MPC_SECONDS = MPC_SI / C_SI
"""One megaparsec in light-seconds: (M MTSUN_SI) / (D MPC_SECONDS) turns r h / M into strain."""

ModeKey = tuple[int, int]
"""(l, m) of a spin-weighted spherical-harmonic mode."""

EXTRINSIC = ("luminosity_distance", "theta_jn", "phase", "psi", "ra", "dec", "geocent_time")
INTRINSIC = ("chirp_mass", "mass_ratio", "chi_1", "chi_2")
PARAMETERS = INTRINSIC + EXTRINSIC
"""The eleven parameters of an aligned-spin binary, with bilby's names and units."""


def require_q(q: float | np.ndarray, given: Mapping[str, object] | None = None) -> np.ndarray:
    """Mass ratio of a dimensionless call as float64, checked.

    Parameters
    ----------
    q : float or array, ``m1 / m2 >= 1``
    given : mapping, optional
        further keyword arguments of the call; `mass_ratio` among them is refused with the remedy

    Raises
    ------
    ConfigError
        if `given` holds `mass_ratio` or any other unknown name, or `q` is no number
    DomainError
        if `q` is not finite or below 1

    Examples
    --------
    >>> float(require_q(1.5))
    1.5
    """
    if given and "mass_ratio" in given:
        raise ConfigError("mass_ratio (m2/m1 <= 1) belongs to physical calls: pass q = m1/m2 = 1/mass_ratio >= 1 here")
    if given:
        raise ConfigError(f"unknown parameter {sorted(given)[0]!r}: a dimensionless call takes q, chi1, chi2")
    try:
        array = np.asarray(q, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"q is {q!r}: give a number") from None
    if not np.all(np.isfinite(array)):
        raise DomainError(f"q is {q}: give finite numbers")
    if np.any(array < 1):
        raise DomainError(
            f"q is {np.min(array):g}: dimensionless calls take q = m1/m2 >= 1 (bilby's mass_ratio = m2/m1 <= 1 belongs to "
            "physical calls); swap the bodies and pass 1/q"
        )
    return array


def require_heavier_first(mass_1: float | np.ndarray, mass_2: float | np.ndarray) -> None:
    """Raise unless `mass_1` is nowhere the smaller of the two.

    Raises
    ------
    DomainError
        naming both masses

    Examples
    --------
    >>> require_heavier_first(26.0, 39.0)
    Traceback (most recent call last):
    gwsurrogate_ml.errors.DomainError: mass_1 = 26 < mass_2 = 39: give the heavier body first, and swap the spins with the masses
    """
    if np.any(mass_1 < mass_2):
        first, second = np.atleast_1d(*np.broadcast_arrays(mass_1, mass_2))
        i = int(np.argmax(second - first))
        raise DomainError(
            f"mass_1 = {first[i]:g} < mass_2 = {second[i]:g}: give the heavier body first, and swap the spins with the masses"
        )


ROUNDED = 1e-5
"""Above pi and below 0, in rad: a tilt of 3.1416 is one of pi."""


def require_tilts(tilt_1: float | np.ndarray, tilt_2: float | np.ndarray) -> None:
    """Raise unless tilts are angles from 0 to pi.

    Raises
    ------
    DomainError
        naming the angle, and radians, since degrees are larger

    Examples
    --------
    >>> require_tilts(0.3, 60.0)
    Traceback (most recent call last):
    gwsurrogate_ml.errors.DomainError: tilt_2 is 60: a tilt lies between 0 and pi, give radians
    """
    for name, value in (("tilt_1", tilt_1), ("tilt_2", tilt_2)):
        for extreme in (np.min(value, initial=0.0), np.max(value, initial=0.0)):
            if not -ROUNDED <= extreme <= np.pi + ROUNDED:
                raise DomainError(f"{name} is {extreme:g}: a tilt lies between 0 and pi, give radians")


def eta_from_q(q: np.ndarray | float) -> np.ndarray:
    """Symmetric mass ratio m1 m2 / (m1 + m2)^2 from q = m1 / m2 (either way round).

    Examples
    --------
    >>> float(eta_from_q(1.0))
    0.25
    """
    q = np.asarray(q, dtype=np.float64)
    return q / (1 + q) ** 2


def component_masses(chirp_mass: np.ndarray, mass_ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Component masses (mass_1 >= mass_2) from `chirp_mass` and ``mass_ratio = m2 / m1 <= 1``; unit of `chirp_mass`.

    Examples
    --------
    >>> m1, m2 = component_masses(26.0, 0.8)
    >>> round(float(m2 / m1), 12)
    0.8
    """
    mass_ratio = np.asarray(mass_ratio, dtype=np.float64)
    total = chirp_mass * (1 + mass_ratio) ** 1.2 / mass_ratio**0.6
    return total / (1 + mass_ratio), total * mass_ratio / (1 + mass_ratio)


def chirp_mass_from_components(mass_1: np.ndarray | float, mass_2: np.ndarray | float) -> np.ndarray:
    """Chirp mass (m1 m2)^(3/5) / (m1 + m2)^(1/5) in the unit of the masses.

    Examples
    --------
    >>> round(float(chirp_mass_from_components(36.0, 29.0)), 3)
    28.096
    """
    mass_1, mass_2 = np.asarray(mass_1, dtype=np.float64), np.asarray(mass_2, dtype=np.float64)
    return (mass_1 * mass_2) ** 0.6 / (mass_1 + mass_2) ** 0.2


def effective_spin(q: np.ndarray | float, chi1: np.ndarray | float, chi2: np.ndarray | float) -> np.ndarray:
    """chi_eff = (m1 chi1 + m2 chi2) / (m1 + m2) with q = m1 / m2.

    Examples
    --------
    >>> float(effective_spin(1.0, 0.4, -0.2))
    0.1
    """
    return (q * np.asarray(chi1) + np.asarray(chi2)) / (1 + np.asarray(q))
