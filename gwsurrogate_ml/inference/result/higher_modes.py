"""Higher modes in the likelihood: an exact (2,2) posterior re-weighted, the orbital phase integrated anew.

Under higher modes the phase is no longer a factor that drops out, but it remains an angle: each order m turns with m times the
phase, so that ``log L(phase) = c z - c G c / 2`` with ``c = (cos m phase, sin m phase)``, the matches z and the Gram matrix G
of a few spectra. For every draw of the other ten parameters the phase is summed out on a fine grid under both models; the ratio
is the draw's weight, and a new phase is drawn. What is left between the models is their difference in the other parameters,
which the effective sample size states.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import i0e, logsumexp

from gwsurrogate_ml.conventions import component_masses
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.likelihood.detectors import earth_direction
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.result.draws import chosen_draws, model_of, parameters_of, require_same_data
from gwsurrogate_ml.inference.result.nuisances import require_none
from gwsurrogate_ml.inference.result.reweight import Progress, offset, require_own_waveform, responses, under_waveform
from gwsurrogate_ml.inference.sampling.checkpoint import Arrays, kept_in
from gwsurrogate_ml.waveform.model import Quadrupole

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.result.result import Result
    from gwsurrogate_ml.strain.segment import AnalysisSegment
    from gwsurrogate_ml.surrogate.model import Surrogate
    from gwsurrogate_ml.waveform.model import WaveformModel

FEWEST, POINTS = 1024, 26.0
"""Points of the grid of the orbital phase, and how many for each unit of signal-to-noise ratio: of m = 2 two in a standard
deviation, with which the sum over a normal density is off by nothing."""
PART = 500
"""Draws re-weighted in one step: what a killed run does again at most."""


class Phases(NamedTuple):
    """Likelihood of one binary as a function of the orbital phase.

    `orders` are (n_m,); `match` (2 n_m,) and `gram` (2 n_m, 2 n_m) products of the cosine and sine of each order with the data and
    with one another.
    """

    orders: np.ndarray
    match: np.ndarray
    gram: np.ndarray

    def log_ratios(self, phases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log likelihood ratio to noise and <h|h> at `phases` (n,), each (n,)."""
        angle = np.outer(phases, self.orders)
        c = np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(len(phases), -1)
        power = np.sum((c @ self.gram) * c, axis=1)
        return c @ self.match - 0.5 * power, power

    def grid(self) -> np.ndarray:
        """Phases (n,) over a turn, evenly spaced and as close as the signal is loud."""
        _, power = self.log_ratios(np.linspace(0, 2 * np.pi, 64, endpoint=False))
        n = max(FEWEST, 2 ** int(np.ceil(np.log2(1 + POINTS * np.sqrt(power.max())))))
        return 2 * np.pi * np.arange(n) / n


class PhaseLikelihood:
    """Likelihood of signals with higher modes in a segment as a function of the orbital phase.

    Parameters
    ----------
    likelihood : SegmentLikelihood
        of the data; its own model is not used
    surrogate : Surrogate
    """

    def __init__(self, likelihood: SegmentLikelihood, surrogate: Surrogate) -> None:
        self.likelihood, self.surrogate = likelihood, surrogate

    def signals(self, row: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
        """Orders (n_m,) and detector signals (2 n_m, n_det, n_f), cosine and sine of each order; the phase of `row` is not used."""
        segment, network = self.likelihood.segment, self.likelihood.network
        mass_1, mass_2 = component_masses(np.asarray(row["chirp_mass"]), np.asarray(row["mass_ratio"]))
        orders, spectra = self.surrogate.frequency_domain_orders(
            mass_1=float(mass_1),
            mass_2=float(mass_2),
            chi_1=row["chi_1"],
            chi_2=row["chi_2"],
            theta_jn=row["theta_jn"],
            f_min=segment.f_min,
            sampling_frequency=segment.sampling_frequency,
            duration=segment.duration,
        )
        table = {name: np.array([value]) for name, value in row.items()}
        direction = earth_direction(table["ra"], table["dec"], table["geocent_time"])
        f_plus, f_cross = (pattern[0] for pattern in network.patterns(direction, table["psi"]))
        times = row["geocent_time"] - segment.start_time + network.delays(direction)[0]
        turns = np.exp(-2j * np.pi * times[:, None] * self.likelihood.frequencies) / row["luminosity_distance"]
        plus, cross = spectra[:, :, 0].reshape(-1, spectra.shape[-1]), spectra[:, :, 1].reshape(-1, spectra.shape[-1])
        return orders, (plus[:, None] * f_plus[:, None] + cross[:, None] * f_cross[:, None]) * turns

    def of(self, row: dict[str, float]) -> Phases:
        """That of one binary at one place; the phase of `row` is not used."""
        orders, signals = self.signals(row)
        likelihood = self.likelihood
        flat = (signals * np.sqrt(likelihood.weight)).reshape(len(signals), -1)
        data = (likelihood.strain * np.sqrt(likelihood.weight)).ravel()
        return Phases(orders, np.real(np.conj(flat) @ data), np.real(np.conj(flat) @ flat.T))


def with_higher_modes(
    result: Result,
    segment: AnalysisSegment,
    surrogate: str | Surrogate = "nrhm",
    *,
    n: int = 4000,
    seed: int = 0,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    model: WaveformModel | None = None,
) -> Result:
    """The posterior under a surrogate with higher modes, from that of its (2,2) mode.

    Parameters
    ----------
    result : Result
        of a (2,2) model
    segment : AnalysisSegment
        the data of the result
    surrogate : str or Surrogate
    n : int
        draws used at most, some 4 ms each
    seed : int
    progress : callable, optional, ``progress(stage, done, total)``
    checkpoint : path, optional
        folder that keeps what is done: the same call goes on from there after a kill, with the same result
    model : WaveformModel, optional
        of the analysis; see `draws.model_of`

    Returns
    -------
    Result
        `sample_efficiency` times `n_draws` is the effective sample size. At mass ratios near one it is most of the draws; where few
        are left the modes carry much, and the result says so by its efficiency and Pareto-k

    Raises
    ------
    ConfigError
        if the segment is another one, or the result is not of a (2,2) model, or not any more, or under a prior on phase that is
        not uniform
    """
    require_own_waveform(result)
    first = model_of(result, model)
    if not first.quadrupole_only:
        raise ConfigError(
            f"re-weighting to higher modes takes posteriors of the (2,2) mode: {first.name} has its modes from the start"
        )
    require_none(result, "re-weighting to higher modes")
    require_same_data(result, segment)
    from gwsurrogate_ml.surrogate.load import load_aligned

    higher = load_aligned(surrogate) if isinstance(surrogate, str | Path) else surrogate
    draws = chosen_draws(result, n, seed)
    old = SegmentLikelihood(segment, first)
    new = SegmentLikelihood(segment, Quadrupole(higher))
    phases = PhaseLikelihood(new, higher)
    names = list(parameters_of(draws))
    table = draws[names]
    probe = np.concatenate([table.to_numpy().ravel(), new.signals(table.iloc[:1])[0].view(np.float64).ravel()])
    steps = kept_in(checkpoint, "modes", segment=segment, probe=probe, surrogate=higher.info["name"], n=n, seed=seed)

    def part(start: int) -> Arrays:
        rng = np.random.default_rng([seed, 22, start])
        rows = []
        for i in range(start, min(start + PART, len(draws))):
            rows.append(_reweigh(dict(table.iloc[i]), old, new, phases, rng))
            if progress:
                progress("higher modes", i + 1, len(draws))
        return Arrays({name: np.array([row[name] for row in rows]) for name in rows[0]})

    parts = [steps(f"draws from {start}", partial(part, start), Arrays) for start in range(0, len(draws), PART)]
    found = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    shifted = table.assign(phase=found["phase"], geocent_time=found["geocent_time"])
    meta = {"reweighted": "higher modes", "waveform": higher.name, "waveform_model": higher.identity}
    weighed = found["log_ratio"], found["log_new"], found["power"]
    return under_waveform(result, old, responses(segment, higher), draws, shifted, *weighed, meta, seed + 1)


def _reweigh(
    binary: dict[str, float],
    old: SegmentLikelihood,
    new: SegmentLikelihood,
    phases: PhaseLikelihood,
    rng: np.random.Generator,
) -> dict[str, float]:
    """One draw under the new model: log of its weight, a phase and time, and there log likelihood ratio and <h|h>."""
    row: dict[str, Any] = {name: float(value) for name, value in binary.items()} | {"phase": 0.0}
    table = {name: np.array([value]) for name, value in row.items()}
    signal = old.signals(table)[0]
    match = abs(np.sum(old.weight * np.conj(signal) * old.strain))
    # The phase of a (2,2) signal sums to a Bessel function.
    log_old = np.log(i0e(match)) + match - 0.5 * np.sum(old.weight * np.abs(signal) ** 2)
    # The models' peaks differ: that of (2,2), and that of all modes. The shift depends on the binary alone.
    _, later = offset(old, signal, new.signals(table)[0])
    row["geocent_time"] += later
    of_phase = phases.of(row)
    grid = of_phase.grid()
    ratios, _ = of_phase.log_ratios(grid)
    total = logsumexp(ratios)
    at = rng.choice(grid, p=np.exp(ratios - total)) + (rng.random() - 0.5) * 2 * np.pi / len(grid)
    (ratio,), (power,) = of_phase.log_ratios(np.array([at]))
    return {
        "log_ratio": float(total - np.log(len(grid)) - log_old),
        "log_new": float(ratio),
        "power": float(power),
        "phase": float(at % (2 * np.pi)),
        "geocent_time": float(row["geocent_time"]),
    }
