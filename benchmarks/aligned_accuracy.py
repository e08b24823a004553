"""The higher modes of the aligned surrogate against NRSur7dq2 on held-out binaries, with and without stage 3.

    python -m data_prep nrsur7dq2-aligned --n 512 --seed 777 --out FOLDER     # in the environment of `make nr`
    python benchmarks/aligned_accuracy.py --held-out FOLDER [--model nrhm] [--n 60]

NRSur7dq2 with spins held along the orbit, mass ratios to 2, spins to 0.8, 4490 M before to 98 M after the peak; advanced LIGO's
design from 20 to 1024 Hz; total masses 70 and 120. All modes together: mismatch of the complex strain over four inclinations,
optimised over time, azimuth and polarization, (5,5) left out, which NRSur7dq2 has not. Each mode: norm of the difference over the
norm of (2,2), at the time and phase that bring (2,2) together. Writes benchmarks/results/aligned_accuracy.json, .md and .png.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
from precessing_accuracy import INCLINATIONS, MASSES, QUANTILES, RATE, Band
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize, minimize_scalar

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.plot import style
from gwsurrogate_ml.surrogate.aligned import stage3
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.waveform.polarizations import harmonics

MODES = ((2, 2), *stage3.MODES)
TIMES = np.concatenate([np.arange(-4490.0, -100.0, 2.0), np.arange(-100.0, 98.0, 0.5)])
TOP = 4
LONGEST = 0.3
"""ms, of the lags that bring two models together."""
Transforms = dict[tuple[int, int], np.ndarray]


def truth(data: dict[str, np.ndarray], row: int) -> Transforms:
    """Modes of a binary of the set at `TIMES`, m > 0."""
    t = data["times"]
    phase = CubicSpline(t, data["phase22"][row])(TIMES)
    out = {(2, 2): CubicSpline(t, data["amp22"][row])(TIMES) * np.exp(-1j * phase)}
    coorbital = CubicSpline(t, data["coorbital"][row].astype(complex), axis=1)(TIMES)
    return out | {(l, m): h * np.exp(-0.5j * m * phase) for (l, m), h in zip(stage3.MODES, coorbital, strict=True)}


def transforms(band: Band, modes: Transforms) -> Transforms:
    """Transforms of the modes, those of negative m among them."""
    step = 1 / RATE / band.unit
    at = np.arange(np.ceil(TIMES[0] / step), np.floor(TIMES[-1] / step) + 1)
    out: Transforms = {}
    for (l, m), h in modes.items():
        out[l, m] = band.transform(CubicSpline(TIMES, h)(at * step), round(at[0]))
        out[l, -m] = (-1) ** l * np.conj(out[l, m][::-1])  # the frequencies of the band, backwards, are those of other sign
    return out


def by_order(modes: Transforms, inclination: float) -> np.ndarray:
    """Sums (9, n) over the modes of each order, -4 to 4 in the azimuth."""
    out = np.zeros((2 * TOP + 1, len(modes[2, 2])), complex)
    for l, m in MODES:
        plus, minus = harmonics([(l, m)], inclination, np.pi / 2)[0]
        out[TOP + m] += plus * modes[l, m]
        out[TOP - m] += minus * modes[l, -m]
    return out


def lags(band: Band) -> np.ndarray:
    """Terms (n, 16), but for powers of i and of the lag in ms, of the Taylor series of exp(2 pi i f lag), to 1e-8 for `LONGEST`."""
    return np.stack([(2e-3 * np.pi * band.f) ** k / math.factorial(k) for k in range(16)], axis=1)


def moved(series: np.ndarray, lag: float) -> np.ndarray:
    """Overlaps (...) at a lag from their Taylor `series` (..., 16)."""
    return series @ (1j * lag) ** np.arange(16)


def mismatch(series: np.ndarray, gram: np.ndarray, norm: float) -> float:
    """One minus the overlap of two sums over orders, over the lag in ms and the azimuth, from 0.

    Parameters
    ----------
    series : (9, 16) complex
        the first sum's overlaps with each order of the other by powers of the lag
    gram : (9, 9) complex
        the other's orders' overlaps with each other
    norm : float
        of the first sum, squared
    """
    orders = np.arange(-TOP, TOP + 1)

    def loss(p: np.ndarray) -> float:
        turn = np.exp(1j * orders * p[0])
        return float(1 - abs(turn @ moved(series, p[1])) / np.sqrt(norm * (np.conj(turn) @ gram @ turn).real))

    simplex = np.array([[0.0, 0.0], [0.02, 0.0], [0.0, 0.04]])
    options = {"xatol": 1e-6, "fatol": 1e-11, "initial_simplex": simplex}
    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options=options)
    assert abs(found.x[1]) < LONGEST
    return float(found.fun)


def brought_together(band: Band, nr: Transforms, ours: Transforms) -> Transforms:
    """Our modes at the lag at which (2,2) overlaps best."""
    products = np.conj(nr[2, 2]) * ours[2, 2]

    def loss(lag: float) -> float:
        return -abs(np.sum(products * np.exp(2e-3j * np.pi * band.f * lag)))

    shift = np.exp(2e-3j * np.pi * band.f * float(minimize_scalar(loss, bracket=(-0.05, 0.05)).x))
    return {mode: h * shift for mode, h in ours.items()}


def differences(nr: Transforms, ours: Transforms) -> dict[str, float]:
    """Mismatch of (2,2), and of every other mode the norm of the difference over that of (2,2)."""
    overlap = np.vdot(nr[2, 2], ours[2, 2])
    norm, azimuth = np.linalg.norm(nr[2, 2]), -0.5 * np.angle(overlap)
    out = {"22": float(1 - abs(overlap) / norm / np.linalg.norm(ours[2, 2]))}
    for l, m in stage3.MODES:
        out[f"{l}{m}"] = float(np.linalg.norm(ours[l, m] * np.exp(1j * m * azimuth) - nr[l, m]) / norm)
    return out


Found = dict[str, dict[str, dict[str, list[float]]]]


def compare(models: dict[str, Surrogate], data: dict[str, np.ndarray], n: int) -> Found:
    """All figures by model and total mass."""
    bands = {f"{mass:.0f}": Band(mass) for mass in MASSES}
    powers = {mass: lags(band) for mass, band in bands.items()}
    found: Found = {name: {mass: {} for mass in bands} for name in models}
    for row in range(n):
        q, chi1, chi2 = data["parameters"][row]
        nr = truth(data, row)
        of_models = {name: model(q, chi1, chi2, times=TIMES) for name, model in models.items()}
        for mass, band in bands.items():
            a = transforms(band, nr)
            sums = [by_order(a, inclination).sum(axis=0) for inclination in INCLINATIONS]
            for name, modes in of_models.items():
                b = brought_together(band, a, transforms(band, {mode: modes[mode] for mode in MODES}))
                values = found[name][mass]
                for key, value in differences(a, b).items():
                    values.setdefault(key, []).append(value)
                for inclination, one in zip(INCLINATIONS, sums, strict=True):
                    other = by_order(b, inclination)
                    value = mismatch((np.conj(one) * other) @ powers[mass], np.conj(other) @ other.T, float(np.vdot(one, one).real))
                    values.setdefault("all", []).append(value)
        if row % 10 == 9:
            print(f"{row + 1} of {n}", flush=True)
    return found


def markdown(found: Found) -> str:
    """The table."""
    heads = " | ".join(f"{name}, M = {mass:.0f}" for mass in MASSES for name in found)
    lines = [f"| median, 90 %, largest | {heads} |", "| --- |" + " --- |" * (len(MASSES) * len(found))]
    rows = {"all": "all modes, mismatch", "22": "(2,2), mismatch"} | {f"{l}{m}": f"({l},{m}), error" for l, m in stage3.MODES}
    for key, label in rows.items():
        cells = []
        for mass in MASSES:
            for by_mass in found.values():
                cells.append(", ".join(f"{x:.1e}" for x in np.quantile(by_mass[f"{mass:.0f}"][key], QUANTILES)))
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def figure(found: Found, mass: str, path: Path) -> None:
    """Shares of the binaries below an error, without stage 3 (dashed) and with it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = {"all": "all modes"} | {f"{l}{m}": f"({l},{m})" for l, m in stage3.MODES}
    colours = (style.BLACK, style.BLUE, style.VERMILLION, style.GREEN, style.ORANGE, style.GREY)
    with matplotlib.rc_context(style.RC):
        drawing, axes = plt.subplots(1, 2, figsize=(8.6, 3.4), layout="constrained", sharey=True)
        for (key, label), colour in zip(names.items(), colours, strict=True):
            ax = axes[0] if key == "all" else axes[1]
            for dashes, by_mass in zip(("--", "-"), found.values(), strict=True):
                values = np.sort(by_mass[mass][key])
                share = (np.arange(len(values)) + 1) / len(values)
                ax.semilogx(values, share, dashes, color=colour, label=label if dashes == "-" else None)
        axes[0].set(xlabel=f"mismatch of all modes, {mass} solar masses", ylabel="share of the binaries below")
        axes[1].set(xlabel="error over the norm of (2,2)")
        style.legend(axes[1], loc="upper left")
        drawing.savefig(path)
        plt.close(drawing)


def main() -> None:
    """Run and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--model", default="nrhm")
    parser.add_argument("--n", type=int, default=60)
    args = parser.parse_args()
    data, made = stage3.read(args.held_out)
    card, tensors = artifacts.load(args.model, "surrogate")
    if made["seed"] == card["training"]["nrsur7dq2"]["set"]["seed"]:
        parser.error(f"{args.held_out} is what the model was trained on: make a set of another seed")
    without = {key: value for key, value in tensors.items() if not key.startswith("stage3")}
    models = {"without stage 3": Surrogate(card, without), card["name"]: Surrogate(card, tensors)}
    found = compare(models, data, args.n)
    content = {
        "command": f"benchmarks/aligned_accuracy.py --held-out FOLDER --n {args.n}",
        "versions": artifacts.package_versions("numpy", "scipy"),
        "model": {"name": card["name"], "version": card["version"], "weights_sha256": card["weights_sha256"]},
        "set": made,
        "quantiles": QUANTILES,
        "found": {
            name: {
                mass: {key: [float(f"{x:.3g}") for x in np.quantile(values, QUANTILES)] for key, values in of_mass.items()}
                for mass, of_mass in by_mass.items()
            }
            for name, by_mass in found.items()
        },
    }
    folder = Path(__file__).parent / "results"
    (folder / "aligned_accuracy.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "aligned_accuracy.md").write_text(markdown(found), encoding="utf-8")
    figure(found, "70", folder / "aligned_accuracy.png")
    print(markdown(found))


if __name__ == "__main__":
    main()
