"""The sampler of aligned-spin (2,2) models: four parameters proposed, seven integrated.

Waveforms are held by their coefficients in the event's own basis, found from a few samples of their strain where the model has
them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.inference.extrinsic.distance import DistanceTable, draw_distance, draw_phase
from gwsurrogate_ml.inference.extrinsic.point_sets import LikelyBinaries, choose_sets
from gwsurrogate_ml.inference.extrinsic.points import ExtrinsicPoints, quasi_random
from gwsurrogate_ml.inference.extrinsic.quadrupole import ExtrinsicIntegral
from gwsurrogate_ml.inference.likelihood.detectors import sky_angles
from gwsurrogate_ml.inference.likelihood.reduced import BASIS_TOLERANCE, ReducedLikelihood
from gwsurrogate_ml.inference.likelihood.samples import EmpiricalInterpolant
from gwsurrogate_ml.inference.prior.composition import Prior
from gwsurrogate_ml.inference.prior.inclined import smooth_coordinates
from gwsurrogate_ml.inference.sampling.loud import too_near, unlike
from gwsurrogate_ml.inference.sampling.sampler import CHUNK, MARGIN, TOO_FEW, Evaluated, EventSampler, Known, numbered

LOG_LIKELIHOOD_ERROR = 5e-3
"""What the event's basis and nodes may cost in log likelihood, one standard deviation: at a signal-to-noise ratio rho an error of a
share s of the whitened power changes it by rho sqrt(s) times a number of order one."""
_EXAMPLES = 256
_LEARN = 768


class QuadrupoleSampler(EventSampler):
    """See `EventSampler`, whose arguments it takes; the model must be one that `waveform.model.require_quadrupole` takes."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        found, prior = self.found, self.prior
        self.table = DistanceTable.build(prior.luminosity_distance, 1.25 * found.network_snr + 8)
        self.tolerance = (LOG_LIKELIHOOD_ERROR / max(found.network_snr, 5.0)) ** 2
        self.reduced: ReducedLikelihood | None = None
        self.nodes: EmpiricalInterpolant | None = None
        self.sets: list[ExtrinsicIntegral] = []

    @property
    def proposed(self) -> Prior:
        """The prior of masses and spins."""
        return self.prior

    def smooth(self, z: np.ndarray) -> np.ndarray:
        """See `EventSampler.smooth`."""
        return np.column_stack(smooth_coordinates(self.prior.from_normal(z)))

    def tensors(self) -> dict[str, np.ndarray]:
        """See `EventSampler.tensors`: the event's basis, the interpolant, the points."""
        out = {f"set.{i}.{name}": x for i, s in enumerate(self.sets) for name, x in s.points.tensors().items()}
        if self.reduced is not None:
            out["basis"], out["basis_sizes"] = self.reduced.basis, np.array(self.reduced.sizes)
        if self.nodes is not None:
            out |= {f"nodes.{name}": x for name, x in self.nodes.tensors().items()}
        return out

    def restore(self, tensors: dict[str, np.ndarray]) -> None:
        """See `EventSampler.restore`."""
        parts = {p: {k.removeprefix(p): v for k, v in tensors.items() if k.startswith(p)} for p in ("set.", "nodes.")}
        if "basis" in tensors:
            grown = np.split(tensors["basis"], np.cumsum(tensors["basis_sizes"])[:-1], axis=1)
            self.reduced = ReducedLikelihood(self.likelihood, self.window, grown, self._basis_tolerance)
        if parts["nodes."]:
            self.nodes = EmpiricalInterpolant(self.likelihood, parts["nodes."])
        self.sets = [self._integral(ExtrinsicPoints(**part), self.table) for part in numbered(parts["set."])]

    @property
    def _basis_tolerance(self) -> float:
        return min(BASIS_TOLERANCE, 0.1 * self.tolerance)

    def _integral(self, points: ExtrinsicPoints, table: DistanceTable) -> ExtrinsicIntegral:
        return ExtrinsicIntegral(points, self.window, table, self.time_limits)

    def known(self, theta: np.ndarray, stage: str) -> Known:
        """Coefficients (N, K) and powers (N, n_det) of binaries (N, n), extending the event's basis until it holds them.

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
        for start in range(0, len(rest), CHUNK):
            chunk = rest[start : start + CHUNK]
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
            self.reduced = ReducedLikelihood.of(self.likelihood, self.window, examples, self._basis_tolerance)
        coefficients, power = self._project(h)
        if len(theta) >= _LEARN and self.likelihood.model.has_samples:
            self.nodes = EmpiricalInterpolant.of(self.likelihood, theta, h, coefficients, self.tolerance)
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
                raise GwsmlError(f"the event's basis loses {lost.max():.1e} of a waveform's power after it was extended")
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

    def build_sets(self, known: Known, log2_n: int = 16) -> None:
        """Choose the extrinsic points that count for the given likely binaries (P, K), (P, n_det)."""
        coefficients, power = known
        series = self._series(coefficients)
        binaries = LikelyBinaries(series, power, self._shift(series, power))
        self.sets, count = self._chosen(binaries, self.table, log2_n)
        if count < TOO_FEW:
            low, high = self.table.distance
            _, nearer = self._chosen(binaries, replace(self.table, distance=(1e-3 * low, high)), log2_n)
            raise (too_near(self.found, self.prior, power[0]) if nearer > TOO_FEW else unlike(self.found, self.likelihood.network))

    def _chosen(self, binaries: LikelyBinaries, table: DistanceTable, log2_n: int) -> tuple[list[ExtrinsicIntegral], float]:
        network, typical = self.likelihood.network, binaries.typical()
        return choose_sets(
            network,
            binaries,
            lambda points: self._integral(points, table),
            partial(quasi_random, network, self.window, *typical, self.prior.time_half_width, log2_n),
            self.n_sets,
            self.n_points,
            np.random.SeedSequence([self.seed, 77, len(binaries.power)]),
            lambda done: self.progress("extrinsic points", done, self.n_sets),
        )

    def marginal(self, number: int, rows: np.ndarray, draws: Evaluated) -> None:
        """See `EventSampler.marginal`."""
        series, power = self._series(draws.coefficients[rows]), draws.power[rows]
        draws.shift[rows] = self._shift(series, power)
        draws.log_likelihood[rows], draws.effective[rows], of_set = self.sets[number].marginal(series, power, draws.shift[rows])
        draws.of_set[rows] = 0.0
        draws.of_set[rows, : of_set.shape[1]] = of_set

    def completed(self, draws: Evaluated, rows: np.ndarray, number: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """See `EventSampler.completed`."""
        integral = self.sets[number]
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
