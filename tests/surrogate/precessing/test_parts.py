"""Parts of the precessing model: polynomials keep their parities, dynamics its conservation laws, rotations are rotations."""

from __future__ import annotations

import lal
import numpy as np
import pytest

from gwsurrogate_ml.surrogate.precessing import coorbital, dynamics, polynomials, rotation, wigner

Q, SPINS = 1.7, np.array([0.3, -0.2, 0.4, -0.1, 0.5, -0.6])


def values(q: float, spins: np.ndarray) -> np.ndarray:
    return polynomials.table(polynomials.monomials(3, 3), np.array([q]), spins[None])[0]


def kind_of_each() -> np.ndarray:
    return np.repeat(np.arange(4), np.diff(polynomials.monomials(3, 3).first))


def test_monomials_are_products_of_the_variables() -> None:
    m = polynomials.monomials(3, 3)
    x = np.empty(7)
    polynomials.variables(Q, SPINS, x)
    np.testing.assert_allclose(values(Q, SPINS), np.prod(x**m.exponents, axis=1), rtol=1e-13)
    assert len(m.exponents) == 120
    # More powers of the mass ratio than of the spins: (1 + 6 + 21) times what of it each degree of the spins leaves.
    m = polynomials.monomials(2, 4)
    assert len(m.exponents) == 5 + 6 * 4 + 21 * 3
    assert m.exponents[:, 1:].sum(axis=1).max() == 2
    assert m.exponents.sum(axis=1).max() == 4


def test_reflection_turns_the_sign_of_odd_kinds() -> None:
    reflected = SPINS * np.array([-1, -1, 1, -1, -1, 1])
    sign = np.where(kind_of_each() % 2 == 1, -1.0, 1.0)
    np.testing.assert_allclose(values(Q, reflected), sign * values(Q, SPINS), rtol=1e-13)


def test_exchange_of_the_bodies_turns_the_sign_of_odd_kinds() -> None:
    turned = SPINS * np.array([-1, -1, 1, -1, -1, 1])
    exchanged = np.concatenate([turned[3:], turned[:3]])
    sign = np.where(kind_of_each() >= 2, -1.0, 1.0)
    np.testing.assert_allclose(values(1 / Q, exchanged), sign * values(Q, SPINS), rtol=1e-12)


def test_modes_are_the_sum_of_their_pieces() -> None:
    rng = np.random.default_rng(0)
    modes = rng.normal(size=(21, 3)) + 1j * rng.normal(size=(21, 3))
    pieces = coorbital.split(modes)
    back = np.zeros_like(modes)
    for (l, m, odd, part), piece in zip(coorbital.pieces()[:-2], pieces, strict=True):
        value = piece * 1j**part
        back[coorbital.KNOWN.index((l, m))] += value
        if m:
            back[coorbital.KNOWN.index((l, -m))] += (-1) ** (l + odd) * np.conj(value)
    np.testing.assert_allclose(back, modes, atol=1e-14)


def test_weights_integrate_cubics_exactly() -> None:
    nodes = np.array([0.0, 1.3, 2.1, 4.0])
    weights = dynamics.integral_weights(nodes, 1.0, 5.0)
    for power in range(4):
        assert weights @ nodes**power == pytest.approx((5.0 ** (power + 1) - 1.0) / (power + 1), rel=1e-12)


def test_post_newtonian_rates_conserve_total_angular_momentum_and_lengths() -> None:
    out = np.empty(8)
    omega, m1, m2 = 0.02, Q / (1 + Q), 1 / (1 + Q)
    dynamics.post_newtonian(Q, omega, SPINS, out)
    turn = np.array([out[0], out[1], 0.0])
    # From the frame's own components to rates in space.
    rate_1 = m1**2 * (out[2:5] + np.cross(turn, SPINS[:3]))
    rate_2 = m2**2 * (out[5:] + np.cross(turn, SPINS[3:]))
    eta, v = m1 * m2, omega ** (1 / 3)
    momentum = eta / v * (1 + v**2 * (1.5 + eta / 6) + v**4 * (27 / 8 - 19 * eta / 8 + eta**2 / 24))
    torque = momentum * np.cross(turn, [0.0, 0.0, 1.0])
    np.testing.assert_allclose((rate_1 + rate_2 + torque)[:2], 0.0, atol=1e-16)
    assert rate_1 @ SPINS[:3] == pytest.approx(0.0, abs=1e-17)
    assert rate_2 @ SPINS[3:] == pytest.approx(0.0, abs=1e-17)


def test_a_small_spin_precesses_at_the_geodetic_rate() -> None:
    """Of a light body about a heavy one: 3/2 omega v^2, to leading order."""
    out, omega = np.empty(8), 1e-4
    dynamics.post_newtonian(1e6, omega, np.array([0.0, 0.0, 0.0, 1e-3, 0.0, 0.0]), out)
    rate = out[6] / 1e-3
    assert rate == pytest.approx(1.5 * omega * omega ** (2 / 3), rel=5e-3)


def post_newtonian_rates(times: np.ndarray) -> dynamics.Rates:
    m = polynomials.monomials(1, 1)
    nothing = np.zeros((len(times), 9, int(np.diff(m.first).max())))
    return dynamics.Rates(times, m, nothing, np.zeros(len(times)), *dynamics.step_weights(times))


def run(times: np.ndarray, state: np.ndarray, t_ref: float) -> np.ndarray:
    states, rates = np.empty((2, len(times), dynamics.N_STATE))
    base = 0.02 * (1 - times / 1e4) ** (-3 / 8)

    def phase(t: np.ndarray | float) -> np.ndarray | float:
        return -0.02 * 1e4 * 8 / 5 * (1 - t / 1e4) ** (5 / 8)

    advance = phase(times) - phase(t_ref)
    first, weights = dynamics.start_weights(times, t_ref)
    dynamics.integrate(
        post_newtonian_rates(times), Q, state, first, weights, base, np.zeros(len(times)), 1.0, advance, states, rates
    )
    return states


def test_integration_from_any_reference_gives_one_binary() -> None:
    times = np.arange(-3000.0, 1.0, 20.0)
    state = np.concatenate([[1.0, 0.0, 0.0, 0.0, 0.0], SPINS])
    forward = run(times, state, times[0])
    for k in (5, 70, len(times) - 3, len(times) - 1):
        again = run(times, forward[k].copy(), times[k])
        np.testing.assert_allclose(again, forward, atol=3e-6)
    np.testing.assert_allclose(np.linalg.norm(forward[:, 5:8], axis=1), np.linalg.norm(SPINS[:3]), rtol=1e-12)


def test_halving_the_steps_changes_the_dynamics_little() -> None:
    state = np.concatenate([[1.0, 0.0, 0.0, 0.0, 0.0], SPINS])
    coarse, fine = run(np.arange(-3000.0, 1.0, 20.0), state, -3000.0), run(np.arange(-3000.0, 1.0, 10.0), state, -3000.0)
    np.testing.assert_allclose(coarse, fine[::2], atol=3e-6)


MODES = wigner.INERTIAL


def turn(frame: np.ndarray, modes: np.ndarray) -> np.ndarray:
    out = np.empty((len(MODES), 1), complex)
    wigner.turn(wigner.QUARTER, wigner.QUARTER_TRANSPOSED, frame[None], modes[:, None].copy(), out)
    return out[:, 0]


def harmonics(frame: np.ndarray, theta: float, phi: float) -> np.ndarray:
    out, (first,), (second,) = rotation.harmonics(rotation.harmonic_terms(MODES), frame[None], rotation.direction(theta, phi))
    return out[:, 0] * second * np.array([first**m for _, m in MODES])


@pytest.mark.parametrize(("theta", "phi"), [(0.4, 1.1), (2.0, -2.0), (0.0, 0.3), (np.pi, 0.7)])
def test_harmonics_are_lals(theta: float, phi: float) -> None:
    out = harmonics(np.array([1.0, 0, 0, 0]), theta, phi)
    wanted = [lal.SpinWeightedSphericalHarmonic(theta, phi, -2, l, m) for l, m in MODES]
    np.testing.assert_allclose(out, wanted, atol=1e-14)


def test_rotated_modes_are_what_an_observer_of_the_frame_sees() -> None:
    rng = np.random.default_rng(2)
    frame = rng.normal(size=4)
    frame /= np.linalg.norm(frame)
    modes = rng.normal(size=len(MODES)) + 1j * rng.normal(size=len(MODES))
    turned = turn(frame, modes)
    assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(modes), rel=1e-12)
    for theta, phi in ((0.7, 0.2), (2.5, -1.0)):
        seen, plain = harmonics(frame, theta, phi), harmonics(np.array([1.0, 0, 0, 0]), theta, phi)
        assert modes @ seen == pytest.approx(turned @ plain, abs=1e-12)


def test_a_turn_about_z_is_a_phase_of_each_order() -> None:
    angle, rng = 0.8, np.random.default_rng(4)
    modes = rng.normal(size=len(MODES)) + 1j * rng.normal(size=len(MODES))
    found = turn(np.array([np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)]), modes)
    np.testing.assert_allclose(found, modes * np.exp(-1j * angle * wigner.INERTIAL_ORDERS), atol=1e-13)


def test_turning_back_gives_the_modes_again() -> None:
    rng = np.random.default_rng(5)
    modes = rng.normal(size=len(MODES)) + 1j * rng.normal(size=len(MODES))
    for frame in ([1.0, 0, 0, 0], [0, 0, 1.0, 0], [0.1, 0.7, -0.5, 0.5], [0.3, 1e-9, 0, 0.1]):
        there = turn(np.array(frame), modes)
        np.testing.assert_allclose(turn(np.array(frame) * [1, -1, -1, -1], there), modes, atol=1e-12)
