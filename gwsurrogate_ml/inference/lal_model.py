"""Any frequency-domain approximant of LALSimulation with the interface of a surrogate, to compare with or to train
on.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.errors import ConfigError


class LalModel:
    """(2,2)-mode waveforms of a LAL frequency-domain approximant, called as `Surrogate.frequency_domain`.

    Parameters
    ----------
    approximant : str
        an aligned-spin (2,2)-only frequency-domain model, e.g. "IMRPhenomD" or "IMRPhenomXAS"

    Raises
    ------
    ConfigError
        for a name LALSimulation does not know
    """

    def __init__(self, approximant: str = "IMRPhenomD") -> None:
        import lalsimulation

        self.name = approximant
        try:
            self._approximant = int(lalsimulation.GetApproximantFromString(approximant))
        except RuntimeError as error:
            raise ConfigError(f"LALSimulation knows no approximant {approximant!r}") from error

    def frequency_domain(
        self,
        mass_1: np.ndarray,
        mass_2: np.ndarray,
        chi_1: np.ndarray,
        chi_2: np.ndarray,
        *,
        duration: float,
        sampling_frequency: float,
        f_min: float,
    ) -> np.ndarray:
        """h_plus(f) at 1 Mpc, face-on, phase 0, merger at t = 0.

        Parameters
        ----------
        mass_1, mass_2 : (N,) solar masses, detector frame, ``mass_1 >= mass_2``
        chi_1, chi_2 : (N,) dimensionless spins along the orbital angular momentum
        duration : s; sampling_frequency, f_min : Hz

        Returns
        -------
        (N, duration * sampling_frequency / 2 + 1) complex128, 1/Hz
        """
        import lal
        import lalsimulation

        n_f = round(duration * sampling_frequency / 2) + 1
        parameters = np.atleast_2d(np.column_stack([mass_1, mass_2, chi_1, chi_2]).astype(float))
        out = np.zeros((len(parameters), n_f), dtype=np.complex128)
        for row, (m1, m2, c1, c2) in zip(out, parameters, strict=True):
            plus, _ = lalsimulation.SimInspiralChooseFDWaveform(
                m1 * lal.MSUN_SI, m2 * lal.MSUN_SI, 0.0, 0.0, c1, 0.0, 0.0, c2, 1e6 * lal.PC_SI, 0.0, 0.0, 0.0, 0.0, 0.0,
                1 / duration, f_min, sampling_frequency / 2, 0.0, None, self._approximant,
            )  # fmt: skip
            row[: plus.data.length] = plus.data.data[:n_f]
        return out
