"""Millions of simulated observations, on the fly, as the network sees them.

Binaries come from a bank of compressed waveforms (`basis`), sensitivities from an ensemble (`psds`), orientation and
sky from their priors; the projected noise is exactly N(0, 1). Signals are drawn as the prior has them at given
signal-to-noise ratio: with density ~ R^3, R the distance at which the signal has unit signal-to-noise ratio, because
volume grows as distance cubed; the ratio itself is drawn log-uniformly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from gwsurrogate_ml.conventions import component_masses
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference import basis as compression
from gwsurrogate_ml.inference.config import EstimatorConfig
from gwsurrogate_ml.inference.geometry import Network, amplitudes
from gwsurrogate_ml.inference.likelihood import WaveformModel
from gwsurrogate_ml.inference.psds import band_ratios, random_psd

BANDWIDTH = 60.0
"""Effective bandwidth in Hz: arrival times are measured to 1 / (2 pi BANDWIDTH rho)."""
_CHUNK = 500
_ORIENTATIONS = 300_000


def reference_binary(config: EstimatorConfig) -> np.ndarray:
    """Parameters (1, 4) of the waveform others are aligned with: geometric mean chirp mass, mild mass ratio, no
    spins.
    """
    low, high = config.prior.chirp_mass
    return np.array([[np.sqrt(low * high), np.clip(0.8, *config.prior.mass_ratio), 0.0, 0.0]])


def band_frequencies(config: EstimatorConfig) -> tuple[np.ndarray, np.ndarray]:
    """Indices and frequencies (Hz) of the analysis band on the segment's grid."""
    segment = config.segment
    f = np.arange(round(segment.f_max * segment.duration) + 1) / segment.duration
    index = np.flatnonzero(f >= segment.f_min)
    return index, f[index]


def face_on(model: WaveformModel, theta: np.ndarray, config: EstimatorConfig) -> np.ndarray:
    """Waveforms (N, n_b) in the analysis band for parameters (N, 4)."""
    segment = config.segment
    mass_1, mass_2 = component_masses(theta[:, 0], theta[:, 1])
    h = model.frequency_domain(
        mass_1,
        mass_2,
        theta[:, 2],
        theta[:, 3],
        duration=segment.duration,
        sampling_frequency=2 * segment.f_max,
        f_min=segment.f_min,
    )
    return h[:, band_frequencies(config)[0]]


def build_bank(
    model: WaveformModel,
    config: EstimatorConfig,
    rng: np.random.Generator,
    progress: Callable[[str, int, int], None] | None = None,
) -> compression.CompressedBank:
    """Draw binaries from the prior, compute, align and compress their waveforms.

    Raises
    ------
    ConfigError
        if the basis holds less than 99.99 % of the whitened power: it would be lost silently otherwise
    """
    size, df = config.simulator.bank_size, 1 / config.segment.duration
    _, frequencies = band_frequencies(config)
    reference = face_on(model, reference_binary(config), config)[0]
    theta = config.prior.sample_intrinsic(size, rng)
    n_examples = min(2500, size)
    examples = np.concatenate(
        [
            compression.align(face_on(model, theta[i : i + _CHUNK], config), reference, frequencies)
            for i in range(0, n_examples, _CHUNK)
        ]
    )[:n_examples]
    vectors, tones = compression.build_basis(examples, frequencies, df, config.simulator.basis_size, rng)
    whitening = compression.whitening_curve(frequencies, df)
    coefficients = np.empty((size, len(tones)), dtype=np.complex64)
    lost = np.empty(size)
    for start in range(0, size, _CHUNK):
        part = slice(start, min(start + _CHUNK, size))
        white = compression.align(face_on(model, theta[part], config), reference, frequencies) * whitening
        projected = white @ np.conj(vectors)
        lost[part] = 1 - np.sum(np.abs(projected) ** 2, axis=1) / np.sum(np.abs(white) ** 2, axis=1)
        coefficients[part] = projected
        if progress:
            progress("bank", part.stop, size)
    if lost.mean() > 1e-4:
        raise ConfigError(
            f"the basis of the bank loses {lost.mean():.1e} of the whitened power: raise simulator.basis_size"
        )
    return compression.CompressedBank(
        theta, coefficients, vectors, whitening, tones, frequencies, reference, 1 - float(lost.mean())
    )


@dataclass(frozen=True)
class Batch:
    """Simulated observations: normal-score parameters (n, 4), features (n, F), optimal network SNR (n,), row of the
    bank (n,).
    """

    z: torch.Tensor
    features: torch.Tensor
    snr: torch.Tensor
    index: torch.Tensor


def n_features(config: EstimatorConfig) -> int:
    """Length of the network's input."""
    from gwsurrogate_ml.inference.psds import BAND_EDGES

    return 2 * (2 * config.simulator.network_basis_size + 1 + len(BAND_EDGES) - 1) + 1


def features(projected: torch.Tensor, rotation: torch.Tensor, delay: torch.Tensor, bands: torch.Tensor) -> torch.Tensor:
    """The network's input: coefficients with the phase rotated out, their norms, the measured delay, the sensitivities.

    Parameters
    ----------
    projected : (n, 2, K) complex, projections of the whitened, aligned data of each detector
    rotation : (n, 2, K) complex, projections of the reference waveform whitened by the same PSDs
    delay : (n,) arrival in the first less the second detector, in units of 10 ms
    bands : (n, 2, n_bands), `psds.band_ratios`

    Returns
    -------
    (n, F) float32
    """
    phase = torch.sum(torch.conj(rotation) * projected, dim=-1, keepdim=True)
    turned = projected * torch.conj(phase) / torch.clamp(torch.abs(phase), min=1e-20)
    norm = torch.sqrt(torch.sum(torch.abs(projected) ** 2, dim=-1))
    parts = [
        turned.real.flatten(1),
        turned.imag.flatten(1),
        10 * torch.log(norm),
        delay[:, None],
        10 * bands.flatten(1),
    ]
    return torch.cat(parts, dim=1).to(torch.float32) / 10


class Simulator:
    """Draws batches of observations; everything random comes from the generators given.

    Parameters
    ----------
    config : EstimatorConfig
    bank : CompressedBank
    rng : numpy Generator
        for the PSDs and the network's basis
    holdout : int
        last rows of the bank that are only drawn for validation
    """

    def __init__(
        self, config: EstimatorConfig, bank: compression.CompressedBank, rng: np.random.Generator, holdout: int = 0
    ) -> None:
        self.config, self.bank, self.holdout = config, bank, holdout
        df, f = 1 / config.segment.duration, bank.frequencies
        psds = np.array([random_psd(f, rng) for _ in range(config.simulator.psds)])
        self.basis, held = compression.network_basis(bank, psds, df, config.simulator.network_basis_size, rng)
        self.captured = float(np.median(held))
        if self.captured < 0.95:
            raise ConfigError(
                f"the network's basis holds only {self.captured:.3f} of the power of the whitened waveforms: "
                "raise simulator.network_basis_size"
            )
        projectors = np.array([bank.projector(psd, self.basis, df) for psd in psds])
        reference = np.array([np.conj(self.basis).T @ (np.sqrt(4 * df / psd) * bank.reference) for psd in psds])
        self.projectors = torch.from_numpy(projectors.astype(np.complex64))
        self.reference = torch.from_numpy((reference / np.linalg.norm(reference, axis=1)[:, None]).astype(np.complex64))
        self.bands = torch.from_numpy(band_ratios(psds, f).astype(np.float32))
        self.coefficients = torch.from_numpy(bank.coefficients)
        self.tones = torch.from_numpy(bank.tones.astype(np.float32))
        self.z = torch.from_numpy(config.prior.to_normal(bank.theta).astype(np.float32))
        # sigma of every waveform under every PSD, in the network's basis (which holds nearly all of it)
        self.sigma = torch.stack([torch.linalg.vector_norm(self.coefficients @ p.T, dim=1) for p in self.projectors])
        self._amplitude, self._lag = self._orientations(rng)

    def _orientations(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Amplitudes at 1 Mpc (n, 2) and delays (n,) of many isotropic sources, drawn once: drawing them anew costs
        more than all else.
        """
        network, n = Network.of(self.config.segment.detectors), _ORIENTATIONS
        direction = rng.normal(size=(n, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        a = amplitudes(*network.patterns(direction, rng.uniform(0, np.pi, n)), rng.uniform(-1, 1, n))
        lag = network.delays(direction)
        return a, lag[:, 0] - lag[:, 1]

    def _candidates(self, n: int, psd: tuple[int, int], rng: np.random.Generator, rows: tuple[int, int]) -> tuple:
        """Rows of the bank, amplitudes at 1 Mpc and SNRs of `n` signals under one pair of PSDs."""
        pool = n * self.config.simulator.pool
        index = rng.integers(*rows, size=pool)
        orientation = rng.integers(len(self._lag), size=pool)
        a = self._amplitude[orientation]
        sigma = torch.stack([self.sigma[psd[0]][index], self.sigma[psd[1]][index]], dim=1).numpy()
        reach = np.sqrt(np.sum((np.abs(a) * sigma) ** 2, axis=1))
        low, high = self.config.simulator.snr
        snr = low * (high / low) ** rng.random(pool)
        distance = reach / snr
        near, far = self.config.prior.luminosity_distance
        chance = np.where((distance >= near) & (distance <= far), reach**3, 0.0)
        chosen = rng.choice(pool, size=n, p=chance / chance.sum())
        turn = np.exp(2j * np.pi * rng.random(n)) / distance[chosen]
        return index[chosen], a[chosen] * turn[:, None], snr[chosen], self._lag[orientation[chosen]]

    def batch(self, n: int, rng: np.random.Generator, validation: bool = False) -> Batch:
        """Simulate `n` observations (rounded down to a multiple of the number of groups).

        Parameters
        ----------
        n : int
        rng : numpy Generator
        validation : bool
            draw binaries the training never sees
        """
        groups = self.config.simulator.groups
        per_group, total = max(n // groups, 1), len(self.bank.theta)
        rows = (total - self.holdout, total) if validation else (0, total - self.holdout)
        seed = int(rng.integers(2**62))
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for _ in range(groups):
            psd = (int(rng.integers(len(self.sigma))), int(rng.integers(len(self.sigma))))
            index, a, snr, lag = self._candidates(per_group, psd, rng, rows)
            rho = np.abs(a) * torch.stack([self.sigma[p][index] for p in psd], dim=1).numpy()
            error = self._timing_error(rho, rng)
            coefficients = self.coefficients[index]
            projected = []
            for d in range(2):
                turn = torch.polar(
                    torch.ones(()), torch.from_numpy((-2 * np.pi * error[:, d, None]).astype(np.float32)) * self.tones
                )
                signal = (coefficients * turn * torch.from_numpy(a[:, d, None].astype(np.complex64))) @ self.projectors[
                    psd[d]
                ].T
                projected.append(signal)
            clean = torch.stack(projected, dim=1)
            noise = torch.randn((*clean.shape, 2), generator=generator)
            # The data are aligned at (true time - error): the signal sits late by the error, the measured delay is
            # off by it.
            measured = lag - (error[:, 0] - error[:, 1])
            parts.append(
                (
                    self.z[index],
                    features(
                        clean + torch.view_as_complex(noise),
                        torch.stack([self.reference[p] for p in psd]).expand(per_group, -1, -1),
                        torch.from_numpy((measured / 0.01).astype(np.float32)),
                        torch.stack([self.bands[p] for p in psd]).expand(per_group, -1, -1),
                    ),
                    torch.from_numpy(snr.astype(np.float32)),
                    torch.from_numpy(index),
                )
            )
        return Batch(*(torch.cat(column) for column in zip(*parts, strict=True)))

    @staticmethod
    def _timing_error(rho: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Errors (n, 2) in s of the measured arrival times: noise, a template that differs, and in quiet detectors a
        wrong peak.
        """
        spread = np.hypot(1 / (2 * np.pi * BANDWIDTH * np.maximum(rho, 1.5)), 3e-4)
        error = rng.normal(size=rho.shape) * spread
        wrong = rng.random(rho.shape) < 0.6 * np.exp(-((rho / 3.5) ** 2))
        error = np.where(wrong, rng.uniform(-4e-3, 4e-3, rho.shape), error)
        return np.clip(error, -compression.MAX_SHIFT, compression.MAX_SHIFT)
