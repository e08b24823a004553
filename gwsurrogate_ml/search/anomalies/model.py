"""The trained model: the autoencoder, a network that tells classes of pairs apart, and how classes look in one detector's code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.search.anomalies.autoencoder import LATENT, Autoencoder
from gwsurrogate_ml.search.anomalies.pairs import FEATURES, LEAST, Described
from gwsurrogate_ml.search.anomalies.simulate import SIGNALS
from gwsurrogate_ml.search.anomalies.tiles import Triggers

KIND = "anomaly"
DEFAULT = "anomaly-h1l1"
NOISE = "noise"
AHEAD = 15.0
"""By how much the louder detector's significance may lie above the other's and still count: there loud glitches are as frequent
as noise's own peaks."""
MOST = 28.0
"""Of `loudness`: what is louder is no noise, and only its shape tells it from glitches in both detectors."""


class Classifier(nn.Module):
    """Features (n, n_features), standardised here, -> logits (n, n_classes).

    Those of signals begin from `loudness`, and the layers learn what to add to it.
    """

    def __init__(self, classes: Sequence[str], width: int = 48) -> None:
        super().__init__()
        n_classes = len(classes)
        self.mean: torch.Tensor
        self.scale: torch.Tensor
        self.signal: torch.Tensor
        self.register_buffer("mean", torch.zeros(len(FEATURES)))
        self.register_buffer("scale", torch.ones(len(FEATURES)))
        self.register_buffer("signal", torch.tensor([name in SIGNALS for name in classes]), persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(len(FEATURES), width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, n_classes)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.layers((x - self.mean) / self.scale) + self.signal * loudness(x)[:, None]


def loudness(x: torch.Tensor) -> torch.Tensor:
    """What Gaussian noise alone says of features (n, n_features): it reaches a joint significance s with odds of about exp(-s).

    The louder detector's counts only to AHEAD above the weaker's, as it may hold a glitch, and the whole only to MOST.
    """
    weaker, stronger = (torch.exp(x[:, FEATURES.index(name)]) for name in ("weaker", "stronger"))
    return (weaker + torch.minimum(stronger, weaker + AHEAD) - LEAST).clamp(max=MOST)


@dataclass(frozen=True, eq=False)
class AnomalyModel:
    """A trained model.

    Attributes
    ----------
    autoencoder : Autoencoder
    classifier : Classifier
    classes : names, of the logits; NOISE, glitches, and the signals
    known : mapping of class to mean (LATENT,) and inverse covariance (LATENT, LATENT) of its codes
    info : dict, the card
    """

    autoencoder: Autoencoder
    classifier: Classifier
    classes: tuple[str, ...]
    known: dict[str, tuple[np.ndarray, np.ndarray]]
    info: dict[str, Any]

    def describe(self, triggers: Triggers) -> Described:
        """Triggers with their bursts and codes."""
        return Described(triggers, *self.autoencoder.apply_to(triggers.window))

    @torch.no_grad()
    def log_shares(self, features: np.ndarray) -> np.ndarray:
        """Log probability (n, n_classes) of each class, all classes alike beforehand."""
        return np.asarray(torch.log_softmax(self.classifier(torch.from_numpy(features)).double(), 1).numpy())

    def score(self, features: np.ndarray) -> np.ndarray:
        """Ranking (n,): log odds of a signal against noise and glitches."""
        shares = self.log_shares(features)
        signal = np.isin(self.classes, SIGNALS)
        return np.asarray(np.logaddexp.reduce(shares[:, signal], axis=1) - np.logaddexp.reduce(shares[:, ~signal], axis=1))

    def nearest(self, features: np.ndarray) -> list[str]:
        """The likeliest class of each pair."""
        return [self.classes[k] for k in self.log_shares(features).argmax(axis=1)]

    def novelty(self, code: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """How far (n,) each code lies from the nearest class known in one detector, in standard deviations, and that class."""
        names = list(self.known)
        far = np.stack([np.einsum("ni,ij,nj->n", code - m, inverse, code - m) for m, inverse in self.known.values()])
        return np.sqrt(far.min(axis=0) / LATENT), [names[k] for k in far.argmin(axis=0)]

    def save(self, folder: Path, card: dict[str, Any]) -> None:
        """Write the model as an artefact."""
        tensors = {f"autoencoder.{k}": v.numpy() for k, v in self.autoencoder.state_dict().items()}
        tensors |= {f"classifier.{k}": v.numpy() for k, v in self.classifier.state_dict().items()}
        for name, (mean, inverse) in self.known.items():
            tensors |= {f"known.{name}.mean": mean, f"known.{name}.inverse": inverse}
        shape = {"classes": list(self.classes), "known": list(self.known), "features": list(FEATURES)}
        artifacts.save(folder, {**card, "kind": KIND, **shape, "width": self.autoencoder.width}, tensors)


def load_anomaly_model(name_or_path: str | Path = DEFAULT) -> AnomalyModel:
    """A shipped model, or one of a folder.

    Raises
    ------
    ArtifactError
        if there is none, or it is damaged or of another kind
    """
    card, tensors = artifacts.load(name_or_path, KIND)
    artifacts.require(card, classes=list, known=list, features=list, width=int, detectors=list)
    if card["features"] != list(FEATURES):
        raise artifacts.ArtifactError(f"{name_or_path} was trained on other features: train it anew")
    autoencoder, classifier = Autoencoder(card["width"]), Classifier(card["classes"])
    try:
        for part, net in (("autoencoder.", autoencoder), ("classifier.", classifier)):
            net.load_state_dict({k.removeprefix(part): torch.from_numpy(v) for k, v in tensors.items() if k.startswith(part)})
        known = {name: (tensors[f"known.{name}.mean"], tensors[f"known.{name}.inverse"]) for name in card["known"]}
    except (KeyError, RuntimeError) as error:
        raise artifacts.ArtifactError(f"{name_or_path} does not fit its card ({error}): get the model again") from error
    return AnomalyModel(autoencoder.eval(), classifier.eval(), tuple(card["classes"]), known, card)
