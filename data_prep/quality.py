"""Which numerical-relativity runs to believe, decided by measurements on the waveforms and never by a list of names.

Aligned runs are compared with a reference model and with their neighbours in parameter space. The neighbour test takes
a neighbour's difference from the reference over to the run's own parameters, ``ref_i h_j / ref_j``: what is left is the
run's own error plus the change of the reference's error over a short distance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from data_prep.nr import IN_PLANE_MAX, NRWaveform
from gwsurrogate_ml.conventions import eta_from_q
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.waveform.compare import white_alignment, white_mismatch

Reference = Callable[[NRWaveform, np.ndarray], np.ndarray | None]
"""``reference(run, times)``: a model's complex h22 at the run's parameters, peak at t = 0; None where it has none."""


@dataclass(frozen=True)
class QualityConfig:
    """Limits of quality control; every one is reported beside what it dropped."""

    q_max: float = np.inf
    """A model's range in mass ratio: runs beyond would correct it where it has not been trained."""
    chi_max: float = np.inf
    in_plane_max: float = IN_PLANE_MAX
    """Spin in the orbital plane, dimensionless; aligned runs of the catalogues lie far below, precessing far above."""
    eccentricity_max: float = 0.01
    window: tuple[float, float] = (-395.0, 90.0)
    """Times in M compared, white noise."""
    mismatch_max: float = 3e-3
    """A run whose best agreement is worse is bad: good GT runs lie at 1e-3, the reference's own worst is 1.4e-3."""
    reference_error: float = 1.5e-3
    """Worst mismatch of the reference against good runs: a larger one counts as the run's own error."""
    sigma_min: float = 1e-6
    """Smallest error credited to a run: two copies of one simulation agree exactly, and that says nothing."""
    cluster_tolerance: float = 1e-3
    """In eta and in each spin component: closer runs are near-duplicates and share a cluster."""
    neighbours: int = 4
    neighbour_scales: tuple[float, float, float] = (0.5, 0.3, 0.6)
    """Distance unit in (log q, chi_eff, chi_a)."""
    amplitude_drop_max: float = 1e-3
    """Largest relative fall of |h22| per M during inspiral, of its peak."""
    mass_sum_tolerance: float = 5e-3
    """m1 + m2 must be 1 to this accuracy, else the unit of time and strain is in doubt."""
    label_factor: float = 0.05
    """An eccentric run's mismatch is at least this times e^2 (measured: 0.2 to 1.3): less contradicts its label."""


@dataclass
class Verdict:
    """What quality control measured on one run and decided."""

    name: str
    code: str
    q: float
    chi1: float
    chi2: float
    eccentricity: float | None
    cluster: int
    kept: bool = True
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reference_mismatch: float = np.nan
    reference_shift: float = np.nan
    amplitude_ratio: float = np.nan
    neighbour_mismatch: float = np.nan
    duplicate_mismatch: float = np.nan
    resolution_mismatch: float = np.nan
    """Between the run's two highest resolutions: its own numerical error."""
    sigma: float = np.nan
    """The run's own error as a white-noise mismatch."""
    weight: float = 0.0
    """Best sigma over this run's: proportional to its inverse variance, at most 1; 0 where the run is dropped."""

    @property
    def best(self) -> float:
        """Best agreement with anything independent: the reference or a neighbour."""
        return float(np.nanmin([self.reference_mismatch, self.neighbour_mismatch, np.inf]))

    def drop(self, reason: str) -> None:
        """Mark the run as not kept."""
        self.kept = False
        self.reasons.append(reason)


def clusters(parameters: np.ndarray, tolerance: float = 1e-3) -> np.ndarray:
    """Group runs with nearly equal parameters, so that near-duplicates stay on one side of a split.

    Parameters
    ----------
    parameters : (n, 7) float
        eta, then the spin vectors of the heavier and the lighter body
    tolerance : float
        largest difference in each parameter; groups are connected components

    Returns
    -------
    (n,) int, numbered from 0 in order of first appearance

    Notes
    -----
    Where both runs have equal masses within the tolerance the bodies may be exchanged (spins swapped, frame turned).

    Examples
    --------
    >>> a = [0.25, 0, 0, 0.3, 0, 0, -0.1]
    >>> swapped = [0.25, 0, 0, -0.1, 0, 0, 0.3]
    >>> clusters(np.array([a, swapped, [0.2] + a[1:]])).tolist()
    [0, 0, 1]
    """
    turn = np.array([-1.0, -1.0, 1.0])
    exchanged = np.column_stack([parameters[:, 0], parameters[:, 4:7] * turn, parameters[:, 1:4] * turn])
    equal = parameters[:, 0] > 0.25 - tolerance
    parent = np.arange(len(parameters))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i in range(len(parameters)):
        near = np.all(np.abs(parameters - parameters[i]) < tolerance, axis=1)
        if equal[i]:
            near |= equal & np.all(np.abs(exchanged - parameters[i]) < tolerance, axis=1)
        for j in np.flatnonzero(near[:i]):
            first, second = sorted((root(i), root(int(j))))
            parent[second] = first
    roots = [root(i) for i in range(len(parameters))]
    order = {label: number for number, label in enumerate(dict.fromkeys(roots))}
    return np.array([order[label] for label in roots])


def cluster_parameters(runs: Sequence[NRWaveform]) -> np.ndarray:
    """The (n, 7) array that `clusters` takes."""
    return np.array([[float(eta_from_q(r.q)), *r.chi1, *r.chi2] for r in runs])


def basic_checks(run: NRWaveform, times: np.ndarray, config: QualityConfig) -> tuple[list[str], np.ndarray]:
    """Reasons against a run that need no model, and its h22 on `times`."""
    h22 = run.h22_at(times)
    if not np.all(np.isfinite(h22)):
        return [f"does not cover {times[0]:g} to {times[-1]:g} M (has {run.t[0]:.1f} to {run.t[-1]:.1f})"], h22
    reasons = []
    amplitude = np.abs(h22)
    step = np.diff(times)
    frequency = -np.angle(h22[1:] * np.conj(h22[:-1])) / step
    wrong = (frequency <= 0) & (times[1:] < 60)
    if np.any(wrong):
        reasons.append(f"phase is not monotonic: {int(wrong.sum())} reversals, first at {times[1:][wrong][0]:g} M")
    fall = np.max(-np.diff(amplitude)[times[1:] < -10] / step[times[1:] < -10]) / amplitude.max()
    if fall > config.amplitude_drop_max:
        reasons.append(f"amplitude falls by {fall:.1e} of its peak per M during inspiral")
    return reasons, h22


def judge(runs: Sequence[NRWaveform], reference: Reference, config: QualityConfig | None = None) -> list[Verdict]:
    """Quality control of all `runs`, in their order.

    Parameters
    ----------
    runs : sequence of NRWaveform
    reference : callable
        a model's h22 at a run's parameters and at given times, see `Reference`
    config : QualityConfig, optional

    Returns
    -------
    list of Verdict; kept runs have a positive weight

    Raises
    ------
    DataError
        if no run passes the basic checks: there is nothing to compare with
    """
    config = config or QualityConfig()
    times = np.arange(config.window[0] - 12.0, config.window[1] + 13.0)
    labels = clusters(cluster_parameters(runs), config.cluster_tolerance)
    verdicts, waveforms, models = [], [], []
    for run, label in zip(runs, labels, strict=True):
        verdict = Verdict(run.name, run.code, run.q, run.chi1[2], run.chi2[2], run.eccentricity, int(label))
        reasons, h22 = basic_checks(run, times, config)
        model = None
        if run.in_plane_spin > config.in_plane_max:
            verdict.drop(f"precessing: in-plane spin {run.in_plane_spin:.3f}")
        elif np.all(np.isfinite(h22)):
            model = reference(run, times)
        for reason in reasons:
            verdict.drop(reason)
        if run.q > config.q_max or max(abs(run.chi1[2]), abs(run.chi2[2])) > config.chi_max:
            verdict.drop(f"beyond the model's range, q {config.q_max:g} and |chi| {config.chi_max:g}")
        mass_sum = run.meta.get("mass_sum", 1.0)
        if abs(mass_sum - 1) > config.mass_sum_tolerance:
            verdict.drop(f"m1 + m2 = {mass_sum:.4f}: the unit of time is in doubt")
        if run.eccentricity is not None and run.eccentricity > config.eccentricity_max:
            verdict.drop(f"eccentricity {run.eccentricity:.4f}")
        if model is not None:
            best = white_alignment(times, h22, model, config.window)
            verdict.reference_mismatch, verdict.reference_shift = best.mismatch, best.shift
            verdict.amplitude_ratio = best.amplitude_ratio
        if run.coarser is not None and np.all(np.isfinite(h22)):
            verdict.resolution_mismatch = _resolution_error(run, h22, times, config)
        if verdict.resolution_mismatch > config.mismatch_max:
            verdict.drop(f"its two highest resolutions differ by {verdict.resolution_mismatch:.1e}: it has not converged")
        verdicts.append(verdict)
        waveforms.append(h22)
        models.append(model)
    _neighbours(verdicts, waveforms, models, times, config)
    _decide(verdicts, config)
    return verdicts


def _resolution_error(run: NRWaveform, h22: np.ndarray, times: np.ndarray, config: QualityConfig) -> float:
    """Mismatch of a run with its second resolution; NaN, and so unknown, where that does not reach as far."""
    assert run.coarser is not None
    other = run.coarser.h22_at(times)
    return white_mismatch(times, h22, other, config.window) if np.all(np.isfinite(other)) else np.nan


def _neighbours(
    verdicts: list[Verdict],
    waveforms: list[np.ndarray],
    models: list[np.ndarray | None],
    times: np.ndarray,
    config: QualityConfig,
) -> None:
    """Measure each aligned run against good neighbours, and against good members of its own cluster."""
    good = [
        i for i, v in enumerate(verdicts) if v.kept and v.eccentricity is not None and v.reference_mismatch < config.reference_error
    ]
    if not good:
        raise DataError("no run is good enough to compare the others with: check the reference model and its conventions")
    # Runs of the more accurate code set the standard; those of the other would only add their own error.
    level = {c: np.median([verdicts[i].reference_mismatch for i in good if verdicts[i].code == c]) for c in _codes(verdicts, good)}
    best_code = min(level, key=lambda c: level[c])
    pool = np.array([i for i in good if verdicts[i].code == best_code])
    x = np.array([[np.log(v.q), (v.q * v.chi1 + v.chi2) / (1 + v.q), (v.chi1 - v.chi2) / 2] for v in verdicts])
    x = x / np.array(config.neighbour_scales)
    for i, verdict in enumerate(verdicts):
        if models[i] is None:
            continue
        others = pool[pool != i]
        distance = np.linalg.norm(x[others] - x[i], axis=1)
        if verdict.q < 1.01:  # exchange symmetry: the other way round is the same binary
            distance = np.minimum(distance, np.linalg.norm(x[others] * [1, 1, -1] - x[i], axis=1))
        near = others[np.argsort(distance)[: config.neighbours]]
        measured = {
            int(j): white_mismatch(times, waveforms[i], models[i] * (waveforms[j] / models[j]), config.window) for j in near
        }
        verdict.neighbour_mismatch = min(measured.values(), default=np.nan)
        same = [value for j, value in measured.items() if verdicts[j].cluster == verdict.cluster]
        verdict.duplicate_mismatch = float(np.median(same)) if same else np.nan


def _decide(verdicts: list[Verdict], config: QualityConfig) -> None:
    """Turn measurements into verdicts, and into weights for those kept."""
    for v in verdicts:
        if np.isfinite(v.best) and v.best > config.mismatch_max:
            v.drop(f"mismatch {v.best:.1e} against the best of reference and neighbours")
        elif not np.isfinite(v.best) and v.kept:
            v.drop("no reference waveform at its parameters")
    for code in _codes(verdicts, range(len(verdicts))):
        circular = [v.best for v in verdicts if v.code == code and v.kept and v.eccentricity is not None]
        limit = float(np.quantile(circular, 0.9)) if circular else 0.0
        for v in (v for v in verdicts if v.code == code and v.eccentricity is None and np.isfinite(v.best)):
            text = f"best mismatch {v.best:.1e}, 90 % of the circular {code} runs lie below {limit:.1e}"
            if v.best > limit:
                v.drop(f"eccentricity missing or a sentinel, and {text}")
            elif v.kept:
                v.notes.append(f"eccentricity missing or a sentinel; kept, since {text}")
    for v in verdicts:
        e = v.eccentricity
        if e is not None and e > config.eccentricity_max and v.best < config.label_factor * e**2:
            v.notes.append(f"label in doubt: mismatch {v.best:.1e} is too small for an eccentricity of {e:.3f}")
    kept = [v for v in verdicts if v.kept]
    for code in _codes(verdicts, range(len(verdicts))):
        members = [v for v in kept if v.code == code]
        duplicates = [v.duplicate_mismatch for v in members if np.isfinite(v.duplicate_mismatch)]
        floor = float(np.median(duplicates or [v.best for v in members] or [np.nan]))
        for v in members:
            own = v.best if v.best > config.reference_error else 0.0
            measured = [x for x in (v.duplicate_mismatch, v.resolution_mismatch) if np.isfinite(x)]
            v.sigma = max(config.sigma_min, floor, own, *measured)
    smallest = min((v.sigma for v in kept), default=np.nan)
    for v in kept:
        v.weight = float(smallest / v.sigma)


def _codes(verdicts: list[Verdict], which: Sequence[int] | range) -> list[str]:
    return sorted({verdicts[i].code for i in which})
