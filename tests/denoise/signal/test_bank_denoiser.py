"""The shipped signal denoiser: known signals in Gaussian and real noise, noise alone, glitches, files, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gwpy.timeseries import TimeSeries
from typer.testing import CliRunner

import gwsurrogate_ml as gw
from gwsurrogate_ml.artifacts import SHIPPED
from gwsurrogate_ml.denoise.signal import calibration
from gwsurrogate_ml.denoise.signal import waveform_bank as banks
from gwsurrogate_ml.denoise.signal.bank_denoiser import BankDenoiser
from gwsurrogate_ml.denoise.signal.denoiser import REFERENCE
from gwsurrogate_ml.denoise.signal.event import denoise_event
from gwsurrogate_ml.denoise.signal.noise import gaussian, noise_segments
from gwsurrogate_ml.denoise.signal.segment import DURATION
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DataError
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.strain.spectrum import load_psd

BINARIES = np.array([[36.0, 29.0, 0.1, -0.1], [60.0, 35.0, 0.3, 0.0], [22.0, 15.0, 0.0, 0.2], [75.0, 30.0, -0.3, 0.1]])


@pytest.fixture(scope="module")
def denoiser() -> BankDenoiser:
    return gw.load_denoiser()


@pytest.fixture(scope="module")
def psd(denoiser: BankDenoiser) -> np.ndarray:
    return np.interp(denoiser.frequencies, *load_psd(REFERENCE))


@pytest.fixture(scope="module")
def waveforms(denoiser: BankDenoiser) -> np.ndarray:
    """Waveforms as the surrogate gives them, straight to the frequency grid: no bank in between."""
    h = gw.load_surrogate("nr22").frequency_domain(*BINARIES.T, duration=16.0, sampling_frequency=2048.0, f_min=20.0)
    return h[:, np.round(denoiser.frequencies * 16).astype(int)]


def test_the_bank_holds_the_surrogates_waveforms(denoiser: BankDenoiser, psd: np.ndarray, waveforms: np.ndarray) -> None:
    ours = banks.build(gw.load_surrogate("nr22"), BINARIES).evaluate(denoiser.frequencies)
    use = denoiser.frequencies > 30.0  # the bank's waveforms rise over the first Hz

    def inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sum(np.conj(a) * b / psd, axis=1, where=use)

    match = np.abs(inner(ours, waveforms)) / np.sqrt(inner(ours, ours).real * inner(waveforms, waveforms).real)
    assert 1 - match.min() < 1e-3  # observed 2e-4


@pytest.mark.slow
@pytest.mark.parametrize(("snr", "overlap"), [(8.0, 0.93), (12.0, 0.97), (20.0, 0.985)])
def test_signals_in_gaussian_noise(
    denoiser: BankDenoiser, psd: np.ndarray, waveforms: np.ndarray, snr: float, overlap: float
) -> None:
    rng = np.random.default_rng(round(snr))
    rows = []
    for waveform in waveforms if snr > 8 else np.concatenate([waveforms, waveforms]):
        segment = gaussian(psd, rng)
        data, signal = calibration.inject(segment, waveform, snr, rng)
        rows.append(calibration.judge(denoiser, segment, data, signal))
    assert np.median([r.overlap for r in rows]) > overlap
    assert np.median([r.amplitude_error for r in rows]) < 2.0 / snr  # the SNR's own error is 1 / snr
    assert 0.45 < np.mean([r.coverage for r in rows]) < 0.9
    assert all(r.bound > r.overlap - 0.01 for r in rows)
    if snr > 8:
        assert min(r.probability for r in rows) > 0.99


@pytest.mark.slow
def test_noise_gives_nothing(denoiser: BankDenoiser, psd: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        segment = gaussian(psd, rng)
        r = denoiser.reconstruct(segment.white, psd, calibration.RATE, n_draws=4)
        assert r.probability < 0.05
        assert np.sum(r.signal**2) < 1.0
        assert abs(r.ood) < denoiser.card["ood_threshold"]


@pytest.mark.slow
def test_a_glitch_is_flagged(denoiser: BankDenoiser, psd: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    f = denoiser.frequencies
    for centre in (70.0, 150.0):
        waveform = np.exp(-(((f - centre) * 12.0 / centre) ** 2)) * np.sqrt(psd)
        segment = gaussian(psd, rng)
        data, _ = calibration.inject(segment, waveform, 25.0, rng)
        r = denoiser.reconstruct(data, psd, calibration.RATE, n_draws=4)
        assert r.ood > denoiser.card["ood_threshold"]


@pytest.mark.slow
def test_a_series_is_denoised_wherever_the_signal_lies(denoiser: BankDenoiser, psd: np.ndarray) -> None:
    parameters = {
        "mass_1": 36.0, "mass_2": 29.0, "chi_1": 0.0, "chi_2": 0.0, "luminosity_distance": 400.0, "theta_jn": 0.3,
        "phase": 0.4, "psi": 0.3, "ra": 1.4, "dec": -1.2,
    }  # fmt: skip
    options = {"detectors": ["L1"], "psds": REFERENCE, "duration": 16.0, "sampling_frequency": 2048.0, "seed": 5}
    surrogate = gw.load_surrogate("nr22")
    data = simulate(parameters, surrogate, **options)
    silent = simulate(parameters, surrogate, zero_noise=True, **options)
    f, curve = load_psd(REFERENCE)
    rate, n = 2048.0, 16 * 2048
    grid = np.arange(n // 2 + 1) / 16.0
    band = (grid >= 24.0) & (grid <= 480.0)
    scale = np.where(grid > 10, np.sqrt(2.0 / rate / np.interp(grid, f, curve)), 0.0)

    def white(series: TimeSeries, keep: np.ndarray) -> np.ndarray:
        return np.fft.irfft(np.fft.rfft(series.value) * scale * keep, n)

    start = float(data.series["L1"].t0.value)
    signal, sigma = denoiser(TimeSeries(white(data.series["L1"], grid > 10), t0=start, sample_rate=rate), REFERENCE)
    truth = white(silent.series["L1"], band)
    assert signal.value @ truth / np.linalg.norm(signal.value) / np.linalg.norm(truth) > 0.97
    far = np.abs(np.arange(n) - np.argmax(np.abs(truth))) > 4 * 2048
    assert np.abs(signal.value[far]).max() < 0.05 * np.abs(signal.value).max()
    assert np.all(sigma.value >= 0)
    assert signal.t0.value == start
    assert "denoised by bbh-signal" in signal.name


def test_an_event_by_name_has_its_time(tmp_path: Path) -> None:
    from gwsurrogate_ml.cli.main import app

    result = CliRunner().invoke(app, ["denoise", "signal", "GW150914", "--gps", "1126259462.4", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "--gps goes with --strain" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_gw150914_in_real_data(denoiser: BankDenoiser, data_dir, tmp_path: Path) -> None:
    words = ["denoise", "signal", "--gps", "1126259462.4", "--out", str(tmp_path / "out")]
    for detector in ("H1", "L1"):
        path = data_dir(f"strain/{detector[0]}-{detector}_LOSC_4_V2-1126259446-32.hdf5")
        words += ["--strain", f"{detector}={path}"]
    from gwsurrogate_ml.cli.main import app

    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    for detector, end, low, high in (("H1", 0.423, 17.5, 20.5), ("L1", 0.416, 12.5, 15.0)):  # independent codes' values
        row = summary[detector]
        assert row["probability"] > 0.99
        assert low < row["snr"] < high
        assert row["gps"] - 1126259462 == pytest.approx(end, abs=0.01)
        assert not row["flagged"]
    assert (tmp_path / "out" / "signal.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_autoencoder_recovers_signals_and_leaves_noise_alone(psd: np.ndarray, waveforms: np.ndarray) -> None:
    learned = gw.load_denoiser("bbh-autoencoder")
    rng = np.random.default_rng(3)
    for snr, overlap in ((12.0, 0.94), (20.0, 0.97)):
        rows = []
        for waveform in np.concatenate([waveforms, waveforms]):
            segment = gaussian(psd, rng)
            data, signal = calibration.inject(segment, waveform, snr, rng)
            rows.append(calibration.judge(learned, segment, data, signal))
        assert np.median([r.overlap for r in rows]) > overlap
        assert np.median([r.amplitude_error for r in rows]) < 2.0 / snr  # the SNR's own error is 1 / snr
        assert 0.45 < np.mean([r.coverage for r in rows]) < 0.9
        assert np.mean([r.probability for r in rows]) > 0.95
    for _ in range(5):
        segment = gaussian(psd, rng)
        r = learned.reconstruct(segment.white, psd, calibration.RATE)
        assert np.sum(r.signal**2) < 16.0
    glitch = np.exp(-(((learned.frequencies - 150.0) * 12.0 / 150.0) ** 2)) * np.sqrt(psd)
    segment = gaussian(psd, rng)
    data, _ = calibration.inject(segment, glitch, 30.0, rng)
    assert learned.flags(learned.reconstruct(data, psd, calibration.RATE))


@pytest.mark.slow
def test_both_denoisers_agree_on_gw150914(denoiser: BankDenoiser, data_dir) -> None:
    path = data_dir("strain/H-H1_LOSC_4_V2-1126259446-32.hdf5")
    data = gw.StrainData.from_files({"H1": path}, gps=1126259462.4)
    bank, learned = (denoise_event(d, data)["H1"].result for d in (denoiser, gw.load_denoiser("bbh-autoencoder")))
    overlap = bank.signal @ learned.signal / np.linalg.norm(bank.signal) / np.linalg.norm(learned.signal)
    assert overlap > 0.95
    assert learned.snr == pytest.approx(bank.snr, rel=0.1)


def test_saved_and_loaded_it_says_the_same(denoiser: BankDenoiser, psd: np.ndarray, tmp_path: Path) -> None:
    small = banks.Bank(*(getattr(denoiser.bank, key)[:50] for key in ("parameters", "log_amplitude", "phase", "start")))
    first = BankDenoiser(denoiser.card, small)
    again = gw.load_denoiser(first.save(tmp_path / "model"))
    segment = gaussian(psd, np.random.default_rng(2))
    a, b = (d.reconstruct(segment.white, psd, 1024.0) for d in (first, again))
    assert a.log_bayes == pytest.approx(b.log_bayes, abs=1e-3)
    assert a.best == b.best
    with pytest.raises(ArtifactError, match="kind"):
        gw.load_denoiser("nr22")


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (TimeSeries(np.zeros(8192), sample_rate=2048), "not 1: whiten it first"),
        (TimeSeries(1e-21 * np.random.default_rng(0).normal(size=8192), sample_rate=2048), "whiten it first"),
        (TimeSeries(np.random.default_rng(0).normal(size=8192), sample_rate=512), "sampled at 512 Hz"),
        (TimeSeries(np.r_[np.nan, np.random.default_rng(0).normal(size=8191)], sample_rate=2048), "without gaps"),
        ({"H1": None}, "give one gwpy TimeSeries"),
    ],
)
def test_series_that_cannot_be_denoised(denoiser: BankDenoiser, series: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        denoiser(series)


def test_psd_and_band_that_do_not_fit(denoiser: BankDenoiser) -> None:
    white = TimeSeries(np.random.default_rng(0).normal(size=8192), sample_rate=2048)
    f = np.arange(30.0, 400.0)
    with pytest.raises(DataError, match="24 to 480 Hz are needed"):
        denoiser(white, (f, np.full(f.size, 1e-46)))
    with pytest.raises(ConfigError, match="the bank covers"):
        denoiser.bank.evaluate(np.array([10.0, 100.0]))


def test_noise_segments_of_a_short_or_broken_series(denoiser: BankDenoiser) -> None:
    series = TimeSeries(np.random.default_rng(0).normal(size=1024 * 32), sample_rate=1024)
    segments = noise_segments(series)
    power = np.mean([np.mean(np.abs(s.white) ** 2) for s in segments])
    assert power == pytest.approx(0.5 * DURATION, rel=0.15)
    with pytest.raises(DataError, match="too short for a PSD"):
        noise_segments(series[: 1024 * 6])
    series.value[:: 1024 * 5] = np.nan
    with pytest.raises(DataError, match="too little is left between gaps"):
        noise_segments(series)


@pytest.mark.parametrize("rate", [256, 880])
def test_an_event_sampled_too_slowly_is_refused_with_the_lowest_rate(denoiser: BankDenoiser, rate: int) -> None:
    noise = TimeSeries(1e-21 * np.random.default_rng(0).normal(size=32 * rate), sample_rate=rate, name="H1")
    data = gw.StrainData.from_series({"H1": noise}, gps=16.0)
    with pytest.raises(DataError, match=f"H1 is sampled at {rate} Hz: whole rates from 960 Hz"):
        denoise_event(denoiser, data)
    with pytest.raises(DataError, match=f"H1 is sampled at {rate} Hz: whole rates from 960 Hz"):
        noise_segments(noise)


def test_shipped_weights_stay_small() -> None:
    for name in ("bbh-signal", "bbh-autoencoder"):
        assert sum(path.stat().st_size for path in (SHIPPED / name).glob("*")) < 2e6
