"""Signals recovered from whitened strain: the posterior mean over a bank of waveforms, with its honest spread.

One attention layer in closed form: the waveforms of a surrogate at all times are keys and values, the whitened data the query,
and exp(|z|^2 / 2) with z the complex matched-filter SNR the weight, which is the likelihood maximised over amplitude
and phase. A temperature that grows with the SNR stands for the gaps between the bank's waveforms; it is the one number
that is calibrated. What no waveform of the bank explains stays in the residual, whose energy is the out-of-distribution score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.denoise import bank as banks
from gwsurrogate_ml.denoise.bank import Bank
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.strain.spectrum import PsdSource, load_psd

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

KIND, DEFAULT = "signal_denoiser", "bbh-signal"
DURATION = 4.0
"""Segment that is denoised at once, s."""
SEARCH = (1.9, 3.6)
"""Where in the segment a signal's peak is looked for, s: light binaries need what lies before, filters what lies after."""
TAPER = 0.2
"""Tukey taper at each end of a segment, s."""
F_HIGH = 480.0
"""Upper end of the band, Hz: beyond it the binaries in question have no signal to speak of."""
N_TIME = 2048
"""Times per segment in the first pass, in which all waveforms take part."""
N_BEST, FINE_HALF, FINE_STEP = 256, 4e-3, 0.25e-3
"""Waveforms in the second pass, and its times about each one's peak, s."""
AMPLITUDE_PRIOR = 15.0
"""Standard deviation of the complex amplitude in units of SNR; matters for the odds of a signal alone."""
OOD_WINDOW = 0.3
"""The out-of-distribution score is the largest residual energy in a window of this length, s."""
REFERENCE = "aLIGO_late_asd.txt"
"""Noise curve taken where the caller gives no PSD."""


@dataclass(frozen=True)
class Reconstruction:
    """What the denoiser says of one segment.

    Parameters
    ----------
    signal, sigma : (n,) float64, whitened; the posterior mean times the probability of a signal, and its standard deviation
    probability : float, that there is a signal of the bank's kind in the segment's search interval
    snr : float, of the best waveform
    time : float, s from the segment's start, of its peak
    log_bayes : float, signal against noise
    ood : float
        excess of the residual's energy in its loudest window, in standard deviations of Gaussian noise
    best : int, index of the best waveform
    """

    signal: np.ndarray
    sigma: np.ndarray
    probability: float
    snr: float
    time: float
    log_bayes: float
    ood: float
    best: int


class SignalDenoiser:
    """Recovers binary black-hole signals from whitened strain.

    Make one with `build` or `load_denoiser`; call it with whitened strain.

    Parameters
    ----------
    card : mapping
        with `temperature` (growth of the weights' temperature per squared SNR), `threshold` (log Bayes factor at which signal
        and noise are equally probable) and `ood_threshold`
    bank : Bank
    """

    def __init__(self, card: Mapping[str, Any], bank: Bank) -> None:
        self.card = dict(card)
        self.bank = bank
        self.frequencies = np.arange(round(banks.F_MIN * DURATION), round(F_HIGH * DURATION)) / DURATION
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
    ) -> SignalDenoiser:
        """A denoiser of `n` waveforms of `model` (anything with the surrogate's `frequency_domain`)."""
        bank = banks.build(model, banks.draw_parameters(n, seed), progress)
        card = {
            "name": name,
            "kind": KIND,
            "version": "1",
            "n_waveforms": n,
            "seed": seed,
            "temperature": temperature,
            "threshold": threshold,
            "ood_threshold": ood_threshold,
        }
        return cls(card, bank)

    def save(self, folder: str | Path) -> Path:
        """Write as a model folder; phases keep 1e-5 rad in float32."""
        tensors = {
            "parameters": self.bank.parameters,
            "log_amplitude": self.bank.log_amplitude.astype(np.float32),
            "phase": self.bank.phase.astype(np.float32),
            "start": self.bank.start,
        }
        return artifacts.save(Path(folder), self.card, tensors)

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
        """Denoise one segment.

        Parameters
        ----------
        white : (n_f,) complex128
            transform of the segment over sqrt(psd), on `frequencies`: noise has E|white|^2 = DURATION / 2
        psd : (n_f,) float64, one-sided, on `frequencies`, up to a factor
        sampling_frequency : float, Hz, of the series that come out
        seed : int, of the draws that give the spread
        n_draws : int
        """
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
        signal = self.series(mean[None], sampling_frequency)[0]
        spread = np.mean((self.series(draws, sampling_frequency) - signal) ** 2, axis=0)
        return Reconstruction(
            probability * signal,
            np.sqrt(probability * spread + probability * (1.0 - probability) * signal**2),
            probability,
            float(np.abs(fine[best])),
            float(times[best]),
            log_bayes,
            self._ood(white - probability * mean),
            int(order[best[0]]),
        )

    def denoise(
        self, white: TimeSeries, psd: PsdSource | None = None, seed: int = 0
    ) -> tuple[TimeSeries, TimeSeries, list[Reconstruction]]:
        """As a call, with the reconstruction of every segment."""
        values, rate, start = _checked(white)
        size, hop = round(DURATION * rate), round((SEARCH[1] - SEARCH[0]) * rate)
        grid = self._psd(psd)
        # Silence before and after lets signals near the ends be found too.
        before, after = round(SEARCH[0] * rate), size
        padded = np.concatenate([np.zeros(before), values, np.zeros(after)])
        signal, variance = np.zeros((2, padded.size))
        found = []
        for first in range(0, values.size, hop):
            piece = padded[first : first + size]
            r = self.reconstruct(self.transform(piece, rate), grid, rate, seed=seed)
            found.append(r)
            signal[first : first + size] += r.signal
            variance[first : first + size] += r.sigma**2
        keep = slice(before, before + values.size)
        label = f"{white.name or 'strain'} denoised by {self.card['name']} {self.card['version']}"
        out = []
        for array, what in ((signal, ""), (np.sqrt(variance), ", sigma")):
            from gwpy.timeseries import TimeSeries

            out.append(TimeSeries(array[keep], t0=start, sample_rate=rate, name=label + what))
        return out[0], out[1], found

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
        from scipy.signal.windows import tukey

        taper = tukey(piece.size, 2.0 * TAPER / DURATION)
        spectrum = fft.rfft(piece * taper) * np.sqrt(0.5 / sampling_frequency)
        first = round(self.frequencies[0] * DURATION)
        return np.asarray(spectrum[first : first + self.frequencies.size])

    def _psd(self, source: PsdSource | None) -> np.ndarray:
        f, psd = load_psd(REFERENCE if source is None else source)
        if f[-1] < self.frequencies[-1] or f[f > 0][0] > self.frequencies[0]:
            raise DataError(f"the PSD covers {f[0]:g} to {f[-1]:g} Hz: {banks.F_MIN:g} to {F_HIGH:g} Hz are needed")
        return np.interp(self.frequencies, f, psd)

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

    def series(self, spectra: np.ndarray, sampling_frequency: float) -> np.ndarray:
        """Whitened series (n, DURATION * rate) of spectra (n, n_f)."""
        size = round(DURATION * sampling_frequency)
        full = np.zeros((len(spectra), size // 2 + 1), np.complex128)
        first = round(self.frequencies[0] * DURATION)
        full[:, first : first + spectra.shape[1]] = spectra
        return fft.irfft(full, size) * np.sqrt(2.0 * sampling_frequency)

    def _ood(self, residual: np.ndarray) -> float:
        """Largest excess energy of the residual within OOD_WINDOW in the search interval, in standard deviations."""
        full = np.zeros(N_TIME, np.complex128)
        first = round(self.frequencies[0] * DURATION)
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
        raise DataError(
            f"{type(white).__name__} given: give one gwpy TimeSeries, such as data.whiten()['H1']"
        ) from error
    values = np.asarray(white.value, np.float64)
    if rate < 2.0 * F_HIGH or abs(rate - round(rate)) > 1e-6:
        raise DataError(f"the series is sampled at {rate:g} Hz: whole rates from {2 * F_HIGH:g} Hz are needed")
    if not np.isfinite(values).all():
        raise DataError("the whitened series has NaN or infinite samples: crop to a stretch without gaps")
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values)))) if values.size else 0.0
    if not 0.2 < spread < 5.0:
        raise DataError(f"the series has a spread of {spread:.2g}, not 1: whiten it first, for instance data.whiten()")
    return values, rate, start


def load_denoiser(name_or_path: str | Path = DEFAULT) -> SignalDenoiser:
    """The shipped signal denoiser, another by name, or one in a folder.

    Raises
    ------
    ArtifactError
        if there is none of that name, or it is damaged
    """
    card, tensors = artifacts.load(name_or_path, KIND)
    missing = {"parameters", "log_amplitude", "phase", "start"} - set(tensors)
    if missing:
        raise ConfigError(f"{name_or_path} lacks {sorted(missing)}: it was written by another version, build it again")
    wide = {key: value.astype(np.float64) for key, value in tensors.items()}
    return SignalDenoiser(card, Bank(wide["parameters"], wide["log_amplitude"], wide["phase"], wide["start"]))
