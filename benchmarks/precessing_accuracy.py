"""The precessing surrogate against NRSur7dq2 on binaries it was not trained on, and other models on the same binaries.

    python -m data_prep precessing-truth --out TRUTH.npz          # in the environment of `make nr`
    python -m data_prep seobnrv5phm --inside --n 128 --seed 404 --out BEYOND      # there too
    python benchmarks/precessing_accuracy.py --truth TRUTH.npz --beyond BEYOND [--peers 30] [--ablation 30] [--training NEAR]

Mismatch of the complex strain ``h_plus - i h_cross``, weighted by the spectrum of advanced LIGO's design from 20 to 1024 Hz, at
total masses of 70 and 120, four inclinations, optimised over time, the observer's azimuth and polarization. Spins are given
4500 M before the peak, the first time of NRSur7dq2, by that time and once more by the orbital frequency there; mass ratios from 2
to 6 are compared with SEOBNRv5PHM. SEOBNRv5PHM, IMRPhenomTPHM and IMRPhenomXPHM-SpinTaylor are compared on the first binaries. What
LALSimulation's models call the orbital phase at the reference differs from the direction between the bodies: for each of their
binaries the spins are turned about the orbit's axis by the one angle that serves it best at 70 solar masses and 60 degrees. The
ablation takes parts of the model away: the antisymmetric modes; the learned rates of frame and spins, for post-Newtonian ones;
everything learned for precession, which leaves post-Newtonian precession of the aligned model; and, fitted anew to the training set
NEAR of `make precessing`, the spins at each time, for those of the first time turned with the orbit. The model's own bound is
compared with the white-noise mismatch that it is for. Writes benchmarks/results/precessing_accuracy.json and .md,
precessing_error.md.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bilby.gw.detector import PowerSpectralDensity
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize, minimize_scalar

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.surrogate.precessing import compiled, coorbital, polynomials, train, uncertainty
from gwsurrogate_ml.surrogate.precessing.modes import SEEN, PrecessingModes
from gwsurrogate_ml.surrogate.precessing.spins import from_turned_frame
from gwsurrogate_ml.waveform.polarizations import harmonics

MODES = coorbital.KNOWN
MASSES, INCLINATIONS = (70.0, 120.0), (0.0, np.pi / 6, np.pi / 3, np.pi / 2)
RATE, DURATION, LOW, HIGH = 4096.0, 8.0, 20.0, 1024.0
TURNED_AT = np.pi / 3
TOP = 5
TERMS, FARTHEST = 16, 0.3
"""Of the Taylor series in the lag, and ms from where it is begun anew: exact to 1e-8 up to there."""
QUANTILES = (0.5, 0.9, 1.0)
LAL_PEERS = ("IMRPhenomTPHM", "IMRPhenomXPHM-SpinTaylor")


class Band:
    """Transforms weighted by the noise of a detector, for one total mass."""

    def __init__(self, total_mass: float) -> None:
        self.unit = total_mass * MTSUN_SI
        self.n = round(DURATION * RATE)
        f = np.fft.fftfreq(self.n, 1 / RATE)
        self.inside = np.flatnonzero((np.abs(f) >= LOW) & (np.abs(f) <= HIGH))
        self.f = f[self.inside]
        curve = PowerSpectralDensity(asd_file="aLIGO_ZERO_DET_high_P_asd.txt")
        self.powers = np.stack([(2e-3 * np.pi * self.f) ** k / math.factorial(k) for k in range(TERMS)], axis=1)
        self.weight = 1 / np.sqrt(curve.power_spectral_density_interpolated(np.abs(self.f)))

    def transform(self, h: np.ndarray, first: int) -> np.ndarray:
        """Of series (..., n) whose first sample is number `first` from the peak, tapered over their first twelfth."""
        ramp = h.shape[-1] // 12
        h = h.copy()
        h[..., :ramp] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(ramp) / ramp)
        out = np.zeros((*h.shape[:-1], self.n), complex)
        out[..., (np.arange(h.shape[-1]) + first) % self.n] = h
        return np.fft.fft(out)[..., self.inside] * self.weight

    def by_mode(self, times: np.ndarray, modes: dict[tuple[int, int], np.ndarray]) -> dict[tuple[int, int], np.ndarray]:
        """Transforms (n,) of modes at `times` in M."""
        step = 1 / RATE / self.unit
        at = np.arange(np.ceil(times[0] / step), np.floor(times[-1] / step) + 1)
        found = self.transform(CubicSpline(times, np.stack(list(modes.values())), axis=1)(at * step), round(at[0]))
        return dict(zip(modes, found, strict=True))

    @staticmethod
    def seen(transforms: dict[tuple[int, int], np.ndarray], inclination: float) -> np.ndarray:
        """Transforms (11, n) of the orders -5 ... 5 in the azimuth, from those `by_mode`."""
        out = np.zeros((2 * TOP + 1, len(next(iter(transforms.values())))), complex)
        for (l, m), h in transforms.items():
            y = harmonics([(l, abs(m))], inclination, np.pi / 2)[0]
            out[m + TOP] += h * (y[0] if m >= 0 else y[1])
        return out

    def roughly(self, a: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Azimuth and time (ms) of the best overlap on a grid: twelve azimuths, all times."""
        best, start, orders = 0.0, np.zeros(2), np.arange(-TOP, TOP + 1)
        for phi in np.linspace(0, 2 * np.pi, 12, endpoint=False):
            b, product = np.exp(1j * orders * phi) @ other, np.zeros(self.n, complex)
            product[self.inside] = np.conj(a) * b
            overlap = np.abs(np.fft.ifft(product)) / np.linalg.norm(b)
            k = int(np.argmax(overlap))
            if overlap[k] > best:
                best, start = float(overlap[k]), np.array([phi, 1e3 * ((k + self.n // 2) % self.n - self.n // 2) / RATE])
        return start

    def mismatch(self, one: np.ndarray, other: np.ndarray) -> float:
        """Of two sets of orders, the other's azimuth, time and polarization free."""
        a, orders = one.sum(axis=0), np.arange(-TOP, TOP + 1)
        norm = np.vdot(a, a).real
        start = np.zeros(2)
        if 1 - abs(np.vdot(a, other.sum(axis=0))) / np.sqrt(norm * (np.abs(other.sum(axis=0)) ** 2).sum()) > 0.01:
            start = self.roughly(a, other)
        gram = np.conj(other) @ other.T
        while True:
            # About a lag in ms by the Taylor series of its exponential: each step then costs next to nothing.
            series = (np.conj(a) * other * np.exp(2e-3j * np.pi * self.f * start[1])) @ self.powers

            def loss(p: np.ndarray, series: np.ndarray = series) -> float:
                turn = np.exp(1j * orders * p[0])
                overlap = abs(turn @ (series @ (1j * p[1]) ** np.arange(TERMS)))
                return float(1 - overlap / np.sqrt(norm * (np.conj(turn) @ gram @ turn).real))

            best = np.array([start[0], 0.0])
            for scale in (0.05, 0.005):
                simplex = best + np.array([[0.0, 0.0], [scale, 0.0], [0.0, 2 * scale]])
                options = {"xatol": 1e-5, "fatol": 1e-11, "initial_simplex": simplex}
                found = minimize(loss, best, method="Nelder-Mead", options=options)
                best = found.x
            if abs(best[1]) < FARTHEST:
                return float(found.fun)
            start = np.array([best[0], start[1] + np.clip(best[1], -FARTHEST, FARTHEST)])


def lal_orders(band: Band, name: str, row: np.ndarray, omega: float, inclination: float, turn: float) -> np.ndarray:
    """Orders of a model of LALSimulation with the spins at the orbital frequency `omega` (rad / M), turned by `turn`."""
    import lal
    import lalsimulation

    spin_taylor = name.endswith("SpinTaylor")
    number = lalsimulation.GetApproximantFromString(name.removesuffix("-SpinTaylor"))
    options = lal.CreateDict()
    if spin_taylor:
        lalsimulation.SimInspiralWaveformParamsInsertPhenomXPrecVersion(options, 320)
    total = band.unit / MTSUN_SI
    m_1, m_2 = total * row[0] / (1 + row[0]), total / (1 + row[0])
    f_ref = omega / np.pi / band.unit
    spins = *from_turned_frame(row[1:4], turn), *from_turned_frame(row[4:], turn)
    phases = 2 * np.pi * np.arange(2 * TOP + 1) / (2 * TOP + 1)
    seen = []
    for azimuth in phases:
        place = (1e6 * lal.PC_SI, inclination, np.pi / 2 - azimuth, 0.0, 0.0, 0.0)
        parameters = (m_1 * lal.MSUN_SI, m_2 * lal.MSUN_SI, *spins, *place)
        if spin_taylor:
            grid = (1 / DURATION, min(LOW, f_ref), RATE / 2, f_ref)
            plus, cross = lalsimulation.SimInspiralChooseFDWaveform(*parameters, *grid, options, number)
            both = [np.fft.irfft(x.data.data[: band.n // 2 + 1]) for x in (plus, cross)]
            h, first = both[0] - 1j * both[1], 0
            seen.append(np.fft.fft(h)[band.inside] * band.weight)
            continue
        plus, cross = lalsimulation.SimInspiralChooseTDWaveform(*parameters, 1 / RATE, f_ref, f_ref, options, number)
        h, first = plus.data.data - 1j * cross.data.data, round(float(plus.epoch) * RATE)
        seen.append(band.transform(h, first))
    orders = np.fft.fft(np.array(seen), axis=0) / len(phases)
    return orders[np.arange(-TOP, TOP + 1) % len(phases)]


def best_turn(band: Band, name: str, row: np.ndarray, omega: float, nr: np.ndarray) -> float:
    """The angle (rad) that the spins of a model of LALSimulation are turned by, for orders `nr` seen from `TURNED_AT`."""

    def loss(turn: float) -> float:
        return band.mismatch(nr, lal_orders(band, name, row, omega, TURNED_AT, turn))

    tried = 2 * np.pi * np.arange(6) / 6
    start = float(tried[np.argmin([loss(turn) for turn in tried])])
    found = minimize_scalar(loss, bounds=(start - np.pi / 6, start + np.pi / 6), method="bounded", options={"xatol": 0.05})
    return float(found.x)


def ours(model: Any, row: np.ndarray, times: np.ndarray, omega_ref: float | None = None) -> dict[tuple[int, int], np.ndarray]:
    """Modes of the surrogate, spins at the first time or at an orbital frequency."""
    reference = {"t_ref": -4499.999} if omega_ref is None else {"omega_ref": omega_ref}
    modes = model(row[0], row[1:4], row[4:], times=times, **reference)
    return {mode: modes[mode] for mode in MODES}


def of_set(data: dict[str, np.ndarray], times: np.ndarray) -> np.ndarray:
    """Inertial modes (N, 21, n) at `times` from a set as `data_prep` writes it, in the frame of its first node."""
    (states, rates), at = train.states(data), train.at_times(data)
    out = np.empty((len(states), len(SEEN), len(times)), np.complex128)
    for i, one in enumerate(out):
        frames = at[i, :, :4] / np.linalg.norm(at[i, :, :4], axis=1)[:, None]
        every = np.zeros((len(data["times"]), len(coorbital.MODES)), np.complex128)
        every[:, : len(MODES)] = data["modes"][i].T
        compiled.modes(data["nodes"], states[i], rates[i], data["times"], frames, every, times, one)
    return out[:, [SEEN.index(mode) for mode in MODES]]


def without_antisymmetric(model: Any) -> Callable[[], None]:
    """Take the antisymmetric parts away; returns what brings them back."""
    odd = np.array([piece[2] == 1 for piece in coorbital.pieces()])
    used = model.mode_model.tables.near[1].used
    kept = used[:, odd].copy()
    used[:, odd] = 0

    def back() -> None:
        used[:, odd] = kept

    return back


def nothing_learned(model: Any) -> Callable[[], None]:
    """Leave the aligned model with post-Newtonian precession; returns what brings the rest back."""
    m = model.mode_model
    kept = m.known.copy(), m.known_modes.copy()
    m.known[:], m.known_modes[:] = 0.0, 0.0

    def back() -> None:
        m.known[:], m.known_modes[:] = kept

    return back


def post_newtonian_frame(model: Any) -> Callable[[], None]:
    """Frame and spins turn by post-Newtonian rates; orbital frequency and modes stay; returns what brings the rest back."""
    tables, (rates, pieces) = model.mode_model.tables, model.mode_model.tables.near
    # Not zero: the orbital frequency's polynomials would not be evaluated.
    tables.near = rates._replace(known=np.full_like(rates.known, 1e-12)), pieces

    def back() -> None:
        tables.near = rates, pieces

    return back


def spins_of_the_reference(model: Any, training: Path) -> PrecessingModes:
    """The model fitted anew to the spins of the first time, turned by the orbital phase alone, in place of those at each time."""
    m, data = model.mode_model, train.read(training)
    phase, rates = data["phase"] - data["phase"][:, :1], data["rates"].copy()
    c, s = np.cos(phase), np.sin(phase)
    spins = np.empty_like(data["spins"])
    for k in (0, 3):
        x, y, z = (data["spins"][:, :1, k + j] for j in range(3))
        spins[..., k], spins[..., k + 1], spins[..., k + 2] = c * x + s * y, c * y - s * x, z + 0 * c
    rates[..., 3:] = 0.0
    degrees, chi_max = model.info["degree"], float(model.info["ranges"]["chi1"]["max"])
    of = (polynomials.monomials(*degrees[name]) for name in ("rates", "modes"))
    changed = dict(
        zip(("rates", "modes"), train.fits(data | {"spins": spins, "rates": rates}, m.aligned, *of, chi_max, None), strict=True)
    )
    return PrecessingModes(model.info, artifacts.load(model.name, "surrogate")[1] | changed, m.aligned)


ABLATION = {
    "nrphm without antisymmetric modes": without_antisymmetric,
    "post-Newtonian frame and spins": post_newtonian_frame,
    "nothing learned": nothing_learned,
}


def markdown(found: dict[str, dict[str, list[float]]]) -> str:
    """The table."""
    heads = " | ".join(f"M = {m:.0f}: median, 90 %, largest" for m in MASSES)
    lines = [f"| model | binaries | {heads} |", "| --- | ---: | --- | --- |"]
    for name, by_mass in found.items():
        cells = []
        for mass in MASSES:
            values = by_mass[f"{mass:.0f}"]
            cells.append(", ".join(f"{x:.1e}" for x in np.quantile(values, QUANTILES)))
        lines.append(f"| {name} | {len(values) // len(INCLINATIONS)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def white(times: np.ndarray, truth: np.ndarray, modes: dict[tuple[int, int], np.ndarray]) -> float:
    """The mismatch of which the model gives a bound, of modes (21, n) at `times`."""
    at = np.arange(np.ceil(times[0]), times[-1])
    both = CubicSpline(times, np.stack([truth, np.stack([modes[mode] for mode in MODES])]), axis=2)(at)
    return uncertainty.mismatch(*both, np.array([m for _, m in MODES]))


def bounds(errors: dict[str, list[list[float]]]) -> str:
    """How the model's bound does: table."""
    lines = [
        "| mass ratios | binaries | mismatch: median, 90 % | expected: median | below the 90 % bound |",
        "| --- | ---: | --- | --- | ---: |",
    ]
    for name, rows in errors.items():
        true, expected, bound = np.array(rows).T
        middle, high = np.quantile(true, [0.5, 0.9])
        lines.append(
            f"| {name} | {len(rows)} | {middle:.1e}, {high:.1e} | {np.median(expected):.1e} | {np.mean(true < bound):.0%} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--beyond", type=Path, required=True)
    parser.add_argument("--model", default="nrphm")
    parser.add_argument("--peers", type=int, default=30)
    parser.add_argument("--ablation", type=int, default=30)
    parser.add_argument("--training", type=Path, help="NRSur7dq2's set of `make precessing`: one more ablation, fitted anew")
    args = parser.parse_args()
    with np.load(args.truth) as file:
        truth = dict(file)
    beyond = train.read(args.beyond)
    model, times = gw.load_surrogate(args.model), truth["times"]
    q_beyond = float(model.info["beyond"]["q_beyond"])
    beyond = {"parameters": beyond["parameters"], "omega": beyond["rates"][:, 0, 0], "modes": of_set(beyond, times)}
    bands = {f"{mass:.0f}": Band(mass) for mass in MASSES}
    found: dict[str, dict[str, list[float]]] = {}
    errors: dict[str, list[list[float]]] = {}
    turns: dict[str, list[float]] = {}

    def judge(name: str, row: np.ndarray, modes: dict[tuple[int, int], np.ndarray], nr: np.ndarray) -> None:
        estimate = model.error_estimate(row[0], row[1:4], row[4:])
        errors.setdefault(name, []).append([white(times, nr.astype(complex), modes), estimate.mismatch, estimate.mismatch_90])

    def of_modes(modes: dict[tuple[int, int], np.ndarray]) -> Callable[[Band, float], np.ndarray]:
        found = {band.unit: band.by_mode(times, modes) for band in bands.values()}
        return lambda band, inclination: band.seen(found[band.unit], inclination)

    def nr_of(i: int, truth: dict[str, np.ndarray]) -> Callable[[Band, float], np.ndarray]:
        return of_modes(dict(zip(MODES, truth["modes"][i].astype(complex), strict=True)))

    def compare(name: str, nr: Callable[[Band, float], np.ndarray], orders: Callable[[Band, float], np.ndarray]) -> None:
        for mass, band in bands.items():
            for inclination in INCLINATIONS:
                value = band.mismatch(nr(band, inclination), orders(band, inclination))
                found.setdefault(name, {}).setdefault(mass, []).append(value)

    def report() -> None:
        content = {
            "command": "benchmarks/precessing_accuracy.py --truth TRUTH.npz --beyond BEYOND "
            f"--peers {args.peers} --ablation {args.ablation}" + (" --training NEAR" if args.training else ""),
            "versions": artifacts.package_versions("numpy", "scipy", "lalsuite"),
            "model": model.identity,
            "mismatch": found,
            "turns": turns,
            "error_true_expected_bound": errors,
        }
        folder = Path(__file__).parent / "results"
        (folder / "precessing_accuracy.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        (folder / "precessing_accuracy.md").write_text(markdown(found), encoding="utf-8")
        (folder / "precessing_error.md").write_text(bounds(errors), encoding="utf-8")

    def show() -> None:
        print(markdown(found), bounds(errors), sep="\n", flush=True)

    def of_lal(label: str, name: str, i: int, truth: dict[str, np.ndarray]) -> None:
        row, omega, band = truth["parameters"][i], float(truth["omega"][i]), bands[f"{MASSES[0]:.0f}"]
        nr = nr_of(i, truth)
        turn = best_turn(band, name, row, omega, nr(band, TURNED_AT))
        turns.setdefault(label, []).append(turn)
        compare(label, nr, lambda band, inclination: lal_orders(band, name, row, omega, inclination, turn))

    for i, row in enumerate(truth["parameters"]):
        modes, nr = ours(model, row, times), nr_of(i, truth)
        compare("nrphm", nr, of_modes(modes))
        compare("nrphm, spins at a frequency", nr, of_modes(ours(model, row, times, float(truth["omega"][i]))))
        judge("1 to 2, against NRSur7dq2", row, modes, truth["modes"][i])
    show()
    for i, row in enumerate(beyond["parameters"]):
        modes = ours(model, row, times)
        compare("nrphm, q from 2 to 6", nr_of(i, beyond), of_modes(modes))
        part = f"2 to {q_beyond:g}" if row[0] < q_beyond else f"{q_beyond:g} to 6"
        for mass in bands:
            values = found["nrphm, q from 2 to 6"][mass][-len(INCLINATIONS) :]
            found.setdefault(f"nrphm, of these q from {part}", {}).setdefault(mass, []).extend(values)
        judge(f"{part}, against SEOBNRv5PHM", row, modes, beyond["modes"][i])
        if i < args.peers:
            for name in LAL_PEERS:
                of_lal(f"{name}, q from 2 to 6", name, i, beyond)
    show()
    for i in range(args.peers):
        if i < len(truth["eob"]):
            compare("SEOBNRv5PHM", nr_of(i, truth), of_modes(dict(zip(MODES, truth["eob"][i].astype(complex), strict=True))))
        for name in LAL_PEERS:
            of_lal(name, name, i, truth)
    show()
    for name, change in ABLATION.items():
        back = change(model)
        for i, row in enumerate(truth["parameters"][: args.ablation]):
            compare(name, nr_of(i, truth), of_modes(ours(model, row, times)))
        back()
    if args.training:
        changed = spins_of_the_reference(model, args.training)
        for i, row in enumerate(truth["parameters"][: args.ablation]):
            compare("fitted anew to the spins of the reference", nr_of(i, truth), of_modes(ours(changed, row, times)))
    show()
    report()


if __name__ == "__main__":
    main()
