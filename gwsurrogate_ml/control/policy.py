"""Learned policies: small networks on the Kalman filter's estimate, evaluated in numpy, kept as safetensors with a card.

The torque is ``base * (-regulator x) + scale * squash(skip z + net(z))`` with the estimate x, and z = x over its standard deviation
under LQG. `base` is 1 for a policy that adds to LQG and 0 for one that has learned all of the law; the filter is given in both.
Where the training cut off inputs and outputs, the policy does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.arguments import positive
from gwsurrogate_ml.control.linear import lqg, lqg_gains, stationary
from gwsurrogate_ml.control.plant import Plant, make_plant
from gwsurrogate_ml.control.simulation import Estimating
from gwsurrogate_ml.errors import ArtifactError

KIND = "control-policy"
ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}


def spread(plant: Plant) -> np.ndarray:
    """Standard deviations (n,) of the plant's states under LQG: the units in which networks see the estimate."""
    return np.sqrt(np.diag(stationary(plant, lqg(plant)))[: plant.n])


def regulator_power(regulator: np.ndarray, units: np.ndarray) -> float:
    """Squared torque (nrad^2) that states at their standard deviations call for, one at a time: the scale of a network's output."""
    return float(np.mean((regulator * units) ** 2))


@dataclass(frozen=True)
class Network:
    """What is learned: layers from z to one number.

    Attributes
    ----------
    weights, biases : tuples of float (n_out, n_in) and (n_out,)
    skip : float (1, n_in), a linear path beside the layers
    activation : "tanh" or "relu"
    squash : bool, whether tanh bounds the number
    cut_in, cut_out : float or None
        inputs, and the number, are cut off beyond +- this
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    skip: np.ndarray
    activation: str = "tanh"
    squash: bool = False
    cut_in: float | None = None
    cut_out: float | None = None

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Numbers (n,) for inputs z (n, n_in)."""
        if self.cut_in is not None:
            z = np.clip(z, -self.cut_in, self.cut_in)
        x, bend = z, ACTIVATIONS[self.activation]
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight.T + bias
            if k < len(self.weights) - 1:
                x = bend(x)
        x = (x + z @ self.skip.T)[:, 0]
        x = np.tanh(x) if self.squash else x
        return x if self.cut_out is None else np.clip(x, -self.cut_out, self.cut_out)


@dataclass(frozen=True)
class Policy:
    """A learned law for one plant, with the filter that it is given.

    Attributes
    ----------
    plant : Plant, for which filter, units and (with base 1) regulator are made
    network : Network
    base : 0 or 1, whether LQG's torque is added
    scale : float, nrad
    info : the card: method, seed, limits of the training, what was given and what learned
    """

    plant: Plant
    network: Network
    base: int
    scale: float
    info: Mapping[str, Any]
    _spread: np.ndarray = field(init=False, repr=False)
    _regulator: np.ndarray = field(init=False, repr=False)

    def law(self, estimate: np.ndarray) -> np.ndarray:
        """Torques (n,) in nrad for estimates (n, states)."""
        torque = self.scale * self.network(estimate / self._spread)
        return torque - estimate @ self._regulator if self.base else torque

    def __post_init__(self) -> None:
        object.__setattr__(self, "_spread", spread(self.plant))
        object.__setattr__(self, "_regulator", lqg_gains(self.plant).regulator[0])

    def controller(self, n: int) -> Estimating:
        """The policy behind its filter, for `n` mirrors."""
        return Estimating(self.plant, n, self.law)

    def save(self, folder: str | Path) -> Path:
        """Write weights and card as a model's folder; errors as `artifacts.save`."""
        net = self.network
        tensors = {f"weight_{k}": x for k, x in enumerate(net.weights)} | {f"bias_{k}": x for k, x in enumerate(net.biases)}
        card = {
            "name": Path(folder).name,
            "kind": KIND,
            **self.info,
            "suspension": self.plant.suspension.model_dump(),
            "power": self.plant.power,
            "base": self.base,
            "scale": self.scale,
            "activation": net.activation,
            "squash": net.squash,
            "cut_in": net.cut_in,
            "cut_out": net.cut_out,
            "layers": len(net.weights),
        }
        arrays = {key: np.asarray(value, np.float32) for key, value in {**tensors, "skip": net.skip}.items()}
        return artifacts.save(Path(folder), card, arrays)


def load_policy(name_or_path: str | Path = "mirror-policy") -> Policy:
    """A shipped policy by name, or a trained one's folder.

    Raises
    ------
    ArtifactError
        as `artifacts.load`; or a card or weights that do not fit together
    """
    card, tensors = artifacts.load(name_or_path, KIND)
    artifacts.require(card, suspension=dict, power=(int, float), base=int, scale=(int, float), activation=str, layers=int)
    plant = make_plant(card["suspension"], card["power"])
    if card["activation"] not in ACTIVATIONS:
        raise ArtifactError(
            f"the card of {card['name']!r} has activation {card['activation']!r}: it must be one of {[*ACTIVATIONS]}"
        )
    try:
        weights = tuple(np.asarray(tensors[f"weight_{k}"], float) for k in range(card["layers"]))
        biases = tuple(np.asarray(tensors[f"bias_{k}"], float) for k in range(card["layers"]))
        cuts = [None if card.get(key) is None else positive(card[key], key) for key in ("cut_in", "cut_out")]
        network = Network(weights, biases, np.asarray(tensors["skip"], float), card["activation"], bool(card.get("squash")), *cuts)
        policy = Policy(plant, network, card["base"], float(card["scale"]), card)
        policy.law(np.zeros((1, plant.n)))
    except (KeyError, ValueError, IndexError) as error:
        raise ArtifactError(f"the weights of {card['name']!r} do not fit its card ({error}): train it anew") from error
    return policy
