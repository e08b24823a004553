"""The learned signal denoiser: a convolutional autoencoder on whitened strain, with its own sigma and two scores of strangeness.

The network (`network`) gives mean and sigma of a signal at every sample, and the logit of a peak in every frame; where it is
guided, it starts from the posterior mean over a bank of waveforms (`projection`). What it leaves of the data is the first
out-of-distribution score. The second is the distance of its inner representation where the data are loudest from those of
signals and noise in training, in the principal components of the latter.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.denoise.signal.denoiser import SignalDenoiser, residual_excess
from gwsurrogate_ml.denoise.signal.network import RATE, Autoencoder
from gwsurrogate_ml.denoise.signal.projection import Families, Projection, of_bank, project
from gwsurrogate_ml.denoise.signal.segment import DURATION, SEARCH, Reconstruction, peak_time, to_series
from gwsurrogate_ml.denoise.signal.settings import NetworkSettings
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import fft

NEIGHBOURS = 5
"""The latent score is the distance to the so-many-th nearest of the reference points."""
LOUD = 0.0625
"""The data's loudest moment is looked for in windows of this length, s."""


class AutoencoderDenoiser(SignalDenoiser):
    """Recovers signals as the network learned them; make one with `gwsml train denoiser` or `load_denoiser`.

    Parameters
    ----------
    card : mapping
        as `SignalDenoiser`, with `network` (its sizes), `sigma_scale` (pairs of an SNR and the calibrated factor on sigma there)
        and, for a guided network, `projection` (bank, its checksum, temperature and best)
    network : Autoencoder
    reference : Reference, optional
        inner representations of signals and noise
    families : Families, optional
        of the bank's waveforms, for a guided network
    """

    def __init__(
        self,
        card: Mapping[str, Any],
        network: Autoencoder,
        reference: Reference | None = None,
        families: Families | None = None,
    ) -> None:
        super().__init__(card)
        self.network = network.eval()
        self.reference, self.families = reference, families

    @cached_property
    def layer(self) -> Projection | None:
        """The projection that guides the network, made when it is first needed; None where there is none."""
        if self.families is None:
            return None
        how = self.card["projection"]
        waveforms, _ = of_bank(how["bank"], how["bank_sha256"])
        return Projection(waveforms, self.families.family, self.families.heads, how["temperature"], how["best"])

    def save(self, folder: str | Path) -> Path:
        """Write as a model folder, weights as float16: a relative 5e-4, far below what noise does."""
        tensors = {f"network.{key}": value.half().numpy() for key, value in self.network.state_dict().items()}
        if self.reference is not None:
            tensors |= {f"reference.{key}": value.astype(np.float16) for key, value in vars(self.reference).items()}
        if self.families is not None:
            tensors |= {f"families.{key}": value.astype(np.int32) for key, value in self.families._asdict().items()}
        return artifacts.save(Path(folder), self.card, tensors)

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> AutoencoderDenoiser:
        """From what `save` wrote.

        Raises
        ------
        ConfigError
            if sizes and weights do not fit one another
        """
        families = _part(tensors, "families")
        network = Autoencoder(**NetworkSettings.model_validate(card["network"]).model_dump(), guided=bool(families))
        weights = {key: torch.from_numpy(value).float() for key, value in _part(tensors, "network").items()}
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ConfigError(f"the weights do not fit the network of the card: {error}; train it again") from error
        stored = _part(tensors, "reference")
        reference = Reference(**{key: value.astype(np.float32) for key, value in stored.items()}) if stored else None
        return cls(card, network, reference, Families(**families) if families else None)

    def reconstruct(
        self, white: np.ndarray, psd: np.ndarray, sampling_frequency: float, *, seed: int = 0, n_draws: int = 200
    ) -> Reconstruction:
        """Denoise one segment; as `SignalDenoiser.reconstruct`.

        `seed` and `n_draws` are of no account here, as sigma is the network's own; `psd` is used by a guided network alone.
        """
        x = self._inputs(white, psd)
        mean, spread, logits, latents = self._look(x)
        frames = slice(*(round(t * RATE / self.network.hop) for t in SEARCH))
        logit = float(np.mean(np.logaddexp.reduce(logits[:, frames], axis=1)))
        probability = float(1.0 / (1.0 + np.exp(-np.clip(logit - self.card["threshold"], -500, 500))))
        spectrum = self._band(mean)
        norm = np.sqrt(4.0 / DURATION * np.sum(np.abs(spectrum) ** 2))
        along = 4.0 / DURATION * np.sum(np.conj(spectrum) * white).real / max(float(norm), 1e-30)
        signal = to_series(spectrum[None], sampling_frequency)[0]
        sigma = spread * self.sigma_scale(float(along))
        # Unit variance means that amplitudes go with the square root of the rate.
        t = np.arange(signal.size) / sampling_frequency
        own = np.interp(t, np.arange(sigma.size) / RATE, sigma) * np.sqrt(RATE / sampling_frequency)
        if not (np.isfinite(along) and np.isfinite(probability) and np.isfinite(own).all()):
            raise DataError("the segment or its PSD is not finite, or far too loud: whiten the strain, and give the PSD used")
        latent = float("nan")
        if self.reference is not None:
            latent = self.reference.distance(latents[:, self._loudest(x[0])])
        return Reconstruction(
            probability * signal,
            np.sqrt(probability * own**2 + probability * (1.0 - probability) * signal**2),
            probability,
            float(along),
            peak_time(signal, sampling_frequency),
            logit,
            residual_excess(white - probability * spectrum),
            ood_latent=latent,
        )

    def sigma_scale(self, snr: float) -> float:
        """Calibrated factor on the network's sigma for a signal that is found with this SNR."""
        snrs, factors = np.array(self.card["sigma_scale"]).T
        return float(np.interp(np.log(max(snr, 1.0)), np.log(snrs), factors))

    def latent(self, white: np.ndarray, psd: np.ndarray) -> np.ndarray:
        """Inner representation (width,) of a segment (n_f,) where it is loudest."""
        x = self._inputs(white, psd)
        with torch.inference_mode():
            out = self.network(*(torch.from_numpy(row[None]) for row in x))
        return np.asarray(out.latent[0].numpy()[:, self._loudest(x[0])])

    def _inputs(self, white: np.ndarray, psd: np.ndarray) -> np.ndarray:
        """What the network is shown (1 or 2, n) float32: the series of a segment (n_f,), and that of its projection."""
        rows = [white] if self.layer is None else [white, project(self.layer, white, psd)]
        return to_series(np.stack(rows), RATE).astype(np.float32)

    def _look(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Signal and sigma (n,), presence (4, frames) and latent (width, frames) of inputs (k, n), seen in four ways.

        Upside down and half a frame later a signal is as good a signal: the mean of the four errs less than each.
        """
        half = self.network.hop // 2
        later = np.roll(x, half, axis=1)
        views = np.stack([x, -x, later, -later], axis=1)
        with torch.inference_mode():
            out = self.network(*(torch.from_numpy(rows) for rows in views))
        signal, sigma = out.signal.double().numpy(), out.sigma.double().numpy()
        signal = signal * np.array([[1.0], [-1.0], [1.0], [-1.0]])
        signal[2:], sigma[2:] = np.roll(signal[2:], -half, axis=1), np.roll(sigma[2:], -half, axis=1)
        return signal.mean(axis=0), sigma.mean(axis=0), out.presence.double().numpy(), out.latent[0].numpy()

    def _band(self, series: np.ndarray) -> np.ndarray:
        """Spectrum (n_f,) of a series (n,) at RATE; what lies outside the band is dropped."""
        first = round(self.frequencies[0] * DURATION)
        return np.asarray(fft.rfft(series)[first : first + self.frequencies.size] / np.sqrt(2.0 * RATE))

    def _loudest(self, series: np.ndarray) -> int:
        """Frame of the loudest moment in the search interval."""
        length, hop = round(LOUD * RATE), self.network.hop
        energy = np.convolve(series.astype(np.float64) ** 2, np.ones(length), "same")
        first, last = (round(t * RATE) for t in SEARCH)
        return int((first + np.argmax(energy[first:last])) // hop)


class Reference:
    """Inner representations to compare with, in their principal components.

    Parameters
    ----------
    mean : (width,); axes : (width, k), scaled to unit variance; points : (n, k)
    """

    def __init__(self, mean: np.ndarray, axes: np.ndarray, points: np.ndarray) -> None:
        self.mean, self.axes, self.points = mean, axes, points

    @classmethod
    def of(cls, latents: np.ndarray, k: int) -> Reference:
        """From latents (n, width) of signals and noise: their first `k` components.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> reference = Reference.of(rng.normal(size=(200, 6)), 4)
        >>> bool(reference.distance(np.full(6, 50.0)) > reference.distance(rng.normal(size=6)))
        True
        """
        x = _compressed(latents)
        mean = x.mean(axis=0)
        _, size, axes = np.linalg.svd(x - mean, full_matrices=False)
        axes = axes[:k].T / (size[:k] / np.sqrt(len(x)))
        return cls(mean, axes, (x - mean) @ axes)

    def distance(self, latent: np.ndarray) -> float:
        """Distance of a latent (width,) to the NEIGHBOURS-th nearest point, per dimension."""
        x = (_compressed(latent) - self.mean) @ self.axes
        square = np.sum((self.points - x) ** 2, axis=1)
        return float(np.sqrt(np.partition(square, NEIGHBOURS - 1)[NEIGHBOURS - 1] / x.size))


def _compressed(x: np.ndarray) -> np.ndarray:
    """Loud signals reach far: logarithms bring them near."""
    return np.asarray(np.sign(x) * np.log1p(np.abs(x)))


def _part(tensors: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
