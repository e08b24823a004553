"""The black hole that a merger leaves: model, fits, physics and training."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Remnant": "gwsurrogate_ml.surrogate.remnant.model",
    "load_remnant": "gwsurrogate_ml.surrogate.remnant.model",
}

if TYPE_CHECKING:
    from gwsurrogate_ml.surrogate.remnant.model import Remnant, load_remnant

__all__ = ["Remnant", "load_remnant"]


def __getattr__(name: str) -> Any:
    """Import a public object when it is first asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value
