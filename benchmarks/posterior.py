"""The estimator's posterior of GW150914 against nested sampling of the same likelihood and prior.

    python benchmarks/posterior.py reference --strain H1=FILE --strain L1=FILE   # dynesty, once: some 15 minutes

    python benchmarks/posterior.py compare --strain H1=FILE --strain L1=FILE     # table and figure

The reference samples nine parameters (phase and distance are summed out) with dynesty, in bilby's prior. Its likelihood is
evaluated for many walkers at a time, because the surrogate is four times faster in batches, and is compared with
`bilby.gw.GravitationalWaveTransient` on the spot: the run stops unless they agree to 1e-6. Nothing of the estimator's
extrinsic integral, tables, bases or flows is used. The comparison prints one-dimensional Jensen-Shannon divergences
beside those between halves of the reference and of equal size.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy.special import i0e, logsumexp

import gwsurrogate_ml as gw
from gwsurrogate_ml.conventions import INTRINSIC
from gwsurrogate_ml.inference import SegmentLikelihood, load_estimator
from gwsurrogate_ml.inference.likelihood.detectors import amplitudes, sky_angles
from gwsurrogate_ml.plugins.bilby import source_model
from gwsurrogate_ml.surrogate.load import load_model

REFERENCE = Path(__file__).parent / "reference" / "gw150914_dynesty.npz"
COMPARED = (
    "chirp_mass", "mass_ratio", "chi_1", "chi_2", "chi_eff", "luminosity_distance", "theta_jn", "psi", "ra", "dec",
    "geocent_time",
)  # fmt: skip


class BatchedLikelihood:
    """Log likelihood ratio of points in the unit cube, phase and distance summed out; calls from many threads are one batch.

    Coordinates: quantiles of chirp mass, mass ratio, spins; cos(theta_jn), psi in [0, pi/2) (half a turn of the orbit makes up
    for a quarter turn of psi), arrival at the first detector, delay, azimuth. The arrival time stands for the geocentre's (same
    density): the limits of its prior are a hundred standard deviations away. Distance is summed over 800 nodes.
    """

    n_dim = 9

    def __init__(self, segment, model, prior, walkers: int) -> None:  # type: ignore[no-untyped-def]
        self.exact, self.prior, self.walkers = SegmentLikelihood(segment, model), prior, walkers
        self._weights = self.exact.weight[:, self.exact.band]
        self._filters = self._weights * self.exact.strain[:, self.exact.band]
        self._turn = 2j * np.pi * self.exact.frequencies[self.exact.band]
        self._lock, self._waiting, self._active = threading.Condition(), [], 0
        self.calls = 0

    def physical(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters of points (N, 9), phase and distance left out."""
        network, segment = self.exact.network, self.exact.segment
        theta = self.prior.from_uniform(u[:, :4])
        arrival = segment.gps + self.prior.time_half_width * (2 * u[:, 6] - 1)
        direction = network.ring_direction(network.light_travel_time * (2 * u[:, 7] - 1), 2 * np.pi * u[:, 8])
        gps = arrival - network.delays(direction)[:, 0]
        ra, dec = sky_angles(direction, gps)
        return dict(zip(INTRINSIC, theta.T, strict=True)) | {
            "theta_jn": np.arccos(2 * u[:, 4] - 1),
            "psi": np.pi / 2 * u[:, 5],
            "geocent_time": gps,
            "ra": ra,
            "dec": dec,
            "direction": direction,
        }

    def match_and_power(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """|<d|h>| with the phase free and <h|h> at 1 Mpc of points (N, 9), each (N,)."""
        p = self.physical(u)
        network, exact = self.exact.network, self.exact
        a = amplitudes(*network.patterns(p["direction"], p["psi"]), np.cos(p["theta_jn"]))
        times = (p["geocent_time"] - exact.segment.start_time)[:, None] + network.delays(p["direction"])
        h = exact.waveforms(np.stack([p[name] for name in INTRINSIC], axis=1))[:, exact.band]
        match, power = np.zeros(len(u), dtype=complex), np.zeros(len(u))
        squared = h.real**2 + h.imag**2
        for d in range(2):
            series = np.einsum("nf,nf->n", np.conj(h) * self._filters[d], np.exp(self._turn * times[:, d, None]))
            match += np.conj(a[:, d]) * series
            power += np.abs(a[:, d]) ** 2 * (squared @ self._weights[d])
        return np.abs(match), power

    def at_distance(self, match: np.ndarray, power: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Log likelihood ratio, phase integrated out, at distances (Mpc) that broadcast with match and power."""
        k = match / distance
        return np.log(i0e(k)) + k - 0.5 * power / distance**2

    def distances(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Nodes (n,) in Mpc and the log of the prior's share of each (trapezoid rule in log distance)."""
        near, far = self.prior.luminosity_distance
        nodes = np.geomspace(near, far, n)
        share = nodes**3 * 3 / (far**3 - near**3) * np.log(far / near) / (n - 1)
        share[[0, -1]] /= 2
        return nodes, np.log(share)

    def batch(self, u: np.ndarray) -> np.ndarray:
        """(N, 9) to (N,)."""
        match, power = self.match_and_power(u)
        nodes, log_share = self.distances(800)
        return logsumexp(self.at_distance(match[:, None], power[:, None], nodes) + log_share, axis=1)

    def draw(self, u: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Parameters with distance from its conditional and psi unfolded."""
        p = self.physical(u)
        p.pop("direction")
        match, power = self.match_and_power(u)
        nodes, log_share = self.distances(8000)
        distance = np.empty(len(u))
        for i in range(len(u)):
            log_p = self.at_distance(match[i], power[i], nodes) + log_share
            cdf = np.cumsum(np.exp(log_p - log_p.max()))
            distance[i] = np.interp(rng.random() * cdf[-1], cdf, nodes)
        p["psi"] = p["psi"] + np.pi / 2 * rng.integers(0, 2, len(u))
        return p | {"luminosity_distance": distance}

    def __call__(self, u: np.ndarray) -> float:
        """One point; waits until all walkers that are at work have asked, then one of them evaluates the batch."""
        mine = {"u": u, "value": None}
        with self._lock:
            self.calls += 1
            self._waiting.append(mine)
            if len(self._waiting) >= max(self._active, 1):
                self._flush()
            while mine["value"] is None:
                self._lock.wait()
        return mine["value"]

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        values = self.batch(np.array([item["u"] for item in batch]))
        for item, value in zip(batch, values, strict=True):
            item["value"] = float(value)
        self._lock.notify_all()

    def map(self, function, items):  # type: ignore[no-untyped-def]
        """What dynesty asks of a pool: apply `function` to all, in threads that meet in `__call__`."""

        def work(item):  # type: ignore[no-untyped-def]
            try:
                return function(item)
            finally:
                with self._lock:
                    self._active -= 1
                    if self._waiting and len(self._waiting) >= self._active:
                        self._flush()

        items = list(items)
        results = []
        for start in range(0, len(items), self.walkers):
            part = items[start : start + self.walkers]
            self._active = len(part)
            results += list(self._threads.map(work, part))
        return results

    def __enter__(self) -> BatchedLikelihood:
        self._threads = ThreadPoolExecutor(self.walkers)
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()


def check_against_bilby(likelihood: BatchedLikelihood, n: int = 20) -> float:
    """Largest difference from bilby's phase-marginalised likelihood on `n` draws of the prior; raises above 1e-6."""
    import bilby

    segment = likelihood.exact.segment
    prior = likelihood.prior.to_bilby(segment.gps)
    interferometers = segment.to_bilby()
    generator = bilby.gw.WaveformGenerator(
        duration=segment.duration,
        sampling_frequency=interferometers.sampling_frequency,
        frequency_domain_source_model=source_model(likelihood.exact.model),
        parameter_conversion=bilby.gw.conversion.convert_to_lal_binary_black_hole_parameters,
        waveform_arguments={"minimum_frequency": segment.f_min},
    )
    theirs = bilby.gw.GravitationalWaveTransient(interferometers, generator, phase_marginalization=True, priors=prior)
    u = np.random.default_rng(0).random((n, likelihood.n_dim))
    distance = np.geomspace(100.0, 1000.0, n)
    ours = likelihood.at_distance(*likelihood.match_and_power(u), distance)
    p = likelihood.physical(u) | {"luminosity_distance": distance, "phase": np.zeros(n)}
    p.pop("direction")
    expected = [theirs.log_likelihood_ratio({key: float(value[i]) for key, value in p.items()}) for i in range(n)]
    # bilby tabulates log I0: compare relative to its argument's scale.
    worst = float(np.max(np.abs(ours - expected) / np.maximum(1.0, np.abs(expected))))
    if worst > 1e-5:
        raise RuntimeError(f"the batched likelihood differs from bilby's by {worst:.1e}")
    return worst


def run_reference(segment, estimator, n_live: int, walks: int, walkers: int, seed: int) -> None:  # type: ignore[no-untyped-def]
    """Nested sampling with dynesty; equally weighted samples and evidence go to `REFERENCE`."""
    import dynesty

    started = time.perf_counter()
    with BatchedLikelihood(segment, estimator.model, estimator.prior, walkers) as likelihood:
        worst = check_against_bilby(likelihood)
        print(f"likelihood equals bilby's to {worst:.1e} (relative)", flush=True)
        rng = np.random.default_rng(seed)
        sampler = dynesty.NestedSampler(
            likelihood,
            lambda u: u,
            likelihood.n_dim,
            nlive=n_live,
            sample="rwalk",
            walks=walks,
            bound="multi",
            periodic=[5, 8],
            pool=likelihood,
            queue_size=walkers,
            use_pool={"prior_transform": False, "update_bound": False},
            rstate=rng,
        )
        sampler.run_nested(dlogz=0.1, print_progress=False)
        results = sampler.results
        u = results.samples_equal(rstate=rng)
        p = likelihood.draw(u, rng)
        n_effective = float(np.sum(results.importance_weights()) ** 2 / np.sum(results.importance_weights() ** 2))
        meta = {
            "log_bayes_factor": float(results.logz[-1]),
            "log_bayes_factor_error": float(results.logzerr[-1]),
            "n_live": n_live,
            "walks": walks,
            "likelihood_evaluations": likelihood.calls,
            "effective_samples": n_effective,
            "seconds": round(time.perf_counter() - started, 1),
            "seed": seed,
            "dynesty": dynesty.__version__,
            "surrogate": load_model(estimator.config.surrogate).identity,
            "gps": segment.gps,
        }
    REFERENCE.parent.mkdir(exist_ok=True)
    # geocent_time needs more than float32: kept relative to the event.
    p["geocent_time"] = p["geocent_time"] - segment.gps
    np.savez_compressed(REFERENCE, meta=json.dumps(meta), **{key: value.astype(np.float32) for key, value in p.items()})
    print(json.dumps(meta, indent=1))


def divergence(a: np.ndarray, b: np.ndarray) -> float:
    """Jensen-Shannon divergence in millinats of two sets of samples, from kernel densities (reflected at the ends of
    the joint range).
    """
    from scipy.stats import gaussian_kde

    low, high = min(a.min(), b.min()), max(a.max(), b.max())
    grid = np.linspace(low, high, 400)

    def density(x: np.ndarray) -> np.ndarray:
        x = x[np.linspace(0, len(x) - 1, min(len(x), 10_000)).astype(int)]
        mirrored = np.concatenate([x, 2 * low - x, 2 * high - x])
        p = gaussian_kde(mirrored, bw_method=0.5 * len(x) ** -0.2 * x.std() / mirrored.std())(grid)
        return p / p.sum()

    p, q = density(a), density(b)
    m = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / m), 0) + np.where(q > 0, q * np.log(q / m), 0)
    return 1e3 * 0.5 * float(np.sum(terms))


def compare(result, reference: dict[str, np.ndarray], meta: dict, seed: int) -> str:  # type: ignore[no-untyped-def]
    """Markdown table of divergences, largest first, beside those of the null."""
    rng = np.random.default_rng(seed)
    ours = {key: result.posterior[key].to_numpy() for key in COMPARED}
    ours["geocent_time"] = ours["geocent_time"] - meta["gps"]
    m1 = 1 / (1 + reference["mass_ratio"])
    reference = reference | {"chi_eff": m1 * (reference["chi_1"] + reference["mass_ratio"] * reference["chi_2"])}
    n = int(min(len(ours["chirp_mass"]), meta["effective_samples"]))
    rows = []
    for key in COMPARED:
        a = rng.permutation(ours[key])[:n]
        b = rng.permutation(reference[key])[:n]
        # The null: two disjoint sets of the estimator's own draws, of the size of what is compared.
        null = []
        for _ in range(5):
            shuffled = rng.permutation(result.posterior[key].to_numpy())
            half = min(n, len(shuffled) // 2)
            null.append(divergence(shuffled[:half], shuffled[half : 2 * half]))
        rows.append((divergence(a, b), float(np.mean(null)), float(np.max(null)), key))
    rows.sort(reverse=True)
    lines = ["| parameter | JSD [mnat] | null, mean of 5 | null, largest |", "|---|---|---|---|"]
    lines += [f"| {key} | {jsd:.2f} | {mean:.2f} | {largest:.2f} |" for jsd, mean, largest, key in rows]
    ours_z, ours_e = result.log_bayes_factor, result.log_evidence_error
    ref_z, ref_e = meta["log_bayes_factor"], meta["log_bayes_factor_error"]
    lines += [
        "",
        f"{n} draws each; largest: {rows[0][3]} with {rows[0][0]:.2f} mnat",
        f"log Bayes factor: estimator {ours_z:.3f} +- {ours_e:.3f}, dynesty {ref_z:.3f} +- {ref_e:.3f}, difference "
        f"{(ours_z - ref_z) / np.hypot(ours_e, ref_e):+.1f} joint standard deviations",
        f"estimator: {result.n_draws} draws, efficiency {result.sample_efficiency:.3f}, Pareto-k {result.pareto_k:.2f}, "
        f"{result.extrinsic_ess:.0f} effective extrinsic points, {result.seconds:.0f} s",
        f"dynesty: {meta['likelihood_evaluations']} evaluations, {meta['effective_samples']:.0f} effective samples, "
        f"{meta['seconds']:.0f} s",
    ]
    return "\n".join(lines)


def figure(result, reference: dict[str, np.ndarray], meta: dict, path: Path) -> None:  # type: ignore[no-untyped-def]
    """One-dimensional posteriors of both, one panel for each parameter."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    m1 = 1 / (1 + reference["mass_ratio"])
    reference = reference | {"chi_eff": m1 * (reference["chi_1"] + reference["mass_ratio"] * reference["chi_2"])}
    drawn, axes = plt.subplots(3, 4, figsize=(12, 7.5), layout="constrained")
    for axis, key in zip(axes.flat, COMPARED, strict=False):
        ours = result.posterior[key].to_numpy() - (meta["gps"] if key == "geocent_time" else 0.0)
        edges = np.linspace(*np.quantile(np.concatenate([ours, reference[key]]), [0.001, 0.999]), 41)
        axis.hist(ours, edges, density=True, color="C0", alpha=0.45, label=f"estimator, {result.seconds:.0f} s")
        axis.hist(reference[key], edges, density=True, histtype="step", color="k", label=f"dynesty, {meta['seconds']:.0f} s")
        axis.set_xlabel(key + (" - event [s]" if key == "geocent_time" else ""))
        axis.set_yticks([])
    axes.flat[-1].axis("off")
    axes.flat[-1].legend(*axes.flat[0].get_legend_handles_labels(), loc="center", frameon=False)
    drawn.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("reference", "compare"))
    parser.add_argument("--strain", action="append", required=True, help="DETECTOR=FILE, twice")
    parser.add_argument("--gps", type=float, default=1126259462.4)
    parser.add_argument("--estimator", default="bbh-h1l1")
    parser.add_argument("--n-live", type=int, default=500)
    parser.add_argument("--walks", type=int, default=70)
    parser.add_argument("--walkers", type=int, default=50)
    parser.add_argument("--draws", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=REFERENCE.with_name("gw150914_comparison.md"))
    arguments = parser.parse_args()

    files = dict(item.split("=", 1) for item in arguments.strain)
    segment = gw.StrainData.from_files(files, gps=arguments.gps).segment(smooth=False)
    estimator = load_estimator(arguments.estimator)
    if arguments.what == "reference":
        run_reference(segment, estimator, arguments.n_live, arguments.walks, arguments.walkers, arguments.seed)
        return
    with np.load(REFERENCE) as stored:
        meta = json.loads(str(stored["meta"]))
        reference = {key: stored[key].astype(np.float64) for key in stored.files if key != "meta"}
    if meta["surrogate"] != load_model(estimator.config.surrogate).identity:
        print("note: the reference was made with another version of the surrogate")
    estimator.sample(segment, n=1000, seed=arguments.seed)  # compiles, where that has not been done yet
    result = estimator.sample(segment, n=arguments.draws, seed=arguments.seed)
    text = compare(result, reference, meta, arguments.seed)
    arguments.out.write_text(text + "\n")
    figure(result, reference, meta, arguments.out.with_suffix(".png"))
    print(text)


if __name__ == "__main__":
    main()
