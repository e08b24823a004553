"""Policies and environments of the mirror: their interfaces' rules, what is refused, and that they learn."""

from __future__ import annotations

import importlib
import json
import sys

import numpy as np
import pytest

from gwsurrogate_ml.control.evaluate import compare, train_policy
from gwsurrogate_ml.control.learn import Task, dagger, descend
from gwsurrogate_ml.control.linear import lqg_gains, optimal_cost
from gwsurrogate_ml.control.plant import Plant, make_plant
from gwsurrogate_ml.control.policy import load_policy
from gwsurrogate_ml.control.simulation import Estimating, simulate
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DataError, MissingExtraError


@pytest.fixture(scope="module")
def plant() -> Plant:
    return make_plant()


@pytest.mark.slow
def test_an_untrained_addition_to_lqg_is_lqg_and_survives_saving(plant: Plant, tmp_path) -> None:
    policy = descend(plant, Task(limit=80.0), steps=1, n=16)
    loaded = load_policy(policy.save(tmp_path / "policy"))
    estimate = np.random.default_rng(0).standard_normal((5, plant.n))
    np.testing.assert_allclose(loaded.law(estimate), policy.law(estimate), rtol=1e-5, atol=1e-4)
    assert np.abs(policy.law(estimate) + estimate @ lqg_gains(plant).regulator[0]).max() < 30
    card = json.loads((tmp_path / "policy" / "card.json").read_text())
    card["activation"] = "step"
    (tmp_path / "policy" / "card.json").write_text(json.dumps(card))
    with pytest.raises(ArtifactError, match="step"):
        load_policy(tmp_path / "policy")


@pytest.mark.slow
def test_equal_seeds_give_equal_policies(plant: Plant) -> None:
    one, other = (descend(plant, Task(seed=5), steps=2, n=8) for _ in range(2))
    for a, b in zip(one.network.weights, other.network.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_the_linear_law_by_descent_has_no_network(plant: Plant) -> None:
    policy = train_policy(plant, "descent-linear", Task(limit=80.0), steps=2, n=8)
    x = np.random.default_rng(0).standard_normal((4, plant.n))
    np.testing.assert_allclose(policy.law(3 * x), 3 * policy.law(x), rtol=1e-9)
    assert np.abs(policy.network.skip).max() > 0


@pytest.mark.slow
def test_dagger_learns_to_hold_the_mirror(plant: Plant) -> None:
    policy = dagger(plant, Task(seed=1), rounds=5, n=16)
    run = simulate(plant, policy.controller(32), 4.0, 32, seed=2, fall=10.0)
    best = simulate(plant, Estimating(plant, 32), 4.0, 32, seed=2, fall=10.0)
    assert run.falls == best.falls == 0
    assert best.total < 1.2 * optimal_cost(plant)
    assert best.total < run.total < 2 * best.total


@pytest.mark.slow
def test_the_shipped_policy_costs_more_than_lqg_without_a_limit_and_holds_the_mirror_within_one(plant: Plant) -> None:
    policy = load_policy("mirror-policy")
    limit = policy.info["task"]["limit"]
    common = {"seconds": 8.0, "n": 128, "seed": 11, "fall": 10.0}
    free, best = (simulate(plant, c, **common) for c in (policy.controller(128), Estimating(plant, 128)))
    assert best.total < free.total < 1.3 * best.total
    held, peer = (simulate(plant, c, **common, limit=limit) for c in (policy.controller(128), Estimating(plant, 128)))
    assert held.total < 1.2 * peer.total
    assert held.falls < 1.2 * peer.falls


def test_unknown_methods_are_named(plant: Plant) -> None:
    with pytest.raises(ConfigError, match="alchemy"):
        train_policy(plant, "alchemy")


def test_the_environment_keeps_gymnasiums_rules(plant: Plant) -> None:
    pytest.importorskip("stable_baselines3")
    from gymnasium.utils.env_checker import check_env

    from gwsurrogate_ml.control.environment import MirrorEnv

    check_env(MirrorEnv(plant, Task(limit=80.0)), skip_render_check=True)
    env = MirrorEnv(plant)
    first, _ = env.reset(seed=4)
    again, _ = env.reset(seed=4)
    np.testing.assert_array_equal(first, again)
    after, _ = env.reset()
    env.reset(seed=4)
    np.testing.assert_array_equal(env.reset()[0], after)  # what the seed left
    fresh = [MirrorEnv(plant).reset()[0] for _ in range(2)]
    assert not np.array_equal(*fresh)
    with pytest.raises(DataError, match="not finite"):
        env.step(np.array([np.nan], np.float32))
    with pytest.raises(ConfigError, match=r"\(2,\)"):
        env.step(np.zeros(2, np.float32))
    with pytest.raises(ConfigError, match="base"):
        MirrorEnv(plant, base=2)


def test_environments_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("environment", "vector"):
        monkeypatch.delitem(sys.modules, f"gwsurrogate_ml.control.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(MissingExtraError, match=r"gymnasium: pip install gwsurrogate-ml\[control\]") as caught:
        importlib.import_module("gwsurrogate_ml.control.environment")
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, ImportError)


def test_reinforcement_learning_says_what_is_missing(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gymnasium")
    for name in ("vector", "reinforce"):
        monkeypatch.delitem(sys.modules, f"gwsurrogate_ml.control.{name}", raising=False)
    for name in [name for name in sys.modules if name.startswith("stable_baselines3.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(MissingExtraError, match=r"stable_baselines3: pip install gwsurrogate-ml\[control\]"):
        train_policy(plant, "ppo", steps=1)


def test_a_policy_for_another_rate_is_refused_before_any_tuning(plant: Plant) -> None:
    with pytest.raises(ConfigError, match=r"'mine' was trained at 256 Hz and the mirror is sampled at 512 Hz"):
        compare(make_plant({"sampling_frequency": 512.0}), {"mine": load_policy("mirror-policy")})


def test_many_mirrors_say_how_an_episode_ended(plant: Plant) -> None:
    pytest.importorskip("stable_baselines3")
    from gwsurrogate_ml.control.environment import FALL_REWARD
    from gwsurrogate_ml.control.vector import MirrorVecEnv

    env = MirrorVecEnv(plant, Task(fall=10.0), n=4, base=0)
    with pytest.raises(AttributeError):
        env.get_attr("springs")
    env.reset()
    with pytest.raises(DataError, match="not finite"):
        env.step(np.full((4, 1), np.nan))
    env.course.age[:] = [0, 0, 0, env.course.length - 3]
    ended: dict[int, dict] = {}
    for _ in range(400):
        push = np.array([[1.0], [0.0], [0.0], [0.0]])  # the first is pushed over at once
        seen, rewards, done, infos = env.step(push)
        for row in np.flatnonzero(done):
            ended.setdefault(int(row), infos[row] | {"reward": rewards[row], "next": seen[row]})
    assert not ended[0]["TimeLimit.truncated"]
    assert ended[0]["reward"] < FALL_REWARD
    assert ended[3]["TimeLimit.truncated"]
    assert not np.array_equal(ended[0]["terminal_observation"], ended[0]["next"])


def test_the_environments_filter_is_told_the_torque_that_the_limit_left(plant: Plant) -> None:
    pytest.importorskip("gymnasium")
    from gwsurrogate_ml.control.environment import MirrorEnv

    env = MirrorEnv(plant, Task(limit=80.0))
    env.reset(seed=1)
    for action in (1.0, -1.0):
        env.step(np.array([action], np.float32))
        assert env.course.reach > 80
        assert env.course.teacher.ahead[0, plant.held] == env.course.mirrors.state[0, plant.held] == 80 * action


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ppo", "ppo-residual", "sac"])
def test_actors_of_stable_baselines_come_out_as_they_were(
    plant: Plant, method: str, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    pytest.importorskip("stable_baselines3")
    from gwsurrogate_ml.control import reinforce

    kept = {}
    kind = "SAC" if method == "sac" else "PPO"
    original = getattr(reinforce, kind)
    monkeypatch.setattr(reinforce, kind, lambda *a, **k: kept.setdefault("model", original(*a, **k)))
    policy = train_policy(plant, method, Task(), steps=4096 if kind == "PPO" else 6000)
    z = np.random.default_rng(0).uniform(-1, 1, (20, plant.n)).astype(np.float32)
    far = 8.0 * z  # where outputs are cut off
    np.testing.assert_allclose(
        policy.network(far.astype(float)), kept["model"].predict(far, deterministic=True)[0][:, 0], atol=1e-5
    )
    np.testing.assert_array_equal(policy.network(40.0 * np.sign(z)), policy.network(10.0 * np.sign(z)))
    loaded = load_policy(policy.save(tmp_path / "policy"))
    np.testing.assert_allclose(loaded.network(40.0 * z), policy.network(40.0 * z), atol=1e-5)


def test_simulate_is_the_function_whatever_was_used_before() -> None:
    from gwsurrogate_ml import control

    control.load_policy()
    assert callable(control.simulate)
