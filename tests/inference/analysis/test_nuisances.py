"""Calibration errors through a whole analysis: exact likelihoods of the draws, evidence, files, bilby, refusals, resumption."""

from __future__ import annotations

from dataclasses import replace

import bilby
import numpy as np
import pytest

from gwsurrogate_ml.conventions import PARAMETERS
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.inference import Result, SamplingOptions, SegmentLikelihood, load_estimator
from gwsurrogate_ml.inference.analysis.nuisances import Integration
from gwsurrogate_ml.inference.likelihood.injections import random_psds, simulate_segment
from gwsurrogate_ml.inference.nuisances.envelope import CalibrationEnvelope
from gwsurrogate_ml.inference.nuisances.prior import Nuisances
from gwsurrogate_ml.inference.result.combine import combine
from gwsurrogate_ml.inference.result.nuisances import flags, nodes_of
from gwsurrogate_ml.inference.sampling.checkpoint import SUFFIX

SLOW_FIXTURES = ("result",)
SMALL = SamplingOptions(n_sets=2, n_points=512, pilot=300, refine_below=0.02, max_posterior=300, on_edge="warn", centre_time=False)
ENVELOPES = {name: CalibrationEnvelope.constant(0.05, 0.05) for name in ("H1", "L1")}
TRUTH = {
    "chirp_mass": 28.0, "mass_ratio": 0.7, "chi_1": 0.2, "chi_2": -0.1, "luminosity_distance": 700.0, "theta_jn": 0.6,
    "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": 1187008882.41,
}  # fmt: skip


@pytest.fixture(scope="module")
def estimator():
    return load_estimator()


@pytest.fixture(scope="module")
def segment(estimator):
    rng, config = np.random.default_rng(1), estimator.config.segment
    return simulate_segment(TRUTH, estimator.model, random_psds(config, rng), config, rng)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("steps")


@pytest.fixture(scope="module")
def result(estimator, segment, kept) -> Result:
    options = {"calibration": ENVELOPES, "waveform_error": (0.01, 0.01)}
    return estimator.sample(segment, n=1200, seed=3, options=SMALL, checkpoint=kept, **options)


@pytest.mark.peer
def test_posterior_draws_carry_bilbys_likelihood_of_recalibrated_detectors(result: Result, estimator, segment) -> None:
    from gwsurrogate_ml.plugins.bilby import source_model

    interferometers = segment.to_bilby()
    for interferometer in interferometers:
        interferometer.calibration_model = bilby.gw.calibration.CubicSpline(f"recalib_{interferometer.name}_", 20.0, 1024.0, 10)
    generator = bilby.gw.WaveformGenerator(
        duration=segment.duration,
        sampling_frequency=interferometers.sampling_frequency,
        frequency_domain_source_model=source_model(estimator.model),
        parameter_conversion=bilby.gw.conversion.convert_to_lal_binary_black_hole_parameters,
        waveform_arguments={"minimum_frequency": 20.0},
    )
    likelihood = bilby.gw.GravitationalWaveTransient(interferometers, generator)
    nuisances = Nuisances.from_record(result.meta["nuisances"]["prior"])
    frequencies = np.arange(len(segment.frequencies)) / segment.duration
    for i in range(0, 60, 6):
        row = result.posterior.iloc[i]
        # bilby knows no waveform error: its factor goes into the strain and the spectrum.
        shared = nodes_of(row.to_frame().T, nuisances)[0].copy()
        shared[:2] = 0.0
        inside = segment.mask
        factor = nuisances.factor(shared, frequencies[inside])[0]
        parameters = {name: float(row[name]) for name in (*PARAMETERS, *(c for c in nuisances.columns if c.startswith("recalib")))}
        total = 0.0
        for interferometer in likelihood.interferometers:
            polarizations = generator.frequency_domain_strain(parameters)
            signal = interferometer.get_detector_response(polarizations, parameters)[inside] * factor
            psd, data = interferometer.power_spectral_density_array[inside], interferometer.frequency_domain_strain[inside]
            total += 4 / segment.duration * np.sum(np.real(np.conj(signal) * data / psd) - 0.5 * np.abs(signal) ** 2 / psd)
        assert row["log_likelihood_ratio"] == pytest.approx(total, abs=0.01)  # observed 0.003: GPS times in float64


def test_weights_are_the_integral_over_the_likelihood_drawn_from(result: Result) -> None:
    record = result.meta["nuisances"]
    assert record["efficiency"] > 0.98
    assert result.sample_efficiency > 0.8  # observed 0.98
    assert result.n_draws == len(result.weighted) <= SMALL.max_posterior
    assert result.pareto_k >= record["drawn_from"]["pareto_k"] or result.pareto_k < 0.7
    assert not [text for text in result.flags if "calibration" in text]


def test_evidence_does_not_depend_on_how_broad_the_draws_were_made(result: Result, estimator, segment, monkeypatch) -> None:
    from gwsurrogate_ml.inference.nuisances import softened

    excess = softened.excess
    monkeypatch.setattr(softened, "excess", lambda *arguments: 2.5 * excess(*arguments))
    broader = estimator.sample(segment, n=1200, seed=4, options=SMALL, calibration=ENVELOPES, waveform_error=(0.01, 0.01))
    error = np.hypot(result.log_evidence_error, broader.log_evidence_error)
    assert abs(result.log_evidence - broader.log_evidence) < 4 * max(error, 0.03)
    width = result.posterior["chirp_mass"].std()
    assert abs(result.posterior["chirp_mass"].median() - broader.posterior["chirp_mass"].median()) < 0.5 * width


@pytest.mark.peer
def test_files_bilby_and_curves_hold_the_nodes(result: Result, tmp_path) -> None:
    for name in ("result.json", "result.h5"):
        again = Result.load(result.save(tmp_path / name))
        assert np.allclose(again.posterior[result.posterior.columns], result.posterior)
        assert again.curves()["L1"]["phase"] == pytest.approx(result.curves()["L1"]["phase"])
    theirs = result.to_bilby()
    assert theirs.posterior["recalib_H1_frequency_9"].iloc[0] == pytest.approx(1024.0)
    assert theirs.priors["recalib_L1_phase_3"].sigma == pytest.approx(0.05)
    assert "waveform_error_amplitude_0" in theirs.search_parameter_keys
    curves = result.curves()
    assert list(curves) == ["H1", "L1", "waveform"]
    inside = np.abs(curves["H1"]["frequency"] - 100).argmin()
    low, _, high = (curves["H1"]["amplitude"][k, inside] for k in range(3))
    prior = curves["H1"]["prior_amplitude"][:, inside]
    assert high - low < prior[2] - prior[0]  # the event says something of the calibration where it is loud
    assert "recalib_H1_amplitude_0" not in result.summary()["posterior"]
    assert len(result.plot_curves().axes) == 6


def test_what_would_leave_the_errors_out_is_refused(result: Result, segment) -> None:
    for change in (lambda: result.with_higher_modes(segment), lambda: result.with_waveform(segment, "IMRPhenomXAS")):
        with pytest.raises(ConfigError, match=r"calibration or waveform errors(, or a glitch,)? are integrated"):
            change()
    other = replace(result, meta={key: value for key, value in result.meta.items() if key != "nuisances"})
    with pytest.raises(ConfigError, match="differ in the calibration"):
        combine([result, other])
    assert combine([result]).curves().keys() == result.curves().keys()


def test_a_killed_run_goes_on_with_the_same_numbers(result: Result, estimator, segment, kept) -> None:
    last = sorted(kept.glob(f"*{SUFFIX}"))[-1]
    last.unlink()
    again = estimator.sample(
        segment, n=1200, seed=3, options=SMALL, checkpoint=kept, calibration=ENVELOPES, waveform_error=(0.01, 0.01)
    )
    assert last.exists()
    assert again.posterior.equals(result.posterior)
    assert again.log_evidence == result.log_evidence


def test_a_node_far_from_its_prior_is_flagged(result: Result) -> None:
    assert flags(result) == []
    far = replace(result, posterior=result.posterior.assign(recalib_L1_phase_4=0.2))
    (text,) = flags(far)
    assert "the phase of L1 lies 4.0 standard deviations" in text
    rough = replace(result, meta=result.meta | {"nuisances": result.meta["nuisances"] | {"efficiency": 0.1}})
    assert any(text.startswith("rough integral over calibration") for text in flags(rough))


def test_bad_envelopes_are_refused_before_any_work(estimator, segment, monkeypatch, tmp_path) -> None:
    def never(*arguments, **options):
        raise AssertionError("work began")

    monkeypatch.setattr(SegmentLikelihood, "waveforms", never)
    np.savetxt(tmp_path / "short.txt", np.column_stack([np.linspace(30, 900, 20), np.ones((20, 6))]) * [1, 1, 0, 1, 0, 1, 0])
    with pytest.raises(DataError, match="from 30 to 900 Hz"):
        estimator.sample(segment, calibration={"H1": tmp_path / "short.txt", "L1": tmp_path / "short.txt"})
    with pytest.raises(ConfigError, match="'V1'"):
        estimator.sample(segment, calibration=ENVELOPES | {"V1": ENVELOPES["H1"]})
    with pytest.raises(ConfigError, match="waveform_error is"):
        estimator.sample(segment, waveform_error="large")


def test_nothing_asked_for_changes_nothing(estimator, segment) -> None:
    from gwsurrogate_ml.inference.nuisances.prior import requested

    likelihood = SegmentLikelihood(segment, estimator.model)
    none = Integration.of(requested(("H1", "L1"), (20.0, 1024.0), None, None), likelihood, None)
    assert none.drawn_from is likelihood
    assert none.identity == {}


@pytest.mark.slow
def test_steps_kept_under_other_envelopes_are_not_taken(estimator, segment, tmp_path) -> None:
    plain = estimator.sample(segment, n=300, seed=1, options=SMALL)
    wide = {name: CalibrationEnvelope.constant(0.1, 0.1) for name in ("H1", "L1")}
    found = [
        estimator.sample(segment, n=300, seed=1, options=SMALL, checkpoint=tmp_path, **given).log_evidence
        for given in ({"calibration": ENVELOPES}, {"calibration": wide}, {}, {"calibration": wide})
    ]
    assert found[2] == plain.log_evidence
    assert found[1] == found[3] != found[0]
