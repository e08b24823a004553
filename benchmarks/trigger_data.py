"""Real noise and injections of the trigger's benchmark: what is trained on and what is tested on, split by event."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from denoise_signal_data import EVENT, FILES, FILTERED, gwosc_file, stretches

import gwsurrogate_ml as gw
from gwsurrogate_ml.denoise.signal.segment import DURATION
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.trigger.data import (
    AFTER,
    BEFORE,
    CENTRE,
    DETECTORS,
    Stream,
    draw_binaries,
    signals,
    stream,
    whitened_glitches,
)
from gwsurrogate_ml.trigger.settings import RATE, DataSettings

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
GATE = 8.0
"""Standard deviations of whitened strain beyond which data are left out: where 6 bits saturate, and nothing of SNR 20 reaches."""


def write_noise(data: Path, folder: Path) -> None:
    """Files of the training's noise, the events in them gaps."""
    folder.mkdir(parents=True, exist_ok=True)
    for (name, detector), (series, event) in stretches(data, TRAINING).items():
        if detector in DETECTORS:
            rate, start = float(series.sample_rate.value), float(series.t0.value)
            series.value[round((event - EVENT[0] - start) * rate) : round((event + EVENT[1] - start) * rate)] = np.nan
            series.write(folder / f"{detector}-{name}.hdf5", path="strain", format="hdf5", overwrite=True)


def gated(one: Stream) -> Stream:
    """Without what lies within a second of a transient beyond GATE."""
    loud = np.flatnonzero((np.abs(one.values) > GATE) & one.usable)
    usable = one.usable.copy()
    for at in loud:
        usable[max(0, at - round(RATE)) : at + round(RATE)] = False
    return Stream(one.values, usable, one.psd)


def test_noise(data: Path) -> dict[str, list[Stream]]:
    """Streams by detector of the tests' noise, with GW151012's."""
    found: dict[str, list[Stream]] = {name: [] for name in DETECTORS}
    for (name, detector), (series, event) in stretches(data, TESTS).items():
        if detector in DETECTORS and (name, detector) != FILTERED:
            found[detector].append(gated(stream(series, ((event - EVENT[0], event + EVENT[1]),))))
    gps, event = FILES["GW151012"]
    for detector in DETECTORS:
        series = gw.StrainData.from_files({detector: gwosc_file(data, detector, gps)}, gps=event).series[detector]
        found[detector].append(gated(stream(series, ((event - 2.0, event + 0.5),))))
    return found


def paired_noise(data: Path) -> list[tuple[Stream, Stream]]:
    """Streams of H1 and L1 at the same time, of the tests' events that have both."""
    found = {}
    for (name, detector), (series, event) in stretches(data, TESTS).items():
        if detector in DETECTORS and name != FILTERED[0]:
            found[name, detector] = gated(stream(series, ((event - EVENT[0], event + EVENT[1]),)))
    both = [name for name in TESTS if all((name, detector) in found for detector in DETECTORS)]
    return [(found[name, "H1"], found[name, "L1"]) for name in both]


@dataclass(frozen=True, eq=False)
class Injections:
    """Binaries in the tests' noise of one event's two detectors.

    Parameters
    ----------
    noise, signals : (n, 2, 1 s) float32
        signals of SNR one, both from `data.BEFORE` to `data.AFTER` the merger
    event, first : (n,) int, the pair of streams, and the window's first sample there
    """

    noise: np.ndarray
    signals: np.ndarray
    event: np.ndarray
    first: np.ndarray

    def first_of(self, n: int) -> Injections:
        """The first `n`."""
        return Injections(self.noise[:n], self.signals[:n], self.event[:n], self.first[:n])

    def segments(self, pairs: list[tuple[Stream, Stream]]) -> np.ndarray:
        """Noise (n, 2, DURATION) float32 with the merger at CENTRE; zeros where it is not usable."""
        size, lead = round(DURATION * RATE), round((CENTRE - BEFORE) * RATE)
        padded = [[np.pad(one.values * one.usable, size) for one in pair] for pair in pairs]
        starts = self.first - lead + size
        return np.array([[one[a : a + size] for one in padded[k]] for k, a in zip(self.event, starts, strict=True)])


def injections(pairs: list[tuple[Stream, Stream]], n: int, seed: int) -> Injections:
    """`n` binaries of the ranges that were trained on, in noise that is usable in both detectors."""
    rng = np.random.default_rng(seed)
    size = round((BEFORE + AFTER) * RATE)
    starts = [np.intersect1d(*(pair[d].windows(size) for d in range(2))) for pair in pairs]
    event = rng.choice(len(pairs), n, p=np.array([s.size for s in starts]) / sum(s.size for s in starts))
    first = np.array([rng.choice(starts[k]) for k in event])
    noise = np.array([[pairs[k][d].values[a : a + size] for d in range(2)] for k, a in zip(event, first, strict=True)])
    psds = np.array([[pairs[k][d].psd for k in event] for d in range(len(DETECTORS))])
    made, _ = signals(load_model("nrhm"), draw_binaries(n, DataSettings(), rng), psds, rng)
    return Injections(noise, made, event, first)


def glitch_rows(data: Path, streams: dict[str, list[Stream]], seed: int, n: int = 1000) -> np.ndarray:
    """Windows (n, 2, samples) with a glitch of O3's table, at its own SNR, in one detector's noise of the tests."""
    rng = np.random.default_rng(seed)
    table = np.genfromtxt(data / "glitches" / "antiglitch_o3.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    rows = table[rng.choice(table.size, n, replace=False)]
    psds = np.array([streams["L1"][k].psd for k in rng.integers(len(streams["L1"]), size=n)])
    made = whitened_glitches(np.log(np.stack([rows["f0"], rows["gbw"]], axis=1)), psds, rng)
    size = made.shape[1]
    pools = [np.concatenate([one.values[one.usable] for one in streams[name]]) for name in DETECTORS]
    first = rng.integers(0, [p.size - size for p in pools], (n, 2))
    out = np.array([[pool[a : a + size] for pool, a in zip(pools, row, strict=True)] for row in first])
    out[np.arange(n), rng.integers(2, size=n)] += rows["snr"][:, None].astype(np.float32) * made
    return out
