"""The report's figures of one run: the true signal lies on noiseless data and in the middle of the posterior's band."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gwsurrogate_ml.cli.analyze.figures import FIGURES, pictures
from gwsurrogate_ml.cli.analyze.pipeline import Run
from gwsurrogate_ml.cli.demo import SIGNAL, true_parameters
from gwsurrogate_ml.inference.result.result import Result
from gwsurrogate_ml.strain.filtering import matched_filter
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.waveform.lal import LalModel


@pytest.fixture(scope="module")
def run() -> Run:
    model, truths = LalModel("IMRPhenomD"), true_parameters()
    data = simulate(SIGNAL, model, duration=16, sampling_frequency=2048, zero_noise=True)
    noise = simulate(None, duration=16, sampling_frequency=2048, gps=data.gps, seed=4)
    rng = np.random.default_rng(0)
    posterior = pd.DataFrame([truths] * 400) + 0.0
    for name in ("chirp_mass", "mass_ratio", "chi_1", "chi_2", "theta_jn"):
        posterior[name] += 1e-4 * rng.normal(size=400)
    posterior["luminosity_distance"] *= rng.uniform(0.95, 1.05, 400)
    posterior["log_likelihood_ratio"] = rng.normal(size=400)
    result = Result(
        posterior=posterior,
        weighted=pd.DataFrame({"log_weight": rng.normal(size=500)}),
        n_draws=500,
        sample_efficiency=0.4,
        pareto_k=0.1,
        log_evidence=0.0,
        log_evidence_error=0.0,
        log_noise_evidence=-100.0,
        extrinsic_ess=100.0,
        seconds=1.0,
    )
    # Noise for what estimates a spectrum from the data; the segment itself is noiseless, with a given one.
    noisy = type(data)({name: data.series[name] + noise.series[name].value for name in data.detectors}, data.gps)
    filtered = matched_filter(noisy, model, truths)
    return Run(noisy, data.segment(psd="aLIGO"), noisy.gps, result, model, filtered, truths=truths)


def test_truth_lies_on_the_data_and_in_the_band(run: Run) -> None:
    figure = FIGURES["waveform"][1](run)
    for axis in figure.axes:
        lines = {line.get_label(): np.asarray(line.get_ydata()) for line in axis.lines}
        largest = np.max(np.abs(lines["true signal"]))
        assert largest > 1
        assert np.max(np.abs(lines["true signal"] - lines["whitened data"])) < 0.03 * largest
        assert np.max(np.abs(lines["true signal"] - lines["median"])) < 0.03 * largest
        band = axis.collections[0].get_paths()[0].vertices[:, 1]
        assert np.max(np.abs(band)) > 1.02 * largest


def test_every_figure_renders_with_its_caption_and_says_where_the_truth_is(run: Run) -> None:
    made = list(pictures(run))
    assert [picture.name for picture in made] == list(FIGURES)
    assert all(picture.png.startswith(b"\x89PNG") and len(picture.png) > 10_000 for picture in made)
    assert all(picture.caption.endswith(".") for picture in made)
    assert [picture.name for picture in made if "true signal" in picture.caption] == ["waveform"]


def test_truths_of_the_demo_are_consistent() -> None:
    truths = true_parameters()
    assert truths["chirp_mass"] == pytest.approx((39 * 32) ** 0.6 / 71**0.2)
    assert truths["mass_1_source"] * (1 + truths["redshift"]) == pytest.approx(39)
    assert truths["chi_eff"] == pytest.approx((39 * 0.3 - 32 * 0.1) / 71)
