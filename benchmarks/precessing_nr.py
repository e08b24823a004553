"""The precessing surrogate and SEOBNRv5PHM against simulations of precessing binaries within the surrogate's range.

    python -m data_prep precessing-nr --out EOB.npz       # in the environment of `make nr`; --q-max, --chi-max: the card's
    python benchmarks/precessing_nr.py --eob EOB.npz [--data DATA] [--model nrphm]

Spins are given where the simulations give them, at their orbital frequency there. SXS and Georgia Tech: the (2,2) mode in the
simulation's own inertial frame, from 370 M before to 75 M after the peak, white noise, optimised over time and one phase. BAM: the
(2,2) mode in the frame of optimal emission at each frequency, made symmetric under reflection, weighted by the spectrum of advanced
LIGO's design at 70 solar masses from twice the reference's frequency on, optimised over time and phase; the azimuth of the spin in
the plane is unknown, and 0 for both models. Writes benchmarks/results/precessing_nr.json, .md and .png with the worst.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from bilby.gw.detector import PowerSpectralDensity
from precessing_accuracy import without_antisymmetric
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar
from scipy.spatial.transform import Rotation

import gwsurrogate_ml as gw
from data_prep.precessing_nr import MODES, inside, read_all
from data_prep.precessing_runs import PrecessingRun
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.surrogate.precessing import wigner

WINDOW = (-370.0, 75.0)
LATEST, LOWEST, HIGHEST, MASS = 20.0, 2.0, 0.12, 70.0
"""Largest shift in time, M. Of BAM's runs: the lowest frequency, in units of that at the reference, below which they are still
setting in; the highest, 1 / M; total mass for the detector's noise."""
GROUPS = {"SpEC": "SXS", "MAYA": "Georgia Tech", "BAM": "BAM"}


def in_source_frame(frame: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """(2,2) (n,) in the source's frame, from `modes` (5, n) in the reference's, whose axes are the columns of `frame`."""
    x, y, z, w = Rotation.from_matrix(frame).as_quat()
    every = np.zeros((len(wigner.INERTIAL), modes.shape[1]), np.complex128)
    every[[wigner.INERTIAL.index(mode) for mode in MODES]] = modes
    turned = np.empty_like(every)
    wigner.turn(wigner.QUARTER, wigner.QUARTER_TRANSPOSED, np.tile([w, x, y, z], (modes.shape[1], 1)), every, turned)
    return turned[wigner.INERTIAL.index((2, 2))]


def over_time(run: PrecessingRun, times: np.ndarray, modes: np.ndarray) -> tuple[float, np.ndarray]:
    """White-noise mismatch of (2,2), and the model's on the run's times."""
    window = (run.x >= WINDOW[0]) & (run.x <= WINDOW[1])
    t, h = run.x[window], run.h[window]
    near = (times > WINDOW[0] - LATEST - 10) & (times < WINDOW[1] + LATEST + 10)
    model = CubicSpline(times[near], in_source_frame(run.frame, modes[:, near]))

    def loss(shift: float) -> float:
        other = model(t + shift)
        return float(1 - abs(np.vdot(h, other)) / np.linalg.norm(h) / np.linalg.norm(other))

    grid = np.arange(-LATEST, LATEST, 0.5)
    start = grid[int(np.argmin([loss(shift) for shift in grid]))]
    found = minimize_scalar(loss, bounds=(start - 0.5, start + 0.5), method="bounded", options={"xatol": 1e-4})
    best = model(t + found.x)
    return float(found.fun), best * np.exp(-1j * np.angle(np.vdot(h, best)))


def optimal_emission(frequencies: np.ndarray, times: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """Strain of (2,2) (n,) at `frequencies` in the frame of optimal emission of the transforms of `modes` (5, n_t)."""
    known = np.flatnonzero(np.abs(modes[4]) > 0)
    ramp = np.clip((times - times[known[0]]) / 400.0, 0, 1) * np.clip((times[-1] - times) / 15.0, 0, 1)
    step, n = times[1] - times[0], 1 << 15
    f = np.fft.fftfreq(n, step)
    series = np.zeros((5, n), complex)
    series[:, (np.arange(len(times)) + round(times[0] / step)) % n] = modes * (0.5 - 0.5 * np.cos(np.pi * ramp))
    # (2,2) turns as exp(-i phase) and belongs to positive frequencies.
    spectra = np.fft.ifft(series, axis=1)
    positive = (f > 0) & (f < 0.2)
    h = CubicSpline(f[positive], spectra[:, positive], axis=1)(frequencies)
    m = np.arange(-2.0, 3.0)
    up = np.zeros((5, 5))
    up[np.arange(1, 5), np.arange(4)] = np.sqrt(6 - m[:-1] * (m[:-1] + 1))
    generators = [0.5 * (up + up.T), -0.5j * (up - up.T), np.diag(m)]
    turned = np.stack([g @ h for g in generators])
    axis = np.linalg.eigh(np.einsum("amf,bmf->fab", np.conj(turned), turned).real)[1][:, :, 2]
    along = np.einsum("mf,amf->fa", np.conj(h), turned).real
    axis *= np.sign(np.sum(axis * along, axis=1))[:, None]
    alpha, beta = np.unwrap(np.arctan2(axis[:, 1], axis[:, 0])), np.arccos(np.clip(axis[:, 2], -1, 1))
    gamma = -np.concatenate([[0.0], np.cumsum(0.5 * (np.cos(beta[1:]) + np.cos(beta[:-1])) * np.diff(alpha))])
    c, s = np.cos(beta / 2), np.sin(beta / 2)
    d = np.stack([s**4, 2 * c * s**3, np.sqrt(6) * c**2 * s**2, 2 * c**3 * s, c**4])
    return np.asarray(np.sum(d * h * np.exp(1j * m[:, None] * alpha), axis=0) * np.exp(2j * gamma))


def over_frequency(run: PrecessingRun, times: np.ndarray, modes: np.ndarray) -> tuple[float, np.ndarray]:
    """Mismatch of the co-precessing (2,2) with the detector's noise, and the model's on the run's frequencies."""
    used = (run.x > LOWEST * run.omega / np.pi) & (run.x < HIGHEST)
    f, data = run.x[used], run.h[used]
    hertz = f / (MASS * MTSUN_SI)
    noise = PowerSpectralDensity(asd_file="aLIGO_ZERO_DET_high_P_asd.txt").power_spectral_density_interpolated(hertz)
    weight = 1 / np.sqrt(noise)
    a, b = data * weight, optimal_emission(f, times, modes) * weight
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    product = np.conj(a) * b
    # The time of the simulation's peak is arbitrary: all shifts that its frequencies resolve.
    spacing = f[1] - f[0]
    size = 1 << 16
    k = int(np.argmax(np.abs(np.fft.ifft(product, size))))
    coarse = (k if k < size // 2 else k - size) / size / spacing

    def loss(shift: float) -> float:
        return float(1 - abs(np.sum(product * np.exp(2j * np.pi * f * shift))) / norm)

    width = 2 / size / spacing
    found = minimize_scalar(loss, bounds=(coarse - width, coarse + width), method="bounded", options={"xatol": 1e-5})
    return float(found.fun), b / weight


def ours(model: Any, run: PrecessingRun, times: np.ndarray) -> np.ndarray:
    """l = 2 modes (5, n) of the surrogate; runs miss its limits by what simulations miss their targets by."""
    ranges, spins = model.info["ranges"], []
    for name, spin in (("chi1", run.chi1), ("chi2", run.chi2)):
        spins.append(spin * min(1.0, ranges[name]["max"] / max(float(np.linalg.norm(spin)), 1e-9)))
    modes = model(min(max(run.q, 1.0), ranges["q"]["max"]), *spins, omega_ref=run.omega, times=times)
    return np.stack([modes[mode] for mode in MODES])


def markdown(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """The table."""
    lines = ["| simulations | runs | nrphm: median, 90 %, largest | SEOBNRv5PHM: median, 90 %, largest | nrphm closer |"]
    lines.append("| --- | ---: | --- | --- | ---: |")
    for group, by_model in found.items():
        both = [np.array(list(by_model[name].values())) for name in ("nrphm", "SEOBNRv5PHM")]
        cells = [", ".join(f"{x:.1e}" for x in np.quantile(values, (0.5, 0.9, 1.0))) for values in both]
        lines.append(f"| {group} | {len(both[0])} | {cells[0]} | {cells[1]} | {int(np.sum(both[0] < both[1]))} |")
    return "\n".join(lines) + "\n"


def figure(worst: dict[str, tuple[PrecessingRun, float, np.ndarray]], path: Path) -> None:
    """The worst run of each group."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawn, axes = plt.subplots(len(worst), 1, figsize=(9, 3 * len(worst)), constrained_layout=True)
    for axis, (group, (run, mismatch, model)) in zip(axes, worst.items(), strict=True):
        if run.code == "BAM":
            used = (run.x > LOWEST * run.omega / np.pi) & (run.x < HIGHEST)
            values = np.abs(run.h[used])
            axis.semilogy(run.x[used], values / np.linalg.norm(values), "k-", lw=2, label=run.name)
            axis.semilogy(run.x[used], np.abs(model) / np.linalg.norm(model), "w--", lw=1, label="nrphm")
            axis.set(xlabel="M f", ylabel="|h22|, co-precessing", facecolor="0.8")
        else:
            window = (run.x >= WINDOW[0]) & (run.x <= WINDOW[1])
            axis.plot(run.x[window], run.h[window].real, "k-", lw=2, label=run.name)
            axis.plot(run.x[window], model.real * np.linalg.norm(run.h[window]) / np.linalg.norm(model), "w--", lw=1, label="nrphm")
            axis.set(xlabel="t / M", ylabel="Re r h22 / M", facecolor="0.8")
        axis.set(title=f"{group}: worst, mismatch {mismatch:.1e}")
        axis.legend(loc="lower left")
    temporary = path.with_suffix(".tmp.png")
    drawn.savefig(temporary, dpi=100)
    temporary.replace(path)
    plt.close(drawn)


def main() -> None:
    """Run and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--eob", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GWSML_DATA", "../shared/data")))
    parser.add_argument("--model", default="nrphm")
    args = parser.parse_args()
    with np.load(args.eob) as file:
        times, eob = file["times"], dict(zip(file["name"].tolist(), file["modes"], strict=True))
    model = gw.load_surrogate(args.model)
    ranges = model.info["ranges"]
    runs = [run for run in read_all(args.data) if inside(run, ranges["q"]["max"], ranges["chi1"]["max"])]
    if missing := [run.name for run in runs if run.name not in eob]:
        raise SystemExit(
            f"{args.eob} lacks {missing[0]} and {len(missing) - 1} more: make it with the card's --q-max and --chi-max"
        )
    found: dict[str, dict[str, dict[str, float]]] = {}
    worst: dict[str, tuple[PrecessingRun, float, np.ndarray]] = {}
    for bam in (False, True):
        measure = over_frequency if bam else over_time
        if bam:
            without_antisymmetric(model)
        for run in runs:
            if (run.code == "BAM") != bam:
                continue
            group = GROUPS[run.code]
            for name, modes in (("nrphm", ours(model, run, times)), ("SEOBNRv5PHM", eob[run.name].astype(complex))):
                value, best = measure(run, times, modes)
                found.setdefault(group, {}).setdefault(name, {})[run.name] = value
                if name == "nrphm" and value > worst.get(group, (run, 0.0, best))[1]:
                    worst[group] = run, value, best
    content = {
        "command": "benchmarks/precessing_nr.py --eob EOB.npz",
        "versions": artifacts.package_versions("numpy", "scipy"),
        "model": model.identity,
        "mismatch": found,
    }
    folder = Path(__file__).parent / "results"
    (folder / "precessing_nr.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "precessing_nr.md").write_text(markdown(found), encoding="utf-8")
    figure(worst, folder / "precessing_nr.png")
    print(markdown(found), flush=True)


if __name__ == "__main__":
    main()
