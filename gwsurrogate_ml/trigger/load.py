"""A trained trigger by name or folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ArtifactError, DataError
from gwsurrogate_ml.trigger.integer import IntegerNetwork

if TYPE_CHECKING:
    from gwsurrogate_ml.trigger.network import TriggerNetwork

KIND = "trigger"
DEFAULT = "bbh-trigger"
NOISE = (0.3, 3.0)
"""Standard deviations that whitened noise may have."""


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

    def quantise(self, white: np.ndarray) -> np.ndarray:
        """Whitened strain (n_detectors, n) in the input's integers, int64.

        Raises
        ------
        DataError
            for another shape; for strain that is not finite; for noise of which a detector's standard deviation, taken from its
            median so that no glitch counts, lies beyond `NOISE`: it is not whitened, and would be all zeros or all saturated
        """
        white = np.asarray(white)
        n, names = self.network.n_inputs, self.card["detectors"]
        if white.ndim != 2 or white.shape[0] != n or white.shape[1] == 0:
            raise DataError(f"the strain has shape {white.shape}: it is to be ({n}, n), rows {', '.join(names)}")
        made = self.network.input.integers(white)
        for name, sigma in zip(names, np.median(np.abs(white), axis=1) / 0.6745, strict=True):
            if not NOISE[0] <= sigma <= NOISE[1]:
                raise DataError(
                    f"the strain of {name} has a standard deviation of {sigma:.3g}, that of whitened noise is about 1: "
                    "whiten it by `trigger.data.stream`"
                )
        return made

    def __call__(self, white: np.ndarray) -> np.ndarray:
        """Scores (n,) float64 of whitened strain (n_detectors, n) at the card's `sampling_frequency`.

        Raises
        ------
        DataError
            as `quantise`
        """
        return self.network(self.quantise(white)) * 2.0**-self.network.fraction

    def float_twin(self) -> TriggerNetwork:
        """The network in float32 that the training with quantisation began with.

        Raises
        ------
        ArtifactError
            if its weights are missing, or do not fit
        """
        import torch

        from gwsurrogate_ml.trigger.network import LayerSettings, TriggerNetwork

        layers = tuple(LayerSettings(**row) for row in self.card["training"]["settings"]["layers"])
        twin = TriggerNetwork(layers)
        state = {key[6:]: torch.from_numpy(value) for key, value in self.tensors.items() if key.startswith("float.")}
        try:
            missing, unexpected = twin.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise ArtifactError(f"the weights in float32 do not fit the network ({error}): get the model again") from error
        # Scales, `fraction`, are those of fixed point alone.
        if wrong := [*(name for name in missing if not name.endswith("fraction")), *unexpected]:
            raise ArtifactError(f"the weights in float32 are not whole ({wrong[0]}): get the model again")
        return twin


def load_trigger(name_or_path: str | Path = DEFAULT) -> Trigger:
    """A shipped trigger by name, or one in a folder that `gwsml trigger train` wrote.

    Raises
    ------
    ArtifactError
        if there is none of that name, or it is damaged
    """
    card, tensors = artifacts.load(name_or_path, KIND)
    artifacts.require(card, network=dict, sampling_frequency=float, bits=int, detectors=list)
    network = IntegerNetwork.of(card["network"], tensors)
    if not any(key.startswith("float.") for key in tensors):
        raise ArtifactError(f"{name_or_path} lacks the weights in float32: get the model again")
    return Trigger(card, network, tensors)
