"""A glitch near the merger, integrated for every draw of a posterior.

Draws come from posteriors of the data less one glitch each: a first one fitted together with a signal, then glitches drawn from the
joint posterior as the draws so far have it (Gibbs' steps). Their densities are known, so that all draws together are a
deterministic mixture, and carry as weights the likelihood of the true data, the glitch integrated, over the mixture's density:
what was subtracted decides the efficiency, not the result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.analysis.conclude import templates
from gwsurrogate_ml.inference.analysis.preflight import FEWEST
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.nuisances.glitch_fit import first_fit
from gwsurrogate_ml.inference.nuisances.glitch_points import GlitchIntegrated, GlitchPoints, choose_points
from gwsurrogate_ml.inference.nuisances.glitch_prior import Glitch, GlitchPrior, requested_glitches, windows
from gwsurrogate_ml.inference.prior.composition import Prior
from gwsurrogate_ml.inference.result.draws import parameters_of
from gwsurrogate_ml.inference.result.glitches import COLUMNS, LOG_ODDS, column, odds, strain_of
from gwsurrogate_ml.inference.result.residual import examine
from gwsurrogate_ml.inference.result.reweight import reweighted
from gwsurrogate_ml.inference.sampling.checkpoint import clear
from gwsurrogate_ml.inference.sampling.rounds import SamplingOptions, check_edges
from gwsurrogate_ml.inference.weights import effective_size, log_sum, mixture_log_density, resample, summarise
from gwsurrogate_ml.strain.segment import AnalysisSegment

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.result.result import Result

RUNS, MOST, POOR = 2, 5, 0.2
"""Posteriors that the draws come from, each of data less another glitch; their number at most, and the efficiency below which there
is another one."""
PROBE, RESIDUALS, CHUNK = 100, 6, 50
"""Draws of each run that decide on the next glitch; residuals that points are chosen for; draws integrated at a time."""

Sample = Callable[..., "Result"]
"""An analysis of a segment: ``sample(segment, n, seed, progress, options, checkpoint)``."""


@dataclass(frozen=True, eq=False)
class _Weighed:
    """Draws of the glitches, and the weights of all draws.

    Parameters
    ----------
    log_weights : (N,)
    log_integral, effective : (n_glitches, N)
    columns : mapping to (N,), log_likelihood : (N,)
    """

    log_weights: np.ndarray
    log_integral: np.ndarray
    effective: np.ndarray
    columns: dict[str, np.ndarray]
    log_likelihood: np.ndarray


def require_alone(asked: object) -> None:
    """Raise ConfigError where calibration or waveform errors are to be integrated along with a glitch."""
    if asked:
        raise ConfigError(
            "a glitch is not integrated together with errors of the calibration or the waveform: leave out one, glitch= or "
            "calibration= and waveform_error= (--glitch, or --calibration and --waveform-error)"
        )


def sample_with_glitch(
    sample: Sample,
    segment: AnalysisSegment,
    model: Any,
    prior: Prior,
    glitch: Glitch,
    n: int,
    seed: int,
    progress: Callable[[str, int, int], None] | None,
    options: SamplingOptions,
    checkpoint: str | Path | None,
) -> Result:
    """The posterior with a glitch integrated in the detectors that `glitch` names.

    Parameters
    ----------
    sample : callable
        analyses a segment
    segment : AnalysisSegment
        the data
    model : WaveformModel
    prior : Prior
    glitch : see `Glitch`
    n, seed, progress, options, checkpoint : as for `Estimator.sample`

    Returns
    -------
    Result
        its posterior has the columns of `COLUMNS` of each glitch, `log_likelihood` is the likelihood there; `sample_efficiency`
        and `n_draws` are those of the re-weighting. ``meta["glitch"]`` holds the log Bayes factor and the probability of a glitch,
        and the log Bayes factor of a signal against noise that may have the same glitch

    Raises
    ------
    ConfigError
        see `requested_glitches` and `windows`; and what `sample` raises
    """
    started = time.perf_counter()
    likelihood = SegmentLikelihood(segment, model)
    where = windows(likelihood, requested_glitches(glitch, segment.detectors))
    glitches = _Glitches(likelihood, where, GlitchPrior.shipped())
    report = progress or (lambda stage, done, total: None)
    inner = replace(options, centre_time=False, on_edge="warn")
    taken = [first_fit(likelihood, prior, glitches.prior, where, seed)]
    report("fit of the glitch", 1, 1)
    results: list[Result] = []
    folders: list[Path] = []
    while True:
        run = len(results)
        left = replace(segment, strain=segment.strain - taken[run])
        if checkpoint is not None:
            folders.append(Path(checkpoint) / f"glitch{run}")
        results.append(sample(left, max(n // RUNS, FEWEST), seed + 1000 * run, progress, inner, folders[-1] if folders else None))
        rng = np.random.default_rng([seed, 72, run])
        runs = _Runs(results, taken)
        points, probes = glitches.probed(runs, rng)
        efficiency = effective_size(probes.log_weights) / len(probes.log_weights)
        if run + 1 >= RUNS and (efficiency > POOR or run + 1 == MOST):
            break
        i = resample(probes.log_weights, 1, rng)
        row = pd.DataFrame({name: x[i] for name, x in probes.columns.items()})
        taken.append(strain_of(likelihood, row, glitches.names)[0])
    weighed = glitches.weigh(runs, points, rng, report)
    done = _concluded(likelihood, prior, glitches, runs, weighed, seed, options)
    for folder in folders:
        clear(folder)
    return replace(done, seconds=time.perf_counter() - started)


@dataclass(frozen=True, eq=False)
class _Runs:
    """What the draws come from: posteriors, and the glitches (n_det, n_f) that were subtracted for each."""

    results: list[Result]
    taken: list[np.ndarray]

    def draws(self, most: int | None = None) -> pd.DataFrame:
        """All draws, or the first of each run."""
        return pd.concat([r.posterior.iloc[:most] for r in self.results], ignore_index=True)


@dataclass(frozen=True, eq=False)
class _Glitches:
    """The glitches of one analysis: their windows (s from the segment's start) by index of the detector."""

    likelihood: SegmentLikelihood
    windows: dict[int, tuple[float, float]]
    prior: GlitchPrior

    @property
    def names(self) -> list[str]:
        return [self.likelihood.segment.detectors[d] for d in self.windows]

    def probed(self, runs: _Runs, rng: np.random.Generator) -> tuple[list[GlitchPoints], _Weighed]:
        """Points of the integrals, chosen for the residuals of likely draws, and the first draws of each run weighed by them."""
        few = runs.draws(PROBE)
        likely = few.iloc[len(few) - 1 - rng.permutation(min(PROBE, len(runs.results[-1].posterior)))[:RESIDUALS]]  # the last run's
        for _ in range(2):
            residuals = self.likelihood.strain - self._signals(likely)
            points = [choose_points(self.likelihood, d, self.prior, w, residuals, rng) for d, w in self.windows.items()]
            weighed = self.weigh(runs, points, rng, most=PROBE)
            likely = few.iloc[resample(weighed.log_weights, RESIDUALS, rng)]
        return points, weighed

    def alone(self, rng: np.random.Generator) -> float:
        """Log likelihood ratio of the data without a signal, the glitches integrated, to noise."""
        data = self.likelihood.strain[None]
        points = [choose_points(self.likelihood, d, self.prior, window, data, rng) for d, window in self.windows.items()]
        return float(sum(_either(p(data, rng).log_integral)[0] for p in points))

    def weigh(
        self,
        runs: _Runs,
        points: list[GlitchPoints],
        rng: np.random.Generator,
        report: Callable[[str, int, int], None] | None = None,
        most: int | None = None,
    ) -> _Weighed:
        """Weights of all draws, or of the first of each run, under the data with the glitches integrated."""
        draws, likelihood, band = runs.draws(most), self.likelihood, self.likelihood.band
        subtracted = [np.zeros_like(likelihood.strain), *runs.taken]
        data = np.stack([(likelihood.weight * (likelihood.strain - g))[:, band].ravel() for g in subtracted])
        ratios, parts = np.empty((len(data), len(draws))), []
        for at in range(0, len(draws), CHUNK):
            signals = self._signals(draws.iloc[at : at + CHUNK])
            h = signals[:, :, band]
            power = np.sum((h.real**2 + h.imag**2) * likelihood.weight[:, band], axis=(1, 2))
            ratios[:, at : at + CHUNK] = np.real(data @ np.conj(h).reshape(len(h), -1).T) - 0.5 * power
            parts.append([p(likelihood.strain - signals, rng) for p in points])
            if report:
                report("glitch", min(at + CHUNK, len(draws)), len(draws))
        without, others = ratios[0], ratios[1:]
        evidences = np.array([r.log_bayes_factor for r in runs.results])
        counts = np.array([len(r.posterior.iloc[:most]) for r in runs.results])
        density = mixture_log_density(others - evidences[:, None], counts)
        found = [GlitchIntegrated(*map(np.concatenate, zip(*of_one, strict=True))) for of_one in zip(*parts, strict=True)]
        return self._weighed(found, without, density, rng)

    def _signals(self, rows: pd.DataFrame) -> np.ndarray:
        return self.likelihood.signals({name: rows[name].to_numpy() for name in parameters_of(rows)})

    def _weighed(
        self, found: list[GlitchIntegrated], without: np.ndarray, density: np.ndarray, rng: np.random.Generator
    ) -> _Weighed:
        n, start = len(without), self.likelihood.segment.start_time
        log_integral = np.stack([g.log_integral for g in found])
        both = _either(log_integral)
        present = np.log(rng.random(both.shape)) < log_integral - np.log(2) - both
        columns: dict[str, np.ndarray] = {}
        log_likelihood = without.copy()
        for name, window, there, log_odds, g in zip(self.names, self.windows.values(), present, log_integral, found, strict=True):
            shapes = np.where(there[:, None], g.shape, self.prior.draw(n, rng))
            values = (
                np.where(there, np.abs(g.amplitude), 0.0),
                np.angle(g.amplitude) % (2 * np.pi),
                start + np.where(there, g.time, rng.uniform(*window, n)),
                np.exp(shapes[:, 0]),
                np.exp(shapes[:, 1]),
            )
            columns |= {column(name, key): x for key, x in zip((*COLUMNS, LOG_ODDS), (*values, log_odds), strict=True)}
            log_likelihood += np.where(there, g.gain, 0.0)
        effective = np.stack([g.effective for g in found])
        return _Weighed(without - density + both.sum(axis=0), log_integral, effective, columns, log_likelihood)


def _either(log_integral: np.ndarray) -> np.ndarray:
    """Log likelihood, over that without a glitch, where there is one in half of all cases."""
    return np.asarray(np.logaddexp(0.0, log_integral) - np.log(2))


def _concluded(
    likelihood: SegmentLikelihood,
    prior: Prior,
    glitches: _Glitches,
    runs: _Runs,
    weighed: _Weighed,
    seed: int,
    options: SamplingOptions,
) -> Result:
    """The result of all draws."""
    segment, noise, results = likelihood.segment, likelihood.log_noise_evidence, runs.results
    new = runs.draws().assign(
        **weighed.columns, log_likelihood=weighed.log_likelihood + noise, log_likelihood_ratio=weighed.log_likelihood
    )
    check_edges(prior, new[list(likelihood.space.names)].to_numpy(), weighed.log_weights, options)
    weights = np.exp(weighed.log_weights - log_sum(weighed.log_weights))
    about = {}
    for k, (name, window) in enumerate(zip(glitches.names, glitches.windows.values(), strict=True)):
        about[name] = {
            "window": [segment.start_time + t for t in window],
            **odds(weighed.log_weights, weighed.log_integral[k]),
            "effective_points": float(weights @ weighed.effective[k]),
        }
    drawn_from = [{name: getattr(r, name) for name in ("n_draws", "sample_efficiency", "pareto_k")} for r in results]
    base = replace(
        results[-1],
        pareto_k=max(r.pareto_k for r in results),
        log_evidence=noise,
        log_noise_evidence=noise,
        log_evidence_error=float(np.mean([r.log_evidence_error for r in results])),
        extrinsic_ess=float(np.mean([r.extrinsic_ess for r in results])),
    )
    # Of the signal, beside noise that may have the same glitches: against noise alone a glitch would pass for one.
    signal = summarise(weighed.log_weights).log_evidence - glitches.alone(np.random.default_rng([seed, 74]))
    about_all = {"detectors": about, "drawn_from": drawn_from, "signal_log_bayes_factor": signal}
    meta = {"glitch": about_all, "seed": seed, "options": asdict(options)}
    out = reweighted(base, new, weighed.log_weights, meta, seed + 6)
    best = out.posterior.iloc[[int(np.argmax(out.posterior["log_likelihood"]))]]
    clean = replace(segment, strain=segment.strain - strain_of(likelihood, best, glitches.names)[0])
    row = {name: float(best[name].iloc[0]) for name in parameters_of(best)}
    checks = examine(SegmentLikelihood(clean, likelihood.model), row, templates(likelihood, prior))
    return replace(out, meta=out.meta | {"checks": checks})
