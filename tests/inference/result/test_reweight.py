"""Results under another prior or waveform, combined, with remnants, and through files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy.cosmology import FlatLambdaCDM
from bilby.core.prior import (
    ConditionalPriorDict,
    ConditionalUniform,
    Constraint,
    DeltaFunction,
    DiscreteValues,
    Interped,
    MultivariateGaussian,
    MultivariateGaussianDist,
    PowerLaw,
    PriorDict,
    TruncatedGaussian,
    Uniform,
)
from bilby.gw.prior import AlignedSpin, BBHPriorDict, UniformSourceFrame
from scipy import stats

import gwsurrogate_ml as gw
from gwsurrogate_ml.conventions import INTRINSIC, PARAMETERS, component_masses
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.inference import BinaryPrior, LalModel, Result, SegmentLikelihood
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import simulate_segment
from gwsurrogate_ml.inference.result import reweight
from gwsurrogate_ml.inference.result.draws import derived, model_of
from gwsurrogate_ml.inference.result.residual import examine
from gwsurrogate_ml.strain.spectrum import load_psd

GPS = 1187008882.4
PRIOR = BinaryPrior()


def toy(n: int = 20_000, seed: int = 1, log_evidence: float = -100.0) -> Result:
    """A result whose likelihood is constant: its posterior is the prior."""
    import bilby

    bilby.core.utils.random.seed(seed)
    table = {name: np.asarray(value) for name, value in PRIOR.to_bilby(GPS).sample(n).items() if name in PARAMETERS}
    frame = pd.DataFrame({name: table[name] for name in PARAMETERS} | derived(table))
    frame = frame.assign(network_snr=10.0, log_likelihood=log_evidence, log_likelihood_ratio=20.0)
    weighted = frame[list(INTRINSIC)].assign(log_weight=20.0, log_likelihood_ratio=20.0, extrinsic_ess=500.0)
    segment = {"detectors": ["H1", "L1"], "gps": GPS, "start_time": GPS - 2, "duration": 4.0, "f_min": 20.0}
    return Result(
        posterior=frame,
        weighted=weighted,
        n_draws=n,
        sample_efficiency=1.0,
        pareto_k=0.1,
        log_evidence=log_evidence,
        log_evidence_error=0.01,
        log_noise_evidence=log_evidence - 20.0,
        extrinsic_ess=500.0,
        seconds=1.0,
        meta={"prior": PRIOR.model_dump(mode="json"), "segment": segment, "seed": seed},
    )


def other_prior(**changes) -> PriorDict:
    return PriorDict(dict(PRIOR.to_bilby(GPS)) | changes)


def test_another_prior_gives_its_own_posterior_and_evidence() -> None:
    result = toy()
    new = other_prior(
        chirp_mass=Uniform(25, 35, name="chirp_mass"),
        luminosity_distance=PowerLaw(1, 10, 2500, name="luminosity_distance"),
    )
    again = result.with_prior(new)
    # The likelihood is constant: the posterior is the new prior, the evidence stays.
    for name in ("chirp_mass", "luminosity_distance", "mass_ratio", "theta_jn"):
        cdf = stats.kstest(again.posterior[name], new[name].cdf)
        assert cdf.pvalue > 1e-3, name
    assert again.log_evidence == pytest.approx(result.log_evidence, abs=5 * again.log_evidence_error)
    assert again.n_draws == 20_000
    assert len(again.posterior) == int(again.sample_efficiency * again.n_draws)
    # There and back: the prior in force is the one of the last step.
    third = again.with_prior(
        other_prior(chirp_mass=Uniform(28, 30, name="chirp_mass"), luminosity_distance=new["luminosity_distance"])
    )
    assert third.posterior["chirp_mass"].between(28, 30).all()
    assert third.log_evidence == pytest.approx(result.log_evidence, abs=5 * third.log_evidence_error)
    assert again.to_bilby().priors["chirp_mass"].maximum == 35


def test_wider_missing_and_unknown_priors_are_refused() -> None:
    result = toy(200)
    with pytest.raises(DomainError, match=r"chirp_mass \(15 to 45\) is wider .* \(20 to 45\)"):
        result.with_prior(other_prior(chirp_mass=Uniform(15, 45)))
    few = other_prior()
    few.pop("psi")
    with pytest.raises(ConfigError, match="has no psi"):
        result.with_prior(few)
    with pytest.raises(ConfigError, match="a_1, which is no parameter"):
        result.with_prior(other_prior(a_1=Uniform(0, 1)))
    times = Uniform(GPS - 0.3, GPS + 0.3, name="geocent_time")
    with pytest.raises(DomainError, match=r"geocent_time \(1187008882.1\d+ to 1187008882.7\d+\) is wider .* \(1187008882.3"):
        result.with_prior(other_prior(geocent_time=times))
    with pytest.raises(DomainError, match="no draw"):
        result.with_prior(other_prior(chirp_mass=Uniform(20, 20 + 1e-9)))


def depends_on_mass_ratio(reference_params, mass_ratio):
    return dict(minimum=20.0, maximum=45.0)


TABLE, SPINS = np.linspace(21, 40, 50), np.linspace(0.01, 0.9, 20)
OPEN = FlatLambdaCDM(H0=60.0, Om0=0.2)
JOINT = MultivariateGaussianDist(["chi_1", "chi_2"], mus=[0.0, 0.0], covs=[[0.1, 0.0], [0.0, 0.1]])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"chi_1": DeltaFunction(0.0)}, DomainError, "chi_1 is the single value 0, .* give a Uniform about 0"),
        ({"mass_ratio": DiscreteValues([0.5, 0.8])}, ConfigError, "mass_ratio is a DiscreteValues, whose values no draw has"),
        ({"chi_1": 0.3}, DomainError, "chi_1 is the single value 0.3, .* needs a density"),
        ({"chirp_mass": Constraint(21, 30)}, ConfigError, "chirp_mass is a Constraint, .* give a Uniform"),
        (
            {"chirp_mass": ConditionalUniform(condition_func=depends_on_mass_ratio, minimum=20, maximum=45)},
            ConfigError,
            "chirp_mass is a ConditionalUniform, which depends on other parameters",
        ),
        (
            {"chi_1": MultivariateGaussian(JOINT, "chi_1")},
            ConfigError,
            "chi_1 is a MultivariateGaussian, which depends",
        ),
        ({"mass_1_source": Constraint(5, 40)}, ConfigError, "Constraint on mass_1_source, which does not follow"),
        ({"total_mass": Constraint(5, 10)}, ConfigError, "Constraints on total_mass leave nothing of the prior"),
        ({"chirp_mass": [21, 30]}, ConfigError, r"cannot be read \(.*chirp_mass = \[21, 30\]"),
    ],
)
def test_priors_that_are_no_density_of_one_parameter_are_refused_for_what_they_are(change, error, message) -> None:
    with pytest.raises(error, match=message):
        toy(200).with_prior(dict(PRIOR.to_bilby(GPS)) | change)


@pytest.mark.parametrize(
    "change",
    [
        {"chi_1": Uniform(-0.05, 0.05)},
        {"chirp_mass": Uniform(21, 30)},
        {"chirp_mass": PowerLaw(-2, 21, 40)},
        {"chi_1": TruncatedGaussian(0.0, 0.1, -0.5, 0.5)},
        {"chirp_mass": Interped(TABLE, TABLE**2, 21, 40, name="chirp_mass", latex_label="$M, c$")},
        {"chi_1": AlignedSpin(Interped(SPINS, SPINS * (0.9 - SPINS)), name="chi_1", num_interp=30)},
        {"luminosity_distance": UniformSourceFrame(100, 2500, cosmology=OPEN, name="luminosity_distance")},
    ],
    ids=lambda change: type(next(iter(change.values()))).__name__,
)
def test_what_those_refusals_recommend_works(change) -> None:
    again = toy(4000).with_prior(other_prior(**change))
    (name, prior) = next(iter(change.items()))
    assert stats.kstest(again.posterior[name], prior.cdf).pvalue > 1e-3
    read = reweight.prior_of(again)[name]
    inside = again.posterior[name].to_numpy()[:50]
    np.testing.assert_allclose(read.ln_prob(inside), prior.ln_prob(inside), rtol=1e-12)
    assert read.latex_label == prior.latex_label
    # Such a result is as good as any: it is re-weighted again, and saved.
    third = again.with_prior(other_prior(**change))
    assert third.sample_efficiency == pytest.approx(1.0)
    assert set(third.to_bilby().priors) == set(PARAMETERS)


def masses_uniform(reference_params, mass_ratio):
    return dict(minimum=20.0, maximum=30.0 + mass_ratio)


def test_a_prior_used_before_says_the_same() -> None:
    """bilby's priors keep what was drawn last, and conditional ones its range: neither may change what is said of them."""
    result = toy(200)
    conditional = ConditionalPriorDict(
        other_prior(chirp_mass=ConditionalUniform(condition_func=masses_uniform, minimum=20, maximum=30, name="chirp_mass"))
    )
    plain = BBHPriorDict(dict(other_prior()))
    for _ in range(2):
        with pytest.raises(ConfigError, match="chirp_mass is a ConditionalUniform, which depends on other parameters"):
            result.with_prior(conditional)
        assert result.with_prior(plain).sample_efficiency == pytest.approx(1.0)
        conditional.sample(5)
        plain.sample(5)


def test_constraints_on_masses_cut_draws_and_are_kept() -> None:
    result = toy()
    new = other_prior(mass_1=Constraint(5, 45, name="mass_1"), mass_2=Constraint(15, 60, name="mass_2"))
    del new["geocent_time"]  # as in most prior files
    again = result.with_prior(new)
    p = again.posterior
    assert p["mass_1"].max() < 45
    assert p["mass_2"].min() > 15
    # The likelihood is constant: the evidence of a normalised prior stays.
    assert again.log_evidence == pytest.approx(result.log_evidence, abs=5 * again.log_evidence_error)
    kept = again.to_bilby().priors
    assert type(kept) is BBHPriorDict
    assert kept.evaluate_constraints({"chirp_mass": np.array([22.0, 40.0]), "mass_ratio": np.array([0.9, 0.9])}).tolist() == [1, 0]
    # Beyond the Constraints nothing is known.
    with pytest.raises(DomainError, match="beyond the Constraints on mass_1, mass_2"):
        again.with_prior(other_prior())
    narrower = again.with_prior(new | {"mass_1": Constraint(5, 40, name="mass_1")})
    assert narrower.posterior["mass_1"].max() < 40
    assert narrower.log_evidence == pytest.approx(result.log_evidence, abs=0.1)


def test_a_prior_that_vanishes_within_its_range_is_not_undone() -> None:
    x = np.linspace(-0.9, 0.9, 100)
    half = toy(2000).with_prior(other_prior(chi_1=Interped(x, np.where(x > 0, 0.0, 1.0), -0.9, 0.9, name="chi_1")))
    with pytest.raises(DomainError, match=r"is zero at chi_1 0\.\d+, this one is not"):
        half.with_prior(other_prior())


def test_combined_results_keep_the_flags_of_all_and_the_checks_of_the_best() -> None:
    first, second = toy(400, 1), toy(400, 2)
    first.meta.update(flags=["one", "two"], checks={"residual": {"p_value": 0.5}})
    second.meta.update(flags=["two", "three"], checks={"residual": {"p_value": 1e-6}})
    better = replace(second, posterior=second.posterior.assign(log_likelihood_ratio=21.0))
    for both in (first.combine(better), better.combine(first)):
        assert sorted(both.meta["flags"]) == ["one", "three", "two"]
        assert both.meta["checks"]["residual"]["p_value"] == 1e-6


def test_combined_results_pool_draws_and_evidence() -> None:
    first, second = toy(4000, 1, -100.0), toy(2000, 2, -100.0)
    both = first.combine(second)
    assert both.n_draws == 6000
    assert both.log_evidence == pytest.approx(-100.0, abs=1e-9)
    assert both.log_evidence_error < first.log_evidence_error
    assert len(both.posterior) >= 5990
    # A run that found less weight counts for less.
    poor = toy(4000, 3)
    poor.weighted["log_weight"] -= np.log(3.0)
    poor = Result(**{**vars(poor), "log_evidence": poor.log_evidence - np.log(3.0)})
    mixed = first.combine(poor)
    assert mixed.log_evidence == pytest.approx(-100 + np.log(2 / 3), abs=1e-9)
    chirp = set(poor.posterior["chirp_mass"])
    assert mixed.posterior["chirp_mass"].isin(chirp).mean() == pytest.approx(0.25, abs=0.02)
    other = toy(100)
    other.meta["segment"] = other.meta["segment"] | {"start_time": GPS}
    with pytest.raises(ConfigError, match="segment"):
        first.combine(other)
    with pytest.raises(ConfigError, match="results 1 and 2 have draws in common"):
        first.combine(first)
    # The same binaries, whose likelihoods differ by other extrinsic points or another phase drawn.
    same = toy(4000, 1)
    same.weighted["log_likelihood_ratio"] += 0.01 * np.random.default_rng(0).normal(size=4000)
    with pytest.raises(ConfigError, match="results 1 and 2 have draws in common"):
        first.combine(same)
    other = toy(100, 4)
    other.meta["surrogate"] = {"name": "lal:IMRPhenomXAS"}
    with pytest.raises(ConfigError, match="surrogate"):
        first.combine(other)


def test_combined_results_keep_the_columns_of_all() -> None:
    first, second = toy(400, 1), toy(400, 2)
    for results in ((first.with_remnant(), second), (second, first.with_remnant())):
        both = results[0].combine(results[1])
        assert set(both.posterior) == set(first.posterior)
        assert not both.posterior.isna().to_numpy().any()


def with_glitch(result: Result, window: tuple[float, float], log_odds: float, log_bayes_factor: float) -> Result:
    """The same with a glitch in H1 of these odds in each draw."""
    found = {"window": list(window), "probability": 0.0, "log_bayes_factor": 0.0, "effective_points": 100.0}
    columns = {f"glitch_H1_{name}": 1.0 for name in ("snr", "phase", "time", "frequency", "bandwidth")}
    about = {"detectors": {"H1": found}, "signal_log_bayes_factor": log_bayes_factor}
    posterior = result.posterior.assign(**columns, glitch_H1_log_odds=log_odds)
    return replace(result, posterior=posterior, meta=result.meta | {"glitch": about})


def test_combined_glitches_are_of_one_window_and_their_odds_of_all_draws() -> None:
    window = (GPS, GPS + 0.6)
    first = with_glitch(toy(4000, 1), window, np.log(9.0), 12.0)
    second = with_glitch(toy(4000, 2), window, np.log(1 / 9), 13.0)
    with pytest.raises(ConfigError, match="prior on its time"):
        first.combine(with_glitch(second, (GPS + 1, GPS + 1.2), 0.0, 12.0))
    about = first.combine(second).meta["glitch"]
    assert about["detectors"]["H1"]["probability"] == pytest.approx(0.5, abs=1e-3)
    assert about["detectors"]["H1"]["log_bayes_factor"] == pytest.approx(0.0, abs=1e-3)
    assert about["signal_log_bayes_factor"] == pytest.approx(12.5)  # the evidences are the same


def test_weights_that_were_unreliable_stay_so() -> None:
    new = other_prior(luminosity_distance=PowerLaw(1, 10, 2500, name="luminosity_distance"))
    results = [replace(toy(2000, seed), pareto_k=k).with_prior(new) for seed, k in ((1, 1.3), (2, 0.9))]
    assert [result.pareto_k for result in results] == [1.3, 0.9]
    both = results[0].combine(results[1])
    assert both.pareto_k == 1.3
    assert both.flags[0].startswith("unreliable weights")
    # Of plain runs the weights of all draws tell.
    assert toy(2000, 1).combine(replace(toy(2000, 2), pareto_k=1.3)).pareto_k < 0.7


def test_remnants_are_those_of_the_remnant_model() -> None:
    from gwsurrogate_ml.surrogate.remnant.model import load_remnant

    result = toy(50).with_remnant()
    row = result.posterior.iloc[7]
    state = load_remnant()(q=1 / row["mass_ratio"], chi1=row["chi_1"], chi2=row["chi_2"])
    assert row["final_mass"] == pytest.approx(state.mass * row["total_mass"])
    assert row["final_spin"] == pytest.approx(state.spin_z)
    assert np.all(result.posterior["final_mass_source"] < result.posterior["total_mass_source"])
    assert "final_spin" in result.summary()["posterior"]


def test_reweighted_results_survive_files(tmp_path) -> None:
    result = toy(500).with_prior(other_prior(chirp_mass=Uniform(25, 35))).with_remnant()
    for name in ("result.json", "result.h5"):
        again = Result.load(result.save(tmp_path / name))
        assert again.summary() == result.summary()
        assert again.meta == result.meta
        assert again.flags == result.flags
        assert reweight.prior_of(again)["chirp_mass"].minimum == 25


@pytest.fixture(scope="module")
def simulated():
    """A signal of IMRPhenomD in noise, and draws about its parameters that carry its likelihood."""
    config = SegmentConfig()
    frequencies = np.arange(round(config.f_max * config.duration) + 1) / config.duration
    psd = np.tile(np.interp(frequencies, *load_psd("aLIGO"), left=np.inf, right=np.inf), (2, 1))
    truth = {
        "chirp_mass": 28.0, "mass_ratio": 0.7, "chi_1": 0.2, "chi_2": -0.1, "luminosity_distance": 1500.0, "theta_jn": 0.6,
        "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": GPS + 0.01,
    }  # fmt: skip
    segment = simulate_segment(truth, LalModel(), psd, config, np.random.default_rng(1), gps=GPS)
    rng = np.random.default_rng(2)
    width = {"chirp_mass": 0.1, "mass_ratio": 0.03, "chi_1": 0.03, "phase": 0.1, "geocent_time": 1e-4}
    n = 60
    table = {name: np.full(n, truth[name]) + width.get(name, 0.0) * rng.normal(size=n) for name in PARAMETERS}
    base = toy(n)
    likelihood = SegmentLikelihood(segment, LalModel())
    frame = pd.DataFrame(table | derived(table))
    ratio = likelihood.log_likelihood_ratio(table)
    frame = frame.assign(network_snr=0.0, log_likelihood_ratio=ratio, log_likelihood=ratio + likelihood.log_noise_evidence)
    stored = base.meta["segment"] | {"start_time": segment.start_time}
    changes = {
        "posterior": frame,
        "weighted": frame[list(INTRINSIC)].assign(log_weight=0.0, log_likelihood_ratio=ratio, extrinsic_ess=500.0),
        "log_noise_evidence": likelihood.log_noise_evidence,
        "meta": base.meta | {"segment": stored, "surrogate": {"name": "lal:IMRPhenomD"}},
    }
    return segment, Result(**{**vars(base), **changes})


@pytest.mark.peer
@pytest.mark.parametrize("name", ["IMRPhenomD", "lal:IMRPhenomD"])
def test_the_same_waveform_by_bilbys_road_changes_nothing(simulated, name: str) -> None:
    segment, result = simulated
    # bilby's reference frequency turns the phase of every binary by another angle: the shift must take it out.
    again = result.with_waveform(segment, name, n=40)
    assert again.n_draws == 40
    assert again.sample_efficiency > 0.999
    assert again.log_evidence == pytest.approx(result.log_evidence, abs=0.02)
    assert again.meta["waveform"] == name


def test_a_surrogate_brings_all_its_modes(simulated) -> None:
    segment, result = simulated
    model = gw.load_surrogate()
    again = result.with_waveform(segment, model, n=8)
    for i in range(len(again.posterior)):
        row = {name: float(again.posterior[name].iloc[i]) for name in PARAMETERS}
        m1, m2 = component_masses(np.asarray(row["chirp_mass"]), np.asarray(row["mass_ratio"]))
        grid = {"f_min": 20.0, "sampling_frequency": segment.sampling_frequency, "duration": segment.duration}
        angles = {name: row[name] for name in ("chi_1", "chi_2", "luminosity_distance", "theta_jn", "phase")}
        plus, cross = model.frequency_domain_polarizations(mass_1=float(m1), mass_2=float(m2), **angles, **grid)
        signals = [i.get_detector_response({"plus": plus, "cross": cross}, row) for i in segment.to_bilby()]
        weight = SegmentLikelihood(segment, LalModel()).weight
        expected = sum(
            np.sum(w * (np.real(np.conj(s) * d) - 0.5 * np.abs(s) ** 2))
            for w, s, d in zip(weight, signals, segment.strain, strict=True)
        )
        assert again.posterior["log_likelihood_ratio"].iloc[i] == pytest.approx(expected, abs=1e-6)


def test_another_waveform_is_weighed_by_its_own_likelihood(simulated) -> None:
    segment, result = simulated
    model = LalModel("IMRPhenomXAS")
    again = result.with_waveform(segment, model)
    assert again.n_draws == 60
    table = {name: again.posterior[name].to_numpy() for name in PARAMETERS}
    exact = SegmentLikelihood(segment, model).log_likelihood_ratio(table)
    np.testing.assert_allclose(again.posterior["log_likelihood_ratio"], exact, atol=1e-3)
    assert again.sample_efficiency > 0.5  # the two models agree well here once phase and time are shifted
    np.testing.assert_array_equal(np.isin(again.posterior["chirp_mass"], result.posterior["chirp_mass"]), True)


def test_a_result_under_another_waveform_is_not_weighed_once_more(simulated) -> None:
    segment, result = simulated
    again = result.with_waveform(segment, "IMRPhenomXAS", n=4)
    with pytest.raises(ConfigError, match="already under 'IMRPhenomXAS'"):
        again.with_waveform(segment, "IMRPhenomXAS", n=4)


def test_phases_of_a_prior_that_is_not_uniform_are_not_moved(simulated) -> None:
    segment, result = simulated
    quarter = result.with_prior(other_prior(phase=Uniform(0, np.pi / 2, name="phase")))
    for change in (lambda: quarter.with_waveform(segment, "IMRPhenomXAS", n=4), lambda: quarter.with_higher_modes(segment, n=4)):
        with pytest.raises(ConfigError, match=r"phase is a Uniform from 0 to 1.5708.*afterwards: with_prior"):
            change()
    other = result.with_prior(other_prior(psi=Uniform(0.2, 0.6, name="psi"))).with_waveform(segment, "IMRPhenomXAS", n=4)
    assert other.posterior["psi"].between(0.2, 0.6).all()


@pytest.mark.parametrize("waveform", ["IMRPhenomXHM", LalModel("IMRPhenomXAS")], ids=["by name", "a model"])
def test_figures_and_checks_are_of_the_waveform_in_force(simulated, tmp_path, waveform) -> None:
    segment, result = simulated
    stale = replace(result, meta=result.meta | {"checks": {"residual": {"p_value": 1e-9}}})
    again = Result.load(stale.with_waveform(segment, waveform, n=8).save(tmp_path / "again.json"))
    model = model_of(again)
    assert model.name == (f"lal:{waveform}" if isinstance(waveform, str) else waveform.name)
    likelihood = SegmentLikelihood(segment, model)
    exact = likelihood.log_likelihood_ratio({name: again.posterior[name].to_numpy() for name in PARAMETERS})
    np.testing.assert_allclose(again.posterior["log_likelihood_ratio"], exact, atol=1e-2)
    best = again.posterior.iloc[int(np.argmax(again.posterior["log_likelihood"]))]
    templates = likelihood.waveforms(np.array([[28.0, 0.7, 0.2, -0.1]]))
    expected = examine(likelihood, best, templates)["residual"]["p_value"]
    assert again.meta["checks"]["residual"]["p_value"] == pytest.approx(expected, rel=1e-3)
    assert again.plot_residual(segment).axes
    assert again.plot_waveform(segment).axes


def test_models_that_are_not_found_by_their_name_are_asked_for(simulated) -> None:
    segment, result = simulated
    mine = replace(result, meta=result.meta | {"surrogate": {"name": "mine", "weights_sha256": "ab"}})
    for call in (mine.plot_waveform, mine.plot_residual, lambda s: mine.with_waveform(s, "IMRPhenomD", n=4)):
        with pytest.raises(ConfigError, match=r"waveforms of mine, which no model is called .*: give the model itself: model="):
            call(segment)
    model = LalModel("IMRPhenomD")
    model.name = "mine"
    assert mine.with_waveform(segment, "IMRPhenomD", n=4, model=model).sample_efficiency > 0.999
    with pytest.raises(ConfigError, match="of name mine, that of lal:IMRPhenomD is lal:IMRPhenomD"):
        mine.with_waveform(segment, "IMRPhenomD", n=4, model=LalModel())
    # One that has the name of another.
    other = replace(result, meta=result.meta | {"surrogate": gw.load_surrogate("nr22").identity | {"weights_sha256": "ab"}})
    for call in (other.plot_waveform, lambda s: other.with_higher_modes(s, n=4)):
        with pytest.raises(ConfigError, match="waveforms of nr22 of weights_sha256 ab, that of nr22 is"):
            call(segment)
    under = result.with_waveform(segment, reweight._lal(segment, "IMRPhenomD"), n=4)
    with pytest.raises(ConfigError, match="waveforms of WaveformGenerator, which no model is called"):
        under.plot_waveform(segment)


def test_a_model_of_other_spins_than_the_draws_is_refused(simulated) -> None:
    segment, result = simulated
    with pytest.raises(ConfigError, match="parameters missing: a_1, a_2, tilt_1"):
        result.with_waveform(segment, LalModel("IMRPhenomXPHM"), n=2)


def test_other_data_are_refused(simulated) -> None:
    segment, result = simulated
    with pytest.raises(ConfigError, match="not the one of the result"):
        result.with_waveform(replace(segment, start_time=segment.start_time + 1), "IMRPhenomD")


def test_a_result_of_old_without_a_glitchs_odds_is_shown_and_cannot_be_reweighted() -> None:
    result = toy(100)
    columns = {f"glitch_H1_{name}": 1.0 for name in ("snr", "phase", "time", "frequency", "bandwidth")}
    found = {"probability": 0.9, "log_bayes_factor": 2.0, "effective_points": 50.0}
    old = replace(
        result,
        posterior=result.posterior.assign(**columns),
        meta=result.meta | {"glitch": {"detectors": {"H1": found}, "signal_log_bayes_factor": 9.0}},
    )
    assert set(old.summary()["posterior"]) == set(result.summary()["posterior"])
    with pytest.raises(ConfigError, match=r"before the column glitch_H1_log_odds was kept.*analyse anew"):
        old.with_prior(PRIOR.to_bilby(GPS))


def test_a_result_draws_its_own_sky() -> None:
    figure = toy(400).plot_skymap()
    axes = figure.axes[0]
    assert axes.name in ("mollweide", "hammer", "aitoff")
    assert axes.collections or axes.images
