"""Higher modes: symmetries hold whatever the weights are, all evaluation paths agree, and sums are lal's harmonics."""

from __future__ import annotations

import lal
import numpy as np
import pytest
import torch

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.surrogate.aligned import higher
from gwsurrogate_ml.surrogate.aligned.predictor import chebyshev_exponents
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.waveform.polarizations import harmonics

MODES = ((2, 1), (3, 3), (3, 2), (4, 4), (4, 3), (5, 5))
BINARY = {"mass_1": 45.0, "mass_2": 20.0, "chi_1": 0.4, "chi_2": -0.3, "luminosity_distance": 500.0}


@pytest.fixture(scope="module")
def sur() -> Surrogate:
    """The shipped (2,2) model with higher modes of smooth random shapes: what is tested must not depend on training."""
    card, tensors = artifacts.load("nr22", "surrogate")
    rng = np.random.default_rng(3)
    knots, n_basis, width = tensors["knots"], 3, 8
    shape = np.tanh(knots[None] / rng.uniform(30, 300, (len(MODES) * n_basis * 2, 1)) + rng.normal(size=(36, 1)))
    n_out = 2 * len(MODES) * n_basis
    more = {
        "higher.basis": 0.1 * shape.reshape(len(MODES), n_basis, -1),
        "higher.polynomial": 0.1 * rng.normal(size=(len(chebyshev_exponents(card["degree"])), n_out)),
        "higher.input_mean": tensors["stage1.input_mean"],
        "higher.input_scale": tensors["stage1.input_scale"],
        "higher.output_scale": np.ones(n_out),
        "higher.weight0": rng.normal(size=(2, 4, width)),
        "higher.bias0": rng.normal(size=(2, 1, width)),
        "higher.weight1": rng.normal(size=(2, width, n_out)),
        "higher.bias1": rng.normal(size=(2, 1, n_out)),
    }
    return Surrogate({**card, "modes": [[2, 2], *MODES]}, {**tensors, **more})


@pytest.mark.slow
def test_odd_modes_vanish_for_equal_bodies(sur: Surrogate) -> None:
    modes = sur(q=1, chi1=0.37, chi2=0.37)
    for l, m in MODES:
        largest = np.max(np.abs(modes[l, m]))
        assert largest < 1e-12 if m % 2 else largest > 1e-3


@pytest.mark.slow
def test_exchange_of_equal_masses_turns_odd_modes(sur: Surrogate) -> None:
    t = np.linspace(-5000, 90, 999)
    one, two = sur(q=1, chi1=0.5, chi2=-0.2, times=t), sur(q=1, chi1=-0.2, chi2=0.5, times=t)
    for l, m in ((2, 2), *MODES):
        assert np.max(np.abs(one[l, m] - (-1) ** m * two[l, m])) < 1e-12
        assert np.max(np.abs(one[l, m])) > 1e-3


@pytest.mark.slow
def test_torch_batch_equals_the_numpy_path_in_every_mode(sur: Surrogate) -> None:
    t = np.linspace(-18_000, 100, 501)
    parameters = np.array([[1.0, 0.1, 0.1], [2.5, 0.3, -0.6], [9.0, -0.4, 0.8]])
    batch = sur.batch(torch.tensor(parameters, requires_grad=True), torch.tensor(t)).detach().numpy()
    assert batch.shape == (3, 7, 501)
    for row, h in zip(parameters, batch, strict=True):
        modes = sur(*row, times=t)
        for k, key in enumerate(sur.modes):
            assert np.max(np.abs(modes[key] - h[k])) < 1e-10


@pytest.mark.parametrize("threads", [1, 2])
def test_batches_do_not_depend_on_their_company_or_on_threads(
    sur: Surrogate, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", threads)
    rng = np.random.default_rng(1)
    parameters = np.column_stack([rng.uniform(1, 9, 7), rng.uniform(-0.9, 0.9, (7, 2))])
    times = rng.uniform(-15_000, 100, (7, 40))  # in any order
    together = sur.batch(torch.tensor(parameters), torch.tensor(times)).numpy()
    for row, t, h in zip(parameters, times, together, strict=True):
        modes = sur(*row, times=t)
        assert max(np.max(np.abs(modes[key] - h[k])) for k, key in enumerate(sur.modes)) < 1e-11
    assert sur.batch(torch.zeros(0, 3), torch.zeros(5)).shape == (0, 7, 5)


def test_gradients_reach_every_mode(sur: Surrogate) -> None:
    parameters = torch.tensor([[2.3, 0.31, -0.42]], dtype=torch.float64, requires_grad=True)
    times = torch.tensor([-212.3, 14.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p, t: torch.view_as_real(sur.batch(p, t)), (parameters, times), eps=1e-6, atol=1e-6)


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.parametrize(("theta_jn", "phase"), [(0.0, 0.0), (1.1, 0.7), (2.6, 4.0)])
def test_polarizations_are_the_sum_over_lals_harmonics(sur: Surrogate, theta_jn: float, phase: float) -> None:
    hp, hc = sur.polarizations(**BINARY, theta_jn=theta_jn, phase=phase, f_min=25.0, sampling_frequency=2048.0)
    total = BINARY["mass_1"] + BINARY["mass_2"]
    modes = sur(q=BINARY["mass_1"] / BINARY["mass_2"], chi1=0.4, chi2=-0.3, times=hp.times.value / (total * MTSUN_SI))
    h = np.zeros(len(hp), dtype=complex)
    for l, m in modes:
        for sign in (1, -1):
            h += modes[l, sign * m] * lal.SpinWeightedSphericalHarmonic(theta_jn, np.pi / 2 - phase, -2, l, sign * m)
    h *= total * MTSUN_SI / (BINARY["luminosity_distance"] * MPC_SECONDS)
    scale = np.max(np.abs(h))
    assert np.max(np.abs(hp.value - h.real)) < 1e-9 * scale
    assert np.max(np.abs(hc.value + h.imag)) < 1e-9 * scale


def test_frequency_domain_polarizations_are_transforms_of_the_series(sur: Surrogate) -> None:
    angles = {"theta_jn": 1.1, "phase": 0.7}
    keywords = {"sampling_frequency": 2048.0, "duration": 4.0}
    plus, cross = sur.frequency_domain_polarizations(**BINARY, **angles, f_min=20.0, **keywords)
    hp, hc = sur.polarizations(**BINARY, **angles, f_min=14.0, sampling_frequency=2048.0)
    at = np.round(hp.times.value * 2048).astype(int)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.clip(np.arange(len(hp)) / 500, 0, 1))
    band = slice(4 * 80, 4 * 500)  # above what (5,5) does while the two different tapers rise
    for ours, series in ((plus, hp), (cross, hc)):
        x = np.zeros(8192)
        x[at] = series.value * ramp
        other = np.fft.rfft(x) / 2048
        assert np.linalg.norm((ours - other)[band]) < 5e-3 * np.linalg.norm(ours[band])


def test_the_two_two_model_agrees_with_its_reference_path() -> None:
    sur = gw.load_surrogate("nr22")
    mass = {key: BINARY[key] for key in ("mass_1", "mass_2", "chi_1", "chi_2")}
    keywords = {"sampling_frequency": 2048.0, "duration": 4.0, "f_min": 20.0}
    h = sur.frequency_domain(**mass, **keywords)[0]
    plus, cross = sur.frequency_domain_polarizations(**mass, **keywords, luminosity_distance=1.0, theta_jn=2.0, phase=0.4)
    c = np.cos(2.0)
    band = slice(4 * 20, 4 * 800)
    size = np.max(np.abs(h[band]))
    assert np.max(np.abs(plus - 0.5 * (1 + c**2) * h * np.exp(0.8j))[band]) < 1e-3 * size
    assert np.max(np.abs(cross + 1j * c * h * np.exp(0.8j))[band]) < 1e-3 * size


def test_training_recovers_planted_modes_and_their_symmetry() -> None:
    rng = np.random.default_rng(0)
    parameters = np.column_stack([rng.uniform(1, 8, 500), rng.uniform(-0.8, 0.8, (500, 2))])
    eta, _, delta, chi1, chi2 = higher.split(parameters)
    t = np.linspace(-1000, 60, 40)
    odd = (delta * np.tanh(t / 300) + 0.5 * (chi1 - chi2) * np.cos(t / 200)) * (1 + eta)
    even = eta * np.exp(t / 900)
    h = np.stack([odd * 1j, odd, even + 0j, even * 1j, odd, odd], axis=1) * higher.baseline.amplitude(t, eta)[:, None]
    data = {"times": t, "parameters": parameters, "coorbital": h}
    y = higher.targets(data, MODES)
    basis, coefficients = higher.project(y, 3)
    f, g = higher.combination(parameters, MODES, 3)
    from gwsurrogate_ml.surrogate.aligned.coordinates import features
    from gwsurrogate_ml.surrogate.aligned.predictor import chebyshev_terms

    terms = chebyshev_terms(features(parameters), 4)
    both = terms @ higher.polynomial(terms, f, g, coefficients)
    n = coefficients.shape[1]
    assert np.max(np.abs(both[:, :n] * f + both[:, n:] * g - coefficients)) < 1e-2 * np.max(np.abs(coefficients))
    assert basis.shape == (6, 3, 80)


def test_no_error_estimate_without_numerical_relativity() -> None:
    card = {key: value for key, value in artifacts.load("nr22", "surrogate")[0].items() if key != "error_factor_90"}
    with pytest.raises(ConfigError, match="no error estimate"):
        Surrogate(card, artifacts.load("nr22", "surrogate")[1]).error_estimate(2.0, 0.0, 0.0)


def test_bounds_of_higher_modes_vanish_with_the_modes_and_scale_with_the_calibrated_factors() -> None:
    card, tensors = artifacts.load("nrhm", "surrogate")
    one = Surrogate(card, tensors)
    equal, unequal = one.error_estimate(1.0, 0.3, 0.3).modes, one.error_estimate(4.0, 0.3, -0.5).modes
    assert set(equal) == set(MODES)
    assert all(equal[l, m] == 0 for l, m in MODES if m % 2)
    assert all(0 < unequal[mode] < 0.02 for mode in MODES)
    inside = one.error_estimate(1.6, 0.3, -0.5).modes
    assert all(0 < inside[mode] < 0.002 for mode in MODES if mode != (5, 5))  # there it is the error against NRSur7dq2
    factors = card["metrics"]["higher_modes_validation"]["error_factor_90"]
    card["metrics"]["higher_modes_validation"]["error_factor_90"] = {key: 2 * value for key, value in factors.items()}
    twice = Surrogate(card, tensors).error_estimate(4.0, 0.3, -0.5).modes
    assert twice == {mode: pytest.approx(2 * unequal[mode]) for mode in MODES}


FACE = {**BINARY, "theta_jn": 0.9, "phase": 0.4}
GRID = {"f_min": 20.0, "sampling_frequency": 8192.0}


def test_chosen_modes_sum_to_all_of_them_in_time_and_frequency(sur: Surrogate) -> None:
    some = ((2, 2), (3, 2), (4, 3))
    others = [mode for mode in sur.modes if mode not in some]
    whole, one, two = (sur.strain(**FACE, **GRID, modes=modes) for modes in (None, some, others))
    for k in (1, 2):
        assert np.linalg.norm(one[k]) > 0.1 * np.linalg.norm(whole[k])
        np.testing.assert_allclose(one[k] + two[k], whole[k], atol=1e-12 * np.abs(whole[k]).max())
    whole_f, one_f, two_f = (
        sur.frequency_domain_polarizations(**FACE, **GRID, duration=2.0, modes=modes) for modes in (None, some, others)
    )
    for x, y, z in zip(one_f, two_f, whole_f, strict=True):
        np.testing.assert_allclose(x + y, z, atol=1e-12 * np.abs(z).max())


@pytest.mark.peer
def test_a_chosen_mode_is_the_mode_itself(sur: Surrogate) -> None:
    start, plus, cross = sur.strain(**FACE, **GRID, modes=[(3, 3)])
    unit = (FACE["mass_1"] + FACE["mass_2"]) * MTSUN_SI
    times = (start + np.arange(len(plus)) / GRID["sampling_frequency"]) / unit
    h = sur(FACE["mass_1"] / FACE["mass_2"], FACE["chi_1"], FACE["chi_2"], times=times)[3, 3]
    azimuth = np.pi / 2 - FACE["phase"]
    y, z = (lal.SpinWeightedSphericalHarmonic(FACE["theta_jn"], azimuth, -2, 3, m) for m in (3, -3))
    expected = (y * h - z * np.conj(h)) * unit / (FACE["luminosity_distance"] * MPC_SECONDS)
    np.testing.assert_allclose(plus - 1j * cross, expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("modes", [[(6, 6)], [], [(2, 2), (2, -2)], "22", [None], 5])
def test_modes_that_the_model_lacks_are_refused(sur: Surrogate, modes: object) -> None:
    with pytest.raises(ConfigError, match="modes"):
        sur.strain(**FACE, **GRID, modes=modes)


@pytest.mark.parametrize("modes", [None, [(2, 2), (3, 3)]])
def test_batches_of_polarizations_are_those_of_single_binaries(
    sur: Surrogate, monkeypatch: pytest.MonkeyPatch, modes: list[tuple[int, int]] | None
) -> None:
    import numba

    n, rng = 70, np.random.default_rng(5)
    q, total = rng.uniform(1, 9, n), rng.uniform(50, 90, n)
    many = {
        **{"mass_1": total * q / (1 + q), "mass_2": total / (1 + q)},
        **{name: rng.uniform(-0.8, 0.8, n) for name in ("chi_1", "chi_2")},
        **{
            "luminosity_distance": rng.uniform(100, 900, n),
            "theta_jn": rng.uniform(0, 3, n),
            "phase": rng.uniform(0, 6, n),
        },
    }
    rate = 8192.0
    grid = {"start": -1000 / rate, "samples": 1150, "sampling_frequency": rate}
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 2)
    found = sur.batch_polarizations(**many, **grid, modes=modes)
    assert found.shape == (n, 2, 1150)
    for i in (0, 30, 69):
        start, *both = sur.strain(**{k: v[i] for k, v in many.items()}, f_min=25.0, sampling_frequency=rate, modes=modes)
        first = round(grid["start"] * rate - start * rate)
        for h, expected in zip(found[i], both, strict=True):
            np.testing.assert_allclose(h, expected[first : first + 1150], atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"start": -100.0}, DomainError, "times"),
        ({"theta_jn": [0.1, 0.2, 0.3]}, ConfigError, "theta_jn"),
        ({"phase": np.nan}, ConfigError, "phase"),
        ({"luminosity_distance": [400.0, -1.0]}, ConfigError, "luminosity_distance"),
        ({"sampling_frequency": 512.0, "samples": 40}, ConfigError, "aliased"),
        ({"samples": 0}, ConfigError, "samples"),
        ({"mass_1": "heavy"}, ConfigError, "mass_1"),
        ({"mass_1": [[45.0, 50.0]]}, ConfigError, r"mass_1 has the shape \(1, 2\)"),
    ],
)
def test_batches_of_polarizations_refuse_bad_input(
    sur: Surrogate, changes: dict[str, object], error: type[Exception], message: str
) -> None:
    call = {**FACE, "mass_1": [45.0, 50.0], "start": -0.1, "samples": 100, "sampling_frequency": 8192.0}
    with pytest.raises(error, match=message):
        sur.batch_polarizations(**call | changes)


@pytest.mark.parametrize("n", [0, 3])
def test_one_binary_may_be_seen_from_many_places(sur: Surrogate, n: int) -> None:
    grid = {"start": -0.1, "samples": 800, "sampling_frequency": 8192.0}
    theta = np.linspace(0.1, 2.0, n)
    found = sur.batch_polarizations(**FACE | {"theta_jn": theta}, **grid)
    assert found.shape == (n, 2, 800)
    for row, angle in zip(found, theta, strict=True):
        one = sur.batch_polarizations(**FACE | {"theta_jn": angle}, **grid)[0]
        np.testing.assert_allclose(row, one, atol=1e-11 * np.abs(one).max())


def test_no_binaries_give_no_polarizations(sur: Surrogate) -> None:
    none = FACE | {"mass_1": np.zeros(0), "mass_2": np.zeros(0)}
    assert sur.batch_polarizations(**none, start=-0.1, samples=8, sampling_frequency=8192.0).shape == (0, 2, 8)


def test_either_angle_of_harmonics_may_be_an_array() -> None:
    modes, theta, phase = [(2, 2), (3, 2)], np.array([0.1, 0.7, 2.0]), np.array([0.3, 1.0, 4.0])
    for angles in ((theta, 0.3), (0.7, phase), (theta, phase)):
        found = harmonics(modes, *angles)
        assert found.shape == (3, 2, 2)
        for row, one in zip(found, np.broadcast(*angles), strict=True):
            np.testing.assert_allclose(row, harmonics(modes, *one), rtol=1e-14)
