"""Which of bilby's priors an analysis takes as they are: read, compared by their densities, or refused with a way on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.conventions import PARAMETERS, component_masses
from gwsurrogate_ml.errors import ConfigError, DomainError

if TYPE_CHECKING:
    from bilby.core.prior import Prior, PriorDict

COMPONENTS = ("mass_1", "mass_2", "total_mass")
"""What may have Constraints beside the priors of chirp mass and mass ratio."""
OFFERED = {
    "luminosity_distance": "PowerLaw(alpha=2), over which the likelihood is integrated",
    "chi_1": "Uniform or AlignedSpin(a_prior=Uniform(0, a)), alike for both spins",
}
"""What can be analysed where the class of the prior expected does not say it."""
WAY_ON = (
    "analyse with a prior that can be and is nowhere narrower, then re-weight: `result.with_prior(priors)` is exact; or sample "
    "with bilby, on the likelihood of `segment.to_bilby()`"
)


def read_priors(source: Mapping[str, Any] | str | Path) -> PriorDict:
    """A new PriorDict of a mapping from parameter to prior, or of the path of one of bilby's prior files.

    Raises
    ------
    ConfigError
        no such file, or bilby cannot read it
    """
    from bilby.core.prior import PriorDict

    name = "" if isinstance(source, Mapping) else f" {source}"
    if not isinstance(source, Mapping) and not Path(source).is_file():
        raise ConfigError(f"there is no prior file{name}")
    try:
        return PriorDict(dict(source)) if isinstance(source, Mapping) else PriorDict(filename=str(source))
    except (AttributeError, ImportError, LookupError, NameError, OSError, SyntaxError, TypeError, ValueError) as error:
        raise ConfigError(f"the prior{name} cannot be read ({error}): give one of bilby's, such as Uniform(low, high)") from error


def densities(priors: PriorDict) -> dict[str, Prior]:
    """The priors without the Constraints of `COMPONENTS`."""
    return {name: priors[name] for name in priors if name not in COMPONENTS or name not in priors.constraint_keys}


def require_densities(priors: Mapping[str, Any], optional: Sequence[str] = (), names: Sequence[str] = PARAMETERS) -> None:
    """Raise unless there is a density of each of the parameters `names` by itself, but for those in `optional`.

    Raises
    ------
    ConfigError
        naming parameters that are missing or unknown, or whose prior is no density of that parameter alone
    DomainError
        naming a parameter that is fixed
    """
    missing = [name for name in names if name not in priors and name not in optional]
    unknown = sorted(set(priors) - set(names))
    if missing or unknown:
        said = [f"has no {missing[0]}"] if missing else []
        said += [f"has {unknown[0]}, which is no parameter of the result"] if unknown else []
        raise ConfigError(f"the prior {' and '.join(said)}: give one for each of {', '.join(names)}")
    for name, prior in priors.items():
        _require_density(name, prior)


def _require_density(name: str, prior: Prior) -> None:
    """Raise unless `prior` has a density that a draw can be weighed by, without the other parameters, and can be kept."""
    from bilby.core.prior import Constraint, DeltaFunction, JointPrior, PriorDict

    kind = type(prior).__name__
    if not hasattr(prior, "ln_prob"):
        raise ConfigError(f"the prior on {name} is {prior!r}, which is no prior: give one of bilby's, such as Uniform(low, high)")
    if isinstance(prior, DeltaFunction):
        raise DomainError(
            f"the prior on {name} is the single value {prior.peak:g}, which no draw has: an analysis needs a density; give a "
            f"Uniform about {prior.peak:g} that is wide enough to hold some hundred of the draws"
        )
    if isinstance(prior, Constraint):
        raise ConfigError(
            f"the prior on {name} is a Constraint, which has no density of its own: give a Uniform, or another density, over "
            "the same range"
        )
    if isinstance(prior, JointPrior) or hasattr(prior, "condition_func"):
        raise ConfigError(
            f"the prior on {name} is a {kind}, which depends on other parameters: give a density of {name} alone, such as a "
            "PowerLaw or a TruncatedGaussian"
        )
    try:
        PriorDict({name: repr(prior)})
    except (AttributeError, NameError, SyntaxError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the prior on {name} is a {kind} that cannot be written down in the result ({error}): give one with a formula, such "
            "as a PowerLaw or a TruncatedGaussian"
        ) from error


def require_same(given: Mapping[str, Prior], expected: Mapping[str, Prior]) -> None:
    """Raise unless all densities of `given` are those expected, whatever their classes, and its Constraints cut nothing off.

    Raises
    ------
    ConfigError
        with all that differs, and what can be done
    """
    found = []
    masses = ([expected[name].minimum, expected[name].maximum] for name in ("chirp_mass", "mass_ratio"))
    # Both masses are monotonic in either parameter, and so is their sum: the extremes are at the corners.
    mass_1, mass_2 = component_masses(*np.meshgrid(*masses))
    components = dict(zip(COMPONENTS, (mass_1, mass_2, mass_1 + mass_2), strict=True))
    for name, prior in given.items():
        said = f"{name} is {type(prior).__name__} from {prior.minimum:g} to {prior.maximum:g}"
        if name in components:
            low, high = components[name].min(), components[name].max()
            if low < prior.minimum or high > prior.maximum:
                found.append(f"{said}, which cuts into {low:.4g} to {high:.4g}: leave it out, and cut the draws of the result")
            continue
        other = expected[name]
        # The ends of the times are rounded, half a microsecond at most.
        slack = 1e-6 if name == "geocent_time" else 0.0
        same = abs(prior.minimum - other.minimum) <= slack and abs(prior.maximum - other.maximum) <= slack
        at = other.rescale(np.linspace(0.0, 1.0, 1001)[1:-1])
        if not (same and np.allclose(prior.ln_prob(at), other.ln_prob(at), rtol=0, atol=1e-9 + 100 * slack)):
            offered = f"{type(other).__name__} from {other.minimum:g} to {other.maximum:g}"
            found.append(f"{said}, and can be {OFFERED.get(name, offered)}")
    if found:
        raise ConfigError(f"the prior cannot be analysed as it is: {'; '.join(found)}. What helps: {WAY_ON}")
