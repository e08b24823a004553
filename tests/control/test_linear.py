"""The mirror, its optimum and exact costs, against long simulations, scipy's filters and one another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear
from scipy.signal import dfreqresp

from gwsurrogate_ml.control.evaluate import stiffer
from gwsurrogate_ml.control.linear import (
    exact_cost,
    lqg,
    lqg_gains,
    margins,
    observer,
    optimal_cost,
    radius,
)
from gwsurrogate_ml.control.mpc import Predictive
from gwsurrogate_ml.control.noise import NoiseModel, StateSpace, fit_noise, read_asd
from gwsurrogate_ml.control.plant import Plant, make_plant, mirror_step
from gwsurrogate_ml.control.rivals import classical
from gwsurrogate_ml.control.simulate import Estimating, Linear, Mirrors, simulate
from gwsurrogate_ml.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def plant() -> Plant:
    return make_plant()


def test_a_held_torque_turns_the_free_mirror_as_mechanics_says() -> None:
    quiet = {"damping": 0.0, "power_stiffness": 0.0, "pendulum_frequency": 1.0}
    phi, push = mirror_step(make_plant(quiet).suspension, 1.0)
    state, angle = np.zeros(2), []
    for _ in range(256):
        state = phi @ state + push
        angle.append(state[0])
    t = (np.arange(256) + 1) / 256
    np.testing.assert_allclose(angle, 1 - np.cos(2 * np.pi * t), atol=1e-9)  # 1 nrad on a pendulum of 1 Hz


def test_noise_has_the_density_that_its_model_says() -> None:
    model = NoiseModel(level=3.0, poles=(0.5, 8.0), zeros=(4.0,))
    f = np.geomspace(0.1, 20, 50)
    _, response = dfreqresp((*model.shaping(256.0), 1 / 256), 2 * np.pi * f / 256)
    # White noise of unit variance has the one-sided density 2 / (sampling frequency); the bilinear map bends 20 Hz by 2 %.
    np.testing.assert_allclose(np.abs(response) * np.sqrt(2 / 256), model.asd(f), rtol=0.03)


def test_two_ways_to_the_optimum_agree_and_the_loop_costs_it(plant: Plant) -> None:
    assert exact_cost(plant, lqg(plant)).total == pytest.approx(optimal_cost(plant), rel=1e-8)


def test_neighbours_of_the_optimum_cost_more(plant: Plant) -> None:
    gains, best = lqg_gains(plant), optimal_cost(plant)
    rng = np.random.default_rng(1)
    for size in (0.01, -0.01):
        turned = gains.regulator * (1 + size * rng.standard_normal(gains.regulator.shape))
        assert exact_cost(plant, observer(plant, turned, gains.kalman)).total > best * (1 + 1e-7)
        assert exact_cost(plant, observer(plant, gains.regulator, gains.kalman * (1 + size))).total > best * (1 + 1e-7)


@pytest.mark.slow
def test_simulated_costs_are_the_exact_ones(plant: Plant) -> None:
    loop = classical(plant, np.log([5.0, 0.8, 20.0, 0.8, 30.0, 0.8]))
    for controller, cost in ((Estimating(plant, 256), optimal_cost(plant)), (Linear(loop, 256), exact_cost(plant, loop).total)):
        run = simulate(plant, controller, 12.0, 256, seed=3)
        assert run.error < 0.05 * cost
        assert run.total == pytest.approx(cost, abs=4 * run.error)


def test_margins_end_where_the_loop_does(plant: Plant) -> None:
    loop = lqg(plant)
    found = margins(plant, loop)
    for edge in found[:2]:
        assert radius(plant, loop, edge) < 1
        assert radius(plant, loop, edge * (1 + 2e-3 * np.sign(edge - 1))) >= 1
    assert found.peak_sensitivity > 1 / min(found.highest_gain - 1, 1 - found.lowest_gain)  # circles of the Nyquist plane


def test_an_unstable_controller_is_refused_with_its_radius(plant: Plant) -> None:
    idle = StateSpace(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)))
    with pytest.raises(ConfigError, match=f"spectral radius is {plant.unstable[0]:.6f}"):
        exact_cost(plant, idle)
    with pytest.raises(ConfigError, match="not finite"):
        exact_cost(plant, idle._replace(d=np.array([[np.nan]])))
    with pytest.raises(ConfigError, match="shapes"):
        exact_cost(plant, idle._replace(d=np.zeros((2, 2))))


def test_bad_suspensions_and_powers_are_refused() -> None:
    with pytest.raises(ConfigError, match="springs"):
        make_plant({"springs": 4})
    with pytest.raises(ConfigError, match="power"):
        make_plant(power=float("nan"))
    with pytest.raises(ConfigError, match="poles"):
        make_plant({"seismic": {"level": 1.0, "poles": [0.0]}})


def test_coloured_sensing_noise_has_an_optimum_too() -> None:
    plant = make_plant({"sensing": {"level": 0.5, "poles": [0.1], "zeros": [1.0]}})
    assert exact_cost(plant, lqg(plant)).total == pytest.approx(optimal_cost(plant), rel=1e-8)


def test_noise_from_a_file(tmp_path) -> None:
    f = np.geomspace(0.05, 60, 150)
    wanted = NoiseModel(level=40.0, poles=(0.4, 2.0, 2.5))
    np.savetxt(tmp_path / "asd.txt", np.transpose([f, wanted.asd(f)]))
    found = fit_noise(*read_asd(tmp_path / "asd.txt"))
    np.testing.assert_allclose(found.asd(f), wanted.asd(f), rtol=1e-2)
    with pytest.raises(DataError, match="dB"):
        fit_noise(f, 1e3 * np.sin(5 * f) ** 2 + 1e-3)
    (tmp_path / "bad.txt").write_text("1 2\n2 nan\n3 1\n4 1\n")
    with pytest.raises(DataError, match=r"bad\.txt"):
        read_asd(tmp_path / "bad.txt")


def test_recorded_noise_takes_the_place_of_the_models(plant: Plant) -> None:
    calm = Mirrors(plant, 2, 0, seismic=np.full((2, 50), 3.0), sensing=np.zeros((2, 50)))
    for _ in range(50):
        calm.push(np.full(2, -3.0))
    one = plant.a[:2, plant.held] * 3  # the torque acts a sample late: one sample's push is left, and grows
    grown = np.linalg.matrix_power(plant.a[:2, :2], 49) @ one
    np.testing.assert_allclose(calm.state[:, :2], [grown, grown], rtol=1e-9)
    with pytest.raises(DataError, match="seismic"):
        Mirrors(plant, 2, 0, seismic=np.full((2, 5), np.nan))


def test_a_torque_that_is_no_number_is_refused(plant: Plant) -> None:
    with pytest.raises(DataError, match="not finite"):
        Mirrors(plant, 2, 0).push(np.array([0.0, np.nan]))


def test_predictive_control_solves_its_quadratic_programme(plant: Plant) -> None:
    law = Predictive(plant, 60.0, horizon=24)
    gains = lqg_gains(plant)
    states = np.random.default_rng(2).standard_normal((6, plant.n)) * np.sqrt(np.diag(gains.error) + 1) * 2
    plans = law.plan(states)
    assert (np.abs(plans) == 60).any()
    for state, plan in zip(states, plans, strict=True):
        peer = lsq_linear(law.push, -law.reach @ state, bounds=(-60, 60), method="bvls", tol=1e-12)
        np.testing.assert_allclose(plan, peer.x, atol=1e-3)
    quiet = 1e-3 * states
    np.testing.assert_allclose(law(quiet), -(quiet @ gains.regulator[0]), rtol=1e-5, atol=1e-6)


def test_gain_on_the_growing_mode_keeps_the_loop_stable(plant: Plant) -> None:
    gains = lqg_gains(plant)
    loop = observer(plant, stiffer(plant, 0.5), gains.kalman)
    assert exact_cost(plant, loop).total > optimal_cost(plant)
