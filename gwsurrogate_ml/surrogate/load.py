"""Any waveform model by name: a shipped surrogate, a folder, or a model of LALSimulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ArtifactError, ConfigError
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.surrogate.precessing.model import PrecessingSurrogate
from gwsurrogate_ml.waveform.lal import LalModel
from gwsurrogate_ml.waveform.model import WaveformModel, require_model

DEFAULT = "nrhm"


def load_surrogate(name_or_path: str | Path = DEFAULT) -> Surrogate | PrecessingSurrogate:
    """A trained surrogate: a shipped one by name, or a folder written by `gwsml train surrogate`.

    Returns
    -------
    Surrogate
        of aligned spins, such as "nrhm"; or
    PrecessingSurrogate
        of any spins, such as "nrphm"

    Raises
    ------
    ArtifactError
        unknown name, foreign or damaged files
    """
    card, tensors = artifacts.load(name_or_path, "surrogate")
    if "aligned_model" in card:
        artifacts.require(card, aligned_model=str, aligned_weights_sha256=str)
        aligned = _aligned(*artifacts.load(card["aligned_model"], "surrogate"))
        if aligned.info["weights_sha256"] != card["aligned_weights_sha256"]:
            raise ArtifactError(
                f"{card['name']} was trained with another {card['aligned_model']} than is installed: train it anew, or install "
                "the two together"
            )
        return PrecessingSurrogate(card, tensors, aligned)
    return _aligned(card, tensors)


def _aligned(card: dict[str, Any], tensors: dict[str, np.ndarray]) -> Surrogate:
    """The surrogate with the early inspiral that its card names, if it names one."""
    return Surrogate(card, tensors, artifacts.load(card["inspiral"], "inspiral") if card.get("inspiral") else None)


def load_aligned(name_or_path: str | Path = DEFAULT) -> Surrogate:
    """A trained surrogate of aligned spins, for what a precessing one has no counterpart of.

    Raises
    ------
    ArtifactError
        as `load_surrogate`
    ConfigError
        if it is a precessing one
    """
    surrogate = load_surrogate(name_or_path)
    if not isinstance(surrogate, Surrogate):
        raise ConfigError(f"{surrogate.name} has precessing spins, a model of aligned ones is needed here: give 'nrhm' or 'nr22'")
    return surrogate


def load_model(model: str | Path | WaveformModel | Any) -> WaveformModel:
    """The waveform model that is named, or is one: the one place where names become models.

    Parameters
    ----------
    model : str, Path or WaveformModel
        a surrogate by name or folder, "lal:APPROXIMANT", or an object of a class derived from `WaveformModel`, which is tried once

    Raises
    ------
    ConfigError
        an approximant that LALSimulation does not know, or an object that breaks what the interface promises
    ArtifactError
        unknown name, foreign or damaged files
    """
    if isinstance(model, str) and model.startswith("lal:"):
        return LalModel(model.removeprefix("lal:"))
    if isinstance(model, str | Path):
        return load_surrogate(model)
    return require_model(model)
