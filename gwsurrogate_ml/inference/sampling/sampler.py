"""One event from proposal to weighted draws: what is the same whichever integral the waveform model asks for.

The extrinsic integral uses several randomised sets of points, each for its own share of the draws, and
the scatter of the evidence between them is reported. They have their heaviest points in common (`extrinsic.points.shared`): the
evidence by each counts what it gave to all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from gwsurrogate_ml.conventions import EXTRINSIC
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import Trigger
from gwsurrogate_ml.inference.likelihood.window import TimeWindow
from gwsurrogate_ml.inference.prior.composition import Prior
from gwsurrogate_ml.inference.sampling.loud import one_detector_flags, require_resolved, window_flags
from gwsurrogate_ml.inference.weights import check_weights, resample
from gwsurrogate_ml.kernels.threads import in_threads

TIME_STEP, TIME_STEP_SNR = 1 / 8192, 100.0
"""Step in s of the matched-filter series, which are interpolated between: six points, of signals below 500 Hz. Good to a network
signal-to-noise ratio of the second number: the error grows with its square and with the sixth power of the step.
"""
MARGIN = 16e-3
"""Room in s beyond the light travel time on either side of the window of arrival times: binaries unlike the loudest template arrive
up to 12 ms before or after it, and where there is no room for them the few points that are near by count for too much.
"""
CHUNK = 512
"""Draws that are worked on together."""
TOO_FEW = 3.0
"""Effective extrinsic points, of tens of thousands, with which there is no integral: the prior does not hold the signal."""

Known = tuple[np.ndarray, np.ndarray]
"""What a sampler has computed of binaries, rows for each: two arrays whose meaning is its own."""


class Proposed(Protocol):
    """The prior of what is proposed: the model's parameters, and the inclination where the integral leaves it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of `theta`."""
        ...

    def from_normal(self, z: np.ndarray) -> np.ndarray:
        """Parameters (N, n) of normal scores (N, n)."""
        ...


@dataclass
class Evaluated:
    """Draws with all that was computed of them: normal scores, parameters, what the sampler keeps (`Known`), shifts, marginal
    likelihoods, and the extrinsic parameters (N, n_e) of samplers that draw them at once.

    `part` says which set of extrinsic points each draw used, `of_set` (N, n_sets) the share of its likelihood that is from each:
    sets may have points in common.
    """

    z: np.ndarray
    theta: np.ndarray
    coefficients: np.ndarray
    power: np.ndarray
    shift: np.ndarray
    part: np.ndarray
    log_likelihood: np.ndarray
    effective: np.ndarray
    extrinsic: np.ndarray
    of_set: np.ndarray

    def tensors(self) -> dict[str, np.ndarray]:
        """All of it, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> Evaluated:
        """The inverse of `tensors`."""
        return cls(**tensors)


def numbered(tensors: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Tensors "NUMBER.NAME" by number, in order.

    Examples
    --------
    >>> numbered({"1.a": np.array(2), "0.a": np.array(1)})
    [{'a': array(1)}, {'a': array(2)}]
    """
    parts: dict[int, dict[str, np.ndarray]] = {}
    for name, tensor in tensors.items():
        number, _, rest = name.partition(".")
        parts.setdefault(int(number), {})[rest] = tensor
    return [parts[number] for number in sorted(parts)]


class EventSampler(ABC):
    """The state of one event's analysis; `QuadrupoleSampler` and `OrdersSampler` are the two kinds.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    prior : Prior
    found : Trigger
        the loudest template: fixes the window of arrival times
    n_sets : int, sets of extrinsic points; n_points : int, points in each
    seed : int
    progress : callable, optional, ``progress(stage, done, total)``
    """

    drawn_at_once: tuple[str, ...] = ()
    """Parameters that `marginal` draws: columns of `Evaluated.extrinsic`."""
    dear: bool = False
    """Whether a draw takes milliseconds: then fewer are made to learn from, and more is learned from them."""

    def __init__(
        self,
        likelihood: SegmentLikelihood,
        prior: Prior,
        found: Trigger,
        *,
        n_sets: int = 8,
        n_points: int = 2048,
        seed: int = 0,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.likelihood, self.prior, self.found = likelihood, prior, found
        self.n_sets, self.n_points, self.seed = n_sets, n_points, seed
        self.progress = progress or (lambda stage, done, total: None)
        power = likelihood.power(found.waveform[None])[0]
        require_resolved(found, prior, power)
        self.flags = [
            *one_detector_flags(found, likelihood.network, power),
            *window_flags(found, likelihood, power),
        ]
        # Every detector's arrival lies this close to that at the first two.
        travel = likelihood.network.longest_travel_time
        near = found.times[:2]
        low, high = near.min() - travel - MARGIN, near.max() + travel + MARGIN
        step = TIME_STEP / np.ceil(np.cbrt(found.network_snr / TIME_STEP_SNR))
        self.window = TimeWindow(float(low), float(step), int(np.ceil((high - low) / step)))
        centre = likelihood.segment.gps - likelihood.segment.start_time
        self.time_limits = (centre - prior.time_half_width, centre + prior.time_half_width)

    @property
    @abstractmethod
    def proposed(self) -> Proposed:
        """The prior of what is proposed."""

    @abstractmethod
    def known(self, theta: np.ndarray, stage: str) -> Known:
        """What the integral needs of binaries (N, n)."""

    @abstractmethod
    def build_sets(self, known: Known, log2_n: int = 16) -> None:
        """Choose the extrinsic points that count for a few likely binaries, for each group of binaries its own."""

    @abstractmethod
    def marginal(self, number: int, rows: np.ndarray, draws: Evaluated) -> None:
        """Fill in what the set of points `number` says of the draws `rows`: likelihoods, effective points, shifts."""

    @abstractmethod
    def completed(self, draws: Evaluated, rows: np.ndarray, number: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Extrinsic parameters of draws of the set `number`, with `log_likelihood` (ratio to noise) and `network_snr` (optimal)."""

    def exact(self, draws: Evaluated, rows: np.ndarray) -> np.ndarray:
        """Log likelihood ratio and <h|h> (N, 2) of the draws `rows`, nothing approximated, at the extrinsic parameters that were
        drawn with them: of samplers with parameters that are `drawn_at_once`."""
        raise NotImplementedError

    @abstractmethod
    def smooth(self, z: np.ndarray) -> np.ndarray:
        """Coordinates (N, n) of normal scores (N, n_z) in which the log likelihood is nearly a quadratic form."""

    def group(self, theta: np.ndarray) -> np.ndarray:
        """Number (N,) of the group that each binary (N, n) belongs to: each has extrinsic points of its own."""
        return np.zeros(len(theta), int)

    @abstractmethod
    def tensors(self) -> dict[str, np.ndarray]:
        """What changes as an analysis goes on."""

    @abstractmethod
    def restore(self, tensors: dict[str, np.ndarray]) -> None:
        """Go on from where `tensors` were taken."""

    def first_known(self, stage: str) -> Known:
        """What is known of the loudest template, for the first sets of points."""
        return self.known(self.found.theta[None], stage)

    def evaluate(self, z: np.ndarray, stage: str, known: Known | None = None) -> Evaluated:
        """Marginal likelihoods of draws (N, n) in normal scores, extrinsic sets taken in turn.

        Parameters
        ----------
        z : (N, n)
        stage : str
            name for progress
        known : Known, optional
            of the same draws, from an earlier call
        """
        theta = self.proposed.from_normal(z)
        coefficients, power = self.known(theta, stage) if known is None else known
        n = len(z)
        part = np.arange(n) % self.n_sets
        shift, log_likelihood, effective = (np.empty(n) for _ in range(3))
        at_once = np.empty((n, len(self.drawn_at_once)))
        of_set = np.eye(self.n_sets)[part]
        draws = Evaluated(z, theta, coefficients, power, shift, part, log_likelihood, effective, at_once, of_set)
        tasks = [
            (number, rows[start : start + CHUNK])
            for number in range(self.n_sets)
            for rows in [np.flatnonzero(part == number)]
            for start in range(0, len(rows), CHUNK)
        ]

        done = iter(range(1, len(tasks) + 1))

        def work(which: slice) -> None:
            for number, chunk in tasks[which]:
                self.marginal(number, chunk, draws)
                self.progress(stage + ": extrinsic integral", next(done), len(tasks))

        in_threads(work, len(tasks), block=1)
        return draws

    def complete(self, draws: Evaluated, log_weights: np.ndarray, size: int, seed: int) -> dict[str, np.ndarray]:
        """Equally weighted draws of all parameters.

        Parameters
        ----------
        draws : Evaluated; log_weights : (N,)
        size : int
            number of draws returned
        seed : int

        Returns
        -------
        dict of (size,) arrays: all parameters, `log_likelihood` (ratio to noise), `network_snr` (optimal) and
        `draw`, the row of `draws` each came from
        """
        rng = np.random.default_rng(seed)
        check_weights(log_weights)
        index = resample(log_weights, size, rng)
        names = (*EXTRINSIC, "log_likelihood", "network_snr")
        out = {name: np.empty(size) for name in names}
        generators = rng.spawn(self.n_sets)
        done = iter(range(1, self.n_sets + 1))

        def work(which: slice) -> None:
            for number in range(self.n_sets)[which]:
                mine = np.flatnonzero(draws.part[index] == number)
                for start in range(0, len(mine), CHUNK):
                    at = mine[start : start + CHUNK]
                    values = self.completed(draws, index[at], number, generators[number])
                    for name, value in values.items():
                        out[name][at] = value
                self.progress("extrinsic draws", next(done), self.n_sets)

        in_threads(work, self.n_sets, block=1)
        out |= dict(zip(self.proposed.names, draws.theta[index].T, strict=True))
        out["draw"] = index
        return out
