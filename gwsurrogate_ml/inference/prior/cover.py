"""Any prior of bilby's as an analysis can take it: drawn under parts that are nowhere narrower, re-weighted at the end, exactly.

An analysis integrates distance, orientation, sky and time under the priors of `extrinsic`, and proposes masses and spins under
those of `masses` and `spins`. Densities of other shapes cost draws, and nothing else: see `result.reweight.with_prior`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gwsurrogate_ml.binaries import ALIGNED, PRECESSING, Space
from gwsurrogate_ml.conventions import EXTRINSIC
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.prior.composition import ComposedPrior, Prior
from gwsurrogate_ml.inference.prior.constraints import constraints, share
from gwsurrogate_ml.inference.prior.from_bilby import densities, differences, require_densities, require_within

if TYPE_CHECKING:
    from collections.abc import Callable

    from bilby.core.prior import PriorDict

NEAREST = 0.5
"""Largest ratio of the nearest to the farthest distance that the integral over distance is made for."""


def covering(
    given: PriorDict, gps: float | None, space: Space | None, of_fields: Callable[[dict[str, Any], Space], Prior]
) -> Prior:
    """The prior of an analysis for what bilby's `given` say: their own where there are parts for them, else one with a `target`.

    Parameters
    ----------
    given : bilby PriorDict
        densities of the parameters, each by itself, and Constraints on what follows from them; without `geocent_time` arrival
        times have their default width
    gps : float, optional, s
        the event's time, which must be the middle of `geocent_time`; None: not checked
    space : Space, optional
        of the waveform model; default: that of the parameters given
    of_fields : callable
        the prior of a `BinaryPrior`'s fields in a space

    Raises
    ------
    ConfigError, DomainError
        naming each parameter that cannot be analysed so, and what can be done
    """
    from bilby.core.prior import PriorDict

    priors = densities(given)
    space = space or (PRECESSING if "a_1" in priors else ALIGNED)
    other = ALIGNED if space == PRECESSING else PRECESSING
    if foreign := [name for name in other.names if name in priors and name not in space.names]:
        kind, way = ("precessing", "chi_1, chi_2") if space == ALIGNED else ("aligned", "a_1, a_2, tilt_1, tilt_2, phi_12, phi_jl")
        raise ConfigError(
            f"the prior has {foreign[0]}, a parameter of {kind} spins, which the waveform model does not have: take a model of "
            f"{kind} spins (surrogate, --surrogate: nr22 and nrhm are of aligned, nrphm and lal:IMRPhenomXPHM of precessing ones), "
            f"or give priors of {way}, or a range in their place (--prior chi=-A,A after the file)"
        )
    names = (*space.names, *EXTRINSIC)
    require_densities(priors, ["geocent_time"], names)
    cover = of_fields({**_ranges(priors), **_spins(priors), "time_half_width": half_width(priors, gps)}, space)
    bilbys = cover.to_bilby(0.0 if gps is None else gps)
    target = {name: given[name] for name in given if name != "geocent_time"}
    if not differences(target, bilbys):
        return cover
    require_within({name: priors[name] for name in priors if name != "geocent_time"}, bilbys, "give a range inside it")
    known = {name: priors.get(name, bilbys[name]) for name in names}
    if beside := constraints(given, names):
        share(known, beside, names)
    composed = ComposedPrior(tuple(cover.parts), cover.luminosity_distance, cover.time_half_width)
    return replace(composed, target=PriorDict(target))


def half_width(priors: dict[str, Any], gps: float | None) -> float:
    """Half of the range of arrival times, s.

    Raises
    ------
    ConfigError
        if they are not uniform about `gps`
    """
    from bilby.core.prior import Uniform

    if (prior := priors.get("geocent_time")) is None:
        return 0.1
    middle = (prior.minimum + prior.maximum) / 2
    if not isinstance(prior, Uniform):
        raise ConfigError(f"geocent_time is {type(prior).__name__}: arrival times are uniform, give Uniform(gps - 0.1, gps + 0.1)")
    if gps is not None and abs(middle - gps) > 1e-6:
        raise ConfigError(f"geocent_time has its middle at GPS {middle:.6f}, the event at {gps:.6f}: give both the same")
    return round((prior.maximum - prior.minimum) / 2, 6)  # as fine as GPS times in float64


def _ranges(priors: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Those of masses and distance; distances begin nearer where that is needed."""
    ranges = {name: (float(priors[name].minimum), float(priors[name].maximum)) for name in ("chirp_mass", "mass_ratio")}
    nearest, farthest = float(priors["luminosity_distance"].minimum), float(priors["luminosity_distance"].maximum)
    return ranges | {"luminosity_distance": (min(nearest, NEAREST * farthest), farthest)}


def _spins(priors: dict[str, Any]) -> dict[str, Any]:
    """The field `chi`, and `spins`, of both spins alike."""
    from bilby.gw.prior import AlignedSpin

    if "a_1" in priors:
        highest = max(float(priors[name].maximum) for name in ("a_1", "a_2"))
        if not highest < 1:
            raise ConfigError(f"the priors on a_1 and a_2 reach {highest:g}: spins lie below 1, give Uniform(0, 0.99)")
        return {"chi": (-highest, highest), "spins": "isotropic"}
    both = [priors[name] for name in ("chi_1", "chi_2")]
    low, high = float(min(prior.minimum for prior in both)), float(max(prior.maximum for prior in both))
    if not all(isinstance(prior, AlignedSpin) for prior in both):
        return {"chi": (low, high)}
    widest = max(-low, high)
    return {"chi": (-widest, widest), "spins": "isotropic"}
