"""SEOBNRv5HM waveforms that training never saw, and how far a model is from them: mode by mode and as polarizations.

Overlaps are sums over times or frequencies of products of modes of equal m, in which the orbital phases cancel but for their
difference: such sums converge on coarse grids. `check` compares with the package's own mismatches.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import lal
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize, minimize_scalar

from gwsurrogate_ml.conventions import MTSUN_SI, ModeKey
from gwsurrogate_ml.surrogate.aligned.higher import in_lal_frame
from gwsurrogate_ml.surrogate.config import SurrogateConfig
from gwsurrogate_ml.surrogate.domain import EOB_MODES
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.waveform.compare import psd_mismatch, white_mismatch

BIN = 4
"""Frequencies summed together once two spectra are aligned."""
Waveform = Callable[[np.ndarray], dict[ModeKey, np.ndarray]]
"""From times in M to modes."""
SHIFT = 35.0
"""Largest shift in M between the peak of (2,2), the set's t = 0, and that of all modes together, the model's: at high mass ratios
and spins the maximum is flat. Shifts of (2,2) are scanned, those of other modes are searched within 1.5 M of it."""


def load(folder: Path, config: SurrogateConfig, *, unseen: bool = False) -> dict[str, np.ndarray]:
    """The validation fraction of a training set, or all of an `unseen` one, inside the model's ranges: its arrays and `times`."""
    chunks = sorted(Path(folder).glob("chunk_?????.npz"))
    draws = np.random.default_rng(config.seed)  # as training draws them
    rows: dict[str, list[np.ndarray]] = {"parameters": [], "amp22": [], "phase22": [], "coorbital": []}
    for path in chunks:
        with np.load(path) as chunk:
            p = chunk["parameters"]
            held = draws.random(len(p)) < (1.0 if unseen else config.validation_fraction)
            held &= (p[:, 0] <= config.q_max) & np.all(np.abs(p[:, 1:]) <= config.chi_max, axis=1)
            if held.any():
                for key, values in rows.items():
                    values.append(chunk[key][held])
    return {key: np.concatenate(values) for key, values in rows.items()} | {"times": np.load(folder / "times.npy")}


class Eob:
    """One waveform of the set as a function of time."""

    def __init__(self, data: dict[str, np.ndarray], row: int, modes: tuple[ModeKey, ...]) -> None:
        framed = data["coorbital"][row] * in_lal_frame(EOB_MODES)[:, None]
        columns = dict(zip(EOB_MODES, framed, strict=True))
        columns[2, 2] = data["amp22"][row]
        self._splines = {mode: CubicSpline(data["times"], columns[mode]) for mode in modes}
        self._phase = CubicSpline(data["times"], data["phase22"][row])

    def one(self, mode: ModeKey, t: np.ndarray) -> np.ndarray:
        """h_lm (n,) at times `t` in M."""
        return self._splines[mode](t) * np.exp(-0.5j * mode[1] * self._phase(t))

    def __call__(self, t: np.ndarray) -> dict[ModeKey, np.ndarray]:
        """All modes at times `t` in M."""
        return {mode: self.one(mode, t) for mode in self._splines}


def model(sur: Surrogate, parameters: np.ndarray) -> Waveform:
    """One waveform of a surrogate as a function of time."""
    return lambda t: sur(*parameters, times=t).data


def grid(start: float, end: float) -> np.ndarray:
    """Times from `start` to `end`, steps of 1 % of the time to the peak but at least 0.5 M."""
    early = [start]
    while early[-1] < -50.0:
        early.append(early[-1] - 0.01 * early[-1])
    return np.concatenate([early, np.arange(early[-1] + 0.5, end, 0.5), [end]])


def scanned(loss: Callable[[float], float], reach: float, step: float) -> float:
    """The best of the shifts from -`reach` to `reach` in steps of `step`."""
    return float(min(np.arange(-reach, reach + step / 2, step), key=loss))


def compare_white(ours: Waveform, theirs: Eob, modes: tuple[ModeKey, ...], t: np.ndarray) -> dict[ModeKey, dict[str, float]]:
    """White-noise mismatch of each mode over its own shifts in time and phase, errors of amplitude and phase, size of the mode.

    `phase` is the rms over time (uniform weight, to 30 M) after the best shifts, `amplitude` the relative error of the norm,
    `size` the norm relative to that of (2,2).
    """
    weight = np.gradient(t)
    mine, at_zero = ours(t), theirs(t)
    out = {}
    centre, reach = 0.0, SHIFT
    for mode in modes:  # (2,2) comes first
        h = mine[mode]
        norm = np.sqrt(np.sum(weight * np.abs(h) ** 2))

        def overlap(shift: float, h: np.ndarray = h, mode: ModeKey = mode) -> tuple[complex, float]:
            other = theirs.one(mode, t + shift)
            return np.sum(weight * np.conj(other) * h), float(np.sqrt(np.sum(weight * np.abs(other) ** 2)))

        def loss(shift: float, norm: float = norm, overlap: Callable = overlap) -> float:
            product, other = overlap(shift)
            return 1.0 - abs(product) / (norm * other)

        if reach == SHIFT:
            centre, reach = scanned(loss, SHIFT, 1.0), 1.5
        bounds = (centre - reach, centre + reach)
        found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
        product, other = overlap(float(found.x))
        ratio = h * np.exp(-1j * np.angle(product)) / theirs.one(mode, t + float(found.x))
        late = t < 30.0
        angle = np.unwrap(np.angle(ratio[late]))
        angle -= 2 * np.pi * np.round(np.median(angle) / (2 * np.pi))
        size = np.sqrt(np.sum(weight * np.abs(at_zero[mode]) ** 2) / np.sum(weight * np.abs(at_zero[2, 2]) ** 2))
        out[mode] = {
            "mismatch": float(max(found.fun, 0.0)),
            "amplitude": float(abs(norm / other - 1)),
            "phase": float(np.sqrt(np.sum(weight[late] * angle**2) / np.sum(weight[late]))),
            "size": float(size),
        }
    return out


class Band:
    """Whitened spectra of modes in a detector's noise at one total mass.

    Parameters
    ----------
    start, end : float, M
    total_mass : float, solar masses
    psd : callable
        one-sided power spectral density at frequencies in Hz
    f_low, f_high : float, Hz
    """

    def __init__(self, start: float, end: float, total_mass: float, psd: Callable, f_low: float, f_high: float = 2048.0) -> None:
        step = 1.0 if start < -3000 else 0.5
        self.t = np.arange(start, end + step, step)
        self.total_mass = total_mass
        self.dt = step * total_mass * MTSUN_SI
        self.reach = SHIFT / step
        self.n = 1 << int(np.ceil(np.log2(1.5 * len(self.t))))
        f = np.fft.fftfreq(self.n, self.dt)
        self.band = (f >= f_low) & (f <= min(f_high, 0.5 / self.dt))
        self.f = f[self.band]
        self.white = 1.0 / np.sqrt(psd(self.f))
        self.white /= self.white.max()
        rise = 0.1 * -start
        x = np.clip((self.t - start) / rise, 0.0, 1.0)
        self.taper = 0.5 - 0.5 * np.cos(np.pi * x)

    def spectra(self, waveform: Waveform, modes: tuple[ModeKey, ...]) -> np.ndarray:
        """(n_modes, n_f): modes turn clockwise, their conjugates have positive frequencies."""
        h = waveform(self.t)
        stacked = np.array([np.conj(h[mode]) * self.taper for mode in modes])
        return np.fft.fft(stacked, self.n, axis=1)[:, self.band] * self.white

    def lag(self, ours: np.ndarray, theirs: np.ndarray) -> float:
        """Delay of `theirs` in units of the step that brings it closest to `ours`."""
        product = np.conj(ours) * theirs

        def loss(tau: float) -> float:
            return -abs(np.sum(product * self.shifted(tau)))

        centre = scanned(loss, self.reach, 1.0)
        bounds = (centre - 1.0, centre + 1.0)
        return float(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5}).x)

    def shifted(self, tau: float) -> np.ndarray:
        """Factor (n_f,) that delays a spectrum by `tau` in units of the step."""
        return np.exp(-2j * np.pi * self.f * tau * self.dt)


def binned(values: np.ndarray) -> np.ndarray:
    """Sums over groups of `BIN` neighbouring frequencies, (n, n_f) to (n, n_f / BIN)."""
    short = -values.shape[1] % BIN
    return (
        np.pad(values, ((0, 0), (0, short)), mode="edge" if short and np.isrealobj(values) else "constant")
        .reshape(len(values), -1, BIN)
        .sum(2)
    )


def compare_psd(band: Band, ours: np.ndarray, theirs: np.ndarray, start: float) -> np.ndarray:
    """Mismatch (n_modes,) of each mode over its own shifts in time and phase, near the lag `start` of (2,2)."""
    turned = theirs * band.shifted(start)
    products = binned(np.conj(ours) * turned)
    f = binned(band.f[None])[0] / BIN
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    out = np.empty(len(ours))
    for k, (product, norm) in enumerate(zip(products, norms, strict=True)):

        def loss(tau: float, product: np.ndarray = product, norm: float = norm) -> float:
            return 1.0 - abs(np.sum(product * np.exp(-2j * np.pi * band.dt * tau * f))) / norm

        out[k] = max(minimize_scalar(loss, bounds=(-1, 1), method="bounded", options={"xatol": 1e-5}).fun, 0.0)
    return out


def compare_plus(
    band: Band,
    ours: np.ndarray,
    theirs: np.ndarray,
    start: float,
    modes: tuple[ModeKey, ...],
    theta: float,
    phase: float,
) -> tuple[float, float, float]:
    """Mismatch of h_plus with all `modes` at inclination `theta` and reference phase `phase`, over time and orbital phase.

    `start` is the lag of (2,2) from `Band.lag`.
    Returns the mismatch, and by how much time (M) `theirs` comes late and the phase by which it must be turned.
    """
    orders = sorted({m for _, m in modes})
    sums = np.zeros((2, len(orders), ours.shape[1]), dtype=complex)
    for k, (l, m) in enumerate(modes):
        y = [lal.SpinWeightedSphericalHarmonic(theta, 0.0, -2, l, sign * m).real for sign in (1, -1)]
        for total, spectra in zip(sums, (ours, theirs), strict=True):
            total[orders.index(m)] += (y[0] + (-1) ** l * y[1]) * spectra[k]
    m = np.array(orders)
    two = orders.index(2)
    target = np.exp(1j * m * phase) @ sums[0]
    gram = np.conj(sums[1]) @ sums[1].T
    norm = np.linalg.norm(target)
    # Once lag and orbital phase of m = 2 are taken out, what is left is small, and sums over bins are exact enough.
    turned = sums[1] * band.shifted(start)
    angle = -np.angle(np.vdot(sums[0][two], turned[two])) / 2
    products, f = binned(np.conj(target) * turned), binned(band.f[None])[0] / BIN

    def loss(x: np.ndarray, half_turn: float) -> float:
        turn = np.exp(1j * m * (phase + angle + half_turn + x[1]))
        overlap = turn @ (products @ np.exp(-2j * np.pi * band.dt * x[0] * f))
        return float(1.0 - overlap.real / (norm * np.sqrt((np.conj(turn) @ gram @ turn).real)))

    # m = 2 leaves half a turn open; odd m decide.
    begin = min((0.0, np.pi), key=lambda half_turn: loss(np.zeros(2), half_turn))
    found = minimize(loss, np.zeros(2), args=(begin,), method="BFGS", options={"gtol": 1e-7, "eps": 1e-5})
    delay = (start + float(found.x[0])) * band.dt / (band.total_mass * MTSUN_SI)
    return max(float(found.fun), 0.0), delay, float(phase + angle + begin + found.x[1])


def check(data: dict[str, np.ndarray], sur: Surrogate, band: Band, psd: Callable, total_mass: float, f_low: float) -> float:
    """Largest relative difference of the mismatches above to the package's own, over three waveforms, on 1000 M."""
    worst = 0.0
    for row in range(3):
        ours, theirs = model(sur, data["parameters"][row]), Eob(data, row, ((2, 2),))
        fast = compare_white(ours, theirs, ((2, 2),), grid(-1000.0, 90.0))[2, 2]["mismatch"]
        t = np.arange(-1020.0, 110.0, 0.25)
        slow = white_mismatch(t, theirs(t)[2, 2], ours(t)[2, 2], (-1000.0, 90.0), 12.0)
        worst = max(worst, abs(fast - slow) / slow)
        a, b = (band.spectra(waveform, ((2, 2),)) for waveform in (ours, theirs))
        fast = compare_psd(band, a, b, band.lag(a[0], b[0]))[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            f = np.geomspace(f_low, min(2048.0, 0.49 / band.dt), 4000)
            slow = psd_mismatch(band.t, theirs(band.t)[2, 2], ours(band.t)[2, 2], total_mass, f, psd(f), f_low)
        worst = max(worst, abs(fast - slow) / slow)
    return float(worst)
