"""One event from proposal to weighted draws: waveforms, marginal likelihoods, weights, refinement, extrinsic draws.

The extrinsic integral uses several independent randomised sets of points, each for its own share of the draws: their
errors are not shared, and the scatter of the evidence between them is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.inference.extrinsic.distance import DistanceTable, draw_distance, draw_phase
from gwsurrogate_ml.inference.extrinsic.point_sets import LikelyBinaries, choose_sets
from gwsurrogate_ml.inference.extrinsic.points import quasi_random
from gwsurrogate_ml.inference.extrinsic.quadrupole import ExtrinsicIntegral
from gwsurrogate_ml.inference.likelihood.detectors import sky_angles
from gwsurrogate_ml.inference.likelihood.reduced import BASIS_TOLERANCE, ReducedLikelihood
from gwsurrogate_ml.inference.likelihood.samples import Nodes, SampledWaveform
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import Found
from gwsurrogate_ml.inference.likelihood.window import TimeWindow
from gwsurrogate_ml.inference.prior.composition import Prior
from gwsurrogate_ml.inference.sampling.loud import one_detector_flags, require_resolved, too_near, unlike, window_flags
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
LOG_LIKELIHOOD_ERROR = 5e-3
"""What the event's basis and nodes may cost in log likelihood, one standard deviation: at a signal-to-noise ratio rho an error of a
share s of the whitened power changes it by rho sqrt(s) times a number of order one."""
TOO_FEW = 3.0
"""Effective extrinsic points, of tens of thousands, with which there is no integral: the prior does not hold the signal."""
_CHUNK = 512
_EXAMPLES = 256
_LEARN = 768


@dataclass
class Evaluated:
    """Draws with all that was computed of them: normal scores, parameters, coefficients, powers, shifts, marginal
    likelihoods.

    `part` says which set of extrinsic points each draw used.
    """

    z: np.ndarray
    theta: np.ndarray
    coefficients: np.ndarray
    power: np.ndarray
    shift: np.ndarray
    part: np.ndarray
    log_likelihood: np.ndarray
    effective: np.ndarray


class EventSampler:
    """The state of one event's analysis.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    prior : Prior
    found : Found
        the loudest template: fixes the window of arrival times
    n_sets : int, sets of extrinsic points; n_points : int, points in each
    seed : int
    progress : callable, optional, ``progress(stage, done, total)``
    """

    def __init__(
        self,
        likelihood: SegmentLikelihood,
        prior: Prior,
        found: Found,
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
        self.table = DistanceTable.build(prior.luminosity_distance, 1.25 * found.network_snr + 8)
        self.tolerance = (LOG_LIKELIHOOD_ERROR / max(found.network_snr, 5.0)) ** 2
        self.reduced: ReducedLikelihood | None = None
        self.nodes: Nodes | None = None
        self.sets: list[ExtrinsicIntegral] = []

    def coefficients(self, theta: np.ndarray, stage: str) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (N, K) and powers (N, n_det) of binaries (N, 4), extending the event's basis until it holds them.

        Waveforms are transformed in full only for the first binaries and for those that their samples at the `nodes` do not
        determine.
        """
        n = len(theta)
        parts, rest = [], np.arange(n)
        if self.nodes is None:
            # Draws of several proposals follow each other: some of each.
            first = np.unique(np.linspace(0, n - 1, min(n, _LEARN)).astype(int))
            parts.append((first, *self._learn(theta[first])))
            rest = np.delete(rest, first)
        for start in range(0, len(rest), _CHUNK):
            chunk = rest[start : start + _CHUNK]
            parts.append((chunk, *self._found(theta[chunk])))
            self.progress(stage, n - len(rest) + start + len(chunk), n)
        assert self.reduced is not None
        coefficients = np.zeros((n, self.reduced.size), dtype=np.complex128)
        power = np.empty((n, len(self.found.times)))
        for rows, c, p in parts:
            # An extension appends directions: earlier coefficients are zero there.
            coefficients[rows, : c.shape[1]], power[rows] = c, p
        return coefficients, power

    def _learn(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first binaries' coefficients and powers; their waveforms make the basis and, if they are enough, the nodes."""
        h = self.likelihood.waveforms(theta)
        if self.reduced is None:
            # A few hundred waveforms span the event; the rest is caught by the check of `_project`.
            examples = np.concatenate([h[:: -(-len(h) // _EXAMPLES)], self.found.waveform[None]])
            self.reduced = ReducedLikelihood(
                self.likelihood, self.window, examples, min(BASIS_TOLERANCE, 0.1 * self.tolerance)
            )
        coefficients, power = self._project(h)
        if len(theta) >= _LEARN and isinstance(self.likelihood.model, SampledWaveform):
            self.nodes = Nodes(self.likelihood, theta, h, coefficients, self.tolerance)
        return coefficients, power

    def _found(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients and powers of further binaries, by the nodes where they can be trusted."""
        assert self.reduced is not None
        if self.nodes is None or not self.nodes.trusted:
            return self._project(self.likelihood.waveforms(theta))
        coefficients, good = self.nodes(theta)
        if not good.all():
            h = self.likelihood.waveforms(theta[~good])
            others, their_power = self._project(h)
            self.nodes.add(h, others)
        coefficients = np.pad(coefficients, ((0, 0), (0, self.reduced.size - coefficients.shape[1])))
        power = self.reduced.power(coefficients)
        if not good.all():
            coefficients[~good], power[~good] = others, their_power
        return coefficients, power

    def _project(self, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients and powers of waveforms (N, n_f), the basis extended until it holds them."""
        assert self.reduced is not None
        coefficients, power, lost = self.reduced.project(h)
        if np.any(lost > self.tolerance):
            self.reduced.extend(h[lost > self.tolerance])
            coefficients, power, lost = self.reduced.project(h)
            if np.any(lost > self.tolerance):
                raise GwsmlError(
                    f"the event's basis loses {lost.max():.1e} of a waveform's power after it was extended"
                )
        return coefficients, power

    def _series(self, coefficients: np.ndarray) -> np.ndarray:
        assert self.reduced is not None
        c = np.pad(coefficients, ((0, 0), (0, self.reduced.size - coefficients.shape[1])))
        return self.reduced.series(c)

    def _shift(self, series: np.ndarray, power: np.ndarray) -> np.ndarray:
        """Steps, and parts of one, by which each binary's arrival is late against the loudest template's, delays between
        detectors kept.
        """
        position = np.round((self.found.times - self.window.start) / self.window.step).astype(int)
        reach = int(0.8 * MARGIN / self.window.step)
        offsets = np.arange(-reach, reach + 1)
        rho = sum(np.abs(series[:, d, position[d] + offsets]) ** 2 / power[:, d, None] for d in range(series.shape[1]))
        top = np.argmax(rho, axis=1)
        # The parabola through the highest and its neighbours.
        middle, rows = np.clip(top, 1, len(offsets) - 2), np.arange(len(rho))
        below, at, above = (rho[rows, middle + k] for k in (-1, 0, 1))
        curvature = np.minimum(below - 2 * at + above, -1e-300)
        return offsets[top] + np.where(middle == top, np.clip(0.5 * (below - above) / curvature, -0.5, 0.5), 0.0)

    def build_sets(self, coefficients: np.ndarray, power: np.ndarray, log2_n: int = 16) -> None:
        """Choose the extrinsic points that count for the given likely binaries (P, K), (P, n_det)."""
        series = self._series(coefficients)
        binaries = LikelyBinaries(series, power, self._shift(series, power))
        self.sets, count = self._chosen(binaries, self.table, log2_n)
        if count < TOO_FEW:
            low, high = self.table.distance
            _, nearer = self._chosen(binaries, replace(self.table, distance=(1e-3 * low, high)), log2_n)
            raise (
                too_near(self.found, self.prior, power[0])
                if nearer > TOO_FEW
                else unlike(self.found, self.likelihood.network)
            )

    def _chosen(
        self, binaries: LikelyBinaries, table: DistanceTable, log2_n: int
    ) -> tuple[list[ExtrinsicIntegral], float]:
        network, typical = self.likelihood.network, binaries.typical()
        return choose_sets(
            network,
            binaries,
            lambda points: ExtrinsicIntegral(points, self.window, table, self.time_limits),
            partial(quasi_random, network, self.window, *typical, self.prior.time_half_width, log2_n),
            self.n_sets,
            self.n_points,
            np.random.SeedSequence([self.seed, 77, len(binaries.power)]),
            lambda done: self.progress("extrinsic points", done, self.n_sets),
        )

    def evaluate(self, z: np.ndarray, stage: str, known: tuple[np.ndarray, np.ndarray] | None = None) -> Evaluated:
        """Marginal likelihoods of draws (N, 4) in normal scores, extrinsic sets taken in turn.

        Parameters
        ----------
        z : (N, 4)
        stage : str
            name for progress
        known : (coefficients, powers), optional
            of the same draws, from an earlier call
        """
        theta = self.prior.from_normal(z)
        coefficients, power = self.coefficients(theta, stage) if known is None else known
        n = len(z)
        part = np.arange(n) % self.n_sets
        log_likelihood, effective, shift = np.empty(n), np.empty(n), np.empty(n)
        tasks = [
            (number, rows[start : start + _CHUNK])
            for number in range(self.n_sets)
            for rows in [np.flatnonzero(part == number)]
            for start in range(0, len(rows), _CHUNK)
        ]

        done = iter(range(1, len(tasks) + 1))

        def work(which: slice) -> None:
            for number, chunk in tasks[which]:
                series = self._series(coefficients[chunk])
                shift[chunk] = self._shift(series, power[chunk])
                found = self.sets[number].marginal(series, power[chunk], shift[chunk])
                log_likelihood[chunk], effective[chunk] = found
                self.progress(stage + ": extrinsic integral", next(done), len(tasks))

        in_threads(work, len(tasks), block=1)
        return Evaluated(z, theta, coefficients, power, shift, part, log_likelihood, effective)

    def complete(self, draws: Evaluated, log_weights: np.ndarray, size: int, seed: int) -> dict[str, np.ndarray]:
        """Equally weighted draws of all eleven parameters.

        Parameters
        ----------
        draws : Evaluated; log_weights : (N,)
        size : int
            number of draws returned
        seed : int

        Returns
        -------
        dict of (size,) arrays: the eleven parameters, `log_likelihood` (ratio to noise), `network_snr` (optimal) and
        `draw`, the row of `draws` each came from
        """
        rng = np.random.default_rng(seed)
        check_weights(log_weights)
        index = resample(log_weights, size, rng)
        names = (
            "luminosity_distance",
            "theta_jn",
            "phase",
            "psi",
            "ra",
            "dec",
            "geocent_time",
            "log_likelihood",
            "network_snr",
        )
        out = {name: np.empty(size) for name in names}
        generators = rng.spawn(self.n_sets)
        done = iter(range(1, self.n_sets + 1))

        def work(which: slice) -> None:
            for number in range(self.n_sets)[which]:
                mine = np.flatnonzero(draws.part[index] == number)
                for start in range(0, len(mine), _CHUNK):
                    at = mine[start : start + _CHUNK]
                    values = self._complete_chunk(draws, index[at], self.sets[number], generators[number])
                    for name, value in values.items():
                        out[name][at] = value
                self.progress("extrinsic draws", next(done), self.n_sets)

        in_threads(work, self.n_sets, block=1)
        for column, name in enumerate(("chirp_mass", "mass_ratio", "chi_1", "chi_2")):
            out[name] = draws.theta[index, column]
        out["draw"] = index
        return out

    def _complete_chunk(
        self, draws: Evaluated, rows: np.ndarray, integral: ExtrinsicIntegral, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        series, shift = self._series(draws.coefficients[rows]), draws.shift[rows]
        chosen = integral.choose(series, draws.power[rows], shift, draws.log_likelihood[rows], rng)
        if np.any(chosen < 0):
            raise GwsmlError("a kept draw has no extrinsic point: a fault in the extrinsic integral")
        points, start, step = integral.points, self.likelihood.segment.start_time, self.window.step
        # GPS times have steps of 0.2 microseconds, which loud signals resolve: all else is drawn at the time that is returned.
        time = points.geocentre[chosen] + shift * step
        geocent_time = start + time
        rounded = (geocent_time - start) - time
        match, power = integral.match(series, draws.power[rows], shift + rounded / step, chosen)
        # psi was folded into [0, pi/2): adding pi/2 turns the sign of A, hence of the match.
        flip = rng.integers(0, 2, len(rows))
        match = np.where(flip == 1, -match, match)
        distance = draw_distance(np.abs(match), power, self.prior.luminosity_distance, rng)
        phase = draw_phase(match, distance, rng)
        ra, dec = sky_angles(points.direction[chosen], geocent_time)
        return {
            "luminosity_distance": distance,
            "theta_jn": np.arccos(points.cos_theta[chosen]),
            "phase": phase,
            "psi": points.psi[chosen] + flip * np.pi / 2,
            "ra": ra,
            "dec": dec,
            "geocent_time": geocent_time,
            "log_likelihood": np.real(np.exp(-2j * phase) * match) / distance - 0.5 * power / distance**2,
            "network_snr": np.sqrt(power) / distance,
        }
