"""Simulated strain: the noise has the statistics the Whittle likelihood assumes, and impossible signals are refused."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.filtering import matched_filter
from gwsurrogate_ml.strain.simulate import coloured_noise, simulate
from gwsurrogate_ml.strain.spectrum import load_psd
from gwsurrogate_ml.waveform.model import QuadrupoleModel

PARAMETERS = {
    "mass_1": 36.0,
    "mass_2": 29.0,
    "luminosity_distance": 800.0,
    "theta_jn": 0.4,
    "phase": 1.2,
    "psi": 0.3,
    "ra": 1.3,
    "dec": -1.2,
    "geocent_time": 1126259462.4,
}


class Burst(QuadrupoleModel):
    """A stand-in for a model: a 100 Hz sine-Gaussian burst of constant size, with its peak at t = 0."""

    name = "burst"

    def quadrupole(self, binaries, grid):
        f = np.arange(grid.n_f) / grid.duration
        return np.array([1e-19 * np.exp(-0.5 * ((f - 100.0) / 20.0) ** 2) + 0j for _ in binaries.mass_1])


def test_noise_power_is_exponential_about_the_psd():
    rng = np.random.default_rng(0)
    psd = np.geomspace(1e-40, 1e-46, 2001)
    power = np.array([np.abs(coloured_noise(psd, 8.0, rng)) ** 2 for _ in range(400)])[:, 1:-1] / (psd[1:-1] * 8.0 / 2)
    # 800,000 unit exponentials: mean 1 +- 0.0011, variance 1 +- 0.003.
    assert abs(power.mean() - 1) < 0.006
    assert abs(power.var() - 1) < 0.02
    # No bin differs from the others: means over 400 draws scatter by 5 %.
    assert np.all(np.abs(power.mean(axis=0) - 1) < 0.3)


def test_off_source_psd_of_simulated_data_is_the_psd_put_in():
    data = simulate(None, duration=128, sampling_frequency=2048, seed=1)
    segment = data.segment()
    truth = np.interp(segment.frequencies, *load_psd("aLIGO"))
    ratio = (truth / segment.psd)[:, segment.mask]
    assert abs(ratio.mean() - 1) < 0.015
    # 62 s before and 62 s after the segment, less the odd 0.4 s: 30 and 29 half-overlapping stretches of 4 s.
    assert segment.psd_segments == (59, 59)


@pytest.mark.parametrize(("detector", "curve"), [("H1", "aLIGO"), ("V1", "AdV"), ("K1", "KAGRA"), ("A1", "Aplus_asd")])
def test_noise_is_by_default_that_of_the_detectors_own_design(detector, curve):
    other = "H1" if detector != "H1" else "V1"  # the same whatever stands beside it
    data = simulate(None, detectors=(other, detector), duration=64, sampling_frequency=2048, seed=1)
    assert set(data.detectors) == {other, detector}
    (f, psd), _ = data.off_source_psd(detector, (data.gps - 2, data.gps + 2))  # Hann: KAGRA's lines leak under Tukey
    band = (f > 30) & (f < 900)
    assert abs(np.mean(np.interp(f[band], *load_psd(curve)) / psd[band]) - 1) < 0.03


def test_whittle_statistic_of_simulated_noise_is_one_but_for_the_window():
    chi = []
    for seed in range(6):
        segment = simulate(None, sampling_frequency=2048, seed=seed).segment(psd="aLIGO")
        chi.append(-segment.noise_log_likelihood() / (segment.mask.sum() * 2))
    # The Tukey window takes 5 alpha / 8 = 12.5 % of the power away; 48,000 exponentials give +- 0.005.
    assert abs(np.mean(chi) - 0.875) < 0.02


def test_seed_and_detector_decide_the_noise():
    first, again, other = (simulate(None, sampling_frequency=1024, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.series["H1"].value, again.series["H1"].value)
    assert not np.array_equal(first.series["H1"].value, other.series["H1"].value)
    h1, l1 = (first.series[d].value[1000:-1000] for d in ("H1", "L1"))
    assert abs(np.corrcoef(np.diff(h1, 8), np.diff(l1, 8))[0, 1]) < 0.05


def test_the_signal_lies_at_the_geocentric_time_plus_the_delay():
    from gwsurrogate_ml.strain.detectors import interferometer

    data = simulate(PARAMETERS, Burst(), ("H1", "L1", "V1"), zero_noise=True)
    assert data.gps == PARAMETERS["geocent_time"]
    for name, series in data.series.items():
        delay = interferometer(name).time_delay_from_geocenter(PARAMETERS["ra"], PARAMETERS["dec"], data.gps)
        envelope = np.abs(np.fft.ifft(np.where(np.arange(series.size) < series.size // 2, np.fft.fft(series.value), 0)))
        peak = series.t0.value + np.argmax(envelope) / 4096
        assert abs(peak - data.gps - delay) < 1 / 4096


def test_matched_filter_recovers_the_optimal_snr_in_simulated_noise():
    quiet = simulate(PARAMETERS, Burst(), zero_noise=True)
    data = simulate(PARAMETERS, Burst(), seed=4)
    result = matched_filter(data, Burst(), PARAMETERS)
    for name, found in result.detectors.items():
        h = np.fft.rfft(quiet.series[name].value) / 4096
        f = np.arange(h.size) / 32
        band = (f >= 20) & (f <= 1024)
        optimal = np.sqrt(4 / 32 * np.sum(np.abs(h[band]) ** 2 / np.interp(f[band], *load_psd("aLIGO"))))
        assert optimal > 10
        assert abs(found.peak_snr / optimal - 1) < 0.12 + 2 / optimal
        assert 0.3 < found.chisq_per_dof < 2.0


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"theta_jn": None}, {}, "missing: theta_jn"),
        ({"mass_2": None}, {}, "masses missing"),
        ({}, {"waveform": None}, "without a waveform model"),
        ({"mass_1": 1.4, "mass_2": 1.4}, {}, r"lasts 1[56]\d\.\d s from f_min=20 Hz"),
        ({}, {"duration": 32.0001}, "even number of samples"),
    ],
)
def test_impossible_signals_are_refused(change, options, message):
    parameters = {k: v for k, v in (PARAMETERS | change).items() if v is not None}
    with pytest.raises(ConfigError, match=message):
        simulate(parameters, **({"waveform": Burst()} | options))


def test_unknown_detector_is_refused():
    with pytest.raises(DataError, match="unknown detector 'Q1'"):
        simulate(None, detectors=("H1", "Q1"))


def test_a_model_of_the_wrong_length_is_refused():
    class Short(Burst):
        def quadrupole(self, binaries, grid):
            return super().quadrupole(binaries, grid)[:, :-1]

    with pytest.raises(ConfigError, match="returned shape"):
        simulate(PARAMETERS, Short())
