"""What each part of the estimator's design is worth on GW150914: sample efficiency and Pareto k without it.

    python benchmarks/posterior_ablation.py --strain H1=FILE --strain L1=FILE [--draws 20000]

Rows: the network, its draws thinned (the default); not thinned; with a flow fitted to the event as well; flows without a network,
from the prior; a quarter of the extrinsic points; and a flow over all eleven parameters at once, fitted to its own posterior
draws, which is more than any training could give it. Writes benchmarks/results/posterior_ablation.json and .md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import zuko
from scipy.special import ndtr, ndtri

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import INTRINSIC
from gwsurrogate_ml.files import whole_file
from gwsurrogate_ml.inference import BinaryPrior, SegmentLikelihood, load_estimator, sample_event
from gwsurrogate_ml.inference.sampling import rounds
from gwsurrogate_ml.inference.sampling.rounds import SamplingOptions
from gwsurrogate_ml.inference.weights import summarise

OUT = Path(__file__).parent / "results" / "posterior_ablation.json"
EXTRINSIC = ("luminosity_distance", "theta_jn", "phase", "psi", "ra", "dec", "geocent_time")
LIKELIHOODS = 2048


def to_normal(posterior: dict[str, np.ndarray], prior: BinaryPrior, gps: float) -> np.ndarray:
    """Coordinates (N, 11) in which the prior is a unit normal distribution."""
    p = posterior
    near, far = (x**3 for x in prior.luminosity_distance)
    u = np.stack(
        [
            (p["luminosity_distance"] ** 3 - near) / (far - near),
            (1 - np.cos(p["theta_jn"])) / 2,
            p["phase"] / (2 * np.pi),
            p["psi"] / np.pi,
            p["ra"] / (2 * np.pi),
            (1 + np.sin(p["dec"])) / 2,
            (p["geocent_time"] - gps) / (2 * prior.time_half_width) + 0.5,
        ],
        axis=1,
    )
    theta = np.stack([p[name] for name in INTRINSIC], axis=1)
    return np.hstack([prior.to_normal(theta), ndtri(np.clip(u, 1e-9, 1 - 1e-9))])


def from_normal(z: np.ndarray, prior: BinaryPrior, gps: float) -> dict[str, np.ndarray]:
    """The eleven parameters of coordinates (N, 11)."""
    near, far = (x**3 for x in prior.luminosity_distance)
    u = ndtr(z[:, 4:]).T
    values = (
        (near + u[0] * (far - near)) ** (1 / 3),
        np.arccos(1 - 2 * u[1]),
        2 * np.pi * u[2],
        np.pi * u[3],
        2 * np.pi * u[4],
        np.arcsin(2 * u[5] - 1),
        gps + (u[6] - 0.5) * 2 * prior.time_half_width,
    )
    theta = prior.from_normal(z[:, :4])
    return dict(zip(INTRINSIC, theta.T, strict=True)) | dict(zip(EXTRINSIC, values, strict=True))


def all_parameters(segment: Any, estimator: Any, posterior: dict[str, np.ndarray], n: int, seed: int) -> np.ndarray:
    """Log weights (n,) of draws from a flow over all eleven parameters, fitted to draws of the posterior itself."""
    z = to_normal(posterior, estimator.prior, segment.gps)
    mean, root = z.mean(0), np.linalg.cholesky(np.cov(z.T))
    data = torch.from_numpy(((z - mean) @ np.linalg.inv(root).T).astype(np.float32))
    torch.manual_seed(seed)
    flow = zuko.flows.NSF(11, 0, transforms=5, hidden_features=(128, 128), bins=8)
    steps = 2000
    optimiser = torch.optim.Adam(flow.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        loss = -flow().log_prob(data[torch.randint(len(data), (1024,))]).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        x = flow().sample((n,))
        log_q = flow().log_prob(x).double().numpy() - np.log(np.abs(np.diag(root))).sum()
    z = x.double().numpy() @ root.T + mean
    likelihood = SegmentLikelihood(segment, estimator.model)
    parameters = from_normal(z, estimator.prior, segment.gps)
    log_likelihood = np.concatenate(
        [
            likelihood.log_likelihood_ratio({key: value[i : i + LIKELIHOODS] for key, value in parameters.items()})
            for i in range(0, n, LIKELIHOODS)
        ]
    )
    return log_likelihood - 0.5 * np.sum(z**2, axis=1) - 5.5 * np.log(2 * np.pi) - log_q


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strain", action="append", required=True, help="DETECTOR=FILE, twice")
    parser.add_argument("--gps", type=float, default=1126259462.4)
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    n, seed = arguments.draws, arguments.seed
    files = dict(item.split("=", 1) for item in arguments.strain)
    segment = gw.StrainData.from_files(files, gps=arguments.gps).segment(smooth=False)
    estimator = load_estimator("bbh-h1l1")

    def sampled(**options: Any) -> Callable[[], Any]:
        return lambda: estimator.sample(segment, n=n, seed=seed, options=SamplingOptions(**options))

    def plain() -> Any:
        with mock.patch.object(rounds, "worth_thinning", return_value=False):
            return sampled()()

    default = sampled()()
    own = {name: default.posterior[name].to_numpy() for name in (*INTRINSIC, *EXTRINSIC)}
    cases: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("the network, its draws thinned (the default)", lambda: default),
        ("not thinned", plain),
        ("a flow fitted to the event as well", sampled(refine_below=1.0)),
        ("flows without a network, from the prior", lambda: sample_event(segment, estimator.prior, n=n, seed=seed)),
        ("a quarter of the extrinsic points", sampled(n_points=512)),
    )
    rows = []
    for name, run in cases:
        started = time.process_time()
        result = run()
        rows.append(
            {
                "design": name,
                "efficiency": result.sample_efficiency,
                "pareto_k": result.pareto_k,
                "log_bayes_factor": result.log_bayes_factor,
                "log_bayes_factor_error": result.log_evidence_error,
                "extrinsic_ess": result.extrinsic_ess,
                "cpu_seconds": round(time.process_time() - started, 1),
            }
        )
        print(rows[-1], flush=True)
    started = time.process_time()
    summary = summarise(all_parameters(segment, estimator, own, n, seed))
    rows.append(
        {
            "design": "a flow over all eleven parameters, fitted to the posterior's own draws",
            "efficiency": summary.efficiency,
            "pareto_k": summary.pareto_k,
            "log_bayes_factor": summary.log_evidence,
            "log_bayes_factor_error": summary.log_evidence_error,
            "extrinsic_ess": None,
            "cpu_seconds": round(time.process_time() - started, 1),
        }
    )
    print(rows[-1], flush=True)
    lines = [
        "| design | efficiency | Pareto k | log Bayes factor | effective extrinsic points |",
        "|---|---|---|---|---|",
    ] + [
        f"| {row['design']} | {row['efficiency']:.1%} | {row['pareto_k']:.2f} | {row['log_bayes_factor']:.3f} +- "
        f"{row['log_bayes_factor_error']:.3f} | {'' if row['extrinsic_ess'] is None else round(row['extrinsic_ess'])} |"
        for row in rows
    ]
    lines += ["", f"GW150914, {n} draws each, seed {seed}: `python benchmarks/posterior_ablation.py`."]
    record = {
        "rows": rows,
        "draws": n,
        "seed": seed,
        "versions": artifacts.package_versions("gwsurrogate-ml", "torch", "zuko"),
    }
    with whole_file(OUT) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
    OUT.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
