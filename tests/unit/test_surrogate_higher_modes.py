"""Higher modes: symmetries hold whatever the weights are, all evaluation paths agree, and sums are lal's harmonics."""

from __future__ import annotations

import lal
import numpy as np
import pytest
import torch

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.surrogate import higher
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.surrogate.predictor import chebyshev_exponents

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


def test_odd_modes_vanish_for_equal_bodies(sur: Surrogate) -> None:
    modes = sur(q=1, chi1=0.37, chi2=0.37)
    for l, m in MODES:
        largest = np.max(np.abs(modes[l, m]))
        assert largest < 1e-12 if m % 2 else largest > 1e-3


def test_exchange_of_equal_masses_turns_odd_modes(sur: Surrogate) -> None:
    t = np.linspace(-5000, 90, 999)
    one, two = sur(q=1, chi1=0.5, chi2=-0.2, times=t), sur(q=1, chi1=-0.2, chi2=0.5, times=t)
    for l, m in ((2, 2), *MODES):
        assert np.max(np.abs(one[l, m] - (-1) ** m * two[l, m])) < 1e-12
        assert np.max(np.abs(one[l, m])) > 1e-3


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
    assert torch.autograd.gradcheck(
        lambda p, t: torch.view_as_real(sur.batch(p, t)), (parameters, times), eps=1e-6, atol=1e-6
    )


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
    plus, cross = sur.frequency_domain_polarizations(
        **mass, **keywords, luminosity_distance=1.0, theta_jn=2.0, phase=0.4
    )
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
    from gwsurrogate_ml.surrogate.coordinates import features
    from gwsurrogate_ml.surrogate.predictor import chebyshev_terms

    terms = chebyshev_terms(features(parameters), 4)
    both = terms @ higher.polynomial(terms, f, g, coefficients)
    n = coefficients.shape[1]
    assert np.max(np.abs(both[:, :n] * f + both[:, n:] * g - coefficients)) < 1e-2 * np.max(np.abs(coefficients))
    assert basis.shape == (6, 3, 80)


def test_no_error_estimate_without_numerical_relativity() -> None:
    card = {key: value for key, value in artifacts.load("nr22", "surrogate")[0].items() if key != "error_factor_90"}
    with pytest.raises(ConfigError, match="no error estimate"):
        Surrogate(card, artifacts.load("nr22", "surrogate")[1]).error_estimate(2.0, 0.0, 0.0)
