"""The part of a training configuration that tells how its data are made: one TOML file for the whole chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from data_prep import catalogues
from data_prep.eob import EobConfig
from data_prep.quality import QualityConfig
from gwsurrogate_ml.errors import ConfigError


@dataclass(frozen=True)
class Settings:
    """What ``[data]`` says, and the paths and ranges of the model around it."""

    eob: EobConfig = field(default_factory=EobConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    sources: tuple[catalogues.Source, ...] = ()
    eob_folder: Path | None = None
    """the configuration's `eob`, where training looks for waveforms"""
    nr_folder: Path | None = None
    """the folder of the configuration's `nr`, the table that training reads"""

    def eob_config(self, **overrides: int | None) -> EobConfig:
        """The configuration of the EOB set, with what is not None replaced."""
        content = {f.name: getattr(self.eob, f.name) for f in fields(EobConfig)}
        return EobConfig(**content | {key: value for key, value in overrides.items() if value is not None})


def read_settings(path: Path) -> Settings:
    """Settings out of a training configuration.

    The EOB set reaches to the model's hard limits (`q_hard`, `chi_hard`) and NR runs beyond are dropped, unless ``[data.eob]`` and
    ``[data.quality]`` say otherwise. Relative paths of
    catalogues count from the configuration's folder, `eob` and `nr` from the working folder, as in `gwsml train`.

    Raises
    ------
    ConfigError
        if the file is missing or no TOML, a key is unknown or has an impossible value, or `nr` is not called nr.npz
    """
    content, sources = catalogues.read_toml(path)
    data = content["data"]
    if unknown := sorted(set(data) - {"eob", "quality"}):
        raise ConfigError(f"{path}: [data] has the unknown key {unknown[0]!r}: known are catalogue, eob, quality")
    limits = {"q_max": content.get("q_hard", EobConfig.q_max), "chi_max": content.get("chi_hard", EobConfig.chi_max)}
    table = content.get("nr")
    if table is not None and Path(table).name != "nr.npz":
        raise ConfigError(f'{path}: nr = "{table}": the table is always called nr.npz; name the folder before it')
    quality = dict(data.get("quality", {}))
    quality |= {key: tuple(value) for key, value in quality.items() if isinstance(value, list)}
    return Settings(
        _made(EobConfig, limits | data.get("eob", {}), f"{path}: [data.eob]"),
        _made(QualityConfig, limits | quality, f"{path}: [data.quality]"),
        tuple(sources),
        Path(content["eob"]) if "eob" in content else None,
        Path(table).parent if table is not None else None,
    )


def _made(kind: Any, content: Mapping[str, Any], where: str) -> Any:
    """A frozen dataclass with defaults out of a table; unknown keys and other types are refused."""
    known = {f.name: f.default for f in fields(kind)}
    for key, value in content.items():
        if key not in known:
            raise ConfigError(f"{where} has the unknown key {key!r}: known are {sorted(known)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        good = number if isinstance(known[key], float) else type(value) is type(known[key])
        if not good or (number and kind is EobConfig and key != "seed" and not value > 0):
            raise ConfigError(f"{where}: {key} = {value!r}: a positive {type(known[key]).__name__} is wanted")
    typed = {k: float(v) if isinstance(known[k], float) else v for k, v in content.items()}
    return kind(**typed)
