"""The marginalised likelihood of one binary by plain Monte Carlo, for cogwheel.py: only data and model are shared with ours."""

from __future__ import annotations

from typing import Any

import numpy as np

from gwsurrogate_ml.inference import SegmentLikelihood
from gwsurrogate_ml.strain.segment import AnalysisSegment

RATE = 65536
"""Hz: of the matched filters, linear between whose samples 2 % of a cycle at 1000 Hz is the most that lies."""
NEAR, APART = 0.8e-3, 2.5e-3
"""Arrivals (s) on either side of the loudest detector's loudest one that count, and of other detectors' relative to it."""
PSIS, PHASES, NODES = 32, 64, 80
"""Polarisations and phases of a direction and time, evenly spaced from a random one on; nodes of distance."""
TWO, SKIP, ENOUGH, DRAWN, CHUNK, CHECKED = 20.0, 12.0, 60_000, 200_000, 4_000, 5
"""Logs of shares of the largest likelihood below which points are left out, by the order m = 2 alone and by all; directions near
enough at which drawing ends, those drawn at once; polarisations that are summed at once; points that are held against bilby."""


def plain_monte_carlo(
    segment: AnalysisSegment, likelihood: SegmentLikelihood, theta: np.ndarray, far: float, half_width: float
) -> dict[str, Any]:
    """Log of the likelihood ratio's mean over the priors, its error, and the largest difference to bilby's log likelihood.

    Directions are isotropic (those whose delays are far from the loudest arrivals' count as zero), times uniform about the loudest
    arrival, polarisations and phases summed on grids, distance in closed steps.

    Parameters
    ----------
    theta : (9,)
        the model's space and theta_jn
    far : float, Mpc; half_width : float, s
    """
    import lal

    rng = np.random.default_rng(7)
    model = likelihood.model
    orders, (spectra,) = model.orders(model.space.binaries(theta[None, :-1]), likelihood.grid, theta[-1:])
    weight = np.where(segment.mask, 4 / segment.duration / segment.psd, 0.0)
    data = np.where(weight > 0, weight * segment.strain, 0.0)
    size = round(RATE * segment.duration)
    # Detector, order, polarisation, time.
    series = np.stack([np.fft.ifft(np.conj(spectra) * row, n=size, axis=-1) * size for row in data])
    gram = np.einsum("mpf,df,nqf->dmpnq", np.conj(spectra), weight, spectra)
    detectors = [lal.cached_detector_by_prefix[name] for name in segment.detectors]
    places = np.array([d.location for d in detectors]) / lal.C_SI
    middle = int((segment.gps - segment.start_time) * RATE)
    about = slice(middle - RATE // 20, middle + RATE // 20)
    loud = np.sum(np.abs(series[:, :, :, about]) ** 2, axis=(1, 2)) / np.einsum("dmpmp->d", gram).real[:, None]
    peaks, first = (about.start + np.argmax(loud, axis=1)) / RATE, int(np.argmax(loud.max(axis=1)))

    near, n = [], 0
    while sum(map(len, near)) < ENOUGH:
        lon, lat = 2 * np.pi * rng.random(DRAWN), np.arcsin(rng.uniform(-1, 1, DRAWN))
        towards = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        delays = -towards @ places.T
        after = delays - delays[:, first, None] - peaks + peaks[first]
        close = np.all(np.abs(after) < APART, axis=1)
        near.append(np.column_stack([lon, lat, delays])[close])
        n += DRAWN
    lon, lat, *delays = np.concatenate(near).T
    times = peaks[first] + rng.uniform(-NEAR, NEAR, len(lon)) + np.array(delays) - delays[first]
    psis = np.pi / PSIS * (np.arange(PSIS) + rng.random((len(lon), 1)))
    position = times * RATE
    left = np.floor(position).astype(int)
    rest = (position - left)[:, :, None, None]
    there = np.stack([series[d][:, :, at].transpose(2, 0, 1) for d, at in enumerate(left)])
    there = there * (1 - rest) + np.stack([series[d][:, :, at + 1].transpose(2, 0, 1) for d, at in enumerate(left)]) * rest
    fixed = np.array([[lal.ComputeDetAMResponse(d.response, *x, 0.0, 0.0) for d in detectors] for x in zip(lon, lat, strict=True)])

    def patterns(e: np.ndarray, psi: np.ndarray) -> np.ndarray:
        plus, cross = fixed[e, :, 0], fixed[e, :, 1]
        cosine, sine = np.cos(2 * psi)[:, None], np.sin(2 * psi)[:, None]
        return np.stack([plus * cosine + cross * sine, cross * cosine - plus * sine], axis=2)

    two = list(orders).index(2)
    best_of_two = []
    for k in range(PSIS):
        f = patterns(np.arange(len(lon)), psis[:, k])
        z, h = np.einsum("edp,dep->e", f, there[:, :, two]), np.einsum("edp,edq,dpq->e", f, f, gram[:, two, :, two], optimize=True)
        best_of_two.append(0.5 * np.abs(z) ** 2 / h.real)
    best_of_two = np.array(best_of_two)
    k_all, e_all = np.nonzero(best_of_two > best_of_two.max() - TWO)
    phases = 2 * np.pi * np.arange(PHASES) / PHASES
    top, kept = -np.inf, []
    for start in range(0, len(e_all), CHUNK):
        e, k = e_all[start : start + CHUNK], k_all[start : start + CHUNK]
        f, turned = patterns(e, psis[e, k]), rng.random(len(e)) * 2 * np.pi / PHASES
        turns = np.exp(-1j * orders[:, None, None] * (phases + turned[:, None]))
        match = np.einsum("em,meo->eo", np.einsum("edp,demp->em", f, there[:, e]), turns).real
        both = np.einsum("edp,edq,dmpnq->emn", f, f, gram, optimize=True)
        power = sum(
            (2 if b > a else 1) * (both[:, a, b, None] * turns[a] * np.conj(turns[b])).real
            for a in range(len(orders))
            for b in range(a, len(orders))
        )
        best = np.where(match > 0, 0.5 * match**2 / power, -np.inf)
        top = max(top, best.max())
        row, o = np.nonzero(best > top - SKIP)
        kept.append(np.column_stack([e[row], psis[e, k][row], phases[o] + turned[row], match[row, o], power[row, o], best[row, o]]))
    points = np.concatenate(kept)
    points = points[points[:, 5] > top - SKIP]
    log = np.concatenate([over_distance(*part[:, 3:5].T, far) for part in np.array_split(points, 1 + len(points) // 20_000)])
    share = np.exp(log - log.max())
    each = np.bincount(points[:, 0].astype(int), share) / PHASES / PSIS
    mean = each.sum() / n
    error = np.sqrt(np.sum(each**2) / n - mean**2) / mean / np.sqrt(n)
    chosen = points[rng.choice(len(points), CHECKED, p=share / share.sum())]
    at = chosen[:, 0].astype(int)
    table = dict(zip((*model.space.names, "theta_jn"), np.tile(theta[:, None], CHECKED), strict=True)) | {
        "phase": chosen[:, 2],
        "luminosity_distance": chosen[:, 4] / chosen[:, 3],
        "psi": chosen[:, 1],
        "lon": lon[at],
        "dec": lat[at],
        "geocent_time": segment.start_time + times[first, at] - delays[first][at],
    }
    off = np.max(np.abs(bilbys(segment, table) - chosen[:, 5]))
    value = float(np.log(mean) + log.max() + np.log(2 * NEAR / (2 * half_width)))
    effective = float(each.sum() ** 2 / np.sum(each**2))
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
