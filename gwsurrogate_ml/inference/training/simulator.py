"""Millions of simulated observations, on the fly, as the network sees them.

Binaries come from a bank of compressed waveforms (`basis`), part of which is replaced by new ones all the time, so
that no binary is learned by heart; sensitivities from an ensemble (`psds`), orientation and sky from their priors; the
projected noise is exactly N(0, 1). Signals are drawn as the prior has them at given signal-to-noise ratio: with density
~ R^3, R the distance at which the signal has unit signal-to-noise ratio, because volume grows as distance cubed; so
are the ratios of quiet signals, loud ones are drawn more often than nature has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.config import EstimatorConfig
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork
from gwsurrogate_ml.inference.proposal import compression
from gwsurrogate_ml.inference.proposal import summaries as feature_map
from gwsurrogate_ml.inference.psds import band_ratios, kind_of, random_psd
from gwsurrogate_ml.inference.training.processes import Processes
from gwsurrogate_ml.inference.training.sensitivity import SigmaFit
from gwsurrogate_ml.inference.training.sources import Sources

BANDWIDTH = 30.0
"""Effective bandwidth in Hz: arrival times are measured to 1 / (2 pi BANDWIDTH rho)."""
_CHUNK = 500
_ORIENTATIONS = 300_000
_EXAMPLES, _SPANNED = 2500, 2000
"""Binaries whose waveforms make the bank's basis, and the network's."""
_FEW = 20
"""Binaries of which it is computed how much of their power the network's basis holds."""
_MORE = 1.6
"""So many times more signals are simulated than asked for, to make up for those too quiet."""


def compress(sources: Sources, bank: compression.CompressedBank, theta: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Coefficients (N, P, K) complex64 of the waveforms of binaries (N, n_z), of phases (N,), in the bank's basis."""
    basis = np.conj(bank.basis).astype(np.complex64)
    out = np.empty((len(theta), sources.parts, basis.shape[1]), dtype=np.complex64)
    for start in range(0, len(theta), _CHUNK):
        some = slice(start, start + _CHUNK)
        out[some] = (sources.waveforms(theta[some], phase[some]) * bank.whitening).astype(np.complex64) @ basis
    return out


def build_bank(
    sources: Sources,
    rng: np.random.Generator,
    progress: Callable[[str, int, int], None] | None = None,
    here: Processes = Processes(),  # noqa: B008 (frozen)
) -> compression.CompressedBank:
    """Draw binaries from the prior, compute, align and compress their waveforms, in each process its part of them.

    Raises
    ------
    ConfigError
        if the basis holds less than 99.99 % of the whitened power: it would be lost silently otherwise
    """
    settings, df = sources.config.simulator, 1 / sources.config.segment.duration
    size, frequencies = settings.bank_size, sources.frequencies
    theta = sources.draw(size, rng)
    n = min(_EXAMPLES, size)
    chunks = [theta[i : min(i + _CHUNK, n)] for i in range(0, n, _CHUNK)]
    seen = ((sources.mixes(len(x), rng), sources.waveforms(x, sources.phases(len(x), rng))) for x in chunks)
    examples = np.concatenate([np.einsum("np,npf->nf", mixes, h) for mixes, h in seen])
    vectors, tones = compression.build_basis(examples, frequencies, df, settings.basis_size, rng)
    whitening = compression.whitening_curve(frequencies, df)
    white = examples[:500] * whitening
    held = np.sum(np.abs(white @ np.conj(vectors)) ** 2, axis=1) / np.sum(np.abs(white) ** 2, axis=1)
    if 1 - held.mean() > 1e-4:
        raise ConfigError(f"the basis of the bank loses {1 - held.mean():.1e} of the whitened power: raise simulator.basis_size")
    plain = sources.templates(theta[: min(20 * settings.templates, size)]) * whitening
    empty = np.empty((size, sources.parts, len(tones)), dtype=np.complex64)
    bank = compression.CompressedBank(
        theta,
        empty,
        (plain @ np.conj(vectors)).astype(np.complex64),
        vectors,
        whitening,
        tones,
        frequencies,
        sources.reference,
        float(held.mean()),
    )
    phase = sources.phases(size, rng)
    for start in range(0, size, here.size * _CHUNK):
        rows = np.arange(start, min(start + here.size * _CHUNK, size))
        mine = rows[here.part(len(rows))]
        empty[rows] = here.joined(compress(sources, bank, theta[mine], phase[mine]))
        if progress:
            progress("bank", int(rows[-1]) + 1, size)
    return bank


@dataclass(frozen=True)
class Batch:
    """Simulated observations: normal-score parameters (n, n_z), features (n, F), optimal network SNR (n,), row of the
    bank (n,).
    """

    z: torch.Tensor
    features: torch.Tensor
    snr: torch.Tensor
    index: torch.Tensor


def n_features(config: EstimatorConfig) -> int:
    """Length of the network's input."""
    return feature_map.n_features(len(config.segment.detectors), config.simulator.network_basis_size)


def choose_templates(bank: compression.CompressedBank, functions: np.ndarray, size: int) -> np.ndarray:
    """Coefficients (K, size) over the network's functions (n_b, K) of aligned templates spread over the bank: each is
    the one least like those before it.
    """
    white = bank.templates / np.linalg.norm(bank.templates, axis=1, keepdims=True)
    chosen = [0]
    nearest = np.zeros(len(white))
    for _ in range(min(size, len(white)) - 1):
        nearest = np.maximum(nearest, np.abs(white @ np.conj(white[chosen[-1]])))
        chosen.append(int(np.argmin(nearest)))
    full = bank.templates[chosen] @ bank.basis.T
    return np.linalg.lstsq(functions * bank.whitening[:, None], full.T, rcond=None)[0]


class Simulator:
    """Draws batches of observations; everything random comes from the generators given.

    Parameters
    ----------
    sources : Sources
    bank : CompressedBank
    rng : numpy Generator
        for the PSDs and the network's basis
    holdout : int
        first rows of the bank, drawn only for validation and never replaced
    here : Processes
        which together prepare the spectra
    """

    def __init__(
        self,
        sources: Sources,
        bank: compression.CompressedBank,
        rng: np.random.Generator,
        holdout: int = 0,
        here: Processes = Processes(),  # noqa: B008 (frozen)
    ) -> None:
        self.sources, self.bank, self.holdout = sources, bank, holdout
        self.config = config = sources.config
        df, f = 1 / config.segment.duration, bank.frequencies
        settings = config.simulator

        def some(n: int) -> tuple[np.ndarray, np.ndarray]:
            """Coefficients (n, K) as a detector may see them, and the binaries (n, n_z)."""
            index = rng.choice(len(bank.theta), size=min(n, len(bank.theta)), replace=False)
            return np.einsum("np,npk->nk", sources.mixes(len(index), rng), bank.coefficients[index]), bank.theta[index]

        self.functions = compression.network_functions(bank, some(_SPANNED)[0], df, settings.network_basis_size, rng)
        self.templates = choose_templates(bank, self.functions, settings.templates)
        kinds = sorted({kind_of(name) for name in config.segment.detectors})
        psds = np.array([random_psd(f, rng, kind) for kind in kinds for _ in range(settings.psds)])
        # Rows of the PSDs that each detector draws from.
        self._rows = [kinds.index(kind_of(name)) * settings.psds for name in config.segment.detectors]
        sample, theta = some(1500)
        size, k = settings.network_basis_size, bank.coefficients.shape[2]
        mine = psds[here.part(len(psds))]
        projectors = np.empty((len(mine), size, k), dtype=np.complex64)
        templates = np.empty((len(mine), self.templates.shape[1], size), dtype=np.complex64)
        ratio, held = np.empty((len(mine), len(sample))), np.empty(len(mine))
        norm = np.linalg.norm(sample, axis=1)
        few = np.abs((sample[:_FEW] @ bank.basis.T) / bank.whitening) ** 2
        project = compression.Projections(bank, self.functions, self.templates)
        for i, psd in enumerate(mine):
            projectors[i], templates[i] = project(np.sqrt(4 * df / psd))
            sigma = np.linalg.norm(sample @ projectors[i].T, axis=1)
            ratio[i] = sigma / norm
            held[i] = np.mean(sigma[:_FEW] ** 2 / (few @ (4 * df / psd)))
        projectors, templates, ratio, held = (here.joined(x) for x in (projectors, templates, ratio, held))
        self.captured = float(np.median(held))
        if self.captured < 0.95:
            raise ConfigError(
                f"the network's basis holds only {self.captured:.3f} of the power of the whitened waveforms: "
                "raise simulator.network_basis_size"
            )
        self.projectors, self.seen = torch.from_numpy(projectors), torch.from_numpy(templates)
        self.bands = torch.from_numpy(band_ratios(psds, f).astype(np.float32))
        self.tones = torch.from_numpy(bank.tones.astype(np.float32))
        self.sigma = SigmaFit.of(sources.gauge(theta), ratio, sources.gauge_bounds)
        self.coefficients = torch.from_numpy(bank.coefficients)
        self.terms = self.sigma.terms(sources.gauge(bank.theta))
        self.gram = _gram(bank.coefficients)
        self.z = torch.from_numpy(sources.proposed.to_normal(bank.theta).astype(np.float32))
        self._amplitude, self._lag = self._orientations(rng)

    def _orientations(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Factors at 1 Mpc (n, D, P) and delays behind the first detector (n, D - 1) of many isotropic sources, drawn
        once: drawing them anew costs more than all else.
        """
        network, n = DetectorNetwork.of(self.config.segment.detectors), _ORIENTATIONS
        direction = rng.normal(size=(n, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        a = self.sources.seen(*network.patterns(direction, rng.uniform(0, np.pi, n)), rng)
        lag = network.delays(direction)
        return a, lag[:, :1] - lag[:, 1:]

    def _draw_snr(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Optimal network SNRs (n,) with density ~ rho^-4 (1 + (rho / volume_below)^3).

        Quiet signals must be as frequent as the prior has them, since noise makes many of them louder: what a network
        infers from loudness would be too certain otherwise. Loud ones are drawn more often, to be learned at all.
        """
        low, high = self.config.simulator.snr
        turn = self.config.simulator.volume_below
        # The integrals of both terms over the range.
        quiet, loud = (low**-3 - high**-3) / 3, np.log(high / low) / turn**3
        u = rng.random(n)
        by_volume = (low**-3 - u * (low**-3 - high**-3)) ** (-1 / 3)
        return np.where(rng.random(n) * (quiet + loud) < quiet, by_volume, low * (high / low) ** u)

    def replace(self, first: int, theta: np.ndarray, coefficients: np.ndarray) -> None:
        """Put new binaries (m, n_z) with coefficients (m, P, K) in the place of the bank's rows from `first` on."""
        rows = slice(first, first + len(theta))
        self.bank.theta[rows] = theta
        self.coefficients[rows] = torch.from_numpy(coefficients)
        self.terms[rows] = self.sigma.terms(self.sources.gauge(theta))
        self.gram[rows] = _gram(coefficients)
        self.z[rows] = torch.from_numpy(self.sources.proposed.to_normal(theta).astype(np.float32))

    def _candidates(self, n: int, psd: list[int], rng: np.random.Generator, rows: tuple[int, int]) -> tuple[np.ndarray, ...]:
        """Rows of the bank, factors (n, D, P) with phase and distance, SNRs, delays and the detectors' approximate
        signal-to-noise ratios (n, D) of `n` signals under one set of PSDs.
        """
        pool = n * self.config.simulator.pool
        index = rng.integers(*rows, size=pool)
        orientation = rng.integers(len(self._lag), size=pool)
        a = self._amplitude[orientation]
        power = sum(
            (np.conj(a[:, :, p]) * a[:, :, q] * self.gram[index, p, q, None]).real
            for p in range(self.sources.parts)
            for q in range(self.sources.parts)
        )
        norms = np.sqrt(power) * self.sigma(self.terms[index], psd)
        reach = np.linalg.norm(norms, axis=1)
        snr = self._draw_snr(pool, rng)
        distance = reach / snr
        near, far = self.config.prior.luminosity_distance
        chance = np.where((distance >= near) & (distance <= far), reach**3, 0.0)
        chosen = rng.choice(pool, size=n, p=chance / chance.sum())
        turn = self.sources.turned(n, rng) / distance[chosen]
        factor = a[chosen] * turn[:, None, None]
        return index[chosen], factor, snr[chosen], self._lag[orientation[chosen]], norms[chosen] / distance[chosen, None]

    def batch(self, n: int, rng: np.random.Generator, rows: tuple[int, int] | None = None) -> Batch:
        """Simulate `n` observations, sometimes fewer: those too quiet to be analysed are dropped.

        Parameters
        ----------
        n : int
        rng : numpy Generator
        rows : (first, end), optional
            of the bank, to draw from; by default all but those held out
        """
        groups = self.config.simulator.groups
        per_group, detectors = int(np.ceil(_MORE * n / groups)), len(self._rows)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        psds = [[row + int(rng.integers(self.config.simulator.psds)) for row in self._rows] for _ in range(groups)]
        rows = rows or (self.holdout, len(self.terms))
        drawn = [self._candidates(per_group, psd, rng, rows) for psd in psds]
        index, factor, snr, lag, rho = (np.concatenate(column) for column in zip(*drawn, strict=True))
        error = self._timing_error(rho, rng)
        # The data are aligned at (true time - error): the signal sits late by the error, the measured delay is off by
        # it.
        measured = torch.from_numpy(((lag - (error[:, :1] - error[:, 1:])) / 0.01).astype(np.float32))
        coefficients = self.coefficients[index]
        angle = torch.from_numpy((-2 * np.pi * error).astype(np.float32))
        scale = torch.from_numpy(factor.astype(np.complex64))
        noise = torch.randn((len(index), detectors, self.projectors.shape[1], 2), generator=generator)
        data = torch.view_as_complex(noise)
        shifted = []
        for d in range(detectors):
            turn = torch.polar(torch.ones(()), angle[:, d, None] * self.tones)
            shifted.append((coefficients * scale[:, d, :, None]).sum(dim=1) * turn)
        seen = []
        for g, psd in enumerate(psds):
            part = slice(g * per_group, (g + 1) * per_group)
            for d, p in enumerate(psd):
                data[part, d] += shifted[d][part] @ self.projectors[p].T
            seen.append(feature_map.features(data[part], self.seen[psd], measured[part], self.bands[psd]))
        inputs, used = torch.cat(seen), torch.from_numpy(index)
        heard = feature_map.loudness(inputs, detectors, self.config.simulator.network_basis_size)
        # The groups follow one another: a random order keeps the dropped ones from being the last.
        order = torch.randperm(len(index), generator=generator)
        kept = order[heard[order] >= self.config.simulator.heard][:n]
        return Batch(self.z[used[kept]], inputs[kept], torch.from_numpy(snr.astype(np.float32))[kept], used[kept])

    @staticmethod
    def _timing_error(rho: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Errors (n, D) in s of the measured arrival times, as the search makes them (measured on injections).

        All detectors share the error of a template that differs from the signal, with heavy tails; each has its own
        from noise, and where it is quiet the peak of noise is taken for the signal's.
        """
        total = np.linalg.norm(rho, axis=1)
        common = rng.standard_t(2.0, size=len(rho)) * (2.6e-4 + 6e-4 * (10 / total) ** 1.9)
        error = rng.normal(size=rho.shape) / (2 * np.pi * BANDWIDTH * np.maximum(rho, 1.5)) + common[:, None]
        wrong = rng.random(rho.shape) < 0.6 * np.exp(-((rho / 3.5) ** 2))
        error = np.where(wrong, rng.uniform(-1e-2, 1e-2, rho.shape), error)
        return np.clip(error, -compression.MAX_SHIFT, compression.MAX_SHIFT)


def _gram(coefficients: np.ndarray) -> np.ndarray:
    """Inner products (N, P, P) complex64 of the parts of each binary, (N, P, K)."""
    return np.conj(coefficients) @ np.swapaxes(coefficients, 1, 2)
