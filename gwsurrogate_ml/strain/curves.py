"""Noise curves by name: those that bilby ships as files, with short names for some, and pycbc's analytic ones."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from gwsurrogate_ml.strain.detectors import bilby_files

ALIASES = {
    "aLIGO": "aLIGO_ZERO_DET_high_P_asd.txt",
    "aLIGO_design": "aLIGO_ZERO_DET_high_P_asd.txt",
    "aLIGO_O4": "aLIGO_O4_high_asd.txt",
    "AdV": "AdV_asd.txt",
    "KAGRA": "KAGRA_design_asd.txt",
}
"""Short names of curves that bilby ships."""


@cache
def _files() -> dict[str, Path]:
    return {path.name: path for path in bilby_files("noise_curves", "*.txt") if "asd" in path.name or "psd" in path.name}


def known_curves() -> tuple[str, ...]:
    """Short names, and the files of bilby."""
    return (*ALIASES, *sorted(_files()))


def bilby_curve(name: str) -> Path | None:
    """File of a curve by its short name, or its own name with or without ``.txt``; None where there is no such curve.

    Examples
    --------
    >>> bilby_curve("AdV").name, bilby_curve("nonsense")
    ('AdV_asd.txt', None)
    """
    name = ALIASES.get(name, name)
    return _files().get(name if name.endswith(".txt") else f"{name}.txt")


def pycbc_curves() -> tuple[str, ...]:
    """Names of pycbc's analytic PSDs."""
    import pycbc.psd

    return tuple(pycbc.psd.get_psd_model_list())


def pycbc_curve(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (Hz) and PSD (1/Hz) of an analytic PSD of pycbc, up to 4096 Hz."""
    import pycbc.psd

    series = pycbc.psd.from_string(name, 8 * 4096 + 1, 0.125, 8.0)
    return np.asarray(series.sample_frequencies), np.asarray(series, np.float64)
