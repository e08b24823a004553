"""The shipped surrogates as gwsignal generators (entry point group `gwsignal_models`), and through them in bilby.

    from lalsimulation.gwsignal.models import gwsignal_get_waveform_generator
    generator = gwsignal_get_waveform_generator("GWSML_NR22")

lalsimulation before it read entry points knows only its own names: call `register()` once in such a session, then the line
above and ``bilby.gw.waveform_generator.GWSignalWaveformGenerator`` with ``waveform_approximant="GWSML_NR22"`` work there too.

Conventions are gwsignal's: astropy units, h = h_plus - i h_cross, t = 0 at the peak. `phi_ref` is the orbital phase where the
(2,2) mode's frequency is `f22_ref`; ``f22_ref = 0`` means the peak, for GWSML_NRPHM `f22_start` as in LAL. Modes are strain, as
LAL's: orbital phase 0 at `f22_ref`, to be summed in the direction (inclination, pi/2 - phi_ref). Fourier transforms have the
epoch ``-1 / deltaF``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u
from gwpy.frequencyseries import FrequencySeries
from gwpy.timeseries import TimeSeries
from lalsimulation.gwsignal.core.waveform import CompactBinaryCoalescenceGenerator

from gwsurrogate_ml.arguments import positive
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI, ModeKey
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.plugins import common
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.surrogate.precessing.model import PrecessingSurrogate

_IN_PLANE = ("spin1x", "spin1y", "spin2x", "spin2y")
_ECCENTRIC = ("eccentricity", "meanPerAno")
_MATTER = (
    *("lambda1", "lambda2", "TidalOctupolarLambda1", "TidalOctupolarLambda2", "TidalHexadecapolarLambda1"),
    *("TidalHexadecapolarLambda2", "TidalQuadrupolarFMode1", "TidalQuadrupolarFMode2", "TidalOctupolarFMode1"),
    "TidalOctupolarFMode2",
)
_FIXED = (*_IN_PLANE, *_ECCENTRIC, *_MATTER)
_FREE = (
    *("mass1", "mass2", "spin1z", "spin2z", "distance", "inclination", "phi_ref", "f22_ref", "f22_start"),
    *("longAscNodes", "deltaT", "deltaF", "f_max", "condition", "ModeArray"),
)


def _nodes(p: dict[str, u.Quantity]) -> float:
    """Longitude of the ascending nodes in rad."""
    return float(p["longAscNodes"].to_value(u.rad)) if "longAscNodes" in p else 0.0


def _times(first: float, last: float, step: float) -> np.ndarray:
    """Multiples of `step` from `first` to `last`."""
    return np.arange(int(np.ceil(first / step)), int(np.floor(last / step)) + 1) * step


class Generator(CompactBinaryCoalescenceGenerator):
    """A shipped surrogate as a gwsignal generator; use a subclass, which names the approximant.

    Parameters are gwsignal's, with units; see the module for conventions. Masses come as `mass1` and `mass2` in either order,
    spins of aligned models as `spin1z` and `spin2z`. Polarizations in time start where the (2,2) mode passes `f22_start`, or with
    ``condition = 1`` up to 0.45 s before it with a taper; Fourier transforms are always tapered so. Those of the precessing model
    always start a cycle before it, with a taper.

    Raises
    ------
    NoWaveformError
        a DomainError: parameters beyond the model's domain, or `f22_start` below what it reaches; bilby catches it where its
        `catch_waveform_errors` is set
    ConfigError
        spins in the plane of an aligned model, eccentricity, tides, modes that the model lacks, or a parameter of another name
    """

    approximant = ""
    spins = "aligned_spin"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        if kwargs:
            raise ConfigError(f"{sorted(kwargs)[0]!r}: {self.approximant} has no options, leave it out")
        self._implemented_domain = "time"
        self._generation_domain = None

    @property
    def metadata(self) -> dict[str, Any]:
        """What gwsignal and bilby ask about the model."""
        return {
            "type": self.spins,
            "f_ref_spin": True,
            "modes": True,
            "polarizations": True,
            "implemented_domain": "time",
            "generation_domain": self._generation_domain,
            "approximant": self.approximant,
            "implementation": "gwsurrogate_ml",
            "conditioning_routines": "",
        }

    @common.no_waveform()
    def generate_td_waveform(self, **parameters: Any) -> tuple[TimeSeries, TimeSeries]:
        """Plus and cross polarization, gwpy TimeSeries of strain, epoch relative to the peak."""
        surrogate, keywords, p = self._checked(parameters)
        step = p["deltaT"].to_value(u.s)
        start, plus, cross = common.series(surrogate, keywords, 1.0 / step, bool(parameters.get("condition", 0)))
        plus, cross = common.turned(plus, cross, _nodes(p))
        return TimeSeries(plus, t0=start, dt=step, name="hplus"), TimeSeries(cross, t0=start, dt=step, name="hcross")

    @common.no_waveform()
    def generate_fd_waveform(self, **parameters: Any) -> tuple[FrequencySeries, FrequencySeries]:
        """Fourier transforms of the polarizations, gwpy FrequencySeries in 1/Hz, from 0 to `f_max`."""
        surrogate, keywords, p = self._checked(parameters)
        delta_f, f_max = p["deltaF"].to_value(u.Hz), p["f_max"].to_value(u.Hz)
        if not delta_f > 0:
            raise ConfigError(f"deltaF is {delta_f}: give a positive step in Hz")
        if not f_max > keywords["f_min"]:
            raise ConfigError(f"f_max = {f_max:g} Hz does not lie above f22_start = {keywords['f_min']:g} Hz")
        both = common.turned(*common.transforms(surrogate, keywords, delta_f, f_max), _nodes(p))
        bins = int(np.floor(f_max / delta_f + 1e-6)) + 1
        plus, cross = (
            FrequencySeries(h[:bins], df=delta_f, epoch=-1.0 / delta_f, name=name)
            for h, name in zip(both, ("hplus", "hcross"), strict=True)
        )
        return plus, cross

    @common.no_waveform()
    def generate_td_modes(self, **parameters: Any) -> dict[tuple[int, int], TimeSeries]:
        """Modes of both signs of m as strain, gwpy TimeSeries of complex numbers."""
        surrogate, keywords, p = self._checked(parameters)
        if _nodes(p):
            raise ConfigError(f"longAscNodes = {_nodes(p)}: it turns polarizations, modes know nothing of it; set it to 0")
        step = p["deltaT"].to_value(u.s)
        scale = (keywords["mass_1"] + keywords["mass_2"]) * MTSUN_SI / (keywords["luminosity_distance"] * MPC_SECONDS)
        made = self._precessing if isinstance(surrogate, PrecessingSurrogate) else self._aligned
        times, modes = made(surrogate, keywords, step)
        return {key: TimeSeries(scale * h, t0=times[0], dt=step, name=f"h_{key[0]}_{key[1]}") for key, h in modes.items()}

    @staticmethod
    def _aligned(surrogate: Surrogate, keywords: dict[str, Any], step: float) -> tuple[np.ndarray, dict[ModeKey, np.ndarray]]:
        """Times in s from the peak, in steps of `step`, and modes r h / M of both signs of m."""
        binary = {name: keywords[name] for name in ("mass_1", "mass_2", "chi_1", "chi_2")}
        unit = (keywords["mass_1"] + keywords["mass_2"]) * MTSUN_SI
        times = _times(-surrogate.time_before_peak(**binary, f_min=keywords["f_min"]), surrogate.t_max * unit, step)
        modes = surrogate(keywords["mass_1"] / keywords["mass_2"], keywords["chi_1"], keywords["chi_2"], times / unit)
        turn = surrogate.orbital_phase(**binary, frequency=keywords["f_ref"]) if "f_ref" in keywords else 0.0
        chosen = [(l, sign * m) for l, m in keywords.get("modes", modes) for sign in (1, -1)]
        return times, {(l, m): np.exp(1j * m * turn) * modes[l, m] for l, m in chosen}

    @staticmethod
    def _precessing(
        surrogate: PrecessingSurrogate, keywords: dict[str, Any], step: float
    ) -> tuple[np.ndarray, dict[ModeKey, np.ndarray]]:
        """As `_aligned`."""
        total = keywords["mass_1"] + keywords["mass_2"]
        unit = total * MTSUN_SI
        end = surrogate.t_max * unit
        times = _times(end - common.length(surrogate, keywords), end, step)
        spins = keywords["spin_1"], keywords["spin_2"]
        modes = surrogate(
            keywords["mass_1"] / keywords["mass_2"], *spins, times=times / unit, f_ref=keywords["f_ref"], total_mass=total
        )
        return times, {key: modes[key] for key in modes}

    def _checked(self, parameters: dict[str, Any]) -> tuple[Any, dict[str, Any], dict[str, u.Quantity]]:
        """The surrogate, its keywords but for the grid, and gwsignal's parameters with their defaults."""
        for name in parameters:
            if name not in _FREE and name not in _FIXED:
                raise ConfigError(f"{name}: {self.approximant} does not know it, it takes {', '.join(_FREE)}")
        surrogate = common.model(self.approximant)
        modes = parameters.get("ModeArray")
        self.parameter_check(units_sys="Cosmo", **{k: v for k, v in parameters.items() if k != "ModeArray"})
        p = self.waveform_dict
        values = {name: float(p[name].value) for name in _FIXED if name in p}
        if isinstance(surrogate, Surrogate):
            why = f"{self.approximant} has spins along the orbital angular momentum only, set it to 0 or take GWSML_NRPHM"
            common.refuse(values, _IN_PLANE, why)
        common.refuse(values, _ECCENTRIC, "the orbit is circular, set it to 0")
        common.refuse(values, _MATTER, "the model is for black holes, leave it out")
        place = (p["distance"].to_value(u.Mpc), p["inclination"].to_value(u.rad), p["phi_ref"].to_value(u.rad))
        f_min, f_ref = positive(p["f22_start"].to_value(u.Hz), "f22_start", "Hz"), p["f22_ref"].to_value(u.Hz)
        masses = p["mass1"].to_value(u.solMass), p["mass2"].to_value(u.solMass)
        spin_1, spin_2 = (tuple(float(p.get(f"spin{i}{axis}", 0.0)) for axis in "xyz") for i in (1, 2))
        return surrogate, common.keywords(surrogate, masses, (spin_1, spin_2), place, f_min, f_ref, modes), p


class NR22(Generator):
    """The (2,2) surrogate `nr22`."""

    approximant = "GWSML_NR22"


class NRHM(Generator):
    """The surrogate with higher modes, `nrhm`."""

    approximant = "GWSML_NRHM"


class NRPHM(Generator):
    """The precessing surrogate, `nrphm`."""

    approximant = "GWSML_NRPHM"
    spins = "precessing_spin"


GENERATORS: dict[str, type[Generator]] = {cls.approximant: cls for cls in (NR22, NRHM, NRPHM)}
"""Approximant names to generators: what the entry points name, for `register`."""


def register() -> None:
    """Make gwsignal's own lookup find this package's approximants where lalsimulation does not read entry points.

    Other names are looked up as before; a second call does nothing.

    Examples
    --------
    >>> register()
    >>> from lalsimulation.gwsignal.models import gwsignal_get_waveform_generator
    >>> gwsignal_get_waveform_generator("GWSML_NR22").metadata["approximant"]
    'GWSML_NR22'
    """
    import lalsimulation.gwsignal
    from lalsimulation.gwsignal import models

    # The names are a chain of comparisons within this function: there is no table to add to, the function itself is replaced.
    theirs = models.gwsignal_get_waveform_generator
    if getattr(theirs, "_knows_gwsml", False):
        return

    def gwsignal_get_waveform_generator(waveform_approximant: str, **kwargs: Any) -> Any:
        if waveform_approximant in GENERATORS:
            return GENERATORS[waveform_approximant](**kwargs)
        return theirs(waveform_approximant, **kwargs)

    gwsignal_get_waveform_generator._knows_gwsml = True  # type: ignore[attr-defined]
    models.gwsignal_get_waveform_generator = gwsignal_get_waveform_generator
    lalsimulation.gwsignal.gwsignal_get_waveform_generator = gwsignal_get_waveform_generator
