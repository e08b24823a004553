"""The filtering of a search in pieces: some templates each, here or on the workers of a cluster, with the same triggers.

What all pieces need (conditioned data, templates' parameters, settings) is written once to a file that all workers see.
"""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.errors import ArtifactError, ConfigError
from gwsurrogate_ml.search.segments import Block, Conditioned, working_length
from gwsurrogate_ml.search.single import find_triggers
from gwsurrogate_ml.waveform.model import Grid

if TYPE_CHECKING:
    from gwsurrogate_ml.scale import Mapper
    from gwsurrogate_ml.waveform.model import WaveformModel

CHUNK = 16
"""Templates generated and filtered together: a few tens of megabytes for blocks of 256 s."""


@dataclass(frozen=True, eq=False)
class Work:
    """What the filtering needs, and nothing that it changes.

    Attributes
    ----------
    parameters : (n, 4) float64
        mass_1, mass_2 in Msun, chi_1, chi_2 of the templates
    blocks : sequence of Block
    data : mapping of detector to a Conditioned for each block
    rate : float, Hz
    f_min : float, Hz
    settings : mapping
        f_max, threshold, trigger_window, n_bins of `SearchConfig`
    """

    parameters: np.ndarray
    blocks: Sequence[Block]
    data: Mapping[str, Sequence[Conditioned]]
    rate: float
    f_min: float
    settings: Mapping[str, Any]

    def starts(self) -> range:
        """First template of each piece."""
        return range(0, len(self.parameters), CHUNK)

    def triggers(self, model: WaveformModel, first: int, n_jobs: int = 1) -> dict[str, list[np.ndarray]]:
        """Triggers of the templates from `first` on, of one piece, by detector, one array a block.

        A template's waveform is made once for all blocks of one length.
        """
        found: dict[str, list[np.ndarray]] = {name: [] for name in self.data}
        templates: dict[int, np.ndarray] = {}
        for i, block in enumerate(self.blocks):
            n = round((block.span[1] - block.span[0]) * self.rate)
            if n not in templates:
                work = working_length(n, self.rate, float(self.settings["f_max"]))
                binaries = Binaries.aligned(*self.parameters[first : first + CHUNK].T)
                templates[n] = model.quadrupole(binaries, Grid(n / self.rate, work * self.rate / n, self.f_min))
            for name, data in self.data.items():
                found[name].append(find_triggers(templates[n], first, data[i], block, self.f_min, self.settings, n_jobs))
        return found

    def save(self, path: Path) -> None:
        """Write everything to `path` (.npz, no pickle)."""
        arrays: dict[str, np.ndarray] = {"parameters": self.parameters}
        for name, data in self.data.items():
            for i, one in enumerate(data):
                arrays[f"{name}.{i}.strain"], arrays[f"{name}.{i}.psd"] = one.strain, one.psd
                arrays[f"{name}.{i}.numbers"] = np.array([one.delta_f, one.start])
        head = {
            "detectors": list(self.data),
            "blocks": [asdict(block) for block in self.blocks],
            "rate": self.rate,
            "f_min": self.f_min,
            "settings": dict(self.settings),
        }
        with path.open("wb") as stream:
            np.savez(stream, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Work:
        """What `save` wrote.

        Raises
        ------
        ArtifactError
            if the file is not there or damaged
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                head = json.loads(stored["head"].tobytes())
                data = {
                    name: [
                        Conditioned(stored[f"{name}.{i}.strain"], stored[f"{name}.{i}.psd"], *numbers)
                        for i in range(len(head["blocks"]))
                        for numbers in [map(float, stored[f"{name}.{i}.numbers"])]
                    ]
                    for name in head["detectors"]
                }
                blocks = [Block(tuple(block["span"]), tuple(block["valid"])) for block in head["blocks"]]
                return cls(stored["parameters"], blocks, data, head["rate"], head["f_min"], head["settings"])
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise ArtifactError(f"{path} is no data of a search ({error}): do the workers see this folder?") from error


def shared(work: Work, mapper: Mapper, scratch: Path, surrogate: str, weights_sha256: str) -> Iterator[dict[str, list[np.ndarray]]]:
    """The triggers of every piece, in order, by the workers of `mapper`.

    Parameters
    ----------
    work : Work
    mapper : scale.Mapper
    scratch : Path
        folder that all workers see; the file in it is gone afterwards
    surrogate : str
        name or folder of the waveform model, from which workers load it
    weights_sha256 : str
        of its weights: a worker that finds others refuses
    """
    # Workers keep what they read by its name: another search has another.
    path = scratch.resolve() / f"search-{uuid.uuid4().hex}.work.npz"
    work.save(path)
    try:
        yield from mapper.map(_elsewhere, ((str(path), surrogate, weights_sha256, first) for first in work.starts()))
    finally:
        path.unlink(missing_ok=True)


@functools.lru_cache(maxsize=1)
def _loaded(path: str, surrogate: str, sha256: str) -> tuple[Work, Any]:
    import torch

    from gwsurrogate_ml.surrogate.load import load_aligned

    torch.set_num_threads(1)
    model = load_aligned(surrogate)
    if model.info.get("weights_sha256") != sha256:
        raise ConfigError(f"a worker finds another surrogate at {surrogate}: give all machines the same files")
    return Work.load(Path(path)), model


def _elsewhere(task: tuple[str, str, str, int]) -> dict[str, list[np.ndarray]]:
    """One piece by a worker, which reads the data once."""
    *source, first = task
    work, model = _loaded(*source)
    return work.triggers(model, first)
