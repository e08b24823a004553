"""The integral for any modes: equal to that of (2, 2) where both hold, and exact at what it draws."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import ndtri

from gwsurrogate_ml.errors import DomainError
from gwsurrogate_ml.inference import BinaryPrior, SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import Trigger, search
from gwsurrogate_ml.inference.prior.composition import ComposedPrior
from gwsurrogate_ml.inference.prior.masses import ChirpMass, MassRatio
from gwsurrogate_ml.inference.prior.spins import Isotropic
from gwsurrogate_ml.inference.sampling.orders import OrdersSampler
from gwsurrogate_ml.inference.sampling.quadrupole import QuadrupoleSampler
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.surrogate.load import load_model

GPS = 1126259462.4
TRUTH = {
    "chirp_mass": 28.0, "mass_ratio": 0.6, "chi_1": 0.2, "chi_2": -0.1, "luminosity_distance": 900.0, "theta_jn": 0.9,
    "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": GPS,
}  # fmt: skip
PRIOR = BinaryPrior()


def sampler(kind, model, **options):  # type: ignore[no-untyped-def]
    data = simulate(TRUTH, load_model(model), ("H1", "L1"), duration=16, sampling_frequency=1024, gps=GPS, seed=3)
    segment = data.segment(psd="aLIGO", duration=4.0, f_min=20.0, f_max=400.0)
    likelihood = SegmentLikelihood(segment, load_model(model))
    band = np.flatnonzero(likelihood.frequencies >= segment.f_min)
    found = search(likelihood, PRIOR, likelihood.waveforms(PRIOR.reference())[0, band], band, 1)
    return kind(likelihood, PRIOR, found, seed=2, **options)


@pytest.mark.slow
def test_the_two_integrals_agree_on_a_quadrupole() -> None:
    ours, other = (sampler(kind, "nr22", n_sets=2, n_points=4096) for kind in (OrdersSampler, QuadrupoleSampler))
    theta = np.array([[TRUTH[name] for name in PRIOR.names]])
    z = PRIOR.to_normal(theta)
    other.build_sets(other.known(theta, ""), log2_n=15)
    closed = other.evaluate(np.repeat(z, 2, axis=0), "").log_likelihood
    # Inclinations at the middles of equal shares of the isotropic prior.
    cosines = 1 - 2 * (np.arange(64) + 0.5) / 64
    rows = np.column_stack([np.repeat(theta, 64, axis=0), np.arccos(cosines)])
    ours.build_sets(ours.known(rows[::8], ""), log2_n=15)
    from scipy.special import logsumexp, ndtri

    scores = np.column_stack([np.repeat(z, 64, axis=0), ndtri(0.5 * (1 - cosines))])
    summed = logsumexp(ours.evaluate(scores, "").log_likelihood) - np.log(64)
    assert abs(closed[0] - closed[1]) < 0.06
    assert abs(summed - closed.mean()) < 0.08


@pytest.mark.slow
@pytest.mark.parametrize("model", ["nrhm", "lal:IMRPhenomXHM"])
def test_drawn_parameters_have_the_likelihood_that_they_are_said_to_have(model: str) -> None:
    ours = sampler(OrdersSampler, model, n_sets=2, n_points=1024)
    theta = np.array([[*(TRUTH[name] for name in PRIOR.names), x] for x in (0.5, 0.9, 1.5, 2.4)])
    ours.build_sets(ours.known(theta, ""), log2_n=14)
    rng = np.random.default_rng(0)
    z = np.column_stack([PRIOR.to_normal(theta[:, :-1]), rng.normal(size=4)])
    draws = ours.evaluate(z, "")
    place = dict(zip(ours.drawn_at_once, draws.extrinsic.T, strict=True))
    table = dict(zip(ours.proposed.names, draws.theta.T, strict=True)) | place
    exact = ours.likelihood.log_likelihood_ratio(table)
    assert np.max(np.abs(exact - place["log_likelihood"])) < 0.2  # few frequencies and coarse times; final draws are weighed anew:
    anew = ours.exact(draws, np.arange(4))
    np.testing.assert_allclose(anew[:, 0], exact, atol=1e-9)
    norm = np.sqrt(np.sum(ours.likelihood.weight * np.abs(ours.likelihood.signals(table)) ** 2, axis=(1, 2)))
    assert np.allclose(norm, place["network_snr"], rtol=2e-3)
    np.testing.assert_allclose(np.sqrt(anew[:, 1]), norm, rtol=1e-9)


def test_parts_of_the_final_draws_have_random_numbers_of_their_own() -> None:
    ours = sampler(OrdersSampler, "nrhm", n_sets=2, n_points=512)
    theta = np.array([[*(TRUTH[name] for name in PRIOR.names), x] for x in (0.5, 0.9, 1.5, 2.4)])
    ours.build_sets(ours.known(theta, ""), log2_n=13)
    z = ours.proposed.to_normal(theta)
    first, again = (ours.evaluate(z, "").extrinsic for _ in range(2))
    np.testing.assert_array_equal(first, again)
    # As many draws with the same rows, as the next part has, and all but the same binaries.
    other = ours.evaluate(z + 1e-9, "").extrinsic
    distance = ours.drawn_at_once.index("luminosity_distance")
    assert np.all(first[:, distance] != other[:, distance])
    assert not np.allclose(first[:, distance], other[:, distance], rtol=1e-4)


def test_a_precessing_model_of_lal_enters_by_its_name() -> None:
    prior = ComposedPrior((ChirpMass(24.0, 33.0), MassRatio(0.4, 1.0), Isotropic(0.9)))
    spins = {"a_1": 0.6, "a_2": 0.3, "tilt_1": 1.1, "tilt_2": 0.7, "phi_12": 0.5, "phi_jl": 1.0}
    truth = {name: value for name, value in TRUTH.items() if name not in ("chi_1", "chi_2")} | spins
    model = load_model("lal:IMRPhenomXPHM")
    data = simulate(truth, model, ("H1", "L1"), duration=16, sampling_frequency=1024, gps=GPS, seed=3)
    segment = data.segment(psd="aLIGO", duration=4.0, f_min=20.0, f_max=400.0)
    likelihood = SegmentLikelihood(segment, model)
    theta = likelihood.space.theta(truth)
    h = likelihood.waveforms(theta)
    centre = segment.gps - segment.start_time
    found = Trigger(theta[0], h[0], np.full(2, centre), np.full(2, centre), np.array([12.0, 9.0]))
    ours = OrdersSampler(likelihood, prior, found, n_sets=2, n_points=512, seed=2)
    ours.build_sets(ours.known(np.array([[*theta[0], TRUTH["theta_jn"]]]), ""), log2_n=13)
    # Amid the prior, where both spins lie in the orbital plane and oppose each other, LAL itself jumps with the phase.
    draws = ours.evaluate(0.3 * np.random.default_rng(1).normal(size=(2, 9)), "")
    table = dict(zip(ours.proposed.names, draws.theta.T, strict=True))
    place = dict(zip(ours.drawn_at_once, draws.extrinsic.T, strict=True))
    exact = likelihood.log_likelihood_ratio(table | place)
    assert np.max(np.abs(exact - place["log_likelihood"])) < 0.2
    assert prior.names == model.space.names


@pytest.fixture(scope="module")
def precessing():
    """A sampler of `nrphm` with points for its own signal, and normal scores about the truth."""
    prior = ComposedPrior((ChirpMass(24.0, 33.0), MassRatio(0.5, 1.0), Isotropic(0.8)), (50.0, 1500.0), 0.02)
    spins = {"a_1": 0.7, "a_2": 0.3, "tilt_1": 1.3, "tilt_2": 0.7, "phi_12": 0.5, "phi_jl": 1.0}
    truth = {name: value for name, value in TRUTH.items() if name not in ("chi_1", "chi_2")} | spins
    model = load_model("nrphm")
    data = simulate(truth, model, ("H1", "L1"), duration=16, sampling_frequency=2048, gps=GPS, seed=3)
    likelihood = SegmentLikelihood(data.segment(psd="aLIGO", duration=4.0, f_min=20.0, f_max=400.0), model)
    theta = likelihood.space.theta(truth)
    centre = np.full(2, likelihood.segment.gps - likelihood.segment.start_time)
    found = Trigger(theta[0], likelihood.waveforms(theta)[0], centre, centre, np.array([12.0, 9.0]))
    ours = OrdersSampler(likelihood, prior, found, n_sets=2, n_points=1024, seed=2)
    near = np.array([[*theta[0], TRUTH["theta_jn"]]])
    ours.build_sets(ours.known(near, ""), log2_n=14)
    z = np.column_stack([prior.to_normal(near[:, :-1]), [ndtri(0.5 * (1 - np.cos(TRUTH["theta_jn"])))]])
    return ours, z + 0.1 * np.random.default_rng(0).normal(size=(6, 9))


def test_binaries_together_have_the_series_that_each_has_alone(precessing) -> None:
    sampler, z = precessing
    theta = sampler.proposed.from_normal(z)
    together = list(sampler._each(theta))
    for row, one in zip(theta, together, strict=True):
        (alone,) = sampler._each(row[None])
        assert one.orders.tolist() == alone.orders.tolist()
        assert abs(one.later - alone.later) < 1e-7
        # Single precision, and a shift that much off.
        np.testing.assert_allclose(one.series, alone.series, atol=2e-5 * np.abs(alone.series).max())
        np.testing.assert_allclose(one.gram, alone.gram, atol=1e-9 * np.abs(alone.gram).max())
    assert len({one.later for one in together}) == len(together)


@pytest.mark.slow
@pytest.mark.peer
def test_exact_likelihoods_of_precessing_binaries_are_bilbys(precessing) -> None:
    import bilby

    ours, z = precessing
    draws = ours.evaluate(z, "")
    anew = ours.exact(draws, np.arange(len(z)))[:, 0]
    table = dict(zip(ours.proposed.names, draws.theta.T, strict=True)) | dict(
        zip(ours.drawn_at_once, draws.extrinsic.T, strict=True)
    )
    grid, model = ours.likelihood.grid, ours.likelihood.model

    def source(
        frequencies, chirp_mass, mass_ratio, a_1, a_2, tilt_1, tilt_2, phi_12, phi_jl, luminosity_distance, theta_jn, phase, **rest
    ):  # type: ignore[no-untyped-def]
        p = {name: value for name, value in locals().items() if name not in ("frequencies", "rest", "model", "grid")}
        place = (np.array([p[name]]) for name in ("theta_jn", "phase", "luminosity_distance"))
        plus, cross = model.transforms(model.space.binaries(model.space.theta(p)), grid, *place)[0]
        return {"plus": plus, "cross": cross}

    interferometers = ours.likelihood.segment.to_bilby()
    generator = bilby.gw.WaveformGenerator(
        duration=4.0, sampling_frequency=interferometers.sampling_frequency, frequency_domain_source_model=source,
        parameter_conversion=lambda p: (p, []),
    )  # fmt: skip
    theirs = bilby.gw.GravitationalWaveTransient(interferometers, generator)
    for i, value in enumerate(anew):
        p = {name: float(column[i]) for name, column in table.items() if name not in ("log_likelihood", "network_snr")}
        try:
            ratio = theirs.log_likelihood_ratio(p)
        except TypeError:  # older versions take parameters as an attribute
            theirs.parameters.update(p)
            ratio = theirs.log_likelihood_ratio()
        assert abs(ratio - value) < 0.01


def test_points_come_back_from_a_kept_step() -> None:
    from gwsurrogate_ml.inference.extrinsic.orders import OrderPoints
    from gwsurrogate_ml.inference.extrinsic.points import ExtrinsicPoints

    rng = np.random.default_rng(0)
    plain = ExtrinsicPoints(*(rng.normal(size=shape) for shape in ((7, 2), 7, (7, 3), 7, 7, (7, 2), 7)))
    points = OrderPoints.of(plain, 3)
    again = OrderPoints.from_tensors(points.tensors())
    for name, tensor in points.tensors().items():
        np.testing.assert_array_equal(again.tensors()[name], tensor)


@pytest.mark.slow
def test_binaries_seen_from_either_side_have_points_of_their_own(precessing) -> None:
    ours, z = precessing
    there = z.copy()
    there[:, -1] *= -1  # seen from behind: other directions fit
    theta = ours.proposed.from_normal(np.concatenate([z, there]))
    group = ours.group(theta)
    assert set(group) == {0, 1}
    kept = ours.sets
    try:
        alone = ours.evaluate(there, "")  # by points for binaries of the one side: there were no others
        ours.build_sets(ours.known(theta, ""), log2_n=14)
        own = ours.evaluate(np.repeat(there, 2, axis=0), "")  # each by both sets
    finally:
        ours.sets = kept
    assert np.median(own.effective) > 3 * np.median(alone.effective)
    first, second = own.log_likelihood[::2], own.log_likelihood[1::2]
    assert np.median(np.abs(first - second)) < 0.3


def test_each_sides_points_come_back(precessing) -> None:
    ours, _ = precessing
    again = copy(ours)
    again.sets = [
        ours.sets[0],
        [replace(integral, points=integral.points.take(np.arange(3), np.zeros(3))) for integral in ours.sets[0]],
    ]
    kept = again.tensors()
    again.sets = []
    again.restore(kept)
    assert [[len(integral.points) for integral in sets] for sets in again.sets] == [
        [len(integral.points) for integral in ours.sets[0]],
        [3] * ours.n_sets,
    ]


def test_a_side_that_does_not_fit_the_data_has_the_points_of_the_other(precessing, monkeypatch) -> None:
    ours, z = precessing
    kept, made = ours.sets, OrdersSampler._sets
    monkeypatch.setattr(
        OrdersSampler, "_sets", lambda self, theta, group, log2_n: [] if group else made(self, theta, group, log2_n)
    )
    theta = ours.proposed.from_normal(np.concatenate([z[:2], z[:2] * np.where(np.arange(9) == 8, -1, 1)]))
    try:
        ours.build_sets(ours.known(theta, ""), log2_n=12)
        assert ours.sets[0] is ours.sets[1]
        assert np.isfinite(ours.evaluate(z, "").log_likelihood).all()
        monkeypatch.setattr(OrdersSampler, "_sets", lambda *_: [])
        with pytest.raises(DomainError):
            ours.build_sets(ours.known(theta, ""), log2_n=12)
    finally:
        ours.sets = kept


def test_shares_of_the_sets_add_up_and_give_the_evidence_of_each(precessing) -> None:
    ours, z = precessing
    draws = ours.evaluate(np.repeat(z, 3, axis=0)[:17], "")
    np.testing.assert_allclose(draws.of_set.sum(axis=1), 1.0, rtol=1e-12)
    assert np.all((draws.of_set > 0).sum(axis=1) > 1)  # points in common
    own = draws.of_set[np.arange(len(draws.z)), draws.part]
    assert np.median(own) > 0.5
    assert own.min() > 0.1


@pytest.mark.parametrize("common", [0.0, 0.5])
def test_evidence_by_each_set_is_that_of_all_where_no_set_is_different(common: float) -> None:
    from gwsurrogate_ml.inference.analysis.conclude import evidence_by_set

    part = np.arange(100) % 8  # unequal numbers of draws
    of_set = (1 - common) * np.eye(8)[part] + common / 8
    draws = SimpleNamespace(part=part, of_set=of_set)
    np.testing.assert_allclose(evidence_by_set(draws, np.full(100, -7.0)), -7.0, rtol=1e-12)
    # One set finds twice as much, in its own points and in those that it gave to all.
    log_weights = np.full(100, -7.0) + np.log1p((1 - common) * (part == 3) + common / 8)
    found = of_set * np.where(np.arange(8) == 3, 2.0, 1.0)
    twice = SimpleNamespace(part=part, of_set=found / found.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(evidence_by_set(twice, log_weights), -7.0 + np.log(2.0) * (np.arange(8) == 3), atol=1e-12)


def test_a_set_without_draws_has_no_evidence() -> None:
    from gwsurrogate_ml.inference.analysis.conclude import evidence_by_set

    draws = SimpleNamespace(part=np.array([0, 1]), of_set=np.eye(3)[:2])
    assert evidence_by_set(draws, np.zeros(2)).tolist() == [0.0, 0.0, -np.inf]
