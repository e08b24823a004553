"""Polarization pairs of a precessing binary beside LALSimulation's models, in one run, one thread, in turn; and batches.

    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=2 python benchmarks/precessing_speed.py [--rounds 30] [--only batches]
        [--nr PYTHON]

65 solar masses from 20 Hz, 4096 Hz, all modes of each model. IMRPhenomXPHM-SpinTaylor is asked for its transforms on 4 s, as it
is made to be used, the others for time series from where (2,2) passes 20 Hz, and nrphm for such transforms too, in which all orders
begin at 20 Hz: its series and its transforms are compared with each of the others. NRSur7dq2 with `--nr`, the interpreter of the
environment of `make nr` (.venv-nr/bin/python), in a process of its own, for one direction at the same times. Each is called twice
in its turn and the second call timed, as where many waveforms are made one after the other: a first one also fetches its tables.
Medians, and ratios of neighbours in time. Batches: binaries of isotropic spins, CPU time of the process and wall time for each, on
one and on two threads, A B A B; modes at 4096 times by one call for each and by `batch`, without and with gradients; on a busy
machine the CPU time says more. Writes benchmarks/results/precessing_speed.json and .md, precessing_batches.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.binaries import PRECESSING
from gwsurrogate_ml.waveform.lal import spins_in_orbit

RATE, LOW, DURATION = 4096.0, 20.0, 4.0
THETA_JN, PHASE, DISTANCE = 0.8, 1.0, 400.0
NRSUR = """
import sys, time
import numpy as np
from NRSur7dq2 import NRSurrogate7dq2
model = NRSurrogate7dq2()
theta, start, n = (float(x) for x in sys.argv[1:4])
spins = np.array([float(x) for x in sys.argv[4:]]).reshape(2, 3)
times = start + np.arange(int(n)) / RATE
for _ in sys.stdin:
    begin = time.perf_counter()
    h = model(1.5, *spins, f_ref=LOW, MTot=65.0, distance=DISTANCE, theta=theta, phi=0.6, t=times)
    print(time.perf_counter() - begin, len(h), flush=True)
"""
"""What NRSur7dq2's process does: a waveform for each line."""
SPINS = {"a_1": 0.6, "a_2": 0.4, "tilt_1": 1.0, "tilt_2": 0.7, "phi_12": 0.3, "phi_jl": 1.0}


def peers() -> dict[str, Callable[[], Any]]:
    """The models, each a call without arguments."""
    import lal
    import lalsimulation

    chirp = {"chirp_mass": (39.0 * 26.0) ** 0.6 / 65.0**0.2, "mass_ratio": 26.0 / 39.0}
    binary = PRECESSING.binaries(PRECESSING.theta(chirp | SPINS))
    (iota,), (spin_1,), (spin_2,) = spins_in_orbit(binary, np.array([THETA_JN]), LOW, PHASE)
    masses = (39.0 * lal.MSUN_SI, 26.0 * lal.MSUN_SI)
    place = (DISTANCE * 1e6 * lal.PC_SI, iota, PHASE, 0.0, 0.0, 0.0)
    surrogate = gw.load_surrogate("nrphm")
    options = lal.CreateDict()
    lalsimulation.SimInspiralWaveformParamsInsertPhenomXPrecVersion(options, 320)

    def ours() -> Any:
        return surrogate.polarizations(
            mass_1=39.0, mass_2=26.0, **SPINS, luminosity_distance=DISTANCE, theta_jn=THETA_JN, phase=PHASE, f_min=LOW,
            sampling_frequency=RATE,
        )  # fmt: skip

    def in_time(name: str) -> Callable[[], Any]:
        number = lalsimulation.GetApproximantFromString(name)
        return lambda: lalsimulation.SimInspiralChooseTDWaveform(
            *masses, *spin_1, *spin_2, *place, 1 / RATE, LOW, LOW, None, number
        )

    def spin_taylor() -> Any:
        return lalsimulation.SimInspiralChooseFDWaveform(
            *masses, *spin_1, *spin_2, *place, 1 / DURATION, LOW, RATE / 2, LOW, options, lalsimulation.IMRPhenomXPHM
        )

    def transforms() -> Any:
        return surrogate.frequency_domain_polarizations(
            mass_1=39.0, mass_2=26.0, inclination=iota, spin_1=spin_1, spin_2=spin_2, luminosity_distance=DISTANCE, phase=PHASE,
            f_min=LOW, sampling_frequency=RATE, duration=DURATION,
        )  # fmt: skip

    return {
        "nrphm": ours,
        "nrphm, transforms": transforms,
        "IMRPhenomTPHM": in_time("IMRPhenomTPHM"),
        "IMRPhenomXPHM-SpinTaylor": spin_taylor,
    }


class Nrsur:
    """NRSur7dq2 in its own environment: each call makes one waveform and gives the seconds that it took there."""

    def __init__(self, python: str) -> None:
        chirp = {"chirp_mass": (39.0 * 26.0) ** 0.6 / 65.0**0.2, "mass_ratio": 26.0 / 39.0}
        binary = PRECESSING.binaries(PRECESSING.theta(chirp | SPINS))
        (iota,), (spin_1,), (spin_2,) = spins_in_orbit(binary, np.array([THETA_JN]), LOW, PHASE)
        series = peers()["nrphm"]()[0]
        start = float(series.t0.value)
        code = NRSUR.replace("RATE", repr(RATE)).replace("LOW", repr(LOW)).replace("DISTANCE", repr(DISTANCE))
        numbers = [iota, start, len(series), *spin_1, *spin_2]
        self.process = subprocess.Popen(
            [python, "-c", code, *(repr(float(x)) for x in numbers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self) -> float:
        """Seconds of one waveform."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline().split()[0])


def batch_calls(n: int) -> dict[str, tuple[int, Callable[[], Any]]]:
    """What is timed of batches: for how many binaries, and a call without arguments."""
    import torch

    torch.set_num_threads(1)
    surrogate = gw.load_surrogate("nrphm")
    rng = np.random.default_rng(0)
    q = rng.uniform(1.0, 2.0, n)
    angles = {"phi_12": 2 * np.pi * rng.random(n), "phi_jl": 2 * np.pi * rng.random(n), "phase": 2 * np.pi * rng.random(n)}
    cosines = {name: np.arccos(rng.uniform(-1, 1, n)) for name in ("tilt_1", "tilt_2", "theta_jn")}
    pairs = {"mass_1": 65 * q / (1 + q), "mass_2": 65 / (1 + q), "a_1": rng.uniform(0, 0.8, n), "a_2": rng.uniform(0, 0.8, n)}
    pairs |= angles | cosines
    samples = round(0.93 * RATE)
    grid = {"luminosity_distance": DISTANCE, "f_ref": LOW, "start": -0.9, "samples": samples, "sampling_frequency": RATE}
    spins = rng.normal(size=(n, 2, 3))
    spins *= (0.8 * rng.random((n, 2)) / np.linalg.norm(spins, axis=2))[..., None]
    every = torch.tensor(np.column_stack([q, spins.reshape(n, 6)]))
    times = torch.linspace(-3000.0, 90.0, 4096, dtype=torch.float64)
    few = min(n, 64)
    parameters = every[:few].clone().requires_grad_()
    ones = [(float(row[0]), row[1:4].tolist(), row[4:].tolist()) for row in every[:few]]
    weights = torch.ones(few, len(surrogate.inertial_modes), len(times), dtype=torch.complex128)

    def one_by_one() -> None:
        for one in ones:
            surrogate(*one, t_ref=-3000.0, times=times.numpy())

    def forward() -> Any:
        return surrogate.batch(parameters, times, t_ref=-3000.0)

    return {
        f"pairs, {samples} samples, `batch_polarizations`": (n, lambda: surrogate.batch_polarizations(**pairs, **grid)),
        "modes, 4096 times, one call for each": (few, one_by_one),
        "modes, 4096 times, `batch`": (few, lambda: surrogate.batch(parameters.detach(), times, t_ref=-3000.0)),
        "modes, 4096 times, `batch`, of which derivatives can be taken": (few, forward),
        "modes, 4096 times, `batch`, and their derivatives": (few, lambda: forward().backward(weights)),
    }


def batches(n: int, rounds: int) -> None:
    """Time batches and write the results."""
    import numba

    calls = batch_calls(n)
    for _, call in calls.values():
        call()
    rows = []
    for threads in (1, 2):
        numba.config.NUMBA_NUM_THREADS = threads  # type: ignore[attr-defined]
        spent: dict[str, list[np.ndarray]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, (_, call) in calls.items():
                begin = np.array([time.process_time(), time.perf_counter()])
                call()
                spent[name].append(np.array([time.process_time(), time.perf_counter()]) - begin)
        for name, (size, _) in calls.items():
            cpu, wall = (1e3 * np.median(spent[name], axis=0) / size).tolist()
            rows.append({"name": name, "binaries": size, "threads": threads, "cpu_ms_each": cpu, "wall_ms_each": wall})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    lines = ["| what | binaries | threads | CPU time each [ms] | wall time each [ms] |", "| --- | ---: | ---: | ---: | ---: |"]
    lines += [
        f"| {r['name']} | {r['binaries']} | {r['threads']} | {r['cpu_ms_each']:.2f} | {r['wall_ms_each']:.2f} |" for r in rows
    ]
    folder = Path(__file__).parent / "results"
    content = {"rounds": rounds, "load": os.getloadavg()[1], "peak_memory_bytes": peak, "rows": rows}
    content["versions"] = artifacts.package_versions("numpy", "numba", "torch")
    content["model"] = gw.load_surrogate("nrphm").identity
    content["command"] = f"benchmarks/precessing_speed.py --only batches --binaries {n} --rounds {6 * rounds}"
    (folder / "precessing_batches.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "precessing_batches.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines), f"\npeak memory of the process: {peak / 1e6:.0f} MB")


def main() -> None:
    """Time the models in turn and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--only", choices=["pairs", "batches"], help="one of the two parts; by default both")
    parser.add_argument("--nr", help="interpreter of the environment of `make nr`, for NRSur7dq2")
    parser.add_argument("--binaries", type=int, default=1024, help="in a batch of pairs")
    args = parser.parse_args()
    if args.only != "pairs":
        batches(args.binaries, max(3, args.rounds // 6))
    if args.only == "batches":
        return
    calls = peers() | ({"NRSur7dq2": Nrsur(args.nr)} if args.nr else {})
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(args.rounds):
        for name, call in calls.items():
            call()
            begin = time.perf_counter()
            there = call()
            seconds[name].append(there if isinstance(call, Nrsur) else time.perf_counter() - begin)
    both = np.array(seconds["nrphm"]), np.array(seconds["nrphm, transforms"])
    rows = {
        name: {
            "median_ms": 1e3 * float(np.median(x)),
            "ratio": float(np.median(np.array(x) / both[0])),
            "ratio_to_transforms": float(np.median(np.array(x) / both[1])),
        }
        for name, x in seconds.items()
    }
    lines = ["| model | median [ms] | times nrphm's series | times nrphm's transforms |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {name} | {row['median_ms']:.2f} | {row['ratio']:.1f} | {row['ratio_to_transforms']:.1f} |" for name, row in rows.items()
    ]
    folder = Path(__file__).parent / "results"
    content = {
        "command": f"benchmarks/precessing_speed.py --only pairs --rounds {args.rounds}" + (" --nr PYTHON" if args.nr else ""),
        "threads": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")},
        "load": os.getloadavg()[0],
        "model": gw.load_surrogate("nrphm").identity,
        "rounds": args.rounds,
        "versions": artifacts.package_versions("numpy", "numba", "lalsuite"),
        "models": rows,
    }
    (folder / "precessing_speed.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "precessing_speed.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
