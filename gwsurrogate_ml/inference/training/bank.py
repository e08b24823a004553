"""New binaries for the bank while a network trains, so that it meets none often enough to learn it by heart."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from gwsurrogate_ml.inference.training.processes import Processes
from gwsurrogate_ml.inference.training.simulator import Simulator, compress


class ResampledBank:
    """Replaces part of the bank at fixed steps by new binaries, which a thread computes in the meantime.

    Which binaries, and when they come in, depends on the seed and the step alone: a resumed run replays them, with any number
    of processes.

    Parameters
    ----------
    simulator : Simulator
    here : Processes
        each of which computes its part of them
    """

    def __init__(self, simulator: Simulator, here: Processes = Processes()) -> None:  # noqa: B008 (frozen)
        self.simulator, self.here = simulator, here
        settings = simulator.config.simulator
        room = len(simulator.terms) - simulator.holdout
        self.size, self.every = min(settings.refresh, room), settings.refresh_every
        self._parts = max(room // max(self.size, 1), 1)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="waveforms")
        self._coming: tuple[int, Future] | None = None
        self._done = 0

    def _compute(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The binaries (n, n_z), and the coefficients of this process's part of them."""
        sources, rng = self.simulator.sources, np.random.default_rng([self.simulator.config.seed, 20, number])
        theta = sources.draw(self.size, rng)
        phase, mine = sources.phases(self.size, rng), self.here.part(self.size)
        return theta, compress(sources, self.simulator.bank, theta[mine], phase[mine])

    def _put(self, number: int, theta: np.ndarray, coefficients: np.ndarray) -> None:
        first = self.simulator.holdout + (number - 1) % self._parts * self.size
        self.simulator.replace(first, theta, self.here.joined(coefficients))

    def advance(self, step: int) -> None:
        """Bring the bank to the state it has at `step`."""
        number = step // self.every
        if self.size == 0 or (number == self._done and self._coming):
            return
        # After a resume, only the latest version of each part is needed.
        for n in range(max(self._done + 1, number - self._parts + 1), number + 1):
            ready = self._coming is not None and self._coming[0] == n
            self._put(n, *(self._coming[1].result() if ready and self._coming else self._compute(n)))
        self._done = number
        self._coming = (number + 1, self._pool.submit(self._compute, number + 1))

    def close(self) -> None:
        """Stop computing."""
        self._pool.shutdown(wait=True, cancel_futures=True)
