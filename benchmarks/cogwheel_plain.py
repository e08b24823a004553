"""The marginalised likelihood of one binary by plain Monte Carlo, for cogwheel.py: nothing of ours but the model's orders and the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from gwsurrogate_ml.inference import SegmentLikelihood
from gwsurrogate_ml.strain.segment import AnalysisSegment

RATE = 65536
"""Hz: of the matched filters, linear between whose samples 2 % of a cycle at 1000 Hz is the most that lies."""
NEAR, PHASES, NODES = 1.5e-3, 128, 400
"""Arrivals (s) on either side of the loudest ones that count; phases; nodes of distance."""
SKIP, CHUNK, CHECKED = 14.0, 20_000, 5


def plain_monte_carlo(
    segment: AnalysisSegment, likelihood: SegmentLikelihood, theta: np.ndarray, far: float, half_width: float, n: int
) -> dict[str, Any]:
    """Log of the likelihood ratio's mean over the priors, its error, and the largest difference to bilby's log likelihood.

    Directions are isotropic (those whose delay between the first two detectors is far from the loudest arrivals' count as zero),
    polarisations and phases uniform, arrivals at the first detector uniform about the loudest, distance uniform in volume.

    Parameters
    ----------
    theta : (9,)
        the model's space and theta_jn
    far : float, Mpc; half_width : float, s; n : int, directions
    """
    import lal

    rng = np.random.default_rng(7)
    model = likelihood.model
    binary = model.space.binaries(theta[None, :-1])
    orders, (spectra,) = model.orders(binary, likelihood.grid, theta[-1:])
    weight = np.where(segment.mask, 4 / segment.duration / segment.psd, 0.0)
    data = np.where(weight > 0, weight * segment.strain, 0.0)
    size = round(RATE * segment.duration)
    series = np.stack(
        [np.fft.ifft(np.conj(spectra) * row, n=size, axis=-1) * size for row in data]
    )  # detector, order, polarisation
    gram = np.einsum("mpf,df,nqf->dmpnq", np.conj(spectra), weight, spectra)
    detectors = [lal.cached_detector_by_prefix[name] for name in segment.detectors]
    places = np.array([d.location for d in detectors]) / lal.C_SI
    middle = int((segment.gps - segment.start_time) * RATE)
    about = slice(middle - RATE // 20, middle + RATE // 20)
    peaks = (about.start + np.argmax(np.sum(np.abs(series[:, :, :, about]) ** 2, axis=(1, 2)), axis=1)) / RATE

    lon, lat = 2 * np.pi * rng.random(n), np.arcsin(rng.uniform(-1, 1, n))
    towards = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    delays = -towards @ places.T
    near = np.abs(delays[:, 0] - delays[:, 1] - peaks[0] + peaks[1]) < 2 * NEAR
    lon, lat, delays = lon[near], lat[near], delays[near]
    psi, geocentre = np.pi * rng.random(len(lon)), peaks[0] + rng.uniform(-NEAR, NEAR, len(lon)) - delays[:, 0]
    patterns = np.array(
        [[lal.ComputeDetAMResponse(d.response, *x, 0.0) for d in detectors] for x in zip(lon, lat, psi, strict=True)]
    )

    phases = 2 * np.pi * np.arange(PHASES) / PHASES
    turns = np.exp(-1j * np.outer(orders, phases))
    top, kept = -np.inf, []
    for first in range(0, len(lon), CHUNK):
        part = slice(first, first + CHUNK)
        f, position = patterns[part], (geocentre[part, None] + delays[part]) * RATE
        z = 0.0
        for d in range(len(detectors)):
            left = np.floor(position[:, d]).astype(int)
            rest = position[:, d] - left
            there = series[d, :, :, left] * (1 - rest)[:, None, None] + series[d, :, :, left + 1] * rest[:, None, None]
            z = z + np.einsum("ep,emp->em", f[:, d], there)
        match = (z @ turns).real
        both = np.einsum("edp,edq,dmpnq->emn", f, f, gram, optimize=True)
        power = np.einsum("emn,mo,no->eo", both, turns, np.conj(turns), optimize=True).real
        best = np.where(match > 0, 0.5 * match**2 / power, -np.inf)
        top = max(top, best.max())
        e, o = np.nonzero(best > top - SKIP)
        kept.append(np.column_stack([e + first, phases[o], match[e, o], power[e, o], best[e, o]]))
    points = np.concatenate(kept)
    points = points[points[:, 4] > top - SKIP]
    log = over_distance(points[:, 2], points[:, 3], far)
    share = np.exp(log - log.max())
    # All phases of a point are one draw of the Monte Carlo.
    each = np.bincount(points[:, 0].astype(int), share, minlength=len(lon)) / PHASES
    mean = each.sum() / n
    error = np.sqrt(np.sum(each**2) / n - mean**2) / mean / np.sqrt(n)
    chosen = points[rng.choice(len(points), CHECKED, p=share / share.sum())]
    at = chosen[:, 0].astype(int)
    table = dict(zip((*model.space.names, "theta_jn"), np.tile(theta[:, None], CHECKED), strict=True)) | {
        "phase": chosen[:, 1],
        "luminosity_distance": chosen[:, 3] / chosen[:, 2],
        "psi": psi[at],
        "lon": lon[at],
        "dec": lat[at],
        "geocent_time": segment.start_time + geocentre[at],
    }
    off = np.max(np.abs(bilbys(segment, table) - chosen[:, 4]))
    effective = float(each.sum() ** 2 / np.sum(each**2))
    value = float(np.log(mean) + log.max() + np.log(2 * NEAR / (2 * half_width)))
    return {"value": [value, float(error)], "effective": effective, "off_bilby": float(off)}


def over_distance(match: np.ndarray, power: np.ndarray, far: float) -> np.ndarray:
    """Log (n,) of the mean over volume within `far` (Mpc) of exp(match / D - power / 2 D^2), by trapezoids in 1 / D."""
    sigma = power**-0.5
    low = np.maximum(match / power - 9 * sigma, 1 / far)
    high = match / power + 9 * sigma
    u = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, NODES)
    log = match[:, None] * u - 0.5 * power[:, None] * u**2 - 4 * np.log(u)
    top = log.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.trapezoid(np.exp(log - top), u, axis=1)) + np.log(3 / far**3)


def bilbys(segment: AnalysisSegment, table: dict[str, np.ndarray]) -> np.ndarray:
    """bilby's log likelihood ratios of its own IMRPhenomXPHM at the rows of `table`."""
    import bilby
    from bilby_cython.time import greenwich_mean_sidereal_time

    generator = bilby.gw.WaveformGenerator(
        duration=segment.duration,
        sampling_frequency=segment.sampling_frequency,
        frequency_domain_source_model=bilby.gw.source.lal_binary_black_hole,
        waveform_arguments={
            "waveform_approximant": "IMRPhenomXPHM",
            "reference_frequency": segment.f_min,
            "minimum_frequency": segment.f_min,
        },
    )
    theirs = bilby.gw.GravitationalWaveTransient(segment.to_bilby(), generator)
    out = []
    for i in range(len(table["psi"])):
        row = {name: float(column[i]) for name, column in table.items()}
        row["ra"] = (row.pop("lon") + greenwich_mean_sidereal_time(row["geocent_time"])) % (2 * np.pi)
        out.append(theirs.log_likelihood_ratio(row))
    return np.array(out)
