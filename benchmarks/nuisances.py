"""Posteriors with calibration or waveform errors: calibrated where these are integrated, and not where they are left out.

    python benchmarks/nuisances.py [--of calibration] [--events 150] [--draws 200] [--seed 11]
    python benchmarks/nuisances.py --of waveform [--events 150] [--draws 200] [--seed 11]

Signals at a known place and orientation, of mass ratio 0.8 and known spins, of chirp masses 26 to 34, distances uniform in volume,
phases and times, in H1 and L1 with noise of the estimators' ensemble of spectra (20 to 512 Hz, 4 s); each detector's calibration,
or the waveform in both alike, is drawn from splines of 10 nodes with errors of 20 % and 20 degrees. The four parameters are sampled
by adaptive importance sampling: under the likelihood with the errors integrated, under that without errors, and (of the first
`--too-narrow` events) with widths a third of what the errors are. Ranks of the true values give P-P tests; nodes far from their
prior are counted as the flag counts them. Of calibration, integrals of single draws are then compared with Monte Carlo of another
proposal. Writes benchmarks/results/nuisances.json and nuisances.md, or nuisances_waveform.json and .md, and goes on from them.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.inference.calibration.coverage import pp_test
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import random_psds, simulate_segment
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import Trigger
from gwsurrogate_ml.inference.nuisances.envelope import CalibrationEnvelope
from gwsurrogate_ml.inference.nuisances.integral import Integrated, NuisanceIntegral
from gwsurrogate_ml.inference.nuisances.prior import Nuisances
from gwsurrogate_ml.inference.nuisances.softened import softened
from gwsurrogate_ml.inference.result.nuisances import FAR, log_ratio
from gwsurrogate_ml.inference.weights import effective_size, tempering

GPS = 1187008882.4
AMPLITUDE, PHASE = 0.2, float(np.radians(20.0))
NAMES = ("chirp_mass", "luminosity_distance", "phase", "geocent_time")
D, TURN = len(NAMES), np.arange(4) == 2
LOW = np.array([26.0, 300.0, 0.0, GPS - 0.05])
HIGH = np.array([34.0, 900.0, np.pi, GPS + 0.05])
STEP = np.array([1e-3, 0.1, 1e-3, 1e-6])
FIXED = {"mass_ratio": 0.8, "chi_1": 0.2, "chi_2": -0.1, "theta_jn": 0.6, "psi": 0.4, "ra": 1.9, "dec": 0.3}
CONFIG = SegmentConfig(f_max=512.0)
NU, WIDER, ROUNDS, ENOUGH = 6.0, 1.3, 9, 60
"""Degrees of freedom of the proposals, factor on their covariance, their number at most, effective draws that end the rounds."""


def table(theta: np.ndarray) -> dict[str, np.ndarray]:
    """All parameters of rows (N, D)."""
    return dict(zip(NAMES, theta.T, strict=True)) | {name: np.full(len(theta), value) for name, value in FIXED.items()}


def log_prior(theta: np.ndarray) -> np.ndarray:
    """d^2 within the box; phases are periodic with pi, for (2,2)."""
    inside = np.all((theta >= LOW) & (theta <= HIGH) | TURN, axis=1)
    return np.where(inside, 2 * np.log(np.abs(theta[:, 1])), -np.inf)


def width(likelihood: SegmentLikelihood, theta: np.ndarray) -> np.ndarray:
    """Covariance (D, D) of a posterior about `theta`, from the Fisher matrix and the prior's box."""
    h = likelihood.signals(table(np.vstack([theta, theta + np.diag(STEP)])))
    flat = (np.sqrt(likelihood.weight) * (h[1:] - h[0]) / STEP[:, None, None]).reshape(D, -1)
    scale = HIGH - LOW
    fisher = np.real(np.conj(flat) @ flat.T) * np.outer(scale, scale) + 12 * np.eye(D)
    return np.linalg.inv(fisher) * np.outer(scale, scale)


def sample(log_likelihood: Any, start: np.ndarray, covariance: np.ndarray, draws: int, rng: np.random.Generator) -> tuple:
    """Draws (n, D) with log weights, and what `log_likelihood` gave of the rows `good` of them: adaptive importance sampling.

    Each round's Student's t is fitted to the draws so far, their likelihood to a power at which enough of them count; the last
    round is the sample.
    """
    centre, kept, densities, values = start, [], [], []
    for _ in range(ROUNDS):
        root = np.linalg.cholesky(WIDER * covariance)
        z = rng.normal(size=(draws, D)) / np.sqrt(rng.chisquare(NU, draws) / NU)[:, None]
        theta = centre + z @ root.T
        density = -0.5 * (NU + D) * np.log1p(np.sum(z**2, axis=1) / NU) - np.linalg.slogdet(root)[1]
        base, value = log_prior(theta) - density, np.full(draws, -np.inf)
        good = np.flatnonzero(np.isfinite(base))
        found = log_likelihood(theta[good])
        value[good] = found[0]
        if effective_size(base + value) >= ENOUGH:
            break
        kept.append(theta[good])
        densities.append(base[good])
        values.append(value[good])
        x, pooled, known = (np.concatenate(part) for part in (kept, densities, values))
        power = tempering(pooled, known, 0.6 * ENOUGH)
        weights = np.exp(pooled + power * known - np.max(pooled + power * known))
        centre = weights @ x / weights.sum()
        covariance = np.cov(x.T, aweights=weights) + 1e-12 * np.diag((HIGH - LOW) ** 2)
    return theta, base + value, good, found


def ranks(theta: np.ndarray, log_weights: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Posterior probability below each true value, and effective draws."""
    weights = np.exp(log_weights - log_weights.max())
    below = (theta - truth + np.where(TURN, np.pi / 2, 0.0)) % np.where(TURN, np.pi, np.inf)
    below = np.where(TURN, below < np.pi / 2, theta < truth)
    sigma = np.sqrt(np.cov(theta.T, aweights=weights).diagonal())
    return {
        "rank": dict(zip(NAMES, (weights @ below / weights.sum()).tolist(), strict=True)),
        "sigma": dict(zip(NAMES, sigma.tolist(), strict=True)),
        "effective": float(weights.sum() ** 2 / np.sum(weights**2)),
    }


def errors(of: str, narrower: float = 1.0) -> Nuisances:
    """The errors that are drawn, or narrower ones."""
    band, amplitude, phase = (CONFIG.f_min, CONFIG.f_max), AMPLITUDE / narrower, PHASE / narrower
    if of == "waveform":
        return Nuisances.of(CONFIG.detectors, band, waveform=(amplitude, phase, "drawn"))
    return Nuisances.of(CONFIG.detectors, band, {d: CalibrationEnvelope.constant(amplitude, phase) for d in CONFIG.detectors})


def event(number: int, seed: int, draws: int, too_narrow: bool, model: Any, of: str) -> dict[str, Any]:
    """One signal, analysed in each way."""
    rng = np.random.default_rng([seed, number])
    truth = LOW + (HIGH - LOW) * rng.random(D)
    truth[1] = (LOW[1] ** 3 + (HIGH[1] ** 3 - LOW[1] ** 3) * rng.random()) ** (1 / 3)
    row = {name: float(x[0]) for name, x in table(truth[None]).items()}
    psd = random_psds(CONFIG, rng)
    nuisances = errors(of)
    segment = simulate_segment(row, model, psd, CONFIG, rng)
    likelihood = SegmentLikelihood(segment, model)
    signal = likelihood.signals(table(truth[None]))[0]
    factor = nuisances.factor(nuisances.draw(rng), likelihood.frequencies[likelihood.band])
    segment.strain[:, likelihood.band] += signal[:, likelihood.band] * (factor - 1)
    likelihood = SegmentLikelihood(segment, model)
    snr = np.sqrt(np.sum(likelihood.weight * np.abs(signal) ** 2, axis=1))
    record: dict[str, Any] = {"event": number, "snr": float(np.linalg.norm(snr))}
    times = row["geocent_time"] - segment.start_time + np.zeros(len(snr))
    found = Trigger(truth[:1], likelihood.waveforms(np.array([[truth[0], 0.8, 0.2, -0.1]]))[0], times, times, snr)

    soft, _ = softened(likelihood, nuisances, found)
    start = truth + np.linalg.cholesky(width(soft, truth)) @ rng.normal(size=D)
    start[:2] = np.clip(start[:2], LOW[:2], HIGH[:2])

    def perfect(theta: np.ndarray) -> tuple:
        return (log_ratio(likelihood, likelihood.signals(table(theta))),)

    theta, log_weights, _, _ = sample(perfect, start, width(soft, truth), draws, rng)
    record["left out"] = ranks(theta, log_weights, truth)
    for name, believed in (("integrated", nuisances), ("too narrow", errors(of, 3.0))):
        if name == "too narrow" and not too_narrow:
            continue
        spent = []

        def marginal(theta: np.ndarray, believed: Any = believed, spent: list = spent) -> tuple:
            signals = likelihood.signals(table(theta))
            begin = time.process_time()
            out = NuisanceIntegral(likelihood, believed)(signals, rng)
            spent.append(1e3 * (time.process_time() - begin) / len(theta))
            return tuple(out)

        theta, log_weights, good, found_last = sample(marginal, start, width(soft, truth), draws, rng)
        integrated = Integrated(*found_last)
        weights = np.exp(log_weights[good] - log_weights.max())
        order = np.argsort(integrated.nodes, axis=0)
        cumulative = np.cumsum(weights[order], axis=0) / weights.sum()
        middle = np.take_along_axis(integrated.nodes, order, axis=0)[
            np.argmax(cumulative >= 0.5, axis=0), np.arange(order.shape[1])
        ]
        record[name] = ranks(theta, log_weights, truth) | {
            "pull": float(np.max(np.abs(middle - believed.mean.ravel()) / believed.sigma.ravel())),
            "importance_efficiency": float(weights @ integrated.efficiency / weights.sum()),
            "analytic_off": float(np.median(np.abs(integrated.analytic - integrated.log_likelihood))),
            "ms": spent[-1],
        }
    return record


def stress(model: Any, seed: int, n: int = 6, samples: int = 200_000) -> list[dict[str, float]]:
    """Integrals of draws with a wrong arrival time, 5 % and 3 degrees, beside Monte Carlo with many draws from a broader density.

    The reference draws nodes from a Student's t of 20 degrees of freedom about the maximum, a tenth wider than the Gaussian, and
    sums the likelihood over all frequencies: it shares with the integral neither the compressed sums nor the proposal.
    """
    rng = np.random.default_rng([seed, 1])
    truth = np.array([30.0, 450.0, 1.0, GPS])
    row = {name: float(x[0]) for name, x in table(truth[None]).items()}
    likelihood = SegmentLikelihood(simulate_segment(row, model, random_psds(CONFIG, rng), CONFIG, rng), model)
    envelopes = {name: CalibrationEnvelope.constant(0.05, float(np.radians(3.0))) for name in CONFIG.detectors}
    nuisances = Nuisances.of(CONFIG.detectors, (CONFIG.f_min, CONFIG.f_max), envelopes)
    rows = np.tile(truth, (n, 1))
    rows[:, 3] += np.linspace(0.0, 1.2e-3, n)
    signals = likelihood.signals(table(rows))
    ours = NuisanceIntegral(likelihood, nuisances, 64)(signals, rng)
    out = []
    for i in range(n):
        value, error = reference(likelihood, nuisances, signals[i], samples, rng)
        plain = float(log_ratio(likelihood, signals[i : i + 1])[0])
        out.append(
            {
                "correction": float(ours.log_likelihood[i]) - plain,
                "difference": float(ours.log_likelihood[i]) - value,
                "reference_error": error,
                "analytic_off": float(ours.analytic[i]) - value,
                "efficiency": float(ours.efficiency[i]),
            }
        )
    return out


def reference(
    likelihood: SegmentLikelihood, nuisances: Nuisances, signal: np.ndarray, samples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Log of the likelihood's mean over the nodes' prior, and its error: numerical maximum and Hessian, Student's t, full sums."""
    from scipy.optimize import minimize
    from scipy.special import gammaln, logsumexp

    band = likelihood.band
    basis = nuisances.splines.basis(likelihood.frequencies[band])
    w, d, h = likelihood.weight[:, band], likelihood.strain[:, band], signal[:, band]
    match, power = w * np.conj(h) * d, w * np.abs(h) ** 2
    size = nuisances.mean.size

    def log_likelihood(x: np.ndarray) -> np.ndarray:
        nodes = nuisances.mean + nuisances.sigma * x.reshape(-1, *nuisances.mean.shape)
        curves = nodes @ basis
        factor = (1 + curves[:, :, 0]) * (2 + 1j * curves[:, :, 1]) / (2 - 1j * curves[:, :, 1])
        return np.einsum("ndf,df->n", factor.conj(), match).real - 0.5 * np.einsum("ndf,df->n", np.abs(factor) ** 2, power)

    def slope(x: np.ndarray, step: float = 1e-4) -> np.ndarray:
        steps = step * np.eye(size)
        return (log_likelihood(x + steps) - log_likelihood(x - steps)) / (2 * step)

    found = minimize(
        lambda x: 0.5 * x @ x - float(log_likelihood(x[None])[0]),
        np.zeros(size),
        jac=lambda x: x - slope(x),
        method="BFGS",
        options={"maxiter": 60, "gtol": 1e-2},
    )
    steps = 1e-3 * np.eye(size)
    hessian = np.eye(size) - np.stack([(slope(found.x + s) - slope(found.x - s)) / 2e-3 for s in steps])
    root = 1.1 * np.linalg.inv(np.linalg.cholesky(0.5 * (hessian + hessian.T))).T
    nu, logs = 20.0, []
    constant = gammaln((nu + size) / 2) - gammaln(nu / 2) - 0.5 * size * np.log(nu * np.pi) - np.linalg.slogdet(root)[1]
    for start in range(0, samples, 500):
        n = min(500, samples - start)
        z = rng.normal(size=(n, size)) / np.sqrt(rng.chisquare(nu, n) / nu)[:, None]
        x = found.x + z @ root.T
        density = constant - 0.5 * (nu + size) * np.log1p(np.sum(z**2, axis=1) / nu)
        logs.append(log_likelihood(x) - 0.5 * np.sum(x**2, axis=1) - 0.5 * size * np.log(2 * np.pi) - density)
    log_weights = np.concatenate(logs)
    effective = np.exp(2 * logsumexp(log_weights) - logsumexp(2 * log_weights))
    return float(logsumexp(log_weights) - np.log(samples)), float(np.sqrt(1 / effective - 1 / samples))


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """P-P tests and flags of each way of analysis."""
    out: dict[str, Any] = {"events": len(records), "snr": np.quantile([r["snr"] for r in records], (0.05, 0.5, 0.95)).tolist()}
    for name in ("integrated", "left out", "too narrow"):
        mine = [r[name] for r in records if name in r]
        if len(mine) < 10:
            continue
        out[name] = {
            "events": len(mine),
            "pp": pp_test(mine),
            "effective": np.quantile([r["effective"] for r in mine], (0.05, 0.5)).tolist(),
        }
        if name != "left out":
            out[name] |= {
                "flagged": float(np.mean([r["pull"] > FAR for r in mine])),
                "importance_efficiency": np.quantile([r["importance_efficiency"] for r in mine], (0.0, 0.05, 0.5)).tolist(),
                "analytic_off": float(np.median([r["analytic_off"] for r in mine])),
                "ms": float(np.median([r["ms"] for r in mine])),
            }
    return out


def markdown(found: dict[str, Any], checks: list[dict[str, float]]) -> str:
    """The tables."""
    ways = [name for name in ("integrated", "left out", "too narrow") if name in found]
    counts = ", ".join(f"{found[name]['events']} {name}" for name in ways)
    lines = [f"Errors of 20 % and 20 degrees; events: {counts}; network SNR 5 %, 50 %, 95 %: "]
    lines[0] += ", ".join(f"{x:.0f}" for x in found["snr"]) + "."
    lines += ["", "| parameter | " + " | ".join(f"{name}: p, truth inside 90 %" for name in ways) + " |"]
    lines += ["| --- " * (1 + len(ways)) + "|"]
    for parameter in NAMES:
        cells = [found[name]["pp"][parameter] for name in ways]
        lines.append(f"| {parameter} | " + " | ".join(f"{c['ks_p']:.2g}, {c['inside_90']:.0%}" for c in cells) + " |")
    lines += [
        "| a node beyond 3 sigma | " + " | ".join(f"{found[n]['flagged']:.0%}" if n != "left out" else "" for n in ways) + " |"
    ]
    if not checks:
        return "\n".join(lines)
    lines += [
        "",
        "| correction to log L | integral less reference | error of the reference | analytic less reference | efficiency |",
    ]
    lines += ["| --- | --- | --- | --- | --- |"]
    for c in checks:
        lines.append(
            f"| {c['correction']:.2f} | {c['difference']:+.3f} | {c['reference_error']:.3f} | {c['analytic_off']:+.3f} | "
            f"{c['efficiency']:.2%} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Simulate, analyse, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", choices=("calibration", "waveform"), default="calibration")
    parser.add_argument("--events", type=int, default=150)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--too-narrow", type=int, default=30)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()

    model = gw.load_surrogate("nr22")
    stem = arguments.out / ("nuisances" if arguments.of == "calibration" else "nuisances_waveform")
    same = f"--draws {arguments.draws} --seed {arguments.seed}"
    records: list[dict[str, Any]] = []
    checks: list[dict[str, float]] = []
    if stem.with_suffix(".json").exists():
        kept = json.loads(stem.with_suffix(".json").read_text())
        if same in kept["command"]:
            records, checks = kept["events"], kept["integrals"]
    if not checks and arguments.samples and arguments.of == "calibration":
        checks = stress(model, arguments.seed, samples=arguments.samples)
    for number in range(len(records), arguments.events):
        records.append(event(number, arguments.seed, arguments.draws, number < arguments.too_narrow, model, arguments.of))
        if (number + 1) % 10 == 0 or number + 1 == arguments.events:
            found = summary(records)
            head = {
                "command": f"python benchmarks/nuisances.py --of {arguments.of} --events {len(records)} {same} "
                f"--too-narrow {arguments.too_narrow}",
                "surrogate": model.identity,
                "versions": artifacts.package_versions("numpy", "scipy", "numba"),
                "summary": found,
                "integrals": checks,
            }
            stem.with_suffix(".json").write_text(json.dumps({**head, "events": records}, indent=1) + "\n")
            stem.with_suffix(".md").write_text(markdown(found, checks) + "\n")
            print(f"{number + 1} of {arguments.events}", flush=True)
    print(stem.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
