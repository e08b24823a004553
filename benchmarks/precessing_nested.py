"""GW150914's posterior with precession and all modes beside a nested sampler on the same likelihood and prior.

    pip install nautilus-sampler==1.0.6
    python benchmarks/precessing_nested.py reference --strain FOLDER [--keep out/nested]    # once; a stopped run goes on
    python benchmarks/precessing_nested.py compare --strain FOLDER [--keep out/nested]      # table

The reference is nautilus (Lange 2023, arXiv:2306.16923) over fourteen parameters of `nrphm`'s exact likelihood (`transforms`, every
phase its own waveform, all frequencies); distance alone is summed out, on a grid. Nothing of our extrinsic integral, orders, flows
or regressions is in it. H1 and L1, 4 s from 20 to 1024 Hz, chirp masses 25 to 37, mass ratios from 1/2 on, isotropic spins below
0.8. Writes benchmarks/reference/gw150914_precessing.npz, then benchmarks/results/precessing_nested.json and .md.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from posterior import divergence
from precessing_posterior import RESULTS, gw150914
from scipy.special import logsumexp, ndtri

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.inference import SamplingOptions, SegmentLikelihood, sample_event
from gwsurrogate_ml.inference.likelihood.detectors import sky_angles
from gwsurrogate_ml.inference.prior.composition import ComposedPrior
from gwsurrogate_ml.inference.prior.inclined import InclinedPrior
from gwsurrogate_ml.inference.prior.masses import ChirpMass, MassRatio
from gwsurrogate_ml.inference.prior.spins import Isotropic
from gwsurrogate_ml.inference.result.draws import derived
from gwsurrogate_ml.inference.result.result import Result
from gwsurrogate_ml.inference.weights import resample
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.surrogate.load import load_model

REFERENCE = Path(__file__).parent / "reference" / "gw150914_precessing.npz"
PRIOR = ComposedPrior((ChirpMass(25.0, 37.0), MassRatio(0.5, 1.0), Isotropic(0.8)), luminosity_distance=(10.0, 2000.0))
COMPARED = (
    "chirp_mass", "mass_ratio", "a_1", "a_2", "tilt_1", "tilt_2", "phi_12", "phi_jl", "chi_eff", "chi_p", "luminosity_distance",
    "theta_jn", "psi", "phase", "ra", "dec", "geocent_time",
)  # fmt: skip
N_DIM = 14
BATCH, NODES = 64, 800


class Likelihood:
    """Log likelihood ratio of points in the unit cube, distance summed out.

    Coordinates: quantiles of the normal scores of eight intrinsic parameters and theta_jn; phase, psi, arrival at the first
    detector, delay, azimuth. The arrival time stands for the geocentre's: the limits of its prior are far away.
    """

    def __init__(self, segment: AnalysisSegment) -> None:
        self.exact = SegmentLikelihood(segment, load_model("nrphm"))
        self.proposed = InclinedPrior(PRIOR, segment.f_min)
        near, far = PRIOR.luminosity_distance
        self.nodes = np.geomspace(near, far, NODES)
        share = self.nodes**3 * 3 / (far**3 - near**3) * np.log(far / near) / (NODES - 1)
        share[[0, -1]] /= 2
        self.log_share = np.log(share)
        self.calls = 0

    def physical(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters of points (N, 14), at 1 Mpc."""
        network, segment = self.exact.network, self.exact.segment
        theta = self.proposed.from_normal(ndtri(u[:, :9]))
        arrival = segment.gps + PRIOR.time_half_width * (2 * u[:, 11] - 1)
        direction = network.ring_direction(network.light_travel_time * (2 * u[:, 12] - 1), 2 * np.pi * u[:, 13])
        gps = arrival - network.delays(direction)[:, 0]
        ra, dec = sky_angles(direction, gps)
        return dict(zip(self.proposed.names, theta.T, strict=True)) | {
            "phase": 2 * np.pi * u[:, 9],
            "psi": np.pi * u[:, 10],
            "geocent_time": gps,
            "ra": ra,
            "dec": dec,
            "luminosity_distance": np.ones(len(u)),
        }

    def at_nodes(self, p: dict[str, np.ndarray]) -> np.ndarray:
        """Log of prior times likelihood ratio (N, n_nodes) of parameters at 1 Mpc."""
        ratio, power = self.exact.log_ratio_and_power(p)
        match = ratio + 0.5 * power
        return match[:, None] / self.nodes - 0.5 * power[:, None] / self.nodes**2 + self.log_share

    def __call__(self, u: np.ndarray) -> np.ndarray:
        """(N, 14) to (N,)."""
        self.calls += len(u)
        parts = [u[i : i + BATCH] for i in range(0, len(u), BATCH)]
        return np.concatenate([logsumexp(self.at_nodes(self.physical(part)), axis=1) for part in parts])

    def draw(self, u: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Parameters of points (N, 14) with distances from their conditional."""
        p = self.physical(u)
        for i in range(0, len(u), BATCH):
            some = {name: values[i : i + BATCH] for name, values in p.items()}
            log_p = self.at_nodes(some)
            cdf = np.cumsum(np.exp(log_p - log_p.max(axis=1, keepdims=True)), axis=1)
            for j, row in enumerate(cdf):
                p["luminosity_distance"][i + j] = np.interp(rng.random() * row[-1], row, self.nodes)
        return p


def reference(segment: AnalysisSegment, keep: Path, n_live: int, seed: int) -> None:
    """Nested sampling; equally weighted samples and the evidence go to `REFERENCE`."""
    import nautilus

    likelihood = Likelihood(segment)
    began = time.process_time()
    sampler = nautilus.Sampler(
        lambda u: u,
        likelihood,
        n_dim=N_DIM,
        n_live=n_live,
        vectorized=True,
        pass_dict=False,
        periodic=np.array([9, 10, 13]),
        filepath=keep / "nautilus.hdf5",
        seed=seed,
    )
    sampler.run(n_eff=10_000, verbose=False)
    points, log_w, _ = sampler.posterior()
    rng = np.random.default_rng(seed)
    p = likelihood.draw(points[rng.permutation(resample(log_w, int(sampler.n_eff), rng))], rng)
    meta = {
        "log_bayes_factor": float(sampler.log_z),
        "effective_samples": float(sampler.n_eff),
        "likelihood_evaluations": int(sampler.n_like),
        "cpu_seconds_of_the_last_start": round(time.process_time() - began),
        "n_live": n_live,
        "seed": seed,
        "nautilus": nautilus.__version__,
        "model": likelihood.exact.model.identity,
        "gps": segment.gps,
    }
    # geocent_time needs more than float32: kept relative to the event.
    p["geocent_time"] = p["geocent_time"] - segment.gps
    np.savez_compressed(REFERENCE, meta=json.dumps(meta), **{key: value.astype(np.float32) for key, value in p.items()})
    print(json.dumps(meta, indent=1))


def ours(segment: AnalysisSegment, keep: Path, n: int) -> Result:
    """The same posterior by `sample_event`, from its file where it is there."""
    path = keep / "ours.hdf5"
    if not path.exists():
        options = SamplingOptions(on_edge="warn", centre_time=False)
        sample_event(segment, PRIOR, surrogate="nrphm", n=n, seed=3, options=options, checkpoint=keep / "ours.steps").save(path)
    return Result.load(path)


def table(result: Result, draws: dict[str, np.ndarray], meta: dict[str, Any]) -> dict[str, Any]:
    """Divergences beside those of two halves of the reference, largest first."""
    rng = np.random.default_rng(7)
    theirs = draws | derived(draws)
    mine = {key: result.posterior[key].to_numpy() for key in COMPARED}
    mine["geocent_time"] = mine["geocent_time"] - meta["gps"]
    n = min(len(mine["phase"]), len(theirs["phase"]) // 2)
    rows = []
    for key in COMPARED:
        null = []
        for _ in range(5):
            shuffled = rng.permutation(theirs[key])
            null.append(divergence(shuffled[:n], shuffled[n : 2 * n]))
        own = divergence(rng.permutation(mine[key])[:n], rng.permutation(theirs[key])[:n])
        rows.append({"parameter": key, "jsd": own, "null": float(np.mean(null)), "largest null": float(np.max(null))})
    rows.sort(key=lambda row: -row["jsd"])
    # n_eff independent samples of an evidence have a relative error of about n_eff ** -0.5.
    error = float(np.hypot(result.log_evidence_error, meta["effective_samples"] ** -0.5))
    return {
        "draws": n,
        "rows": rows,
        "log_bayes_factor": [result.log_bayes_factor, meta["log_bayes_factor"]],
        "joint_error": error,
        "ours": {
            "n": result.n_draws,
            "efficiency": result.sample_efficiency,
            "pareto_k": result.pareto_k,
            "seconds": result.seconds,
            "flags": result.flags,
        },
        "reference": meta,
        "versions": artifacts.package_versions("numpy", "numba", "torch"),
    }


def markdown(report: dict[str, Any]) -> str:
    """The table."""
    first, second = report["log_bayes_factor"]
    lines = ["| parameter | JSD [mnat] | null, mean of 5 | null, largest |", "|---|---|---|---|"]
    lines += [f"| {r['parameter']} | {r['jsd']:.2f} | {r['null']:.2f} | {r['largest null']:.2f} |" for r in report["rows"]]
    lines += [
        "",
        f"{report['draws']:,} draws each. Log Bayes factor: ours {first:.3f}, nautilus {second:.3f}, joint error "
        f"{report['joint_error']:.3f}. Ours: {report['ours']['n']:,} draws, efficiency {report['ours']['efficiency']:.0%}, k "
        f"{report['ours']['pareto_k']:.2f}. nautilus: {report['reference']['likelihood_evaluations']:,} likelihoods, "
        f"{report['reference']['effective_samples']:,.0f} effective samples.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("reference", "compare"))
    parser.add_argument("--strain", type=Path, required=True)
    parser.add_argument("--keep", type=Path, default=Path("out/nested"))
    parser.add_argument("--n-live", type=int, default=2000)
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    segment = gw150914(args.strain)
    if args.what == "reference":
        reference(segment, args.keep, args.n_live, args.seed)
        return
    with np.load(REFERENCE) as stored:
        meta = json.loads(str(stored["meta"]))
        draws = {key: stored[key].astype(np.float64) for key in stored if key != "meta"}
    report = table(ours(segment, args.keep, args.n), draws, meta)
    (RESULTS / "precessing_nested.json").write_text(json.dumps(report, indent=1) + "\n")
    (RESULTS / "precessing_nested.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()
