"""Witness subtraction: explicit features, long optimal filters, as a whole or as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsurrogate_ml._lazy import lazy

_PUBLIC = {
    "WitnessCleaner": "gwsurrogate_ml.denoise.witness.cleaner",
}

if TYPE_CHECKING:
    from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner

__all__ = ["WitnessCleaner"]
__getattr__, __dir__ = lazy(__name__, _PUBLIC)
