"""Scatter is smoothed away, lines and shape are kept, and the inverse stays right on average."""

from __future__ import annotations

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import search
from gwsurrogate_ml.inference.prior.binary import BinaryPrior
from gwsurrogate_ml.kernels.psd import median_bias
from gwsurrogate_ml.strain.scatter import excess_sharpness, inverse_bias, overlap_correlation
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.strain.smooth import LEFT, smoothed
from gwsurrogate_ml.strain.spectrum import load_psd, tapered
from gwsurrogate_ml.surrogate.load import load_model

RATE, LENGTH = 1024, 4096


def measured(n: int, rng: np.random.Generator, window: np.ndarray) -> np.ndarray:
    """Spectrum of white noise of unit power from n half-overlapping periodograms."""
    x = rng.normal(size=(n + 1) * LENGTH // 2)
    each = [np.abs(np.fft.rfft(window * x[b : b + LENGTH])) ** 2 for b in range(0, n * LENGTH // 2, LENGTH // 2)]
    r = overlap_correlation(window, LENGTH // 2)
    return np.median(each, axis=0) / np.sum(window**2) / median_bias(n) * inverse_bias(n, r, n - 1)


@pytest.mark.parametrize("n", [6, 11, 28, 124])
def test_little_scatter_is_left_and_noise_keeps_unit_power(n: int) -> None:
    rng, window, f = np.random.default_rng(n), tapered(4.0, RATE, 0.4), np.fft.rfftfreq(LENGTH, 1 / RATE)
    inside = (f > 20) & (f < 500)
    x = np.array([1 / smoothed(f, measured(n, rng, window), n, window)[inside] for _ in range(12)])
    assert x.mean() == pytest.approx(1, abs=0.015)  # observed within 0.005
    assert np.mean(x**2) / x.mean() ** 2 - 1 < LEFT * excess_sharpness(n, 0.27, n - 2)


def test_lines_stay_as_measured_and_the_shape_of_a_detector_is_kept() -> None:
    rng, window, f = np.random.default_rng(3), tapered(4.0, RATE, 0.4), np.fft.rfftfreq(LENGTH, 1 / RATE)
    design, psd = load_psd("aLIGO")
    shape = np.interp(f, design, psd)
    lines = np.zeros(len(f))
    lines[[240, 241, 1440]] = 30.0, 20.0, 200.0
    inside = (f > 20) & (f < 500)
    ratios = []
    for _ in range(20):
        raw = measured(11, rng, window) * shape * (1 + lines)
        out = smoothed(f, raw, 11, window)
        assert np.array_equal(out[[240, 241, 1440]], raw[[240, 241, 1440]])
        ratios.append(out / shape)
    mean = np.mean(ratios, axis=0)
    plain = inside & (np.convolve(lines, np.ones(9), "same") == 0)
    off = np.abs(np.log(mean[plain]))
    assert np.quantile(off, 0.95) < 0.08  # observed 0.05
    assert np.quantile(off, 0.99) < 0.2  # observed 0.15: what is kept scatters, by 0.1 in the mean of 20
    assert off.max() < 0.5  # half-way up a line of the design itself


def test_a_segment_from_little_data_has_it_and_can_do_without() -> None:
    data = simulate(None, detectors=("H1",), duration=32, sampling_frequency=1024, seed=4)
    band = {"f_max": 400.0}
    plain, smooth = data.segment(smooth=False, **band), data.segment(**band)
    inside = smooth.mask
    f, design = load_psd("aLIGO")
    truth = np.interp(smooth.frequencies[inside], f, design)
    scatter = [np.std(np.log(s.psd[0, inside] / truth)) for s in (plain, smooth)]
    assert scatter[0] > 0.3
    assert scatter[1] < 0.15
    power = [np.mean(np.abs(s.strain[0, inside]) ** 2 / s.psd[0, inside]) / 2 for s in (plain, smooth)]
    assert power[1] == pytest.approx(1, abs=0.15)


def test_too_few_frequencies_are_left_alone() -> None:
    psd = np.random.default_rng(0).exponential(size=33)
    assert smoothed(np.arange(33) * 8.0, psd, 5, np.ones(128)) is psd


@pytest.mark.slow
def test_gw150914_is_as_loud_as_with_the_catalogues_spectrum(data_dir) -> None:
    """GWTC-1's spectra are a fit of splines and lines to these data (BayesLine): an independent smoothing."""
    files = {name: data_dir(f"strain/{name[0]}-{name}_LOSC_4_V2-1126259446-32.hdf5") for name in ("H1", "L1")}
    theirs = {name: str(data_dir(f"psd/GWTC1_GW150914_PSD_{name}.dat")) for name in files}
    data, model = gw.StrainData.from_files(files, gps=1126259462.4), load_model("nr22")
    prior = BinaryPrior(chirp_mass=(25.0, 37.0), mass_ratio=(0.5, 1.0), chi=(-0.3, 0.3))

    def loudness(**options) -> tuple[np.ndarray, np.ndarray]:
        likelihood = SegmentLikelihood(data.segment(**options), model)
        h = likelihood.waveforms(prior.reference())
        band = np.flatnonzero(likelihood.frequencies >= 20)
        return search(likelihood, prior, h[0, band], band, 1).snr, np.sqrt(likelihood.power(h)[0])

    (catalogue, its_reach), (smooth, reach), (plain, _) = loudness(psd=theirs), loudness(), loudness(smooth=False)
    assert np.abs(smooth / catalogue - 1).max() < 0.03  # observed 0.006, 0.026
    assert np.abs(reach / its_reach - 1).max() < 0.04  # observed 0.033
    assert np.all(plain < 0.96 * catalogue)  # observed 0.941, 0.946


def test_weak_lines_are_seen_from_a_dozen_periodograms_on() -> None:
    """Where a line is taken for scatter, noise there counts for many times what it should."""
    rng, f = np.random.default_rng(8), np.arange(2049) / 4
    lines = np.zeros(len(f))
    lines[100::60] = 9.0
    trusted = []
    for _ in range(40):
        raw = np.median(rng.exponential(size=(11, len(f))), axis=0) / np.log(2) * (1 + lines)
        trusted.append((1 + lines) / smoothed(f, raw, 11, np.ones(64)))
    mean = np.mean(trusted, axis=0)
    assert np.mean(mean[100::60]) < 2.0  # observed 1.3; ten if it were smoothed away
