"""The prior on glitches that the package ships, fitted to a table of real ones in the antiglitch model.

The table (andrew-lundgren/antiglitch, MIT: O3, Gravity Spy's labels) has a row for each glitch: f0 (Hz) and gbw of the shape
``exp(-gbw (ln f - ln f0)^2 / 2)`` of its strain, and its signal-to-noise ratio. Of each kind a mixture of Gaussians is fitted to
(ln f0, ln gbw), and a mixture of Rayleigh distributions to the signal-to-noise ratio, as complex Gaussian amplitudes have.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gwsurrogate_ml.artifacts import sha256
from gwsurrogate_ml.errors import DataError

TABLE = "glitches/antiglitch_o3.csv"
KINDS = ("Blip", "Koi_Fish", "Blip_Low_Frequency", "Tomte")
N_SHAPES, N_AMPLITUDES, N_STEPS = 3, 3, 500
COLUMNS = ("f0", "gbw", "snr", "ml_label")


def build(data: Path, out: Path) -> dict[str, Any]:
    """Fit the table below the folder `data`; write the prior to `out` (JSON).

    Raises
    ------
    DataError
        if the table is missing, or has other columns
    """
    from sklearn.mixture import GaussianMixture

    path = data / TABLE
    if not path.is_file():
        raise DataError(f"{path} is missing: give the folder of shared data by --data")
    table = pd.read_csv(path)
    if missing := [name for name in COLUMNS if name not in table]:
        raise DataError(f"{path} has no column {missing[0]!r}: it is no table of the antiglitch model")
    good = (table["f0"] > 1) & (table["gbw"] > 0) & (table["snr"] > 0) & table["ml_label"].isin(KINDS)
    table = table[good]
    kinds = {}
    for kind in KINDS:
        rows = table[table["ml_label"] == kind]
        x = np.log(rows[["f0", "gbw"]].to_numpy())
        fit = GaussianMixture(N_SHAPES, random_state=0, reg_covar=1e-3, n_init=5).fit(x)
        shares, variances = rayleigh_mixture(rows["snr"].to_numpy(), N_AMPLITUDES)
        kinds[kind] = {
            "share": len(rows) / len(table),
            "shape_shares": fit.weights_.round(4).tolist(),
            "means": fit.means_.round(4).tolist(),
            "covariances": fit.covariances_.round(5).tolist(),
            "amplitude_shares": shares.round(4).tolist(),
            "amplitude_variances": variances.round(2).tolist(),
        }
    prior = {
        "about": "Shapes (ln f0 in Hz, ln gbw) and amplitudes (variance of real and imaginary part, in units in which the "
        "signal-to-noise ratio is their length) of O3 glitches; see data_prep/glitches.py",
        "source": "fitted to the parameters published with andrew-lundgren/antiglitch (MIT)",
        "table_sha256": sha256(path),
        "glitches": len(table),
        "kinds": kinds,
    }
    out.write_text(json.dumps(prior, indent=1) + "\n", encoding="utf-8")
    return prior


def rayleigh_mixture(x: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares and variances (n,) of the Rayleigh distributions ``x / v exp(-x^2 / 2 v)`` whose mixture fits `x`: by expectation
    maximisation.

    Examples
    --------
    >>> x = np.random.default_rng(0).rayleigh(3.0, 4000)
    >>> shares, variances = rayleigh_mixture(x, 1)
    >>> bool(abs(variances[0] - 9) < 0.5)
    True
    """
    variances = np.quantile(x, (np.arange(n) + 0.5) / n) ** 2 / 2
    shares = np.full(n, 1 / n)
    for _ in range(N_STEPS):
        logs = np.log(shares) - np.log(variances) - x[:, None] ** 2 / (2 * variances)
        member = np.exp(logs - logs.max(axis=1, keepdims=True))
        member /= member.sum(axis=1, keepdims=True)
        shares = member.mean(axis=0)
        variances = (member * x[:, None] ** 2).sum(axis=0) / (2 * member.sum(axis=0))
    return shares, variances
