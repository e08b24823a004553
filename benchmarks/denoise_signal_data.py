"""Real noise and binaries of the signal denoisers' benchmark: what is trained on, calibrated on and tested on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gwpy.timeseries import TimeSeries

import gwsurrogate_ml as gw
from gwsurrogate_ml.denoise.signal.noise import noise_segments
from gwsurrogate_ml.denoise.signal.segment import Segment

TRAINING = {"GW190503_185404": 8.0}
CALIBRATION = {"GW190512_180714": 4.0, "GW191222_033537": 8.0}
TESTS = {"GW170608": 0.0, "GW150914": 0.0}
"""Events, and how much of the stretch about them is tapered at its ends, s."""
FILTERED = ("GW170608", "H1")
"""Left out of the tests: high-passed about 35 Hz, so that most of a whitened injection would lie where there is no detector."""
BANK = {"GW190503_185404": 8.0, "GW190512_180714": 4.0}
FILES = {"GW150914": ("1126259446", 1126259462.4), "GW151012": ("1128678884", 1128678900.44)}
EVENT = (3.0, 1.0)
"""What is cut out before and after an event, s."""


def stretches(data: Path, names: dict[str, float]) -> dict[tuple[str, str], tuple[TimeSeries, float]]:
    """Series by event and detector from the frequency-domain files, their tapered ends cut off, and the event's time."""
    found = {}
    for name, margin in names.items():
        with np.load(data / "strain" / f"{name}.npz", allow_pickle=True) as content:
            rate, event = 2.0 * float(content["frequencies"][-1]), float(content["tcoarse"])
            for detector, row in zip(str(content["detector_names"]), content["strain"], strict=False):
                values = np.fft.irfft(row.astype(complex)) * rate
                cut = slice(round(margin * rate), values.size - round(margin * rate))
                series = TimeSeries(values[cut], sample_rate=rate, t0=margin, name=f"{detector}1")
                found[name, f"{detector}1"] = (series, event)
    return found


def segments(data: Path, names: dict[str, float]) -> list[Segment]:
    found: list[Segment] = []
    for key, (series, event) in stretches(data, names).items():
        if key == FILTERED:
            continue
        found += noise_segments(series, [(event - EVENT[0], event + EVENT[1])])
    return found


def filtered_noise(data: Path) -> list[Segment]:
    """What is left out of the tests, to be looked at by itself."""
    series, event = stretches(data, {FILTERED[0]: TESTS[FILTERED[0]]})[FILTERED]
    return noise_segments(series, [(event - EVENT[0], event + EVENT[1])])


def noise_for_bank(data: Path) -> list[Segment]:
    return segments(data, BANK)


def test_noise(data: Path) -> list[Segment]:
    """Noise about GW150914, GW170608 and GW151012, in both LIGO detectors but for FILTERED."""
    found = segments(data, TESTS)
    gps, event = FILES["GW151012"]
    for detector in ("H1", "L1"):
        series = gw.StrainData.from_files({detector: gwosc_file(data, detector, gps)}, gps=event).series[detector]
        found += noise_segments(series, [(event - 2.0, event + 0.5)])
    return found


def gwosc_file(data: Path, detector: str, gps: str) -> Path:
    return data / "strain" / f"{detector[0]}-{detector}_LOSC_4_V2-{gps}-32.hdf5"


def write_noise(data: Path, out: Path) -> None:
    """Files of real noise, the events in them gaps: `out`/train and `out`/calibration."""
    for folder, names in (("train", TRAINING), ("calibration", CALIBRATION)):
        (out / folder).mkdir(parents=True, exist_ok=True)
        for (name, detector), (series, event) in stretches(data, names).items():
            rate, start = float(series.sample_rate.value), float(series.t0.value)
            series.value[round((event - EVENT[0] - start) * rate) : round((event + EVENT[1] - start) * rate)] = np.nan
            path = out / folder / f"{detector}-{name}.hdf5"
            series.write(path, path="strain", format="hdf5", overwrite=True)


def binaries(n: int, seed: int) -> np.ndarray:
    """Uniform in both masses, 10 to 80 Msun, aligned spins to 0.6."""
    rng = np.random.default_rng(seed)
    masses = np.sort(rng.uniform(10.0, 80.0, (n, 2)), axis=1)[:, ::-1]
    return np.concatenate([masses, rng.uniform(-0.6, 0.6, (n, 2))], axis=1)
