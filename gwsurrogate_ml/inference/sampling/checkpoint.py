"""The steps of an analysis, kept on disk as they are done, so that a killed run goes on from the last one.

Every step is fixed by the data, the settings, the seed and the code, and so is the analysis that leads from one to the next: a
resumed run walks the same way, reads the results of the steps that are kept, and gives the numbers of one that ran through.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ArtifactError, ConfigError, GwsmlError
from gwsurrogate_ml.files import whole_file

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.sampling.sampler import EventSampler
    from gwsurrogate_ml.strain.segment import AnalysisSegment

logger = logging.getLogger(__name__)
SUFFIX = ".step"
FORMAT, DIGITS = 5, 8
PARTS, COMPLEX = ("result.", "sampler."), "~complex"
OLD = 60.0
"""Seconds after which a half-written step belongs to nobody."""


class Kept(Protocol):
    """A result that is kept as plain tensors."""

    def tensors(self) -> dict[str, np.ndarray]:
        """All of it, by name."""
        ...

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> Self:
        """The inverse."""
        ...


class Arrays(dict[str, np.ndarray]):
    """Arrays by name, as a result of a step."""

    def tensors(self) -> dict[str, np.ndarray]:
        """Themselves."""
        return dict(self)

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> Self:
        """The inverse."""
        return cls(tensors)


K = TypeVar("K", bound=Kept)


class Steps:
    """Runs the steps of an analysis and keeps nothing.

    Attributes
    ----------
    spent : float, s
        that steps read back took when they were done
    """

    spent = 0.0

    def __call__(self, name: str, step: Callable[[], K], kind: type[K], sampler: EventSampler | None = None) -> K:
        """The result of `step`.

        Parameters
        ----------
        name : str
        step : callable without arguments
        kind : type of its result
        sampler : EventSampler, optional
            whose state the step changes

        Examples
        --------
        >>> Steps()("sum", lambda: Arrays(total=np.array(2)), Arrays)["total"].item()
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
        what fixes the analysis, see `analysis_key`, whose first digits are in the files' names: steps of others are left alone,
        such as those of an attempt whose prior cut the posterior off
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

    def __call__(self, name: str, step: Callable[[], K], kind: type[K], sampler: EventSampler | None = None) -> K:
        """The result of `step`, run or read back."""
        self._count += 1
        path = self.folder / f"{self.label}{self.key[:DIGITS]}-{self._count:03d}{SUFFIX}"
        if path.exists():
            with suppress(ArtifactError):
                seconds, tensors = load(path, self.key, name)
                parts = {part: {k.removeprefix(part): v for k, v in tensors.items() if k.startswith(part)} for part in PARTS}
                result = kind.from_tensors(parts["result."])
                if sampler is not None:
                    sampler.restore(parts["sampler."])
                self.spent += seconds
                return result
        begin = time.perf_counter()
        result = step()
        seconds = time.perf_counter() - begin
        tensors = {f"result.{k}": v for k, v in result.tensors().items()}
        if sampler is not None:
            tensors |= {f"sampler.{k}": v for k, v in sampler.tensors().items()}
        self._keep(path, name, seconds, tensors)
        return result

    def _keep(self, path: Path, name: str, seconds: float, tensors: dict[str, np.ndarray]) -> None:
        """Write a step whole; where there is no room, the analysis goes on without."""
        if not self._keeps:
            return
        try:
            with whole_file(path) as temporary:
                save(temporary, self.key, name, seconds, tensors)
        except (GwsmlError, MemoryError) as error:
            self._keeps = False
            logger.warning("steps are no longer kept, a killed run would begin anew: %s", error)


def clear(folder: Path) -> None:
    """Remove the steps in `folder` and in its folders, and each where nothing else is in it."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                clear(path)
            elif path.name.endswith(SUFFIX):  # also the hidden ones that a kill left half written
                path.unlink()
        folder.rmdir()


def kept_in(folder: str | Path | None, label: str = "", **parts: Any) -> Steps:
    """Steps that are kept in `folder`, under the key of `parts`; plain ones where there is no folder."""
    return Steps() if folder is None else KeptSteps(Path(folder), analysis_key(**parts), label)


def save(path: Path, key: str, name: str, seconds: float, tensors: Mapping[str, np.ndarray]) -> None:
    """Write a step as safetensors; complex arrays as pairs of numbers.

    Raises
    ------
    OSError
        if the file cannot be written
    """
    from safetensors.numpy import save as to_bytes

    plain = {}
    for tensor_name, tensor in tensors.items():
        array = np.ascontiguousarray(tensor).reshape(np.shape(tensor))
        if np.iscomplexobj(array):
            tensor_name, array = tensor_name + COMPLEX, np.stack([array.real, array.imag], axis=-1)
        plain[tensor_name] = array
    path.write_bytes(to_bytes(plain, {"key": key, "name": name, "seconds": repr(seconds)}))


def load(path: Path, key: str, name: str) -> tuple[float, dict[str, np.ndarray]]:
    """Seconds that a step took and its tensors, as `save` wrote them.

    Raises
    ------
    ArtifactError
        if the file is damaged, foreign, of another version, or another step's
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            if (about.get("key"), about.get("name")) != (key, name):
                raise ArtifactError(f"{path} is a step of another analysis")
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 (no mapping)
            seconds = float(about["seconds"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ArtifactError(f"{path} is no step of an analysis ({error})") from error
    paired = {k.removesuffix(COMPLEX): v[..., 0] + 1j * v[..., 1] for k, v in tensors.items() if k.endswith(COMPLEX)}
    return seconds, {k: v for k, v in tensors.items() if not k.endswith(COMPLEX)} | paired


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
