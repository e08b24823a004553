"""Disks that are full: files may not grow beyond some kilobytes, or a file system of one megabyte is filled."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ArtifactError, ConfigError, GwsmlError
from tests.hostile.material import NOWHERE, result, small_files, write
from tests.hostile.table import CommandError, Room, gwsml, refuses, survives

SPACE = ("cannot be written", "free some space")


@contextmanager
def full_disk(room: Room) -> Iterator[Path]:
    """A folder on a file system of one megabyte; where none may be mounted, one in which no file may grow beyond 8 kB."""
    folder = room.inside / "disk"
    folder.mkdir()
    mounted = (
        shutil.which("mount")
        and not subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True).returncode
    )
    try:
        if mounted:
            (folder / "ballast").write_bytes(bytes(2**20 - 5 * 4096))
            yield folder
            assert [path.name for path in folder.iterdir()] == ["ballast"], "half an output is left"
        else:
            with small_files(8192):
                yield folder
            assert not list(folder.iterdir()), "half an output is left"
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=True, capture_output=True)


def on_full_disk(write: Callable[[Path], Any]) -> Callable[[Room], Any]:
    def call(room: Room) -> Any:
        failure: GwsmlError | None = None
        with full_disk(room) as folder:
            try:
                write(folder)
            except GwsmlError as error:
                failure = error
        if failure is not None:
            raise failure

    return call


def limited(write: Callable[[Path], Any]) -> Callable[[Room], Any]:
    def call(room: Room) -> Any:
        result()
        with small_files():
            return write(room.path)

    return call


BIG = {"a": np.zeros(200_000)}
CARD = {"name": "x", "kind": "surrogate"}
WAVE = ("waveform", "--mass-1", "36", "--mass-2", "29")
WRITERS: list[tuple[str, str, Callable[[Path], Any], type[GwsmlError]]] = [
    ("artifacts.save", "a model", lambda p: artifacts.save(p / "m", CARD, BIG), ArtifactError),
    ("Result.save", "JSON", lambda p: result().save(p / "r.json"), ConfigError),
    ("Result.save", "HDF5", lambda p: result().save(p / "r.hdf5"), ConfigError),
    ("gwsml waveform", "an output folder", lambda p: gwsml(*WAVE, "--out", p / "w"), CommandError),
]
for entry, what, put, error in WRITERS:
    refuses(entry, f"a full disk: {what}", on_full_disk(put), error, *SPACE)
    refuses(entry, f"a limit on the size of files: {what}", limited(put), error, *SPACE)


def training_goes_on(room: Room) -> None:
    """A checkpoint that cannot be written ends a training clearly; with room again, it goes on to the same weights."""
    from gwsurrogate_ml.surrogate.config import load_config
    from gwsurrogate_ml.surrogate.train import train_surrogate
    from tests.hostile.command_cases import eob

    settings = {
        "eob": eob(room),
        "inspiral": "",
        "members": 1,
        "width": 32,
        "depth": 1,
        "n_basis": 4,
        "batch_size": 16,
        "epochs": 40,
        "validation_fraction": 0.2,
        "degree": 2,
    }
    config = load_config("nr22", settings)
    try:
        with small_files():
            train_surrogate(config, room.out)
    except ConfigError as error:
        if "free some space" not in str(error):
            raise AssertionError(str(error)) from error
    else:
        raise AssertionError("nobody missed the checkpoint")
    assert not room.out.exists()
    train_surrogate(config, room.out)
    train_surrogate(config, room.inside / "whole")
    one, other = (artifacts.load(folder, "surrogate")[1] for folder in (room.out, room.inside / "whole"))
    assert all(np.array_equal(one[key], other[key]) for key in one)


survives("gwsml train surrogate", "a full disk at a checkpoint, then room again", training_goes_on)


def old_model_stays(room: Room) -> None:
    """A model that cannot be replaced stays."""
    artifacts.save(room.inside / "m", CARD, {"a": np.ones(3)})
    try:
        with small_files():
            artifacts.save(room.inside / "m", CARD, BIG)
    except ArtifactError:
        assert artifacts.load(room.inside / "m", "surrogate")[1]["a"].tolist() == [1.0, 1.0, 1.0]
        assert [path.name for path in room.inside.iterdir()] == ["m"]
        return
    raise AssertionError("no error")


survives("artifacts.save", "a full disk leaves the earlier model", old_model_stays)


COMPILED = "from gwsurrogate_ml.jit import njit\n@njit(nogil=True)\ndef double(x):\n    return 2 * x\n"


def double(folder: Path) -> Any:
    """A compiled function, freshly imported from a file in `folder`."""
    spec = importlib.util.spec_from_file_location("compiled", write(folder / "compiled.py", COMPILED))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.double


def no_place(room: Room) -> None:
    """Neither beside the package nor in the home: a file lies where the folder would be, and nobody may write in the home."""
    (room.inside / "__pycache__").touch()
    nowhere = {"HOME": str(NOWHERE), "XDG_CACHE_HOME": str(NOWHERE)}
    before = {name: os.environ.get(name) for name in nowhere}
    os.environ.update(nowhere)
    try:
        assert double(room.inside)(21) == 42
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def no_room(room: Room) -> None:
    """The disk ends while the code is kept."""
    with small_files(2048):
        assert double(room.inside)(21) == 42
    assert not list(room.inside.rglob("*.nbc"))


def damaged(content: bytes) -> Callable[[Room], Any]:
    """Kept code whose index was cut by a crash."""

    def call(room: Room) -> None:
        assert double(room.inside)(21) == 42
        (index,) = room.inside.rglob("*.nbi")
        index.write_bytes(content)
        assert double(room.inside)(21) == 42

    return call


survives("compiled functions", "no place for numba's cache", no_place)
survives("compiled functions", "a full disk for numba's cache", no_room)
survives("compiled functions", "an empty index in numba's cache", damaged(b""))
survives("compiled functions", "zeros for an index in numba's cache", damaged(bytes(99)))
