"""A waveform model, ours or another, as bilby's frequency-domain source model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gwsurrogate_ml.arguments import positive
from gwsurrogate_ml.binaries import ALIGNED
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.plugins.common import choose_modes, require_place
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.surrogate.precessing.model import PrecessingSurrogate
from gwsurrogate_ml.waveform.lal import spins_in_orbit
from gwsurrogate_ml.waveform.model import Grid, WaveformModel, binary_of, transforms

F_MIN, F_REF = 20.0, 50.0
"""bilby's own defaults, Hz."""
KNOWN = {
    "minimum_frequency",
    "maximum_frequency",
    "reference_frequency",
    "mode_array",
    "catch_waveform_errors",
    "waveform_approximant",
}
"""Waveform arguments; the last is the record's alone, and the phase of an aligned surrogate belongs to its peak, whatever the
reference."""
FLAT = 1e-6
"""Component of a spin in the orbital plane that is the rounding of its angles."""


def _along_orbit(a: float, tilt: float) -> float | None:
    """Component along the orbital angular momentum of a spin by magnitude and tilt (rad); None where it has others."""
    return None if abs(a * math.sin(tilt)) > FLAT else a * math.cos(tilt)


class _Source:
    """What the sources share: bilby's grid, and what is done with binaries beyond the model."""

    def __init__(self, model: WaveformModel) -> None:
        self.model = model

    def _answer(self, frequencies: np.ndarray, p: dict[str, Any], arguments: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
        if unknown := sorted(arguments.keys() - KNOWN):
            raise ConfigError(f"the waveform argument {unknown[0]} is none of these sources': they know {', '.join(sorted(KNOWN))}")
        try:
            grid = Grid(
                round(1 / float(frequencies[1] - frequencies[0]), 9),
                2 * float(frequencies[-1]),
                float(arguments.get("minimum_frequency", F_MIN)),
            )
            for name, value in p.items():
                if not math.isfinite(value):
                    raise DomainError(f"{name} is {value}: give a finite number")
            require_place(p["luminosity_distance"], p["theta_jn"], p["phase"])
            plus, cross = self._transforms(p, grid, arguments)
        except DomainError:
            if arguments.get("catch_waveform_errors"):
                return None
            raise
        if len(plus) != len(frequencies):
            raise ConfigError(
                f"the model gives {len(plus)} frequencies, bilby asks for {len(frequencies)}: use a regular array from 0"
            )
        within = frequencies >= grid.f_min
        if (top := arguments.get("maximum_frequency")) is not None:
            within &= frequencies <= positive(top, "maximum_frequency", "Hz")
        return {"plus": np.where(within, plus, 0.0), "cross": np.where(within, cross, 0.0)}

    def _transforms(self, p: dict[str, float], grid: Grid, arguments: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        if not isinstance(self.model, Surrogate):
            # LAL's models take 0 for f_min.
            self._require_reference(arguments.get("reference_frequency") or grid.f_min, grid.f_min, "phase")
        if (wanted := arguments.get("mode_array")) is None:
            return transforms(self.model, p, grid)
        model = self._summing(wanted)
        return model.frequency_domain_polarizations(**p, **grid._asdict(), modes=choose_modes(wanted, model))

    def _require_reference(self, given: Any, f_min: float, what: str) -> None:
        """Raise where a model whose phase, or spins, belong to `f_min` (Hz) is given another reference."""
        if positive(given, "reference_frequency", "Hz") != f_min:
            raise ConfigError(
                f"reference_frequency is {given:g} Hz: {self.model.name} takes {what} at minimum_frequency, {f_min:g} Hz, here; "
                "give both alike, or take bilby's own source"
            )

    def _summing(self, wanted: Any) -> Surrogate:
        """The model, which must be one that sums the modes it is told to."""
        if not isinstance(self.model, Surrogate):
            raise ConfigError(f"mode_array is {wanted}: {self.model.name} sums all its modes here, leave the choice out")
        return self.model


class BilbySource(_Source):
    """A waveform model of aligned spins called as bilby calls its source models; pickled with the model, for bilby's pools.

    Parameters
    ----------
    model : WaveformModel
    """

    def frequency_domain_source(
        self,
        frequency_array: np.ndarray,
        mass_1: float,
        mass_2: float,
        luminosity_distance: float,
        a_1: float,
        tilt_1: float,
        a_2: float,
        tilt_2: float,
        theta_jn: float,
        phase: float,
        **waveform_arguments: Any,
    ) -> dict[str, np.ndarray] | None:
        """Plus and cross polarization (n_f,), 1/Hz, at the frequencies (n_f,) Hz, or None: see `source_model`.

        bilby drops parameters that a source does not name, and ends in a KeyError where one that it names is missing. Its
        conversion makes magnitudes and tilts of `chi_1` and `chi_2`, but not the other way round: so these are what is named.
        """
        along = _along_orbit(a_1, tilt_1), _along_orbit(a_2, tilt_2)
        if None in along:
            raise ConfigError(
                f"a_1 = {a_1}, tilt_1 = {tilt_1}, a_2 = {a_2}, tilt_2 = {tilt_2}: {self.model.name} knows spins along the orbital "
                "angular momentum alone, and these have components in the orbital plane: take a precessing model, such as 'nrphm'"
            )
        parameters = {
            "mass_1": mass_1,
            "mass_2": mass_2,
            "chi_1": along[0],
            "chi_2": along[1],
            "luminosity_distance": luminosity_distance,
            "theta_jn": theta_jn,
            "phase": phase,
        }
        return self._answer(frequency_array, parameters, waveform_arguments)


class PrecessingBilbySource(_Source):
    """A waveform model of any spins called as bilby calls its source models; pickled with the model, for bilby's pools.

    Parameters
    ----------
    model : WaveformModel
    """

    def frequency_domain_source(
        self,
        frequency_array: np.ndarray,
        mass_1: float,
        mass_2: float,
        luminosity_distance: float,
        a_1: float,
        tilt_1: float,
        phi_12: float,
        a_2: float,
        tilt_2: float,
        phi_jl: float,
        theta_jn: float,
        phase: float,
        **waveform_arguments: Any,
    ) -> dict[str, np.ndarray] | None:
        """Plus and cross polarization (n_f,), 1/Hz, at the frequencies (n_f,) Hz, or None: see `source_model`."""
        parameters = {
            "mass_1": mass_1,
            "mass_2": mass_2,
            "luminosity_distance": luminosity_distance,
            "a_1": a_1,
            "tilt_1": tilt_1,
            "phi_12": phi_12,
            "a_2": a_2,
            "tilt_2": tilt_2,
            "phi_jl": phi_jl,
            "theta_jn": theta_jn,
            "phase": phase,
        }
        return self._answer(frequency_array, parameters, waveform_arguments)

    def _transforms(self, p: dict[str, float], grid: Grid, arguments: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        f_ref = positive(arguments.get("reference_frequency", F_REF), "reference_frequency", "Hz")
        if (wanted := arguments.get("mode_array")) is not None:
            self._summing(wanted)
        if not isinstance(self.model, PrecessingSurrogate):
            self._require_reference(f_ref, grid.f_min, "spins")
            return transforms(self.model, p, grid)
        if not p["mass_1"] >= p["mass_2"] > 0:
            raise DomainError(
                f"mass_1 = {p['mass_1']:g}, mass_2 = {p['mass_2']:g}: give the heavier first, and its spin, both above zero"
            )
        binary = binary_of(p, self.model.space)
        (iota,), (spin_1,), (spin_2,) = spins_in_orbit(binary, np.array([p["theta_jn"]]), f_ref, p["phase"])
        return self.model.frequency_domain_polarizations(
            **{name: p[name] for name in ("mass_1", "mass_2", "luminosity_distance", "phase")},
            inclination=iota,
            spin_1=spin_1,
            spin_2=spin_2,
            f_ref=f_ref,
            **grid._asdict(),
        )


def source_model(model: WaveformModel) -> Callable[..., dict[str, np.ndarray] | None]:
    """Function for ``bilby.gw.WaveformGenerator(frequency_domain_source_model=...)``, with all the modes of the model.

    The generator's ``waveform_arguments`` may hold `minimum_frequency` (Hz, default 20) and `maximum_frequency` (Hz), outside which
    all is zero, `catch_waveform_errors` (default False: binaries beyond the model end the run; True: they have likelihood 0, as
    with bilby's own models), `mode_array` for a surrogate of aligned spins, whose `phase` belongs to its peak, and for a precessing
    model `reference_frequency` (Hz, default 50 as in bilby), to which spins, `theta_jn` and `phase` belong. The `phase` of other
    models of aligned spins belongs to `minimum_frequency`: they refuse another reference. Others are refused. Use
    `bilby.gw.conversion.convert_to_lal_binary_black_hole_parameters` as its parameter conversion to sample in chirp
    mass and mass ratio. bilby's phase marginalization holds for the (2,2) mode alone: not with a model of several.

    Parameters
    ----------
    model : WaveformModel
        a surrogate, a model of LALSimulation or your own

    Returns
    -------
    callable
        of (frequency_array, mass_1, mass_2, luminosity_distance, a_1, tilt_1, a_2, tilt_2, theta_jn, phase), the tilts 0 or pi:
        bilby's conversion makes them of `chi_1` and `chi_2`; of a precessing model of
        (frequency_array, mass_1, mass_2, luminosity_distance, a_1, tilt_1, phi_12, a_2, tilt_2, phi_jl, theta_jn, phase), giving
        {"plus", "cross"}; it can be pickled, as a pool of processes asks for

    Examples
    --------
    >>> from gwsurrogate_ml.waveform.lal import LalModel
    >>> h = source_model(LalModel())(np.arange(0, 1025) * 1.0, 36.0, 29.0, 400.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    >>> bool(np.allclose(h["cross"], -1j * h["plus"]))
    True
    """
    # Methods, since bilby reads the parameters' names from functions and methods alone, and a closure cannot be pickled.
    source = BilbySource if model.space == ALIGNED else PrecessingBilbySource
    return source(model).frequency_domain_source
