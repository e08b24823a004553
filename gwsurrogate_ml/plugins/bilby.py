"""A surrogate as bilby's frequency-domain source model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.waveform.model import Grid, WaveformModel, transforms


class BilbySource:
    """A waveform model called as bilby calls its source models; pickled with the model, for bilby's pools.

    Parameters
    ----------
    model : WaveformModel
    """

    def __init__(self, model: WaveformModel) -> None:
        self.model = model

    def frequency_domain_source(
        self,
        frequency_array: np.ndarray,
        mass_1: float,
        mass_2: float,
        chi_1: float,
        chi_2: float,
        luminosity_distance: float,
        theta_jn: float,
        phase: float,
        **waveform_arguments: object,
    ) -> dict[str, np.ndarray] | None:
        """Plus and cross polarization (n_f,), 1/Hz, at the frequencies (n_f,) Hz, or None: see `source_model`."""
        parameters = {
            "mass_1": mass_1,
            "mass_2": mass_2,
            "chi_1": chi_1,
            "chi_2": chi_2,
            "luminosity_distance": luminosity_distance,
            "theta_jn": theta_jn,
            "phase": phase,
        }
        try:
            grid = Grid(
                round(1 / float(frequency_array[1] - frequency_array[0]), 9),
                2 * float(frequency_array[-1]),
                float(waveform_arguments.get("minimum_frequency", 20.0)),  # type: ignore[arg-type]
            )
            plus, cross = transforms(self.model, parameters, grid)
        except DomainError:
            if waveform_arguments.get("catch_waveform_errors"):
                return None
            raise
        if len(plus) != len(frequency_array):
            raise ConfigError(
                f"the model gives {len(plus)} frequencies, bilby asks for {len(frequency_array)}: use a regular array from 0"
            )
        return {"plus": plus, "cross": cross}


def source_model(model: WaveformModel) -> Callable[..., dict[str, np.ndarray] | None]:
    """Function for ``bilby.gw.WaveformGenerator(frequency_domain_source_model=...)``, with all the modes of the model.

    The generator's ``waveform_arguments`` may hold `minimum_frequency` (Hz, default 20) and `catch_waveform_errors` (default False:
    binaries beyond the model end the run; True: they have likelihood 0, as with bilby's own models). Use
    `bilby.gw.conversion.convert_to_lal_binary_black_hole_parameters` as its parameter conversion to sample in chirp
    mass and mass ratio. bilby's phase marginalization holds for the (2,2) mode alone: not with a model of several.

    Parameters
    ----------
    model : WaveformModel
        a surrogate, a model of LALSimulation or your own

    Returns
    -------
    callable
        of (frequency_array, mass_1, mass_2, chi_1, chi_2, luminosity_distance, theta_jn, phase), giving {"plus",
        "cross"}; it can be pickled, as a pool of processes asks for

    Examples
    --------
    >>> from gwsurrogate_ml.waveform.lal import LalModel
    >>> h = source_model(LalModel())(np.arange(0, 1025) * 1.0, 36.0, 29.0, 0.0, 0.0, 400.0, 0.0, 0.0)
    >>> bool(np.allclose(h["cross"], -1j * h["plus"]))
    True
    """
    # A method, since bilby reads the parameters' names from functions and methods alone, and a closure cannot be pickled.
    return BilbySource(model).frequency_domain_source
