"""Signals recovered from whitened strain: by a bank of waveforms or a learned autoencoder, with honest errors."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Reconstruction": "gwsurrogate_ml.denoise.signal.denoiser",
    "SignalDenoiser": "gwsurrogate_ml.denoise.signal.denoiser",
    "load_denoiser": "gwsurrogate_ml.denoise.signal.load",
}

if TYPE_CHECKING:
    from gwsurrogate_ml.denoise.signal.denoiser import Reconstruction, SignalDenoiser
    from gwsurrogate_ml.denoise.signal.load import load_denoiser

__all__ = ["Reconstruction", "SignalDenoiser", "load_denoiser"]


def __getattr__(name: str) -> Any:
    """Import a public object when it is first asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value
