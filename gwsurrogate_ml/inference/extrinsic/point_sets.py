"""The sets of extrinsic points of one event: many points weighed at a few likely binaries, few of them kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.inference.extrinsic.points import Azimuths, ExtrinsicPoints, keep_best, shared
from gwsurrogate_ml.inference.extrinsic.quadrupole import ExtrinsicIntegral, moved
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork
from gwsurrogate_ml.inference.weights import effective_size, log_sum
from gwsurrogate_ml.kernels.threads import in_threads

LEARNING, ENOUGH = 5, 1000.0
"""Rounds in which the directions that count are learned, at most, and the effective points at which they end."""
SHARED = 0.02
"""Share of the points, those that may count most for another binary, that all sets have in common."""
PLENTY, FEWEST = 500.0, 0.25
"""Effective points of a kept set that suffice (they change log likelihoods by 0.04), and the least share of the points that may be
kept of which that many are."""


@dataclass(frozen=True)
class LikelyBinaries:
    """The binaries for which points are chosen.

    Parameters
    ----------
    series : (P, n_det, window.size) complex128, power : (P, n_det), shift : (P,)
        as `ExtrinsicIntegral.marginal` takes them
    """

    series: np.ndarray
    power: np.ndarray
    shift: np.ndarray

    def typical(self) -> tuple[np.ndarray, np.ndarray]:
        """Series (n_det, size) in units of signal-to-noise ratio as seen from each binary's own arrival, and norms (n_det,): means.

        Magnitudes are means of squares; phases are those of the sum, the binaries' own phases taken out.
        """
        squares, total = np.zeros(self.series.shape[1:]), np.zeros(self.series.shape[1:], dtype=np.complex128)
        for z, s, p in zip(self.series, self.shift, self.power, strict=True):
            seen = moved(z, float(s)) / np.sqrt(p)[:, None]
            squares += np.abs(seen) ** 2 / len(self.series)
            peak = seen.flat[np.argmax(np.abs(seen))]
            total += seen * np.conj(peak) / max(abs(peak), 1e-300)
        return np.sqrt(squares) * np.exp(1j * np.angle(total)), np.sqrt(self.power.mean(axis=0))

    def terms(self, integral: ExtrinsicIntegral) -> Iterator[np.ndarray]:
        """Log of weight times likelihood (M,) of every point for those binaries whose integral is not nothing, one by one."""
        for i in range(len(self.series)):
            terms = integral.terms(self.series[i : i + 1], self.power[i : i + 1], self.shift[i : i + 1])[0]
            if np.isfinite(log_sum(terms)):
                yield terms

    def effective(self, integral: ExtrinsicIntegral) -> float:
        """How many points count, the median of the binaries."""
        return float(np.median([effective_size(terms) for terms in self.terms(integral)] or [0.0]))

    def mean_likelihood(self, integral: ExtrinsicIntegral) -> np.ndarray:
        """Log of the mean over binaries of the likelihood at every point, each binary normalised to its integral."""
        # A likelihood over its integral is at most the inverse of the prior's share it fills: no overflow.
        points = integral.points
        mean = np.zeros(len(points))
        for terms in self.terms(integral):
            mean += np.exp(terms - points.log_weight - log_sum(terms))
        if not np.any(mean > 0):
            raise GwsmlError("no arrival time of the prior fits the data: check the event's GPS time")
        with np.errstate(divide="ignore"):
            return np.log(mean / len(self.series))


def choose_sets(
    network: DetectorNetwork,
    binaries: LikelyBinaries,
    integral: Callable[[ExtrinsicPoints], ExtrinsicIntegral],
    draw: Callable[..., ExtrinsicPoints],
    n_sets: int,
    n_points: int,
    seeds: np.random.SeedSequence,
    progress: Callable[[int], None],
) -> tuple[list[ExtrinsicIntegral], float]:
    """Sets of the points that count for some binaries, independent but for the heaviest points, see `points.shared`.

    Parameters
    ----------
    network : DetectorNetwork
    binaries : LikelyBinaries
    integral : callable
        the integral over given points
    draw : callable, ``draw(seed, aimed, azimuths, origin)``
        candidates, `points.quasi_random`
    n_sets, n_points : int
        at most so many points a set, fewer where `PLENTY` of them count
    seeds : SeedSequence
    progress : callable, ``progress(done)``

    Returns
    -------
    sets : list of ExtrinsicIntegral
    float, how many of a set's candidates count effectively: below some tens the integral is not to be trusted
    """
    children = [child.generate_state(2) for child in seeds.spawn(n_sets + LEARNING)]

    def weighed(which: int, aimed: bool, azimuths: Azimuths | None) -> tuple[ExtrinsicPoints, np.ndarray]:
        points = draw(int(children[which][0]), aimed, azimuths, which)
        return points, binaries.mean_likelihood(integral(points))

    def effective(points: ExtrinsicPoints, mean: np.ndarray) -> float:
        return effective_size(points.log_weight + mean)

    # Loud signals and third detectors leave few orientations and directions: where few points count, they are aimed at.
    points, mean = first = weighed(0, False, None)
    aimed, azimuths, count = False, None, effective(*first)
    for which in range(n_sets, n_sets + LEARNING):
        if count > ENOUGH:
            break
        azimuths = Azimuths.of(network.ring_azimuth(points.direction), points.log_weight + mean) if aimed else None
        aimed = True
        points, mean = weighed(which, aimed, azimuths)
        count = effective(points, mean)
    if count > ENOUGH:
        # So many candidates count that hardly any is kept twice.
        kept, _ = keep_best(points, mean, n_points, np.random.default_rng(int(children[-1][1])))
        found = binaries.effective(integral(kept))
        n_points = round(n_points * min(1.0, max(FEWEST, PLENTY / max(found, 1.0))))
    sets: list[tuple[ExtrinsicPoints, np.ndarray] | None] = [None] * n_sets
    done = iter(range(1, n_sets + 1))

    def work(which: slice) -> None:
        for number in range(n_sets)[which]:
            points, mean = weighed(number, aimed, azimuths) if aimed or number else first
            sets[number] = keep_best(points, mean, n_points, np.random.default_rng(int(children[number][1])))
            progress(next(done))

    in_threads(work, n_sets, block=1)
    every, influence = zip(*(one for one in sets if one is not None), strict=True)
    return [integral(points) for points in shared(every, influence, SHARED)], count
