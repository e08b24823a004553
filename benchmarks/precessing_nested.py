"""GW150914's posterior with precession and all modes beside a nested sampler on the same likelihood and prior.

    pip install nautilus-sampler==1.0.6
    python benchmarks/precessing_nested.py reference --strain FOLDER [--keep out/nested]    # once; a stopped run goes on
    python benchmarks/precessing_nested.py compare --strain FOLDER [--keep out/nested]      # table

The reference is nautilus (Lange 2023, arXiv:2306.16923) over the nine parameters that are proposed, on the likelihood of `nrphm`
with the six others integrated, its draws weighed anew by exact likelihoods. Of our flows, rounds and regressions it has that the
integral's points are chosen for a few binaries of our posterior; the integral is the same (it is held against sums over
grids by the tests, against cogwheel-pe by `cogwheel.py`).
Over fourteen parameters, distance alone summed out, nautilus had found no end after 300,000 likelihoods. H1 and L1, 4 s from 20 to
1024 Hz, chirp masses 25 to 37, mass ratios from 1/2 on, isotropic spins below 0.8. Writes
benchmarks/reference/gw150914_precessing.npz, then benchmarks/results/precessing_nested.json and .md.
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
from gwsurrogate_ml.binaries import PRECESSING
from gwsurrogate_ml.conventions import EXTRINSIC
from gwsurrogate_ml.inference import SamplingOptions, SegmentLikelihood, sample_event
from gwsurrogate_ml.inference.likelihood.trigger import search
from gwsurrogate_ml.inference.prior.composition import ComposedPrior
from gwsurrogate_ml.inference.prior.masses import ChirpMass, MassRatio
from gwsurrogate_ml.inference.prior.spins import Isotropic
from gwsurrogate_ml.inference.result.draws import derived
from gwsurrogate_ml.inference.result.result import Result
from gwsurrogate_ml.inference.sampling.orders import OrdersSampler
from gwsurrogate_ml.inference.weights import effective_size, resample
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.surrogate.load import load_model

REFERENCE = Path(__file__).parent / "reference" / "gw150914_precessing.npz"
PRIOR = ComposedPrior((ChirpMass(25.0, 37.0), MassRatio(0.5, 1.0), Isotropic(0.8)), luminosity_distance=(10.0, 2000.0))
COMPARED = (
    "chirp_mass", "mass_ratio", "a_1", "a_2", "tilt_1", "tilt_2", "phi_12", "phi_jl", "chi_eff", "chi_p", "luminosity_distance",
    "theta_jn", "psi", "phase", "ra", "dec", "geocent_time",
)  # fmt: skip
KEPT = (*PRECESSING.names, *EXTRINSIC)
N_EFF, N_SETS, EACH = 10_000, 8, 8
"""Effective samples of the reference; sets of extrinsic points, and binaries of either side of the orbit they are chosen for."""


def marginal(segment: AnalysisSegment, likely: Result) -> OrdersSampler:
    """The likelihood over normal scores of nine parameters, with points chosen for some binaries of a posterior."""
    likelihood = SegmentLikelihood(segment, load_model("nrphm"))
    band = np.flatnonzero(likelihood.frequencies >= segment.f_min)
    found = search(likelihood, PRIOR, likelihood.waveforms(PRIOR.reference())[0, band], band, 77)
    sampler = OrdersSampler(likelihood, PRIOR, found, n_sets=N_SETS, seed=77)
    columns = likely.posterior.sample(frac=1.0, random_state=77)[list(sampler.proposed.names)].to_numpy()
    group = sampler.group(columns)
    some = np.concatenate([columns[group == number][:EACH] for number in (0, 1)])
    sampler.build_sets(sampler.known(some, ""), log2_n=15)
    return sampler


def reference(segment: AnalysisSegment, keep: Path, n_live: int, seed: int, likely: Result) -> None:
    """Nested sampling; weighted draws and the evidence go to `REFERENCE`."""
    import nautilus

    sampler = marginal(segment, likely)
    began, dims = time.process_time(), len(sampler.proposed.names)

    def log_likelihood(u: np.ndarray) -> np.ndarray:
        return sampler.evaluate(ndtri(u), "").log_likelihood

    nested = nautilus.Sampler(
        lambda u: u,
        log_likelihood,
        n_dim=dims,
        n_live=n_live,
        vectorized=True,
        pass_dict=False,
        filepath=keep / "nautilus.hdf5",
        seed=seed,
    )
    # The likelihood is noisy: a point whose noise is high draws the next bound about itself. Draws in bounds that are final do not.
    nested.run(n_eff=0, verbose=True)
    nested.discard_exploration = True
    nested.run(n_eff=N_EFF, verbose=True)
    points, log_w, log_l = nested.posterior()
    rng = np.random.default_rng(seed)
    # Equally weighted points get extrinsic parameters, and the weights that exact likelihoods give them.
    index = resample(log_w, int(nested.n_eff), rng)
    draws = sampler.evaluate(ndtri(points[index]), "")
    exact = sampler.exact(draws, np.arange(len(draws.z)))[:, 0]
    change = exact - draws.extrinsic[:, sampler.drawn_at_once.index("log_likelihood")] + draws.log_likelihood - log_l[index]
    index = resample(change, len(draws.z), rng)
    p = dict(zip(sampler.proposed.names, draws.theta[index].T, strict=True))
    p |= dict(zip(sampler.drawn_at_once, draws.extrinsic[index].T, strict=True))
    meta = {
        "log_bayes_factor": float(nested.log_z + logsumexp(change) - np.log(len(change))),
        "effective_samples": float(nested.n_eff),
        "exact_efficiency": effective_size(change) / len(change),
        "likelihood_evaluations": int(nested.n_like),
        "cpu_seconds_of_the_last_start": round(time.process_time() - began),
        "n_live": n_live,
        "seed": seed,
        "nautilus": nautilus.__version__,
        "model": sampler.likelihood.model.identity,
        "gps": segment.gps,
    }
    # geocent_time needs more than float32: kept relative to the event.
    p["geocent_time"] = p["geocent_time"] - segment.gps
    np.savez_compressed(REFERENCE, meta=json.dumps(meta), **{key: p[key].astype(np.float32) for key in KEPT})
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
        reference(segment, args.keep, args.n_live, args.seed, ours(segment, args.keep, args.n))
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
