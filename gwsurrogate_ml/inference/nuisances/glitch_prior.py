"""What is believed of a glitch: its shape, amplitude and time, from thousands of real ones in the antiglitch model.

Its strain is ``A exp(-gbw (ln f - ln f0)^2 / 2) exp(-2 pi i f t)``, A complex (Bondarescu, Lundgren & Macas, arXiv:2309.06594).
Shapes (ln f0, ln gbw) come from a mixture of Gaussians a kind of glitch (blip, Koi fish, low-frequency blip, Tomte), amplitudes,
in units of the matched filter's noise, from a mixture of complex Gaussians a kind: the integral over A has a closed form.
`data_prep.glitches` fits both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.arguments import finite
from gwsurrogate_ml.errors import ConfigError

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood

FILE = Path(__file__).with_name("glitch_prior.json")
BEFORE, AFTER = 0.5, 0.1
"""Seconds about the event's time within which a glitch is looked for, where no time of its own is given."""
NEAR = 0.1
"""Seconds about a glitch's own time, where that is given."""

Glitch = str | Iterable[str] | Mapping[str, float | None]
"""The detector that has a glitch; several; or a mapping from detector to its GPS time, None where that is not known."""


@dataclass(frozen=True, eq=False)
class GlitchPrior:
    """Mixtures of K Gaussians of shapes and, of each kind, of complex Gaussian amplitudes.

    Parameters
    ----------
    shares : (K,) float64; kind : (K,) int; means : (K, 2); covariances : (K, 2, 2)
        of the shapes (ln f0 in Hz, ln gbw)
    amplitude_shares, variances : (n_kinds, n) float64
        variance of real and imaginary part, in units in which the length is a signal-to-noise ratio
    """

    shares: np.ndarray
    kind: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    amplitude_shares: np.ndarray
    variances: np.ndarray

    @classmethod
    def shipped(cls) -> GlitchPrior:
        """The one fitted to glitches of O3.

        Examples
        --------
        >>> prior = GlitchPrior.shipped()
        >>> bool(np.isclose(prior.shares.sum(), 1)), prior.variances.shape
        (True, (4, 3))
        """
        kinds = json.loads(FILE.read_text(encoding="utf-8"))["kinds"].values()
        shares = [k["share"] * np.array(k["shape_shares"]) / sum(k["shape_shares"]) for k in kinds]
        amplitudes = np.array([k["amplitude_shares"] for k in kinds])
        return cls(
            np.concatenate(shares) / np.sum(shares),
            np.repeat(np.arange(len(kinds)), [len(s) for s in shares]),
            np.concatenate([k["means"] for k in kinds]),
            np.concatenate([k["covariances"] for k in kinds]),
            amplitudes / amplitudes.sum(axis=1, keepdims=True),
            np.array([k["amplitude_variances"] for k in kinds]),
        )

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Shapes (n, 2)."""
        k = rng.choice(len(self.shares), n, p=self.shares)
        return self.means[k] + np.einsum("nij,nj->ni", np.linalg.cholesky(self.covariances)[k], rng.normal(size=(n, 2)))

    def log_densities(self, shapes: np.ndarray) -> np.ndarray:
        """Log density of each Gaussian times its share, (K, n), at shapes (n, 2)."""
        off = shapes[None] - self.means[:, None]
        power = np.einsum("kni,kij,knj->kn", off, np.linalg.inv(self.covariances), off)
        constant = np.log(self.shares) - np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(self.covariances)[1]
        return constant[:, None] - 0.5 * power

    def log_density(self, shapes: np.ndarray) -> np.ndarray:
        """Log density (n,) of shapes (n, 2)."""
        return np.logaddexp.reduce(self.log_densities(shapes), axis=0)

    def amplitudes(self, shapes: np.ndarray) -> np.ndarray:
        """Shares (n, n_kinds n_amplitudes) of the amplitude's Gaussians, in the order of ``variances.ravel()``, given the shape."""
        logs = self.log_densities(shapes)
        of_component = np.exp(logs - logs.max(axis=0))
        of_kind = np.stack([of_component[self.kind == k].sum(axis=0) for k in range(len(self.variances))])
        shares = (of_kind / of_kind.sum(axis=0))[:, :, None] * self.amplitude_shares[:, None]
        return np.ascontiguousarray(shares.transpose(1, 0, 2).reshape(len(shapes), -1))


@dataclass(frozen=True, eq=False)
class AmplitudePrior:
    """Mixtures of complex Gaussians about zero: one for each of n shapes.

    Parameters
    ----------
    shares : (n, n_c); variances : (n_c,)
    """

    shares: np.ndarray
    variances: np.ndarray

    def log_integral(self, z: np.ndarray) -> np.ndarray:
        """Log of the mean of ``exp(Re(conj(A) z) - |A|^2 / 2)`` over A, for z (..., n) complex: each variance s gives
        ``exp(|z|^2 s / (1 + s) / 2) / (1 + s)``.
        """
        half = 0.5 * (z.real**2 + z.imag**2)
        most = self.variances.max() / (1 + self.variances.max())
        total = np.zeros_like(half)
        for share, s in zip(self.shares.T, self.variances, strict=True):
            total += share / (1 + s) * np.exp(-half * (most - s / (1 + s)))
        return half * most + np.log(total)

    def draw(self, z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Amplitudes (n,) from their posterior given z (n,), one of each shape."""
        s = self.variances
        logs = -0.5 * np.abs(z[:, None]) ** 2 / (1 + s)
        weights = self.shares / (1 + s) * np.exp(logs - logs.max(axis=1, keepdims=True))
        cumulative = np.cumsum(weights, axis=1)
        chosen = np.sum(cumulative < cumulative[:, -1:] * rng.random((len(z), 1)), axis=1)
        ratio = s[chosen] / (1 + s[chosen])
        return ratio * z + np.sqrt(ratio) * (rng.normal(size=len(z)) + 1j * rng.normal(size=len(z)))


def shape_of(shapes: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """The factor ``exp(-gbw (ln f - ln f0)^2 / 2)`` (n, n_f) at frequencies (n_f,) above zero of shapes (n, 2)."""
    away = np.log(frequencies)[None] - shapes[:, :1]
    return np.exp(-0.5 * np.exp(shapes[:, 1:]) * away**2)


def unit_white(likelihood: SegmentLikelihood, d: int, shapes: np.ndarray, times: np.ndarray | float = 0.0) -> np.ndarray:
    """Whitened glitches (n, n_band) of signal-to-noise ratio one in detector `d`, at times (s from the segment's start)."""
    f = likelihood.frequencies[likelihood.band]
    g = shape_of(shapes, f) * np.sqrt(likelihood.weight[d, likelihood.band])
    g /= np.linalg.norm(g, axis=1, keepdims=True)
    return g * np.exp(-2j * np.pi * np.atleast_1d(times)[:, None] * f)


def unit_strain(likelihood: SegmentLikelihood, d: int, shapes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The same as strain (n, n_f), 1/Hz, zero beyond the band."""
    out = np.zeros((len(shapes), len(likelihood.frequencies)), np.complex128)
    root = np.sqrt(likelihood.weight[d, likelihood.band])
    white = unit_white(likelihood, d, shapes, times)
    out[:, likelihood.band] = np.divide(white, root, out=np.zeros_like(white), where=root > 0)
    return out


def requested_glitches(glitch: Glitch, detectors: Iterable[str]) -> dict[str, float | None]:
    """Detectors that may have a glitch, each with its GPS time, or None.

    Raises
    ------
    ConfigError
        a detector that the data are not of, none, or all of them; a time that is no number

    Examples
    --------
    >>> requested_glitches("H1", ("H1", "L1"))
    {'H1': None}
    """
    detectors = tuple(detectors)
    given = {glitch: None} if isinstance(glitch, str) else glitch
    if not isinstance(given, Iterable):
        raise ConfigError(f"glitch is {glitch!r}: give the detector that has it, such as 'H1', or {{'H1': GPS time}}")
    asked = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given)
    if not asked:
        raise ConfigError("glitch names no detector: give the one that has it, such as 'H1', or leave it out")
    for name in asked:
        if name not in detectors:
            raise ConfigError(f"glitch in {name!r}: the data are of {', '.join(detectors)}; name one of these, or add its data")
    if len(asked) == len(detectors):
        raise ConfigError(
            f"a glitch in each of {', '.join(detectors)}: nothing would tell it from the signal; name the worst, or add a "
            "detector without one"
        )
    return {name: None if t is None else finite(t, f"the time of {name}'s glitch", "GPS s") for name, t in asked.items()}


def windows(likelihood: SegmentLikelihood, asked: Mapping[str, float | None]) -> dict[int, tuple[float, float]]:
    """First and last time (s from the segment's start) of the glitch in each detector, by its index.

    Raises
    ------
    ConfigError
        if the window of a time given, or the event's own, leaves the segment or its untapered part
    """
    segment = likelihood.segment
    out = {}
    for name, time in asked.items():
        low, high = (segment.gps - BEFORE, segment.gps + AFTER) if time is None else (time - NEAR, time + NEAR)
        first, last = segment.start_time + segment.roll_off, segment.start_time + segment.duration - segment.roll_off
        if low < first or high > last:
            what = f"{time:.3f}" if time is not None else f"the event's time, {segment.gps:.3f}"
            raise ConfigError(
                f"glitch in {name} at {what}: it is looked for from {low:.3f} to {high:.3f}, the segment holds {first:.3f} to "
                f"{last:.3f} between its tapers; give a GPS time inside, or none for one within {BEFORE:g} s before the merger; a "
                "glitch elsewhere needs a shorter segment without it"
            )
        out[segment.detectors.index(name)] = low - segment.start_time, high - segment.start_time
    return out
