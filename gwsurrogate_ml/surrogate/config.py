"""Configuration of a surrogate's training: one TOML file; unknown keys are refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.settings import Strict, read, shipped
from gwsurrogate_ml.surrogate.domain import EOB_MODES, require_limits


class SurrogateConfig(Strict):
    """What a surrogate is trained on and how; unknown keys are refused."""

    name: str
    version: str = "1"
    eob: Path | None = Field(default=None, description="folder written by `python -m data_prep eob`")
    trained: str | Path | None = Field(
        default=None, description="a model whose stages 1 and 2 are kept, in place of `eob` and `nr`"
    )
    nr: Path | None = Field(default=None, description="table written by `python -m data_prep nr`; without it, stage 1 alone")
    nrsur7dq2: Path | None = Field(
        default=None, description="folder of `python -m data_prep nrsur7dq2-aligned`; without it, no stage 3"
    )
    nrsur7dq2_held_out: Path | None = Field(default=None, description="another such folder, of another seed: stage 3's errors")
    inspiral: str = Field(default="", description="artefact with what comes before the first of the EOB set's times; empty: none")
    q_max: float = Field(default=10.0, gt=1)
    chi_max: float = Field(default=0.9, gt=0, le=1)
    q_hard: float = Field(default=10.5, gt=1)
    chi_hard: float = Field(default=0.93, gt=0, le=1)
    degree: int = Field(default=4, ge=1, le=12)
    n_basis: int = Field(default=24, ge=1)
    width: int = Field(default=192, ge=1)
    depth: int = Field(default=3, ge=1)
    members: int = Field(default=3, ge=1)
    epochs: int = Field(default=400, ge=1)
    batch_size: int = Field(default=256, ge=1)
    learning_rate: float = Field(default=3e-3, gt=0)
    validation_fraction: float = Field(default=0.05, gt=0, lt=1)
    higher_modes: tuple[ModeKey, ...] = ()
    higher_basis: int = Field(default=12, ge=1)
    stage2_basis: int = Field(default=8, ge=1)
    stage2_long_basis: int = Field(default=4, ge=1)
    stage3_basis: int = Field(default=8, ge=1)
    stage3_degree: int = Field(default=7, ge=1, le=12)
    seed: int = 20150914

    @field_validator("higher_modes")
    @classmethod
    def _known_once(cls, modes: tuple[ModeKey, ...]) -> tuple[ModeKey, ...]:
        if unknown := [mode for mode in modes if mode not in EOB_MODES]:
            raise ValueError(f"{unknown[0]} is none of the training set's higher modes: choose from {EOB_MODES}")
        if twice := [mode for mode in modes if modes.count(mode) > 1]:
            raise ValueError(f"{twice[0]} is there twice: name each mode once")
        return modes

    @model_validator(mode="after")
    def _limits(self) -> SurrogateConfig:
        require_limits(q_max=self.q_max, q_hard=self.q_hard)
        require_limits(chi_max=self.chi_max, chi_hard=self.chi_hard)
        return self


INPUTS = {"eob", "trained", "nr", "nrsur7dq2", "nrsur7dq2_held_out"}
"""Keys that say where things lie, not what is done: a card does not repeat them."""


def load_config(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> SurrogateConfig:
    """A configuration from a TOML file or a shipped one by name, with single keys overridden.

    The table ``[data]`` of the file is not read here: it tells `python -m data_prep` how the training sets are made.

    Raises
    ------
    ConfigError
        if there is no such file, it is not TOML, or a key is unknown, missing or of the wrong type
    """
    content = shipped(name_or_path)
    content.pop("data", None)
    return read(SurrogateConfig, content | dict(overrides or {}))
