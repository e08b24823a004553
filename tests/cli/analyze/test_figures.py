"""The report's figures of one run: the true signal lies on noiseless data and in the middle of the posterior's band."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gwsurrogate_ml import plot
from gwsurrogate_ml.cli.analyze.figures import FIGURES, pictures
from gwsurrogate_ml.cli.analyze.pipeline import Run
from gwsurrogate_ml.cli.analyze.settings import Settings
from gwsurrogate_ml.cli.console import ProgressReport
from gwsurrogate_ml.cli.demo import SIGNAL, true_parameters
from gwsurrogate_ml.inference.analysis.any_event import Analysis
from gwsurrogate_ml.inference.analysis.choice import Choice
from gwsurrogate_ml.inference.result.result import Result
from gwsurrogate_ml.strain.filtering import matched_filter
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.strain.spectrum import load_psd
from gwsurrogate_ml.waveform.lal import LalModel

CHOICE = Choice("bbh-h1l1", "nr22", {}, 4.0, 20.0, 1024.0, None, ())


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
    return Run(noisy, data.segment(psd="aLIGO"), noisy.gps, result, model, CHOICE, filtered, truths=truths)


@pytest.mark.slow
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


@pytest.mark.slow
def test_every_figure_renders_with_its_caption_and_says_where_the_truth_is(run: Run) -> None:
    made = list(pictures(run))
    assert [picture.name for picture in made] == [
        name for name in FIGURES if name not in ("calibration", "glitch")
    ]  # there were none
    assert all(picture.png.startswith(b"\x89PNG") and len(picture.png) > 10_000 for picture in made)
    assert all(picture.caption.endswith(".") for picture in made)
    assert [picture.name for picture in made if "true signal" in picture.caption] == ["waveform"]


def test_truths_of_the_demo_are_consistent() -> None:
    truths = true_parameters()
    assert truths["chirp_mass"] == pytest.approx((39 * 32) ** 0.6 / 71**0.2)
    assert truths["mass_1_source"] * (1 + truths["redshift"]) == pytest.approx(39)
    assert truths["chi_eff"] == pytest.approx((39 * 0.3 - 32 * 0.1) / 71)


def test_the_whitened_figure_and_the_q_transform_use_the_spectra_of_the_matched_filter(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    loud = {name: (f, 4.0 * power) for name, (f, power) in run.filtered.curves.items()}
    louder = replace(run, filtered=replace(run.filtered, curves=loud))

    def drawn(of: Run) -> list[np.ndarray]:
        return [np.asarray(axis.lines[0].get_ydata()) for axis in FIGURES["whitened"][1](of).axes]

    for half, whole in zip(drawn(louder), drawn(run), strict=True):
        np.testing.assert_allclose(half, 0.5 * whole, rtol=1e-6, atol=1e-9)
    taken: list[float] = []
    monkeypatch.setattr(plot, "q_transform", lambda series, *_, **__: taken.append(series["H1"].value.std()))
    FIGURES["q_transform"][1](louder), FIGURES["q_transform"][1](run)
    assert taken[0] == pytest.approx(0.5 * taken[1], rel=1e-6)


def test_a_spectrum_that_ends_with_the_band_is_enough_for_the_figures(run: Run) -> None:
    short = {name: (f[f <= 512], power[f <= 512]) for name, (f, power) in run.filtered.curves.items()}
    ending = replace(run, filtered=replace(run.filtered, curves=short))
    for name in ("whitened", "q_transform"):
        FIGURES[name][1](ending)


def test_the_noise_is_measured_for_the_segment_and_the_matched_filter_and_not_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from gwsurrogate_ml.cli.analyze import pipeline
    from gwsurrogate_ml.strain.data import StrainData

    model, truths = LalModel("IMRPhenomD"), true_parameters()
    data = simulate(SIGNAL, model, duration=32, sampling_frequency=2048, seed=3)
    measured: list[str] = []
    psd_of = StrainData.off_source_psd
    monkeypatch.setattr(
        StrainData,
        "off_source_psd",
        lambda self, name, *a, **k: (measured.append(name), psd_of(self, name, *a, **k))[1],
    )

    class Sampled:
        posterior = pd.DataFrame([truths | {"log_likelihood": 1.0}])

        def with_remnant(self) -> Sampled:
            return self

        def skymap(self, **options: object) -> None:
            return None

    monkeypatch.setattr(pipeline, "_sample", lambda data, *_: Analysis(data, data.segment(), Sampled(), model, CHOICE))
    with ProgressReport() as progress:
        run = pipeline.analyse(data, Settings(), progress)
    FIGURES["whitened"][1](run), FIGURES["q_transform"][1](run)
    assert measured == 2 * list(data.detectors)  # under the window of the segment, and under Hann's

    given = pipeline.analyse(data, Settings(psd={"H1": "aLIGO", "L1": "aLIGO"}), progress)
    assert all(np.array_equal(power, load_psd("aLIGO")[1]) for _, power in given.filtered.curves.values())
