"""Signals recovered from whitened strain: by a bank of waveforms or a learned autoencoder, with honest errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsurrogate_ml._lazy import lazy

_PUBLIC = {
    "Reconstruction": "gwsurrogate_ml.denoise.signal.segment",
    "SignalDenoiser": "gwsurrogate_ml.denoise.signal.denoiser",
    "load_denoiser": "gwsurrogate_ml.denoise.signal.load",
}

if TYPE_CHECKING:
    from gwsurrogate_ml.denoise.signal.denoiser import SignalDenoiser
    from gwsurrogate_ml.denoise.signal.load import load_denoiser
    from gwsurrogate_ml.denoise.signal.segment import Reconstruction

__all__ = ["Reconstruction", "SignalDenoiser", "load_denoiser"]
__getattr__, __dir__ = lazy(__name__, _PUBLIC)
