"""The surrogate on an analysis segment: transforms of (2,2), of all modes, order by order, and samples of their series."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI, ModeKey
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.threads import in_threads
from gwsurrogate_ml.surrogate.aligned import compiled
from gwsurrogate_ml.surrogate.aligned.compiled import Knots
from gwsurrogate_ml.surrogate.aligned.physical import Layout, PhysicalModes
from gwsurrogate_ml.waveform.conditioning import start_taper
from gwsurrogate_ml.waveform.model import Grid

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
) -> np.ndarray:
    """Transforms (n_sums, n_f) of sums over the modes of one binary, `weights` (n_sums, n, 2), at 1 Mpc."""
    n = si.n_samples(grid.duration, grid.sampling_frequency)
    orders = max(m for _, m in chosen)
    k = si.reaching(k, total * MTSUN_SI, parameters, grid, orders)
    layout = si.layout(k, total * MTSUN_SI, parameters, grid, orders)
    return transformed(si, k, 0, float(total[0]) * MTSUN_SI, weights, layout, grid.duration, n // 2 + 1)


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
    plus, cross = spectra(si, k, parameters, total, weights, chosen, grid)
    return plus, cross


def by_order(
    si: PhysicalModes,
    binary: tuple[float, ...],
    theta_jn: float,
    grid: Grid,
) -> tuple[np.ndarray, np.ndarray]:
    """See `Surrogate.frequency_domain_orders`."""
    theta_jn = finite(theta_jn, "theta_jn", "rad")
    parameters, total = si.one(*binary)
    k = si.at_knots(parameters, total * MTSUN_SI, grid.f_min)
    orders = sorted({m for _, m in si.modes})
    rows = []
    for m in orders:
        of_this_order = tuple(mode for mode in si.modes if mode[1] == m)
        for phase in (0.0, 0.5 * np.pi / m):
            weights = np.zeros((2, len(si.modes), 2))
            found = si.weights(theta_jn, phase, of_this_order)
            weights[:, : found.shape[1]] = found
            rows.append(weights)
    found = spectra(si, k, parameters, total, np.concatenate(rows), si.modes, grid)
    return np.array(orders), found.reshape(len(orders), 2, 2, -1)
