"""The surrogate as time series in SI units: one binary from a frequency on, or many on one grid of times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI, ModeKey
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.kernels.threads import in_threads
from gwsurrogate_ml.surrogate.aligned import compiled
from gwsurrogate_ml.surrogate.aligned.physical import MOST_SAMPLES, PhysicalModes
from gwsurrogate_ml.surrogate.aligned.transforms import rise
from gwsurrogate_ml.waveform.model import require_places

Modes = Iterable[ModeKey] | None


def strain(
    si: PhysicalModes,
    binaries: tuple[float, ...],
    luminosity_distance: float,
    theta_jn: float,
    phase: float,
    f_min: float,
    sampling_frequency: float,
    f_ref: float | None,
    modes: Modes,
    taper: bool,
) -> tuple[float, np.ndarray, np.ndarray]:
    """See `Surrogate.strain`; `binaries` are mass_1, mass_2, chi_1, chi_2."""
    luminosity_distance = positive(luminosity_distance, "luminosity_distance", "Mpc")
    theta_jn, phase = finite(theta_jn, "theta_jn", "rad"), finite(phase, "phase", "rad")
    positive(sampling_frequency, "sampling_frequency", "Hz")
    parameters, total = si.one(*binaries)
    unit = float(total[0]) * MTSUN_SI
    k = si.at_knots(parameters, total * MTSUN_SI, f_min, f_ref)
    reach = float(si.start_at(k, total * MTSUN_SI, f_min, parameters)[0]) * unit
    chosen = si.chosen(modes)
    l = max(l for l, _ in chosen)
    si.require_rate(sampling_frequency, si.highest(k, total * MTSUN_SI, l), l)
    begin = max(reach - 0.4 / 0.9, si.geometric.t_min * unit) if taper else reach
    first = int(np.ceil(begin * sampling_frequency))
    last = int(np.floor(si.geometric.t_max * unit * sampling_frequency))
    si.require_room(last - first, sampling_frequency)
    turned = si.phase_at_peak(k, total * MTSUN_SI, phase, f_ref, parameters)
    step = 1.0 / sampling_frequency / unit
    out = si.observed(k, theta_jn, turned, first * step, step, last - first + 1, chosen)
    if taper:
        ramp = int(si.ramp(-first, reach, sampling_frequency))
        out[:, :ramp] *= rise(ramp)
    out *= unit / (luminosity_distance * MPC_SECONDS)
    return first / sampling_frequency, out[0], out[1]


def batch(
    si: PhysicalModes,
    given: dict[str, Any],
    start: float,
    samples: int,
    sampling_frequency: float,
    modes: Modes,
) -> np.ndarray:
    """See `Surrogate.batch_polarizations`; `given` are parameters by bilby's names."""
    positive(sampling_frequency, "sampling_frequency", "Hz")
    positive(samples, "samples")
    if samples != int(samples) or samples > MOST_SAMPLES:
        raise ConfigError(f"samples is {samples!r}: give a whole number, at most {MOST_SAMPLES}")
    finite(start, "start", "s from the peak")
    samples = int(samples)
    columns = si.columns(given)
    parameters, total = si.many(*(columns[name] for name in ("mass_1", "mass_2", "chi_1", "chi_2")))
    distance, theta, azimuth = (columns[name] for name in ("luminosity_distance", "theta_jn", "phase"))
    require_places(len(total), theta, azimuth, distance)
    chosen = si.chosen(modes)
    units = total * MTSUN_SI
    end = start + (samples - 1) / sampling_frequency
    if len(units):
        si.geometric.check_times(np.outer([start, end], 1.0 / units[[units.argmin(), units.argmax()]]).ravel())
    scale = units / (distance * MPC_SECONDS)
    weights = si.weights(theta, azimuth, chosen) * scale[:, None, None, None]
    out = np.empty((len(total), 2, samples))
    highest = max(l for l, _ in chosen)

    def work(part: slice) -> None:
        k = si.geometric.at_knots(parameters[part], (start / units[part]).min())
        si.require_rate(sampling_frequency, si.highest(k, units[part], highest), highest)
        rows = compiled.at_all_knots(si.tables, k)
        for i, unit in enumerate(units[part]):
            row = part.start + i
            step = 1.0 / sampling_frequency / unit
            compiled.sums(si.tables, k, rows, i, weights[row], start / unit, step, out[row])

    in_threads(work, len(total))
    return out
