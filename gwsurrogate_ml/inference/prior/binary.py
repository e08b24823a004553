"""The prior of an aligned-spin binary, in the form in which configurations and models hold it; from and to bilby's priors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from gwsurrogate_ml.binaries import ALIGNED, PRECESSING, Space
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.prior.composition import ComposedPrior, Prior
from gwsurrogate_ml.inference.prior.cover import covering
from gwsurrogate_ml.inference.prior.extrinsic import Extrinsic
from gwsurrogate_ml.inference.prior.from_bilby import read_priors, require_same, within
from gwsurrogate_ml.inference.prior.masses import ChirpMass, MassRatio
from gwsurrogate_ml.inference.prior.parts import Part
from gwsurrogate_ml.inference.prior.spins import AlignedIsotropic, AlignedUniform, Isotropic

if TYPE_CHECKING:
    from gwsurrogate_ml.waveform.model import WaveformModel

SPINS = {"uniform": AlignedUniform, "isotropic": AlignedIsotropic}


class BinaryPrior(Prior, BaseModel):
    """Prior over the eleven parameters of an aligned-spin binary (bilby's names, detector frame).

    Parameters
    ----------
    chirp_mass : (low, high) in solar masses, detector frame
    mass_ratio : (low, high), ``m2 / m1 <= 1``
    chi : (low, high), dimensionless, both spins
    luminosity_distance : (low, high) in Mpc, density ~ d^2
    time_half_width : float, s; `geocent_time` is uniform within this of the event's GPS time
    spins : "uniform" in `chi`, or "isotropic" with a uniform magnitude below a, projected: give `chi` as (-a, a)

    Raises
    ------
    pydantic.ValidationError
        unknown keys, empty or impossible ranges

    Examples
    --------
    >>> import numpy as np
    >>> prior = BinaryPrior()
    >>> theta = prior.sample_intrinsic(5, np.random.default_rng(1))
    >>> bool(np.allclose(prior.from_normal(prior.to_normal(theta)), theta))
    True
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    chirp_mass: tuple[float, float] = (20.0, 45.0)
    mass_ratio: tuple[float, float] = (0.125, 1.0)
    chi: tuple[float, float] = (-0.9, 0.9)
    luminosity_distance: tuple[float, float] = (10.0, 3000.0)
    time_half_width: float = 0.1
    spins: Literal["uniform", "isotropic"] = "uniform"

    @model_validator(mode="after")
    def _check(self) -> BinaryPrior:
        for name in ("chirp_mass", "mass_ratio", "chi"):
            low, high = getattr(self, name)
            if not low < high:
                raise ValueError(f"{name} is ({low}, {high}): give (low, high) with low < high")
        if self.chirp_mass[0] <= 0:
            raise ValueError("chirp_mass must be positive")
        if not (self.mass_ratio[0] > 0 and self.mass_ratio[1] <= 1):
            raise ValueError(f"mass_ratio is {self.mass_ratio}: m2/m1 lies in (0, 1]")
        if not (self.chi[0] > -1 and self.chi[1] < 1):
            raise ValueError(f"chi is {self.chi}: dimensionless spins lie in (-1, 1)")
        if self.spins == "isotropic" and self.chi[0] != -self.chi[1]:
            raise ValueError(f"chi is {self.chi}: isotropic spins reach as far either way, give (-a, a)")
        Extrinsic(self.luminosity_distance, self.time_half_width)
        return self

    @model_serializer(mode="wrap")
    def _written(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the kind of spins that a prior of old has."""
        return {name: value for name, value in plain(self).items() if (name, value) != ("spins", "uniform")}

    @property
    def parts(self) -> tuple[Part, ...]:
        """Masses uniform in the components, and the spins."""
        return ChirpMass(*self.chirp_mass), MassRatio(*self.mass_ratio), SPINS[self.spins](*self.chi)

    def record(self, gps: float) -> dict[str, Any]:
        """What a result keeps of its prior in its meta data: the fields."""
        return {"prior": self.model_dump(mode="json")}

    @classmethod
    def from_bilby(cls, priors: Mapping[str, Any] | str | Path, gps: float | None = None) -> BinaryPrior:
        """The prior that bilby's state, where there are parts for all of them; the inverse of `to_bilby`.

        Parameters
        ----------
        priors : bilby PriorDict, mapping of parameter to bilby Prior, or path of a prior file
            of all eleven parameters; without `geocent_time` arrival times have their default width. Constraints of `mass_1`,
            `mass_2` and `total_mass` may be there if all of the prior fulfils them
        gps : float, optional, s
            the event's time, which must be the middle of `geocent_time`, to a microsecond; default: not checked

        Raises
        ------
        ConfigError, DomainError
            naming each parameter that cannot be analysed so, its class, and what can be done

        Examples
        --------
        >>> BinaryPrior.from_bilby(BinaryPrior().to_bilby(1126259462.4)) == BinaryPrior()
        True
        """
        given = read_priors(priors)
        prior = covering(given, gps, ALIGNED, of_fields)
        if prior.target is not None:
            require_same(prior.target, prior.to_bilby(0.0))
        assert isinstance(prior, BinaryPrior)
        return prior

    def write_prior_file(self, path: str | Path, gps: float) -> None:
        """Write bilby's prior file for an event at `gps` (s); `path` ends in ``.prior``."""
        path = Path(path)
        if path.suffix != ".prior":
            raise ConfigError(f"{path}: bilby's prior files end in .prior")
        self.to_bilby(gps).to_file(str(path.parent), path.stem)


def as_prior(prior: Prior | Mapping[str, Any] | str | Path, gps: float | None = None, model: WaveformModel | None = None) -> Prior:
    """The prior of an analysis, from whatever states one.

    Parameters
    ----------
    prior : Prior, such as a `BinaryPrior` or a `ComposedPrior`; mapping of a `BinaryPrior`'s fields; bilby PriorDict, mapping of
        parameter to bilby Prior, or path of a prior file: any densities of all parameters, each by itself, and Constraints on
        masses; without `geocent_time` arrival times have their default width
    gps : float, optional, s
        the event's time, which must be the middle of `geocent_time`; default: not checked
    model : WaveformModel, optional
        for which fields stand, see `of_model`, and whose parameters bilby's priors must be of

    Returns
    -------
    Prior
        with a `target` where the parts are not what bilby's priors say

    Raises
    ------
    ConfigError, DomainError
        unknown fields, impossible ranges; naming each parameter that cannot be analysed so

    Examples
    --------
    >>> as_prior({"chirp_mass": (7.0, 10.0)}).bounds()["chirp_mass"]
    (7.0, 10.0)
    """
    if isinstance(prior, Prior):
        return prior
    if not isinstance(prior, Mapping | str | Path):
        raise ConfigError(
            f"the prior is a {type(prior).__name__}: give a BinaryPrior, its ranges by name, a bilby PriorDict or the path of one"
        )
    fields = isinstance(prior, Mapping) and not any(hasattr(value, "ln_prob") for value in prior.values())
    if isinstance(prior, Mapping) and fields and prior.keys() <= BinaryPrior.model_fields.keys():
        return validated(prior) if model is None else of_model(prior, model)
    return covering(read_priors(prior), gps, None if model is None else model.space, of_fields)


def of_model(fields: Mapping[str, Any], model: WaveformModel) -> Prior:
    """The prior that the fields of a `BinaryPrior` stand for under a waveform model.

    Ranges that are not given are those of `BinaryPrior`, as far as the model goes. For precessing models spins have any direction
    and magnitudes uniform below the upper end of `chi`.

    Raises
    ------
    ConfigError
        unknown fields, impossible ranges, for precessing models a range of `chi` that is no (-a, a)

    Examples
    --------
    >>> from gwsurrogate_ml import load_surrogate
    >>> of_model({"chirp_mass": (25.0, 35.0)}, load_surrogate("nrphm")).names[2:4]
    ('a_1', 'a_2')
    """
    if model.space == ALIGNED:
        return validated(fields)
    fields = dict(fields)
    plain = BinaryPrior()
    if "mass_ratio" not in fields:
        fields["mass_ratio"] = (max(plain.mass_ratio[0], model.limits.get("mass_ratio", (0.0, 1.0))[0]), 1.0)
    if "chi" not in fields:
        highest = min(plain.chi[1], *(model.limits.get(name, (0.0, 1.0))[1] for name in ("a_1", "a_2")))
        fields["chi"] = (-highest, highest)
    return of_fields(fields, model.space)


def of_file(fields: Mapping[str, Any], model: WaveformModel) -> Prior:
    """As `of_model`, where "file" may be among the fields: a prior file of bilby's.

    Ranges of masses and distance beside it are the ends of the file's own densities; `chi` and `spins` replace its spins,
    `chi` alone by isotropic ones where the file's are: those of any direction, or `AlignedSpin`. Of its `geocent_time` the width is
    taken; for its middle see `time_of`.

    Raises
    ------
    ConfigError, DomainError
        see `as_prior`
    """
    from bilby.core.prior import PriorDict
    from bilby.gw.prior import AlignedSpin

    if "file" not in fields:
        return of_model(fields, model)
    given, others = read_priors(fields["file"]), {name: value for name, value in fields.items() if name != "file"}
    if "chi" in others and ("a_1" in given or any(isinstance(given.get(name), AlignedSpin) for name in ALIGNED.names[2:])):
        others.setdefault("spins", "isotropic")
    plain = of_model(others, model).to_bilby(0.0)
    spins = [name for name in plain if name in model.space.names[2:]]
    if {"chi", "spins"} & others.keys():
        given = PriorDict({name: prior for name, prior in given.items() if name not in (*ALIGNED.names[2:], *PRECESSING.names[2:])})
    replaced = {"chi": spins, "spins": spins, "time_half_width": ["geocent_time"]}
    for field, value in others.items():
        if field in replaced:
            given.update({name: plain[name] for name in replaced[field]})
        elif field in given:
            given[field] = within(field, given[field], *value)
    return covering(given, None, model.space, of_fields)


def states_time(prior: Prior | Mapping[str, Any] | str | Path) -> bool:
    """Whether what `as_prior` takes says itself when the event arrives: a `geocent_time` of bilby's.

    Examples
    --------
    >>> states_time(BinaryPrior().to_bilby(1126259462.4)), states_time({"time_half_width": 0.05})
    (True, False)
    """
    if isinstance(prior, str | Path):
        prior = read_priors(prior)
    return isinstance(prior, Mapping) and "geocent_time" in prior


def time_of(fields: Mapping[str, Any], gps: float, reach: float) -> float | None:
    """GPS time that a prior file's `geocent_time` is about; None where no file says one.

    Raises
    ------
    ConfigError
        if that is farther than `reach` (s) from the event's time `gps`: another event's
    """
    if "file" not in fields or "time_half_width" in fields or (time := read_priors(fields["file"]).get("geocent_time")) is None:
        return None
    if not abs((middle := (time.minimum + time.maximum) / 2) - gps) <= reach:
        raise ConfigError(
            f"geocent_time of {fields['file']} is about GPS {middle:.3f}, the event at {gps:.3f}: give the prior of this event, or "
            "leave geocent_time out of the file"
        )
    return float(middle)


def in_space(prior: BinaryPrior, space: Space) -> Prior:
    """The prior that a `BinaryPrior` stands for in a space: in that of precessing binaries spins have any direction.

    Raises
    ------
    ConfigError
        `spins` given as uniform along the orbit, where they have any direction

    Examples
    --------
    >>> in_space(BinaryPrior(), PRECESSING).names[2:4]
    ('a_1', 'a_2')
    """
    return prior if space == ALIGNED else of_fields({name: getattr(prior, name) for name in prior.model_fields_set}, space)


def of_fields(fields: Mapping[str, Any], space: Space) -> Prior:
    """The prior of a `BinaryPrior`'s fields in a space; ConfigError as `validated`, and for spins that are not of the space."""
    if space == ALIGNED:
        return validated(fields)
    if fields.get("spins") == "uniform":
        raise ConfigError(
            "spins is 'uniform', a prior of spins along the orbit: those of any direction are 'isotropic' (--prior spins=isotropic)"
        )
    given = validated({**fields, "spins": "isotropic"})
    *masses, _ = given.parts
    return ComposedPrior((*masses, Isotropic(given.chi[1])), given.luminosity_distance, given.time_half_width)


def validated(fields: Mapping[str, Any]) -> BinaryPrior:
    """A `BinaryPrior` of these fields; ConfigError in place of pydantic's error."""
    try:
        return BinaryPrior.model_validate(dict(fields))
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{name}: " for name in first["loc"][:1])
        raise ConfigError(f"{where}{first['msg'].removeprefix('Value error, ')}") from error


def require_inside(prior: Prior, limits: dict[str, tuple[float, float]], model: str) -> None:
    """Raise unless the waveform model covers the whole prior.

    Parameters
    ----------
    prior : Prior
    limits : mapping from names of `INTRINSIC` to (low, high); missing names are not limited
    model : str
        name used in the message

    Raises
    ------
    ConfigError
        naming the parameter and both ranges
    """
    beyond = [
        f"the prior on {name} ({low:g} to {high:g}) exceeds what {model} covers ({limits[name][0]:g} to {limits[name][1]:g})"
        for name, (low, high) in prior.bounds().items()
        if name in limits and (low < limits[name][0] - 1e-9 or high > limits[name][1] + 1e-9)
    ]
    if beyond:
        option = "mass_ratio=LOW,HIGH" if "mass_ratio" in beyond[0] else "chi=LOW,HIGH"
        raise ConfigError(
            f"{'; '.join(beyond)}: narrow the prior (--prior {option}, also after a file), or take a model without such limits, "
            f"lal:{'IMRPhenomXPHM' if 'a_1' in prior.names else 'IMRPhenomXAS'} (--surrogate)"
        )
