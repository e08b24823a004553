"""How an event is analysed: by a trained estimator where one fits, else from scratch with a prior, segment and band of its own.

The bank's loudest template (`coarse_search`) gives the chirp masses that are possible, they the prior, and the prior's longest
signal the segment. What was chosen is said, with the reason, and is kept in the result.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.binaries import ALIGNED
from gwsurrogate_ml.errors import ConfigError, DataError, DomainError, GwsmlError
from gwsurrogate_ml.inference.analysis.coarse_search import Located, locate
from gwsurrogate_ml.inference.analysis.preflight import require_spectra
from gwsurrogate_ml.inference.config import EstimatorConfig
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.prior.binary import of_file, require_inside
from gwsurrogate_ml.inference.prior.span import require_reach
from gwsurrogate_ml.strain.data import USABLE
from gwsurrogate_ml.strain.spectrum import ROUGH
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.waveform.model import inspiral_time

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.prior.composition import Prior
    from gwsurrogate_ml.strain.data import StrainData
    from gwsurrogate_ml.waveform.model import WaveformModel

SURROGATE, LONG = "nr22", "lal:IMRPhenomXAS"
"""Waveform models of analyses from scratch: the first, and for what begins before it the second; aligned spins and (2,2) both."""
DURATIONS = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
F_MIN, LOWER, HIGHER = 20.0, (15.0, 10.0), (25.0, 30.0, 40.0, 50.0)
"""Hz: where the band begins, and where else it may for binaries that merge below, or last longer than the data."""
F_MAX = 1024.0
AFTER, ROLL_OFF = 2.0, 0.4
"""Seconds of the segment after the event, and of its window's flanks."""
LONGER = 1.15
"""By how much aligned spins may lengthen an inspiral, against its leading order."""
ROOM = 1.2
"""Factor by which the prior on chirp mass reaches beyond what the bank found possible."""
WIDEN = 1.5
"""Factor by which that prior is widened where it cuts the posterior off."""
DISTANCES = (1000.0, 2000.0, 3000.0, 6000.0, 10000.0, 20000.0, 40000.0)
UNKNOWN = 10000.0
"""Mpc: farthest distances of the prior; the latter where nothing was searched for."""
FAR = 2.0
"""The prior on distance reaches beyond this many times the distance from where the loudest template is as loud, face-on."""


@dataclass(frozen=True)
class Wanted:
    """What whoever asks for an analysis wants of it; None and empty: what suits the event.

    Attributes
    ----------
    estimator : str
        shipped name or folder
    from_scratch : bool
        no estimator
    prior : mapping, fields of a `BinaryPrior`, and "file", a prior file of bilby's: see `prior.binary.of_file`
    surrogate : str
    duration, f_min, f_max : float, s and Hz
    psd : as `StrainData.segment` takes it
    """

    estimator: str = ""
    from_scratch: bool = False
    prior: Mapping[str, Any] = field(default_factory=dict)
    surrogate: str = ""
    duration: float | None = None
    f_min: float | None = None
    f_max: float | None = None
    psd: Any = None


@dataclass(frozen=True)
class Choice:
    """How an event is analysed, and why.

    Attributes
    ----------
    estimator : str
        empty: from scratch
    surrogate : str
    prior : mapping, fields of a `BinaryPrior`; empty where there is an estimator
    comoving : bool
        distances are uniform in comoving volume and source-frame time, in place of d^2
    duration, f_min, f_max : float, s and Hz
    found : Located
    reasons : tuple of str
        a sentence each
    """

    estimator: str
    surrogate: str
    prior: Mapping[str, Any]
    duration: float
    f_min: float
    f_max: float
    found: Located | None
    reasons: tuple[str, ...]
    comoving: bool = False

    def record(self) -> dict[str, Any]:
        """What a result keeps of it; JSON can hold it."""
        return asdict(self)

    def widened(self, data: StrainData, wanted: Wanted, bound: float) -> Choice:
        """The same with a prior on chirp mass that reaches beyond `bound`, an end of it which cuts the posterior off."""
        low, high = self.prior["chirp_mass"]
        masses = (low / WIDEN, high) if abs(bound - low) < abs(bound - high) else (low, high * WIDEN)
        reasons = (*self.reasons, f"the prior on chirp mass was widened to {_masses(masses)}: {bound:.3g} cut the posterior off")
        fields = dict(self.prior) | {"chirp_mass": masses}
        if self.found is not None and "luminosity_distance" not in wanted.prior:
            fields["luminosity_distance"] = _distances(self.found, masses[1])
        return _scratch(data, wanted, fields, self.found, reasons)


def choose(data: StrainData, wanted: Wanted = Wanted(), spoiled: tuple[str, ...] = ()) -> Choice:
    """How to analyse the event in `data`.

    Parameters
    ----------
    data : StrainData
        of any detectors, sampled at any rate
    wanted : Wanted
    spoiled : tuple of str
        detectors with a glitch, which the search leaves out

    Raises
    ------
    DomainError
        no signal; no band and segment in which the waveform model covers the prior
    DataError
        spectra that are not the data's, see `preflight.require_spectra`; see `coarse_search.locate`
    ConfigError
        impossible wishes
    """
    if wanted.psd is not None or not wanted.estimator:
        _require_possible(data, wanted)
    if wanted.estimator:
        return _named(wanted)
    known = {"chirp_mass", "file"} & wanted.prior.keys()
    heard = replace(data, series={name: series for name, series in data.series.items() if name not in spoiled})
    found = None if known else locate(heard, load_model(SURROGATE), wanted.psd, wanted.f_min or F_MIN)
    reasons = _beside(heard, wanted) if found is None else [_said(found)]
    trained = [config for config in estimators() if config.surrogate == (wanted.surrogate or SURROGATE)]
    if wanted.from_scratch or wanted.prior or not trained:
        asked = "a prior" if wanted.prior else f"the waveform model {wanted.surrogate}" if not trained else "it"
        reasons.append(f"from scratch, as asked for by {asked}" if asked != "it" else "from scratch, as asked for")
    else:
        assert found is not None
        against: list[str] = []
        for config in trained:
            why = list(_against(config, data, found, wanted))
            if not why:
                segment = config.segment
                spins = "uniform" if config.prior.spins == "uniform" else "isotropic, of magnitudes"
                reasons.append(
                    f"the estimator {config.name}: its detectors, masses and band fit; its prior: masses uniform in the "
                    f"components, spins {spins} to {config.prior.chi[1]:g}, distance ~ d^2"
                )
                where = segment.duration, segment.f_min, segment.f_max
                return Choice(config.name, config.surrogate, {}, *where, found, tuple(reasons))
            if set(config.segment.detectors) == set(data.detectors):
                against.append(f"{config.name} does not fit ({'; '.join(why)})")
        none = [f"no estimator is trained for {' and '.join(data.detectors)}"]
        reasons.append(f"from scratch: {', '.join(against or none)}")
    return from_scratch(data, wanted, found, tuple(reasons))


def from_scratch(data: StrainData, wanted: Wanted, found: Located | None, reasons: tuple[str, ...]) -> Choice:
    """An analysis from scratch, its prior derived from what was `found`, where none is wanted."""
    fields: dict[str, Any] = dict(wanted.prior)
    if found is not None:
        low, high = found.possible
        fields.setdefault("chirp_mass", (round(low / ROOM, 2), round(high * ROOM, 2)))
        fields.setdefault("luminosity_distance", _distances(found, high))
    if "file" not in fields:
        fields.setdefault("luminosity_distance", (10.0, UNKNOWN))
    low, high = fields.get("chi", (-1.0, 1.0))
    if low == -high and "file" not in fields:
        fields.setdefault("spins", "isotropic")
    return _scratch(data, wanted, fields, found, reasons)


def _distances(found: Located, high: float) -> tuple[float, float]:
    """The prior's distances (Mpc), for chirp masses up to `high`."""
    least = FAR * found.farthest * (high / found.chirp_mass) ** (5 / 6)
    return 10.0, next((d for d in DISTANCES if d > least), DISTANCES[-1])


def _named(wanted: Wanted) -> Choice:
    """The estimator that is asked for."""
    alone = {"a prior": wanted.prior, "a waveform model": wanted.surrogate, "an analysis from scratch": wanted.from_scratch}
    if other := next((what for what, value in alone.items() if value), None):
        raise ConfigError(
            f"{other} does not go with the estimator {wanted.estimator}, which has the prior and the waveforms it was trained "
            "with: leave the estimator out"
        )
    config = settings_of(wanted.estimator)
    asked = {name: getattr(wanted, name) for name in ("duration", "f_min", "f_max")}
    duration, f_min, f_max = (getattr(config.segment, name) if value is None else value for name, value in asked.items())
    return Choice(
        wanted.estimator, config.surrogate, {}, duration, f_min, f_max, None, (f"the estimator {wanted.estimator}, as asked for",)
    )


def _require_possible(data: StrainData, wanted: Wanted) -> None:
    """Raise before the search where the data hold no segment as it is wanted, or no noise as the spectra given say."""
    given = {name: value for name in ("duration", "f_min", "f_max", "psd") if (value := getattr(wanted, name)) is not None}
    if given:
        segment = data.segment(**{"f_max": min(F_MAX, 0.5 * data.sampling_frequency)} | given)
        if wanted.psd is not None:
            require_spectra(SegmentLikelihood(segment, load_model(SURROGATE)), wanted.psd)


def settings_of(estimator: str) -> EstimatorConfig:
    """Settings of an estimator: a shipped one by name, or a folder.

    Raises
    ------
    ArtifactError
        unknown name, or that of another kind of model

    Examples
    --------
    >>> settings_of("bbh-h1l1").segment.detectors
    ('H1', 'L1')
    """
    card, _ = artifacts.load(estimator, "estimator")
    return EstimatorConfig.model_validate(card["config"])


@cache
def estimators() -> tuple[EstimatorConfig, ...]:
    """Settings of the shipped estimators."""
    cards = [json.loads((artifacts.SHIPPED / name / "card.json").read_text(encoding="utf-8")) for name in artifacts.available()]
    return tuple(EstimatorConfig.model_validate(card["config"]) for card in cards if card["kind"] == "estimator")


def _said(found: Located) -> str:
    heard = ", ".join(f"{name} {snr:.1f}" for name, snr in found.snr.items())
    return (
        f"the search found a chirp mass of about {found.chirp_mass:.3g} solar masses, possibly {_masses(found.possible)}, at GPS "
        f"{found.gps:.2f}, signal-to-noise ratios {heard}"
    )


def _beside(data: StrainData, wanted: Wanted) -> list[str]:
    """What the search finds beside the range of chirp mass that is asked for, where there is one and the search finds anything."""
    if "chirp_mass" not in wanted.prior:
        return []
    try:
        found = locate(data, load_model(SURROGATE), wanted.psd, wanted.f_min or F_MIN)
    except GwsmlError:
        return []
    low, high = wanted.prior["chirp_mass"]
    outside = found.possible[1] < low or found.possible[0] > high
    return [_said(found) + (f"; the prior asked for, {_masses((low, high))}, leaves that out" if outside else "")]


def _masses(between: tuple[float, float]) -> str:
    return f"{between[0]:.3g} to {between[1]:.3g}"


def _span(value: Any) -> str:
    """A field of a prior, one number or two, in words."""
    return f"{value:g}" if isinstance(value, float) else " to ".join(f"{end:g}" for end in value)


def _against(config: EstimatorConfig, data: StrainData, found: Located, wanted: Wanted) -> Iterator[str]:
    """Why the estimator does not fit."""
    from gwsurrogate_ml.inference.analysis.estimator import LEAST_REACH

    segment, prior = config.segment, config.prior
    if set(segment.detectors) != set(data.detectors):
        yield f"trained for {', '.join(segment.detectors)}"
    for name, unit in (("duration", "s"), ("f_min", "Hz"), ("f_max", "Hz")):
        asked = getattr(wanted, name)
        if asked is not None and abs(asked - getattr(segment, name)) > 1e-9:
            yield f"trained for {name} {getattr(segment, name):g} {unit}, {asked:g} was asked for"
    (low, high), (least, most) = found.likely, prior.chirp_mass
    if low < least or high > most:
        yield f"trained for chirp masses {_masses(prior.chirp_mass)}, likely are {_masses(found.likely)}"
    if (reach := USABLE * 0.5 * data.sampling_frequency) < LEAST_REACH:
        yield f"needs data up to {LEAST_REACH:g} Hz, these reach {reach:.0f} Hz"
    if found.farthest > prior.luminosity_distance[1]:
        yield f"trained for distances up to {prior.luminosity_distance[1]:g} Mpc"


def _scratch(data: StrainData, wanted: Wanted, fields: dict[str, Any], found: Located | None, reasons: tuple[str, ...]) -> Choice:
    """Model, band and segment for a prior: the first of each that suits all of it, and that the data hold."""
    reach = float(np.floor(USABLE * 0.5 * data.sampling_frequency))
    f_max = min(F_MAX, reach) if wanted.f_max is None else wanted.f_max
    passed_over: list[str] = []
    first: GwsmlError | None = None
    for name in [wanted.surrogate] if wanted.surrogate else [SURROGATE, LONG]:
        model = load_model(name)
        prior = of_file(fields, model)
        for f_min in [F_MIN, *LOWER, *HIGHER] if wanted.f_min is None else [wanted.f_min]:
            for duration in DURATIONS if wanted.duration is None else [wanted.duration]:
                try:
                    require_inside(prior, dict(model.limits), model.name)
                    if wanted.duration is None:
                        _require_room(data, prior, f_min, duration, wanted.psd is None)
                    require_reach(prior, model, f_min, duration)
                except (ConfigError, DomainError, DataError) as refused:
                    first = first or refused
                    continue
                chosen = dict(fields)
                if "file" not in fields:
                    chosen |= {"chirp_mass": prior.bounds()["chirp_mass"], "luminosity_distance": prior.luminosity_distance}
                return Choice(
                    estimator="",
                    surrogate=name,
                    prior=chosen,
                    duration=duration,
                    f_min=f_min,
                    f_max=f_max,
                    found=found,
                    reasons=(*reasons, *passed_over, *_settled(chosen, model, duration, f_min, f_max, wanted)),
                    comoving=not {"luminosity_distance", "file"} & wanted.prior.keys(),
                )
        # What is wrong, without the ways on, one of which is taken.
        wrong = str(first).partition(": narrow")[0].partition("; ")[0]
        passed_over.append(f"{LONG} in place of {SURROGATE}: {wrong}")
    assert first is not None
    raise first


def _settled(
    prior: Mapping[str, Any], model: WaveformModel, duration: float, f_min: float, f_max: float, wanted: Wanted
) -> Iterator[str]:
    """What was settled on."""
    if "file" in prior:
        beside = [f"{name} {value if isinstance(value, str) else _span(value)}" for name, value in prior.items() if name != "file"]
        yield ", ".join([f"prior: {prior['file']}", *beside])
        yield f"waveforms of {model.name}, {duration:g} s, {f_min:g} to {f_max:g} Hz"
        return
    aligned, bounds = model.space == ALIGNED, of_file(prior, model).bounds()
    low, high = bounds["chi_1" if aligned else "a_1"]
    spins = "aligned, " if aligned else "in any direction, "
    isotropic = prior.get("spins", "uniform" if aligned else "isotropic") == "isotropic"
    spins += f"isotropic with uniform magnitude to {high:g}" if isotropic else f"uniform from {low:g} to {high:g}"
    kind = "~ d^2" if "luminosity_distance" in wanted.prior else "uniform in comoving volume and source-frame time"
    yield (
        f"prior: chirp mass {_masses(prior['chirp_mass'])} solar masses, masses uniform in the components, spins {spins}, distance "
        f"{kind}, to {prior['luminosity_distance'][1]:g} Mpc"
    )
    why = ""
    if wanted.f_min is None and f_min < F_MIN:
        why = ": heavy binaries merge below 20 Hz"
    elif wanted.f_min is None and f_min > F_MIN:
        why = ": the data are too short for signals from 20 Hz on"
    yield f"waveforms of {model.name}, {duration:g} s, {f_min:g} to {f_max:g} Hz{why}"


def _require_room(data: StrainData, prior: Prior, f_min: float, duration: float, measured: bool) -> None:
    """Raise unless the segment holds each signal from `f_min` on, and the data the segment, and enough beside it where the noise
    spectrum is measured.
    """
    low, _ = prior.bounds()["chirp_mass"]
    equal = {"mass_1": low * 2**0.2, "mass_2": low * 2**0.2}
    needed = LONGER * inspiral_time(equal, f_min) + AFTER + ROLL_OFF
    if needed > duration:
        raise DomainError(
            f"signals with chirp masses from {low:g} solar masses on need {needed:.0f} s of data from {f_min:g} Hz on, with the "
            f"{AFTER:g} s after the event: give a longer file, or a higher --f-min"
        )
    for name, series in data.series.items():
        before = data.gps - float(series.t0.value)
        after = series.size / data.sampling_frequency - before
        # Periodograms of 4 s, half overlapping, on either side.
        beside = (before - duration + AFTER, after - AFTER)
        if min(beside) < 0 or (measured and sum(max(side // 2 - 1, 0) for side in beside) < ROUGH and duration > DURATIONS[0]):
            raise DataError(
                f"{name}: the data hold no segment of {duration:g} s about GPS {data.gps:.3f} with enough beside it for a noise "
                "spectrum: read a longer file, or give a spectrum (--psd)"
            )
