"""Is a result to be believed? Weights, edges of the prior, what the residual and the data say, and the flags that tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.inference.result import glitches, nuisances
from gwsurrogate_ml.inference.result.residual import GLITCH

if TYPE_CHECKING:
    import pandas as pd
    from bilby.core.prior import Prior

    from gwsurrogate_ml.inference.result.result import Result

POOR_RESIDUAL = 0.003
"""p-value of the residual below which a flag is raised: three false ones in a thousand events."""
SECOND_SNR = 8.5
"""Network signal-to-noise ratio at which something else in the segment is reported; noise alone reaches 7."""
BOUNDED = {
    "chirp_mass": (0.0, np.inf),
    "mass_ratio": (0.0, 1.0),
    "chi_1": (-1.0, 1.0),
    "chi_2": (-1.0, 1.0),
    "a_1": (0.0, 1.0),
    "a_2": (0.0, 1.0),
    "luminosity_distance": (0.0, np.inf),
    "geocent_time": (-np.inf, np.inf),
    "mass_1": (0.0, np.inf),
    "mass_2": (0.0, np.inf),
    "total_mass": (0.0, np.inf),
}
"""Parameters that a prior, or a constraint of one, may cut off, with the ends that nature gives them; angles have all of their
range."""
AT_EDGE, NEAR_EDGE = 0.15, 0.2
"""Share of the likelihood that may lie within `NEAR_EDGE` standard deviations of an end: 6 % of a flat one, 9 % of a normal one
that peaks at the end, 15 % of one that peaks two of its standard deviations beyond, 18 % of one whose peak is far."""
SEEN = 0.03
"""Share of the draws themselves that must lie there: where the prior vanishes towards an end, few stand for much."""
UNSEEN, NETWORK_SERVED = "unlike the training", 0.2
"""Words of the flags of data that the network had not seen (`unusual`), and the efficiency from which they do not matter."""
FEW_DRAWS = 300
"""Effective draws below which quantiles are rough."""


def cut_off(posterior: pd.DataFrame, priors: Mapping[str, Prior]) -> list[str]:
    """What piles up at an end of its prior more than the prior itself does, one sentence for each end.

    Parameters
    ----------
    posterior : DataFrame
        equally weighted draws
    priors : mapping from parameter to its prior, or a constraint, of bilby's

    Examples
    --------
    >>> import pandas as pd
    >>> from bilby.core.prior import Uniform
    >>> x = np.random.default_rng(0).exponential(size=10_000)
    >>> len(cut_off(pd.DataFrame({"chirp_mass": 20 + x}), {"chirp_mass": Uniform(20.0, 60.0)}))
    1
    """
    out = []
    for name, nature in BOUNDED.items():
        if name not in posterior or name not in priors:
            continue
        x, prior = posterior[name].to_numpy(), priors[name]
        weights = _likelihood(x, prior)
        spread = np.sqrt(np.average((x - np.average(x, weights=weights)) ** 2, weights=weights))
        for bound, natural in zip((float(prior.minimum), float(prior.maximum)), nature, strict=True):
            near = np.abs(x - bound) < NEAR_EDGE * spread
            share = float(np.average(near, weights=weights))
            if bound != natural and share > AT_EDGE and np.mean(near) > SEEN:
                out.append(
                    f"cut off by the prior: {100 * share:.0f} % of the likelihood of {name} lie at the end of its prior, "
                    f"{bound:.10g}: the truth may lie beyond, and what depends on it is off; widen the prior, or the constraint, "
                    "where the model reaches further"
                )
    return out


def _likelihood(x: np.ndarray, prior: Prior) -> np.ndarray:
    """Weights that take the prior out of draws `x` (n,); a constraint has no density of its own."""
    density = np.ones(len(x)) if type(prior).__name__ == "Constraint" else np.asarray(prior.prob(x), dtype=float)
    usable = np.isfinite(density) & (density > 0)
    return np.divide(1.0, density, where=usable, out=np.zeros(len(x))) if usable.any() else np.ones(len(x))


def largest_share(log_weights: np.ndarray) -> float:
    """Share of the largest weight in the sum of all.

    Examples
    --------
    >>> largest_share(np.log([1.0, 2.0, 1.0]))
    0.5
    """
    return float(1.0 / np.sum(np.exp(log_weights - np.max(log_weights))))


def _priors(result: Result) -> dict[str, Prior]:
    """The prior on each parameter; empty where the result does not say."""
    from gwsurrogate_ml.inference.result.draws import prior_of

    if not {"prior", "segment"} <= result.meta.keys():
        return {}
    return {name: prior for name, prior in prior_of(result).items() if name in BOUNDED and prior.minimum < prior.maximum}


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
        found.append(f"rough extrinsic integral: {result.extrinsic_ess:.0f} effective points a draw; raise n_points in the options")
    if result.log_bayes_factor < 3.0:
        found.append(
            f"no signal: the log Bayes factor against Gaussian noise is {result.log_bayes_factor:.1f}; the posterior is "
            "hardly more than the prior"
        )
    found += cut_off(result.posterior, _priors(result))
    found += nuisances.flags(result) + glitches.flags(result)
    checks = result.meta.get("checks", {})
    residual, second, glitch = (checks.get(name) for name in ("residual", "second_signal", "glitch"))
    if glitch and glitch["snr"] ** 2 > GLITCH:
        found.append(
            f"glitch: {glitch['detector']} has an excess of signal-to-noise ratio {glitch['snr']:.1f} at {glitch['start']:+.2f} s "
            f"from the merger, {glitch['f_low']:g} to {glitch['f_high']:g} Hz, which no waveform of the model explains: evidence, "
            "sky position and distance may be off; subtract it, analyse a segment or band without it, or one near the merger with "
            f"glitch={glitch['detector']!r} (--glitch {glitch['detector']})"
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
