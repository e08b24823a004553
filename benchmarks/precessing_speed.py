"""Polarization pairs of a precessing binary beside LALSimulation's models, in one run, one thread, in turn.

    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/precessing_speed.py [--rounds 30]

65 solar masses from 20 Hz, 4096 Hz, all modes of each model. IMRPhenomXPHM-SpinTaylor is asked for its transforms on 4 s, the
others for time series. Medians, and ratios of neighbours in time. Writes benchmarks/results/precessing_speed.json and .md.
"""

from __future__ import annotations

import argparse
import json
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
SPINS = {"a_1": 0.6, "a_2": 0.4, "tilt_1": 1.0, "tilt_2": 0.7, "phi_12": 0.3, "phi_jl": 1.0}


def peers() -> dict[str, Callable[[], Any]]:
    """The models, each a call without arguments."""
    import lal
    import lalsimulation

    chirp = {"chirp_mass": (39.0 * 26.0) ** 0.6 / 65.0**0.2, "mass_ratio": 26.0 / 39.0}
    binary = PRECESSING.binaries(PRECESSING.theta(chirp | SPINS))
    iota, spin_1, spin_2 = spins_in_orbit(binary, THETA_JN, LOW, PHASE)
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

    return {"nrphm": ours, "IMRPhenomTPHM": in_time("IMRPhenomTPHM"), "IMRPhenomXPHM-SpinTaylor": spin_taylor}


def main() -> None:
    """Time the models in turn and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    calls = peers()
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(args.rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begin)
    ours = np.array(seconds["nrphm"])
    rows = {
        name: {"median_ms": 1e3 * float(np.median(x)), "ratio": float(np.median(np.array(x) / ours))} for name, x in seconds.items()
    }
    lines = ["| model | median [ms] | times nrphm's |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {row['median_ms']:.2f} | {row['ratio']:.1f} |" for name, row in rows.items()]
    folder = Path(__file__).parent / "results"
    content = {"rounds": args.rounds, "versions": artifacts.package_versions("numpy", "numba", "lalsuite"), "models": rows}
    (folder / "precessing_speed.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "precessing_speed.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
