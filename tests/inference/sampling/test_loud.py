"""Loud signals and near ones: exact, flagged, or refused before the sampling."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.conventions import INTRINSIC, PARAMETERS
from gwsurrogate_ml.errors import DomainError
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import Trigger
from gwsurrogate_ml.inference.prior.binary import BinaryPrior
from gwsurrogate_ml.inference.sampling.loud import one_detector_flags, window_flags
from gwsurrogate_ml.inference.sampling.quadrupole import QuadrupoleSampler
from gwsurrogate_ml.inference.sampling.sampler import Evaluated
from gwsurrogate_ml.strain.simulate import GPS, simulate

BINARY = {
    "chirp_mass": 33.0, "mass_ratio": 0.6, "chi_1": 0.2, "chi_2": -0.3, "luminosity_distance": 400.0, "theta_jn": 2.0,
    "phase": 1.1, "psi": 0.7, "ra": 1.9, "dec": -0.6, "geocent_time": GPS + 0.01,
}  # fmt: skip


@cache
def noise(detectors: tuple[str, ...]) -> SegmentLikelihood:
    """Likelihood of the noise alone."""
    data = simulate(None, None, detectors, dict.fromkeys(detectors, "aLIGO"), duration=64.0, gps=GPS, seed=2)
    return SegmentLikelihood(data.segment(smooth=False), gw.load_surrogate("nr22"))


@cache
def event(snr: float, detectors: tuple[str, ...] = ("H1", "L1"), **changes: float) -> tuple[SegmentLikelihood, Trigger, float]:
    """Likelihood of the binary at the distance of a signal-to-noise ratio, the truth as loudest template, and the distance."""
    model, truth = gw.load_surrogate("nr22"), BINARY | changes
    quiet = noise(detectors)
    signal = quiet.signals({name: np.array([x]) for name, x in truth.items()})[0]
    heard = np.sqrt(np.sum(quiet.weight * np.abs(signal) ** 2, axis=1))
    truth = truth | {"luminosity_distance": truth["luminosity_distance"] * float(np.linalg.norm(heard)) / snr}
    data = simulate(truth, model, detectors, dict.fromkeys(detectors, "aLIGO"), duration=64.0, gps=GPS, seed=2)
    likelihood = SegmentLikelihood(data.segment(smooth=False), model)
    theta = np.array([truth[name] for name in INTRINSIC])
    turn = np.exp(2j * np.pi * np.outer(likelihood.frequencies, times := _arrivals(likelihood, truth)))
    waveform = likelihood.waveforms(theta[None])[0]
    product = np.sum(likelihood.weight.T * likelihood.strain.T * np.conj(waveform)[:, None] * turn, axis=0)
    found = Trigger(theta, waveform, times, times, np.abs(product) / np.sqrt(likelihood.power(waveform[None])[0]))
    return likelihood, found, truth["luminosity_distance"]


def _arrivals(likelihood: SegmentLikelihood, truth: dict[str, float]) -> np.ndarray:
    from gwsurrogate_ml.inference.likelihood.detectors import earth_direction

    gps = np.array([truth["geocent_time"]])
    direction = earth_direction(np.array([truth["ra"]]), np.array([truth["dec"]]), gps)
    return truth["geocent_time"] - likelihood.segment.start_time + likelihood.network.delays(direction)[0]


def same_binary(likelihood: SegmentLikelihood, found: Trigger, prior: BinaryPrior) -> tuple[QuadrupoleSampler, Evaluated]:
    """The true binary, its extrinsic parameters integrated over each of eight sets of points."""
    sampler = QuadrupoleSampler(likelihood, prior, found, seed=1)
    theta = np.repeat(found.theta[None], sampler.n_sets, axis=0)
    coefficients, power = (np.repeat(x, len(theta), axis=0) for x in sampler.known(theta[:1], "test"))
    sampler.build_sets((coefficients[:1], power[:1]), log2_n=15)
    return sampler, sampler.evaluate(prior.to_normal(theta), "test", (coefficients, power))


@pytest.mark.slow
@pytest.mark.parametrize("detectors", [("H1", "L1"), ("H1", "L1", "V1")])
@pytest.mark.parametrize("snr", [30.0, 200.0, 1000.0])
def test_extrinsic_posterior_is_exact_however_loud(snr: float, detectors: tuple[str, ...]) -> None:
    """Sets of points agree, draws have the likelihood the strain gives them, and the truth lies among them."""
    likelihood, found, distance = event(snr, detectors)
    sampler, draws = same_binary(likelihood, found, BinaryPrior(luminosity_distance=(1.0, 6000.0)))
    assert np.std(draws.log_likelihood) < 0.2  # observed 0.01 to 0.1; points not aimed: 0.3 at 200, thousands at 1000
    table = sampler.complete(draws, np.zeros(8), 1600, seed=3)
    some = {name: table[name][:200] for name in PARAMETERS}
    assert np.abs(likelihood.log_likelihood_ratio(some) - table["log_likelihood"][:200]).max() < 0.03  # observed 0.01
    # The truth is as likely as the draws are; the deepest of a thousand lies some ten below the best.
    truth = {name: np.array([x]) for name, x in (BINARY | {"luminosity_distance": distance}).items()}
    assert 0.002 < np.mean(table["log_likelihood"] < likelihood.log_likelihood_ratio(truth)) < 1


@pytest.mark.slow
def test_evidence_and_draws_speak_of_the_same_distances() -> None:
    """A prior that begins behind part of the posterior: its evidence is the other's times the share behind, its draws are those."""
    likelihood, found, distance = event(20.0)
    wide = BinaryPrior(luminosity_distance=(1.0, 5000.0))
    near = 2.0 * distance
    cut = BinaryPrior(luminosity_distance=(near, 5000.0))
    everything, draws = same_binary(likelihood, found, wide)
    _, far = (behind := same_binary(likelihood, found, cut))
    table = everything.complete(draws, np.zeros(8), 1000, seed=3)
    kept = table["luminosity_distance"] > near
    expected = np.mean(draws.log_likelihood) + np.log(kept.mean()) - np.log1p(-((near / 5000.0) ** 3))
    assert 0.1 < kept.mean() < 0.9
    assert np.mean(far.log_likelihood) == pytest.approx(expected, abs=0.08)
    assert np.mean(far.log_likelihood) < np.mean(draws.log_likelihood) - 0.1
    other = behind[0].complete(far, np.zeros(8), 1000, seed=4)
    assert other["luminosity_distance"].min() >= near
    for name in ("luminosity_distance", "theta_jn"):
        ours, theirs = np.quantile(other[name], [0.1, 0.5, 0.9]), np.quantile(table[name][kept], [0.1, 0.5, 0.9])
        assert ours == pytest.approx(theirs, rel=0.1), name


@pytest.mark.slow
def test_a_signal_nearer_than_the_prior_is_refused_with_a_prior_that_holds_it() -> None:
    likelihood, found, _ = event(60.0)
    with pytest.raises(DomainError, match=r"nearer than 4e\+06 Mpc.*--prior luminosity_distance=") as error:
        QuadrupoleSampler(likelihood, BinaryPrior(luminosity_distance=(4e6, 1e7)), found)
    low, high = (float(x) for x in str(error.value).split("luminosity_distance=")[1].rstrip(")").split(","))
    _, draws = same_binary(likelihood, found, BinaryPrior(luminosity_distance=(low, high)))
    assert np.all(draws.log_likelihood > 1500)


@pytest.mark.slow
def test_a_loud_signal_that_no_orientation_puts_behind_the_nearest_distance_is_refused() -> None:
    likelihood, found, distance = event(1000.0)
    power = likelihood.power(found.waveform[None])[0]
    overhead = np.sqrt(power.sum()) / 1000.0
    near = 0.5 * (distance + overhead) if distance > 0.8 * overhead else 0.9 * overhead
    with pytest.raises(DomainError, match="comes from nearer than"):
        same_binary(likelihood, found, BinaryPrior(luminosity_distance=(near, 1e5)))


def test_louder_than_the_analysis_resolves_is_refused() -> None:
    likelihood, found, _ = event(1000.0)
    with pytest.raises(DomainError, match=r"signal-to-noise ratio of 1[45]\d\d.*up to 1200.*glitch"):
        QuadrupoleSampler(likelihood, BinaryPrior(), replace(found, snr=1.5 * found.snr))


@pytest.mark.parametrize(
    ("snr", "flagged"),
    [
        ((150.0, 4.0), True),
        ((30.0, 3.0), True),
        ((12.0, 4.0), False),
        ((20.0, 12.0), False),
        ((24.0, 7.0), False),
        ((5.0, 7.0), False),
    ],
)
def test_a_glitch_in_one_detector_is_flagged_and_a_quiet_detector_is_not(snr: tuple[float, float], flagged: bool) -> None:
    likelihood, found, _ = event(30.0)
    power = likelihood.power(found.waveform[None])[0]
    flags = one_detector_flags(replace(found, snr=np.array(snr)), DetectorNetwork.of(("H1", "L1")), power)
    assert [flag.startswith("one detector: H1") for flag in flags] == [True] * flagged


def test_signals_that_begin_under_the_window_are_flagged() -> None:
    likelihood, found, _ = event(100.0)
    power = likelihood.power(found.waveform[None])[0]
    assert window_flags(found, likelihood, power) == []
    light = likelihood.waveforms(np.array([[15.5, 0.9, 0.0, 0.0]]))
    power = likelihood.power(light)[0]
    flags = window_flags(replace(found, waveform=light[0]), likelihood, power)
    assert len(flags) == 1
    assert flags[0].startswith("cut by the window:")
    assert "--duration 8" in flags[0]
