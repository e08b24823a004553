"""The mirror, its optimum and exact costs, against long simulations, scipy's filters and one another."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import lsq_linear
from scipy.signal import dfreqresp

from gwsurrogate_ml.control import learn, mpc, rivals, simulation
from gwsurrogate_ml.control.evaluate import beside, compare, stiffer
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
from gwsurrogate_ml.control.rivals import classical, tuned_classical
from gwsurrogate_ml.control.simulation import Estimating, Linear, Mirrors, Pool, simulate
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
    with pytest.raises(ConfigError, match=r"spectral radius is 1\.024"):
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
    assert make_plant({"seismic": str(tmp_path / "asd.txt")}).suspension.seismic == found
    with pytest.raises(ConfigError, match=r"seismic.*none\.txt"):
        make_plant({"seismic": "none.txt"})
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
    with pytest.raises(DataError, match="ends after 50 samples"):
        calm.push(np.zeros(2))
    with pytest.raises(DataError, match="seismic"):
        Mirrors(plant, 2, 0, seismic=np.full((2, 5), np.nan))


def test_a_recorded_read_out_counts_once_beside_a_coloured_model() -> None:
    plant = make_plant({"sensing": {"level": 0.5, "poles": [0.1], "zeros": [1.0]}})
    heard = Mirrors(plant, 1, 0, sensing=np.arange(40.0)[None])
    for k in range(40):
        assert heard.measured[0] == pytest.approx(heard.state[0, 0] + k)
        heard.push(np.zeros(1))
    with pytest.raises(DataError, match="sensing noise has 40 samples"):
        simulate(plant, Estimating(plant, 1), 1.0, 1, sensing=np.zeros((1, 40)))
    loud, quiet = (simulate(plant, Estimating(plant, 1), 0.15, 1, sensing=np.full((1, 40), x)) for x in (50.0, 0.0))
    assert loud.total > 10 * quiet.total


def test_a_torque_that_is_no_number_is_refused(plant: Plant) -> None:
    with pytest.raises(DataError, match="not finite"):
        Mirrors(plant, 2, 0).push(np.array([0.0, np.nan]))


def test_predictive_control_solves_its_quadratic_programme(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    law = Predictive(plant, 60.0, horizon=40 / 256)
    gains = lqg_gains(plant)
    states = np.random.default_rng(2).standard_normal((6, plant.n)) * np.sqrt(np.diag(gains.error) + 1) * 2
    plans = law.plan(states)
    assert (np.abs(plans) == 60).any()
    for state, plan in zip(states, plans, strict=True):
        peer = lsq_linear(law.push, -law.reach @ state, bounds=(-60, 60), method="bvls", tol=1e-12)
        np.testing.assert_allclose(plan, peer.x, atol=1e-3)
    monkeypatch.setattr(mpc, "MOST_STEPS", 1)  # nothing is found in one step: scipy's solver takes over
    np.testing.assert_allclose(law.plan(states), plans, atol=1e-3)
    quiet = 1e-3 * states
    np.testing.assert_allclose(law(quiet), -(quiet @ gains.regulator[0]), rtol=1e-5, atol=1e-6)


def test_gain_on_the_growing_mode_keeps_the_loop_stable(plant: Plant) -> None:
    stiff = stiffer(plant, 0.5)
    assert exact_cost(plant, observer(plant, stiff.regulator, stiff.kalman)).total > optimal_cost(plant)
    stable = make_plant(power=0.2)
    assert stable.unstable is None
    with pytest.raises(ConfigError, match="growing mode"):
        stiffer(stable, 0.5)


def test_a_run_is_refused_where_the_loop_that_runs_does_not_hold(plant: Plant) -> None:
    gains = lqg_gains(plant)
    with pytest.raises(ConfigError, match="does not hold"):
        simulate(plant, Estimating(plant, 2, gains=replace(gains, regulator=0 * gains.regulator)), 1.0, 2)


def test_a_mirror_meets_the_same_noise_beside_however_many_others(plant: Plant) -> None:
    few, many = (simulate(plant, Estimating(plant, n), 0.5, n, seed=4, limit=60.0, fall=1.0) for n in (3, 5))
    np.testing.assert_allclose(few.each, many.each[:3], rtol=1e-9)
    assert few.fell.sum() > 0
    assert (few.fell == many.fell[:3]).all()
    assert beside(few, many)["ratio"] == pytest.approx(1.0)
    assert beside(few, many)["ratio_error"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.slow
def test_evaluations_meet_noise_that_no_training_draws(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, set[tuple[int, ...]]] = {"train": set(), "run": set()}
    for module, kind in ((learn, "train"), (simulation, "run")):
        monkeypatch.setattr(module, "Mirrors", lambda p, n, seed, *a, kind=kind: seen[kind].add(seed) or Mirrors(p, n, seed, *a))
        monkeypatch.setattr(
            module, "Pool", lambda p, loop, limit, seed, kind=kind: seen[kind].add(seed) or Pool(p, loop, limit, seed)
        )
    learn.dagger(plant, learn.Task(seed=3), rounds=1, n=2)
    learn.descend(plant, learn.Task(seed=3), steps=1, n=2)
    simulate(plant, Estimating(plant, 2), 0.1, 2, seed=3)
    assert seen["train"]
    assert seen["run"]
    assert not seen["train"] & seen["run"]


@pytest.mark.slow
def test_a_bound_that_no_loop_keeps_is_refused_and_takes_a_row_only(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "minimize", lambda price, start, **options: SimpleNamespace(x=start))
    with pytest.raises(ConfigError, match=r"peak sensitivity of 1\.01 or less"):
        tuned_classical(plant, 1.01)
    rows = compare(plant, {}, limit=80.0, seconds=0.25, n=4)
    refused = [row for row in rows if "refused" in row]
    assert [row["name"] for row in refused] == ["classical, peak sensitivity 2"]
    assert refused[0]["ratio"] is None
    assert rows[0]["ratio"] == 1.0
    assert all(row["ratio"] > 0 for row in rows if row not in refused)


@pytest.mark.parametrize("rate", [128.0, 2048.0])
def test_costs_keep_their_digits_at_other_rates(rate: float) -> None:
    plant = make_plant({"sampling_frequency": rate})
    assert exact_cost(plant, lqg(plant)).total == pytest.approx(optimal_cost(plant), rel=1e-6)
    assert plant.largest_radius**rate == pytest.approx(make_plant().largest_radius ** 256)


def test_bad_numbers_are_named(plant: Plant) -> None:
    for bad in ({"fall": float("nan")}, {"fall": 0.0}, {"seed": -1}, {"n": 2.5}, {"seconds": 1e-4}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            simulate(plant, Estimating(plant, 2), **{"seconds": 0.1, "n": 2} | bad)
    for made in (1, 3):
        with pytest.raises(ConfigError, match=f"made for {made} mirrors, n is 2"):
            simulate(plant, Linear(lqg(plant), made), 0.1, 2)
    assert simulate(plant, Estimating(plant, 2), 0.1, 2.0).seconds == pytest.approx(2 * 26 / 256)
    for bad in ({"steps": 0}, {"n": 0}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            learn.descend(plant, learn.Task(), **bad)
    f = np.geomspace(0.1, 10, 20)
    with pytest.raises(DataError, match="rise"):
        fit_noise(f[::-1], f)
    with pytest.raises(DataError, match="finite"):
        fit_noise(f, np.where(f > 5, np.nan, f))
    with pytest.raises(ConfigError, match="n_zeros"):
        fit_noise(f, f, 1, 2)
    with pytest.raises(ConfigError, match=r"80.0 Hz: give corners above 0 and below 25\.6"):
        make_plant({"seismic": {"level": 1.0, "poles": [80.0]}})
