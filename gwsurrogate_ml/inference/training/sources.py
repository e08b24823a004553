"""What signals are made of: binaries of the prior, and their waveforms aligned with a reference.

Of aligned spins and (2, 2) alone one waveform is enough, that of the binary seen face-on: orientation and phase are a complex
factor. Of all other models the inclination belongs to the binary, its two polarizations are kept at an orbital phase drawn for it,
and polarisation angle and antenna patterns are two real factors.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.conventions import component_masses
from gwsurrogate_ml.inference.config import EstimatorConfig
from gwsurrogate_ml.inference.likelihood.alignment import ALIGNMENT_BAND, align, alignment
from gwsurrogate_ml.inference.likelihood.detectors import amplitudes
from gwsurrogate_ml.inference.prior.binary import in_space
from gwsurrogate_ml.inference.prior.inclined import proposed
from gwsurrogate_ml.inference.psds import reference_psd
from gwsurrogate_ml.waveform.model import Grid, WaveformModel

_REACH, _STEP = 16e-3, 2.5e-4
"""Seconds by which a signal may lie off the template of its own binary, and the step of the series in which it is looked for."""


def band_frequencies(config: EstimatorConfig) -> tuple[np.ndarray, np.ndarray]:
    """Indices and frequencies (Hz) of the analysis band on the segment's grid."""
    segment = config.segment
    f = np.arange(round(segment.f_max * segment.duration) + 1) / segment.duration
    index = np.flatnonzero(f >= segment.f_min)
    return index, f[index]


class Sources:
    """Binaries and waveforms of an estimator in training.

    Parameters
    ----------
    config : EstimatorConfig
    model : WaveformModel

    Attributes
    ----------
    prior : Prior
        of the model's parameters
    proposed : Proposed
        of what the network proposes: these, and the inclination where it is not integrated
    parts : int
        waveforms kept of each binary, P: one, or two polarizations
    reference : (n_b,) complex128, 1/Hz
        waveform that all are aligned with
    """

    def __init__(self, config: EstimatorConfig, model: WaveformModel) -> None:
        self.config, self.model = config, model
        self.prior = in_space(config.prior, model.space)
        self.proposed = proposed(self.prior, model, config.segment.f_min)
        self.parts = 1 if model.quadrupole_only else 2
        segment = config.segment
        self._grid = Grid(segment.duration, 2 * segment.f_max, segment.f_min)
        self._band, self.frequencies = band_frequencies(config)
        self.reference = self._face_on(self.prior.reference())[0]

    @property
    def dimension(self) -> int:
        """Number of parameters that the network proposes."""
        return len(self.proposed.names)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Binaries (n, n_z) of the prior."""
        return self.proposed.from_normal(rng.normal(size=(n, self.dimension)))

    def _face_on(self, theta: np.ndarray) -> np.ndarray:
        binaries = self.model.space.binaries(theta[:, : self.model.space.dimension])
        return self.model.quadrupole(binaries, self._grid)[:, self._band]

    def templates(self, theta: np.ndarray) -> np.ndarray:
        """What the search takes for binaries (N, n_z): face-on (2, 2) waveforms (N, n_b) complex128, 1/Hz, aligned."""
        return align(self._face_on(theta), self.reference, self.frequencies)

    def waveforms(self, theta: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """Waveforms (N, P, n_b) complex128, 1/Hz at 1 Mpc, of binaries (N, n_z), aligned as the search aligns data; orbital
        phases (N,) in rad count where there are two."""
        if self.parts == 1:
            return self.templates(theta)[:, None]
        n = len(theta)
        binaries = self.model.space.binaries(theta[:, :-1])
        h = self.model.transforms(binaries, self._grid, theta[:, -1], phase, np.ones(n))[:, :, self._band]
        plain = self._face_on(theta)
        delay, _ = alignment(plain, self.reference, self.frequencies)
        delay = delay + self._later(plain, h)
        return h * np.exp(2j * np.pi * self.frequencies * delay[:, None])[:, None]

    def _later(self, plain: np.ndarray, h: np.ndarray) -> np.ndarray:
        """By how much (s) both polarizations (N, 2, n_b) together arrive after the binaries' own templates (N, n_b)."""
        low = self.frequencies <= ALIGNMENT_BAND
        f = self.frequencies[low]
        times = np.arange(-_REACH, _REACH + 0.5 * _STEP, _STEP)
        turns = np.exp(2j * np.pi * np.outer(f, times)) / reference_psd(f)[:, None]
        rho = np.sum(np.abs((h[:, :, low] * np.conj(plain[:, None, low])) @ turns) ** 2, axis=1)
        return times[np.argmax(rho, axis=1)]

    def mixes(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Factors (n, P) with which a detector may see the parts of n binaries, norm 1."""
        if self.parts == 1:
            return np.ones((n, 1))
        angle = rng.uniform(0, np.pi, n)
        return np.column_stack([np.cos(angle), np.sin(angle)])

    def seen(self, f_plus: np.ndarray, f_cross: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Factors (n, D, P) with which detectors of antenna patterns (n, D) see the parts, up to what `turned` adds."""
        if self.parts == 1:
            return amplitudes(f_plus, f_cross, rng.uniform(-1, 1, len(f_plus)))[:, :, None]
        return np.stack([f_plus, f_cross], axis=2)

    def phases(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Orbital phases (n,) in rad of waveforms that are not kept at one alone."""
        return np.zeros(n) if self.parts == 1 else rng.uniform(0, 2 * np.pi, n)

    def turned(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Factors (n,) of the orbital phase, where waveforms are kept at one alone."""
        return np.exp(2j * np.pi * rng.random(n)) if self.parts == 1 else np.ones(n)

    def gauge(self, theta: np.ndarray) -> np.ndarray:
        """Log chirp mass, mass ratio and effective spin (N, 3) of binaries (N, n_z)."""
        binaries = self.model.space.binaries(theta[:, : self.model.space.dimension])
        mass_1, mass_2 = component_masses(theta[:, 0], theta[:, 1])
        effective = (mass_1 * binaries.spin_1[:, 2] + mass_2 * binaries.spin_2[:, 2]) / (mass_1 + mass_2)
        return np.column_stack([np.log(theta[:, 0]), theta[:, 1], effective])

    @property
    def gauge_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest values (3,) of `gauge`."""
        prior = self.config.prior
        low, high = np.transpose([prior.chirp_mass, prior.mass_ratio, prior.chi])
        low[0], high[0] = np.log([low[0], high[0]])
        return low, high
