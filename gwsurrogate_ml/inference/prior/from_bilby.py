"""Which of bilby's priors an analysis takes as they are: read, compared by their densities, or refused with a way on."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.binaries import ALIGNED, PRECESSING
from gwsurrogate_ml.conventions import EXTRINSIC, PARAMETERS
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.inference.prior.constraints import constraints, cutting
from gwsurrogate_ml.inference.prior.record import require_kept
from gwsurrogate_ml.inference.prior.translated import translated

if TYPE_CHECKING:
    from bilby.core.prior import Prior, PriorDict

OFFERED = {
    "luminosity_distance": "PowerLaw(alpha=2), over which the likelihood is integrated",
    "chi_1": "Uniform or AlignedSpin(a_prior=Uniform(0, a)), alike for both spins",
}
"""What can be analysed where the class of the prior expected does not say it."""
_TIDES = "the waveforms are of black holes: fix it at 0, or leave it out"
_TIMES = "times are those at the geocentre: leave it out, they lie within 0.1 s of the event"
_MASSES = (
    "Uniform masses are taken where a Constraint on the mass ratio, of maximum 1, or their ranges say which body is the heavier, "
    "or where both bodies have the same priors on masses and spins"
)
FOREIGN = {
    **dict.fromkeys(("lambda", "delta_lambda"), _TIDES),
    "recalib_": "calibration errors are integrated over: leave it out, and give the envelopes by calibration=, --calibration",
    **dict.fromkeys(("mass_1", "mass_2"), _MASSES),
    **{f"{detector}_time": _TIMES for detector in ("H1", "L1", "V1", "K1")},
}
"""Why some parameters of bilby's are none here, and the way on, by how their names begin."""
TIME = 1e-6
"""Seconds by which ends of priors on `geocent_time` may differ: they are rounded, half a microsecond at most."""
WAY_ON = (
    "`sample_event(data, priors)` takes it as it is, drawn under a prior that is nowhere narrower and re-weighted: exact, as "
    "`result.with_prior(priors)`; or sample with bilby, on the likelihood of `segment.to_bilby()`"
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
        raise ConfigError(f"there is no prior file{name}: give the path of one, also of those that bilby ships")
    try:
        return PriorDict(translated(dict(PriorDict(dict(source))) if isinstance(source, Mapping) else _of_file(Path(source))))
    except (AttributeError, ImportError, LookupError, NameError, OSError, SyntaxError, TypeError, ValueError) as error:
        raise ConfigError(f"the prior{name} cannot be read ({error}): give one of bilby's, such as Uniform(low, high)") from error


def _of_file(path: Path) -> dict[str, Any]:
    """The priors of a file in bilby's form, or in JSON as bilby writes it; comments may follow a prior."""
    from bilby.core.prior import PriorDict

    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    if text.lstrip().startswith("{"):
        return dict(PriorDict.from_json(str(path)))
    lines = []
    for line in text.splitlines():
        kept, quote = "", ""
        for letter in line:
            if letter == "#" and not quote:
                break
            quote = "" if letter == quote else quote or (letter if letter in "'\"" else "")
            kept += letter
        lines += [kept.rstrip()] if kept.strip() else []
    with tempfile.TemporaryDirectory() as folder:
        tidy = Path(folder) / "tidy.prior"
        tidy.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return dict(PriorDict(filename=str(tidy)))


def densities(priors: PriorDict) -> dict[str, Prior]:
    """The priors without Constraints on what is no parameter."""
    parameters = (*ALIGNED.names, *PRECESSING.names, *EXTRINSIC)
    return {name: priors[name] for name in priors if name in parameters or name not in priors.constraint_keys}


def require_densities(priors: Mapping[str, Any], optional: Sequence[str] = (), names: Sequence[str] = PARAMETERS) -> None:
    """Raise unless there is a density of each of the parameters `names` by itself, but for those in `optional`.

    Constraints on anything else have been left out, see `densities`.

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
        said += [f"has {unknown[0]}, which is no parameter here"] if unknown else []
        why = next((f" ({words})" for name in unknown for start, words in FOREIGN.items() if name.startswith(start)), "")
        raise ConfigError(f"the prior {' and '.join(said)}{why}: give one for each of {', '.join(names)}")
    for name, prior in priors.items():
        _require_density(name, prior)


def _range(name: str, prior: Prior) -> str:
    """The ends of the prior on `name`, in words."""
    return f"{_value(name, prior.minimum)} to {_value(name, prior.maximum)}"


def _value(name: str, value: float) -> str:
    """A value of the parameter `name`, in words."""
    return f"{value:{'.6f' if name == 'geocent_time' else 'g'}}"


def _require_density(name: str, prior: Prior) -> None:
    """Raise unless `prior` has a density that a draw can be weighed by, without the other parameters, and can be kept."""
    from bilby.core.prior import Constraint, DeltaFunction, JointPrior

    kind = type(prior).__name__
    if not hasattr(prior, "ln_prob"):
        raise ConfigError(f"the prior on {name} is {prior!r}, which is no prior: give one of bilby's, such as Uniform(low, high)")
    if isinstance(prior, DeltaFunction):
        peak = _value(name, prior.peak)
        raise DomainError(
            f"the prior on {name} is the single value {peak}, which no draw has: an analysis needs a density; give a Uniform about "
            f"{peak} that is wide enough to hold some hundred of the draws"
        )
    if isinstance(prior, Constraint):
        raise ConfigError(
            f"the prior on {name} is a Constraint, which has no density of its own: give a Uniform, or another density, over "
            "the same range"
        )
    if hasattr(prior, "nvalues"):
        raise ConfigError(
            f"the prior on {name} is a {kind}, whose values no draw has: an analysis needs a density; give an Interped"
        )
    if isinstance(prior, JointPrior) or hasattr(prior, "condition_func"):
        raise ConfigError(
            f"the prior on {name} is a {kind}, which depends on other parameters: give a density of {name} alone, such as a "
            "PowerLaw or a TruncatedGaussian"
        )
    if not np.isfinite([prior.minimum, prior.maximum]).all():
        raise ConfigError(
            f"the prior on {name} is a {kind} from {_range(name, prior)}: an analysis needs ends; give one that "
            "has them, such as a TruncatedGaussian"
        )
    require_kept(name, prior)


def within(name: str, prior: Prior, low: float, high: float) -> Prior:
    """The same density of the parameter `name` between other ends.

    Raises
    ------
    ConfigError
        if it has none, or does not reach them
    """
    try:
        again = type(prior)(**prior.get_instantiation_dict() | {"minimum": low, "maximum": high})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the prior on {name} is a {type(prior).__name__}, which has no other ends ({error})") from error
    if not np.allclose((again.minimum, again.maximum), (low, high), rtol=1e-9):
        raise ConfigError(f"the prior on {name} reaches from {_range(name, prior)}: give a range inside it")
    return again


def require_within(new: Mapping[str, Prior], old: Mapping[str, Prior], remedy: str) -> None:
    """Raise unless the range of each parameter in `new` lies inside that in `old`.

    Raises
    ------
    DomainError
        naming parameter, ranges and `remedy`
    """
    for name, prior in new.items():
        low, high = float(old[name].minimum), float(old[name].maximum)
        slack = TIME if name == "geocent_time" else 1e-9 * (high - low)
        if prior.minimum < low - slack or prior.maximum > high + slack:
            raise DomainError(
                f"the prior on {name} ({_range(name, prior)}) is wider than the one the draws come from "
                f"({_range(name, old[name])}): nothing is known outside; {remedy}"
            )


def differences(given: Mapping[str, Prior], expected: Mapping[str, Prior]) -> list[str]:
    """What is not the same in two priors, whatever their classes: densities that differ, and Constraints of `given` that cut.

    Returns
    -------
    list of str, a phrase for each
    """
    found = []
    for name, prior in given.items():
        if name not in expected:
            continue
        said, other = f"{name} is {type(prior).__name__} from {_range(name, prior)}", expected[name]
        slack = TIME if name == "geocent_time" else 0.0
        same = abs(prior.minimum - other.minimum) <= slack and abs(prior.maximum - other.maximum) <= slack
        at = other.rescale(np.linspace(0.0, 1.0, 1001)[1:-1])
        if not (same and np.allclose(prior.ln_prob(at), other.ln_prob(at), rtol=0, atol=1e-9 + 100 * slack)):
            offered = f"{type(other).__name__} from {_range(name, other)}"
            found.append(f"{said}, and can be {OFFERED.get(name, offered)}")
    beside = constraints(given, expected)
    found += [
        f"{name} is Constraint from {_range(name, beside[name])}, which cuts into the prior: leave it out"
        for name in cutting(beside, expected)
    ]
    return found


def require_same(given: Mapping[str, Prior], expected: Mapping[str, Prior]) -> None:
    """Raise unless there are no `differences`.

    Raises
    ------
    ConfigError
        with all that differs, and what can be done
    """
    if found := differences(given, expected):
        raise ConfigError(f"the prior cannot be analysed as it is: {'; '.join(found)}. What helps: {WAY_ON}")
