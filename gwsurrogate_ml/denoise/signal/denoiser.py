"""Signals recovered from whitened strain: what every signal denoiser does, and what it says of a segment.

Two kinds ship: the posterior mean over a bank of waveforms (`bank_denoiser`), and a learned autoencoder (`autoencoder`). Both find
a binary's waveform, its standard deviation, the probability that there is one, and how much is left that no binary explains.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.denoise.signal import segment_stream
from gwsurrogate_ml.denoise.signal.segment import (
    DURATION,
    F_HIGH,
    F_LOW,
    SEARCH,
    Reconstruction,
    frequencies,
    require_rate,
    to_series,
    to_spectrum,
)
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.strain.spectrum import PsdSource, load_psd

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

KIND, DEFAULT = "signal_denoiser", "bbh-signal"
N_TIME = 2048
"""Times per segment at which waveforms are first tried, and the residual is looked at."""
OOD_WINDOW = 0.3
"""The out-of-distribution score is the largest residual energy in a window of this length, s."""
REFERENCE = "aLIGO_late_asd.txt"
"""Noise curve taken where the caller gives no PSD."""


class SignalDenoiser(ABC):
    """Recovers binary black-hole signals from whitened strain; get one from `load_denoiser`, call it with whitened strain.

    Parameters
    ----------
    card : mapping
        with `threshold` (of log_bayes, at which signal and noise are equally probable), `ood_threshold` and, where there is a
        latent score, `latent_threshold`
    """

    def __init__(self, card: Mapping[str, Any]) -> None:
        artifacts.require(card, threshold=(int, float), ood_threshold=(int, float))
        self.card = dict(card)
        self.frequencies = frequencies()

    @abstractmethod
    def reconstruct(
        self, white: np.ndarray, psd: np.ndarray, sampling_frequency: float, *, seed: int = 0, n_draws: int = 200
    ) -> Reconstruction:
        """Denoise one segment.

        Parameters
        ----------
        white : (n_f,) complex128
            transform of the segment over sqrt(psd), on `frequencies`: noise has E|white|^2 = DURATION / 2
        psd : (n_f,) float64, one-sided, on `frequencies`, up to a factor
        sampling_frequency : float, Hz, of the series that come out
        seed : int, of the draws that give the spread, where it comes from draws
        n_draws : int
        """

    @abstractmethod
    def save(self, folder: str | Path) -> Path:
        """Write as a model folder."""

    def flags(self, result: Reconstruction) -> bool:
        """Whether something is in the segment that the denoiser does not know: a glitch, or a signal of another kind."""
        return bool(not result.ood <= self.card["ood_threshold"] or result.ood_latent > self.card.get("latent_threshold", np.inf))

    def denoise(
        self, white: TimeSeries, psd: PsdSource | None = None, seed: int = 0
    ) -> tuple[TimeSeries, TimeSeries, list[Reconstruction]]:
        """As a call, with the reconstruction of every segment."""
        from gwpy.timeseries import TimeSeries

        values, rate, start = _checked(white)
        _, frame = segment_stream.step(self, segment_stream.start(self, start, rate, psd), values, end=True, seed=seed)
        label = f"{white.name or 'strain'} denoised by {self.card['name']} {self.card['version']}"
        signal = TimeSeries(frame.signal, t0=start, sample_rate=rate, name=label)
        return signal, TimeSeries(frame.sigma, t0=start, sample_rate=rate, name=f"{label}, sigma"), list(frame.found)

    def __call__(self, white: TimeSeries, psd: PsdSource | None = None, seed: int = 0) -> tuple[TimeSeries, TimeSeries]:
        """Signal and its standard deviation from whitened strain.

        Parameters
        ----------
        white : gwpy TimeSeries
            whitened to unit variance, as `StrainData.whiten` gives it; at least 960 Hz, no gaps
        psd : source, optional
            the PSD it was whitened with (see `strain.spectrum.load_psd`): waveforms are whitened with it. A design curve by
            default, which costs some of the overlap where the detector's noise was another
        seed : int, of the draws behind sigma

        Returns
        -------
        signal, sigma : gwpy TimeSeries, whitened, as long as `white`

        Raises
        ------
        DataError
            if there are gaps, or the rate is too low, or the series is not whitened
        """
        signal, sigma, _ = self.denoise(white, psd, seed)
        return signal, sigma

    def transform(self, piece: np.ndarray, sampling_frequency: float) -> np.ndarray:
        """Transform (n_f,) of a whitened segment (DURATION s) on `frequencies`, tapered at both ends."""
        return to_spectrum(piece, sampling_frequency)

    def series(self, spectra: np.ndarray, sampling_frequency: float) -> np.ndarray:
        """Whitened series (n, DURATION * rate) of spectra (n, n_f)."""
        return to_series(spectra, sampling_frequency)

    def _psd(self, source: PsdSource | None) -> np.ndarray:
        f, psd = load_psd(REFERENCE if source is None else source)
        if f[-1] < self.frequencies[-1] or f[f > 0][0] > self.frequencies[0]:
            raise DataError(f"the PSD covers {f[0]:g} to {f[-1]:g} Hz: {F_LOW:g} to {F_HIGH:g} Hz are needed")
        return np.interp(self.frequencies, f, psd)


def residual_excess(residual: np.ndarray) -> float:
    """Largest excess energy of a residual (n_f,) within OOD_WINDOW in the search interval, in standard deviations of noise."""
    full = np.zeros(N_TIME, np.complex128)
    first = round(F_LOW * DURATION)
    full[first : first + residual.size] = residual
    energy = np.abs(fft.ifft(full) * N_TIME) ** 2
    # In noise the analytic series has mean energy n_f DURATION / 2, and as many degrees of freedom as 2 B T.
    energy /= 0.5 * DURATION * residual.size
    length = round(OOD_WINDOW * N_TIME / DURATION)
    sums = np.convolve(energy, np.ones(length) / length, "same")
    low, high = (round(t * N_TIME / DURATION) for t in SEARCH)
    bandwidth = residual.size / DURATION
    return float((sums[low:high].max() - 1.0) * np.sqrt(bandwidth * OOD_WINDOW))


def _checked(white: TimeSeries) -> tuple[np.ndarray, float, float]:
    try:
        rate, start = float(white.sample_rate.value), float(white.t0.value)
    except AttributeError as error:
        raise DataError(f"{type(white).__name__} given: give one gwpy TimeSeries, such as data.whiten()['H1']") from error
    values = np.asarray(white.value, np.float64)
    require_rate(rate, "the series")
    if not np.isfinite(values).all():
        raise DataError("the whitened series has NaN or infinite samples: crop to a stretch without gaps")
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values)))) if values.size else 0.0
    if not 0.2 < spread < 5.0:
        raise DataError(f"the series has a spread of {spread:.2g}, not 1: whiten it first, for instance data.whiten()")
    return values, rate, start
