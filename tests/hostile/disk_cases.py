"""Disks that are full: files may not grow beyond some kilobytes, or a file system of one megabyte is filled."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ArtifactError, ConfigError, GwsmlError
from tests.hostile.material import result, small_files
from tests.hostile.table import CommandError, Room, gwsml, refuses, survives

SPACE = ("cannot be written", "free some space")


@contextmanager
def full_disk(room: Room) -> Iterator[Path]:
    """A folder on a file system of one megabyte; where none may be mounted, one in which no file may grow beyond 8 kB."""
    folder = room.inside / "disk"
    folder.mkdir()
    mounted = (
        shutil.which("mount")
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True
        ).returncode
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
for entry, what, write, error in WRITERS:
    refuses(entry, f"a full disk: {what}", on_full_disk(write), error, *SPACE)
    refuses(entry, f"a limit on the size of files: {what}", limited(write), error, *SPACE)


def training_goes_on(room: Room) -> None:
    """A checkpoint that cannot be written ends a training clearly; with room again, it goes on to the same weights."""
    from gwsurrogate_ml.surrogate.config import load_config
    from gwsurrogate_ml.surrogate.train import train_surrogate
    from tests.hostile.command_cases import eob

    settings = {
        "eob": eob(room),
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
