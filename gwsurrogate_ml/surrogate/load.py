"""Any waveform model by name: a shipped surrogate, a folder, or a model of LALSimulation."""

from __future__ import annotations

import json
from typing import Any

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.surrogate.model import load_surrogate
from gwsurrogate_ml.waveform.lal import LalModel
from gwsurrogate_ml.waveform.model import Waveform, require_quadrupole


def load_model(name: str) -> tuple[Waveform, dict[str, Any]]:
    """The (2, 2) waveform model a configuration names, and what identifies it: a surrogate by name or path, or
    "lal:APPROXIMANT".

    Raises
    ------
    ConfigError
        if the model has other modes
    """
    if name.startswith("lal:"):
        return LalModel(name.removeprefix("lal:")), {"name": name}
    surrogate = load_surrogate(name)
    require_quadrupole(surrogate)
    folder = artifacts.resolve(name, "surrogate")
    card = json.loads((folder / "card.json").read_text())
    return surrogate, {"name": card["name"], "version": card.get("version"), "weights_sha256": card["weights_sha256"]}
