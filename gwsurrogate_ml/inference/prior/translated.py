"""Priors on what bilby's users put in place of our parameters, as the same density of the parameters themselves, exactly.

Cosines, sky positions in a frame of two detectors, redshifts, masses of both bodies, aligned spins as precessing ones: each has a
density that is another parameter's by a change of variables. What has none is left as it is, to be refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import numpy as np

if TYPE_CHECKING:
    from bilby.core.prior import Prior

P = TypeVar("P", bound="Prior")
COSINES = {"cos_theta_jn": "theta_jn", "cos_tilt_1": "tilt_1", "cos_tilt_2": "tilt_2"}
ZERO = ("lambda_1", "lambda_2", "lambda_tilde", "delta_lambda_tilde", "eccentricity")
"""What a binary black hole on a circular orbit has none of: fixed at 0, it is left out."""


def translated(priors: Mapping[str, Any]) -> dict[str, Any]:
    """The same priors, on our parameters where that is exact.

    Parameters
    ----------
    priors : mapping from parameter to bilby Prior, or to what bilby makes one of

    Examples
    --------
    >>> from bilby.core.prior import Uniform
    >>> type(translated({"cos_theta_jn": Uniform(-1, 1)})["theta_jn"]).__name__
    'Sine'
    """
    from bilby.core.prior import Cosine, DeltaFunction, Sine, Uniform

    found = dict(priors)
    for name in ZERO:
        if found.get(name) in (0, "0", "0.0") or (_is(found.get(name), DeltaFunction) and found[name].peak == 0):
            del found[name]
    for cosine, angle in COSINES.items():
        if _is(prior := found.get(cosine), Uniform) and angle not in found:
            found[angle] = Sine(minimum=np.arccos(prior.maximum), maximum=np.arccos(prior.minimum), name=angle)
            del found[cosine]
    even = _whole(found.get("azimuth"), Uniform, 2 * np.pi) and _whole(found.get("zenith"), Sine, np.pi)
    if even and not {"ra", "dec"} & set(found):
        del found["azimuth"], found["zenith"]  # even over the sky, in whatever frame
        found |= {"ra": Uniform(0, 2 * np.pi, name="ra", boundary="periodic"), "dec": Cosine(name="dec")}
    if _whole(found.get("delta_phase"), Uniform, 2 * np.pi) and "phase" not in found:
        del found["delta_phase"]  # the phase, turned by +-psi
        found["phase"] = Uniform(0, 2 * np.pi, name="phase", boundary="periodic")
    for name in ("redshift", "comoving_distance"):
        if hasattr(found.get(name), "get_corresponding_prior") and "luminosity_distance" not in found:
            found["luminosity_distance"] = found.pop(name).get_corresponding_prior("luminosity_distance")
    return _aligned(_masses(found))


def _is(prior: Any, kind: type[P]) -> TypeGuard[P]:
    """Whether a prior is of this class and of none derived from it."""
    return type(prior) is kind


def _whole(prior: Any, kind: type[P], width: float) -> bool:
    """Whether a prior is of this class and so wide."""
    return type(prior) is kind and bool(abs(prior.maximum - prior.minimum - width) < 1e-6)


def _masses(found: dict[str, Any]) -> dict[str, Any]:
    """Uniform masses of both bodies as the densities of chirp mass and mass ratio that they are, with Constraints on the masses.

    Only where the order of the bodies is said: by a Constraint on the mass ratio, or by ranges; or where it makes no difference, as
    both bodies have the same range of masses and the same spins.
    """
    from bilby.core.prior import Constraint, Uniform
    from bilby.gw.prior import UniformInComponentsChirpMass, UniformInComponentsMassRatio

    one, two = found.get("mass_1"), found.get("mass_2")
    chirp, ratio = found.get("chirp_mass"), found.get("mass_ratio")
    if not (_is(one, Uniform) and _is(two, Uniform)) or any(p is not None and not _is(p, Constraint) for p in (chirp, ratio)):
        return found
    ordered = ratio is not None and ratio.maximum <= 1
    if not (ordered or one.minimum >= two.maximum or _exchangeable(found)):
        return found
    q = [two.minimum / one.maximum, min(1.0, two.maximum / one.minimum)]
    m = [(a * b) ** 0.6 / (a + b) ** 0.2 for a, b in ((one.minimum, two.minimum), (one.maximum, two.maximum))]
    for ends, given in ((q, ratio), (m, chirp)):
        if given is not None:
            ends[:] = max(ends[0], given.minimum), min(ends[1], given.maximum)
    return found | {
        "chirp_mass": UniformInComponentsChirpMass(minimum=m[0], maximum=m[1], name="chirp_mass"),
        "mass_ratio": UniformInComponentsMassRatio(minimum=q[0], maximum=q[1], name="mass_ratio"),
        "mass_1": Constraint(one.minimum, one.maximum, name="mass_1"),
        "mass_2": Constraint(two.minimum, two.maximum, name="mass_2"),
    }


def _exchangeable(found: Mapping[str, Any]) -> bool:
    """Whether the density is the same with the bodies exchanged, so that either may be called the first.

    Exchanged, phi_12 changes its sign, and the phase changes by pi.
    """
    from bilby.core.prior import Uniform

    ratio = found.get("mass_ratio")
    if ratio is not None and not abs(ratio.minimum * ratio.maximum - 1) < 1e-6:
        return False
    pairs = [(found.get(f"{kind}_1"), found.get(f"{kind}_2")) for kind in ("mass", "a", "tilt", "chi")]
    aligned = all(tilt in (None, 0) or getattr(tilt, "peak", None) == 0 for tilt in pairs[2])
    angles = [found[name] for name in (("phase",) if aligned else ("phase", "phi_12")) if name in found]
    return all(_whole(angle, Uniform, 2 * np.pi) for angle in angles) and all(_unnamed(one) == _unnamed(two) for one, two in pairs)


def _unnamed(prior: Any) -> Any:
    """A prior without its name and its label."""
    if not hasattr(prior, "name"):
        return prior
    prior = copy(prior)
    prior.name = prior.latex_label = None
    return prior


def _aligned(found: dict[str, Any]) -> dict[str, Any]:
    """Spins of any magnitude whose tilts are fixed at 0 as the components along the orbit that they are."""
    from bilby.core.prior import DeltaFunction, Uniform

    tilts = [found.get(f"tilt_{body}") for body in "12"]
    if not all(_is(tilt, DeltaFunction) and tilt.peak == 0 for tilt in tilts):
        return found
    if not all(_is(found.get(f"a_{body}"), Uniform) for body in "12"):
        return found
    kept = {name: prior for name, prior in found.items() if name not in ("tilt_1", "tilt_2", "phi_12", "phi_jl", "a_1", "a_2")}
    for body in "12":
        spin = found[f"a_{body}"]
        kept[f"chi_{body}"] = Uniform(spin.minimum, spin.maximum, name=f"chi_{body}")
    return kept
