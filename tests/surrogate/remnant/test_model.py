"""The remnant model: limits, exact symmetries, shapes, and what it refuses."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DomainError, DomainWarning
from gwsurrogate_ml.surrogate.fits.sparse_gp import Hyper, SparseGP, condition, fit_hyper, kernel
from gwsurrogate_ml.surrogate.remnant import physics


@pytest.fixture(scope="module")
def remnant() -> gw.Remnant:
    return gw.load_remnant()


@pytest.mark.parametrize("spin", [-0.9, -0.3, 0.0, 0.5, 0.9])
def test_small_companion_leaves_the_large_hole_as_it_was(remnant: gw.Remnant, spin: float) -> None:
    q = np.array([100.0, 200.0, 400.0, 800.0])
    with pytest.warns(DomainWarning):
        state = remnant(q=q, chi1=np.full(4, spin), chi2=np.zeros(4))
    eta = q / (1 + q) ** 2
    energy, momentum = physics.isco(np.full(4, spin))
    # First order in eta, worked out by hand for M_f and J_f / M_f^2; what is left must fall as eta^2.
    first_mass = (state.mass - (1 - eta * (1 - energy))) / eta**2
    first_spin = (state.spin_z - (spin + eta * (momentum - 2 * spin * energy))) / eta**2
    assert np.all(np.abs(first_mass) < 30)
    assert np.all(np.abs(first_spin) < 30)
    assert np.all(state.kick < 5)


def test_schwarzschild_and_extremal_isco_have_their_known_energies() -> None:
    energy, momentum = physics.isco(np.array([0.0, 1.0, -1.0]))
    np.testing.assert_allclose(energy, [np.sqrt(8 / 9), 1 / np.sqrt(3), 5 / np.sqrt(27)], rtol=1e-12)
    np.testing.assert_allclose(momentum, [2 * np.sqrt(3), 2 / np.sqrt(3), 22 / np.sqrt(27)], rtol=1e-12)


def test_equal_masses_do_not_tell_their_bodies_apart(remnant: gw.Remnant) -> None:
    a, b = np.array([0.3, -0.4, 0.5]), np.array([-0.2, 0.1, 0.6])
    one, two = remnant(1.0, a, b), remnant(1.0, b, a)
    assert vars(one) == pytest.approx(vars(two), rel=1e-12)
    aligned = remnant(1.0, 0.7, -0.4), remnant(1.0, -0.4, 0.7)
    assert vars(aligned[0]) == pytest.approx(vars(aligned[1]), rel=1e-12)


def test_features_are_even_under_exchange_at_any_mass_ratio() -> None:
    rng = np.random.default_rng(1)
    q = rng.uniform(0.1, 10, 50)
    chi1, chi2 = rng.uniform(-0.5, 0.5, (2, 50, 3))
    turn = np.array([-1.0, -1.0, 1.0])
    for function in (physics.in_plane, lambda q, a, b: physics.baseline(q, a[:, 2], b[:, 2])):
        for one, two in zip(function(q, chi1, chi2), function(1 / q, chi2 * turn, chi1 * turn), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-13)
    terms, delta, antisymmetric = physics.recoil_terms(q, chi1[:, 2], chi2[:, 2])
    swapped = physics.recoil_terms(1 / q, chi2[:, 2], chi1[:, 2])
    np.testing.assert_allclose(swapped[0], terms, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(swapped[1], -delta, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(swapped[2], -antisymmetric, rtol=1e-12)


def test_equal_bodies_stay_where_they_are(remnant: gw.Remnant) -> None:
    state = remnant(q=np.ones(3), chi1=np.array([-0.5, 0.0, 0.8]), chi2=np.array([-0.5, 0.0, 0.8]))
    np.testing.assert_allclose(state.kick, 0, atol=1e-12)


def test_turning_the_frame_about_the_orbital_angular_momentum_changes_nothing(remnant: gw.Remnant) -> None:
    turn = np.array([[np.cos(1.1), -np.sin(1.1), 0], [np.sin(1.1), np.cos(1.1), 0], [0, 0, 1]])
    a, b = np.array([0.3, -0.4, 0.5]), np.array([-0.2, 0.1, 0.6])
    assert vars(remnant(2.0, turn @ a, turn @ b)) == pytest.approx(vars(remnant(2.0, a, b)), rel=1e-10)


def test_vectors_along_the_orbit_are_aligned_spins(remnant: gw.Remnant) -> None:
    assert remnant(2.0, [0, 0, 0.4], -0.3) == remnant(2.0, 0.4, -0.3)


def test_spin_is_continuous_where_in_plane_spins_vanish(remnant: gw.Remnant) -> None:
    here, near = remnant(2.0, 0.4, -0.3), remnant(2.0, [1e-6, 0, 0.4], -0.3)
    for key in ("mass", "spin", "spin_z", "kick"):
        assert getattr(near, key) == pytest.approx(getattr(here, key), rel=1e-6)


def test_retrograde_spin_of_a_heavy_hole_stays_below_the_orbit(remnant: gw.Remnant) -> None:
    state = remnant(q=10.0, chi1=-0.9, chi2=0.0)
    assert state.spin_z < -0.3
    assert state.spin == -state.spin_z


def test_many_binaries_at_once_equal_one_at_a_time(remnant: gw.Remnant) -> None:
    q = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 1.5]])
    chi1 = np.linspace(-0.8, 0.8, 18).reshape(2, 3, 3) / 2
    state = remnant(q, chi1, 0.2)
    assert state.mass.shape == q.shape
    for i in np.ndindex(q.shape):
        one = remnant(float(q[i]), chi1[i], 0.2)
        for key, value in vars(one).items():
            assert isinstance(value, float)
            assert getattr(state, key)[i] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"q": 0.5, "chi1": 0, "chi2": 0}, DomainError, "swap the bodies"),
        ({"q": 1.5, "chi1": 1.2, "chi2": 0}, DomainError, "S / m"),
        ({"q": 1.5, "chi1": 0, "chi2": [0.8, 0.8, 0]}, DomainError, "chi2"),
        ({"q": 1.5, "chi1": np.nan, "chi2": 0}, DomainError, "chi1 is not a finite"),
        ({"q": np.nan, "chi1": 0, "chi2": 0}, DomainError, "finite"),
        ({"q": 2000.0, "chi1": 0, "chi2": 0}, DomainError, "hard limit"),
        ({"q": 1.5, "chi1": [0.1, 0.2], "chi2": 0}, ConfigError, "chi1 has shape"),
        ({"q": 1.5, "chi1": "large", "chi2": 0}, ConfigError, "chi1"),
        ({"q": 1.5, "chi1": 0, "chi2": 0, "mass_ratio": 0.5}, ConfigError, "mass_ratio"),
        ({"mass_ratio": 0.5, "chi1": 0, "chi2": 0}, ConfigError, "give q = m1/m2 = 1/mass_ratio"),
        ({"q": 1.5, "chi_1": 0, "chi2": 0}, ConfigError, "give chi1 in place of chi_1"),
    ],
)
def test_bad_input_is_refused_with_the_remedy(remnant: gw.Remnant, arguments: dict, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        remnant(**arguments)


def test_outside_the_trained_range_warns_and_inside_is_silent(remnant: gw.Remnant) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        remnant(8.0, 0.9, -0.9)
    with pytest.warns(DomainWarning, match="q is outside the trained range"):
        remnant(30.0, 0.0, 0.0)
    with pytest.warns(DomainWarning, match="in-plane"):
        remnant(8.0, [0.3, 0, 0], 0.0)


def test_errors_grow_where_there_are_no_data(remnant: gw.Remnant) -> None:
    inside = remnant(2.0, 0.3, 0.1)
    with pytest.warns(DomainWarning):
        corner = remnant(4.0, 1.0, 1.0)
    assert corner.mass_error > 3 * inside.mass_error
    assert remnant(2.0, [0.6, 0, 0.3], 0.1).spin_error > 3 * inside.spin_error


def test_a_model_of_another_kind_is_refused() -> None:
    with pytest.raises(ArtifactError, match="not 'remnant'"):
        gw.load_remnant("nr22")


def test_sparse_process_equals_the_exact_one() -> None:
    """All points inducing: mean and variance of textbook Gaussian-process regression (Rasmussen & Williams, eq. 2.25)."""
    rng = np.random.default_rng(0)
    x, new = rng.uniform(-1, 1, (40, 2)), rng.uniform(-1, 1, (10, 2))
    weight, weight_new = rng.uniform(0.2, 1, 40), rng.uniform(0.2, 1, 10)
    y = np.sin(3 * x[:, 0]) * weight
    scales = rng.uniform(0.5, 2, (40, 1))
    hyper = Hyper(np.array([0.4, 0.6]), 1.3, 0.2, np.array([0.1]))
    sparse = condition(hyper, x, y, scales, weight, n_points=40)
    k = kernel(x / hyper.lengths, x / hyper.lengths, weight, weight, 1.3) + np.diag(0.01 * scales[:, 0])
    cross = kernel(new / hyper.lengths, x / hyper.lengths, weight_new, weight, 1.3)
    mean, variance = sparse(new, weight_new)
    np.testing.assert_allclose(mean, 0.2 * weight_new + cross @ np.linalg.solve(k, y - 0.2 * weight), atol=1e-5)
    exact = (1.3 * weight_new) ** 2 - np.einsum("nm,mn->n", cross, np.linalg.solve(k, cross.T))
    np.testing.assert_allclose(variance, exact, atol=1e-5)
    again = SparseGP.from_tensors(sparse.tensors("a"), "a")
    np.testing.assert_array_equal(again(new, weight_new)[0], mean)


def test_fit_finds_the_noise_of_two_sources() -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (300, 1))
    source = np.arange(300) % 2 == 0
    y = np.sin(2 * x[:, 0]) + np.where(source, 0.01, 0.1) * rng.standard_normal(300)
    hyper = fit_hyper(x, y, np.stack([source, ~source], 1).astype(float), noise_start=0.03)
    np.testing.assert_allclose(hyper.noise, [0.01, 0.1], rtol=0.2)
