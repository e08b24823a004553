"""Higher modes in the likelihood: equal to bilby's at every phase, nothing changes where there are none, signals are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

import gwsurrogate_ml as gw
from gwsurrogate_ml.conventions import INTRINSIC, PARAMETERS, component_masses
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference import BinaryPrior, Result, SegmentLikelihood
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import simulate_segment
from gwsurrogate_ml.inference.result.draws import derived, model_of
from gwsurrogate_ml.inference.result.higher_modes import PhaseLikelihood, Phases
from gwsurrogate_ml.inference.result.residual import examine
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.strain.spectrum import load_psd

GPS = 1187008882.4
TRUTH = {
    "chirp_mass": 26.0, "mass_ratio": 0.35, "chi_1": 0.3, "chi_2": -0.2, "luminosity_distance": 600.0, "theta_jn": 1.1,
    "phase": 0.7, "psi": 0.5, "ra": 1.9, "dec": 0.3, "geocent_time": GPS + 0.01,
}  # fmt: skip


@pytest.fixture(scope="module")
def nrhm() -> gw.Surrogate:
    return gw.load_surrogate("nrhm")


@pytest.fixture(scope="module")
def segment() -> AnalysisSegment:
    """Noise of the design, without a signal."""
    config = SegmentConfig()
    f = np.arange(round(config.f_max * config.duration) + 1) / config.duration
    psd = np.tile(np.interp(f, *load_psd("aLIGO"), left=np.inf, right=np.inf), (2, 1))
    return simulate_segment(None, gw.load_surrogate("nr22"), psd, config, np.random.default_rng(8), GPS)


def polarizations(nrhm: gw.Surrogate, segment: AnalysisSegment, row: dict[str, float]) -> dict[str, np.ndarray]:
    mass_1, mass_2 = component_masses(row["chirp_mass"], row["mass_ratio"])
    plus, cross = nrhm.frequency_domain_polarizations(
        mass_1=float(mass_1),
        mass_2=float(mass_2),
        f_min=segment.f_min,
        sampling_frequency=segment.sampling_frequency,
        duration=segment.duration,
        **{name: row[name] for name in ("chi_1", "chi_2", "luminosity_distance", "theta_jn", "phase")},
    )
    return {"plus": plus, "cross": cross}


@pytest.mark.peer
def test_at_every_phase_the_likelihood_is_that_of_bilbys_response(nrhm: gw.Surrogate, segment: AnalysisSegment) -> None:
    likelihood = SegmentLikelihood(segment, nrhm)
    of_phase = PhaseLikelihood(likelihood, nrhm).of(TRUTH)
    phases = of_phase.grid()
    ratios, power = of_phase.log_ratios(phases)
    for k in (0, 17, 500, 901):
        row = TRUTH | {"phase": float(phases[k])}
        h = polarizations(nrhm, segment, row)
        signals = [i.get_detector_response(h, row) for i in segment.to_bilby()]
        weight = likelihood.weight
        expected = sum(
            np.sum(w * (np.real(np.conj(s) * d) - 0.5 * np.abs(s) ** 2))
            for w, s, d in zip(weight, signals, segment.strain, strict=True)
        )
        assert ratios[k] == pytest.approx(expected, abs=1e-6)
        assert power[k] == pytest.approx(sum(np.sum(w * np.abs(s) ** 2) for w, s in zip(weight, signals, strict=True)))


def result_of(segment: AnalysisSegment, rows: int, seed: int, spread: float) -> Result:
    """Draws scattered about the truth, as if they were a (2,2) posterior."""
    rng = np.random.default_rng(seed)
    width = {
        "chirp_mass": 0.3,
        "mass_ratio": 0.03,
        "chi_1": 0.05,
        "theta_jn": 0.1,
        "psi": 0.1,
        "luminosity_distance": 40.0,
    }
    columns = {name: TRUTH[name] + spread * width.get(name, 0.0) * rng.normal(size=rows) for name in PARAMETERS}
    likelihood = SegmentLikelihood(segment, gw.load_surrogate("nr22"))
    ratio = likelihood.log_likelihood_ratio(columns)
    frame = pd.DataFrame(columns | derived(columns)).assign(
        network_snr=10.0, log_likelihood_ratio=ratio, log_likelihood=ratio + likelihood.log_noise_evidence
    )
    meta = {
        "prior": BinaryPrior().model_dump(mode="json"),
        "surrogate": {"name": "nr22"},
        "seed": seed,
        "segment": {**{"detectors": ["H1", "L1"], "gps": GPS, "start_time": segment.start_time, "duration": 4.0, "f_min": 20.0}},
    }
    return Result(
        posterior=frame,
        weighted=frame[list(INTRINSIC)].assign(log_weight=0.0, log_likelihood_ratio=ratio, extrinsic_ess=500.0),
        n_draws=rows,
        sample_efficiency=1.0,
        pareto_k=0.1,
        log_evidence=-100.0,
        log_evidence_error=0.01,
        log_noise_evidence=likelihood.log_noise_evidence,
        extrinsic_ess=500.0,
        seconds=1.0,
        meta=meta,
    )


def test_a_surrogate_without_higher_modes_changes_nothing(segment: AnalysisSegment) -> None:
    result = result_of(segment, 60, 3, 1.0)
    again = result.with_higher_modes(segment, gw.load_surrogate("nr22"), n=40)
    assert again.n_draws == 40
    assert again.sample_efficiency > 0.9999
    assert again.log_evidence == pytest.approx(result.log_evidence, abs=0.02)  # GPS times are 0.24 us apart


def test_a_result_that_has_its_modes_is_refused(segment: AnalysisSegment) -> None:
    result = result_of(segment, 60, 3, 1.0)
    for name in ("nrhm", "nrphm"):
        with pytest.raises(ConfigError, match=f"{name} has its modes from the start"):
            replace(result, meta=result.meta | {"surrogate": {"name": name}}).with_higher_modes(segment, n=40)


def test_another_segment_is_refused_with_the_time_that_was_analysed(segment: AnalysisSegment) -> None:
    result = result_of(segment, 60, 3, 1.0)
    with pytest.raises(ConfigError, match=rf"replace\(data, gps={GPS!r}\)"):
        result.with_higher_modes(replace(segment, start_time=segment.start_time + 0.03), n=40)


def test_the_weight_is_the_ratio_of_likelihoods_summed_over_phase(nrhm: gw.Surrogate, segment: AnalysisSegment) -> None:
    config = SegmentConfig()
    h = polarizations(nrhm, segment, TRUTH)
    strain = segment.strain + [i.get_detector_response(h, TRUTH) for i in segment.to_bilby()]
    loud = replace(segment, strain=strain)
    result = result_of(loud, 30, 5, 1e-3)
    again = result.with_higher_modes(loud, nrhm)
    assert again.meta["waveform"] == "nrhm"
    assert model_of(again).identity == nrhm.identity == again.meta["waveform_model"]
    best = again.posterior.iloc[int(np.argmax(again.posterior["log_likelihood"]))]
    found = SegmentLikelihood(loud, nrhm)
    expected = examine(found, best, found.waveforms(np.array([[26.0, 0.35, 0.3, -0.2]])))
    assert again.meta["checks"]["residual"] == pytest.approx(expected["residual"])
    assert config.detectors == loud.detectors
    # The truth has higher modes: they explain what (2,2) does not.
    assert again.log_evidence - result.log_evidence > 5.0
    # Phases are drawn where the likelihood is: all near the truth, up to the peak's definition.
    best = PhaseLikelihood(SegmentLikelihood(loud, nrhm), nrhm).of(TRUTH)
    at = best.grid()[np.argmax(best.log_ratios(best.grid())[0])]
    assert abs(np.angle(np.exp(1j * (at - TRUTH["phase"])))) < 0.15
    around = np.abs(np.angle(np.exp(1j * (again.posterior["phase"] - TRUTH["phase"]))))
    assert np.median(around) < 0.3
    # What is stored of a draw is the likelihood at its own phase.
    for i in range(3):
        row = {name: float(again.posterior[name].iloc[i]) for name in PARAMETERS}
        h = polarizations(nrhm, loud, row)
        signals = [i.get_detector_response(h, row) for i in loud.to_bilby()]
        weight = SegmentLikelihood(loud, nrhm).weight
        expected = sum(
            np.sum(w * (np.real(np.conj(s) * d) - 0.5 * np.abs(s) ** 2))
            for w, s, d in zip(weight, signals, loud.strain, strict=True)
        )
        assert again.posterior["log_likelihood_ratio"].iloc[i] == pytest.approx(expected, abs=1e-3)
    # The grid is as close as a signal is loud.
    for louder in (1.0, 10.0, 60.0):
        of_phase = Phases(best.orders, louder**2 * best.match, louder**2 * best.gram)
        phases = of_phase.grid()
        step = phases[1]
        finer = np.concatenate([phases + k * step / 8 for k in range(8)])
        ratios, more = of_phase.log_ratios(phases)[0], of_phase.log_ratios(finer)[0]
        assert logsumexp(ratios) - np.log(len(ratios)) == pytest.approx(logsumexp(more) - np.log(len(more)), abs=1e-6)
    with pytest.raises(ConfigError, match="already under 'nrhm'"):
        again.with_higher_modes(loud)
    with pytest.raises(ConfigError, match="not those of the result"):
        result.with_higher_modes(segment)
