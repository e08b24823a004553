"""A surrogate as bilby's frequency-domain source model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.likelihood import WaveformModel

_NAMES = ("mass_1", "mass_2", "chi_1", "chi_2", "luminosity_distance", "theta_jn", "phase")


def source_model(model: WaveformModel) -> Callable[..., dict[str, np.ndarray]]:
    """Function for ``bilby.gw.WaveformGenerator(frequency_domain_source_model=...)``.

    The generator's ``waveform_arguments`` may hold `minimum_frequency` (Hz, default 20). Use
    `bilby.gw.conversion.convert_to_lal_binary_black_hole_parameters` as its parameter conversion to sample in chirp
    mass and mass ratio.

    Parameters
    ----------
    model : WaveformModel
        a surrogate, or anything with its `frequency_domain`

    Returns
    -------
    callable
        of (frequency_array, mass_1, mass_2, chi_1, chi_2, luminosity_distance, theta_jn, phase), giving {"plus",
        "cross"}

    Examples
    --------
    >>> from gwsurrogate_ml.inference.lal_model import LalModel
    >>> h = source_model(LalModel())(np.arange(0, 1025) * 1.0, 36.0, 29.0, 0.0, 0.0, 400.0, 0.0, 0.0)
    >>> bool(np.allclose(h["cross"], -1j * h["plus"]))
    True
    """

    def frequency_domain_source(
        frequency_array: np.ndarray,
        mass_1: float,
        mass_2: float,
        chi_1: float,
        chi_2: float,
        luminosity_distance: float,
        theta_jn: float,
        phase: float,
        **waveform_arguments: object,
    ) -> dict[str, np.ndarray]:
        step = frequency_array[1] - frequency_array[0]
        h = model.frequency_domain(
            np.array([mass_1]),
            np.array([mass_2]),
            np.array([chi_1]),
            np.array([chi_2]),
            duration=round(1 / step, 9),
            sampling_frequency=2 * float(frequency_array[-1]),
            f_min=float(waveform_arguments.get("minimum_frequency", 20.0)),  # type: ignore[arg-type]
        )[0]
        if len(h) != len(frequency_array):
            raise ConfigError(
                f"the model gives {len(h)} frequencies, bilby asks for {len(frequency_array)}: use a regular array from 0"
            )
        turned = h * (np.exp(2j * phase) / luminosity_distance)
        c = np.cos(theta_jn)
        return {"plus": (1 + c**2) / 2 * turned, "cross": -1j * c * turned}

    return frequency_domain_source
