"""The remnant of precessing binaries keeps its promises: symmetries, limits, simulations, reference times, bad input."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest

import gwsurrogate_ml as gw
from data_prep.precessing_runs import read_sxs_gatech
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.surrogate.precessing.remnant import binding, sums

Q, CHI_1, CHI_2 = 1.8, np.array([0.5, 0.2, 0.3]), np.array([-0.3, 0.4, -0.2])
TURN = np.array([-1.0, -1.0, 1.0])


@pytest.fixture(scope="module")
def sur() -> Any:
    return gw.load_surrogate("nrphm")


def test_superkicks_are_along_the_axis_and_turn_with_the_spins(sur) -> None:
    speeds = []
    for azimuth in np.linspace(0, np.pi, 6, endpoint=False):
        spin = 0.7 * np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        one, other = sur.remnant(1.0, spin, -spin, t_ref=-100.0), sur.remnant(1.0, -spin, spin, t_ref=-100.0)
        np.testing.assert_allclose(one.velocity[:2], 0.0, atol=1e-6)
        np.testing.assert_allclose(one.velocity, -other.velocity, atol=1e-6)
        speeds.append(one.velocity[2])
    # A cosine of the azimuth whose amplitude is Gonzalez et al.'s 2007 (gr-qc/0702052): some 2500 km/s at spins of 0.73
    amplitude = np.abs(np.fft.fft(np.concatenate([speeds, -np.array(speeds)]))[1]) / 6
    assert 2000 < amplitude < 2900


def test_equal_bodies_do_not_recoil_and_leave_what_simulations_say(sur) -> None:
    hole = sur.remnant(1.0, [0.0, 0.0, 0.4], [0.0, 0.0, 0.4], t_ref=-1000.0)
    assert hole.kick < 1e-6
    known = gw.load_remnant()(1.0, 0.4, 0.4)
    assert hole.mass == pytest.approx(known.mass, abs=1e-12)
    assert hole.spin_vector[2] == pytest.approx(known.spin, abs=1e-12)
    assert hole.spin_error == pytest.approx(known.spin_error)


def test_without_spin_the_recoil_is_that_of_the_catalogues(sur) -> None:
    hole = sur.remnant(2.0, np.zeros(3), np.zeros(3), t_ref=-1000.0)
    assert hole.kick == pytest.approx(gw.load_remnant()(2.0, 0.0, 0.0).kick, abs=20.0)
    assert abs(hole.velocity[2]) < 1e-6


def test_equal_masses_may_be_exchanged(sur) -> None:
    one = sur.remnant(1.0, CHI_1, CHI_2, t_ref=-2000.0)
    other = sur.remnant(1.0, TURN * CHI_2, TURN * CHI_1, t_ref=-2000.0)
    np.testing.assert_allclose(other.velocity, TURN * one.velocity, atol=0.1)
    np.testing.assert_allclose(other.spin_vector, TURN * one.spin_vector, atol=1e-5)


def test_the_spins_of_any_time_leave_the_same_hole(sur) -> None:
    model = sur.mode_model
    first = sur.remnant(Q, CHI_1, CHI_2, t_ref=-4000.0)
    e = model.evolve(Q, CHI_1, CHI_2, -4000.0, -4400.0)
    for t_ref in (-2500.0, -600.0):
        k = int(np.argmin(np.abs(e.nodes - t_ref)))
        c, s = np.cos(e.states[k, 4]), np.sin(e.states[k, 4])
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        again = sur.remnant(Q, turn @ e.states[k, 5:8], turn @ e.states[k, 8:], t_ref=float(e.nodes[k]))
        assert again.mass == pytest.approx(first.mass, abs=2e-5)
        assert again.spin == pytest.approx(first.spin, abs=2e-4)
        assert again.kick == pytest.approx(first.kick, abs=20.0)
        # Both vectors are seen from another frame: their angle stays.
        assert again.velocity @ again.spin_vector == pytest.approx(first.velocity @ first.spin_vector, abs=20.0)


def test_a_reference_before_simulations_begin(sur) -> None:
    hole = sur.remnant(Q, CHI_1, CHI_2, t_ref=-9000.0)
    assert 0.93 < hole.mass < 0.97
    np.testing.assert_allclose(hole.beta * 299792.458, hole.velocity)
    assert hole.kick == pytest.approx(np.linalg.norm(hole.velocity))
    assert hole.spin == pytest.approx(np.linalg.norm(hole.spin_vector))


def test_binding_energy_is_that_of_newton_far_apart() -> None:
    energy, momentum = binding(3.0, 1e-6, np.array([0.0, 0.3, 0.2, 0.1, 0.0, 0.5]))
    eta, x = 3 / 16, 1e-4
    assert energy == pytest.approx(-0.5 * eta * x, rel=1e-3)
    assert momentum[2] == pytest.approx(eta / np.sqrt(x) + 9 / 16 * 0.2 + 0.5 / 16, rel=1e-3)
    # dE = omega dJ along a sequence of circular orbits
    step, spins = 1e-6, np.array([0.0, 0.0, 0.4, 0.0, 0.0, -0.3])
    (low, below), (high, above) = (binding(2.0, 0.01 + sign * step, spins) for sign in (-1, 1))
    assert (high - low) == pytest.approx(0.01 * (above - below)[2], rel=2e-4)


def test_total_angular_momentum_is_what_is_left_and_what_is_radiated(sur, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the binary's is taken by post-Newtonian theory, the same is left."""

    def change(chi1: np.ndarray, chi2: np.ndarray) -> float:
        left = []
        for first in (-4000.0, -3300.0, -2600.0):
            lost = sums(sur.mode_model.evolve(Q, chi1, chi2, -4000.0, first), first)
            _, momentum = binding(Q, lost.omega, lost.state[5:])
            w, v = lost.state[0], lost.state[1:4]
            left.append(momentum + 2 * np.cross(v, np.cross(v, momentum) + w * momentum) - lost.angular_momentum)
        return float(np.linalg.norm(np.ptp(left, axis=0)))

    binaries = (CHI_1, CHI_2), (np.array([0.1, -0.7, -0.2]), np.array([0.6, 0.1, 0.3]))
    found = [change(*spins) for spins in binaries]
    assert max(found) < 2e-3
    monkeypatch.setattr("gwsurrogate_ml.surrogate.precessing.remnant.ACROSS", (0.0, 0.0))
    for spins, with_it in zip(binaries, found, strict=True):
        assert change(*spins) > 2 * with_it


def test_sxs_remnants(sur, data_dir) -> None:
    with open(data_dir("remnants/sxs_remnants.csv"), newline="") as stream:
        table = {row["waveform_id"]: row for row in csv.DictReader(stream)}
    runs = {run.name: run for run in read_sxs_gatech(data_dir("nr/sxs_gatech_h22.npz"))}
    for number in ("0003", "0023", "0120"):
        row, run = table[f"SXS:BBH:{number}"], next(r for name, r in runs.items() if name.startswith(f"SXS_BBH_{number}"))
        hole = sur.remnant(run.q, run.chi1, run.chi2, omega_ref=run.omega)
        true = run.frame.T @ np.array([float(row[f"chif{axis}"]) for axis in "xyz"])
        assert hole.mass == pytest.approx(float(row["massf"]) / (float(row["mass1"]) + float(row["mass2"])), abs=8e-4)
        np.testing.assert_allclose(hole.spin_vector, true, atol=0.01)


@pytest.mark.parametrize(
    ("change", "kind", "word"),
    [
        ({"t_ref": None}, ConfigError, "no reference"),
        ({"q": 6.4}, DomainError, "q = 6.4"),
        ({"chi1": 0.3}, ConfigError, "three components"),
        ({"mass_ratio": 0.5}, ConfigError, "mass_ratio"),
    ],
)
def test_bad_input_is_refused(sur, change: dict[str, Any], kind: type[Exception], word: str) -> None:
    with pytest.raises(kind, match=word):
        sur.remnant(**({"q": Q, "chi1": CHI_1, "chi2": CHI_2, "t_ref": -1000.0} | change))
