"""A stream of segments: a peak at the seam of two search intervals is counted once, however the stream is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gwsurrogate_ml.denoise.signal import segment_stream
from gwsurrogate_ml.denoise.signal.denoiser import SignalDenoiser
from gwsurrogate_ml.denoise.signal.segment import SEARCH, Reconstruction
from gwsurrogate_ml.serve.streams import pack, unpack

RATE = 1024.0


class Peaks(SignalDenoiser):
    """Stands for a denoiser: takes the tenth of a second about the largest sample of its search interval for a signal."""

    def __init__(self) -> None:
        self.card = {"name": "peaks", "version": "1"}

    def _psd(self, source: object) -> np.ndarray:
        return np.ones(3)

    def save(self, folder: object) -> Path:
        raise NotImplementedError

    def transform(self, piece: np.ndarray, sampling_frequency: float) -> np.ndarray:
        return piece

    def reconstruct(self, white: np.ndarray, *_: object, **__: object) -> Reconstruction:
        first, last = (round(t * RATE) for t in SEARCH)
        at = first + int(np.argmax(np.abs(white[first:last])))
        loud = float(np.abs(white[at]))
        signal = np.where(np.abs(np.arange(white.size) - at) < 0.05 * RATE, white, 0.0) * (loud > 0.5)
        return Reconstruction(signal, np.abs(signal), float(loud > 0.5), loud, at / RATE, loud, 0.0)


@pytest.mark.parametrize("frame", [300, 20_000])
@pytest.mark.parametrize("shift", [-20, -5, -1, 0, 1, 5, 20])
def test_a_peak_at_a_seam_is_reported_once_and_neither_doubled_nor_lost(shift: int, frame: int) -> None:
    denoiser, n = Peaks(), 8 * 1024
    time = 2 * (SEARCH[1] - SEARCH[0]) + shift / RATE  # the first segment begins SEARCH[0] before the stream
    pulse = np.exp(-0.5 * ((np.arange(n) / RATE - time) / 0.01) ** 2)
    state, frames = segment_stream.start(denoiser, 100.0, RATE), []
    for first in range(0, n, frame):
        state, out = segment_stream.step(denoiser, state, pulse[first : first + frame], end=first + frame >= n)
        state = unpack(state, pack(state))
        frames.append(out)
    signal = np.concatenate([f.signal for f in frames])
    assert signal == pytest.approx(np.where(np.abs(np.arange(n) / RATE - time) < 0.04, pulse, signal), abs=1e-12)
    assert signal @ signal == pytest.approx(pulse @ pulse, rel=1e-3)
    seen = [(at + one.time, one) for f in frames for at, one in zip(f.found_at, f.found, strict=True)]
    (peak,) = [at for at, one in seen if one.probability > 0.5]
    assert peak == pytest.approx(100.0 + time, abs=1 / RATE)
    assert [at for f in frames for at in f.found_at] == pytest.approx(
        98.1 + (SEARCH[1] - SEARCH[0]) * np.arange(len(seen)), abs=0.01
    )


def test_two_signals_on_either_side_of_a_seam_are_both_kept() -> None:
    denoiser, t = Peaks(), np.arange(8 * 1024) / RATE
    pulses = sum(np.exp(-0.5 * ((t - 3.4 - shift) / 0.01) ** 2) for shift in (-0.1, 0.1))
    _, out = segment_stream.step(denoiser, segment_stream.start(denoiser, 0.0, RATE), pulses, end=True)
    assert sum(one.probability for one in out.found) == 2
    assert out.signal @ out.signal == pytest.approx(pulses @ pulses, rel=1e-3)
