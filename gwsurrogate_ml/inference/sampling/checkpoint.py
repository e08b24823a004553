"""The steps of an analysis, kept on disk as they are done, so that a killed run goes on from the last one.

Every step is fixed by the data, the settings, the seed and the code, and so is the analysis that leads from one to the next: a
resumed run walks the same way, reads the results of the steps that are kept, and gives the numbers of one that ran through.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ArtifactError, ConfigError, GwsmlError
from gwsurrogate_ml.files import whole_file
from gwsurrogate_ml.inference.sampling import frozen

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.sampling.sampler import EventSampler
    from gwsurrogate_ml.strain.segment import AnalysisSegment

logger = logging.getLogger(__name__)
T = TypeVar("T")
SUFFIX = ".step"
FORMAT = 2
OLD = 60.0
"""Seconds after which a half-written step belongs to nobody."""


class Steps:
    """Runs the steps of an analysis and keeps nothing.

    Attributes
    ----------
    spent : float, s
        that steps read back took when they were done
    """

    spent = 0.0

    def __call__(
        self, name: str, step: Callable[[], T], sampler: EventSampler | None = None, known: Sequence[Any] = ()
    ) -> T:
        """The result of `step`.

        Parameters
        ----------
        name : str
        step : callable without arguments
        sampler : EventSampler, optional
            whose state the step changes
        known : sequence of objects
            that the result refers to, and that whoever resumes has already

        Examples
        --------
        >>> Steps()("sum", lambda: 1 + 1)
        2
        """
        return step()


class KeptSteps(Steps):
    """Runs the steps of one analysis and keeps what each gave; what `folder` holds of this analysis is read in place of being run.

    Parameters
    ----------
    folder : Path
        made where missing
    key : str
        what fixes the analysis, see `analysis_key`: steps of another are replaced
    label : str
        start of the files' names: of several walks in one folder

    Raises
    ------
    ConfigError
        if the folder cannot be made
    """

    def __init__(self, folder: Path, key: str, label: str = "") -> None:
        self.folder, self.key, self.label, self.spent = Path(folder), key, label, 0.0
        self._count, self._keeps = 0, True
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in self.folder.glob(f".*{SUFFIX}"):  # half written when a run was killed
                with suppress(FileNotFoundError):  # another process may remove it first
                    if time.time() - path.stat().st_mtime > OLD:
                        path.unlink()
        except OSError as error:
            raise ConfigError(f"{self.folder} cannot be made ({error.strerror}): name another folder") from error

    def __call__(
        self, name: str, step: Callable[[], T], sampler: EventSampler | None = None, known: Sequence[Any] = ()
    ) -> T:
        """The result of `step`, run or read back."""
        self._count += 1
        path = self.folder / f"{self.label}{self._count:03d}{SUFFIX}"
        there = {f"known {i}": value for i, value in enumerate(known)} | _of(sampler)
        if path.exists():
            with suppress(ArtifactError):
                kept = frozen.load(path, self.key, there)
                if isinstance(kept, dict) and kept.get("name") == name:
                    if sampler is not None:
                        vars(sampler).update(kept["state"])
                    self.spent += kept["seconds"]
                    return kept["result"]
        begin = time.perf_counter()
        result = step()
        self._keep(
            path,
            {
                "name": name,
                "seconds": time.perf_counter() - begin,
                "result": result,
                "state": _state(sampler),
            },
            there,
        )
        return result

    def _keep(self, path: Path, content: dict[str, Any], known: Mapping[str, Any]) -> None:
        """Write a step whole; where there is no room, the analysis goes on without."""
        if not self._keeps:
            return
        try:
            with whole_file(path) as temporary:
                frozen.save(temporary, content, self.key, known)
        except frozen.CannotFreezeError as error:
            logger.debug("step %s is not kept: %s", content["name"], error)
        except (GwsmlError, MemoryError) as error:
            self._keeps = False
            logger.warning("steps are no longer kept, a killed run would begin anew: %s", error)

    def finish(self) -> None:
        """Remove the steps: the result is safe elsewhere."""
        clear(self.folder)


def clear(folder: Path) -> None:
    """Remove the steps in `folder`, and the folder where nothing else is in it."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name.endswith(SUFFIX):  # also the hidden ones that a kill left half written
                path.unlink()
        folder.rmdir()


def kept_in(folder: str | Path | None, label: str = "", **parts: Any) -> Steps:
    """Steps that are kept in `folder`, under the key of `parts`; plain ones where there is no folder."""
    return Steps() if folder is None else KeptSteps(Path(folder), analysis_key(**parts), label)


def _of(sampler: EventSampler | None) -> dict[str, Any]:
    """What belongs to the sampler and does not change."""
    if sampler is None:
        return {}
    likelihood = sampler.likelihood
    names = ("likelihood", "prior", "found", "table")
    return (
        {name: getattr(sampler, name) for name in names if hasattr(sampler, name)}
        | {"sampler": sampler, "segment": likelihood.segment, "model": likelihood.model}
        | {"network": likelihood.network}
    )


def _state(sampler: EventSampler | None) -> dict[str, Any]:
    """What changes as an analysis goes on; the rest is made with the sampler."""
    fixed = ("progress", "likelihood", "prior", "found", "table")
    return {} if sampler is None else {name: value for name, value in vars(sampler).items() if name not in fixed}


def analysis_key(segment: AnalysisSegment, probe: np.ndarray, **settings: Any) -> str:
    """What fixes an analysis, as a hash: data, settings, versions and code.

    Parameters
    ----------
    segment : AnalysisSegment
    probe : array
        what else the results depend on, such as the samples of a waveform: there may be other models of the same name
    settings : what JSON can hold, or turns into a string
        seed, number of draws, options, checksums of models
    """
    digest = hashlib.sha256()
    fixed = {
        "format": FORMAT,
        "versions": artifacts.package_versions("numpy", "scipy", "torch", "zuko", "numba"),
        "code": code(),
        "detectors": list(segment.detectors),
        "segment": [segment.gps, segment.start_time, segment.duration, segment.f_min, segment.f_max, segment.roll_off],
        "settings": settings,
    }
    digest.update(json.dumps(fixed, sort_keys=True, default=str).encode())
    for array in (segment.frequencies, segment.strain, segment.psd, segment.mask, probe):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@cache
def code() -> str:
    """A hash of the package's source files: steps of other code are not gone on from."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[2]
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
