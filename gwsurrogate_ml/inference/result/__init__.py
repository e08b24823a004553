"""What an analysis returns, re-weighted, combined, checked and drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsurrogate_ml._lazy import lazy

_PUBLIC = {
    "Result": "gwsurrogate_ml.inference.result.result",
}

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.result.result import Result

__all__ = ["Result"]
__getattr__, __dir__ = lazy(__name__, _PUBLIC)
