"""Training a surrogate: from a set on disk to an artefact, killed and resumed, deterministic, refusing what it cannot use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.settings import read
from gwsurrogate_ml.surrogate.aligned import stage2
from gwsurrogate_ml.surrogate.aligned.coordinates import features
from gwsurrogate_ml.surrogate.config import load_config
from gwsurrogate_ml.surrogate.precessing.train import PrecessingConfig
from gwsurrogate_ml.surrogate.remnant.train import RemnantConfig
from gwsurrogate_ml.surrogate.train import train_surrogate
from gwsurrogate_ml.waveform.compare import white_mismatch

SLOW_FIXTURES = ("trained",)

SMALL = {"inspiral": "", "members": 1, "width": 24, "depth": 2, "n_basis": 10, "batch_size": 32, "q_max": 4.0, "q_hard": 4.5}


@pytest.fixture(scope="module")
def training_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set in the format of `python -m data_prep eob`, made with the shipped model."""
    folder = tmp_path_factory.mktemp("eob")
    sur = gw.load_surrogate("nr22")
    t = sur.knots[(sur.knots > -3000) & (sur.knots < 100)]
    rng = np.random.default_rng(0)
    parameters = np.column_stack([rng.uniform(1, 4.4, 400), rng.uniform(-0.6, 0.6, (400, 2))])
    modes = [sur(*row, times=t) for row in parameters]
    amplitude = np.array([m.amplitude((2, 2)) for m in modes])
    phase = np.array([m.phase((2, 2)) for m in modes])
    np.save(folder / "times.npy", t)
    for i in range(4):
        rows = slice(100 * i, 100 * i + 100)
        np.savez(folder / f"chunk_{i:05d}.npz", parameters=parameters[rows], amp22=amplitude[rows], phase22=phase[rows])
    return folder


@pytest.fixture(scope="module")
def trained(training_set: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, int, int]]]:
    """A model trained on that set, and what its training reported."""
    config = load_config("nr22", {"eob": training_set, "epochs": 200, **SMALL})
    stages: list[tuple[str, int, int]] = []
    folder = tmp_path_factory.mktemp("trained") / "small"
    return train_surrogate(config, folder, lambda stage, done, total: stages.append((stage, done, total))), stages


def test_a_small_training_reproduces_its_teacher(trained: tuple[Path, list[tuple[str, int, int]]]) -> None:
    folder, stages = trained
    assert stages[-1] == ("stage 1", 200, 200)
    student, teacher = gw.load_surrogate(folder), gw.load_surrogate("nr22")
    t = np.arange(-2900.0, 90.0)
    a, b = (m(q=2.1, chi1=0.2, chi2=-0.3, times=t)[2, 2] for m in (student, teacher))
    overlap = abs(np.vdot(a, b)) / np.linalg.norm(a) / np.linalg.norm(b)
    assert overlap > 0.999
    assert student.info["training"]["eob_waveforms"] == 400


@pytest.mark.process
def test_a_killed_training_resumes_to_the_same_weights(training_set: Path, trained: tuple[Path, Any], tmp_path: Path) -> None:
    config = load_config("nr22", {"eob": training_set, "epochs": 200, **SMALL})
    script = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from gwsurrogate_ml.surrogate.config import SurrogateConfig\n"
        "from gwsurrogate_ml.surrogate.train import train_surrogate\n"
        "train_surrogate(SurrogateConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", script, config.model_dump_json(), str(killed)], env=dict(os.environ))
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("killed.checkpoints/*/stage1-member0.pt")):
        assert process.poll() is None, "training ended before its first checkpoint"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    train_surrogate(config, killed)
    one, two = (artifacts.load(folder, "surrogate")[1] for folder in (killed, trained[0]))
    for key in one:
        np.testing.assert_array_equal(one[key], two[key])


def test_stage_two_learns_a_planted_difference_and_fades_before_the_data() -> None:
    sur = gw.load_surrogate("nr22")
    t = np.arange(-408.0, 107.0)
    rng = np.random.default_rng(1)
    parameters = np.column_stack([rng.uniform(1, 5, 60), rng.uniform(-0.7, 0.7, (60, 2))])
    modes = [sur(*row, times=t) for row in parameters]
    phase = np.array([m.phase((2, 2)) for m in modes])
    log_amplitude = np.log([m.amplitude((2, 2)) for m in modes])
    size = parameters[:, [1]] + parameters[:, [2]]
    planted = 0.05 * size * np.tanh(t / 30)
    runs = stage2.Runs(
        t,
        parameters,
        np.exp(log_amplitude + 0.02 * size - 1j * (phase + planted)),
        np.ones(60),
        np.arange(60),
        np.array([f"run{i}" for i in range(60)]),
    )
    d_phase, d_log_amplitude = stage2.residuals(runs, log_amplitude, phase, (-395, 90))
    fit = stage2.fit(runs, log_amplitude, phase, sur.knots, n_basis=3, window=(-395, 90), fade=300.0)
    from gwsurrogate_ml.surrogate.aligned.predictor import radial_basis

    tensors = {f"s.{key}": value for key, value in fit.items()}
    learned = radial_basis(features(parameters), tensors, "s") @ fit["basis"]
    n = len(sur.knots)
    inside = (sur.knots > -390) & (sur.knots < 30)
    rows = np.searchsorted(t, np.round(sur.knots[inside]))
    assert np.std(learned[:, :n][:, inside] - d_phase[:, rows]) < 0.1 * np.std(d_phase[:, rows])
    assert np.std(learned[:, n:][:, inside] - d_log_amplitude[:, rows]) < 0.1 * np.std(d_log_amplitude[:, rows])
    early = sur.knots < -5000
    assert np.max(np.abs(learned[:, n:][:, early])) < 1e-6
    assert np.max(np.ptp(learned[:, :n][:, early], axis=1)) < 1e-6  # a constant phase carries no physics


def test_training_with_simulations_corrects_the_model_and_knows_its_error(
    training_set: Path, trained: tuple[Path, Any], tmp_path: Path
) -> None:
    teacher = gw.load_surrogate("nr22")
    rng = np.random.default_rng(5)
    table: dict[str, np.ndarray] = {}
    for prefix, t, parameters in (
        ("", np.arange(-408.0, 98.0), np.column_stack([rng.uniform(1, 4, 40), rng.uniform(-0.5, 0.5, (40, 2))])),
        ("spec_", np.arange(-2749.0, 98.0), np.column_stack([np.linspace(1, 4, 8), np.zeros((8, 2))])),
    ):
        # "Numerical relativity" here is the teacher, its phase bent at the peak by up to 0.15 rad for the most unequal masses.
        lead = 0.05 * (parameters[:, :1] - 1) * np.tanh(t / 40)
        h22 = np.array([teacher(*row, times=t)[2, 2] for row in parameters]) * np.exp(-1j * lead)
        n = len(parameters)
        columns = {"t": t, "q": parameters[:, 0], "chi1": parameters[:, 1], "chi2": parameters[:, 2], "h22": h22}
        columns |= {"weight": np.ones(n), "cluster": np.arange(n), "name": np.array([f"run{i}" for i in range(n)])}
        table |= {prefix + key: value for key, value in columns.items()}
    np.savez(tmp_path / "nr.npz", **table)
    plain = gw.load_surrogate(trained[0])
    settings = {"eob": training_set, "nr": tmp_path / "nr.npz", "epochs": 200, "stage2_basis": 3, "stage2_long_basis": 2, **SMALL}
    full = gw.load_surrogate(train_surrogate(load_config("nr22", settings), tmp_path / "full"))
    t, q = np.arange(-390.0, 80.0), 3.6
    truth = teacher(q, 0.1, 0.2, times=t)[2, 2] * np.exp(-0.05j * (q - 1) * np.tanh(t / 40))
    without, with_nr = (white_mismatch(t, truth, m(q, 0.1, 0.2, times=t)[2, 2], (-380, 70)) for m in (plain, full))
    assert with_nr < 0.2 * without
    near, far = full.error_estimate(2.5, 0.0, 0.0), full.error_estimate(2.5, 0.9, -0.9)
    assert 0 < near.mismatch < far.mismatch
    assert near.mismatch_90 == pytest.approx(full.info["error_factor_90"] * near.mismatch)
    assert full.info["training"]["nr_runs"] == 40


def test_near_the_merger_simulations_replace_the_networks_and_anchors_keep_away_from_them(
    training_set: Path, tmp_path: Path
) -> None:
    settings = {"eob": training_set, "epochs": 1, "stage2_basis": 2, "chi_max": 0.6, **SMALL}
    config = load_config("nr22", settings)
    _, first = artifacts.load(train_surrogate(config, tmp_path / "first"), "surrogate")
    t = np.arange(-408.0, 98.0)
    rng = np.random.default_rng(3)
    parameters = np.column_stack([rng.uniform(1, 2, 12), rng.uniform(-0.3, 0.3, (12, 2))])
    h22 = np.array([gw.load_surrogate("nr22")(*row, times=t)[2, 2] for row in parameters])
    runs = stage2.Runs(t, parameters, h22, np.ones(12), np.arange(12), np.array([f"run{i}" for i in range(12)]))
    anchors = stage2.anchors(first, runs, config)
    a, b = features(anchors.parameters), features(parameters)
    assert len(a) > 50
    assert np.sqrt(((a[:, None] - b[None]) ** 2).sum(2)).min() > stage2.ANCHOR_DISTANCE
    assert np.all(np.abs(anchors.parameters[:, 1:]) <= 0.6)
    model = stage2.add(first, runs, None, config)
    assert model["stage2.centres"].shape == (12 + len(a), 4)
    knots, n = first["knots"], len(first["knots"])
    basis, own = first["stage1.basis"], model["stage2.network_basis"]
    inside = (knots >= stage2.MERGER[0]) & (knots <= stage2.MERGER[1])
    scale = np.abs(basis).max()
    assert np.abs(own[:, :n][:, inside]).max() < 1e-6 * scale
    assert np.abs(own[:, n:][:, inside]).max() < 1e-6 * scale
    early = knots < stage2.MERGER[0] - 6 * stage2.FADE
    np.testing.assert_allclose(own[:, n:][:, early], basis[:, n:][:, early], atol=0.01 * scale)
    # a constant phase carries no physics
    lost = own[:, :n][:, early] - basis[:, :n][:, early]
    assert np.ptp(lost, axis=1).max() < 0.01 * scale


def test_what_cannot_be_trained_on_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="eob is not set"):
        train_surrogate(load_config("nr22"), tmp_path / "out")
    with pytest.raises(ConfigError, match="nonsense"):
        load_config("nr22", {"eob": tmp_path, "nonsense": 1})
    for modes, said in (
        ([[3, 3], [5, 4]], r"\(5, 4\)"),
        ([[2, 2]], r"\(2, 2\)"),
        ([[3, 3], [2, 1], [3, 3]], r"\(3, 3\) is there twice"),
    ):
        with pytest.raises(ConfigError, match=f"higher_modes.*{said}"):
            load_config("nrhm", {"higher_modes": modes})
    with pytest.raises(ConfigError, match="no configuration 'nowhere'"):
        load_config("nowhere")
    with pytest.raises(DataError, match="python -m data_prep eob"):
        train_surrogate(load_config("nr22", {"eob": tmp_path}), tmp_path / "out")
    (tmp_path / "bad.npz").write_bytes(b"not a zip")
    with pytest.raises(DataError, match="python -m data_prep nr"):
        stage2.load_runs(str(tmp_path / "bad.npz"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.npz"]


def test_no_range_ends_above_its_hard_limit() -> None:
    for ends in ({"q_max": 20.0}, {"chi_max": 0.95}, {"chi_hard": 0.5}):
        with pytest.raises(ConfigError, match=r"_max is .*above the hard limit"):
            load_config("nrhm", ends)
    sets = dict.fromkeys(("data", "validation", "beyond", "beyond_validation"), "x")
    with pytest.raises(ConfigError, match=r"chi_max is 0.95, above the hard limit chi_hard, 0.9"):
        read(PrecessingConfig, {"name": "x", "chi_max": 0.95} | sets)
    for ends in ({"q_hard": 10.0}, {"q_max_plane": 2000.0}):
        with pytest.raises(ConfigError, match=r"above the hard limit q_hard"):
            read(RemnantConfig, {"name": "x", "runs": "x"} | ends)
