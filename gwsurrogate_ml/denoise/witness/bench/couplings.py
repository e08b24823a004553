"""Ways in which a witnessed disturbance reaches the strain, each with its closed-form optimal residual.

Linear H * w, bilinear g p(t) m(t) with mains p = cos(2 pi f t + phi(t)) and random-walk phase, and scattered light
K sin(a x(t) + phi0); drivers are Gaussian and independent, and every witness has independent Gaussian sensor noise. The
estimates are E[contribution | witnesses]; for the bilinear and the scattered one they are not linear in the witnesses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gwsurrogate_ml.denoise.witness.bench.wiener import autocovariance, psd_of, variance, wiener
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.strain.simulate import coloured_noise

Spectrum = Callable[[np.ndarray], np.ndarray]
"""Frequencies (n_f,) in Hz -> one-sided PSD or transfer function (n_f,)."""


@dataclass(frozen=True)
class Drawn:
    """One realisation: what reaches the strain, what the witnesses record, and the best estimate from them, each (n,)."""

    contribution: np.ndarray
    witnesses: dict[str, np.ndarray]
    estimate: np.ndarray


class Coupling(Protocol):
    """What the mock needs of a coupling."""

    @property
    def channels(self) -> dict[str, str]:
        """Witness channels and their units."""
        ...

    def draw(self, frequencies: np.ndarray, rng: np.random.Generator) -> Drawn:
        """A realisation of the length that the frequency grid implies."""
        ...

    def psd(self, frequencies: np.ndarray) -> np.ndarray:
        """One-sided PSD (1/Hz) of the contribution to the strain."""
        ...

    def residual(self, frequencies: np.ndarray, *, causal: bool, weight: np.ndarray) -> np.ndarray:
        """One-sided PSD (1/Hz) of contribution minus best estimate."""
        ...


def _rate(frequencies: np.ndarray) -> float:
    return float(2.0 * frequencies[-1])


def _filtered(transform: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    return fft.irfft(transform, 2 * (frequencies.size - 1)) * _rate(frequencies)


@dataclass(frozen=True)
class Linear:
    """H * w, its gain slowly drifting if `drift` > 0.

    Parameters
    ----------
    channel : str
    transfer : H(f), strain per unit of w
    driver, sensor_noise : PSDs of w and of the witness's own noise
    drift : float
        standard deviation of the gain, an Ornstein-Uhlenbeck process about 1 that nobody witnesses. There is no closed
        form for it: the residual quoted is the oracle's, who knows the gain
    drift_time : float, s
        its correlation time
    """

    channel: str
    transfer: Spectrum
    driver: Spectrum
    sensor_noise: Spectrum
    drift: float = 0.0
    drift_time: float = 300.0

    @property
    def channels(self) -> dict[str, str]:
        """The witness, in arbitrary units."""
        return {self.channel: ""}

    def draw(self, frequencies: np.ndarray, rng: np.random.Generator) -> Drawn:
        """See `Coupling`."""
        duration, h = 1.0 / frequencies[1], self.transfer(frequencies)
        w = coloured_noise(self.driver(frequencies), duration, rng)
        y = w + coloured_noise(self.sensor_noise(frequencies), duration, rng)
        best = wiener(h * self.driver(frequencies), self.driver(frequencies) + self.sensor_noise(frequencies))
        gain = self._gain(2 * (frequencies.size - 1), 1.0 / _rate(frequencies), rng)
        return Drawn(
            gain * _filtered(h * w, frequencies),
            {self.channel: _filtered(y, frequencies)},
            gain * _filtered(best * y, frequencies),
        )

    def psd(self, frequencies: np.ndarray) -> np.ndarray:
        """See `Coupling`."""
        return (1.0 + self.drift**2) * np.abs(self.transfer(frequencies)) ** 2 * self.driver(frequencies)

    def residual(self, frequencies: np.ndarray, *, causal: bool, weight: np.ndarray) -> np.ndarray:
        """See `Coupling`; |H|^2 S_w S_e / (S_w + S_e) where not causal."""
        h, s_w, s_e = self.transfer(frequencies), self.driver(frequencies), self.sensor_noise(frequencies)
        g = wiener(h * s_w, s_w + s_e, causal=causal, weight=weight)
        return np.asarray((1.0 + self.drift**2) * (np.abs(h - g) ** 2 * s_w + np.abs(g) ** 2 * s_e))

    def _gain(self, n: int, dt: float, rng: np.random.Generator) -> np.ndarray:
        if self.drift == 0.0:
            return np.ones(n)
        step = max(1, int(0.01 * self.drift_time / dt))  # knots fine enough to interpolate linearly
        knots = np.empty(n // step + 2)
        keep = np.exp(-step * dt / self.drift_time)
        kicks = rng.standard_normal(knots.size) * self.drift
        knots[0] = kicks[0]
        for i in range(1, knots.size):
            knots[i] = keep * knots[i - 1] + np.sqrt(1.0 - keep**2) * kicks[i]
        return 1.0 + np.interp(np.arange(n), step * np.arange(knots.size), knots)


@dataclass(frozen=True)
class Bilinear:
    """g p(t) m(t): sidebands of the mains by a slow motion.

    Parameters
    ----------
    carrier, modulation : str
        witness channels of p (noiseless) and of m
    gain : float, strain per unit of m
    driver, sensor_noise : PSDs of m and of its witness's noise
    line : float, Hz
    diffusion : float, rad^2/s
        <(phi(t + tau) - phi(t))^2> = 2 diffusion tau
    """

    carrier: str
    modulation: str
    gain: float
    driver: Spectrum
    sensor_noise: Spectrum
    line: float = 60.0
    diffusion: float = 0.05

    @property
    def channels(self) -> dict[str, str]:
        """Both witnesses, in arbitrary units."""
        return {self.carrier: "", self.modulation: ""}

    def draw(self, frequencies: np.ndarray, rng: np.random.Generator) -> Drawn:
        """See `Coupling`."""
        duration, dt = 1.0 / frequencies[1], 1.0 / _rate(frequencies)
        s_m, s_e = self.driver(frequencies), self.sensor_noise(frequencies)
        m = coloured_noise(s_m, duration, rng)
        y = m + coloured_noise(s_e, duration, rng)
        n = 2 * (frequencies.size - 1)
        walk = np.cumsum(rng.standard_normal(n)) * np.sqrt(2.0 * self.diffusion * dt)
        p = np.cos(2.0 * np.pi * self.line * dt * np.arange(n) + walk + 2.0 * np.pi * rng.random())
        best = _filtered(wiener(s_m, s_m + s_e) * y, frequencies)
        witnesses = {self.carrier: p, self.modulation: _filtered(y, frequencies)}
        return Drawn(self.gain * p * _filtered(m, frequencies), witnesses, self.gain * p * best)

    def psd(self, frequencies: np.ndarray) -> np.ndarray:
        """See `Coupling`."""
        return self._modulated(self.driver(frequencies), frequencies)

    def residual(self, frequencies: np.ndarray, *, causal: bool, weight: np.ndarray) -> np.ndarray:
        """See `Coupling`; R = g^2 R_p R_error, as p is known and independent of m."""
        s_m, s_e = self.driver(frequencies), self.sensor_noise(frequencies)
        g = wiener(s_m, s_m + s_e, causal=causal)
        return self._modulated(np.abs(1.0 - g) ** 2 * s_m + np.abs(g) ** 2 * s_e, frequencies)

    def _modulated(self, psd: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        n, rate = 2 * (frequencies.size - 1), _rate(frequencies)
        lag = np.minimum(np.arange(n), n - np.arange(n)) / rate
        carrier = 0.5 * np.cos(2.0 * np.pi * self.line * lag) * np.exp(-self.diffusion * lag)
        return np.maximum(psd_of(self.gain**2 * carrier * autocovariance(psd, rate), rate), 0.0)


@dataclass(frozen=True)
class Scattering:
    """K sin(a x(t) + phi0): light scattered from a surface that moves by many wavelengths.

    Parameters
    ----------
    channel : str
        witness of x in m
    amplitude : K, strain
    wavenumber : a = 4 pi / wavelength, rad/m
    driver, sensor_noise : PSDs of x and of the witness's noise, m^2/Hz
    phase : phi0, rad
    """

    channel: str
    amplitude: float
    wavenumber: float
    driver: Spectrum
    sensor_noise: Spectrum
    phase: float = 0.7

    @property
    def channels(self) -> dict[str, str]:
        """The witness, in metres."""
        return {self.channel: "m"}

    def draw(self, frequencies: np.ndarray, rng: np.random.Generator) -> Drawn:
        """See `Coupling`."""
        duration, a = 1.0 / frequencies[1], self.wavenumber
        s_x, s_e = self.driver(frequencies), self.sensor_noise(frequencies)
        x = coloured_noise(s_x, duration, rng)
        y = x + coloured_noise(s_e, duration, rng)
        best = _filtered(wiener(s_x, s_x + s_e) * y, frequencies)
        shrink = np.exp(-0.5 * a**2 * variance(s_x * s_e / (s_x + s_e), _rate(frequencies)))
        return Drawn(
            self.amplitude * np.sin(a * _filtered(x, frequencies) + self.phase),
            {self.channel: _filtered(y, frequencies)},
            self.amplitude * shrink * np.sin(a * best + self.phase),
        )

    def psd(self, frequencies: np.ndarray) -> np.ndarray:
        """See `Coupling`."""
        s_x, rate = self.driver(frequencies), _rate(frequencies)
        v = variance(s_x, rate)
        return np.maximum(psd_of(self._product(v, v, autocovariance(s_x, rate)), rate), 0.0)

    def residual(self, frequencies: np.ndarray, *, causal: bool, weight: np.ndarray) -> np.ndarray:
        """See `Coupling`; from the covariances of x, its estimate, and both."""
        s_x, s_e, rate = self.driver(frequencies), self.sensor_noise(frequencies), _rate(frequencies)
        g = wiener(s_x, s_x + s_e, causal=causal)
        s_hat = np.abs(g) ** 2 * (s_x + s_e)
        v, v_hat = variance(s_x, rate), variance(s_hat, rate)
        error = variance(np.abs(1.0 - g) ** 2 * s_x + np.abs(g) ** 2 * s_e, rate)
        shrink = np.exp(-0.5 * self.wavenumber**2 * error)
        cross = fft.irfft(0.5 * g * s_x, 2 * (frequencies.size - 1)) * rate
        covariance = (
            self._product(v, v, autocovariance(s_x, rate))
            + shrink**2 * self._product(v_hat, v_hat, autocovariance(s_hat, rate))
            - 2.0 * shrink * self._product(v, v_hat, cross)
        )
        return np.maximum(psd_of(covariance, rate), 0.0)

    def _product(self, v_1: float, v_2: float, covariance: np.ndarray) -> np.ndarray:
        """K^2 E[sin(a u + phi0) sin(a v + phi0)] of jointly Gaussian u, v with these variances and covariance."""
        a2, mean = self.wavenumber**2, 0.5 * (v_1 + v_2)
        difference, total = np.exp(-a2 * (mean - covariance)), np.exp(-a2 * (mean + covariance))
        return np.asarray(0.5 * self.amplitude**2 * (difference - np.cos(2.0 * self.phase) * total))
