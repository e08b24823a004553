"""Calls of a surrogate by names that it does not have: the name that is meant, in place of Python's TypeError."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from difflib import get_close_matches
from functools import wraps
from typing import ParamSpec, TypeVar

from gwsurrogate_ml.binaries import ALIGNED
from gwsurrogate_ml.errors import ConfigError

P = ParamSpec("P")
T = TypeVar("T")

TILTED = ("a_1", "a_2", "tilt_1", "tilt_2", "phi_12", "phi_jl", "spin_1", "spin_2")
REFERENCES = ("t_ref", "omega_ref", "f_ref", "total_mass")
"""What precessing spins belong to."""
ELSEWHERE = {
    "distance": "luminosity_distance",
    "inclination": "theta_jn",
    "f_low": "f_min",
    "f_lower": "f_min",
    "chirp_mass": "mass_1",
    "total_mass": "mass_1",
    "mass_ratio": "mass_1",
    "q": "mass_1",
}
"""What other programs, and this one's other calls, say, and what physical calls take."""


def meant(name: str, taken: Collection[str], aligned: bool = True) -> str:
    """What to do about a keyword `name` of a call that takes others, in words; empty where that is not known.

    `aligned`: the call is that of a model of spins along the orbit.

    Examples
    --------
    >>> meant("chi_1", ["q", "chi1", "chi2"])
    'give chi1 in place of chi_1'
    >>> meant("a_1", ["mass_1", "mass_2", "chi_1", "chi_2"])
    "chi_1 and chi_2 are spins along the orbital angular momentum; those of any direction are for load_surrogate('nrphm')"
    """
    pair = next((pair for pair in (("chi_1", "chi_2"), ("chi1", "chi2")) if set(pair) <= set(taken)), None)
    if pair and aligned and name in TILTED:
        return (
            f"{pair[0]} and {pair[1]} are spins along the orbital angular momentum; those of any direction are for "
            "load_surrogate('nrphm')"
        )
    if "chi1" in taken and aligned and name in REFERENCES:
        return f"spins along the orbital angular momentum need no {name}: leave it out, or take load_surrogate('nrphm')"
    if "a_1" in taken and name in ("chi_1", "chi_2", "chi1", "chi2"):
        i = name[-1]
        return f"give a_{i} and tilt_{i} in place of {name}, a tilt of pi for a spin against the orbital angular momentum"
    if "spin_1" in taken and name.startswith(("a_", "tilt_", "phi_1", "phi_j", "chi")):
        return "give spin_1 and spin_2, three components each, and inclination; `polarizations` takes bilby's angles"
    if name == "mass_ratio" and "q" in taken:
        return "give q = m1/m2 = 1/mass_ratio"
    if (other := ELSEWHERE.get(name)) in taken:
        return f"give {'mass_1 and mass_2' if other == 'mass_1' else other} in place of {name}"
    near = get_close_matches(name, taken, 1, 0.75)
    return f"give {near[0]} in place of {name}" if near else ""


def named(method: Callable[P, T]) -> Callable[P, T]:
    """`method`, whose calls with arguments that it does not take, or without those that it needs, end as ConfigError."""
    signature = inspect.signature(method)
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    takes = [name for name, parameter in signature.parameters.items() if name != "self" and parameter.kind not in kinds]

    @wraps(method)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except TypeError:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                aligned = not args or getattr(args[0], "space", ALIGNED) == ALIGNED
                raise _refusal(str(error), takes, list(kwargs), aligned) from None
            raise

    return called


def _refusal(why: str, takes: list[str], given: list[str], aligned: bool) -> ConfigError:
    """The error of a call that does not fit, for the reason `why` of Python's, with `given` among its keywords."""
    remedies = dict.fromkeys(meant(name, takes, aligned) for name in given if name not in takes)
    said = "; ".join(remedy for remedy in remedies if remedy)
    return ConfigError(f"{why}: this call takes {', '.join(takes)}" + (f"; {said}" if said else ""))
