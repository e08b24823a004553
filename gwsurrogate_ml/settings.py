"""Settings of trainings: frozen, unknown keys refused, from objects, mappings or files, with errors that name the key."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gwsurrogate_ml.errors import ConfigError

CONFIGS = Path(__file__).parent / "configs"


class Strict(BaseModel):
    """Settings that refuse unknown keys and numbers that are not finite, and do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=Strict)


def shipped(name_or_path: str | Path) -> dict[str, Any]:
    """Content of a TOML file, or of a shipped configuration by name.

    Raises
    ------
    ConfigError
        if there is no such file, or it is not TOML
    """
    path = Path(name_or_path)
    if not path.is_file():
        path = CONFIGS / f"{name_or_path}.toml"
    if not path.is_file():
        names = sorted(file.stem for file in CONFIGS.glob("*.toml"))
        raise ConfigError(f"no configuration {str(name_or_path)!r}: give a TOML file or one of {', '.join(names)}")
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def read(kind: type[S], source: S | Mapping[str, Any] | str | Path) -> S:
    """Settings of a `kind` from an object, a mapping, or a TOML or JSON file.

    Raises
    ------
    ConfigError
        no such file, not TOML or JSON, unknown keys or impossible values, each named
    """
    if isinstance(source, kind):
        return source
    try:
        if isinstance(source, str | Path):
            text = Path(source).read_text()
            source = json.loads(text) if Path(source).suffix == ".json" else tomllib.loads(text)
        return kind.model_validate(source)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {source}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "configuration"
        if first["type"] == "extra_forbidden":
            raise ConfigError(_unknown(kind, [str(part) for part in first["loc"]])) from error
        given = f"set it in the file or by --set {where}=VALUE" if first["type"] == "missing" else f"given: {first['input']!r}"
        raise ConfigError(f"{where}: {first['msg']} ({given})") from error
    except ValueError as error:
        raise ConfigError(f"{source} is neither TOML nor JSON: {error}") from error


def _unknown(kind: type[BaseModel], place: Sequence[str]) -> str:
    """What is said of a key that settings of a `kind` do not have."""
    known: Any = kind
    for part in place[:-1]:
        field = getattr(known, "model_fields", {}).get(part)
        known = None if field is None else field.annotation
    names = list(getattr(known, "model_fields", {}))
    where = "".join(f"{part}." for part in place[:-1])
    if near := get_close_matches(place[-1], names, n=1):
        return f"{where}{place[-1]}: no such setting: did you mean {where}{near[0]}?"
    said = f"; there are {', '.join(names)}" if names else ""
    return f"{where}{place[-1]}: no such setting{said}: is the file meant for another command?"
