"""Policies and environments of the mirror: their interfaces' rules, what is refused, and that they learn."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gwsurrogate_ml.control.evaluate import train_policy
from gwsurrogate_ml.control.learn import Task, dagger, descend
from gwsurrogate_ml.control.linear import lqg_gains, optimal_cost
from gwsurrogate_ml.control.plant import Plant, make_plant
from gwsurrogate_ml.control.policy import load_policy
from gwsurrogate_ml.control.simulate import Estimating, simulate
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DataError


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
def test_dagger_learns_to_hold_the_mirror(plant: Plant) -> None:
    policy = dagger(plant, Task(seed=1), rounds=6, n=16)
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
    with pytest.raises(DataError, match="not finite"):
        env.step(np.array([np.nan], np.float32))


def test_many_mirrors_say_how_an_episode_ended(plant: Plant) -> None:
    pytest.importorskip("stable_baselines3")
    from gwsurrogate_ml.control.environment import FALL_REWARD, MirrorVecEnv

    env = MirrorVecEnv(plant, Task(fall=10.0), n=4, base=0)
    env.reset()
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


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ppo", "ppo-residual", "sac"])
def test_actors_of_stable_baselines_come_out_as_they_were(plant: Plant, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("stable_baselines3")
    from gwsurrogate_ml.control import reinforce

    kept = {}
    kind = "SAC" if method == "sac" else "PPO"
    original = getattr(reinforce, kind)
    monkeypatch.setattr(reinforce, kind, lambda *a, **k: kept.setdefault("model", original(*a, **k)))
    policy = train_policy(plant, method, Task(), steps=4096 if kind == "PPO" else 6000)
    z = np.random.default_rng(0).uniform(-1, 1, (20, plant.n)).astype(np.float32)
    action = np.clip(policy.network(z.astype(float)), -1, 1)
    np.testing.assert_allclose(action, kept["model"].predict(z, deterministic=True)[0][:, 0], atol=1e-5)
