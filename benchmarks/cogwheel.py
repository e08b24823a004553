"""The marginalised likelihood beside cogwheel-pe 1.6's: GW150914 and an edge-on binary of mass ratio 0.3, IMRPhenomXPHM.

    python3 -m venv COGENV && COGENV/bin/pip install --no-deps cogwheel-pe==1.6.0
    COGENV/bin/pip install numpy==2.2.6 scipy==1.15.3 pandas==2.2.3 gwpy==3.0.13 lalsuite==7.26.1 numba==0.61.2
        matplotlib==3.10.3 setuptools_scm==8.3.1 ipython==8.36.0 pyarrow==20.0.0 tqdm==4.67.1
    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/cogwheel.py --strain FOLDER
        --cogwheel COGENV/bin/python [--points 50]

Both integrate distance, phase, polarisation, sky and arrival time of the same 50 binaries (masses, spins, theta_jn) about the
maximum, given the same strain and noise spectra on the same frequencies, 20 to 1024 Hz of 4 s, and the same model of LAL with all
settings at their defaults, spins at 20 Hz (the waveforms differ by 5e-7 of their power: LAL interpolates between fewer frequencies
where it is asked for a regular grid). cogwheel-pe is GPL and never imported here: cogwheel_peer.py is run by the interpreter of its
own environment. Its data are handed over as they are, by its `EventData`, without its own conditioning and taper. Two habits of
cogwheel are undone: its estimate of how the noise's level has drifted, which would scale the spectrum, is set to one; and its
relative binning leaves out the lowest frequency that has weight, 20 Hz here, so it gets one more below, of 1e-12 of the weight.

cogwheel takes the inclination of the orbit and the spins in axes in which the line of sight is in the y-z plane: that is LAL's
frame at the phase 0, which `spins_in_orbit` gives from theta_jn, phi_jl and the rest. What differs by definition is taken away:

- *time*: cogwheel's prior is 1 per second, ours 1 / (2 w) within +-w = 0.1 s, which holds the whole signal: its value less log 2 w;
- *distance*: both ~ D^2, cogwheel's from 0 to 5000 Mpc with unit integral, ours from 10 Mpc on: (10/5000)^3 = 8e-9, left as it is;
- *sky, polarisation, phase*: isotropic and uniform with unit integral for both: nothing.

A third, independent value says that no other constant is hidden: for the likeliest binary the integral by plain Monte Carlo
(cogwheel_plain.py) over isotropic directions and uniform times with grids of polarisations and phases, LAL's own antenna patterns
and detectors, on all frequencies; at a few of its points its log likelihood is held against bilby's with bilby's own source model
from the same masses, spins and theta_jn.

Each value is the mean likelihood over 12 samplings with points of their own, ours and theirs (theirs with four tables of the
sky); the scatter of one evaluation is the standard deviation of their logs, the joint error that of the difference of both means.
"exact" is ours with the likelihood of each set's drawn point computed anew on all frequencies, as the package does with all final
draws. Times are CPU time of one evaluation, waveforms included: by LAL five of 4097 frequencies for ours, five on the bins of
relative binning for theirs. Cases that are done are kept in a folder: the same command goes on from there. Writes
benchmarks/results/cogwheel.json and .md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cogwheel_plain import plain_monte_carlo

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.inference import BinaryPrior, SamplingOptions, SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import Trigger, search
from gwsurrogate_ml.inference.prior.composition import ComposedPrior
from gwsurrogate_ml.inference.prior.masses import ChirpMass, MassRatio
from gwsurrogate_ml.inference.prior.spins import Isotropic
from gwsurrogate_ml.inference.sampling.orders import OrdersSampler
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.strain.spectrum import DESIGNS
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.waveform.lal import spins_in_orbit
from gwsurrogate_ml.waveform.model import Grid, WaveformModel

FAR, HALF_WIDTH = 5000.0, 0.1
CANDIDATES, REPEATS, SKIES = 3, 12, 4
"""Binaries that are drawn for each that is kept, the likeliest; values of each; dictionaries of the sky on cogwheel's side."""
PHASE_TOLERANCE, N_EFFECTIVE = 0.05, 50.0
"""cogwheel's: of relative binning (rad), and effective points below which it goes on."""
EVENT = {"chirp_mass": (31.0, 0.8), "mass_ratio": (0.85, 0.1), "a": 0.6}
EDGE_ON = {
    "chirp_mass": 24.0, "mass_ratio": 0.3, "a_1": 0.6, "a_2": 0.3, "tilt_1": 1.1, "tilt_2": 0.7, "phi_12": 0.5, "phi_jl": 1.0,
    "theta_jn": 1.57, "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": 1126259462.4,
}  # fmt: skip
WIDTHS = {
    "chirp_mass": 0.25, "mass_ratio": 0.02, "a_1": 0.12, "a_2": 0.15, "tilt_1": 0.15, "tilt_2": 0.3, "phi_12": 0.5, "phi_jl": 0.15,
    "theta_jn": 0.06,
}  # fmt: skip
SNR, NEAR = 20.0, 20.0
"""Of the simulated signal in H1 and L1; logs of marginal likelihoods below the largest up to which binaries are shown apart."""
RESULTS = Path(__file__).parent / "results"


class Remembered(WaveformModel):
    """A model whose orders are kept: repeats of one binary make its waveforms once."""

    def __init__(self, model: WaveformModel) -> None:
        self.model, self.name, self.space, self.modes, self.limits = model, model.name, model.space, model.modes, model.limits
        self.kept: dict[bytes, np.ndarray] = {}
        self.seconds, self.made = 0.0, 0

    def orders(self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `WaveformModel.orders`."""
        rows = []
        for i, theta in enumerate(theta_jn):
            one = binaries[i : i + 1]
            key = np.concatenate([one.mass_1, one.mass_2, one.spin_1[0], one.spin_2[0], one.phi_jl, [theta]]).tobytes()
            if key not in self.kept:
                begin = time.process_time()
                self.numbers, spectra = self.model.orders(one, grid, theta_jn[i : i + 1])
                self.seconds, self.made = self.seconds + time.process_time() - begin, self.made + 1
                self.kept[key] = spectra[0]
            rows.append(self.kept[key])
        return self.numbers, np.array(rows)

    def quadrupole(self, binaries: Binaries, grid: Grid) -> np.ndarray:
        """See `WaveformModel.quadrupole`."""
        return self.model.quadrupole(binaries, grid)


@dataclass
class Case:
    """Data, and binaries (N, 9) of the model's space and theta_jn about the maximum."""

    key: str
    name: str
    segment: AnalysisSegment
    prior: ComposedPrior
    candidates: np.ndarray


def gw150914(folder: Path, n: int) -> Case:
    """The event, and binaries of isotropic spins and directions about its chirp mass."""
    files = {name: folder / f"{name[0]}-{name}_LOSC_4_V2-1126259446-32.hdf5" for name in ("H1", "L1")}
    segment = gw.StrainData.from_files(files, gps=1126259462.4).segment(smooth=False)
    prior = ComposedPrior((ChirpMass(24.0, 38.0), MassRatio(0.4, 1.0), Isotropic(0.9)), (10.0, FAR), HALF_WIDTH)
    rng = np.random.default_rng(150914)
    mass = rng.normal(*EVENT["chirp_mass"], n)
    ratio = 1 - np.abs(1 - rng.normal(*EVENT["mass_ratio"], n))
    spins = EVENT["a"] * rng.random((n, 2))
    tilts, theta_jn = np.arccos(rng.uniform(-1, 1, (n, 2))), np.arccos(rng.uniform(-1, 1, n))
    return Case(
        "GW150914",
        "GW150914",
        segment,
        prior,
        np.column_stack([mass, ratio, spins, tilts, 2 * np.pi * rng.random((n, 2)), theta_jn]),
    )


def edge_on(detectors: tuple[str, ...], n: int, model: WaveformModel) -> Case:
    """The simulated binary in noise of the designs at H1's and L1's signal-to-noise ratio of 20, and binaries about the truth."""
    prior = ComposedPrior((ChirpMass(20.0, 28.0), MassRatio(0.15, 0.6), Isotropic(0.99)), (10.0, FAR), HALF_WIDTH)

    def data(truth: Mapping[str, float], names: tuple[str, ...], **options: Any) -> AnalysisSegment:
        return simulate(truth, model, names, duration=16, sampling_frequency=2048, seed=3, **options).segment(
            psd={name: DESIGNS[name] for name in names}
        )

    near = EDGE_ON | {"luminosity_distance": 1000.0}
    quiet = SegmentLikelihood(data(near, ("H1", "L1"), zero_noise=True), model)
    truth = near | {"luminosity_distance": 1000.0 * float(np.sqrt(quiet.log_ratio_and_power(near)[1][0])) / SNR}
    rng = np.random.default_rng(3)
    columns = [EDGE_ON[name] + width * rng.normal(size=n) for name, width in WIDTHS.items()]
    columns[2:4] = [np.clip(np.abs(a), 0.01, 0.95) for a in columns[2:4]]
    columns[4:6] = [np.clip(tilt, 0.05, np.pi - 0.05) for tilt in columns[4:6]]
    name = f"edge-on, q = 0.3, {' '.join(detectors)}"
    return Case("edge-on", name, data(truth, detectors), prior, np.column_stack(columns))


def likeliest(case: Case, likelihood: SegmentLikelihood, found: Trigger, n: int) -> np.ndarray:
    """The `n` candidates (n, 9) of the largest marginalised likelihood, the likeliest first."""
    sampler = OrdersSampler(likelihood, case.prior, found, n_sets=2, seed=5)
    theta = case.candidates.copy()
    theta[:, 6:8] %= 2 * np.pi
    sampler.build_sets(sampler.known(theta, ""), log2_n=15)
    log = sampler.evaluate(sampler.proposed.to_normal(theta), "").log_likelihood
    return theta[np.argsort(-log)[:n]]


def ours(case: Case, likelihood: SegmentLikelihood, found: Trigger, theta: np.ndarray, repeats: int) -> dict[str, Any]:
    """Logs (N, repeats) of the integral over orders, and with exact likelihoods; CPU time of one without its waveforms.

    Each by points of its own: the sets of one sampler have some in common.
    """
    log, exact, effective, seconds = [], [], [], 0.0
    for seed in range(1, repeats + 1):
        sampler = OrdersSampler(likelihood, case.prior, found, n_sets=SamplingOptions().n_sets, seed=seed)
        sampler.build_sets(sampler.known(theta, ""), log2_n=15)
        z = sampler.proposed.to_normal(theta)
        begin = time.process_time()
        draws = sampler.evaluate(z, "")
        seconds += (time.process_time() - begin) / (len(z) * repeats)
        change = sampler.exact(draws, np.arange(len(z)))[:, 0] - draws.extrinsic[:, sampler.drawn_at_once.index("log_likelihood")]
        log.append(draws.log_likelihood)
        exact.append(draws.log_likelihood + change)
        effective.append(draws.effective.mean())
    return {"log": np.array(log).T, "exact": np.array(exact).T, "effective": float(np.mean(effective)), "seconds": seconds}


def theirs(case: Case, binaries: Binaries, theta_jn: np.ndarray, args: argparse.Namespace) -> dict[str, Any]:
    """What cogwheel finds, by our priors."""
    segment, keep = case.segment, args.keep
    iota, spin_1, spin_2 = spins_in_orbit(binaries, theta_jn, segment.f_min, 0.0)
    weight = np.where(segment.mask, segment.psd, np.inf) ** -0.5
    given, out = keep / f"{case.key}-given.npz", keep / f"{case.key}-found.npz"
    wanted = dict(
        frequencies=segment.frequencies,
        strain=np.where(weight > 0, segment.strain, 0.0),
        weight=weight,
        detectors=segment.detectors,
        gps=segment.gps,
        tcoarse=segment.gps - segment.start_time,
        far=FAR,
        f_ref=segment.f_min,
        phase_tolerance=PHASE_TOLERANCE,
        n_effective=N_EFFECTIVE,
        repeats=REPEATS,
        skies=SKIES,
        binaries=np.column_stack([binaries.mass_1, binaries.mass_2, iota, spin_1, spin_2]),
    )
    if not (out.exists() and all(np.allclose(np.load(given)[k], v, atol=0) for k, v in wanted.items() if k != "detectors")):
        np.savez(given, **wanted)
        # Isolated: the folder of this script would be searched first, and it holds a cogwheel.py.
        subprocess.run([args.cogwheel, "-I", str(Path(__file__).with_name("cogwheel_peer.py")), str(given), str(out)], check=True)
    found = dict(np.load(out))
    return found | {"log": found["log"] - np.log(2 * HALF_WIDTH), "seconds": float(found["seconds"]) / found["log"].size}


def mean_of(log: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log of the mean over repeats (N, R), its standard error, and the scatter of one, each (N,)."""
    top = log.max(axis=1, keepdims=True)
    share = np.exp(log - top)
    error = share.std(axis=1, ddof=1) / share.mean(axis=1) / np.sqrt(log.shape[1])
    return top[:, 0] + np.log(share.mean(axis=1)), error, log.std(axis=1, ddof=1)


def compared(each: list[dict[str, Any]], key: str) -> dict[str, float]:
    """Differences of the logs of means to cogwheel's, in nats and in units of each binary's own joint error."""
    one, other = (np.array([x[k] for x in each]) for k in (key, "theirs"))
    difference, joint = one[:, 0] - other[:, 0], np.hypot(one[:, 1], other[:, 1])
    size = np.abs(difference)
    return {
        "median_difference": float(np.median(difference)),
        "worst": float(size.max()),
        "joint_error": float(np.median(joint)),
        "median_in_errors": float(np.median(size / joint)),
        "rms_in_errors": float(np.sqrt(np.mean((difference / joint) ** 2))),
        "worst_in_errors": float((size / joint).max()),
    }


def measured(case: Case, model: WaveformModel, args: argparse.Namespace) -> dict[str, Any]:
    """All of one case."""
    remembered = Remembered(model)
    likelihood = SegmentLikelihood(case.segment, remembered)
    aligned = SegmentLikelihood(case.segment, load_model("lal:IMRPhenomXAS"))
    band = np.flatnonzero(likelihood.frequencies >= case.segment.f_min)
    found = search(aligned, BinaryPrior(), aligned.waveforms(BinaryPrior().reference())[0, band], band, 1)
    theta = likeliest(case, likelihood, found, args.points)
    mine = ours(case, likelihood, found, theta, REPEATS)
    binaries, theta_jn = model.space.binaries(theta[:, :-1]), theta[:, -1]
    other = theirs(case, binaries, theta_jn, args)
    row: dict[str, Any] = {
        "name": case.name,
        "points": len(theta),
        "repeats": REPEATS,
        "snr": found.network_snr,
        "seconds": {"ours": mine["seconds"] + remembered.seconds / remembered.made, "theirs": other["seconds"]},
        "effective": {"ours": mine["effective"], "theirs": float(other["n_effective"].mean())},
        "off_fft": float(np.abs(other["off"]).max()),
    }
    columns = {"ours": mine["log"], "exact": mine["exact"], "theirs": other["log"]}
    for key, log in columns.items():
        value, error, scatter = mean_of(log)
        columns[key] = np.column_stack([value, error, scatter])
    names = (*model.space.names, "theta_jn")
    row["each"] = [
        dict(zip(names, x.tolist(), strict=True)) | {key: c[i].round(5).tolist() for key, c in columns.items()}
        for i, x in enumerate(theta)
    ]
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """What is shown."""
    head = [
        "binaries", "number", "sets", "log marginal", "scatter of one: ours", "cogwheel's", "ours", "median difference", "worst",
        "joint error", "in joint errors: median", "rms", "worst",
    ]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * 5 + " --- |" + " ---: |" * 6]
    for r in rows:
        top = max(x["theirs"][0] for x in r["each"])
        for name, each in (
            (f"{r['name']}, SNR {r['snr']:.0f}", r["each"]),
            (f"of these within {NEAR:g} of the likeliest", [x for x in r["each"] if x["theirs"][0] > top - NEAR]),
        )[: 2 if min(x["theirs"][0] for x in r["each"]) < top - NEAR else 1]:
            logs = [x["theirs"][0] for x in each]
            scatter = [f"{np.median([x[key][2] for x in each]):.3f}" for key in ("ours", "theirs")]
            before = [name, str(len(each)), str(r["repeats"]), f"{min(logs):.1f} to {max(logs):.1f}", *scatter]
            for what, key in (("integral over orders", "ours"), ("exact", "exact")):
                c = compared(each, key)
                numbers = [f"{c['median_difference']:+.3f}", f"{c['worst']:.3f}", f"{c['joint_error']:.3f}"]
                numbers += [f"{c[f'{kind}_in_errors']:.2f}" for kind in ("median", "rms", "worst")]
                lines.append("| " + " | ".join([*before, what, *numbers]) + " |")
                before = [""] * 6
    head = [
        "the likeliest binary",
        "plain Monte Carlo",
        "integral over orders",
        "exact",
        "cogwheel",
        "CPU time: cogwheel's over ours",
    ]
    lines += ["", "| " + " | ".join(head) + " |", "| --- |" + " ---: |" * 5]
    for r in rows:
        pairs = [
            r["plain"]["value"] if "plain" in r else (np.nan, np.nan),
            *(r["each"][0][key] for key in ("ours", "exact", "theirs")),
        ]
        values = [f"{pair[0]:.3f} ± {pair[1]:.3f}" for pair in pairs]
        lines.append("| " + " | ".join([r["name"], *values, f"{r['seconds']['theirs'] / r['seconds']['ours']:.1f}"]) + " |")
    return "\n".join(lines) + "\n"


def written(rows: list[dict[str, Any]]) -> None:
    """Write the results of what is done."""
    for row in rows:
        row["compared"] = {key: compared(row["each"], key) for key in ("ours", "exact")}
    report = {
        "settings": {"far": FAR, "half_width": HALF_WIDTH, "phase_tolerance": PHASE_TOLERANCE, "n_effective": N_EFFECTIVE},
        "versions": artifacts.package_versions("numpy", "numba", "lalsuite", "bilby") | {"cogwheel-pe": "1.6.0"},
        "cases": rows,
    }
    (RESULTS / "cogwheel.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "cogwheel.md").write_text(table(rows), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strain", type=Path, required=True, help="folder of GWOSC's 32 s files of GW150914")
    parser.add_argument("--cogwheel", required=True, help="interpreter of the environment of cogwheel-pe")
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument("--keep", type=Path, default=Path("out/cogwheel"), help="for the files that the two interpreters exchange")
    args = parser.parse_args()
    if args.points < 8:
        parser.error(f"--points is {args.points}: give 8 or more")
    args.keep.mkdir(parents=True, exist_ok=True)
    model, n = load_model("lal:IMRPhenomXPHM"), CANDIDATES * args.points
    cases = {"GW150914": lambda: gw150914(args.strain, n), "edge-on": lambda: edge_on(("H1", "L1", "V1"), n, model)}
    rows = []
    for name, case in cases.items():
        kept = args.keep / f"{name}-{args.points}.json"
        if not kept.exists():
            kept.write_text(json.dumps(measured(case(), model, args)), encoding="utf-8")
        rows.append(json.loads(kept.read_text(encoding="utf-8")))
        written(rows)
    for row, (name, case) in zip(rows, cases.items(), strict=True):
        kept = args.keep / f"{name}-plain.json"
        theta = np.array([row["each"][0][name] for name in (*model.space.names, "theta_jn")])
        if not kept.exists():
            segment = case().segment
            plain = plain_monte_carlo(segment, SegmentLikelihood(segment, model), theta, FAR, HALF_WIDTH)
            kept.write_text(json.dumps(plain), encoding="utf-8")
        row["plain"] = json.loads(kept.read_text(encoding="utf-8"))
        written(rows)
    print(table(rows))


if __name__ == "__main__":
    main()
