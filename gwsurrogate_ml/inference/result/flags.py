"""Is a result to be believed? Residual test, glitches, a second signal, edges of the prior, and the flags that say so.

Residual test: the data less the best-fitting waveform, whitened, in tiles of time and frequency around the merger. The
energy of each is compared with that of tiles of the same band elsewhere in the segment. In stationary Gaussian noise the
ratio follows an F distribution, whatever the noise's level: an error of the spectrum alone raises no flag. The smallest
p-value is corrected for the number of tiles (Sidak).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.inference.analysis.preflight import GLITCH, loudest_glitch

if TYPE_CHECKING:
    import pandas as pd

    from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
    from gwsurrogate_ml.inference.result.result import Result

TILE = 0.125
"""Length of a tile in s: about two cycles of the lowest band."""
BEFORE, AFTER = 3, 1
"""Tiles around the merger that are tested."""
BANDS = (24.0, 64.0, 128.0, 256.0, 512.0)
"""Edges of the bands in Hz."""
POOR_RESIDUAL = 0.003
"""p-value of the residual below which a flag is raised: three false ones in a thousand events."""
SECOND_SNR = 8.5
"""Network signal-to-noise ratio at which something else in the segment is reported; noise alone reaches 7."""
CLEAR_OF_MERGER = 0.15
"""Seconds around the merger in which a second signal cannot be told from a misfit."""
BOUNDED = {
    "chirp_mass": (0.0, np.inf),
    "mass_ratio": (0.0, 1.0),
    "chi_1": (-1.0, 1.0),
    "chi_2": (-1.0, 1.0),
    "luminosity_distance": (0.0, np.inf),
    "geocent_time": (-np.inf, np.inf),
}
"""Parameters that a prior may cut off, with the ends that nature gives them; angles have all of their range."""
AT_EDGE, NEAR_EDGE = 0.15, 0.2
"""Share of the draws that may lie within `NEAR_EDGE` standard deviations of an end: 6 % of a uniform posterior, 10 % of half a
normal one, 18 % of an exponential that falls from the edge."""
UNSEEN, NETWORK_SERVED = "unlike the training", 0.2
"""Words of the flags of data that the network had not seen (`unusual`), and the efficiency from which they do not matter."""
FEW_DRAWS = 300
"""Effective draws below which quantiles are rough."""


@dataclass(frozen=True)
class ResidualTest:
    """Outcome of the residual test.

    Attributes
    ----------
    p_value : float
        of the loudest tile, corrected for the number of tiles
    detector : str
    start, duration : float, s
        of that tile; start relative to the merger in that detector
    f_low, f_high : float, Hz
    excess : float
        its energy over that of the noise
    n_tiles : int
    """

    p_value: float
    detector: str
    start: float
    duration: float
    f_low: float
    f_high: float
    excess: float
    n_tiles: int


def residual_test(likelihood: SegmentLikelihood, signal: np.ndarray, merger: np.ndarray) -> ResidualTest:
    """Compare the residual around the merger with the rest of the segment.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    signal : (n_det, n_f) complex128, 1/Hz
        best-fitting signal in each detector
    merger : (n_det,) float, s
        its arrival, from the start of the segment

    Returns
    -------
    ResidualTest

    Notes
    -----
    Tiles of the tapered ends of the segment are left out, and those next to the tested ones. Fitting takes some eleven
    degrees of freedom of about a thousand away, which makes the test slightly lenient.
    """
    from scipy.stats import f as f_distribution

    segment = likelihood.segment
    white = segment.whitened(np.where(likelihood.weight > 0, likelihood.strain - signal, 0.0))
    rate = white.shape[-1] / segment.duration
    length = round(TILE * rate)
    frequencies = np.fft.rfftfreq(length, 1 / rate)
    edge = max(segment.roll_off, TILE)
    best: tuple[float, ResidualTest] | None = None
    n_tiles = 0
    for d, name in enumerate(segment.detectors):
        # Tiles on a grid that ends at the merger, so that none straddles it.
        first = int(np.floor((merger[d] - edge) / TILE))
        starts = merger[d] + TILE * np.arange(-first, int((segment.duration - edge - merger[d]) / TILE))
        rows = np.round(starts * rate).astype(int)
        keep = (rows >= 0) & (rows + length <= white.shape[-1])
        number = np.arange(-first, -first + len(starts))[keep]
        power = np.abs(np.fft.rfft([white[d, r : r + length] for r in rows[keep]], axis=1)) ** 2
        tested = (number >= -BEFORE) & (number < AFTER)
        away = (number < -BEFORE - 1) | (number > AFTER)
        for low, high in pairwise(BANDS):
            band = (frequencies >= max(low, segment.f_min)) & (frequencies < min(high, segment.f_max))
            if not band.any() or away.sum() < 4:
                continue
            energy = power[:, band].sum(axis=1)
            noise, dof = energy[away].mean(), 2 * int(band.sum())
            for k in np.flatnonzero(tested):
                n_tiles += 1
                p = float(f_distribution.sf(energy[k] / noise, dof, dof * int(away.sum())))
                if best is None or p < best[0]:
                    start = float(number[k] * TILE)
                    best = p, ResidualTest(p, name, start, TILE, low, high, float(energy[k] / noise), 0)
    if best is None:
        return ResidualTest(1.0, segment.detectors[0], 0.0, TILE, BANDS[0], BANDS[-1], 1.0, 0)
    corrected = float(-np.expm1(n_tiles * np.log1p(-min(best[0], 1 - 1e-16))))
    return ResidualTest(**(asdict(best[1]) | {"p_value": corrected, "n_tiles": n_tiles}))


def second_signal(
    likelihood: SegmentLikelihood, signal: np.ndarray, merger: np.ndarray, templates: np.ndarray
) -> dict[str, float]:
    """The loudest coincident trigger in the residual, away from the merger.

    Parameters
    ----------
    likelihood, signal, merger : as for `residual_test`
    templates : (N, n_f) complex128
        face-on waveforms to filter with

    Returns
    -------
    dict with `snr` (network), `time` (s after the merger, in the first detector) and the SNRs by detector
    """
    from scipy.ndimage import maximum_filter1d

    segment, n = likelihood.segment, 2 * (len(likelihood.frequencies) - 1)
    rate = n / segment.duration
    sigma = np.sqrt(likelihood.power(templates))
    times = np.arange(n) / rate
    edge = max(2 * segment.roll_off, 0.25)
    lag = int(np.ceil(likelihood.network.light_travel_time * rate)) + 1
    allowed = (times > edge) & (times < segment.duration - edge) & (np.abs(times - merger[0]) > CLEAR_OF_MERGER)
    found = {"snr": 0.0, "time": 0.0}
    for h, norm in zip(templates, sigma, strict=True):
        grid = np.zeros((len(signal), n), dtype=np.complex128)
        grid[:, : h.size] = np.conj(h) * likelihood.weight * (likelihood.strain - signal)
        rho = np.abs(np.fft.ifft(grid, axis=1) * n) / norm[:, None]
        others = [maximum_filter1d(row, 2 * lag + 1) for row in rho[1:]]
        total = np.sqrt(rho[0] ** 2 + sum(row**2 for row in others))
        # A signal shows in every detector; what one alone sees is a glitch, and no second event.
        seen = allowed & (np.min([rho[0], *others], axis=0) > 4)
        k = int(np.argmax(np.where(seen, total, 0.0)))
        if seen[k] and total[k] > found["snr"]:
            found = {"snr": float(total[k]), "time": float(times[k] - merger[0])}
            found |= {name: float(row[k]) for name, row in zip(segment.detectors, [rho[0], *others], strict=True)}
    return found


def best_signal(likelihood: SegmentLikelihood, best: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Signal (n_det, n_f) of the eleven parameters `best`, and its arrival (n_det,) in s from the segment's start."""
    from gwsurrogate_ml.conventions import PARAMETERS
    from gwsurrogate_ml.inference.likelihood.detectors import earth_direction

    table = {name: np.array([float(best[name])]) for name in PARAMETERS}
    direction = earth_direction(table["ra"], table["dec"], table["geocent_time"])
    merger = float(best["geocent_time"]) - likelihood.segment.start_time + likelihood.network.delays(direction)[0]
    return likelihood.signals(table)[0], merger


def examine(likelihood: SegmentLikelihood, best: Mapping[str, float], templates: np.ndarray) -> dict[str, Any]:
    """The checks of the residual for one result, as plain numbers for its meta data.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    best : the eleven parameters of the posterior draw of highest likelihood
    templates : (N, n_f) complex128, see `second_signal`
    """
    signal, merger = best_signal(likelihood, best)
    return {
        "residual": asdict(residual_test(likelihood, signal, merger)),
        "second_signal": second_signal(likelihood, signal, merger, templates),
        "glitch": loudest_glitch(likelihood, signal, merger, BEFORE * TILE, AFTER * TILE),
    }


def cut_off(posterior: pd.DataFrame, bounds: Mapping[str, tuple[float, float]]) -> list[str]:
    """What piles up at an end of its prior, one sentence for each end.

    Parameters
    ----------
    posterior : DataFrame
        equally weighted draws
    bounds : mapping from parameter to (low, high) of its prior

    Examples
    --------
    >>> import pandas as pd
    >>> x = np.random.default_rng(0).exponential(size=10_000)
    >>> len(cut_off(pd.DataFrame({"chirp_mass": 20 + x}), {"chirp_mass": (20.0, 60.0)}))
    1
    """
    out = []
    for name, nature in BOUNDED.items():
        if name not in posterior or name not in bounds:
            continue
        x = posterior[name].to_numpy()
        for bound, natural in zip(bounds[name], nature, strict=True):
            share = float(np.mean(np.abs(x - bound) < NEAR_EDGE * np.std(x)))
            if bound != natural and share > AT_EDGE:
                out.append(
                    f"cut off by the prior: {100 * share:.0f} % of the posterior of {name} lie at the end of its prior, "
                    f"{bound:.10g}: the truth may lie beyond, and what depends on it is off; widen the prior where the model "
                    "reaches further"
                )
    return out


def largest_share(log_weights: np.ndarray) -> float:
    """Share of the largest weight in the sum of all.

    Examples
    --------
    >>> largest_share(np.log([1.0, 2.0, 1.0]))
    0.5
    """
    return float(1.0 / np.sum(np.exp(log_weights - np.max(log_weights))))


def _bounds(result: Result) -> dict[str, tuple[float, float]]:
    """(low, high) of the prior on each parameter; empty where the result does not say."""
    from gwsurrogate_ml.inference.result.reweight import prior_of

    if not {"prior", "segment"} <= result.meta.keys():
        return {}
    return {name: (float(p.minimum), float(p.maximum)) for name, p in prior_of(result).items() if name in BOUNDED}


def flags(result: Result) -> list[str]:
    """What speaks against a result, one sentence each; empty if nothing does.

    Reads the diagnostics and what `meta` holds under "checks" (see `examine`) and "flags" (sentences of other checks).
    """
    # What the network had not seen matters where its draws turned out poor: their weights are exact.
    good = result.pareto_k < 0.7 and result.sample_efficiency >= NETWORK_SERVED
    found = [text for text in map(str, result.meta.get("flags", [])) if not (good and UNSEEN in text)]
    effective = result.sample_efficiency * result.n_draws
    if not result.pareto_k < 0.7:
        found.append(
            f"unreliable weights: Pareto k is {result.pareto_k:.2f}, above 0.7: their tail is heavier than a finite sample can "
            "vouch for, and the errors quoted of averages and evidence may be too small (the largest weight is "
            f"{100 * largest_share(result.log_weights):.2g} % of the sum); draw more"
        )
    if effective < FEW_DRAWS:
        found.append(
            f"low efficiency: {result.n_draws} draws are worth {effective:.0f} independent ones; intervals are rough, draw more"
        )
    if result.extrinsic_ess < 20:
        found.append(
            f"rough extrinsic integral: {result.extrinsic_ess:.0f} effective points a draw; raise n_points in the options"
        )
    if result.log_bayes_factor < 3.0:
        found.append(
            f"no signal: the log Bayes factor against Gaussian noise is {result.log_bayes_factor:.1f}; the posterior is "
            "hardly more than the prior"
        )
    found += cut_off(result.posterior, _bounds(result))
    checks = result.meta.get("checks", {})
    residual, second, glitch = (checks.get(name) for name in ("residual", "second_signal", "glitch"))
    if glitch and glitch["snr"] ** 2 > GLITCH:
        found.append(
            f"glitch: {glitch['detector']} has an excess of signal-to-noise ratio {glitch['snr']:.1f} at {glitch['start']:+.2f} s "
            f"from the merger, {glitch['f_low']:g} to {glitch['f_high']:g} Hz, which no waveform of the model explains: evidence, "
            "sky position and distance may be off; subtract it, or analyse a segment or band without it"
        )
    if residual and residual["p_value"] < POOR_RESIDUAL:
        found.append(
            f"poor residual: p = {residual['p_value']:.1e}; {residual['detector']} has {residual['excess']:.1f} times the "
            f"noise's energy from {residual['start']:+.3f} to {residual['start'] + residual['duration']:+.3f} s around the "
            f"merger, {residual['f_low']:g} to {residual['f_high']:g} Hz: a glitch, or a signal the waveforms do not describe"
        )
    if second and second["snr"] > SECOND_SNR:
        found.append(
            f"something else in the segment: network SNR {second['snr']:.1f} at {second['time']:+.2f} s from the merger after "
            "the signal is taken away: a second event or a glitch; it may bias the result"
        )
    return found
