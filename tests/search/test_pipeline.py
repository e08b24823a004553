"""The whole search: on simulated noise with and without a signal, and on the data of GW150914."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import gwsurrogate_ml as gw
from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.search.bank import BankConfig, place
from gwsurrogate_ml.search.pipeline import SearchConfig, search
from gwsurrogate_ml.strain.simulate import simulate

BANK = BankConfig(mass_min=28.0, mass_max=45.0, q_max=1.6, chi_max=0.3, min_match=0.94, patience=60)
SIGNAL = {
    "mass_1": 37.0, "mass_2": 31.0, "chi_1": 0.1, "chi_2": -0.2, "luminosity_distance": 700.0, "theta_jn": 0.4,
    "phase": 1.0, "psi": 0.3, "ra": 1.375, "dec": -1.2108, "geocent_time": 1126259462.4,
}  # fmt: skip
CONFIG = SearchConfig(f_max=512.0)


@pytest.fixture(scope="module")
def model():
    return gw.load_surrogate("nr22")


@pytest.fixture(scope="module")
def bank(model):
    return place(model, BANK, n_test=20)


def data(parameters, model, seed):
    return simulate(parameters, model, sampling_frequency=2048.0, duration=32.0, seed=seed).series


def test_one_file_for_both_detectors_is_refused(model, bank) -> None:
    one = data(None, model, 1)["H1"]
    with pytest.raises(DataError, match="H1 and L1 hold the same samples"):
        search({"H1": one, "L1": one.copy()}, bank, model, CONFIG)


def test_a_signal_is_found_above_all_slides(model, bank, tmp_path):
    result = search(data(SIGNAL, model, 1), bank, model, CONFIG)
    event = result.events[0]
    delay = {name: event[f"{name}_time"] - SIGNAL["geocent_time"] for name in ("H1", "L1")}
    assert all(abs(value) < 0.03 for value in delay.values())
    assert abs(delay["H1"] - delay["L1"]) <= 0.0151
    assert event["louder_in_background"] == 0
    assert event["false_alarm_rate"] == pytest.approx(1 / result.background.time)
    assert event["ranking"] > 1.5 * result.events["ranking"][1:].max(initial=0.0)
    assert abs(event["mass_1"] + event["mass_2"] - 68) < 12
    # The signal's triggers paired with noise are louder than noise alone, and only the exclusive background lacks them.
    assert result.background.rankings[-1] > result.background_exclusive.rankings[-1]
    path = tmp_path / "triggers.hdf5"
    result.save(path)
    with h5py.File(path) as file:
        assert file["events"]["ranking"][0] == event["ranking"]
        assert file["triggers/H1"].size == result.triggers["H1"].size
        assert file["background/all"].attrs["n_slides"] == result.background.n_slides


def test_the_network_snr_is_that_of_the_signal(model, bank):
    from gwsurrogate_ml.strain.filtering import matched_filter

    noisy = simulate(SIGNAL, model, sampling_frequency=2048.0, duration=32.0, seed=1)
    truth = matched_filter(noisy, model, SIGNAL, f_max=512.0)
    event = search(noisy.series, bank, model, CONFIG).events[0]
    snr = np.hypot(event["H1_snr"], event["L1_snr"])
    # The bank loses a few per cent, and the loudest of many templates gains a little; two ways to measure the PSD.
    assert snr == pytest.approx(truth.network_snr, rel=0.06)


def test_noise_alone_is_not_significant(model, bank):
    probabilities = []
    for seed in (11, 12, 13):
        result = search(data(None, model, seed), bank, model, CONFIG)
        if result.events.size:
            probabilities.append(result.events["false_alarm_probability"][0])
        assert result.background.rankings.size > 0
    # The loudest noise event's false-alarm probability is uniform: three below 0.1 are a chance in a thousand.
    assert max(probabilities) > 0.1


def test_the_chi_squared_of_noise_is_one_with_the_measured_psd(model):
    from gwsurrogate_ml.kernels.chisq import power_chisq
    from gwsurrogate_ml.search.segments import blocks, condition

    block = blocks([(1126259446.0, 1126259478.0)], 64.0, 4.0, 4.0)[0]
    template = model.frequency_domain(
        *np.array([[38.0], [33.0], [0.0], [0.0]]), duration=32.0, sampling_frequency=1024.0, f_min=20.0
    )[0]
    values = []
    for seed in range(3):
        series = simulate(None, sampling_frequency=1024.0, duration=32.0, detectors=["H1"], seed=seed).series["H1"]
        data = condition(series, block, 20.0, 500.0, 2.0, 2.0)
        points = np.arange(5 * 1024, 27 * 1024, 64)
        chisq, dof = power_chisq(template, data.strain, data.psd, data.delta_f, 20.0, 16, points, f_high=500.0)
        values.append(chisq / dof)
    # 350 times a seed, a third of them independent: 0.258 / sqrt(350) = 0.014; the PSD's own scatter adds a few per cent.
    assert np.mean(values) == pytest.approx(1, abs=0.06)
    assert np.std(values) == pytest.approx(np.sqrt(2 / 30), rel=0.2)


def test_long_data_are_searched_in_blocks_with_the_same_events(model, bank):
    # A signal strong enough that the blocks' differing PSDs do not matter; gaps in one detector.
    series = simulate(SIGNAL, model, sampling_frequency=2048.0, duration=72.0, seed=5).series
    series["L1"].value[: 4 * 2048] = np.nan
    whole = search(series, bank, model, CONFIG)
    parts = search(series, bank, model, SearchConfig(f_max=512.0, block=32.0))
    assert len(parts.spans) > len(whole.spans) == 1
    assert parts.live_time == pytest.approx(whole.live_time)
    a, b = whole.events[0], parts.events[0]
    assert b["time"] == pytest.approx(a["time"], abs=0.005)
    assert b["ranking"] == pytest.approx(a["ranking"], rel=0.1)
    assert b["louder_in_background"] == 0


def test_threads_change_nothing(model, bank):
    series = data(SIGNAL, model, 2)
    one, two = (search(series, bank, model, SearchConfig(f_max=512.0, n_jobs=n)) for n in (1, 2))
    np.testing.assert_array_equal(one.events, two.events)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"f_max": 2000.0}, "f_max"),
        ({"slide_step": 0.01}, "slide_step"),
        ({"slide_step": 20.0}, "leaves no slide of the .* s that are searched.*lower it to .* s or less"),
        ({"threshold": 0.0}, "threshold"),
    ],
)
def test_impossible_settings_are_refused_before_work_starts(model, bank, change, message):
    with pytest.raises(ConfigError, match=message):
        search(data(None, model, 1), bank, model, SearchConfig(**change))


def test_one_detector_is_refused(model, bank):
    series = data(None, model, 1)
    with pytest.raises(ConfigError, match="need two"):
        search({"H1": series["H1"]}, bank, model, CONFIG)


def test_gw150914_is_the_loudest_event_above_all_slides(data_dir, model, bank, tmp_path):
    files = [f"{name}={data_dir(f'strain/{name[0]}-{name}_LOSC_4_V2-1126259446-32.hdf5')}" for name in ("H1", "L1")]
    bank.save(tmp_path / "bank.hdf5")
    words = ["search", "--strain", files[0], "--strain", files[1], "--bank", str(tmp_path / "bank.hdf5")]
    words += ["--threshold", "4.00000001"]
    found = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out"), "--json"])
    assert found.exit_code == 0, found.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    event = summary["events"][0]
    assert event["H1_time"] == pytest.approx(1126259462.423, abs=0.003)
    assert event["L1_time"] == pytest.approx(1126259462.416, abs=0.003)
    assert 18 < event["H1_snr"] < 20.5
    assert 13 < event["L1_snr"] < 15
    assert event["louder_in_background"] == 0
    assert event["ranking"] > summary["background"]["loudest"]
    repeat = json.loads((tmp_path / "out" / "config.json").read_text())["repeat"]
    assert "--threshold 4.00000001" in repeat
    present = {path.name for path in (tmp_path / "out").iterdir()}
    assert present == {"triggers.hdf5", "bank.hdf5", "bank.xml.gz", "search.png", "summary.json", "config.json"}


def test_the_command_names_what_is_wrong(tmp_path):
    words = ["search", "--out", str(tmp_path / "out"), "--strain"]
    for files, message in ((["H1=a.hdf5"], "need two"), (["H1=a.hdf5", "--strain", "L1=b.hdf5"], "a.hdf5")):
        found = CliRunner().invoke(app, [*words, *files])
        assert found.exit_code == 2
        assert message in found.output
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_a_band_beyond_the_data_before_it_places_a_bank(data_dir, tmp_path):
    files = [f"{name}={data_dir(f'strain/{name[0]}-{name}_LOSC_4_V2-1126259446-32.hdf5')}" for name in ("H1", "L1")]
    words = ["search", "--strain", files[0], "--strain", files[1], "--f-max", "4000", "--out", str(tmp_path / "out")]
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 2
    assert "f_max" in found.output
    assert "placing" not in found.output
    assert not (tmp_path / "out").exists()
