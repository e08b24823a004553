"""gwsurrogate_ml: neural surrogates of numerical relativity, exact inference, and fast strain processing.

The public names below are imported on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from gwsurrogate_ml._lazy import lazy

_PUBLIC = {
    "StrainData": "gwsurrogate_ml.strain.data",
    "matched_filter": "gwsurrogate_ml.strain.filtering",
    "Surrogate": "gwsurrogate_ml.surrogate.model",
    "load_surrogate": "gwsurrogate_ml.surrogate.load",
    "Remnant": "gwsurrogate_ml.surrogate.remnant.model",
    "load_remnant": "gwsurrogate_ml.surrogate.remnant.model",
    "Estimator": "gwsurrogate_ml.inference",
    "load_estimator": "gwsurrogate_ml.inference",
    "train_estimator": "gwsurrogate_ml.inference",
    "WitnessCleaner": "gwsurrogate_ml.denoise.witness.cleaner",
    "SignalDenoiser": "gwsurrogate_ml.denoise.signal.denoiser",
    "load_denoiser": "gwsurrogate_ml.denoise.signal.load",
}

if TYPE_CHECKING:
    from gwsurrogate_ml.denoise.signal.denoiser import SignalDenoiser
    from gwsurrogate_ml.denoise.signal.load import load_denoiser
    from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
    from gwsurrogate_ml.inference import Estimator, load_estimator, train_estimator
    from gwsurrogate_ml.strain.data import StrainData
    from gwsurrogate_ml.strain.filtering import matched_filter
    from gwsurrogate_ml.surrogate.load import load_surrogate
    from gwsurrogate_ml.surrogate.model import Surrogate
    from gwsurrogate_ml.surrogate.remnant.model import Remnant, load_remnant

__all__ = [
    "Estimator",
    "Remnant",
    "SignalDenoiser",
    "StrainData",
    "Surrogate",
    "WitnessCleaner",
    "load_denoiser",
    "load_estimator",
    "load_remnant",
    "load_surrogate",
    "matched_filter",
    "train_estimator",
]
__version__ = metadata.version("gwsurrogate-ml")
__getattr__, __dir__ = lazy(__name__, _PUBLIC)
