"""Training of the precessing surrogate: sets mean what the model means, its own making has no errors, bad sets are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.surrogate.load import load_surrogate
from gwsurrogate_ml.surrogate.precessing import coorbital, dynamics, polynomials, train
from gwsurrogate_ml.surrogate.precessing.model import PrecessingSurrogate
from gwsurrogate_ml.surrogate.precessing.modes import PrecessingModes


@pytest.fixture(scope="module")
def model() -> PrecessingModes:
    surrogate = gw.load_surrogate("nrphm")
    assert isinstance(surrogate, PrecessingSurrogate)
    return surrogate.mode_model


def made_by(model: PrecessingModes, n: int, q: tuple[float, float], seed: int) -> dict[str, np.ndarray]:
    """A set of `n` binaries as `data_prep` writes it, but of the model itself."""
    rng, rows = np.random.default_rng(seed), []
    early = model.n_early
    nodes, times = model.nodes[early:], model.times[early:]
    for _ in range(n):
        chi = rng.normal(size=(2, 3))
        chi *= rng.uniform(0.3, 0.7, size=(2, 1)) / np.linalg.norm(chi, axis=1)[:, None]
        ratio = rng.uniform(*q)
        e = model.evolve(ratio, *chi, float(nodes[0]), float(nodes[0]))
        states, rates = e.states[-len(nodes) :], e.rates[-len(nodes) :]
        c, s = np.cos(states[:, 4]), np.sin(states[:, 4])

        def turned(v: np.ndarray, c: np.ndarray = c, s: np.ndarray = s) -> np.ndarray:
            return np.stack([c * v[:, 0] + s * v[:, 1], c * v[:, 1] - s * v[:, 0], v[:, 2]], axis=1)

        w, x, y, z = states[:, :4].T
        a, b, d, f = rates[:, :4].T
        angular = 2 * np.stack([w * b - x * a - y * f + z * d, w * d + x * f - y * a - z * b, np.zeros_like(w)], axis=1)
        rows.append(
            {
                "parameters": np.concatenate([[ratio], *chi]),
                "spins": np.concatenate([turned(states[:, 5:8]), turned(states[:, 8:])], axis=1),
                "rates": np.column_stack([rates[:, 4], turned(angular)[:, :2], turned(rates[:, 5:8]), turned(rates[:, 8:])]),
                "phase": states[:, 4],
                "frame": states[:, :4],
                "modes": e.coorbital[-len(times) :, : len(coorbital.KNOWN)].T,
            }
        )
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]} | {"nodes": nodes, "times": times}


def write(folder: Path, data: dict[str, np.ndarray], seed: int, q: tuple[float, float]) -> Path:
    folder.mkdir()
    own = {key: value for key, value in data.items() if key not in ("nodes", "times")}
    np.savez(folder / "chunk_00000.npz", **own)  # type: ignore[arg-type]
    for name in ("nodes", "times"):
        np.save(folder / f"{name}.npy", data[name])
    card = {"n": len(data["parameters"]), "seed": seed, "q_min": q[0], "q_max": q[1], "chi_max": 0.8}
    (folder / "config.json").write_text(json.dumps(card))
    return folder


def test_a_planted_polynomial_is_found_and_keeps_its_kinds() -> None:
    m, rng = polynomials.monomials(2, 2), np.random.default_rng(3)
    q, spins = rng.uniform(1, 2, 200), rng.uniform(-0.5, 0.5, size=(200, 6))
    table, kinds = polynomials.table(m, q, spins), np.array([0, 1, 2, 3])
    planted = [rng.normal(size=m.first[k + 1] - m.first[k]) for k in kinds]
    values = np.stack([table[:, m.first[k] : m.first[k + 1]] @ planted[k] for k in kinds], axis=1)
    found = train.fit(m, table, values, kinds)
    for row, coefficients in zip(found, planted, strict=True):
        np.testing.assert_allclose(row[: len(coefficients)], coefficients, atol=1e-9)
        assert not row[len(coefficients) :].any()


def test_pieces_take_no_more_powers_of_the_spins_than_they_need() -> None:
    m, rng = polynomials.monomials(2, 4), np.random.default_rng(3)
    q, spins = rng.uniform(1, 2, 400), rng.uniform(-0.5, 0.5, size=(400, 6))
    table, kinds = polynomials.table(m, q, spins), np.array([0, 0, 0, 1])
    planted = [rng.normal(size=polynomials.up_to_spins(m, kind, degree)) for kind, degree in zip(kinds, (2, 1, 0, 1), strict=True)]
    values = np.stack([table[:, m.first[k] : m.first[k] + len(c)] @ c for k, c in zip(kinds, planted, strict=True)], axis=1)
    values[:, 1] += 1e-5 * table[:, m.first[1] - 1]
    found = train.fit_pieces(m, table, values, kinds)
    assert coorbital.used(found[None])[0].tolist() == [len(c) for c in planted]
    for row, coefficients in zip(found, planted, strict=True):
        np.testing.assert_allclose(row[: len(coefficients)], coefficients, atol=1e-4)


def test_rates_of_a_set_are_those_that_the_dynamics_integrates(model) -> None:
    data = made_by(model, 2, (1.0, 2.0), 1)
    states, rates = train.states(data)
    for i, row in enumerate(data["parameters"]):
        e = model.evolve(float(row[0]), row[1:4], row[4:], float(data["nodes"][0]), float(data["nodes"][0]))
        n = len(data["nodes"])
        np.testing.assert_allclose(states[i], e.states[-n:], atol=1e-12)
        # A quaternion's rate along itself is not kept.
        np.testing.assert_allclose(rates[i], e.rates[-n:], atol=1e-9)
    assert states.shape[2] == dynamics.N_STATE


@pytest.mark.parametrize("q", [(1.0, 2.0), (2.1, 2.4), (3.0, 6.0)])
def test_a_set_of_the_models_own_making_has_no_errors(model, q) -> None:
    metrics, errors = train.validate(model, made_by(model, 3, q, 5))
    assert errors.max() < 1e-8
    assert metrics["phase_at_peak"]["100"] < 1e-6
    assert metrics["coorbital_modes"]["100"] < 1e-6


@pytest.mark.slow
def test_training_from_sets_to_an_artefact(model, tmp_path) -> None:
    names = {"data": (1.0, 2.0), "validation": (1.0, 2.0), "beyond": (1.8, 6.2), "beyond_validation": (2.0, 6.0)}
    folders = {
        name: write(tmp_path / name, made_by(model, 64 if seed % 2 else 16, (q[0], min(q[1], 6.0)), seed), seed, q)
        for seed, (name, q) in enumerate(names.items(), 1)
    }
    config = train.PrecessingConfig(name="toy", degree_of_rates=(2, 2), degree_of_modes=(2, 2), **folders)
    found = load_surrogate(train.train_precessing(config, tmp_path / "toy"))
    assert isinstance(found, PrecessingSurrogate)
    for name in ("nrsur7dq2_validation", "seobnrv5phm_validation"):
        assert found.info["metrics"][name]["n"] == 16
        assert 1e-6 < found.info["metrics"][name]["mismatch"]["50"] < 0.3
    for q in (1.5, 4.0):
        estimate = found.error_estimate(q, [0.4, 0.0, 0.2], [0.0, 0.3, -0.1])
        assert 0 < estimate.mismatch < estimate.mismatch_90


def test_sets_that_do_not_serve_are_refused_before_any_work(model, tmp_path) -> None:
    data = made_by(model, 1, (1.0, 2.0), 2)
    near, other = write(tmp_path / "near", data, 1, (1.0, 2.0)), write(tmp_path / "other", data, 2, (1.0, 2.0))
    beyond, last = write(tmp_path / "beyond", data, 3, (1.8, 5.0)), write(tmp_path / "last", data, 4, (2.0, 6.0))

    def trained(**change: Path) -> None:
        given = {"data": near, "validation": other, "beyond": beyond, "beyond_validation": last} | change
        train.train_precessing(train.PrecessingConfig(name="toy", **given), tmp_path / "out")

    with pytest.raises(ConfigError, match="one seed"):
        trained(validation=near)
    with pytest.raises(ConfigError, match=r"from q 1.8 to 5.0"):
        trained()
    with pytest.raises(DataError, match="holds no training set"):
        trained(beyond=tmp_path / "nowhere")
    np.save(last / "nodes.npy", data["nodes"][:-1])
    (beyond / "config.json").write_text(json.dumps({"n": 7, "seed": 3}))
    with pytest.raises(DataError, match="holds 1 of 7 binaries"):
        trained()
    assert not (tmp_path / "out").exists()
