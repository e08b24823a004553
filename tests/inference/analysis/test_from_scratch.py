"""One event without a trained estimator; three detectors; data unlike the training set."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from bilby.core.prior import Constraint, Uniform
from scipy import stats

import gwsurrogate_ml as gw
from gwsurrogate_ml.conventions import component_masses
from gwsurrogate_ml.errors import ConfigError, DataError, DomainError, DomainWarning
from gwsurrogate_ml.inference import (
    BinaryPrior,
    LalModel,
    SamplingOptions,
    load_estimator,
    sample_event,
    train_estimator,
)
from gwsurrogate_ml.inference.analysis import from_scratch
from gwsurrogate_ml.inference.analysis.preflight import spectrum_flags
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import GPS, random_psds, simulate_segment
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import search
from gwsurrogate_ml.inference.prior.composition import ComposedPrior
from gwsurrogate_ml.inference.prior.masses import MassRatio
from gwsurrogate_ml.inference.prior.parts import Part
from gwsurrogate_ml.inference.prior.spins import AlignedUniform
from gwsurrogate_ml.inference.proposal.flows import PriorProposal
from gwsurrogate_ml.inference.proposal.novelty import Novelty
from gwsurrogate_ml.inference.proposal.summaries import groups
from gwsurrogate_ml.inference.sampling.quadrupole import QuadrupoleSampler
from gwsurrogate_ml.inference.weights import log_sum
from gwsurrogate_ml.strain.read import make_series

SLOW_FIXTURES = ("three",)

TRUTH = {
    "chirp_mass": 30.0, "mass_ratio": 0.8, "chi_1": 0.1, "chi_2": 0.0, "luminosity_distance": 900.0, "theta_jn": 0.5,
    "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": GPS + 0.01,
}  # fmt: skip
PRIOR = BinaryPrior(chirp_mass=(24.0, 38.0), mass_ratio=(0.4, 1.0), chi=(-0.4, 0.4))
QUICK = SamplingOptions(n_sets=2, n_points=512, pilot=600, refine_steps=100, max_rounds=2, on_edge="warn")


def simulated(config: SegmentConfig, seed: int, **changes: float):
    rng = np.random.default_rng(seed)
    return simulate_segment(TRUTH | changes, LalModel(), random_psds(config, rng), config, rng)


@pytest.mark.slow
def test_an_event_from_nothing_has_the_evidence_of_plain_draws_from_the_prior() -> None:
    segment = simulated(SegmentConfig(f_max=512.0), 1)
    result = sample_event(segment, PRIOR, model=LalModel(), n=1500, options=QUICK)
    assert result.sample_efficiency > 0.1  # observed 0.5
    assert abs(result.posterior["chirp_mass"].median() - TRUTH["chirp_mass"]) < 2.0
    assert result.meta["rounds"][0]["power"] < 1  # too few draws of the prior count
    assert [row["power"] for row in result.meta["rounds"] if "power" in row][-1] == 1.0

    likelihood = SegmentLikelihood(segment, LalModel())
    reference = likelihood.waveforms(np.array([[30.0, 0.8, 0.0, 0.0]]))[0]
    band = np.flatnonzero(likelihood.frequencies >= 20.0)
    found = search(likelihood, PRIOR, reference[band], band, 0)
    sampler = QuadrupoleSampler(likelihood, PRIOR, found, n_sets=2, n_points=1024, seed=9)
    sampler.build_sets(sampler.known(np.array([[30.0, 0.8, 0.1, 0.0], found.theta]), "points"), log2_n=15)
    draws = sampler.evaluate(PriorProposal(4).draw(4000, 3), "plain").log_likelihood
    plain = log_sum(draws) - np.log(len(draws))
    effective = np.exp(2 * log_sum(draws) - log_sum(2 * draws))
    assert effective > 20
    assert result.log_bayes_factor == pytest.approx(plain, abs=4 / np.sqrt(effective))


@pytest.mark.slow
def test_a_precessing_event_from_nothing_has_all_its_parameters_and_exact_likelihoods() -> None:
    config = SegmentConfig(f_max=512.0)
    rng = np.random.default_rng(6)
    model = gw.load_surrogate("nrphm")
    spins = {"a_1": 0.6, "a_2": 0.3, "tilt_1": 1.2, "tilt_2": 0.7, "phi_12": 0.5, "phi_jl": 1.0}
    truth = {name: value for name, value in TRUTH.items() if name not in ("chi_1", "chi_2")} | spins
    segment = simulate_segment(truth, model, random_psds(config, rng), config, rng)
    fields = {"chirp_mass": (26.0, 35.0), "chi": (-0.8, 0.8), "luminosity_distance": (100.0, 3000.0)}
    options = SamplingOptions(n_sets=2, n_points=512, pilot=400, refine_steps=120, max_rounds=1, on_edge="warn")
    result = sample_event(segment, fields, model=model, n=200, options=options)
    # Of so few draws of a pilot little is learned: 5 to 58 effective ones are seen, by the number of threads.
    assert result.sample_efficiency * result.n_draws > 4
    p = result.posterior
    assert {"a_1", "tilt_2", "phi_jl", "chi_p", "theta_jn"} <= set(p)
    low, high = p["chirp_mass"].quantile([0.01, 0.99])
    assert low < truth["chirp_mass"] < high
    rows = p.iloc[:8]
    table = {name: rows[name].to_numpy() for name in truth}
    exact = SegmentLikelihood(segment, model).log_likelihood_ratio(table)
    np.testing.assert_allclose(rows["log_likelihood_ratio"], exact, atol=1e-6)
    assert result.meta["rounds"][-1]["proposal"] == "exact likelihoods"
    assert result.meta["surrogate"]["name"] == "nrphm"
    assert set(result.meta["bilby_prior"]) == set(truth)


class UniformChirpMass(Part):
    """What no part of the package is: here as one of one's own."""

    names = ("chirp_mass",)

    def to_bilby(self) -> dict:
        return {"chirp_mass": Uniform(24.0, 38.0, name="chirp_mass")}


@pytest.mark.slow
def test_a_prior_of_any_densities_has_the_posterior_of_a_part_that_says_the_same() -> None:
    segment = simulated(SegmentConfig(f_max=512.0), 1)
    chirp_mass = UniformChirpMass().to_bilby()["chirp_mass"]
    given = dict(PRIOR.to_bilby(segment.gps)) | {"chirp_mass": chirp_mass, "mass_2": Constraint(1, 100, name="mass_2")}
    result = sample_event(segment, given, model=LalModel(), n=1500, options=QUICK)
    assert result.meta["drawn_from"]["n_draws"] == 1500
    assert result.sample_efficiency > 0.9  # the densities differ by a factor of 1.6 over the prior, 1.1 over the posterior
    assert result.to_bilby().priors["chirp_mass"] == chirp_mass
    assert result.to_bilby().constraint_parameter_keys == ["mass_2"]
    same = ComposedPrior((UniformChirpMass(), MassRatio(0.4, 1.0), AlignedUniform(-0.4, 0.4)))
    direct = sample_event(segment, same, model=LalModel(), n=1500, options=QUICK)
    assert "drawn_from" not in direct.meta
    error = np.hypot(result.log_evidence_error, direct.log_evidence_error)
    assert abs(result.log_evidence - direct.log_evidence) < 4 * max(error, 0.03)
    assert stats.ks_2samp(result.posterior["chirp_mass"], direct.posterior["chirp_mass"]).pvalue > 1e-3


@pytest.mark.slow
def test_noise_and_impossible_settings_are_refused() -> None:
    config = SegmentConfig(f_max=512.0)
    rng = np.random.default_rng(2)
    noise = simulate_segment(None, LalModel(), random_psds(config, rng), config, rng)
    with pytest.raises(DomainError, match="no signal"):
        sample_event(noise, PRIOR, model=LalModel())
    with pytest.raises(ConfigError, match="at least 100"):
        sample_event(noise, PRIOR, model=LalModel(), n=10)
    for nothing in (5, [1], None):
        with pytest.raises(ConfigError, match="the prior is a"):
            sample_event(noise, nothing, model=LalModel())  # type: ignore[arg-type]


@pytest.mark.slow
def test_strain_in_other_units_and_priors_beyond_the_model_are_refused_with_what_would_do() -> None:
    values = 1e-21 * np.random.default_rng(0).normal(size=(2, 32 * 1024))
    series = {name: make_series(row, 0.0, 1024.0, name) for name, row in zip(("H1", "L1"), values, strict=True)}
    data = gw.StrainData.from_series(series, gps=16.0)
    with pytest.raises(DomainError, match="no signal"):  # f_max is what the rate allows
        sample_event(data, PRIOR, model=LalModel(), n=100)
    scaled = gw.StrainData.from_series({name: 1e21 * s for name, s in series.items()}, gps=16.0)
    with pytest.raises(DataError, match="dimensionless strain"):
        sample_event(scaled, PRIOR, model=LalModel(), n=100)

    with pytest.raises(DomainError, match="no signal"):  # one detector is analysed, too
        sample_event(gw.StrainData.from_series({"H1": series["H1"]}, gps=16.0), PRIOR, model=LalModel(), n=100)

    model, light = (
        gw.load_surrogate("nr22"),
        BinaryPrior(chirp_mass=(3.5, 20.0), mass_ratio=(0.4, 1.0), chi=(-0.4, 0.4)),
    )
    with pytest.raises(DomainError, match=r"f_min \(--f-min\) to at least ([\d.]+) Hz.* at a chirp mass of ([\d.]+)") as refusal:
        sample_event(data, light, model=model, n=100)
    f_min, lowest = map(float, re.findall(r"at least ([\d.]+) Hz.*chirp mass of ([\d.]+)", str(refusal.value))[0])
    heavy = light.model_copy(update={"chirp_mass": (lowest, 20.0)})
    for prior, start in ((light, f_min), (heavy, 20.0)):
        draws = prior.sample_intrinsic(300, np.random.default_rng(1))
        draws[:, 0] = prior.chirp_mass[0]  # the lightest of every shape
        mass_1, mass_2 = component_masses(draws[:, 0], draws[:, 1])
        spins = draws[:, 2], draws[:, 3]
        model.frequency_domain(mass_1, mass_2, *spins, duration=32.0, sampling_frequency=512.0, f_min=start)
        with pytest.raises(DomainError, match="does not reach down"):
            model.frequency_domain(mass_1, mass_2, *spins, duration=32.0, sampling_frequency=512.0, f_min=start - 0.5)


def test_a_time_that_the_prior_states_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    segment = simulated(SegmentConfig(f_max=512.0), 1)
    moved: list[bool] = []

    def cut(*arguments: object) -> None:
        moved.append(arguments[-1])
        raise DomainError("far enough")

    monkeypatch.setattr(from_scratch, "_segment", cut)
    stated = PRIOR.to_bilby(segment.gps)
    PRIOR.write_prior_file(tmp_path / "event.prior", segment.gps)
    silent = {name: prior for name, prior in stated.items() if name != "geocent_time"}
    for prior in (stated, tmp_path / "event.prior", silent, PRIOR, {"chirp_mass": (24.0, 38.0)}):
        with pytest.raises(DomainError, match="far enough"):
            sample_event(segment, prior, model=LalModel(), n=1500)
    assert moved == [False, False, True, True, True]


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = {
        "name": "three",
        "surrogate": "lal:IMRPhenomD",
        "prior": PRIOR.model_dump(),
        "segment": {"f_max": 512.0, "detectors": ["H1", "L1", "V1"]},
        "simulator": {
            "bank_size": 300, "basis_size": 60, "network_basis_size": 20, "templates": 8, "psds": 24, "groups": 8,
            "pool": 4,
        },
        "network": {"width": 32, "blocks": 1, "context": 8, "transforms": 2, "hidden": [16]},
        "training": {"steps": 60, "batch": 256, "warm_up": 4, "validation": 256},
    }  # fmt: skip
    return train_estimator(settings, tmp_path_factory.mktemp("three") / "three", model=LalModel())


def test_three_detectors_place_the_source_where_two_cannot(three: Path) -> None:
    estimator = load_estimator(three, model=LalModel())
    segment = simulated(estimator.config.segment, 3)
    result = estimator.sample(segment, n=800, options=QUICK)
    assert set(result.meta["search"]["snr"]) == {"H1", "L1", "V1"}
    p = result.posterior
    near = np.hypot((p["ra"] - TRUTH["ra"]) * np.cos(TRUTH["dec"]), p["dec"] - TRUTH["dec"])
    assert np.mean(near < 0.3) > 0.9  # two detectors leave a ring
    exact = SegmentLikelihood(segment, LalModel()).log_likelihood_ratio({k: p[k].to_numpy()[:50] for k in TRUTH})
    assert np.abs(exact - p["log_likelihood_ratio"][:50]).max() < 0.02
    with pytest.raises(DomainError, match="trained for H1, L1, V1"):
        estimator.sample(simulated(SegmentConfig(f_max=512.0), 4))


def test_flags_name_what_is_unlike_the_training(three: Path) -> None:
    estimator = load_estimator(three, model=LalModel())
    segment = simulated(estimator.config.segment, 3)
    usual = estimator.flags(estimator.observe(*_found(estimator, segment)))
    assert [flag for flag in usual if not flag.startswith("noise spectrum")] == []  # trained on 24 PSDs alone
    tilted = segment.psd * np.where(segment.frequencies < 60, 1e4, 1.0)
    odd = type(segment)(**{**vars(segment), "psd": tilted})
    flags = estimator.flags(estimator.observe(*_found(estimator, odd)))
    assert any(flag.startswith("noise spectrum unlike the training") for flag in flags)
    with pytest.warns(DomainWarning, match="noise spectrum unlike"):
        result = estimator.sample(odd, n=200, options=SamplingOptions(pilot=200, max_rounds=0, n_sets=2, n_points=512))
    # The spectrum is not that of the data either, in each detector.
    assert result.meta["flags"][:3] == spectrum_flags(*_found(estimator, odd))
    assert all(f"{d}'s segment has 0.0" in x for d, x in zip(("H1", "L1", "V1"), result.meta["flags"], strict=False))
    assert result.meta["flags"][3:] == flags


def _found(estimator, segment):
    likelihood = SegmentLikelihood(segment, LalModel())
    return likelihood, search(likelihood, estimator.prior, estimator._reference, estimator._band, 0)


def test_usual_ranges_raise_the_alarms_they_promise() -> None:
    rng = np.random.default_rng(0)
    width = sum(part.stop - part.start for part in groups(2, 10).values())
    usual = Novelty.of(torch.from_numpy(rng.normal(size=(8000, width)).astype(np.float32)), 2, 10)
    alarms = [bool(usual.flags(x)) for x in rng.normal(size=(2000, width)).astype(np.float32)]
    assert np.mean(alarms) < 0.02  # four groups, one in a thousand each
    far = np.zeros(width, dtype=np.float32)
    far[groups(2, 10)["arrival times"]] = 30.0
    assert [flag.split(" unlike")[0] for flag in usual.flags(far)] == ["arrival times"]
