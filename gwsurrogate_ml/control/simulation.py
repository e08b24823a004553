"""Many mirrors at once: the plant with limits on torque and angle, controllers beside it, and what a run costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from gwsurrogate_ml.arguments import positive, whole
from gwsurrogate_ml.control.linear import Gains, lqg_gains, observer, stationary
from gwsurrogate_ml.control.noise import StateSpace
from gwsurrogate_ml.control.plant import Plant
from gwsurrogate_ml.errors import ConfigError, DataError

BLOCK = 256
POOL = 4096
EVALUATION = 9
"""Word in the seeds of `simulate`: those of the trainings have 0, 1 or 2 in its place."""
Law = Callable[[np.ndarray], np.ndarray]
"""From estimates (n, states) to torques (n,) in nrad."""


class Mirrors:
    """`n` mirrors that are shaken, measured and pushed, one sample after another.

    Parameters
    ----------
    plant : Plant
    n : int
    seed : int or sequence of int
        equal seeds give equal noise to a mirror, whatever the controller does and however many mirrors there are
    limit : float, nrad
        torques beyond it are cut off
    seismic, sensing : float (n, n_samples), optional
        recorded torques (nrad) and read-out noise (nrad) in place of the models; the run ends with them

    Raises
    ------
    DataError
        recorded noise that is not finite, or of another number of mirrors, or that has ended
    """

    def __init__(
        self,
        plant: Plant,
        n: int,
        seed: int | Sequence[int],
        limit: float = np.inf,
        seismic: np.ndarray | None = None,
        sensing: np.ndarray | None = None,
    ) -> None:
        self.plant, self.n = plant, whole(n, "n", 1)
        self.limit = limit if limit == np.inf else positive(limit, "limit", "nrad")
        self.rngs = generators(seed, self.n)
        self.recorded = {"seismic": seismic, "sensing": sensing}
        for name, series in self.recorded.items():
            if series is not None and (np.ndim(series) != 2 or len(series) != n or not np.isfinite(series).all()):
                raise DataError(f"the recorded {name} noise is not finite or not of shape ({n}, samples): mend or cut the record")
        self.state = np.zeros((self.n, plant.n))
        self.step = 0
        self._draw()

    def _draw(self) -> None:
        self._noise = np.stack([rng.standard_normal((BLOCK, 3)) for rng in self.rngs], axis=1)

    def _record(self, name: str) -> np.ndarray | None:
        series = self.recorded[name]
        if series is not None and self.step >= series.shape[1]:
            raise DataError(
                f"the recorded {name} noise ends after {series.shape[1]} samples: give a longer record, or run for less"
            )
        return None if series is None else series[:, self.step]

    @property
    def measured(self) -> np.ndarray:
        """Measured angles (n,), nrad."""
        recorded = self._record("sensing")
        if recorded is not None:  # in place of the model's white noise and of its coloured one, which are states
            return self.state[:, 0] + recorded
        return self.state @ self.plant.c[0] + self.plant.r[0, 0] * self._noise[self.step % BLOCK, :, 2]

    def push(self, torque: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Command torques (n,); parts of the cost (n, 3) of this sample, and the torques (n,) that the limit leaves.

        Raises
        ------
        DataError
            a torque that is no number, or recorded noise that has ended
        """
        torque = np.asarray(torque, float)
        if not np.isfinite(torque).all():
            raise DataError(f"a torque of step {self.step} is not finite: mend the controller or the action that gave it")
        torque = np.clip(torque, -self.limit, self.limit)
        plant = self.plant
        z = self.state @ plant.cz.T + torque[:, None] * plant.dz[:, 0]
        shaken = self._noise[self.step % BLOCK, :, :2] @ plant.g.T
        state = self.state
        recorded = self._record("seismic")
        if recorded is not None:  # the filter's torque gives way to the record's
            state, shaken = state.copy(), shaken.copy()
            state[:, plant.seismic] = 0
            shaken[:, :2] = recorded[:, None] * plant.a[:2, plant.held]
        self.state = state @ plant.a.T + shaken
        self.state += torque[:, None] * plant.b[:, 0]
        self.step += 1
        if self.step % BLOCK == 0:
            self._draw()
        return z**2, torque


def generators(seed: int | Sequence[int], n: int) -> list[np.random.Generator]:
    """One generator for each of `n` mirrors, that of a mirror the same for every n."""
    words = (seed,) if isinstance(seed, int) else tuple(seed)
    return [np.random.default_rng((*words, k)) for k in range(n)]


class Controller(Protocol):
    """What commands torques for `n` mirrors."""

    n: int

    def start(self, state: np.ndarray, rows: np.ndarray) -> None:
        """Begin anew for the mirrors `rows`, with own states `state` (n_rows, k)."""

    def command(self, measured: np.ndarray) -> np.ndarray:
        """Torques (n,) for measured angles (n,), nrad."""

    def applied(self, torque: np.ndarray) -> None:
        """Be told the torques (n,) that the limit left, and go on by one sample."""

    @property
    def loop(self) -> StateSpace:
        """The linear controller whose stationary states it begins from."""


class Linear:
    """A linear controller for many mirrors, which knows nothing of limits."""

    def __init__(self, controller: StateSpace, n: int) -> None:
        self.loop, self.n = controller, n
        self.state = np.zeros((n, len(controller.a)))
        self._measured = np.zeros(n)

    def start(self, state: np.ndarray, rows: np.ndarray) -> None:
        """See `Controller`."""
        self.state[rows] = state

    def command(self, measured: np.ndarray) -> np.ndarray:
        """See `Controller`."""
        self._measured = measured
        return self.state @ self.loop.c[0] + self.loop.d.item() * measured

    def applied(self, torque: np.ndarray) -> None:
        """See `Controller`."""
        self.state = self.state @ self.loop.a.T + self._measured[:, None] * self.loop.b[:, 0]


class Estimating:
    """A law on the Kalman filter's estimate; the filter is fed the torque that the limit left, so that it does not wind up.

    Parameters
    ----------
    plant : Plant
        the one the filter is made for
    n : int
    law : from estimates (n, states) to torques (n,); the regulator of `gains` if left out
    gains : Gains, of filter and regulator; LQG's if left out
    """

    def __init__(self, plant: Plant, n: int, law: Law | None = None, gains: Gains | None = None) -> None:
        gains = gains or lqg_gains(plant)
        self.plant, self.loop, self.n = plant, observer(plant, gains.regulator, gains.kalman), n
        self.regulator = gains.regulator[0]
        self.law: Law = law or linear_law(gains.regulator)
        self._kalman = gains.kalman[:, 0]
        self.ahead = np.zeros((n, plant.n))
        self.estimate = self.ahead

    def start(self, state: np.ndarray, rows: np.ndarray) -> None:
        """See `Controller`."""
        self.ahead[rows] = state

    def see(self, measured: np.ndarray) -> np.ndarray:
        """Estimates (n, states) after the measurement."""
        self.estimate = self.ahead + (measured - self.ahead @ self.plant.c[0])[:, None] * self._kalman
        return self.estimate

    def command(self, measured: np.ndarray) -> np.ndarray:
        """See `Controller`."""
        return self.law(self.see(measured))

    def applied(self, torque: np.ndarray) -> None:
        """See `Controller`."""
        self.ahead = self.estimate @ self.plant.a.T
        self.ahead += torque[:, None] * self.plant.b[:, 0]


def linear_law(regulator: np.ndarray) -> Law:
    """The law ``u = -regulator x``."""
    return lambda estimate: -(estimate @ regulator[0])


class Pool:
    """Stationary states of a loop to begin from, those left out from which a limit on torque could not hold the mirror for long."""

    def __init__(self, plant: Plant, loop: StateSpace, limit: float, seed: int | Sequence[int]) -> None:
        values, vectors = np.linalg.eigh(stationary(plant, loop))  # the covariance has no full rank: some states repeat others
        root = vectors * np.sqrt(np.clip(values, 0, None))
        self.rng = np.random.default_rng(seed)
        states = self.rng.standard_normal((POOL, len(root))) @ root.T
        self.n = plant.n
        if np.isfinite(limit):
            states[:, plant.held] = np.clip(states[:, plant.held], -limit, limit)
            if plant.unstable is not None:
                value, left = plant.unstable
                bound = abs((left @ plant.b).item()) * limit / (value - 1)
                states = states[np.abs(states[:, : self.n] @ left) < bound / 2]
                if len(states) < 100:
                    raise ConfigError(f"limit is {limit:g} nrad: too little to hold this mirror at any time; give more torque")
        self.states = states

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """States of plant (count, n) and controller (count, k)."""
        return self.at(self.rng.integers(len(self.states), size=count))

    def at(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The states of given numbers (count,)."""
        return self.states[index, : self.n], self.states[index, self.n :]


@dataclass(frozen=True)
class Run:
    """What a run measured.

    Attributes
    ----------
    total, error : float
        mean cost over all samples and its standard error over mirrors
    parts : float (3,), of the cost
    noise : float, nrad: root mean square of the torque in the noise band
    falls : int; falls_per_hour : float, of a mirror
    seconds : float, of all mirrors together
    each : float (n,), mean cost of each mirror
    fell : int (n,), falls of each mirror
    """

    total: float
    error: float
    parts: tuple[float, float, float]
    noise: float
    falls: int
    falls_per_hour: float
    seconds: float
    each: np.ndarray = field(repr=False)
    fell: np.ndarray = field(repr=False)

    def record(self) -> dict[str, Any]:
        """As plain numbers, without those of each mirror."""
        return {name: value for name, value in asdict(self).items() if name not in ("each", "fell")}


def simulate(
    plant: Plant,
    controller: Controller,
    seconds: float,
    n: int,
    seed: int = 0,
    limit: float = np.inf,
    fall: float = np.inf,
    seismic: np.ndarray | None = None,
    sensing: np.ndarray | None = None,
) -> Run:
    """Run a controller on `n` mirrors, begun in the stationary state of its linear loop, on noise that no training draws.

    Parameters
    ----------
    plant, controller
    seconds : float, s, for each mirror
    n : int
    seed : int
    limit : float, nrad, of the torque
    fall : float, nrad
        a mirror at a larger angle has fallen and begins anew from the stationary state
    seismic, sensing : float (n, n_samples), optional
        recorded torques (nrad) and read-out noise (nrad) in place of the models

    Raises
    ------
    DataError
        a controller whose torque is not finite; records that are not finite or shorter than the run
    ConfigError
        a loop that is not stable without limits, lengths that are none, or a controller made for another number of mirrors
    """
    steps = round(positive(seconds, "seconds", "s") * plant.rate)
    n, seed = whole(n, "n", 1), whole(seed, "seed")
    if controller.n != n:
        raise ConfigError(f"the controller is made for {controller.n} mirrors, n is {n}: make it for as many")
    if fall != np.inf:
        positive(fall, "fall", "nrad")
    if steps < 1:
        raise ConfigError(f"seconds is {seconds}: give at least one sample, {1 / plant.rate:.4g} s")
    for name, series in (("seismic", seismic), ("sensing", sensing)):
        if series is not None and np.shape(series)[-1] < steps:
            raise DataError(
                f"the recorded {name} noise has {np.shape(series)[-1]} samples, the run {steps}: give more or run for less"
            )
    mirrors = Mirrors(plant, n, (seed, EVALUATION, 0), limit, seismic, sensing)
    pool = Pool(plant, controller.loop, limit, (seed, EVALUATION, 1))
    starts = generators((seed, EVALUATION, 2), n)

    def begin(rows: np.ndarray) -> None:
        mirrors.state[rows], own = pool.at(np.array([starts[row].integers(len(pool.states)) for row in rows]))
        controller.start(own, rows)

    begin(np.arange(n))
    parts, each, fell = np.zeros(3), np.zeros(n), np.zeros(n, int)
    for _ in range(steps):
        spent, torque = mirrors.push(controller.command(mirrors.measured))
        controller.applied(torque)
        parts += spent.mean(axis=0)
        each += spent.sum(axis=1)
        if fall < np.inf:
            down = np.flatnonzero(np.abs(mirrors.state[:, 0]) > fall)
            if len(down):
                fell[down] += 1
                begin(down)
    parts, each = parts / steps, each / steps
    weight = plant.suspension.noise_weight
    noise = float(np.sqrt(parts[1] / weight)) if weight > 0 else float("nan")
    all_seconds, falls = n * steps / plant.rate, int(fell.sum())
    error = float(np.std(each) / np.sqrt(max(n - 1, 1)))
    shares = (float(parts[0]), float(parts[1]), float(parts[2]))
    return Run(float(parts.sum()), error, shares, noise, falls, 3600 * falls / all_seconds, all_seconds, each, fell)
