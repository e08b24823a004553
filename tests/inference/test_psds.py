"""Noise drawn for a detector is of that detector's kind, wherever events are simulated."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.inference import psds
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import draw_injection, random_psds
from gwsurrogate_ml.inference.prior.binary import BinaryPrior
from gwsurrogate_ml.waveform.lal import LalModel

CONFIG = SegmentConfig(detectors=("H1", "V1", "K1"), f_max=512.0)


def loudness(psd: np.ndarray) -> np.ndarray:
    """ASD (...,) between 50 and 250 Hz in units of the design of the mid LIGO detectors, in logarithms."""
    f = np.arange(psd.shape[-1]) / CONFIG.duration
    band = (f > 50) & (f < 250)
    return 0.5 * np.median(np.log(psd[..., band] / psds.reference_psd(f[band])), axis=-1)


def expected(detector: str, n: int = 400) -> tuple[float, float]:
    """Range that holds the mean of 60 draws of the detector's kind."""
    f = np.arange(round(CONFIG.f_max * CONFIG.duration) + 1) / CONFIG.duration
    rng = np.random.default_rng(99)
    kind = {"V1": "virgo", "K1": "kagra"}.get(detector, "ligo")
    f[0] = f[1]
    draws = loudness(np.array([psds.random_psd(f, rng, kind) for _ in range(n)]))
    reach = 4 * draws.std() * (1 / 60 + 1 / n) ** 0.5
    return draws.mean() - reach, draws.mean() + reach


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.array([loudness(random_psds(CONFIG, rng)) for _ in range(60)]).mean(axis=0)


@pytest.mark.parametrize("detector", CONFIG.detectors)
def test_random_spectra_are_of_the_detectors_kind(detector: str, drawn: np.ndarray) -> None:
    low, high = expected(detector)
    assert low < drawn[CONFIG.detectors.index(detector)] < high


@pytest.mark.slow
def test_the_kinds_differ(drawn: np.ndarray) -> None:
    assert min(drawn[1:]) - drawn[0] > 0.3
    ligo, virgo, kagra = (expected(d) for d in ("H1", "V1", "K1"))
    assert ligo[1] < min(virgo[0], kagra[0])


@pytest.mark.slow
def test_injections_have_each_detectors_noise() -> None:
    config = SegmentConfig(detectors=("H1", "V1"), f_max=512.0)
    rng = np.random.default_rng(1)
    mean = np.mean([loudness(draw_injection(config, BinaryPrior(), LalModel(), rng).segment.psd) for _ in range(12)], axis=0)
    assert mean[1] - mean[0] > 0.3


@pytest.mark.parametrize(("f_min", "f_max"), [(20.0, 1024.0), (20.0, 400.0), (45.0, 300.0)])
@pytest.mark.filterwarnings("error")
def test_a_louder_detector_is_as_much_louder_in_every_band_whatever_the_analysis_uses(f_min: float, f_max: float) -> None:
    f = np.arange(4 * f_min, 4 * f_max + 1) / 4
    psd = np.stack([4.0 * psds.reference_psd(f), np.where(f < 60.0, np.inf, psds.reference_psd(f))])
    louder, deaf = psds.band_ratios(psd, f)
    np.testing.assert_allclose(louder, np.log(2.0), atol=1e-12)
    np.testing.assert_allclose(deaf[8:], 0.0, atol=1e-12)  # from 80 Hz on
    assert deaf[0] > 10
