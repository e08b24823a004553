"""The black hole that a merger leaves: model, fits, physics and training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsurrogate_ml._lazy import lazy

_PUBLIC = {
    "Remnant": "gwsurrogate_ml.surrogate.remnant.model",
    "load_remnant": "gwsurrogate_ml.surrogate.remnant.model",
}

if TYPE_CHECKING:
    from gwsurrogate_ml.surrogate.remnant.model import Remnant, load_remnant

__all__ = ["Remnant", "load_remnant"]
__getattr__, __dir__ = lazy(__name__, _PUBLIC)
