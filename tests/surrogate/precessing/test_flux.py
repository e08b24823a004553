"""Fluxes of energy and momentum: against integrals over the sphere, under rotations, and of a whole waveform."""

from __future__ import annotations

import lal
import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

import gwsurrogate_ml as gw
from gwsurrogate_ml.surrogate.precessing import flux, remnant, wigner

MODES = tuple((l, m) for l in range(2, flux.L_MAX + 1) for m in range(-l, l + 1))
Q, CHI_1, CHI_2 = 1.8, np.array([0.5, 0.2, 0.3]), np.array([-0.3, 0.4, -0.2])


def random_modes(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(4, len(MODES))) + 1j * rng.normal(size=(4, len(MODES)))


def over_the_sphere(rate: np.ndarray) -> np.ndarray:
    """Energy and linear momentum radiated by modes that change by `rate` (32,): |dh/dt|^2 n / (16 pi), integrated."""
    nodes, weights = np.polynomial.legendre.leggauss(14)
    azimuths = 2 * np.pi * np.arange(28) / 28
    total = np.zeros(4)
    for cosine, weight in zip(nodes, weights, strict=True):
        theta = np.arccos(cosine)
        for phi in azimuths:
            seen = sum(r * lal.SpinWeightedSphericalHarmonic(theta, phi, -2, l, m) for r, (l, m) in zip(rate, MODES, strict=True))
            n = np.array([1.0, np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), cosine])
            total += weight * 2 * np.pi / 28 * abs(seen) ** 2 * n
    return total / (16 * np.pi)


def test_places_are_those_of_the_modes() -> None:
    assert [flux.place(l, m) for l, m in MODES] == list(range(len(MODES)))


def test_energy_and_momentum_are_integrals_over_the_sphere() -> None:
    rates = random_modes(0)
    found = flux.of_modes(flux.couplings(), random_modes(1), rates)
    for rate, row in zip(rates, found, strict=True):
        np.testing.assert_allclose(row[:4], over_the_sphere(rate), rtol=1e-11)


def test_a_toy_of_two_modes_recoils_as_by_hand() -> None:
    # (2,2) and (2,1) alone: only the coupling a_21 = sqrt(1 * 4) / 6 joins them.
    rates = np.zeros((1, len(MODES)), complex)
    rates[0, flux.place(2, 2)], rates[0, flux.place(2, 1)] = 0.3, 0.1j
    found = flux.of_modes(flux.couplings(), np.zeros_like(rates), rates)[0]
    assert found[0] == pytest.approx(0.1 / (16 * np.pi))
    assert found[1] == pytest.approx(0.0, abs=1e-15)
    assert found[2] == pytest.approx(0.3 * 0.1 / 3 / (8 * np.pi))
    assert found[3] == pytest.approx((0.09 * 2 / 3 + 0.01 / 3) / (16 * np.pi))


def test_angular_momentum_of_one_turning_mode() -> None:
    h = np.zeros((1, len(MODES)), complex)
    h[0, flux.place(3, 2)] = 0.2
    found = flux.of_modes(flux.couplings(), h, -2j * 0.1 * h)[0]
    # A pattern that turns rigidly carries energy and angular momentum in the ratio of its frequency.
    assert found[0] == pytest.approx(0.1 * found[6])
    np.testing.assert_allclose(found[4:6], 0.0, atol=1e-15)


def test_fluxes_turn_with_the_source() -> None:
    h, rates, turn = random_modes(2), random_modes(3), Rotation.from_quat([0.3, -0.5, 0.2, 0.7])
    x, y, z, w = turn.as_quat()
    assert MODES == wigner.INERTIAL

    def turned(modes: np.ndarray) -> np.ndarray:
        out = np.empty(modes.T.shape, np.complex128)
        frames = np.tile([w, x, y, z], (len(modes), 1))
        wigner.turn(wigner.QUARTER, wigner.QUARTER_TRANSPOSED, frames, np.ascontiguousarray(modes.T), out)
        return np.ascontiguousarray(out.T)

    before = flux.of_modes(flux.couplings(), h, rates)
    after = flux.of_modes(flux.couplings(), turned(h), turned(rates))
    np.testing.assert_allclose(after[:, 0], before[:, 0], rtol=1e-12)
    for part in (slice(1, 4), slice(4, 7)):
        np.testing.assert_allclose(after[:, part], turn.apply(before[:, part]), atol=1e-12)


def test_sums_are_those_of_the_modes_in_the_inertial_frame() -> None:
    sur = gw.load_surrogate("nrphm")
    model = sur.mode_model
    lost = remnant.sums(model.evolve(Q, CHI_1, CHI_2, -3000.0, -2500.0), -2500.0)
    times = np.arange(lost.begin, 100.0, 0.25)
    modes = sur(Q, CHI_1, CHI_2, t_ref=-3000.0, times=times)
    h = np.stack([modes[mode] for mode in MODES], axis=1)
    wanted = np.trapezoid(flux.of_modes(flux.couplings(), h, CubicSpline(times, h).derivative()(times)), times, axis=0)
    assert lost.energy == pytest.approx(wanted[0], rel=2e-4)
    # 1 km/s
    np.testing.assert_allclose(lost.momentum, wanted[1:4], atol=1 / remnant.LIGHT)
    np.testing.assert_allclose(lost.angular_momentum, wanted[4:], atol=2e-4 * np.linalg.norm(wanted[4:]))
