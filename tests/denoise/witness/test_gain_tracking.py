"""The stream's judge: harm is switched off and help comes back, however the data are cut into frames."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.denoise.witness import gain_tracking
from gwsurrogate_ml.denoise.witness.bench.ladder import spectrum_of_gappy
from gwsurrogate_ml.errors import DataError

RATE, RAMP, BANDS = 256.0, 32, ((20.0, 60.0), (60.0, 90.0))


def split(predicted: np.ndarray) -> np.ndarray:
    """All of a prediction in the first band: the watch asks only for the sum."""
    return np.stack([predicted, np.zeros(predicted.size)])


def run(raw: np.ndarray, predicted: np.ndarray, sizes: list[int], whole: np.ndarray | None = None) -> np.ndarray:
    judge, parts, first, i = gain_tracking.start(BANDS, RATE), [], 0, 0
    whole = np.ones(raw.size, bool) if whole is None else whole
    while first < raw.size:
        part = slice(first, first + sizes[i % len(sizes)])
        judge, _, factor = gain_tracking.step(judge, raw[part], split(predicted[part]), whole[part], RAMP)
        parts.append(factor)
        first, i = part.stop, i + 1
    return np.concatenate(parts)


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    noise, coupled = rng.standard_normal((2, round(120 * RATE)))
    return noise + 0.5 * coupled, 0.5 * coupled


def test_harm_is_switched_off_and_help_comes_back(data: tuple[np.ndarray, np.ndarray]) -> None:
    raw, predicted = data
    wrong = predicted.copy()
    first, last = round(40 * RATE), round(80 * RATE)
    wrong[first:last] = np.roll(predicted, 1000)[first:last]
    factor = run(raw, wrong, [raw.size])
    assert (factor[:first] == 1.0).all()
    assert not factor[round(57 * RATE) : last].any()  # off within 17 s
    assert (factor[round(108 * RATE) :] == 1.0).all()  # back within 28 s
    assert np.abs(np.diff(factor)).max() < 2.0 / RAMP  # no step
    assert (run(raw, predicted, [raw.size]) == 1.0).all()


def test_the_verdict_does_not_depend_on_the_frames(data: tuple[np.ndarray, np.ndarray]) -> None:
    raw, predicted = data
    wrong = np.where(np.arange(raw.size) < raw.size // 2, predicted, -predicted)
    whole = run(raw, wrong, [raw.size])
    assert whole.min() == 0.0
    for sizes in ([16], [1000, 7, 4096]):
        assert np.array_equal(run(raw, wrong, sizes), whole)


def test_a_gain_that_drifts_is_followed_and_one_that_does_not_stays() -> None:
    rng = np.random.default_rng(2)
    n, size = round(600 * RATE), round(gain_tracking.BLOCK * RATE)
    noise, coupled = rng.standard_normal((2, n))
    drifting = 1.0 + 0.2 * np.sin(2 * np.pi * np.arange(n) / n)
    for truth, follow in ((drifting, True), (np.ones(n), True), (drifting, False)):
        judge = gain_tracking.start(BANDS, RATE, [follow, False])
        judge, total, _ = gain_tracking.step(judge, noise + truth * coupled, split(coupled), np.ones(n, bool), RAMP)
        gains = (total / coupled)[size // 2 :: size]
        error = float(np.sqrt(np.mean((gains - truth[size // 2 :: size]) ** 2)))
        if follow:
            assert error < 0.06  # a block alone tells the gain to 0.07
        else:
            assert (gains == 1.0).all()


def test_blocks_with_gaps_are_not_judged(data: tuple[np.ndarray, np.ndarray]) -> None:
    raw, predicted = data
    broken = raw.copy()
    broken[::500] = np.nan
    assert (run(broken, -predicted, [4096], np.isfinite(broken)) == 1.0).all()


def test_a_spectrum_across_gaps_is_that_of_the_whole_stretches() -> None:
    x = np.random.default_rng(1).standard_normal(round(256 * RATE))
    usable = np.ones(x.size, bool)
    for first in range(5000, x.size, 12000):
        usable[first : first + 700] = False
    _, psd = spectrum_of_gappy(np.where(usable, x, np.nan), usable, RATE)
    assert np.mean(psd[2:-2]) == pytest.approx(2.0 / RATE, rel=0.02)  # zeros in the gaps would take 6 % away
    with pytest.raises(DataError, match="without a gap"):
        spectrum_of_gappy(x, np.arange(x.size) % 900 > 0, RATE)
