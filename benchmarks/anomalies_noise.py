"""Real noise of H1 and L1 for the anomaly search: which stretches are trained on, which are tested on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from denoise_signal_data import stretches
from gwpy.timeseries import TimeSeries

TRAINING = {
    "GW190421_213856": 8.0,
    "GW190503_185404": 8.0,
    "GW190512_180714": 4.0,
    "GW190513_205428": 4.0,
    "GW190720_000836": 8.0,
    "GW191103_012549": 8.0,
    "GW191204_171526": 4.0,
    "GW191222_033537": 8.0,
}
TESTS = {"GW150914": 16.0, "GW190527_092055": 16.0, "GW190731_140936": 16.0, "GW190929_012149": 8.0, "GW200208_130117": 8.0}
"""Events, and how much of the file about them is left out at its ends, s: an eighth, tapered in most."""
EVENT = (3.0, 1.0)
"""What is cut out before and after an event, s."""


def noise(data: Path, names: dict[str, float]) -> dict[str, dict[str, TimeSeries]]:
    """Strain by event and detector, the event itself a gap."""
    out: dict[str, dict[str, TimeSeries]] = {}
    for (name, detector), (series, event) in stretches(data, names).items():
        if detector in ("H1", "L1"):
            rate, start = float(series.sample_rate.value), float(series.t0.value)
            series.value[round((event - EVENT[0] - start) * rate) : round((event + EVENT[1] - start) * rate)] = np.nan
            out.setdefault(name, {})[detector] = series
    return out


def write_training(data: Path, out: Path) -> None:
    """Files that `gwsml train anomaly` reads."""
    out.mkdir(parents=True, exist_ok=True)
    for name, both in noise(data, TRAINING).items():
        for detector, series in both.items():
            series.write(out / f"{detector}-{name}.hdf5", path="strain", format="hdf5", overwrite=True)
