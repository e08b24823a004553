"""Files and folders that are written whole or not at all, whatever stops the writing: an error, a full disk, a kill.

What is being written has a hidden name beside its place and takes the final one in one step. A hidden folder is locked as long as
its process lives; what a killed process left is swept away by the next that writes to the same place.
"""

from __future__ import annotations

import ctypes
import errno
import io
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from gwsurrogate_ml.errors import ConfigError, DataError, GwsmlError

if sys.platform != "win32":
    import fcntl

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_ROOM_WORDS = tuple(os.strerror(number) for number in sorted(NO_ROOM))
YOUNG = 60.0
"""Seconds for which an empty hidden folder may belong to a process that has not locked it yet."""
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def refusal(path: Path, error: BaseException, kind: type[GwsmlError] = ConfigError, option: str = "") -> GwsmlError:
    """The error to raise where `path` cannot be written for `error`'s reason.

    Examples
    --------
    >>> str(refusal(Path("out"), OSError(errno.ENOSPC, "No space left on device"), option="--out "))
    '--out out cannot be written (No space left on device): free some space, or name another folder'
    """
    full = no_room(error)
    said = next((words for words in _NO_ROOM_WORDS if words in str(error)), None)
    reason = said or getattr(error, "strerror", None) or str(error).splitlines()[0]
    remedy = "free some space, or name another folder" if full else "name a folder where you may write"
    return kind(f"{option}{path} cannot be written ({reason}): {remedy}")


def no_room(error: BaseException) -> bool:
    """Whether a disk or a quota is full; libraries in C and Rust tell it in words alone.

    Examples
    --------
    >>> no_room(OSError(errno.ENOSPC, "")), no_room(RuntimeError("No space left on device")), no_room(OSError("other"))
    (True, True, False)
    """
    return getattr(error, "errno", None) in NO_ROOM or any(words in str(error) for words in _NO_ROOM_WORDS)


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A hidden path beside `path`, with its suffixes, that takes its name when the block ends well and vanishes otherwise.

    Parameters
    ----------
    path : path

    Raises
    ------
    ConfigError
        if the file cannot be written: a folder that is none or closed, a full disk

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> with whole_file(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [(path.name, path.read_text()) for path in folder.iterdir()]
    [('a.txt', 'whole')]
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}-{threading.get_ident()}-{path.name}")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if not path.parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"there is no folder {path.parent}")
        yield temporary
        os.replace(temporary, path)
    except GwsmlError:
        raise
    except OSError as error:
        raise refusal(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write text (UTF-8) or bytes to `path`, whole or not at all; ConfigError as `whole_file`."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_hdf5(path: str | Path) -> Iterator[Any]:
    """An open h5py File, made in memory and written to `path` whole: HDF5 itself can crash where a disk is full.

    Raises
    ------
    ConfigError
        as `whole_file`
    """
    import h5py

    with whole_file(path) as temporary:
        memory = io.BytesIO()
        with h5py.File(memory, "w") as file:
            yield file
        temporary.write_bytes(memory.getbuffer())


def plain(content: Any) -> Any:
    """`content` with numpy scalars, arrays, paths and non-finite numbers turned into what JSON knows.

    Examples
    --------
    >>> plain({"a": [float("nan"), 1], 2: Path("b")})
    {'a': [None, 1], '2': 'b'}
    """
    if isinstance(content, Mapping):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(value) for value in content]
    if hasattr(content, "tolist"):
        return plain(content.tolist())
    if isinstance(content, float) and not abs(content) < float("inf"):
        return None
    if isinstance(content, (str, int, float, bool)) or content is None:
        return content
    return str(content)


def claim(folder: Path, content: Any) -> None:
    """Record in config.json whose unfinished training `folder` holds.

    Raises
    ------
    ConfigError
        if it is another configuration's
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, text = folder / "config.json", json.dumps(content, indent=1, sort_keys=True)
    if path.exists() and path.read_text() != text:
        raise ConfigError(f"{folder} holds the unfinished training of another configuration: delete it or choose another --out")
    write_whole(path, text)


def save_torch(path: Path, parts: Mapping[str, Any], **numbers: Any) -> None:
    """Write the states of the `parts` of a training, and `numbers`, to `path`, whole.

    Made in memory first: torch's writer turns a full disk into a RuntimeError of many words.

    Raises
    ------
    ConfigError
        as `whole_file`
    """
    import torch

    memory = io.BytesIO()
    torch.save({name: part.state_dict() for name, part in parts.items()} | numbers, memory)
    write_whole(path, memory.getvalue())


def load_torch(path: Path, parts: Mapping[str, Any], device: Any = "cpu") -> dict[str, Any]:
    """Give the `parts` of a training the states that `save_torch` wrote to `path`; the numbers written with them.

    Raises
    ------
    DataError
        if the file is damaged, or another training's
    """
    import torch

    try:
        state = torch.load(path, weights_only=True, map_location=device)
        for name, part in parts.items():
            part.load_state_dict(state.pop(name))
    except Exception as error:  # of pickle, zip or torch, as the damage is
        raise DataError(f"{path} is damaged ({error}): delete it and train again") from error
    return state


@contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """A hidden folder beside `folder` that takes its name when the block ends well and vanishes otherwise.

    An earlier `folder` is exchanged for the new one in one step where the file system can (Linux), so that a kill loses neither.

    Parameters
    ----------
    folder : path; the folder that holds it must be there

    Raises
    ------
    OSError
        as writing does
    """
    folder = Path(folder)
    sweep(folder)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    lock = _locked(temporary)
    try:
        temporary.chmod(0o777 & ~_umask())  # mkdtemp makes it private
        yield temporary
        replace_folder(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def sweep(folder: Path) -> None:
    """Remove the hidden folders that killed processes left while writing `folder`."""
    if not folder.parent.is_dir():
        return
    for path in folder.parent.iterdir():
        if not path.name.startswith(f".{folder.name}-") or path.is_symlink() or not path.is_dir():
            continue
        with suppress(OSError):
            if not any(path.iterdir()) and time.time() - path.stat().st_mtime < YOUNG:
                continue
            lock = _locked(path)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def replace_folder(new: Path, folder: Path) -> None:
    """Give `new` the name `folder`; an earlier one there has the name `new` afterwards, or is gone."""
    if not folder.exists():
        os.replace(new, folder)
        return
    if _exchange(new, folder):
        return
    old = folder.with_name(f".{folder.name}-old-{os.getpid()}")
    os.replace(folder, old)
    try:
        os.replace(new, folder)
    except OSError:
        os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


@cache
def _rename() -> Any:
    """renameat2 of the C library, None where there is none."""
    try:
        return ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return None


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one step; False where system or file system cannot."""
    call = _rename()
    return (
        call is not None and call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) == 0
    )


def locked(folder: Path) -> int | None:
    """A descriptor that holds a lock on `folder` until it is closed or the process ends; None where there are no locks.

    Raises
    ------
    BlockingIOError
        if another process holds it; other OSErrors of `open` and `flock` as they are
    """
    if sys.platform == "win32":
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _locked(folder: Path) -> int | None:
    """`locked`, None also where another holds the lock."""
    try:
        return locked(folder)
    except OSError:
        return None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
