"""Witness subtraction: explicit features, long optimal filters, as a whole or as a stream."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "WitnessCleaner": "gwsurrogate_ml.denoise.witness.cleaner",
}

if TYPE_CHECKING:
    from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner

__all__ = ["WitnessCleaner"]


def __getattr__(name: str) -> Any:
    """Import a public object when it is first asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value
