"""The sampler of models with any modes and any spins: inclination proposed with the model's parameters, six integrated.

A draw's waveforms are transformed order by order, its extrinsic parameters are drawn with its likelihood, and nothing large is kept
of it. That integral may be approximate: orders of models whose dynamics depend on the phase are, frequencies are few, times coarse.
The likelihood of final draws is then computed anew, without any of that, at the extrinsic parameters that were drawn
(`OrdersSampler.exact`): with the approximate integral Z and likelihood l and the exact one L, a draw of Z/q l/Z counts for
``Z/q L/l``, whose mean is the evidence whatever l is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from gwsurrogate_ml.conventions import EXTRINSIC
from gwsurrogate_ml.inference.extrinsic.orders import SKIP, OrderPoints, OrdersIntegral
from gwsurrogate_ml.inference.extrinsic.point_sets import ENOUGH
from gwsurrogate_ml.inference.extrinsic.points import Azimuths, arrivals, keep_best, quasi_random, shared
from gwsurrogate_ml.inference.likelihood.coarse import CoarseBand
from gwsurrogate_ml.inference.likelihood.detectors import sky_angles
from gwsurrogate_ml.inference.likelihood.window import TimeWindow
from gwsurrogate_ml.inference.prior.inclined import InclinedPrior
from gwsurrogate_ml.inference.sampling.loud import unlike
from gwsurrogate_ml.inference.sampling.sampler import MARGIN, TOO_FEW, Evaluated, EventSampler, Known, numbered
from gwsurrogate_ml.inference.weights import effective_size, log_sum
from gwsurrogate_ml.kernels.threads import in_threads

WEAK = 1e-6
"""Share of a waveform's power below which an order is left out: what noise makes of it in log likelihood is 0.04 at a
signal-to-noise ratio of 40."""
COARSER = 2.0
"""Step of the series in units of that of samplers whose series must be exact."""
LIGHTER = 0.85
"""Chirp mass, in units of the loudest template's, from which on signals fit the nodes of `CoarseBand`."""
MOST, FAINT = 8, 30.0
"""Binaries of each group for which points are chosen, and the log of the share of the largest term below which a point is of no use
to one."""
CHANGE = 0.15
"""What is left out of waveforms to save time may change most log likelihoods by so much."""
WANTED, MOSTLY = 150.0, 20.0
"""Effective points that binaries should have, and the percentage of them that may have fewer."""
LEAST, MORE, ROUGH = 0.25, 4.0, 14
"""Least and most points kept for that, in units of those asked for; candidates (log2) of sets that judge proposals alone, for which
no more are kept than asked for."""
SHARED = 0.05
"""Share of the points, those that may count most for another binary, that all sets have in common."""
LEARNING = 2
"""Rounds in which the directions and arrival times that count are learned, at most."""
TOGETHER = 64
"""Binaries whose waveforms are made together."""
EXACT = 64
"""Draws whose exact likelihoods are computed together."""
INCLINATIONS = (0.4, 1.1, 2.0, 2.7)
"""theta_jn (rad) of the loudest template, for the first sets of points."""


class Spectra(NamedTuple):
    """One binary against the data: orders (n_m,), series (n_m, 2, n_det, n_t), Gram matrix (n_det, n_m, 2, n_m, 2), and how much
    later (s) than the window's times the series are."""

    orders: np.ndarray
    series: np.ndarray
    gram: np.ndarray
    later: float

    @property
    def two(self) -> int:
        """Where the order m = 2 is."""
        return int(np.flatnonzero(self.orders == 2)[0])


class OrdersSampler(EventSampler):
    """See `EventSampler`, whose arguments it takes. `Known` are the parameters themselves."""

    drawn_at_once = (*(name for name in EXTRINSIC if name != "theta_jn"), "log_likelihood", "network_snr")
    dear = True

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.sets: list[list[OrdersIntegral]] = []
        w = self.window
        self.window = TimeWindow(w.start, COARSER * w.step, int(np.ceil(w.size / COARSER)))
        self.coarse = CoarseBand(self.likelihood, self.window, LIGHTER * float(self.found.theta[0]))

    @property
    def proposed(self) -> InclinedPrior:
        """The prior of the model's parameters and the inclination."""
        return InclinedPrior(self.prior, self.likelihood.grid.f_min)

    def smooth(self, z: np.ndarray) -> np.ndarray:
        """See `EventSampler.smooth`."""
        return self.proposed.smooth(z)

    def tensors(self) -> dict[str, np.ndarray]:
        """See `EventSampler.tensors`: the points."""
        every = [integral for sets in self.sets for integral in sets]
        return {f"{i}.{name}": x for i, integral in enumerate(every) for name, x in integral.points.tensors().items()}

    def restore(self, tensors: dict[str, np.ndarray]) -> None:
        """See `EventSampler.restore`."""
        every = [self._integral(OrderPoints.from_tensors(part)) for part in numbered(tensors)]
        self.sets = [every[: self.n_sets], every[self.n_sets :]]

    def group(self, theta: np.ndarray) -> np.ndarray:
        """See `EventSampler.group`: which way the total angular momentum points, to us or away; the two have other directions and
        arrival times that count."""
        return (theta[:, -1] > 0.5 * np.pi).astype(int)

    def known(self, theta: np.ndarray, stage: str) -> Known:
        """The parameters (N, n): waveforms are made where they are used."""
        return theta, np.zeros((len(theta), len(self.found.times)))

    def first_known(self, stage: str) -> Known:
        """The loudest template at a few inclinations."""
        rows = np.repeat(self.found.theta[None], len(INCLINATIONS), axis=0)
        return self.known(np.column_stack([rows, INCLINATIONS]), stage)

    def _each(self, theta: np.ndarray) -> Iterator[Spectra]:
        """Binaries (N, n) against the data, one after the other, orders that hardly count left out."""
        likelihood, lost = self.likelihood, (CHANGE / self.found.network_snr) ** 2
        for first in range(0, len(theta), TOGETHER):
            some = theta[first : first + TOGETHER]
            binaries = likelihood.space.binaries(some[:, :-1])
            orders, spectra = likelihood.model.orders_at(binaries, likelihood.grid, some[:, -1], self.coarse.nodes, lost)
            yield from self._against(orders, spectra)

    def _against(self, orders: np.ndarray, h: np.ndarray) -> Iterator[Spectra]:
        """Orders of binaries (N, n_m, 2, n_nodes) against the data."""
        power = np.einsum("nmpf,f->nm", h.real**2 + h.imag**2, self.coarse.weight.sum(axis=0))
        kept = power > WEAK * power.sum(axis=1, keepdims=True)
        later = self._later(h[:, int(np.flatnonzero(orders == 2)[0])])
        rows = [spectra[some].reshape(-1, h.shape[-1]) for spectra, some in zip(h, kept, strict=True)]
        # All rows in one product: each binary's few would make a slow one.
        each = self.coarse.series(np.concatenate([self.coarse.delayed(*one) for one in zip(rows, later, strict=True)]))
        of_each = np.split(each, np.cumsum([len(row) for row in rows])[:-1])
        for some, row, series, time in zip(kept, rows, of_each, later.tolist(), strict=True):
            n_m = int(some.sum())
            gram = self.coarse.gram(row).reshape(-1, n_m, 2, n_m, 2)
            yield Spectra(orders[some], series.reshape(n_m, 2, *series.shape[1:]), gram, time)

    def _later(self, h: np.ndarray) -> np.ndarray:
        """By how much (s, (N,)) orders m = 2 (N, 2, n_nodes) arrive after the loudest template, delays between detectors kept."""
        norms = np.sum(h.real**2 + h.imag**2, axis=1) @ self.coarse.weight.T
        series = self.coarse.series(h.reshape(-1, h.shape[-1]))
        power = np.sum((series.real**2 + series.imag**2).reshape(len(h), 2, *series.shape[1:]), axis=1) / norms[:, :, None]
        position = np.round((self.found.times - self.window.start) / self.window.step).astype(int)
        reach = int(0.8 * MARGIN / self.window.step)
        offsets = np.arange(-reach, reach + 1)
        rho = sum(power[:, d, at + offsets] for d, at in enumerate(position))
        top = np.clip(np.argmax(rho, axis=1), 1, len(offsets) - 2)
        # The parabola through the highest and its neighbours.
        below, at, above = (rho[np.arange(len(h)), top + k] for k in (-1, 0, 1))
        curvature = np.minimum(below - 2 * at + above, -1e-300)
        return self.window.step * (offsets[top] + np.clip(0.5 * (below - above) / curvature, -0.5, 0.5))

    def build_sets(self, known: Known, log2_n: int = ROUGH) -> None:
        """See `EventSampler.build_sets`; each binary is taken at its own inclination. A group without binaries, or one of which
        none fits the data at any point, has the points of the other."""
        theta, group = known[0], self.group(known[0])
        found = [self._sets(theta[group == number], number, log2_n) for number in (0, 1)]
        some = found[0] or found[1]
        if not some:
            raise unlike(self.found, self.likelihood.network)
        self.sets = [one or some for one in found]

    def _sets(self, theta: np.ndarray, group: int, log2_n: int) -> list[OrdersIntegral]:
        """The sets of points of a group, from its binaries (N, n); none where too few points count."""
        if not len(theta):
            return []
        binaries = list(self._each(theta[:: -(-len(theta) // MOST)]))
        network, (series, norms) = self.likelihood.network, self._typical(binaries)
        seeds = np.random.SeedSequence([self.seed, 78, len(binaries), group]).generate_state(2 * (self.n_sets + 1 + 2 * LEARNING))

        def weighed(number: int, azimuths: Azimuths | None, series: np.ndarray) -> tuple[OrderPoints, np.ndarray, float]:
            """Candidates, the log of their mean likelihood, and how many of them count."""
            seed = int(seeds[2 * number])
            half_width = self.prior.time_half_width
            plain = quasi_random(network, self.window, series, norms, half_width, log2_n, seed, azimuths=azimuths, origin=number)
            points = OrderPoints.of(plain, seed)
            mean = self._mean_likelihood(points, binaries)
            return points, mean, effective_size(points.log_weight + mean) if np.isfinite(mean).any() else 0.0

        def kept(points: OrderPoints, mean: np.ndarray, size: int, number: int) -> tuple[OrderPoints, np.ndarray]:
            """The points that are kept, and the log of what each may count for."""
            return keep_best(points, mean, size, np.random.default_rng(int(seeds[2 * number + 1])))

        def each(points: OrderPoints, mean: np.ndarray, number: int) -> float:
            """How many of the points that would be kept count for a binary, for all but a few at least."""
            trial = self._integral(kept(points, mean, self.n_points, number)[0])
            terms = [trial.terms(*binary, skip=SKIP)[0] for binary in binaries]
            return float(np.percentile([effective_size(x) for x in terms if np.isfinite(log_sum(x))] or [0.0], MOSTLY))

        # Directions that count are learned, and arrival times: of loud signals the series know these better.
        azimuths: Azimuths | None = None
        points, mean, count = weighed(self.n_sets, azimuths, series)
        least = TOO_FEW * 2.0 ** (log2_n - ROUGH - 1)
        if count < least:
            return []
        found = each(points, mean, self.n_sets)
        for number in range(self.n_sets + 1, self.n_sets + 1 + 2 * LEARNING, 2):
            if count > ENOUGH:
                break
            log_weights = points.log_weight + mean
            azimuths = Azimuths.of(network.ring_azimuth(points.points.direction), log_weights)
            learned = np.array(series)
            learned[:2] = arrivals(self.window, points.points.times[:, :2], log_weights)
            ways = [(*weighed(number + k, azimuths, way), way) for k, way in enumerate((series, learned))]
            of_each = [each(points, mean, self.n_sets) for points, mean, *_ in ways]
            found = max(of_each)
            points, mean, count, series = ways[of_each.index(found)]
        size = round(self.n_points * min(MORE if log2_n > ROUGH else 1.0, max(LEAST, WANTED / max(found, 1.0))))
        sets: list[tuple[OrderPoints, np.ndarray] | None] = [None] * self.n_sets
        done = iter(range(1, self.n_sets + 1))

        def work(which: slice) -> None:
            for number in range(self.n_sets)[which]:
                points, mean, count = weighed(number, azimuths, series)
                sets[number] = kept(points, mean, size, number) if count >= least else None
                self.progress("extrinsic points", group * self.n_sets + next(done), 2 * self.n_sets)

        in_threads(work, self.n_sets, block=1)
        done_sets = [one for one in sets if one is not None]
        if len(done_sets) < self.n_sets:
            return []
        every, influence = zip(*done_sets, strict=True)
        return [self._integral(points) for points in shared(every, influence, SHARED)]

    def _mean_likelihood(self, points: OrderPoints, binaries: list[Spectra]) -> np.ndarray:
        """Log of the mean over binaries of the likelihood at every point (M,), each binary normalised to its integral."""
        integral, mean = self._integral(points), np.zeros(len(points))
        for binary in binaries:
            terms, *_ = integral.terms(*binary, skip=FAINT)
            if np.isfinite(total := log_sum(terms)):
                mean += np.exp(terms - points.log_weight - total)
        with np.errstate(divide="ignore"):
            return np.log(mean / len(binaries))

    def _integral(self, points: OrderPoints) -> OrdersIntegral:
        return OrdersIntegral(points, self.likelihood.network, self.window, self.prior.luminosity_distance, self.time_limits)

    @staticmethod
    def _typical(binaries: list[Spectra]) -> tuple[np.ndarray, np.ndarray]:
        """Series (n_det, n_t) in units of signal-to-noise ratio, and norms (n_det,), of the order m = 2, means over binaries."""
        squares, norms = 0.0, 0.0
        for binary in binaries:
            two = binary.two
            power = np.einsum("dpp->dp", binary.gram[:, two, :, two].real).sum(axis=1)
            squares = squares + np.sum(np.abs(binary.series[two]) ** 2, axis=0) / power[:, None] / len(binaries)
            norms = norms + power / len(binaries)
        return np.sqrt(squares).astype(np.complex128), np.sqrt(norms)

    def marginal(self, number: int, rows: np.ndarray, draws: Evaluated) -> None:
        """See `EventSampler.marginal`; the extrinsic parameters of each draw are drawn at once."""
        # By what is drawn for: parts of the final draws have the same rows.
        rng = np.random.default_rng([self.seed, 79, number, *np.ascontiguousarray(draws.z[rows[0]]).view(np.uint32)])
        start = self.likelihood.segment.start_time
        draws.shift[rows], draws.extrinsic[rows] = 0.0, np.nan
        found, chosen = [], []
        for row, group, binary in zip(rows, self.group(draws.theta[rows]), self._each(draws.theta[rows]), strict=True):
            integral = self.sets[group][number]
            terms, angles, phases, matches, powers = integral.terms(*binary, skip=SKIP)
            draws.log_likelihood[row] = total = log_sum(terms)
            draws.effective[row] = effective_size(terms) if np.isfinite(total) else 0.0
            if np.isfinite(total):
                draws.of_set[row] = np.bincount(integral.points.points.origins, np.exp(terms - total), self.n_sets)
                at, *there = integral.draw(terms, matches, powers, rng)
                found.append(row)
                draws.shift[row] = binary.later
                time, direction = integral.points.points.geocentre[at] + binary.later, integral.points.points.direction[at]
                chosen.append((time, *direction, angles[at], phases[at] % (2 * np.pi), *there))
        if not found:
            return
        time, x, y, z, psi, phase, distance, log_likelihood, snr = np.array(chosen).T
        time = start + time
        ra, dec = sky_angles(np.column_stack([x, y, z]), time)
        place = {
            "luminosity_distance": distance,
            "phase": phase,
            "psi": psi,
            "ra": ra,
            "dec": dec,
            "geocent_time": time,
            "log_likelihood": log_likelihood,
            "network_snr": snr,
        }
        draws.extrinsic[found] = np.column_stack([place[name] for name in self.drawn_at_once])

    def exact(self, draws: Evaluated, rows: np.ndarray) -> np.ndarray:
        """See `EventSampler.exact`: at the extrinsic parameters that were drawn, by the model's `transforms`."""
        out = np.empty((len(rows), 2))
        blocks = range(0, len(rows), EXACT)
        done = iter(range(1, len(blocks) + 1))

        def work(which: slice) -> None:
            for first in blocks[which]:
                some = rows[first : first + EXACT]
                table = dict(zip(self.proposed.names, draws.theta[some].T, strict=True))
                table |= dict(zip(self.drawn_at_once, draws.extrinsic[some].T, strict=True))
                out[first : first + EXACT] = np.column_stack(self.likelihood.log_ratio_and_power(table))
                self.progress("exact likelihoods", next(done), len(blocks))

        in_threads(work, len(blocks), block=1)
        return out

    def completed(self, draws: Evaluated, rows: np.ndarray, number: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """See `EventSampler.completed`: what was drawn with the likelihood."""
        return dict(zip(self.drawn_at_once, draws.extrinsic[rows].T, strict=True))
