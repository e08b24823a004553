"""Output folders: written whole or not at all, and never over files that are not this program's own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gwsurrogate_ml.errors import ConfigError, GwsmlError
from gwsurrogate_ml.files import no_room, plain, refusal, whole_folder

PROGRAM = "gwsml"
CONFIG = "config.json"


@dataclass
class Output:
    """A folder being written: put files into `path`; `config` ends up as its config.json."""

    path: Path
    config: dict[str, Any]


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON; numbers that are not finite become null, as JSON knows none.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "a.json"
    >>> write_json(path, {"a": float("nan")}); json.loads(path.read_text())
    {'a': None}
    """
    path.write_text(json.dumps(plain(content), indent=1, allow_nan=False) + "\n")


def own_files(folder: Path) -> set[str] | None:
    """Names of the files in an earlier output of this program; None where `folder` is none."""
    try:
        config = json.loads((folder / CONFIG).read_text())
        return {*config["files"], CONFIG} if config["program"] == PROGRAM else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _refuse_foreign(folder: Path) -> None:
    """Raise ConfigError unless `folder` is absent, empty, or holds only what an earlier run of this program wrote."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"--out {folder} is a file: name a folder that is new, empty, or an earlier output of gwsml")
    present = {entry.name for entry in folder.iterdir()}
    if not present:
        return
    own = own_files(folder)
    if own is None:
        raise ConfigError(f"--out {folder} holds files that gwsml did not write: name another folder or empty this one")
    if foreign := sorted(present - own):
        raise ConfigError(f"--out {folder} is an earlier output but also holds {foreign[0]!r}: move it or name another folder")


@contextmanager
def output_folder(out: str | Path, config: Mapping[str, Any]) -> Iterator[Output]:
    """A temporary folder beside `out` that takes its name when the block ends well, and vanishes when it does not.

    Parameters
    ----------
    out : path
        new, empty, or an earlier output of this program, which is then replaced
    config : mapping
        start of the folder's config.json; the program's name and the list of files are added

    Raises
    ------
    ConfigError
        if `out` cannot be written, or holds files that this program did not write
    """
    out = Path(out).expanduser().resolve()
    _refuse_foreign(out)
    new_parents = [parent for parent in out.parents if not parent.exists()]
    started = False
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(out) as temporary:
            started = True
            output = Output(temporary, {"program": PROGRAM, **config})
            yield output
            files = sorted(path.name for path in temporary.iterdir())
            write_json(temporary / CONFIG, output.config | {"files": files})
            _refuse_foreign(out)  # a long run: somebody may have put files there meanwhile
    except GwsmlError:
        raise
    except (OSError, RuntimeError) as error:
        # In the block other things may go wrong with other files; a full disk is always that of the output.
        if not no_room(error) and (started or isinstance(error, RuntimeError)):
            raise
        raise refusal(out, error, option="--out ") from error
    finally:
        if not out.exists():
            for parent in new_parents:  # deepest first
                with suppress(OSError):
                    parent.rmdir()
