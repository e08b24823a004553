"""What an analysis returns, re-weighted, combined, checked and drawn."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Result": "gwsurrogate_ml.inference.result.result",
}

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.result.result import Result

__all__ = ["Result"]


def __getattr__(name: str) -> Any:
    """Import a public object when it is first asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value
