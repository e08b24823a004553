"""Real noise and injections of the trigger's benchmark: what is trained on and what is tested on, split by event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from denoise_signal_data import EVENT, FILES, FILTERED, gwosc_file, stretches

import gwsurrogate_ml as gw
from gwsurrogate_ml.trigger.data import DETECTORS, Stream, stream

TRAINING = {
    "GW190421_213856": 8.0,
    "GW190503_185404": 8.0,
    "GW190513_205428": 4.0,
    "GW190620_030421": 12.0,
    "GW190731_140936": 16.0,
    "GW190925_232845": 8.0,
    "GW190929_012149": 8.0,
    "GW191103_012549": 4.0,
    "GW191222_033537": 8.0,
}
TESTS = {
    "GW150914": 0.0,
    "GW170608": 0.0,
    "GW190512_180714": 4.0,
    "GW190527_092055": 16.0,
    "GW190720_000836": 12.0,
    "GW190910_112807": 16.0,
    "GW191204_171526": 4.0,
    "GW200208_130117": 4.0,
}
"""Events, and how much of the stretch about them is tapered at its ends, s."""


def write_noise(data: Path, folder: Path) -> None:
    """Files of the training's noise, the events in them gaps."""
    folder.mkdir(parents=True, exist_ok=True)
    for (name, detector), (series, event) in stretches(data, TRAINING).items():
        if detector in DETECTORS:
            rate, start = float(series.sample_rate.value), float(series.t0.value)
            series.value[round((event - EVENT[0] - start) * rate) : round((event + EVENT[1] - start) * rate)] = np.nan
            series.write(folder / f"{detector}-{name}.hdf5", path="strain", format="hdf5", overwrite=True)


def test_noise(data: Path) -> dict[str, list[Stream]]:
    """Streams by detector of the tests' noise, with GW151012's."""
    found: dict[str, list[Stream]] = {name: [] for name in DETECTORS}
    for (name, detector), (series, event) in stretches(data, TESTS).items():
        if detector in DETECTORS and (name, detector) != FILTERED:
            found[detector].append(stream(series, ((event - EVENT[0], event + EVENT[1]),)))
    gps, event = FILES["GW151012"]
    for detector in DETECTORS:
        series = gw.StrainData.from_files({detector: gwosc_file(data, detector, gps)}, gps=event).series[detector]
        found[detector].append(stream(series, ((event - 2.0, event + 0.5),)))
    return found
