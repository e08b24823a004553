"""Whitening: unit variance, linear phase, and the stream equal to the offline result."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import streaming
from gwsurrogate_ml.kernels import whiten as wh

RATE = 1024.0


def _asd(n: int) -> np.ndarray:
    f = np.maximum(np.linspace(0, RATE / 2, n), 10.0)
    return 1e-23 * np.sqrt(1 + (60 / f) ** 8 + (f / 300) ** 2)


def _noise(duration: float, seed: int) -> np.ndarray:
    """Gaussian noise with the ASD above, coloured in the frequency domain."""
    n = int(duration * RATE)
    white = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    return np.fft.irfft(white * _asd(n // 2 + 1) * np.sqrt(RATE / 2), n)


def test_whitened_noise_is_standard_normal_and_flat():
    x = _noise(64, seed=1)
    w = wh.whiten(x, RATE, _asd(2049), fduration=2.0, highpass=20.0)[wh.valid_slice(x.size, RATE, 2.0)]
    # The high-pass at 20 Hz takes 20/512 of the power of white noise away.
    assert w.std() == pytest.approx(np.sqrt(1 - 20 / 512), abs=0.01)
    assert kstest(w[::7] / w.std(), "norm").pvalue > 1e-3
    power = np.abs(np.fft.rfft(w)) ** 2
    bands = [np.mean(block) for block in np.array_split(power[2000:], 20)]
    assert np.std(bands) / np.mean(bands) < 0.06


def test_estimating_the_asd_from_the_data_gives_unit_variance_too():
    x = np.random.default_rng(2).standard_normal(int(256 * RATE))
    w = wh.whiten(x, RATE)[wh.valid_slice(x.size, RATE, 2.0)]
    assert w.std() == pytest.approx(1, abs=0.01)


def test_a_glitch_stays_where_it_is():
    x = _noise(16, seed=3)
    x[7000] += 1e-19
    assert np.argmax(np.abs(wh.whiten(x, RATE, _asd(2049)))) == 7000


def test_the_filter_is_symmetric_and_matches_the_inverse_asd():
    taps = wh.whitening_filter(_asd(4097), RATE, 2.0)
    middle = taps.size // 2 - 1
    np.testing.assert_allclose(taps[:middle], taps[2 * middle : middle : -1], atol=1e-12 * taps.max())
    f = np.fft.rfftfreq(taps.size, 1 / RATE)
    inside = (f > 40) & (f < 500)
    expected = np.sqrt(2 / RATE) / np.interp(f, np.linspace(0, RATE / 2, 4097), _asd(4097))
    np.testing.assert_allclose(np.abs(np.fft.rfft(taps))[inside], expected[inside], rtol=0.02)


@pytest.mark.parametrize("sizes", [[1024], [1, 7, 500, 4096], [20_000]])
def test_the_stream_equals_the_offline_result_after_warm_up(sizes):
    x = _noise(24, seed=4)
    offline = wh.whiten(x, RATE, _asd(2049), fduration=1.0, highpass=15.0, detrend=False)
    whitener = streaming.StreamingWhitener(_asd(2049), RATE, 1.0, duration=24.0, highpass=15.0, chunk_duration=0.5)
    state, pieces, start = whitener.initial_state(), [], 0
    while start < x.size:
        size = sizes[len(pieces) % len(sizes)]
        state, out = whitener.step(state, x[start : start + size])
        pieces.append(out)
        start += size
    stream = np.concatenate(pieces)
    assert stream.size == state.n_seen == x.size
    # Offline data are tapered over half a filter at each end: the comparison starts where no taper reaches.
    first = whitener.warm_up + 512
    last = x.size - 1024 + whitener.delay
    np.testing.assert_allclose(stream[first:last], offline[first - whitener.delay : last - whitener.delay], atol=1e-11, rtol=0)
    # Between one half and one filter length from the end, only the faint ends of the filter see the taper.
    np.testing.assert_allclose(stream[1023:first], offline[1023 - whitener.delay : first - whitener.delay], atol=0.1)


def test_a_step_changes_neither_its_state_nor_its_input():
    whitener = streaming.StreamingWhitener(_asd(513), RATE, 0.5)
    x = _noise(2, seed=5)
    state, _ = whitener.step(whitener.initial_state(), x)
    history, chunk = state.history.copy(), x.copy()
    _, once = whitener.step(state, chunk)
    _, twice = whitener.step(state, chunk)
    np.testing.assert_array_equal(once, twice)
    np.testing.assert_array_equal(state.history, history)
    np.testing.assert_array_equal(chunk, x)


def test_one_whitener_serves_two_interleaved_streams():
    whitener = streaming.StreamingWhitener(_asd(513), RATE, 0.5)
    a, b = _noise(4, seed=6), _noise(4, seed=7)
    alone = whitener.step(whitener.initial_state(), a)[1]
    state_a = state_b = whitener.initial_state()
    mixed = []
    for k in range(4):
        state_a, out = whitener.step(state_a, a[k * 1024 : (k + 1) * 1024])
        state_b, _ = whitener.step(state_b, b[k * 1024 : (k + 1) * 1024])
        mixed.append(out)
    np.testing.assert_allclose(np.concatenate(mixed), alone, atol=1e-11)


def test_single_precision_agrees_with_double():
    x = _noise(16, seed=8)
    single = wh.whiten(x.astype(np.float32), RATE, _asd(2049), highpass=20.0)
    assert single.dtype == np.float32
    # Below the corner the noise is 1e3 times louder than what is left: that is what single precision costs.
    np.testing.assert_allclose(single, wh.whiten(x, RATE, _asd(2049), highpass=20.0), atol=5e-3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": np.ones(1000)}, DataError, "no longer than fduration"),
        ({"x": np.r_[np.ones(5000), np.nan, np.ones(5000)]}, DataError, "index 5000"),
        ({"asd": np.zeros(513)}, DataError, "asd is 0"),
        ({"asd": np.ones((2, 513))}, DataError, "one-dimensional"),
        ({"asd": np.r_[np.ones(500), np.nan, np.ones(12)]}, DataError, "asd is nan"),
        ({"fduration": 3 / 1024}, ConfigError, "even number"),
        ({"fduration": 0.0}, ConfigError, "fduration"),
        ({"highpass": 600.0}, ConfigError, "Nyquist"),
        ({"asd": None, "fduration": 6.0}, ConfigError, "segment_duration"),
    ],
)
def test_bad_input_is_refused_with_its_name(change, error, message):
    arguments = {
        "x": np.random.default_rng(0).standard_normal(16 * 1024),
        "sample_rate": RATE,
        "asd": np.ones(513),
    } | change
    with pytest.raises(error, match=message):
        wh.whiten(**arguments)


def test_a_stream_refuses_gaps_and_foreign_states():
    whitener = streaming.StreamingWhitener(_asd(513), RATE, 0.5)
    with pytest.raises(DataError, match="chunk holds 1 values"):
        whitener.step(whitener.initial_state(), np.array([0.0, np.nan]))
    other = streaming.StreamingWhitener(_asd(513), RATE, 0.25).initial_state()
    with pytest.raises(DataError, match="initial_state"):
        whitener.step(other, np.zeros(4))
    with pytest.raises(ConfigError, match="dtype"):
        streaming.StreamingWhitener(_asd(513), RATE, 0.5, dtype=np.int32)


def test_minimum_phase_is_scipys_and_keeps_the_response():
    from scipy.signal import minimum_phase

    # A filter whose response has no zero: the peer and ours differ in how they fill zeros.
    echoes = np.zeros(255)
    echoes[127 + np.array([-60, -9, 0, 9, 60])] = 0.1, -0.25, 1.0, -0.25, 0.1
    theirs = minimum_phase(echoes, "homomorphic", n_fft=1 << 14, half=False)
    np.testing.assert_allclose(wh.minimum_phase(echoes)[:220], theirs[:220], atol=1e-6)
    taps = wh.whitening_filter(_asd(1025), RATE, 1.0, highpass=15.0)
    ours = wh.minimum_phase(taps)
    f = np.fft.rfftfreq(8 * taps.size, 1 / RATE)
    inside = (f > 20) & (f < 505)
    a, b = (np.abs(np.fft.rfft(h, 8 * taps.size))[inside] for h in (ours, taps))
    np.testing.assert_allclose(a, b, rtol=0.02)
    # No causal filter of this response has more of its energy early.
    assert np.all(np.cumsum(ours**2)[:-200] >= np.cumsum(taps**2)[:-200])
    assert np.sum(ours[:16] ** 2) > 0.9 * np.sum(ours**2)


@pytest.mark.parametrize("sizes", [[64], [1, 300, 2000]])
def test_a_minimum_phase_stream_equals_the_offline_convolution_without_delay(sizes):
    x = _noise(16, seed=9)
    whitener = streaming.StreamingWhitener(_asd(1025), RATE, 1.0, highpass=20.0, phase="minimum")
    assert whitener.delay == 0
    state, out, position, i = whitener.initial_state(), [], 0, 0
    while position < x.size:
        chunk = x[position : position + sizes[i % len(sizes)]]
        state, white = whitener.step(state, chunk)
        out.append(white)
        position, i = position + chunk.size, i + 1
    stream = np.concatenate(out)
    offline = np.convolve(x, whitener.taps)[: x.size]
    np.testing.assert_allclose(stream, offline, atol=1e-10 * offline.std())
    w = stream[whitener.warm_up :]
    assert w.std() == pytest.approx(np.sqrt(1 - 20 / 512), abs=0.02)
    assert kstest(w[::7] / w.std(), "norm").pvalue > 1e-3


def test_a_minimum_phase_stream_reacts_at_once():
    whitener = streaming.StreamingWhitener(_asd(1025), RATE, 1.0, phase="minimum")
    impulse = np.zeros(2000)
    impulse[700] = 1e-20
    _, out = whitener.step(whitener.initial_state(), impulse)
    assert np.abs(out[:700]).max() < 1e-9 * np.abs(out).max()
    assert np.argmax(np.abs(out)) == 700


def test_an_unknown_phase_and_empty_filters_are_refused():
    with pytest.raises(ConfigError, match="phase"):
        streaming.StreamingWhitener(_asd(1025), RATE, 1.0, phase="zero")
    with pytest.raises(DataError, match="all zero"):
        wh.minimum_phase(np.zeros(16))
    with pytest.raises(ConfigError, match="length"):
        wh.minimum_phase(np.ones(16), 1)
