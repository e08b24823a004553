"""A pool of training examples with their projections on a bank, made in advance: a projection costs more than a training step.

The pool is made in blocks, each from the generator of (seed, block) and kept in a file, so that a killed run goes on. Batches
are drawn from it anew every time: upside down or not, and begun at another moment.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gwsurrogate_ml.denoise.signal.examples import Batch, Examples, Spectra
from gwsurrogate_ml.denoise.signal.projection import Projection, project

BLOCK = 64
"""Examples in a block."""
Progress = Callable[[str, int, int], None]


class Pool:
    """Examples to draw batches from.

    Parameters
    ----------
    examples : Examples, which made them
    drawn : Spectra, complex64
    projection : (n, n_f) complex64
    """

    def __init__(self, examples: Examples, drawn: Spectra, projection: np.ndarray) -> None:
        self.examples, self.drawn, self.projection = examples, drawn, projection

    @classmethod
    def make(
        cls,
        examples: Examples,
        layer: Projection,
        n: int,
        seed: tuple[int, ...],
        snr: tuple[float, float],
        rows: tuple[int, int],
        folder: Path | None = None,
        progress: Progress | None = None,
    ) -> Pool:
        """A pool of `n` examples (in whole blocks) with waveforms `rows`; blocks are kept in `folder`, and taken from there."""
        found: list[dict[str, np.ndarray]] = []
        total = -(-n // BLOCK)
        for k in range(total):
            path = None if folder is None else folder / f"pool-{k:04d}.npz"
            if path is not None and path.exists():
                with np.load(path) as content:
                    found.append(dict(content))
                continue
            block = _block(examples, layer, np.random.default_rng([*seed, k]), snr, rows)
            found.append(block)
            if path is not None:
                temporary = path.with_name(f".{path.name}.{os.getpid()}.npz")
                np.savez(temporary, **block)  # type: ignore[arg-type]
                os.replace(temporary, path)
            if progress:
                progress("projecting examples", k + 1, total)
        arrays = {key: np.concatenate([block[key] for block in found]) for key in found[0]}
        projection = arrays.pop("projection")
        return cls(examples, Spectra(**arrays, psd=np.zeros((len(projection), 0))), projection)

    def batch(self, n: int, rng: np.random.Generator, least: float = 0.0) -> Batch:
        """`n` examples at random, those with a signal of an SNR below `least` left out."""
        usable = np.flatnonzero((self.drawn.snr == 0) | (self.drawn.snr >= least))
        return self._cut(usable[rng.integers(0, usable.size, n)], rng, rng.choice([-1.0, 1.0], (n, 1)))

    def all(self, rng: np.random.Generator) -> Batch:
        """Every example once, in order."""
        return self._cut(np.arange(len(self.projection)), rng, np.ones((len(self.projection), 1)))

    def _cut(self, rows: np.ndarray, rng: np.random.Generator, sign: np.ndarray) -> Batch:
        d = self.drawn
        some = Spectra(sign * d.data[rows], sign * d.signal[rows], d.snr[rows], d.time[rows], d.glitch[rows], d.psd[rows])
        return self.examples.cut(some, rng, sign * self.projection[rows])


def _block(
    examples: Examples, layer: Projection, rng: np.random.Generator, snr: tuple[float, float], rows: tuple[int, int]
) -> dict[str, np.ndarray]:
    drawn = examples.spectra(BLOCK, rng, snr, rows)
    projected = [project(layer, white, psd) for white, psd in zip(drawn.data, drawn.psd, strict=True)]
    return {
        "data": drawn.data.astype(np.complex64),
        "signal": drawn.signal.astype(np.complex64),
        "snr": drawn.snr,
        "time": drawn.time,
        "glitch": drawn.glitch,
        "projection": np.array(projected).astype(np.complex64),
    }


def remove(folder: Path) -> None:
    """Delete the blocks kept in a folder."""
    for path in folder.glob("pool-*.npz"):
        path.unlink(missing_ok=True)
