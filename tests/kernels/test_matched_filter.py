"""Matched filter: the defining sum, the statistics of noise, peaks between samples, triggers of a bank."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import matched_filter as mf
from gwsurrogate_ml.kernels._filter import correlations
from gwsurrogate_ml.kernels._peaks import cluster
from gwsurrogate_ml.kernels._spectra import real

RATE, DURATION = 1024.0, 8.0
N = int(RATE * DURATION)
DF = 1 / DURATION
F = np.arange(N // 2 + 1) * DF
PSD = 1e-46 * (1 + (40 / np.maximum(F, 1)) ** 4 + (F / 200) ** 2)


def chirp(chirp_mass: float = 25.0) -> np.ndarray:
    """Newtonian inspiral with a smooth end, peak near time zero."""
    mass = chirp_mass * 4.925491025543576e-06
    f = np.maximum(F, 10.0)
    phase = 3 / 128 * (np.pi * mass * f) ** (-5 / 3) - np.pi / 4
    return 1e-22 * (f / 100) ** (-7 / 6) * np.exp(-1j * phase) / (1 + np.exp((f - 250) / 15)) * (F > 15)


def noise(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.sqrt(PSD * DURATION) / 2 * (rng.standard_normal(F.size) + 1j * rng.standard_normal(F.size))


def shifted(h: np.ndarray, time: float, phase: float = 0.0) -> np.ndarray:
    return h * np.exp(-2j * np.pi * F * time + 1j * phase)


def brute_force(h, s, f_low, f_high, position):
    """The definition, one time at a time."""
    kmin, kmax = max(1, int(f_low / DF)), N // 2 if f_high is None else int(f_high / DF)
    k = np.arange(kmin, kmax)
    sigma = np.sqrt(4 * DF * np.sum(np.abs(h[k]) ** 2 / PSD[k]))
    z = 4 * DF / sigma * np.sum(np.conj(h[k]) * s[k] / PSD[k] * np.exp(2j * np.pi * k * position / N))
    return z, sigma


@pytest.mark.parametrize("f_high", [None, 300.0])
def test_the_series_is_the_defining_sum(f_high):
    h, s = chirp(), noise(1)
    series = mf.matched_filter(h, s, PSD, DF, 20.0, f_high)
    assert series.snr.shape == (N,)
    assert series.delta_t == pytest.approx(1 / RATE)
    for j in (0, 1, 4000, N - 1):
        z, sigma = brute_force(h, s, 20.0, f_high, j)
        assert series.snr[j] == pytest.approx(z, abs=1e-12)
        assert series.sigma == pytest.approx(sigma, rel=1e-12)


def test_noise_alone_has_mean_square_two():
    h = chirp()
    power = np.concatenate([np.abs(mf.matched_filter(h, noise(seed), PSD, DF, 20.0).snr) ** 2 for seed in range(40)])
    # 320 s of noise, correlated over about 10 ms: some 3e4 independent values, each with standard deviation 2.
    assert power.mean() == pytest.approx(2, abs=0.06)


def test_a_signal_comes_back_with_its_snr_time_and_phase():
    h = chirp()
    sigma = mf.matched_filter(h, h, PSD, DF, 20.0).sigma
    time = 3.123456
    peak = mf.matched_filter(h, shifted(h, time, 0.7) * 12 / sigma, PSD, DF, 20.0).peak()
    assert peak.time == pytest.approx(time, abs=1e-3 / RATE)
    assert abs(peak.snr) == pytest.approx(12, rel=1e-6)
    assert np.angle(peak.snr) == pytest.approx(0.7, abs=1e-4)


@pytest.mark.parametrize(("decimate", "f_high"), [(2, None), (2, 300.0), (4, 250.0)])
def test_a_shorter_transform_gives_the_same_samples_and_peak(decimate, f_high):
    h = chirp()
    s = noise(2) + shifted(h, 2.000321)
    full = mf.matched_filter(h, s, PSD, DF, 20.0, f_high)
    short = mf.matched_filter(h, s, PSD, DF, 20.0, f_high, decimate=decimate)
    np.testing.assert_allclose(short.snr, full.snr[::decimate], atol=1e-12 * np.abs(full.snr).max())
    assert short.delta_t == pytest.approx(decimate * full.delta_t)
    assert short.sigma == full.sigma
    a, b = full.peak(), short.peak()
    assert b.time == pytest.approx(a.time, abs=0.1 / RATE)
    assert abs(b.snr) == pytest.approx(abs(a.snr), rel=1e-4)


def test_values_between_samples_match_the_defining_sum():
    h, s = chirp(), noise(3) + shifted(chirp(), 5.0)
    series = mf.matched_filter(h, s, PSD, DF, 20.0)
    for position in (0.4, 5119.73, 5120.0, N - 0.2):
        z, _ = brute_force(h, s, 20.0, None, position)
        assert series.at(position / RATE) == pytest.approx(z, abs=1e-6 * np.abs(series.snr).max())


def test_a_peak_can_be_sought_in_a_window():
    h = chirp()
    series = mf.matched_filter(h, shifted(h, 2.0) + 0.5 * shifted(h, 6.0), PSD, DF, 20.0)
    assert series.peak().time == pytest.approx(2.0, abs=1e-4)
    assert series.peak(5.0, 7.0).time == pytest.approx(6.0, abs=1e-4)
    with pytest.raises(ConfigError, match="no sample"):
        series.peak(9.0, 10.0)


def test_single_precision_needs_no_scaling_with_a_float64_psd():
    h, s = chirp(), noise(4) + shifted(chirp(), 1.0)
    double = mf.matched_filter(h, s, PSD, DF, 20.0)
    single = mf.matched_filter(h.astype(np.complex64), s.astype(np.complex64), PSD, DF, 20.0)
    assert single.snr.dtype == np.complex64
    np.testing.assert_allclose(single.snr, double.snr, atol=1e-6 * np.abs(double.snr).max())
    factor = 5.9e20
    scaled = mf.matched_filter(
        (factor * h).astype(np.complex64),
        (factor * s).astype(np.complex64),
        (factor**2 * PSD).astype(np.float32),
        DF,
        20.0,
    )
    np.testing.assert_allclose(scaled.snr, double.snr, atol=1e-6 * np.abs(double.snr).max())


def test_a_scaled_template_changes_sigma_and_not_the_snr():
    h, s = chirp(), noise(5)
    one, ten = mf.matched_filter(h, s, PSD, DF, 20.0), mf.matched_filter(10 * h, s, PSD, DF, 20.0)
    np.testing.assert_allclose(ten.snr, one.snr, atol=1e-12)
    assert ten.sigma == pytest.approx(10 * one.sigma, rel=1e-12)


def test_an_infinite_psd_drops_frequencies():
    h, s, psd = chirp(), noise(6), PSD.copy()
    psd[800:] = np.inf
    wide, narrow = mf.matched_filter(h, s, psd, DF, 20.0), mf.matched_filter(h, s, PSD, DF, 20.0, 100.0)
    np.testing.assert_allclose(wide.snr, narrow.snr, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"template": chirp()[:-1]}, DataError, "N/2 \\+ 1"),
        ({"psd": PSD[:-1]}, DataError, "interpolate the PSD"),
        ({"data": np.ones((2, F.size), complex)}, DataError, "data"),
        ({"psd": np.where(F == 50, 0, PSD)}, DataError, "psd is 0.0 at 50 Hz"),
        ({"psd": np.where(F == 50, -PSD, PSD)}, DataError, "at 50 Hz"),
        ({"psd": np.where(F == 50, np.nan, PSD)}, DataError, "psd is nan at 50 Hz"),
        ({"psd": PSD.astype(np.float32)}, DataError, "float32 underflows"),
        ({"psd": PSD.astype(complex)}, DataError, "psd has dtype"),
        ({"data": np.where(F == 50, np.nan, noise(1))}, DataError, "data in the band holds 1"),
        ({"template": np.where(F == 50, np.inf, chirp())}, DataError, "template in the band holds 1"),
        ({"template": np.zeros(F.size)}, DataError, "no power"),
        ({"template": np.array(["x"] * F.size)}, DataError, "dtype"),
        ({"f_low": 600.0}, ConfigError, "Nyquist"),
        ({"f_low": float("nan")}, ConfigError, "f_low"),
        ({"f_low": 30.0, "f_high": 30.0}, ConfigError, "f_high"),
        ({"f_low": 30.0, "f_high": 30.1}, ConfigError, "no frequency bin"),
        ({"delta_f": -1.0}, ConfigError, "delta_f"),
        ({"decimate": 3}, ConfigError, "decimate"),
        ({"decimate": 4}, ConfigError, "lower f_high"),
    ],
)
def test_bad_input_is_refused_with_its_name(change, error, message):
    arguments = {"template": chirp(), "data": noise(1), "psd": PSD, "delta_f": DF, "f_low": 20.0} | change
    with pytest.raises(error, match=message):
        mf.matched_filter(**arguments)


def test_what_lies_outside_the_band_does_not_matter():
    h, s, psd = chirp(), noise(7), PSD.copy()
    reference = mf.matched_filter(h, s, psd, DF, 20.0).snr
    for array in (h, s, psd):
        array[:100] = np.nan
        array[-1] = np.nan
    np.testing.assert_array_equal(mf.matched_filter(h, s, psd, DF, 20.0).snr, reference)


@pytest.mark.parametrize("window", [0, 1, 10, 1000])
def test_clusters_are_the_local_maxima_of_the_definition(window):
    rng = np.random.default_rng(window)
    z = rng.integers(0, 6, size=700) * np.exp(1j * rng.uniform(0, 6, 700))  # integers: many ties
    z = np.round(np.abs(z)).astype(complex)
    power, expected = np.abs(z) ** 2, []
    for i in range(z.size):
        before, after = power[max(0, i - window) : i], power[i + 1 : i + 1 + window]
        if power[i] >= 9 and not np.any(before >= power[i]) and not np.any(after > power[i]):
            expected.append(i)
    np.testing.assert_array_equal(cluster(z.view(np.float64), 3.0, window), expected)
    assert cluster(z.view(np.float64), 7.0, window).size == 0


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_a_bank_finds_what_single_filters_find(dtype):
    bank = np.array([chirp(m) for m in (20.0, 25.0, 30.0)])
    s = noise(8) + 1.5 * shifted(bank[1], 3.0) + shifted(bank[2], 6.5)
    found = mf.filter_bank(bank.astype(dtype), s.astype(dtype), PSD, DF, 20.0, threshold=4.5, window=0.5)
    for row in range(3):
        series = mf.matched_filter(bank[row], s, PSD, DF, 20.0)
        index = cluster(series.snr.view(np.float64), 4.5, 512)
        mine = found[found["template"] == row]
        np.testing.assert_array_equal(mine["index"], index)
        np.testing.assert_allclose(mine["time"], index / RATE)
        np.testing.assert_allclose(mine["snr"], series.snr[index], rtol=1e-5)
        np.testing.assert_allclose(mine["sigma"], series.sigma, rtol=1e-6)
    loudest = found[np.argmax(np.abs(found["snr"]))]
    assert loudest["template"] == 1
    assert loudest["time"] == pytest.approx(3.0, abs=2e-3)


def test_a_decimated_bank_has_the_triggers_of_the_decimated_series():
    bank = np.array([chirp(m) for m in (20.0, 30.0)])
    s = noise(11) + shifted(bank[0], 3.0)
    found = mf.filter_bank(bank, s, PSD, DF, 20.0, 400.0, threshold=3.5, window=0.25, decimate=2)
    for row in range(2):
        series = mf.matched_filter(bank[row], s, PSD, DF, 20.0, 400.0, decimate=2)
        index = cluster(series.snr.view(np.float64), 3.5, 128)
        mine = found[found["template"] == row]
        np.testing.assert_array_equal(mine["index"], 2 * index)
        np.testing.assert_allclose(mine["time"], index * series.delta_t)
        np.testing.assert_allclose(mine["snr"], series.snr[index], rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "threshold", "window"), [(np.complex64, 4.5, 0.25), (np.complex128, 4.0, 0.0)])
def test_an_adaptive_bank_has_the_triggers_of_the_full_rate(dtype, threshold, window):
    bank = np.array([chirp(m) for m in (18.0, 25.0, 32.0)]).astype(dtype)
    total, same = 0, 0
    for seed in range(30, 60):
        s = (noise(seed) + (0.3 * shifted(chirp(26.0), 3.0003) if seed % 3 == 0 else 0)).astype(dtype)
        full, short = (
            mf.filter_bank(bank, s, PSD, DF, 20.0, threshold=threshold, window=window, decimate=d) for d in (1, "adaptive")
        )
        theirs = {(t["template"], t["index"]): t["snr"] for t in full}
        ours = {(t["template"], t["index"]): t["snr"] for t in short}
        shared = theirs.keys() & ours.keys()
        total, same = total + len(theirs), same + len(shared)
        assert not ours.keys() - theirs.keys()
        for key in shared:
            assert ours[key] == pytest.approx(theirs[key], rel=3e-5 if dtype == np.complex64 else 1e-10)
    assert total > 40
    assert same >= total - total // 400


def test_an_adaptive_bank_takes_shorter_transforms_only_where_they_serve():
    from gwsurrogate_ml.kernels import bank as kernel

    def choice(template, threshold):
        segment = kernel._Segment(template.view(float), 1 / np.sqrt(PSD), 160, N // 2, N, DF)
        scan = kernel._Adaptive(segment, threshold, 100)
        segment.correlate(template, np.empty(N // 4, complex), scan._power)
        return scan._choose(scan._power)

    narrow, wide = chirp(), np.sqrt(PSD) + 0j
    assert choice(narrow, 5.5).step == 4
    # White power up to Nyquist: what lies between samples does not follow from them; at a low threshold that is too much.
    assert choice(wide, 5.5) is None or choice(wide, 5.5).step == 2
    assert choice(wide, 2.0) is None


@pytest.mark.slow
def test_a_loud_signal_at_the_seam_is_found_by_the_adaptive_bank():
    for shift in (0.0, 1 / RATE, 2 / RATE, DURATION - 1 / RATE):
        s = noise(61) + shifted(chirp(), shift)
        full, short = (
            mf.filter_bank(chirp()[None], s, PSD, DF, 20.0, threshold=5.0, window=0.1, decimate=d) for d in (1, "adaptive")
        )
        np.testing.assert_array_equal(short["index"], full["index"])


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.complex64, 3e-6), (np.complex128, 3e-7)])
@pytest.mark.parametrize("n", [4096, 1 << 18])
def test_sums_at_neighbours_are_those_at_each_point(n, dtype, tolerance):
    # A cluster, two neighbours, single points, the last sample; short series sum each point, long ones expand in the offset.
    at = np.array([3, 700, 701, 703, 704, 706, 710, 714, 1500, 1501, 2222, n - 1])
    kmin, kmax = n // 100, n // 3
    k = np.arange(kmin, kmax)
    rng = np.random.default_rng(n)
    h, d = (rng.standard_normal(n // 2 + 1) + 1j * rng.standard_normal(n // 2 + 1) for _ in range(2))
    d += 3 * h * np.exp(-2j * np.pi * 707.3 / n * np.arange(h.size))
    h, d = h.astype(dtype), d.astype(dtype)
    found = np.empty(at.size, np.complex128)
    correlations(real(h), real(d), kmin, kmax, at, n, found)
    terms = np.conj(h[k].astype(np.complex128)) * d[k]
    expected = np.array([np.sum(terms * np.exp(2j * np.pi * (k * j % n) / n)) for j in at])
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_threads_change_nothing():
    bank = np.array([chirp(m) for m in np.linspace(18, 32, 7)])
    arguments = (bank, noise(9), PSD, DF, 20.0)
    one = mf.filter_bank(*arguments, threshold=3.0, window=0.1)
    two = mf.filter_bank(*arguments, threshold=3.0, window=0.1, n_jobs=2)
    assert one.size > 7
    np.testing.assert_array_equal(one, two)


def test_many_segments_give_what_each_one_gives():
    bank = np.array([chirp(m) for m in (20.0, 30.0)])
    data, psds = np.array([noise(seed) for seed in range(70, 75)]), PSD * np.linspace(1, 2, 5)[:, None]
    arguments = {"threshold": 2.5, "window": 0.1}
    together = mf.filter_segments(bank, data, psds, DF, 20.0, n_jobs=3, **arguments)
    for found, s, psd in zip(together, data, psds, strict=True):
        assert found.size
        np.testing.assert_array_equal(found, mf.filter_bank(bank, s, psd, DF, 20.0, **arguments))
    with pytest.raises(DataError, match="4 psds for 5 segments"):
        mf.filter_segments(bank, data, psds[:4], DF, 20.0, **arguments)


def test_a_dask_cluster_gives_the_same_triggers():
    distributed = pytest.importorskip("dask.distributed", reason="the extra `cluster` is not installed")
    bank = np.array([chirp(m) for m in (20.0, 30.0)])
    data = np.array([noise(seed) for seed in range(80, 84)])
    here = mf.filter_segments(bank, data, PSD, DF, 20.0, threshold=2.5, window=0.1)
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        there = mf.filter_segments(bank, data, PSD, DF, 20.0, threshold=2.5, window=0.1, executor=executor)
    for one, two in zip(here, there, strict=True):
        assert one.size
        np.testing.assert_array_equal(one, two)


def test_a_quiet_bank_gives_an_empty_table():
    found = mf.filter_bank(chirp()[None], noise(10), PSD, DF, 20.0, threshold=50.0, window=0.1)
    assert found.dtype == mf.TRIGGER_DTYPE
    assert found.size == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"templates": chirp()}, DataError, "n_templates"),
        ({"templates": np.stack([chirp(), np.zeros(F.size)])}, DataError, r"templates\[1\] has no power"),
        ({"data": np.where(F == 50, np.nan, noise(1))}, DataError, "data in the band"),
        ({"psd": np.where(F == 50, 0, PSD)}, DataError, "50 Hz"),
        ({"threshold": 0.0}, ConfigError, "threshold"),
        ({"window": -1.0}, ConfigError, "window"),
        ({"n_jobs": 0}, ConfigError, "n_jobs"),
        ({"decimate": 3}, ConfigError, "decimate"),
        ({"templates": np.empty((0, F.size), complex)}, DataError, "at least one row"),
        ({"templates": np.ones((2, 7), complex)}, DataError, "N/2"),
    ],
)
def test_a_bank_refuses_bad_input(change, error, message):
    arguments = {
        "templates": chirp()[None],
        "data": noise(1),
        "psd": PSD,
        "delta_f": DF,
        "f_low": 20.0,
        "threshold": 5.0,
        "window": 0.1,
    } | change
    with pytest.raises(error, match=message):
        mf.filter_bank(**arguments)


def test_a_decimated_series_is_exact_between_its_samples():
    h, s = chirp(), noise(12) + shifted(chirp(), 5.0)
    series = mf.matched_filter(h, s, PSD, DF, 20.0, decimate=2)
    for position in (0.0, 0.7, 5119.73, N - 0.2):
        z, _ = brute_force(h, s, 20.0, None, position)
        assert series.at(position / RATE) == pytest.approx(z, abs=1e-9)


def test_views_read_only_arrays_and_mixed_precision_give_the_same_numbers():
    h, s = chirp(), noise(13)
    reference = mf.matched_filter(h, s, PSD, DF, 20.0).snr
    strided = np.repeat(h, 2)[::2]
    frozen = s.copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(mf.matched_filter(strided, frozen, PSD, DF, 20.0).snr, reference)
    mixed = mf.matched_filter(h.astype(np.complex64), s, PSD, DF, 20.0).snr
    assert mixed.dtype == np.complex128
    np.testing.assert_allclose(mixed, reference, atol=1e-6 * np.abs(reference).max())


def test_input_is_left_as_it_was_and_calls_share_nothing():
    from concurrent.futures import ThreadPoolExecutor

    h, data = chirp(), [noise(seed) for seed in range(20, 28)]
    copies = [s.copy() for s in data]
    one_by_one = [mf.matched_filter(h, s, PSD, DF, 20.0).snr for s in data]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda s: mf.matched_filter(h, s, PSD, DF, 20.0).snr, data))
    for a, b, s, copy in zip(one_by_one, together, data, copies, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(s, copy)
