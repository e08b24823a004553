"""The posterior mean over a bank of waveforms, with its honest spread.

One attention layer in closed form: the waveforms of a surrogate at all times are keys and values, the whitened data the query,
and exp(|z|^2 / 2) with z the complex matched-filter SNR the weight, which is the likelihood maximised over amplitude
and phase. A temperature that grows with the SNR stands for the gaps between the bank's waveforms; it is the one number
that is calibrated. What no waveform of the bank explains stays in the residual, whose energy is the out-of-distribution score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.denoise.signal import waveform_bank as banks
from gwsurrogate_ml.denoise.signal.denoiser import (
    DEFAULT,
    KIND,
    N_TIME,
    SignalDenoiser,
    residual_excess,
)
from gwsurrogate_ml.denoise.signal.segment import DURATION, SEARCH, Reconstruction
from gwsurrogate_ml.denoise.signal.waveform_bank import Bank
from gwsurrogate_ml.kernels import fft

N_BEST, FINE_HALF, FINE_STEP = 256, 4e-3, 0.25e-3
"""Waveforms in the second pass, and its times about each one's peak, s."""
EDGE, BEYOND, LOUDER = 0.1, 0.35, 1.1
"""What peaks this near (s) to an end of the search interval is left to the next segment if it is so much louder within BEYOND
outside. Of what is as loud on either side both segments report, and the stream takes one: tapers differ, and both might refuse."""
AMPLITUDE_PRIOR = 15.0
"""Standard deviation of the complex amplitude in units of SNR; matters for the odds of a signal alone."""


class BankDenoiser(SignalDenoiser):
    """Recovers the signals of a bank of waveforms; make one with `build` or `load_denoiser`.

    Parameters
    ----------
    card : mapping
        as `SignalDenoiser`, with `temperature` (growth of the weights' temperature per squared SNR)
    bank : Bank
    """

    def __init__(self, card: Mapping[str, Any], bank: Bank) -> None:
        super().__init__(card)
        self.bank = bank
        self._waveforms: np.ndarray | None = None
        self._white: tuple[bytes, np.ndarray] | None = None

    @classmethod
    def build(
        cls,
        model: Any,
        n: int = 3000,
        seed: int = 0,
        *,
        name: str = DEFAULT,
        temperature: float = 0.01,
        threshold: float = 8.0,
        ood_threshold: float = 8.0,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> BankDenoiser:
        """A denoiser of `n` waveforms of `model`, a WaveformModel."""
        bank = banks.build(model, banks.draw_parameters(n, seed), progress)
        card = {
            "name": name,
            "kind": KIND,
            "method": "bank",
            "version": "1",
            "n_waveforms": n,
            "seed": seed,
            "temperature": temperature,
            "threshold": threshold,
            "ood_threshold": ood_threshold,
        }
        return cls(card, bank)

    def save(self, folder: str | Path) -> Path:
        """Write as a model folder."""
        return artifacts.save(Path(folder), self.card, self.bank.tensors())

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> BankDenoiser:
        """From what `save` wrote."""
        return cls(card, Bank.of(tensors))

    def whitened_bank(self, psd: np.ndarray) -> np.ndarray:
        """Waveforms (n, n_f) complex64 over sqrt(psd), of unit norm 4 df sum |w|^2; kept for the PSD last used."""
        key = psd.tobytes()
        if self._white is None or self._white[0] != key:
            if self._waveforms is None:
                self._waveforms = self.bank.evaluate(self.frequencies)
            scaled = (np.sqrt(np.min(psd)) / np.sqrt(psd)).astype(np.float32)
            white = self._waveforms * scaled
            white /= np.sqrt(4.0 / DURATION * np.sum(np.abs(white) ** 2, axis=1))[:, None]
            self._white = (key, white)
        return self._white[1]

    def reconstruct(
        self, white: np.ndarray, psd: np.ndarray, sampling_frequency: float, *, seed: int = 0, n_draws: int = 200
    ) -> Reconstruction:
        """Denoise one segment; see `SignalDenoiser.reconstruct`."""
        bank = self.whitened_bank(psd)
        z = self._filter(bank, white)
        first, last = (round(t * N_TIME / DURATION) for t in SEARCH)
        power = z[:, first:last].real ** 2 + z[:, first:last].imag ** 2
        peak = power.max(axis=1)
        snr = float(np.sqrt(peak.max()))
        log_bayes = self._log_bayes(power)
        heat = 1.0 + self.card["temperature"] * snr**2
        order = np.argsort(peak)[::-1][:N_BEST]
        order = order[peak[order] > snr**2 - 2.0 * heat * 12.0]
        at = (first + power[order].argmax(axis=1)) * DURATION / N_TIME
        fine, times = self._refine(bank[order], white, at)
        best = np.unravel_index(np.argmax(np.abs(fine)), fine.shape)
        weight = np.exp((np.abs(fine) ** 2 - np.abs(fine[best]) ** 2) / (2.0 * heat))
        weight /= weight.sum()
        mean = self._mean(bank[order], fine * weight, at)
        draws = self._draw(bank[order], fine, weight, times, np.random.default_rng(seed), n_draws)
        probability = float(1.0 / (1.0 + np.exp(-np.clip(log_bayes - self.card["threshold"], -500, 500))))
        if _elsewhere(z, float(times[best]), snr):
            probability = 0.0  # or both segments would report it
        signal = self.series(mean[None], sampling_frequency)[0]
        spread = np.mean((self.series(draws, sampling_frequency) - signal) ** 2, axis=0)
        return Reconstruction(
            probability * signal,
            np.sqrt(probability * spread + probability * (1.0 - probability) * signal**2),
            probability,
            float(np.abs(fine[best])),
            float(times[best]),
            log_bayes,
            residual_excess(white - probability * mean),
            int(order[best[0]]),
        )

    def _filter(self, bank: np.ndarray, white: np.ndarray) -> np.ndarray:
        """Complex SNR (n, N_TIME) complex64 of all waveforms."""
        first = round(self.frequencies[0] * DURATION)
        out = np.empty((len(bank), N_TIME), np.complex64)
        data = white.astype(np.complex64)
        for row in range(0, len(bank), 128):  # blocks that stay near the cache
            part = bank[row : row + 128]
            full = np.zeros((len(part), N_TIME), np.complex64)
            full[:, first : first + white.size] = np.conj(part) * data
            out[row : row + 128] = fft.ifft(full)
        out *= np.float32(4.0 / DURATION * N_TIME)
        return out

    def _log_bayes(self, power: np.ndarray) -> float:
        """Log Bayes factor of a waveform of the bank with Gaussian amplitude in the search interval, against noise."""
        variance = AMPLITUDE_PRIOR**2
        exponent = 0.5 * power.astype(np.float64) * variance / (1.0 + variance)
        top = exponent.max()
        return float(top + np.log(np.mean(np.exp(exponent - top))) - np.log1p(variance))

    def _steps(self) -> np.ndarray:
        half = round(FINE_HALF / FINE_STEP)
        return FINE_STEP * np.arange(-half, half + 1)

    def _refine(self, bank: np.ndarray, white: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Complex SNR (k, n_steps) at fine times about `at` (k,), and those times."""
        steps, f = self._steps(), self.frequencies
        shifted = np.conj(bank) * white * np.exp(2j * np.pi * f * at[:, None])
        return 4.0 / DURATION * shifted @ np.exp(2j * np.pi * np.outer(f, steps)), at[:, None] + steps

    def _mean(self, bank: np.ndarray, amplitude: np.ndarray, at: np.ndarray) -> np.ndarray:
        f = self.frequencies
        shifts = amplitude @ np.exp(-2j * np.pi * np.outer(self._steps(), f))
        return np.asarray(np.sum(shifts * bank * np.exp(-2j * np.pi * f * at[:, None]), axis=0))

    def _draw(
        self,
        bank: np.ndarray,
        z: np.ndarray,
        weight: np.ndarray,
        times: np.ndarray,
        rng: np.random.Generator,
        n: int,
    ) -> np.ndarray:
        """Posterior draws (n, n_f): waveform and time by weight, amplitude and phase about the filter's."""
        chosen = rng.choice(weight.size, n, p=weight.ravel())
        amplitude = z.ravel()[chosen] + (rng.standard_normal((2, n)).T @ np.array([1.0, 1j]))
        shift = np.exp(-2j * np.pi * self.frequencies * times.ravel()[chosen][:, None])
        return np.asarray(amplitude[:, None] * bank[chosen // z.shape[1]] * shift)


def _elsewhere(z: np.ndarray, time: float, snr: float) -> bool:
    """Whether what the complex SNRs (n, N_TIME) find at `time` (s) is clearly louder beyond the end of the search interval."""
    for end, side in zip(SEARCH, (-1, 1), strict=True):
        if abs(time - end) < EDGE:
            beyond = slice(*sorted(round(t * N_TIME / DURATION) for t in (end, end + side * BEYOND)))
            return bool(np.abs(z[:, beyond]).max() > LOUDER * snr)
    return False
