"""A trained trigger by name or folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ArtifactError
from gwsurrogate_ml.trigger.integer import IntegerNetwork

if TYPE_CHECKING:
    from gwsurrogate_ml.trigger.network import TriggerNetwork

KIND = "trigger"
DEFAULT = "bbh-trigger"


@dataclass(frozen=True, eq=False)
class Trigger:
    """A trained trigger.

    Parameters
    ----------
    card : dict
    network : IntegerNetwork
    tensors : mapping, with the weights of the float twin
    """

    card: dict[str, Any]
    network: IntegerNetwork
    tensors: dict[str, np.ndarray]

    def __call__(self, white: np.ndarray) -> np.ndarray:
        """Scores (n,) float64 of whitened strain (2, n) at the card's `sampling_frequency`.

        Raises
        ------
        DataError
            for strain that is not finite
        """
        return self.network(self.network.input.integers(white)) * 2.0**-self.network.fraction

    def float_twin(self) -> TriggerNetwork:
        """The network in float32 that the training with quantisation began with."""
        import torch

        from gwsurrogate_ml.trigger.network import LayerSettings, TriggerNetwork

        layers = tuple(LayerSettings(**row) for row in self.card["training"]["settings"]["layers"])
        twin = TriggerNetwork(layers)
        state = {key[6:]: torch.from_numpy(value) for key, value in self.tensors.items() if key.startswith("float.")}
        twin.load_state_dict(state, strict=False)
        return twin


def load_trigger(name_or_path: str | Path = DEFAULT) -> Trigger:
    """A shipped trigger by name, or one in a folder that `gwsml trigger train` wrote.

    Raises
    ------
    ArtifactError
        if there is none of that name, or it is damaged
    """
    card, tensors = artifacts.load(name_or_path, KIND)
    artifacts.require(card, network=dict, sampling_frequency=float, bits=int)
    network = IntegerNetwork.of(card["network"], tensors)
    if not any(key.startswith("float.") for key in tensors):
        raise ArtifactError(f"{name_or_path} lacks the weights in float32: get the model again")
    return Trigger(card, network, tensors)
