"""Triggers of one detector: the bank's matched filter, power chi-squared at each peak, re-weighted SNR.

Usman et al. 2016 (arXiv:1508.02357).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gwsurrogate_ml.kernels.chisq import newsnr, power_chisq
from gwsurrogate_ml.kernels.matched_filter import filter_bank
from gwsurrogate_ml.search.segments import Block, Conditioned

TRIGGER_DTYPE = np.dtype(
    [
        ("template", np.int64),
        ("time", np.float64),
        ("snr", np.float64),
        ("phase", np.float64),
        ("sigma", np.float64),
        ("chisq_per_dof", np.float64),
        ("newsnr", np.float64),
    ]
)
"""Fields of a single-detector trigger: row of the bank, end time (GPS s), |SNR| and its angle (rad), template norm at
1 Mpc, power chi-squared over its degrees of freedom, re-weighted SNR."""


def find_triggers(
    templates: np.ndarray,
    first_template: int,
    data: Conditioned,
    block: Block,
    f_min: float,
    settings: Mapping[str, Any],
    n_jobs: int = 1,
) -> np.ndarray:
    """Triggers of several templates in one block of one detector.

    Parameters
    ----------
    templates : complex (n, n_f), 1/Hz, peak at time zero, on the block's frequencies
    first_template : int
        row of the bank that `templates[0]` is
    data, block
    f_min : float, Hz
    settings : mapping
        f_max, threshold, trigger_window, n_bins of `SearchConfig`
    n_jobs : int, threads

    Returns
    -------
    structured array of TRIGGER_DTYPE, those inside `block.valid`
    """
    n, f_max = 2 * (data.psd.size - 1), float(settings["f_max"])
    # Every second sample decides what is a trigger (exact there); f_max is at most a quarter of the working rate or
    # half of it, so that the samples that are kept are at least as dense as the band asks for.
    found = filter_bank(
        templates.astype(np.complex64),
        data.strain.astype(np.complex64),
        data.psd,
        data.delta_f,
        f_min,
        f_max,
        threshold=float(settings["threshold"]),
        window=float(settings["trigger_window"]),
        n_jobs=n_jobs,
        decimate=2,
    )
    time = data.start + found["time"]
    found = found[(time >= block.valid[0]) & (time < block.valid[1])]
    result = np.empty(found.size, TRIGGER_DTYPE)
    result["template"] = found["template"] + first_template
    result["time"] = data.start + found["time"]
    result["snr"], result["phase"] = np.abs(found["snr"]), np.angle(found["snr"])
    result["sigma"] = found["sigma"]
    for row in np.unique(found["template"]):
        mine = found["template"] == row
        chisq, dof = power_chisq(
            templates[row], data.strain, data.psd, data.delta_f, f_min, settings["n_bins"], found["index"][mine] % n, f_high=f_max
        )
        result["chisq_per_dof"][mine] = chisq / dof
    result["newsnr"] = newsnr(result["snr"], result["chisq_per_dof"])
    return result
