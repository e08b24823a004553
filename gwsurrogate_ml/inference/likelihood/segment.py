"""The Whittle likelihood of signals in a segment, exact.

``log L - log L_noise = sum_d <d|h> - <h|h>/2`` with ``<a|b> = 4 df Re sum_k conj(a_k) b_k / S_k`` over bilby's
frequency mask: the likelihood of `bilby.gw.GravitationalWaveTransient` (2.6 and later: no window factor). All sums
are in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork, earth_direction
from gwsurrogate_ml.inference.likelihood.response import match_and_power
from gwsurrogate_ml.inference.likelihood.window import TimeWindow
from gwsurrogate_ml.waveform.model import Grid, WaveformModel

if TYPE_CHECKING:
    from gwsurrogate_ml.strain.segment import AnalysisSegment


class SegmentLikelihood:
    """Likelihood of a segment of strain.

    Parameters
    ----------
    segment : AnalysisSegment
    model : WaveformModel

    Raises
    ------
    DataError
        if the strain is not finite or no frequency is usable
    """

    def __init__(self, segment: AnalysisSegment, model: WaveformModel) -> None:
        self.segment, self.model, self.space = segment, model, model.space
        self.network = DetectorNetwork.of(tuple(segment.detectors))
        self.frequencies = np.asarray(segment.frequencies, dtype=np.float64)
        self.grid = Grid(segment.duration, 2 * float(self.frequencies[-1]), segment.f_min)
        usable = np.asarray(segment.mask, dtype=bool) & np.isfinite(segment.psd) & (np.asarray(segment.psd) > 0)
        self.weight = np.zeros(usable.shape)
        self.weight[usable] = 4 / segment.duration / np.asarray(segment.psd)[usable]
        self.band = np.flatnonzero(np.any(usable, axis=0))
        if not np.all(np.any(usable, axis=1)):
            lost = [name for name, row in zip(segment.detectors, usable, strict=True) if not row.any()]
            raise DataError(f"{lost[0]}: the PSD is usable at no frequency of the analysis band; give another PSD")
        self.strain = np.where(usable, segment.strain, 0.0).astype(np.complex128)
        if not np.all(np.isfinite(self.strain)):
            raise DataError("the strain of the segment is not finite inside the analysis band")
        self.log_noise_evidence = float(-0.5 * np.sum(self.weight * np.abs(self.strain) ** 2))

    def waveforms(self, theta: np.ndarray) -> np.ndarray:
        """Templates: face-on (2, 2) waveforms at 1 Mpc, their peak at t = 0: (N, n) of the model's space to (N, n_f) complex128."""
        return self.model.quadrupole(self.space.binaries(theta), self.grid)

    def power(self, waveforms: np.ndarray) -> np.ndarray:
        """<h|h> of face-on waveforms at 1 Mpc in each detector: (N, n_f) to (N, n_det)."""
        h = waveforms[:, self.band]
        return (h.real**2 + h.imag**2) @ self.weight[:, self.band].T

    def series(self, waveforms: np.ndarray, window: TimeWindow) -> np.ndarray:
        """z_d(t) = 4 df sum d conj(h) / S exp(2 pi i f t): (N, n_f) to (N, n_det, window.size), exactly at the
        window's times.
        """
        h = np.conj(waveforms[:, self.band])
        turns = np.exp(2j * np.pi * np.outer(self.frequencies[self.band], window.times))
        return np.stack([h @ ((w * d)[self.band, None] * turns) for w, d in zip(self.weight, self.strain, strict=True)], 1)

    def log_likelihood_ratio(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Log likelihood less that of noise, for N draws of all parameters: the model's space and `conventions.EXTRINSIC`.

        Parameters
        ----------
        parameters : mapping of (N,) arrays (bilby's names and units)

        Returns
        -------
        (N,) float64
        """
        return self.log_ratio_and_power(parameters)[0]

    def log_ratio_and_power(self, parameters: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """As `log_likelihood_ratio`, and <h|h> of the network, each (N,) float64."""
        both, (f_plus, f_cross), times = self._placed(parameters)
        match, power = np.zeros(len(both)), np.zeros(len(both))
        band, df = (int(self.band[0]), int(self.band[-1]) + 1), 1 / self.segment.duration
        match_and_power(both, f_plus, f_cross, times, band, df, self.weight * self.strain, self.weight, match, power)
        return match - 0.5 * power, power

    def signals(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Strain (N, n_det, n_f) complex128 in 1/Hz of N draws of all parameters, all modes of the model, as bilby's
        `get_detector_response`.
        """
        both, (f_plus, f_cross), times = self._placed(parameters)
        turns = np.exp(-2j * np.pi * times[:, :, None] * self.frequencies)
        return (f_plus[:, :, None] * both[:, None, 0] + f_cross[:, :, None] * both[:, None, 1]) * turns

    def _placed(self, parameters: Mapping[str, np.ndarray]) -> tuple[np.ndarray, tuple[np.ndarray, ...], np.ndarray]:
        """Polarizations (N, 2, n_f); antenna patterns, plus and cross, and arrival times in s from the segment's start, (N, n_det)
        each."""
        given = {key: np.atleast_1d(np.asarray(value, dtype=np.float64)) for key, value in parameters.items()}
        if len(lengths := {len(x) for x in given.values()} - {1}) > 1:
            of_each = ", ".join(f"{key} {len(x)}" for key, x in given.items())
            raise ConfigError(f"parameters of different numbers of draws: {of_each}; give one number for each draw")
        p = {key: np.broadcast_to(x, max(lengths, default=1)) for key, x in given.items()}
        direction = earth_direction(p["ra"], p["dec"], p["geocent_time"])
        times = (p["geocent_time"] - self.segment.start_time)[:, None] + self.network.delays(direction)
        place = (p["theta_jn"], p["phase"], p["luminosity_distance"])
        both = self.model.transforms(self.space.binaries(self.space.theta(p)), self.grid, *place)
        if both.shape != (wanted := (len(times), 2, len(self.frequencies))):
            raise ConfigError(
                f"the transforms of the model {self.model.name} have the shape {both.shape} where they must have {wanted}: "
                "binaries, plus and cross, the grid's frequencies from 0 on; mend the model"
            )
        return np.ascontiguousarray(both, np.complex128), self.network.patterns(direction, p["psi"]), times
