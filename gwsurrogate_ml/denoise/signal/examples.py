"""Training examples of the signal autoencoder: whitened noise, real or Gaussian, with a waveform, a glitch or nothing in it.

Batch k of a seed is the same in every run. Everything is made on the denoiser's frequencies and turned into series at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.denoise.signal import glitches
from gwsurrogate_ml.denoise.signal.segment import DURATION, SEARCH, Segment, frequencies, to_series
from gwsurrogate_ml.denoise.signal.settings import DataSettings

CURVES = (
    "aLIGO_early_asd.txt",
    "aLIGO_early_high_asd.txt",
    "aLIGO_mid_asd.txt",
    "aLIGO_late_asd.txt",
    "aLIGO_ZERO_DET_high_P_asd.txt",
    "aLIGO_O4_high_asd.txt",
    "AdV_asd.txt",
)
"""Noise curves of bilby, between which random PSDs are drawn."""
INSIDE = 0.1
"""A signal's presence is judged where its peak lies at least this far from the ends of the window, s."""
OUTSIDE = 0.35
"""How far from the search interval the peak of a signal outside it lies at most, s."""
GLITCH_SNR = (6.0, 60.0)
POOL, GLITCHES = 1000, 424242
"""Number of glitches made in advance, and their seed."""


class Spectra(NamedTuple):
    """Whitened segments on the denoiser's frequencies.

    Parameters
    ----------
    data, signal : (n, n_f) complex128
    snr, time : (n,), of the signal, 0 without one; of whatever is in the noise, s in the segment
    glitch : (n,) bool, whether there is something in it that is not to be recovered
    psd : (n, n_f) float64, of the noise, up to a factor
    """

    data: np.ndarray
    signal: np.ndarray
    snr: np.ndarray
    time: np.ndarray
    glitch: np.ndarray
    psd: np.ndarray


class Batch(NamedTuple):
    """Examples, one a row.

    Parameters
    ----------
    white, signal : (n, n_samples) float32, noise has unit variance
    present : (n,) float32, 1 where a signal's peak lies in the window, else 0
    judged : (n,) float32, 0 where presence is a matter of taste: the peak at an end of the window or beyond
    snr : (n,) float64, of the whole signal; 0 without one
    projection : (n, n_samples) float32, what a bank makes of the data; None where the network is not guided
    """

    white: np.ndarray
    signal: np.ndarray
    present: np.ndarray
    judged: np.ndarray
    snr: np.ndarray
    projection: np.ndarray | None = None


def random_psds(n: int, rng: np.random.Generator) -> np.ndarray:
    """PSDs (n, n_f) on the denoiser's frequencies, of order one: mixtures of design curves, bent, louder at low frequencies."""
    from gwsurrogate_ml.strain.spectrum import load_psd

    f = frequencies()
    curves = np.array([np.interp(np.log(f), np.log(g), np.log(psd)) for g, psd in map(load_psd, CURVES)])
    pair = rng.integers(0, len(curves), (n, 2))
    mix = rng.random((n, 1))
    log_psd = mix * curves[pair[:, 0]] + (1.0 - mix) * curves[pair[:, 1]]
    x = np.log(f / f[0]) / np.log(f[-1] / f[0])
    bend = np.cumsum(rng.normal(0.0, 0.5, (n, 6)), axis=1)
    log_psd += np.array([np.interp(x, np.linspace(0, 1, 6), row - row.mean()) for row in bend])
    log_psd += rng.exponential(0.7, (n, 1)) * np.clip(1.0 - (f - f[0]) / 36.0, 0.0, 1.0)
    return np.exp(log_psd - log_psd.min(axis=1, keepdims=True))


class Examples:
    """An endless supply of batches.

    Parameters
    ----------
    waveforms : (n, n_f) complex64, on the denoiser's frequencies, peak at t = 0
    psds : (k, n_f), of the Gaussian noise
    real : sequence of Segment
        whitened stretches of real noise without signals; may be empty
    settings : DataSettings
        of which the window, the shares of kinds of examples, and the kinds of glitches count
    rate : float, Hz, of the series
    """

    def __init__(
        self,
        waveforms: np.ndarray,
        psds: np.ndarray,
        real: Sequence[Segment],
        settings: DataSettings,
        rate: float = 2048.0,
    ) -> None:
        self.waveforms, self.psds, self.real = waveforms, psds, list(real)
        self.settings, self.rate = settings, rate
        self.real_fraction = settings.real_fraction if self.real else 0.0
        rng, kinds = np.random.default_rng(GLITCHES), settings.glitches
        self.glitches = [glitches.spectrum(kind, frequencies(), rng) for kind in kinds for _ in range(POOL // len(kinds))]

    def spectra(self, n: int, rng: np.random.Generator, snr: tuple[float, float], rows: tuple[int, int] | None = None) -> Spectra:
        """`n` segments with noise and at most one thing in it."""
        f = frequencies()
        data = np.empty((n, f.size), np.complex128)
        signal, psds = np.zeros_like(data), np.empty((n, f.size))
        snrs, times, glitch = np.zeros(n), rng.uniform(*SEARCH, n), np.zeros(n, bool)
        low, high = rows or (0, len(self.waveforms))
        for i in range(n):
            if rng.random() < self.real_fraction:
                segment = self.real[int(rng.integers(len(self.real)))]
                noise, psd = segment.white, segment.psd
                # Noise run backwards, or upside down, is noise as well.
                noise = (np.conj(noise) if rng.random() < 0.5 else noise) * rng.choice([-1.0, 1.0])
            else:
                psd = self.psds[int(rng.integers(len(self.psds)))]
                noise = (rng.standard_normal(f.size) + 1j * rng.standard_normal(f.size)) * np.sqrt(0.25 * DURATION)
            data[i], psds[i] = noise, psd
            what = rng.random()
            if what < self.settings.noise_fraction:
                continue
            turn = np.exp(-2j * np.pi * f * times[i] + 2j * np.pi * rng.random())
            if what < self.settings.noise_fraction + self.settings.glitch_fraction:
                h = self.glitches[int(rng.integers(len(self.glitches)))]
                data[i] += _scaled(h, _log_uniform(rng, GLITCH_SNR)) * turn
                glitch[i] = True
                continue
            size, h = _log_uniform(rng, snr), self.waveforms[int(rng.integers(low, high))] / np.sqrt(psd)
            if self.settings.outside_fraction and rng.random() < self.settings.outside_fraction:
                late = rng.random() < 0.5
                shift = SEARCH[late] - times[i] + (OUTSIDE if late else -OUTSIDE) * rng.uniform(0.1, 1.0)
                data[i] += _scaled(h, size) * turn * np.exp(-2j * np.pi * f * shift)
                glitch[i] = True
                continue
            snrs[i], signal[i] = size, _scaled(h, size) * turn
            data[i] += signal[i]
        return Spectra(data, signal, snrs, times, glitch, psds)

    def batch(self, n: int, rng: np.random.Generator, snr: tuple[float, float], rows: tuple[int, int] | None = None) -> Batch:
        """`n` examples, signals log-uniform in SNR; `rows` bounds the waveforms that may occur."""
        return self.cut(self.spectra(n, rng, snr, rows), rng)

    def cut(self, drawn: Spectra, rng: np.random.Generator, projection: np.ndarray | None = None) -> Batch:
        """Windows of segments (n, n_f), each begun at random, and of projections (n, n_f) where there are any."""
        n, snrs, times = len(drawn.data), drawn.snr, drawn.time
        spectra = [drawn.data, drawn.signal] + ([] if projection is None else [projection])
        series = to_series(np.concatenate(spectra), self.rate).astype(np.float32)
        size, whole = round(self.settings.window * self.rate), round(DURATION * self.rate)
        first = rng.integers(0, whole - size + 1, n)
        take = first[:, None] + np.arange(size)
        begin = first / self.rate
        inside = (times > begin + INSIDE) & (times < begin + self.settings.window - INSIDE)
        return Batch(
            np.take_along_axis(series[:n], take, axis=1),
            np.take_along_axis(series[n : 2 * n], take, axis=1),
            ((snrs > 0) & inside).astype(np.float32),
            ((snrs == 0) | inside).astype(np.float32),
            snrs,
            None if projection is None else np.take_along_axis(series[2 * n :], take, axis=1),
        )


def _scaled(h: np.ndarray, snr: float) -> np.ndarray:
    return np.asarray(h * (snr / np.sqrt(4.0 / DURATION * np.sum(np.abs(h) ** 2))))


def _log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]))))


def components(
    waveforms: np.ndarray, psds: np.ndarray, n: int, length: int, hop: int, ahead: int, rate: float, seed: int
) -> np.ndarray:
    """Principal components (n, length) float32 of whitened signals whose peak lies in a frame, of unit norm.

    Parameters
    ----------
    waveforms, psds : (n_w, n_f), (n_p, n_f)
    n : int, of components
    length, hop, ahead : int, samples, of a filter, between frames, and beyond the frame's end
    rate : float, Hz
    seed : int
    """
    rng, f, many = np.random.default_rng(seed), frequencies(), min(3000, 20 * len(waveforms))
    h = waveforms[rng.integers(0, len(waveforms), many)] / np.sqrt(psds[rng.integers(0, len(psds), many)])
    end = round(3.0 * rate)
    times = (end - ahead - hop * rng.random((many, 1))) / rate
    h = h * np.exp(-2j * np.pi * f * times + 2j * np.pi * rng.random((many, 1)))
    series = to_series(h, rate)[:, end - length : end]
    series /= np.linalg.norm(series, axis=1, keepdims=True)
    return np.linalg.svd(series, full_matrices=False)[2][:n].astype(np.float32)
