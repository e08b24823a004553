"""Any frequency-domain approximant of LALSimulation with the interface of a surrogate, to compare with or to train
on.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DomainError


def require_approximant(name: str) -> int:
    """LALSimulation's number of an approximant.

    Raises
    ------
    ConfigError
        for a name LALSimulation does not know
    """
    import lalsimulation

    try:
        return int(lalsimulation.GetApproximantFromString(name))
    except RuntimeError as error:
        raise ConfigError(f"LALSimulation knows no approximant {name!r}") from error


class LalModel:
    """(2,2)-mode waveforms of a LAL frequency-domain approximant, called as `Surrogate.frequency_domain`.

    Parameters
    ----------
    approximant : str
        an aligned-spin (2,2)-only frequency-domain model, e.g. "IMRPhenomD" or "IMRPhenomXAS"

    Raises
    ------
    ConfigError
        for a name LALSimulation does not know, one it cannot make in the frequency domain, or one that has other modes than (2,2)
    """

    def __init__(self, approximant: str = "IMRPhenomD") -> None:
        self.name = approximant
        self._approximant = require_approximant(approximant)
        self._require_quadrupole()

    def _require_quadrupole(self) -> None:
        """Raise unless the waveform depends on the inclination as that of (2,2) does: h_plus as (1 + cos^2) / 2."""
        try:
            above, aside = (
                self._plus(30.0, 10.0, 0.0, 0.0, theta_jn, 0.25, 20.0, 256.0) for theta_jn in (0.0, np.pi / 3)
            )
        except RuntimeError as error:
            raise ConfigError(
                f"LALSimulation cannot make {self.name} in the frequency domain here ({error}): name another, such as IMRPhenomD"
            ) from error
        if np.linalg.norm(aside - 0.625 * above) > 1e-6 * np.linalg.norm(above):
            raise ConfigError(
                f"{self.name} does not depend on the inclination as the (2,2) mode alone does, for which the integral over "
                "orientation and phase holds: name a (2,2) model, such as IMRPhenomXAS; result.with_waveform takes models with all "
                "their modes"
            )

    def _plus(
        self, m1: float, m2: float, c1: float, c2: float, theta_jn: float, df: float, f_min: float, f_max: float
    ) -> np.ndarray:
        """h_plus(f) of LALSimulation from 0 to f_max (Hz) in steps of df, at 1 Mpc and phase 0; masses in Msun."""
        import lal
        import lalsimulation

        plus, _ = lalsimulation.SimInspiralChooseFDWaveform(
            m1 * lal.MSUN_SI, m2 * lal.MSUN_SI, 0.0, 0.0, c1, 0.0, 0.0, c2, 1e6 * lal.PC_SI, theta_jn, 0.0, 0.0, 0.0, 0.0,
            df, f_min, f_max, 0.0, None, self._approximant,
        )  # fmt: skip
        return np.asarray(plus.data.data)

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

        Raises
        ------
        DomainError
            a binary that LAL has no waveform for
        """
        n_f = round(duration * sampling_frequency / 2) + 1
        parameters = np.atleast_2d(np.column_stack([mass_1, mass_2, chi_1, chi_2]).astype(float))
        out = np.zeros((len(parameters), n_f), dtype=np.complex128)
        for row, (m1, m2, c1, c2) in zip(out, parameters, strict=True):
            try:
                plus = self._plus(m1, m2, c1, c2, 0.0, 1 / duration, f_min, sampling_frequency / 2)[:n_f]
            except RuntimeError as error:
                raise DomainError(
                    f"{self.name} has no waveform from f_min = {f_min:g} Hz for masses {m1:g} and {m2:g}, spins {c1:g} and {c2:g} "
                    f"(LAL: {error}): narrow the prior, lower f_min, or take another approximant"
                ) from error
            row[: plus.size] = plus
        return out
