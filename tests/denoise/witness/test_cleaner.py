"""The witness cleaner on held-out data against the known optimum; streams, gaps and bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.denoise.witness.bench.ladder import injected, share_of_signal
from gwsurrogate_ml.denoise.witness.bench.metrics import binary_power, matched_filter_snr, snr_gain
from gwsurrogate_ml.denoise.witness.bench.mock import Mock, MockData, preset
from gwsurrogate_ml.denoise.witness.channels import Aligned, at_rate, read_channels, require_alive
from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
from gwsurrogate_ml.denoise.witness.crossfit import clean_own_span
from gwsurrogate_ml.denoise.witness.features import Feature
from gwsurrogate_ml.denoise.witness.fitting import passband
from gwsurrogate_ml.denoise.witness.onnx import export_witness_onnx, load_witness_onnx
from gwsurrogate_ml.denoise.witness.stream import Filter, joined, run_through
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DataError, DomainWarning
from gwsurrogate_ml.kernels.psd import welch

RATE = 512.0


@pytest.fixture(scope="module")
def mock() -> Mock:
    return preset("o3_like", sampling_frequency=RATE)


@pytest.fixture(scope="module")
def training(mock: Mock) -> MockData:
    return mock.draw(512.0, 1)


@pytest.fixture(scope="module")
def held_out(mock: Mock) -> MockData:
    return mock.draw(256.0, 2)


@pytest.fixture(scope="module")
def cleaner(training: MockData) -> WitnessCleaner:
    return WitnessCleaner.fit(training.strain, training.witnesses)


def cropped(data: MockData, first: int, last: int):
    return data.strain[first:last], {name: series[first:last] for name, series in data.witnesses.items()}


@pytest.mark.slow
def test_nine_tenths_of_the_attainable_gain_on_data_not_trained_on(mock: Mock, held_out: MockData, cleaner: WitnessCleaner) -> None:
    frame = cleaner.apply(held_out.strain, held_out.witnesses)
    use = frame.subtracted
    f, raw = welch(held_out.strain.value[use], RATE, 4.0, average="mean")
    clean = welch(frame.strain[use], RATE, 4.0, average="mean")[1]
    best = welch((held_out.strain.value - held_out.best)[use], RATE, 4.0, average="mean")[1]
    power = binary_power(f, 30, 30)
    gain, attainable = snr_gain(f, raw, clean, power), snr_gain(f, raw, best, power)
    assert np.log(gain) > 0.9 * np.log(attainable)  # observed 0.95
    assert gain > 1.216
    for low, high in ((20, 40), (52, 68), (80, 140)):
        assert mock.score(f, clean, band=(low, high), reference_psd=raw) > 0.85


def test_nothing_is_done_where_nothing_couples(training: MockData, held_out: MockData) -> None:
    data = preset("null", sampling_frequency=RATE).draw(256.0, 3)
    refused = gw.WitnessCleaner.fit(data.strain, data.witnesses)
    assert not any(band["subtracted"] for band in refused.card["bands"])
    assert np.array_equal(refused(data.strain, data.witnesses).value, data.strain.value)
    _, frame = refused.step(refused.start(data.strain.t0.value), data.strain, data.witnesses)
    assert not frame.subtracted.any()


@pytest.mark.slow
def test_witnesses_shifted_in_time_change_the_snr_by_less_than_two_per_mille(training: MockData) -> None:
    n = round(30 * RATE)
    shifted = {}
    for name, series in training.witnesses.items():
        shifted[name] = series.copy()
        shifted[name].value[:] = np.roll(series.value, n)
    cleaner = WitnessCleaner.fit(training.strain, shifted)
    frame = cleaner.apply(training.strain, shifted)
    f, raw = welch(training.strain.value, RATE, 4.0, average="mean")
    clean = welch(frame.strain, RATE, 4.0, average="mean")[1]
    assert snr_gain(f, raw, clean, binary_power(f, 30, 30)) == pytest.approx(1.0, abs=0.002)


@pytest.mark.slow
def test_a_cleaner_that_would_do_harm_hands_the_strain_back(held_out: MockData, cleaner: WitnessCleaner) -> None:
    shifted = {name: series.copy() for name, series in held_out.witnesses.items()}
    for series in shifted.values():
        series.value[:] = np.roll(series.value, round(30 * RATE))
    with pytest.warns(DomainWarning, match="nothing was subtracted"):
        out = cleaner(held_out.strain, shifted)
    assert np.array_equal(out.value, held_out.strain.value)
    assert "cleaned" not in out.name


def test_a_stream_whose_witnesses_come_out_of_step_refuses_and_says_so(held_out: MockData, cleaner: WitnessCleaner) -> None:
    n, slip = round(100 * RATE), round(40 * RATE)
    strain, witnesses = cropped(held_out, 0, n)
    late = {name: series.copy() for name, series in witnesses.items()}
    for name, series in late.items():
        series.value[slip:] = held_out.witnesses[name].value[slip + n : 2 * n]
    frame = cleaner.apply(strain, late)
    off = round(64 * RATE)
    stop = n - cleaner.plan.delay
    assert frame.subtracted[round(20 * RATE) : slip - cleaner.plan.delay].all()
    assert frame.refused[off:stop].all()
    assert np.array_equal(frame.strain[off:stop], strain.value[off:stop])
    size, state, frames = round(RATE), cleaner.start(float(strain.t0.value)), []
    for first in range(0, n, size):
        part = slice(first, first + size)
        state, made = cleaner.step(state, strain[part], {name: series[part] for name, series in late.items()})
        frames.append(made)
    stream = joined(frames, cleaner.plan.delay)
    assert np.array_equal(stream.refused, frame.refused[: stream.refused.size])
    with pytest.warns(DomainWarning, match=r"in \d+\.\d% of the data"):
        assert "cleaned" in cleaner(strain[: n // 2 + slip // 2], late).name


@pytest.mark.slow
def test_a_fit_takes_its_leverage_from_signals_in_its_own_span_and_cross_fitting_nothing(training: MockData) -> None:
    n = round(4 * RATE)
    t = np.arange(n) / RATE
    chirp = 3e-22 * np.sin(2 * np.pi * (25 * t + 1.5 * t**2)) * np.hanning(n)
    strain, witnesses = cropped(training, 0, round(256 * RATE))
    loud, half = strain.copy(), len(strain) // 2
    part, starts = injected(strain[:half], chirp, 4)
    loud.value[:half] = part.value
    lost, bands = {}, [(15.0, 50.0)]
    for name in ("own", "cross-fitted"):
        frames = []
        for series in (strain, loud):
            if name == "own":
                cleaner = WitnessCleaner.fit(series, witnesses, bands, resolutions=(4.0,))
                frames.append(cleaner.apply(series, witnesses).strain)
            else:
                frames.append(clean_own_span(series, witnesses, bands, resolutions=(4.0,))[0].strain)
        share, _ = share_of_signal(frames[1] - frames[0], frames[0], chirp, starts, RATE)
        lost[name] = float(np.mean(share))
    leverage = cleaner.card["bands"][0]["leverage"]
    assert leverage > 0.02
    assert lost["own"] == pytest.approx(leverage, rel=0.5)
    assert abs(lost["cross-fitted"]) < 1e-6


@pytest.mark.slow
def test_signal_in_training_and_in_test_is_not_subtracted(training: MockData, held_out: MockData, cleaner: WitnessCleaner) -> None:
    """A loud chirp once a minute in the training data; another in the test data, cleaned with and without."""
    n = round(4 * RATE)
    t = np.arange(n) / RATE
    chirp = 3e-22 * np.sin(2 * np.pi * (20 * t + 8 * t**2)) * np.hanning(n)
    loud = training.strain.copy()
    for first in range(0, len(loud) - n, round(60 * RATE)):
        loud.value[first : first + n] += chirp
    fitted = WitnessCleaner.fit(loud, training.witnesses)
    strain = held_out.strain.copy()
    first = round(100 * RATE)
    strain.value[first : first + n] += chirp
    f, psd = welch(held_out.strain.value - held_out.best, RATE, 4.0)
    with_signal = fitted.apply(strain, held_out.witnesses).strain
    without = fitted.apply(held_out.strain, held_out.witnesses).strain
    recovered = (with_signal - without)[first : first + n]
    snr = matched_filter_snr(recovered, chirp, psd, RATE)
    assert snr.real == pytest.approx(matched_filter_snr(chirp, chirp, psd, RATE).real, rel=1e-9)
    # The filters themselves must not have learnt the signal: the noise left is as in a quiet training.
    quiet = cleaner.apply(held_out.strain, held_out.witnesses).strain
    power = binary_power(f, 30, 30)
    after = [welch(x[5000:-5000], RATE, 4.0, average="mean")[1] for x in (quiet, without)]
    assert snr_gain(f, after[0], after[1], power) == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize(("frame_duration", "span"), [(1.0, 60.0), (1 / 16, 24.0)])
def test_stream_equals_offline(held_out: MockData, cleaner: WitnessCleaner, frame_duration: float, span: float) -> None:
    n, size = round(span * RATE), round(frame_duration * RATE)
    strain, witnesses = cropped(held_out, 0, n)
    offline = cleaner.apply(strain, witnesses)
    state, frames = cleaner.start(float(strain.t0.value)), []
    for first in range(0, n, size):
        chunk, parts = cropped(held_out, first, first + size)
        state, frame = cleaner.step(state, chunk, parts)
        frames.append(frame)
    stream = joined(frames, cleaner.plan.delay)
    length = stream.strain.size
    scale = np.abs(offline.strain).max()
    assert np.abs(stream.strain - offline.strain[:length]).max() < 1e-9 * scale  # asked for: 1e-5
    assert np.array_equal(stream.weight, offline.weight[:length])
    assert stream.subtracted.any()
    assert frames[1].start_time == pytest.approx(strain.t0.value + frame_duration - cleaner.latency, abs=1e-6)


def test_short_frames_are_gathered_and_nothing_else_changes(held_out: MockData, cleaner: WitnessCleaner) -> None:
    rows = np.stack([held_out.witnesses[name].value for name in cleaner.plan.channels])
    calls, predict = [], cleaner.plan.predict

    class Counting(type(cleaner.plan)):
        def predict(self, channels: np.ndarray, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            calls.append(channels.shape[1])
            return predict(channels, features)

    plan = Counting(**{key: value for key, value in vars(cleaner.plan).items() if not key.startswith("_")})
    size, frames, state = 16, 300, plan.start(0.0)
    for k in range(frames):
        part = slice(k * size, (k + 1) * size)
        state, _ = plan.step(state, held_out.strain.value[part], rows[:, part])
    assert len(calls) <= 1 + frames * size / plan.ramp


def test_by_onnx_runtime_it_is_the_same_cleaner(held_out: MockData, cleaner: WitnessCleaner, tmp_path: Path) -> None:
    path = export_witness_onnx(cleaner, tmp_path / "cleaner.onnx")
    plan = load_witness_onnx(path)
    n, size = round(48 * RATE), 64
    strain, witnesses = cropped(held_out, 0, n)
    offline = cleaner.apply(strain, witnesses)
    rows = np.stack([witnesses[name].value for name in plan.channels])
    state, frames = plan.start(float(strain.t0.value)), []
    for first in range(0, n, size):
        state, frame = plan.step(state, strain.value[first : first + size], rows[:, first : first + size])
        frames.append(frame)
    stream = joined(frames, plan.delay)
    length = stream.strain.size
    removed = (strain.value - offline.strain)[:length]
    assert np.abs(stream.strain - offline.strain[:length]).max() < 1e-5 * np.abs(removed).max()  # observed 3e-6
    assert np.array_equal(stream.weight, offline.weight[:length])
    assert stream.subtracted.any()
    assert stream.model == cleaner.plan.model


def test_a_channel_whose_light_scatters_twice_is_the_same_by_onnx_runtime(cleaner: WitnessCleaner, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = (Feature("sine", ("a",), 3.0, 0.4), Feature("cosine", ("a",), 7.0), Feature("product", ("a", "b")))
    taps = 1e-22 * rng.normal(size=(1, len(features), 33))
    plan = Filter(("a", "b"), features, np.ones(1), taps, np.array([10.0, 10.0]), 256.0, "scattering")
    exported = load_witness_onnx(export_witness_onnx(WitnessCleaner(cleaner.card, plan), tmp_path / "scattering.onnx"))
    strain, rows = 1e-21 * rng.normal(size=4096), rng.normal(size=(2, 4096))
    wanted, found = (run_through(p, strain, rows, 0.0).strain for p in (plan, exported))
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted - strain).max()
    for limit in (np.inf, 0.0):
        stuck = WitnessCleaner(cleaner.card, replace(plan, limits=np.array([10.0, limit])))
        with pytest.raises(ConfigError, match="zero or infinite"):
            export_witness_onnx(stuck, tmp_path / "stuck.onnx")


def test_what_is_no_witness_stream(tmp_path: Path, training: MockData, cleaner: WitnessCleaner) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(ArtifactError, match="no cleaner exported"):
        load_witness_onnx(tmp_path / "bad.onnx")
    with pytest.raises(ConfigError, match=r"name a \.onnx file"):
        export_witness_onnx(cleaner, tmp_path / "cleaner.bin")
    nothing = WitnessCleaner(cleaner.card, replace(cleaner.plan, features=()))
    with pytest.raises(ConfigError, match="subtracts nothing"):
        export_witness_onnx(nothing, tmp_path / "cleaner.onnx")


def test_gaps_pass_through_flagged_and_change_nothing_elsewhere(held_out: MockData, cleaner: WitnessCleaner) -> None:
    n, reach = round(120 * RATE), cleaner.plan.delay
    strain, witnesses = cropped(held_out, 0, n)
    clean = cleaner.apply(strain, witnesses)
    first, last = round(60 * RATE), round(61 * RATE)
    broken = {name: series.copy() for name, series in witnesses.items()}
    broken["TILT"].value[first:last] = np.nan
    frame = cleaner.apply(strain, broken)
    assert np.array_equal(frame.strain[first:last], strain.value[first:last])
    assert not frame.weight[first:last].any()
    far = np.ones(n, bool)
    far[first - reach : last + reach] = False
    assert frame.strain[far] == pytest.approx(clean.strain[far], abs=1e-9 * np.abs(clean.strain).max())
    assert np.array_equal(frame.subtracted[far], clean.subtracted[far])
    ramp = np.diff(frame.weight)
    assert np.abs(ramp).max() < 0.05  # no step between raw and cleaned


@pytest.mark.parametrize("fault", ["stuck", "incredible", "clipped"])
def test_a_witness_that_fails_switches_the_subtraction_off(held_out: MockData, cleaner: WitnessCleaner, fault: str) -> None:
    strain, witnesses = cropped(held_out, 0, round(60 * RATE))
    series = witnesses["JITTER"].copy()
    first, last = round(30 * RATE), round(31 * RATE)
    if fault == "clipped":  # at one standard deviation: no sample leaves the range seen in training
        spread = series.value.std()
        series.value[first:last] = np.clip(series.value[first:last], -spread, spread)
    else:
        series.value[first:last] = series.value[first] if fault == "stuck" else 1e6
    frame = cleaner.apply(strain, witnesses | {"JITTER": series})
    assert np.array_equal(frame.strain[first:last], strain.value[first:last])


def test_nan_strain_stays_nan_and_unflagged_as_clean(held_out: MockData, cleaner: WitnessCleaner) -> None:
    strain, witnesses = cropped(held_out, 0, round(40 * RATE))
    strain = strain.copy()
    strain.value[10000:10100] = np.nan
    frame = cleaner.apply(strain, witnesses)
    assert np.array_equal(np.flatnonzero(np.isnan(frame.strain)), np.arange(10000, 10100))
    assert not frame.subtracted[10000:10100].any()


def test_frames_dropped_or_out_of_order(held_out: MockData, cleaner: WitnessCleaner) -> None:
    size = round(RATE)
    state = cleaner.start(float(held_out.strain.t0.value))
    state, _ = cleaner.step(state, *cropped(held_out, 0, size))
    with pytest.raises(DataError, match="out of order"):
        cleaner.step(state, *cropped(held_out, 0, size))
    after, frame = cleaner.step(state, *cropped(held_out, 3 * size, 4 * size))
    assert frame.strain.size == 3 * size
    assert after.next_time == pytest.approx(held_out.strain.t0.value + 4)
    with pytest.raises(DataError, match="begin anew"):
        cleaner.step(state, *cropped(held_out, 100 * size, 101 * size))


@pytest.mark.slow
def test_bands_join_without_a_step(training: MockData) -> None:
    f = np.linspace(0, 200, 4001)
    total = passband(f, (10, 50)) + passband(f, (50, 75)) + passband(f, (75, 150))
    assert total[(f > 11) & (f < 149)] == pytest.approx(np.ones(((f > 11) & (f < 149)).sum()))
    strain, witnesses = cropped(training, 0, round(256 * RATE))
    options = {"resolutions": (4.0,)}
    one = WitnessCleaner.fit(strain, witnesses, [(12.0, 150.0)], **options).apply(strain, witnesses)
    two = WitnessCleaner.fit(strain, witnesses, [(12.0, 35.0), (35.0, 150.0)], **options).apply(strain, witnesses)
    g, a = welch(one.strain[5000:-5000], RATE, 2.0)
    b = welch(two.strain[5000:-5000], RATE, 2.0)[1]
    near = (g > 30) & (g < 40)
    assert b[near] == pytest.approx(a[near], rel=0.02)


def test_saved_and_loaded_it_does_the_same(tmp_path, held_out: MockData, cleaner: WitnessCleaner) -> None:
    strain, witnesses = cropped(held_out, 0, round(30 * RATE))
    folder = cleaner.save(tmp_path / "model")
    again = WitnessCleaner.load(folder)
    assert np.array_equal(again.apply(strain, witnesses).strain, cleaner.apply(strain, witnesses).strain)
    out = again(strain, witnesses)
    assert out.name == "strain cleaned by witness-cleaner 1"
    card = json.loads((folder / "card.json").read_text())
    assert card["kind"] == "witness_cleaner"
    assert card["training"]["duration"] == 512
    (folder / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(ArtifactError, match="checksum"):
        WitnessCleaner.load(folder)
    with pytest.raises(ArtifactError, match="surrogate"):
        WitnessCleaner.load("nr22")


def test_channels_from_files(tmp_path, held_out: MockData, cleaner: WitnessCleaner) -> None:
    from gwpy.timeseries import TimeSeriesDict

    strain, witnesses = cropped(held_out, 0, round(24 * RATE))
    channels = TimeSeriesDict({f"H1:{name}": series for name, series in witnesses.items()})
    for name, series in channels.items():
        series.name = name
    expected = cleaner.apply(strain, witnesses).strain
    for suffix in ("hdf5", "gwf"):
        path = tmp_path / f"witnesses.{suffix}"
        channels.write(path)
        found = read_channels(path, list(channels))
        renamed = {name.removeprefix("H1:"): series for name, series in found.items()}
        assert cleaner.apply(strain, renamed).strain == pytest.approx(expected, abs=1e-30)
        with pytest.raises(DataError, match=rf"no channel H1:NONE in witnesses.{suffix} \(--channel\): .* has .*H1:TILT"):
            read_channels(path, ["H1:NONE"])
        with pytest.raises(ConfigError, match=rf"no channel is named \(--channel\): witnesses.{suffix} has .*H1:TILT"):
            read_channels(path, [])
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(DataError, match=rf"witnesses\.{suffix}.*truncated"):
            read_channels(path, list(channels))
    with pytest.raises(DataError, match="no file"):
        read_channels(tmp_path / "none.gwf", ["A"])


@pytest.mark.parametrize("suffix", ["hdf5", "gwf"])
def test_files_in_any_order_are_joined_and_what_is_missing_between_them_is_a_gap(tmp_path, held_out: MockData, suffix: str) -> None:
    from gwpy.timeseries import TimeSeriesDict

    size, paths = round(8 * RATE), []
    for i in (3, 0, 1):
        paths.append(tmp_path / f"{i}.{suffix}")
        part = held_out.witnesses["TILT"][i * size : (i + 1) * size]
        part.name = part.channel = "H1:TILT"
        TimeSeriesDict({"H1:TILT": part}).write(paths[-1])
    joined = read_channels(paths, ["H1:TILT"])["H1:TILT"]
    assert joined.t0.value == held_out.strain.t0.value
    assert np.array_equal(joined.value[: 2 * size], held_out.witnesses["TILT"].value[: 2 * size])
    assert np.isnan(joined.value[2 * size : 3 * size]).all()
    assert np.array_equal(joined.value[3 * size :], held_out.witnesses["TILT"].value[3 * size : 4 * size])
    with pytest.raises(DataError, match="does not continue"):
        read_channels([paths[0], paths[0]], ["H1:TILT"])


def test_witnesses_at_other_rates_serve_once_brought_to_one(training: MockData, held_out: MockData) -> None:
    """A slow channel recorded at 64 Hz, as most are, costs next to nothing."""
    strain, witnesses = cropped(training, 0, round(256 * RATE))
    slow = witnesses | {"TILT": at_rate(witnesses["TILT"], 64.0)}
    with pytest.raises(DataError, match=r"sampled at 64 Hz.*--rate 512"):
        WitnessCleaner.fit(strain, slow)
    again = at_rate(slow["TILT"], RATE)
    known = np.isfinite(again.value)
    assert known.mean() > 0.99
    band = [("MAINS", witnesses["MAINS"]), ("TILT", again)]
    cleaner = WitnessCleaner.fit(strain, dict(band), [(52.0, 68.0)])
    whole = WitnessCleaner.fit(strain, {name: witnesses[name] for name, _ in band}, [(52.0, 68.0)])
    powers = [c.card["bands"][0]["held_back_power"] for c in (cleaner, whole)]
    assert powers[0] == pytest.approx(powers[1], abs=0.01)
    assert powers[0] < 0.8
    with pytest.raises(ConfigError, match="cannot be brought"):
        at_rate(strain, np.pi)


def bad_missing(strain, witnesses):
    return strain, {}


def bad_dead(strain, witnesses):
    dead = witnesses["TILT"] * 0.0
    return strain, witnesses | {"TILT": dead}


def bad_saturated(strain, witnesses):
    series = witnesses["TILT"].copy()
    np.clip(series.value, -series.value.std(), series.value.std(), out=series.value)
    return strain, witnesses | {"TILT": series}


def test_a_slow_channel_in_whole_counts_is_alive_and_one_that_stops_is_not() -> None:
    t = np.arange(32 * 2048) / 256
    motion = np.round(20 * np.sin(2 * np.pi * 0.15 * t) + 7 * np.sin(2 * np.pi * 0.21 * t))
    require_alive(Aligned(np.cos(50 * t), {"STAGE": motion}, {"STAGE": "ct"}, 256.0, 0.0))
    motion[5000:7000] = motion[5000]
    with pytest.raises(DataError, match="'STAGE' is stuck"):
        require_alive(Aligned(np.cos(50 * t), {"STAGE": motion}, {"STAGE": "ct"}, 256.0, 0.0))


def bad_rate(strain, witnesses):
    return strain, witnesses | {"TILT": witnesses["TILT"][::2]}


def bad_span(strain, witnesses):
    return strain, witnesses | {"TILT": witnesses["TILT"][:-100]}


def bad_gap(strain, witnesses):
    series = witnesses["TILT"].copy()
    series.value[: len(series) * 2 // 3] = np.nan
    return strain, witnesses | {"TILT": series}


def bad_short(strain, witnesses):
    return strain[:4000], {name: series[:4000] for name, series in witnesses.items()}


def bad_type(strain, witnesses):
    return strain, {name: series.value for name, series in witnesses.items()}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (bad_missing, "no witness channel given"),
        (bad_dead, "'TILT' is constant.*leave it out"),
        (bad_saturated, "'TILT' is stuck or saturated"),
        (bad_rate, "sampled at 256 Hz.*--rate 512"),
        (bad_span, "read the whole span"),
        (bad_gap, "'TILT' is a gap for 67%"),
        (bad_short, r"7.8125 s of data are too short .* takes 20 s: read more, and twice that"),
        (bad_type, "give a gwpy TimeSeries"),
    ],
)
def test_bad_data_are_refused_before_fitting(held_out: MockData, spoil, message: str) -> None:
    with pytest.raises(DataError, match=message):
        WitnessCleaner.fit(*spoil(*cropped(held_out, 0, round(64 * RATE))))


@pytest.mark.slow
def test_gaps_in_training_are_left_out(training: MockData) -> None:
    strain, witnesses = cropped(training, 0, round(256 * RATE))
    strain = strain.copy()
    strain.value[50000:52000] = np.nan
    fitted = WitnessCleaner.fit(strain, witnesses)
    assert all(band["subtracted"] for band in fitted.card["bands"])
    assert np.isfinite(fitted.plan.taps).all()


def test_a_model_for_other_channels_or_rates_says_so(held_out: MockData, cleaner: WitnessCleaner) -> None:
    strain, witnesses = cropped(held_out, 0, round(30 * RATE))
    with pytest.raises(DataError, match="'STAGE' is missing"):
        cleaner.apply(strain, {name: series for name, series in witnesses.items() if name != "STAGE"})
    slow = {name: series[::2] for name, series in witnesses.items()}
    with pytest.raises(DataError, match="fitted at 512 Hz"):
        cleaner.apply(strain[::2], slow)


@pytest.mark.parametrize("bands", [[], [(50, 40)], [(10, 50), (40, 60)], [(10, 256)]])
def test_impossible_bands_are_refused(held_out: MockData, bands: list[tuple[float, float]]) -> None:
    with pytest.raises(ConfigError, match="band"):
        WitnessCleaner.fit(held_out.strain, held_out.witnesses, bands)


def test_unknown_channel_of_a_feature_is_refused(held_out: MockData) -> None:
    with pytest.raises(ConfigError, match="needs channel 'X'"):
        WitnessCleaner.fit(held_out.strain, held_out.witnesses, features=[Feature("linear", ("X",))])
