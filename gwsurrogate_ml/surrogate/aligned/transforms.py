"""The surrogate on an analysis segment: transforms of (2,2), of all modes, order by order, and samples of their series."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI, ModeKey
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.threads import in_threads
from gwsurrogate_ml.surrogate.aligned import compiled
from gwsurrogate_ml.surrogate.aligned.compiled import Knots
from gwsurrogate_ml.surrogate.aligned.physical import Layout, PhysicalModes
from gwsurrogate_ml.waveform.conditioning import start_taper
from gwsurrogate_ml.waveform.model import Grid
from gwsurrogate_ml.waveform.polarizations import harmonics, projections

_FACE_ON = np.array([[[-np.sqrt(5.0 / (4.0 * np.pi)), 0.0]]])  # h_plus of (2,2) for theta_jn = 0, phase = 0


@lru_cache(maxsize=4096)
def rise(samples: int) -> np.ndarray:
    """The taper over so many samples; read-only, kept, since batches ask for the same lengths again and again."""
    rise = start_taper(np.arange(samples, dtype=np.float64), 0.0, float(samples))
    rise.flags.writeable = False
    return rise


def spectra(
    si: PhysicalModes,
    k: Knots,
    parameters: np.ndarray,
    total: np.ndarray,
    weights: np.ndarray,
    chosen: tuple[ModeKey, ...],
    grid: Grid,
    wanted: np.ndarray | slice = slice(None),
) -> np.ndarray:
    """Transforms (N, n_sums, n) at the frequencies `wanted`, 1 Mpc away, of sums over the modes of N binaries: `weights` (N or 1,
    n_sums, n_modes, 2), zero for modes that are not `chosen`."""
    n_f = si.n_samples(grid.duration, grid.sampling_frequency) // 2 + 1
    units, highest = total * MTSUN_SI, max(l for l, _ in chosen)
    k = si.reaching(k, units, parameters, grid, highest)
    layout = si.layout(k, units, parameters, grid, highest)
    weights = np.broadcast_to(weights, (len(units), *weights.shape[1:]))
    out = np.empty((len(units), weights.shape[1], len(np.arange(n_f)[wanted])), np.complex128)
    for i, unit in enumerate(units.tolist()):
        out[i] = transformed(si, k, i, unit, weights[i], layout, grid.duration, n_f)[:, wanted]
    return out


def transformed(
    si: PhysicalModes, k: Knots, i: int, unit: float, weights: np.ndarray, layout: Layout, duration: float, n_f: int
) -> np.ndarray:
    """First `n_f` bins (n_sums, n_f) of the transforms of sums over the modes of the i-th waveform of `k`, at 1 Mpc."""
    rate, before, after, ramp = (column[i] for column in layout)
    step = 1.0 / rate / unit
    part = np.empty((len(weights), before + after))
    compiled.sums(si.tables, k, compiled.NOTHING, i, weights, -before * step, step, part)
    part[:, :ramp] *= rise(ramp)
    series = np.zeros((len(weights), round(duration * rate)))
    series[:, :after], series[:, series.shape[1] - before :] = part[:, before:], part[:, :before]
    series *= unit / MPC_SECONDS / rate
    return np.stack([fft.rfft(row)[:n_f] for row in series])


def quadrupole(si: PhysicalModes, binaries: tuple[Any, ...], grid: Grid) -> np.ndarray:
    """See `Surrogate.frequency_domain`; `binaries` are mass_1, mass_2, chi_1, chi_2, each (N,)."""
    n = si.n_samples(grid.duration, grid.sampling_frequency)
    parameters, total = si.many(*binaries)
    out = np.empty((len(total), n // 2 + 1), dtype=np.complex128)

    def work(rows: slice) -> None:
        units = total[rows] * MTSUN_SI
        k = si.at_knots(parameters[rows], units, grid.f_min)
        layout = si.layout(k, units, parameters[rows], grid)
        for i, unit in enumerate(units):
            out[rows.start + i] = transformed(si, k, i, unit, _FACE_ON, layout, grid.duration, n // 2 + 1)[0]

    in_threads(work, len(total))
    return out


def samples(
    si: PhysicalModes,
    binaries: tuple[Any, ...],
    times: np.ndarray,
    grid: Grid,
) -> np.ndarray:
    """See `Surrogate.samples`."""
    parameters, total = si.many(*binaries)
    out = np.empty((len(total), len(times)))

    def work(rows: slice) -> None:
        units = total[rows] * MTSUN_SI
        k = si.at_knots(parameters[rows], units, grid.f_min)
        layout = si.layout(k, units, parameters[rows], grid)
        spans = np.stack([-layout.before, layout.ramp - layout.before, layout.after], 1) / layout.rate[:, None]
        compiled.samples(si.tables, k, _FACE_ON, units, spans, times, out[rows])
        out[rows] *= (units / MPC_SECONDS)[:, None]

    in_threads(work, len(total))
    return out


def polarizations(
    si: PhysicalModes,
    binary: tuple[float, ...],
    luminosity_distance: float,
    theta_jn: float,
    phase: float,
    f_ref: float | None,
    modes: Iterable[ModeKey] | None,
    grid: Grid,
) -> tuple[np.ndarray, np.ndarray]:
    """See `Surrogate.frequency_domain_polarizations`."""
    luminosity_distance = positive(luminosity_distance, "luminosity_distance", "Mpc")
    theta_jn, phase = finite(theta_jn, "theta_jn", "rad"), finite(phase, "phase", "rad")
    parameters, total = si.one(*binary)
    chosen = si.chosen(modes)
    k = si.at_knots(parameters, total * MTSUN_SI, grid.f_min, f_ref)
    phase = si.phase_at_peak(k, total * MTSUN_SI, phase, f_ref, parameters)
    weights = si.weights(theta_jn, phase, chosen) / luminosity_distance
    plus, cross = spectra(si, k, parameters, total, weights[None], chosen, grid)[0]
    return plus, cross


def oriented(
    si: PhysicalModes,
    binaries: tuple[Any, ...],
    theta_jn: np.ndarray,
    phase: np.ndarray,
    luminosity_distance: np.ndarray,
    grid: Grid,
) -> np.ndarray:
    """Both polarizations (N, 2, n_f) of N binaries, all modes; angles (N,) in rad, distances (N,) in Mpc."""
    parameters, total = si.many(*binaries)
    out = np.empty((len(total), 2, grid.n_f), dtype=np.complex128)

    def work(rows: slice) -> None:
        k = si.at_knots(parameters[rows], total[rows] * MTSUN_SI, grid.f_min)
        weights = si.weights(theta_jn[rows], phase[rows], si.modes) / luminosity_distance[rows, None, None, None]
        out[rows] = spectra(si, k, parameters[rows], total[rows], weights, si.modes, grid)

    in_threads(work, len(total))
    return out


def orders(
    si: PhysicalModes,
    binaries: tuple[Any, ...],
    theta_jn: np.ndarray,
    grid: Grid,
    wanted: np.ndarray | slice = slice(None),
    one_sided: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """See `WaveformModel.orders_at`; `one_sided`: without negative m, half of the transforms."""
    parameters, total = si.many(*binaries)
    if np.shape(theta_jn) != total.shape:
        raise ConfigError(f"theta_jn has the shape {np.shape(theta_jn)}: give ({len(total)},), one angle for each binary")
    found = np.array(sorted({m for _, m in si.modes}))
    weights = order_weights(si.modes, theta_jn, found)
    # Each mode's real and imaginary parts; one-sided the real parts alone, as the imaginary ones have i times their transforms.
    n_modes = len(si.modes)
    parts = np.eye(2 * n_modes).reshape(1, 2 * n_modes, n_modes, 2)
    if one_sided:
        parts, weights = parts[:, ::2], weights[..., :1] + 1j * weights[..., 1:]
    else:
        found, weights = np.concatenate([found, -found]), np.concatenate([weights, weights.conj()], axis=1)
    weights = weights.reshape(len(total), 2 * len(found), parts.shape[1])
    out = np.empty((len(total), len(found), 2, len(np.arange(grid.n_f)[wanted])), dtype=np.complex128)

    def work(rows: slice) -> None:
        k = si.at_knots(parameters[rows], total[rows] * MTSUN_SI, grid.f_min)
        h = spectra(si, k, parameters[rows], total[rows], parts, si.modes, grid, wanted)
        out[rows] = (weights[rows] @ h).reshape(out[rows].shape)

    in_threads(work, len(total))
    return found, out


def order_weights(modes: tuple[ModeKey, ...], theta_jn: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Weights (N, n_m, 2, n_modes, 2) complex128 of the modes' real and imaginary parts in plus and cross, order by order m > 0:
    the polarizations are the sum over m of ``2 Re[exp(i m phase) weights]`` times these."""
    y = harmonics(modes, theta_jn, 0.0)
    quarter = y * np.array([-1j, 1j])  # at the phase pi / 2m
    half = 0.5 * (projections(modes, y) - 1j * projections(modes, quarter))
    return half[:, None] * (orders[:, None] == np.array([m for _, m in modes]))[:, None, :, None]
