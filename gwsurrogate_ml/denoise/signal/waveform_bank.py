"""A bank of waveforms kept as splines of log-amplitude and phase in log-frequency: small on disk, exact on any grid.

Built from any waveform model; used by the signal denoiser as the waveforms that a signal may have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.waveform.model import Grid, WaveformModel

F_MIN, F_MAX, N_NODES = 24.0, 700.0, 112
"""Band (Hz) and number of spline nodes."""
DURATION, RATE = 16.0, 2048.0
"""Segment (s) and sampling rate (Hz) of the model's waveforms."""
STARTS, RISE = (20.0, 25.0, 30.0, 36.0), 4.0
"""Starting frequencies (Hz): a binary gets the first that the model reaches; its waveform rises over the next RISE Hz."""
CENTRE = 2.0
"""The phase is unwrapped about this time before the peak (s), where the low frequencies of light binaries lie."""
FAINT = 12.0
"""Below exp(-FAINT) of its maximum a waveform's phase is not followed, but continued."""


@dataclass(frozen=True)
class Bank:
    """Waveforms with their peak at t = 0.

    Parameters
    ----------
    parameters : (n, 4) float64, mass_1, mass_2 (Msun, detector frame), chi_1, chi_2
    log_amplitude, phase : (n, N_NODES) float64, at `nodes`; overall scale and phase are of no account
    start : (n,) float64, Hz
        where the model's waveform starts; nothing is known below
    """

    parameters: np.ndarray
    log_amplitude: np.ndarray
    phase: np.ndarray
    start: np.ndarray

    def evaluate(self, frequencies: np.ndarray) -> np.ndarray:
        """Waveforms (n, n_f) complex64 at frequencies within the band, of order one at their strongest.

        Raises
        ------
        ConfigError
            if a frequency lies outside the band
        """
        from scipy.interpolate import CubicSpline

        f = np.asarray(frequencies, np.float64)
        if f.min() < F_MIN - 1e-9 or f.max() > F_MAX + 1e-9:
            raise ConfigError(f"the bank covers {F_MIN:g} to {F_MAX:g} Hz, not {f.min():g} to {f.max():g} Hz")
        x = np.log(nodes())
        out = np.empty((len(self.parameters), f.size), np.complex64)
        for first in range(0, len(out), 256):  # float64 phases in blocks that fit into memory
            part = slice(first, first + 256)
            amplitude = CubicSpline(x, self.log_amplitude[part], axis=1)(np.log(f))
            angle = CubicSpline(x, self.phase[part], axis=1)(np.log(f))
            rise = np.clip((f - self.start[part, None]) / RISE, 0.0, 1.0)
            out[part] = np.exp(amplitude + 1j * angle) * (0.5 - 0.5 * np.cos(np.pi * rise))
        return out

    def tensors(self) -> dict[str, np.ndarray]:
        """What is kept on disk, in half precision: the smooth part of the phases as coefficients, so that little remains."""
        basis = _smooth()
        coefficients = (self.phase @ basis).astype(np.float32)
        return {
            "parameters": self.parameters.astype(np.float32),
            "log_amplitude": self.log_amplitude.astype(np.float16),
            "phase_smooth": coefficients,
            "phase_rest": (self.phase - coefficients @ basis.T).astype(np.float16),
            "start": self.start.astype(np.float32),
        }

    @classmethod
    def of(cls, tensors: Mapping[str, np.ndarray]) -> Bank:
        """From what `tensors` gave.

        Raises
        ------
        ConfigError
            if something is missing
        """
        missing = {"parameters", "log_amplitude", "phase_smooth", "phase_rest", "start"} - set(tensors)
        if missing:
            raise ConfigError(f"the bank lacks {sorted(missing)}: it was written by another version, build it again")
        wide = {key: value.astype(np.float64) for key, value in tensors.items()}
        phase = wide["phase_smooth"] @ _smooth().T + wide["phase_rest"]
        return cls(wide["parameters"], wide["log_amplitude"], phase, wide["start"])


def _smooth() -> np.ndarray:
    """Orthonormal functions (N_NODES, 9) of the nodes: an inspiral's post-Newtonian powers, phase, time and what bends slowly."""
    f = nodes() / 100.0
    powers = (-5 / 3, -1.0, -2 / 3, -1 / 3, 0.0, 1 / 3, 1.0, 5 / 3, 7 / 3)
    return np.linalg.qr(np.stack([f**p for p in powers], axis=1))[0]


def nodes() -> np.ndarray:
    """Frequencies (N_NODES,) of the spline nodes, Hz."""
    return np.geomspace(F_MIN, F_MAX, N_NODES)


def draw_parameters(n: int, seed: int, mass: tuple[float, float] = (10.0, 80.0), chi: float = 0.8) -> np.ndarray:
    """Parameters (n, 4) of a bank: denser towards light binaries, whose many cycles tell them apart.

    Half of the binaries are uniform in chirp mass to the power -5/3 (the phase of an inspiral), half uniform in both masses.

    Examples
    --------
    >>> p = draw_parameters(100, 0)
    >>> bool(np.all((p[:, 0] >= p[:, 1]) & (p[:, 1] >= 10) & (p[:, 0] <= 80)))
    True
    """
    rng = np.random.default_rng(seed)
    q_max = mass[1] / mass[0]
    kept: list[np.ndarray] = []
    light = n // 2
    ends = np.array([(m * 0.25**0.6 * 2.0) ** (-5 / 3) for m in mass])
    while sum(map(len, kept)) < light:
        chirp = rng.uniform(ends[1], ends[0], n) ** (-3 / 5)
        q = np.exp(rng.uniform(0.0, np.log(min(q_max, 6.0)), n))
        m_1 = chirp * q**0.4 * (1.0 + q) ** 0.2
        pair = np.stack([m_1, m_1 / q], axis=1)
        kept.append(pair[(pair[:, 1] >= mass[0]) & (pair[:, 0] <= mass[1])])
    pairs = np.concatenate(kept)[:light]
    pairs = np.concatenate([pairs, np.sort(rng.uniform(*mass, (n - light, 2)), axis=1)[:, ::-1]])
    common, difference = rng.uniform(-chi, chi, n), rng.uniform(-0.3, 0.3, n)
    spins = np.stack([common + 0.5 * difference, common - 0.5 * difference], axis=1)
    return np.concatenate([pairs, np.clip(spins, -chi, chi)], axis=1)


def build(
    model: WaveformModel,
    parameters: np.ndarray,
    progress: Callable[[str, int, int], None] | None = None,
    batch: int = 32,
) -> Bank:
    """A bank of `model`'s waveforms (WaveformModel), their (2, 2) mode."""
    amplitude, phase = np.empty((2, len(parameters), N_NODES))
    start = _starts(model, parameters)
    done = 0
    for f_low in np.unique(start):
        rows = np.flatnonzero(start == f_low)
        for first in range(0, rows.size, batch):
            some = rows[first : first + batch]
            h = model.quadrupole(Binaries.aligned(*parameters[some].T), Grid(DURATION, RATE, float(f_low)))
            amplitude[some], phase[some] = _at_nodes(h, float(f_low))
            done += some.size
            if progress:
                progress("building the bank", done, len(parameters))
    return Bank(parameters, amplitude, phase, start)


def _starts(model: WaveformModel, parameters: np.ndarray) -> np.ndarray:
    """Lowest of STARTS that the model reaches and a segment holds, (n,) Hz."""
    start = np.empty(len(parameters))
    for i, (m_1, m_2, chi_1, chi_2) in enumerate(parameters):
        smallest = float(np.max(model.total_mass_range(m_1 / m_2, chi_1, chi_2, STARTS[0])[0]))
        reached = [f for f in STARTS if 1.01 * smallest * STARTS[0] / f < m_1 + m_2]
        binary = {"mass_1": m_1, "mass_2": m_2, "chi_1": chi_1, "chi_2": chi_2}
        reached = [f for f in reached if model.time_before_peak(**binary, f_min=f) < DURATION - 1.0]
        if not reached:
            raise ConfigError(f"the model does not reach {STARTS[-1]:g} Hz for {m_1:g} + {m_2:g} Msun: raise the masses")
        start[i] = reached[0]
    return start


def _at_nodes(h: np.ndarray, f_low: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-amplitude and phase (n, N_NODES) of waveforms (n, n_f); below the start, continued in a straight line."""
    from scipy.interpolate import CubicSpline

    grid = np.arange(h.shape[1]) / DURATION
    # The start's taper ripples: nothing below the middle of the rise is taken from the model.
    use = (grid >= max(f_low + 0.5 * RISE, F_MIN - 1.0)) & (grid <= F_MAX + 1.0)
    f, x = grid[use], np.log(nodes())
    # The peak lies at t = 0, low frequencies up to seconds earlier: unwrap about the middle.
    turn = 2.0 * np.pi * f * CENTRE
    angle = np.unwrap(np.angle(h[:, use] * np.exp(-1j * turn)), axis=1) + turn
    level = np.log(np.maximum(np.abs(h[:, use]), 1e-300))
    level -= level.max(axis=1, keepdims=True)
    for row, values in zip(angle, level, strict=True):
        if (faint := np.flatnonzero(values < -FAINT)).size:
            row[faint[0] :] = row[faint[0]]
            values[faint[0] :] = -FAINT
    inside = x >= np.log(f[0])
    result = []
    for values in (level, angle):
        out = np.empty((len(h), x.size))
        out[:, inside] = CubicSpline(np.log(f), values, axis=1)(np.minimum(x[inside], np.log(f[-1])))
        slope = (out[:, inside][:, 1] - out[:, inside][:, 0]) / (x[inside][1] - x[inside][0])
        out[:, ~inside] = out[:, inside][:, :1] + slope[:, None] * (x[~inside] - x[inside][0])
        result.append(out)
    return result[0], result[1]
