"""Flags: silent in Gaussian noise, raised by a glitch, a second signal, quiet data and bad weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bilby.core.prior import Constraint
from scipy.stats import truncnorm

from gwsurrogate_ml.inference import BinaryPrior, LalModel, Result, SegmentLikelihood
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import simulate_segment
from gwsurrogate_ml.inference.likelihood.tiles import tiles
from gwsurrogate_ml.inference.result.flags import cut_off, flags
from gwsurrogate_ml.inference.result.residual import examine, residual_test, second_signal
from gwsurrogate_ml.strain.spectrum import load_psd

GPS = 1187008882.4
CONFIG = SegmentConfig()
MERGER = np.array([2.01, 2.008])
TRUTH = {
    "chirp_mass": 28.0, "mass_ratio": 0.7, "chi_1": 0.2, "chi_2": -0.1, "luminosity_distance": 900.0, "theta_jn": 0.6,
    "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": GPS + 0.01,
}  # fmt: skip


@pytest.fixture(scope="module")
def psd() -> np.ndarray:
    frequencies = np.arange(round(CONFIG.f_max * CONFIG.duration) + 1) / CONFIG.duration
    return np.tile(np.interp(frequencies, *load_psd("aLIGO"), left=np.inf, right=np.inf), (2, 1))


def noise(psd: np.ndarray, seed: int) -> SegmentLikelihood:
    return SegmentLikelihood(simulate_segment(None, LalModel(), psd, CONFIG, np.random.default_rng(seed), GPS), LalModel())


def glitch(likelihood: SegmentLikelihood, at: float, frequency: float, snr: float) -> SegmentLikelihood:
    """The same with a sine-Gaussian in the first detector, `at` s from the start."""
    segment = likelihood.segment
    f = segment.frequencies
    burst = np.exp(-0.5 * ((f - frequency) / 15) ** 2 - 2j * np.pi * f * at)
    burst *= snr / np.sqrt(np.sum(likelihood.weight[0] * np.abs(burst) ** 2))
    strain = segment.strain.copy()
    strain[0] += burst
    return SegmentLikelihood(replace(segment, strain=strain), likelihood.model)


@pytest.mark.slow
def test_p_values_are_uniform_in_noise_of_any_level(psd) -> None:
    zero = np.zeros_like(noise(psd, 0).strain)
    p = np.array([residual_test(noise(psd, seed), zero, MERGER).p_value for seed in range(120)])
    assert 0.02 < np.mean(p < 0.1) < 0.2
    assert 0.35 < np.mean(p < 0.5) < 0.65
    loud = noise(psd, 3)
    scaled = SegmentLikelihood(replace(loud.segment, psd=1.4 * loud.segment.psd), loud.model)
    assert residual_test(scaled, zero, MERGER).p_value == pytest.approx(residual_test(loud, zero, MERGER).p_value)


@pytest.mark.slow
@pytest.mark.parametrize("start", [70.0, 140.0])
def test_bands_in_which_a_detector_is_not_used_raise_nothing(psd, start: float) -> None:
    """What leaks into them has few degrees of freedom: 13 and 28 % of noise had p below 0.003, 8 and 16 % another spectrum."""
    frequencies = np.arange(psd.shape[1]) / CONFIG.duration
    part = psd.copy()
    part[0, frequencies < start] = np.inf
    zero, p, levels = np.zeros(part.shape, np.complex128), [], []
    for seed in range(80):
        likelihood = noise(part, seed)
        p.append(residual_test(likelihood, zero, MERGER).p_value)
        found = tiles(likelihood, likelihood.strain, 0)
        levels.append(found.levels(np.ones(len(found.times), bool)))
    assert found.bands[0, 0] >= start
    assert np.mean(np.array(p) < 0.003) < 0.04
    assert 0.02 < np.mean(np.array(p) < 0.1) < 0.22
    assert 0.6 < np.min(levels) < np.max(levels) < 1.6


def test_a_glitch_at_the_merger_is_found_and_placed(psd) -> None:
    likelihood = glitch(noise(psd, 4), MERGER[0] - 0.2, 90.0, 12.0)
    test = residual_test(likelihood, np.zeros_like(likelihood.strain), MERGER)
    assert test.p_value < 1e-4
    assert (test.detector, test.f_low, test.f_high) == ("H1", 64.0, 128.0)
    assert test.start <= -0.2 < test.start + test.duration
    assert test.n_tiles == 32


def test_the_true_signal_leaves_noise_and_a_wrong_one_does_not(psd) -> None:
    segment = simulate_segment(TRUTH, LalModel(), psd, CONFIG, np.random.default_rng(5), GPS)
    likelihood = SegmentLikelihood(segment, LalModel())
    templates = likelihood.waveforms(np.array([[28.0, 0.7, 0.2, -0.1], [35.0, 0.5, 0.0, 0.0]]))
    right = examine(likelihood, TRUTH, templates)
    assert right["residual"]["p_value"] > 0.003
    assert right["second_signal"]["snr"] < 8.5
    wrong = examine(likelihood, TRUTH | {"chirp_mass": 36.0}, templates)
    assert wrong["residual"]["p_value"] < 1e-6


def test_a_second_signal_is_found_at_its_time(psd) -> None:
    second = TRUTH | {"geocent_time": GPS - 1.0, "chirp_mass": 24.0, "luminosity_distance": 1200.0}
    first = simulate_segment(None, LalModel(), psd, CONFIG, np.random.default_rng(6), GPS)
    extra = simulate_segment(second, LalModel(), psd, CONFIG, None, GPS)
    likelihood = SegmentLikelihood(replace(first, strain=first.strain + extra.strain), LalModel())
    templates = likelihood.waveforms(np.array([[25.0, 0.7, 0.2, -0.1]]))
    found = second_signal(likelihood, np.zeros_like(likelihood.strain), MERGER, templates)
    assert found["snr"] > 12
    assert found["time"] == pytest.approx(-1.01, abs=0.04)  # arrival at H1 against the geocentre's: up to 21 ms
    # In one detector alone it is a glitch.
    strain = likelihood.segment.strain.copy()
    strain[1] = first.strain[1]
    alone = SegmentLikelihood(replace(likelihood.segment, strain=strain), LalModel())
    assert second_signal(alone, np.zeros_like(strain), MERGER, templates)["snr"] < 8.5


@pytest.mark.parametrize("quiet", ["V1", "K1"])
def test_a_second_signal_needs_no_third_detector_that_is_too_quiet_for_it(psd, quiet: str) -> None:
    config = SegmentConfig(detectors=("H1", "L1", quiet))
    spectra = np.concatenate([psd, 25 * psd[:1]])
    templates, snr = None, []
    for seed in range(4):
        second = TRUTH | {"geocent_time": GPS - 1.0, "chirp_mass": 24.0, "luminosity_distance": 1200.0}
        first = simulate_segment(None, LalModel(), spectra, config, np.random.default_rng(seed), GPS)
        extra = simulate_segment(second, LalModel(), spectra, config, None, GPS)
        likelihood = SegmentLikelihood(replace(first, strain=first.strain + extra.strain), LalModel())
        templates = likelihood.waveforms(np.array([[25.0, 0.7, 0.2, -0.1]])) if templates is None else templates
        snr.append(second_signal(likelihood, np.zeros_like(likelihood.strain), np.append(MERGER, 2.0), templates)["snr"])
    assert min(snr) > 12


def toy(**changes) -> Result:
    good = {
        "posterior": pd.DataFrame({"chirp_mass": [30.0]}), "weighted": pd.DataFrame({"log_weight": [0.0]}), "n_draws": 5000,
        "sample_efficiency": 0.5, "pareto_k": 0.3, "log_evidence": -50.0, "log_evidence_error": 0.01,
        "log_noise_evidence": -300.0, "extrinsic_ess": 500.0, "seconds": 1.0, "meta": {},
    }  # fmt: skip
    return Result(**(good | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pareto_k": 0.8}, "Pareto k is 0.80"),
        ({"pareto_k": float("nan")}, "unreliable weights"),
        ({"sample_efficiency": 0.01}, "5000 draws are worth 50 independent"),
        ({"log_evidence": -299.0}, "no signal: the log Bayes factor against Gaussian noise is 1.0"),
        ({"extrinsic_ess": 5.0}, "5 effective points"),
        ({"meta": {"flags": ["data unlike training"]}}, "data unlike training"),
        ({"meta": {"checks": {"second_signal": {"snr": 11.0, "time": -1.0}}}}, r"network SNR 11.0 at -1.00 s"),
    ],
)
def test_each_fault_raises_its_flag(changes, message) -> None:
    assert flags(toy()) == []
    assert len(flags(toy(**changes))) == 1
    assert message in toy(**changes).flags[0]


def test_a_poor_residual_is_described(psd) -> None:
    likelihood = glitch(noise(psd, 4), MERGER[0] - 0.2, 90.0, 12.0)
    test = vars(residual_test(likelihood, np.zeros_like(likelihood.strain), MERGER))
    (flag,) = flags(toy(meta={"checks": {"residual": test}}))
    assert "poor residual" in flag
    assert "64 to 128 Hz" in flag


def test_the_figure_of_the_residual_shows_both_detectors(psd) -> None:
    segment = simulate_segment(TRUTH, LalModel(), psd, CONFIG, np.random.default_rng(5), GPS)
    likelihood = SegmentLikelihood(segment, LalModel())
    posterior = pd.DataFrame([TRUTH | {"log_likelihood_ratio": 1.0}])
    checks = examine(likelihood, TRUTH, likelihood.waveforms(np.array([[28.0, 0.7, 0.2, -0.1]])))
    figure = toy(posterior=posterior, meta={"checks": checks}).plot_residual(segment, LalModel())
    traces = [axis.get_lines()[0].get_ydata() for axis in figure.axes]
    assert len(traces) == 2
    full = segment.whitened().std()  # with the signal; what is left is the noise alone
    assert all(0.5 * full < trace.std() < 1.2 * full for trace in traces)
    assert sum("loudest tile" in text.get_text() for a in figure.axes for text in a.get_legend().get_texts()) == 1


def with_draws(**columns: np.ndarray) -> Result:
    """A result of the prior of 20 to 60 solar masses and 10 to 3000 Mpc about `GPS`, with the draws given."""
    n = len(next(iter(columns.values())))
    return toy(
        posterior=pd.DataFrame({"chirp_mass": np.full(n, 30.0), **columns}),
        meta={"prior": {"chirp_mass": (20.0, 60.0)}, "segment": {"gps": GPS}},
    )


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("chirp_mass", 20.0, 60.0),
        ("mass_ratio", 0.125, None),
        ("chi_1", -0.9, 0.9),
        ("chi_2", -0.9, 0.9),
        ("luminosity_distance", 10.0, 3000.0),
        ("geocent_time", GPS - 0.1, GPS + 0.1),
    ],
)
def test_every_parameter_that_piles_up_at_an_end_of_its_prior_is_named(name: str, low: float, high: float | None) -> None:
    rng = np.random.default_rng(1)
    width = {"geocent_time": 0.003, "luminosity_distance": 100.0, "chirp_mass": 1.0}.get(name, 0.05)
    for end, sign in ((low, 1.0), (high, -1.0)):
        if end is None:
            continue
        (flag,) = flags(with_draws(**{name: end + sign * rng.exponential(width, size=4000)}))
        assert flag.startswith("cut off by the prior: ")
        assert f"of the likelihood of {name} lie at the end of its prior, {end:.10g}" in flag


def test_what_nature_bounds_or_the_data_do_not_measure_is_not_cut_off() -> None:
    rng = np.random.default_rng(2)
    n = 4000
    free = with_draws(
        chirp_mass=rng.normal(30, 1, n),
        mass_ratio=1 - rng.exponential(0.05, n),
        chi_1=rng.uniform(-0.9, 0.9, n),
        chi_2=rng.uniform(-0.9, 0.9, n),
        luminosity_distance=3000 * rng.random(n) ** (1 / 3),
        geocent_time=GPS + rng.normal(0, 0.01, n),
        theta_jn=rng.exponential(0.01, n),
        ra=rng.exponential(0.01, n),
    )
    assert flags(free) == []


def truncated(beyond: float, n: int = 4000) -> np.ndarray:
    """Draws of a normal likelihood that peaks `beyond` standard deviations past the upper end 0, below it."""
    below = -truncnorm.rvs(beyond, np.inf, size=n, random_state=np.random.default_rng(3))
    return below + beyond


@pytest.mark.parametrize(("beyond", "found"), [(-2.0, 0), (0.0, 0), (3.0, 1), (6.0, 1)])
def test_a_likelihood_that_peaks_beyond_the_end_is_cut_off(beyond: float, found: int) -> None:
    assert len(flags(with_draws(chi_1=0.9 + 0.1 * truncated(beyond)))) == found


def test_a_prior_that_piles_up_at_its_end_does_not_cut_off() -> None:
    """Of mass ratios uniform in the components 19 % lie in the lowest fifth of a standard deviation."""
    prior = BinaryPrior(mass_ratio=(0.125, 1.0)).to_bilby(GPS)
    q, d = (prior[name].rescale(np.random.default_rng(4).random(4000)) for name in ("mass_ratio", "luminosity_distance"))
    assert np.mean(q < 0.125 + 0.2 * np.std(q)) > 0.15
    near = np.append(np.random.default_rng(6).normal(400, 60, 3999), 12.0)  # one draw that stands for a fifth of the likelihood
    assert flags(with_draws(mass_ratio=np.asarray(q), luminosity_distance=np.asarray(d))) == []
    assert flags(with_draws(luminosity_distance=near)) == []


def test_constraints_that_cut_off_are_named() -> None:
    draws = pd.DataFrame({"mass_1": 40.0 + truncated(3.0), "total_mass": np.random.default_rng(5).normal(60, 2, 4000)})
    (flag,) = cut_off(draws, {"mass_1": Constraint(5.0, 40.0), "total_mass": Constraint(10.0, 100.0)})
    assert "of mass_1 lie at the end of its prior, 40:" in flag


def test_a_glitch_away_from_the_merger_is_flagged() -> None:
    loud = {"snr": 40.0, "detector": "L1", "start": -1.0, "f_low": 40.0, "f_high": 80.0}
    (flag,) = flags(toy(meta={"checks": {"glitch": loud}}))
    assert flag.startswith("glitch: L1 has an excess of signal-to-noise ratio 40.0 at -1.00 s from the merger, 40 to 80 Hz")
    assert flags(toy(meta={"checks": {"glitch": loud | {"snr": 9.0}}})) == []


def test_what_the_network_had_not_seen_is_flagged_where_its_draws_are_poor() -> None:
    unseen = {"meta": {"flags": ["noise spectrum unlike the training: 17 of 34 reduced data outside their range"]}}
    assert flags(toy(**unseen)) == []
    assert len(flags(toy(**unseen, sample_efficiency=0.15))) == 1
    assert len(flags(toy(**unseen, pareto_k=0.8))) == 2
    assert toy(**unseen).meta["flags"] != []  # the result keeps what was found
