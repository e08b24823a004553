"""Training: a killed run resumes to the very weights of an uninterrupted one; what is saved loads and draws."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.binaries import PRECESSING
from gwsurrogate_ml.conventions import EXTRINSIC
from gwsurrogate_ml.errors import ArtifactError, ConfigError
from gwsurrogate_ml.inference import LalModel, SamplingOptions, load_estimator, train_estimator
from gwsurrogate_ml.inference.calibration.campaign import analyse_injection
from gwsurrogate_ml.inference.calibration.coverage import pp_test
from gwsurrogate_ml.inference.config import read_config
from gwsurrogate_ml.surrogate.load import load_model

SLOW_FIXTURES = ("trained",)

SETTINGS = {
    "name": "tiny",
    "surrogate": "lal:IMRPhenomD",
    "segment": {"f_max": 512.0},
    "simulator": {
        "bank_size": 300, "basis_size": 60, "network_basis_size": 20, "templates": 8, "psds": 3, "groups": 2, "pool": 4,
        "refresh": 90, "refresh_every": 4,
    },
    "network": {"width": 32, "blocks": 1, "context": 8, "transforms": 2, "hidden": [16]},
    "training": {
        "steps": 20, "batch": 64, "checkpoint_every": 6, "log_every": 5, "warm_up": 4, "validation": 256, "live_events": 1,
        "live_every": 20,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_estimator(SETTINGS, tmp_path_factory.mktemp("whole") / "tiny", model=LalModel())


@pytest.mark.process
def test_a_killed_run_resumes_to_the_same_weights(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny"

    # A process of its own, not a fork: threads of the libraries do not survive one.
    code = (
        "import json, os, signal, sys\n"
        "import torch\n"
        "from gwsurrogate_ml.inference import LalModel, train_estimator\n"
        "torch.set_num_threads(1)\n"
        "def die(stage, done, total):\n"
        "    if stage == 'train' and done == 15:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "train_estimator(json.loads(sys.argv[1]), sys.argv[2], model=LalModel(), progress=die)\n"
    )
    child = subprocess.run([sys.executable, "-c", code, json.dumps(SETTINGS), str(out)], capture_output=True)
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    assert not out.exists()
    steps = []
    train_estimator(SETTINGS, out, model=LalModel(), progress=lambda stage, done, _: steps.append((stage, done)))
    assert steps[0] == ("train", 13)  # from the checkpoint at 12; the bank was kept
    _, expected = artifacts.load(trained, "estimator")
    _, got = artifacts.load(out, "estimator")
    assert expected.keys() == got.keys()
    assert all(np.array_equal(expected[key], got[key]) for key in expected)


def test_unfinished_training_of_another_configuration_is_not_mixed_in(tmp_path: Path) -> None:
    (tmp_path / "x.training").mkdir()
    (tmp_path / "x.training" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="another configuration"):
        train_estimator(SETTINGS, tmp_path / "x", model=LalModel())


def test_log_and_card_tell_the_story(trained: Path) -> None:
    card, _ = artifacts.load(trained, "estimator")
    assert card["ranges"]["chirp_mass"] == [20.0, 45.0]
    assert card["training_data"]["surrogate"] == {"name": "lal:IMRPhenomD"}
    assert read_config(card["config"]) == read_config(SETTINGS)
    assert card["metrics"]["samples"] == 20 * 64
    lines = [json.loads(line) for line in (trained.parent / "tiny.training" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10, 15, 20]
    assert lines[-1]["validation_loss"] < lines[0]["validation_loss"]
    assert [path.name for path in (trained.parent / "tiny.training").iterdir()] == ["log.jsonl"]


def test_altered_weights_are_refused(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("card.json", "weights.safetensors"):
        (copy / name).write_bytes((trained / name).read_bytes())
    with (copy / "weights.safetensors").open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\x7f")
    with pytest.raises(ArtifactError, match="checksum"):
        load_estimator(copy)


def test_a_prior_beyond_the_surrogate_is_refused_before_work_starts(tmp_path: Path) -> None:
    class Narrow(LalModel):
        limits = {"mass_ratio": (0.5, 1.0)}  # noqa: RUF012

    with pytest.raises(ConfigError, match="mass_ratio"):
        train_estimator(SETTINGS, tmp_path / "x", model=Narrow())
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_learning_rate_rises_linearly_and_falls_as_half_a_cosine() -> None:
    import torch

    from gwsurrogate_ml.inference.training.train import _schedule

    t = read_config(SETTINGS | {"training": {"steps": 40, "warm_up": 8, "learning_rate": 2e-3}}).training
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=t.learning_rate)
    schedule = _schedule(optimiser, t)
    rates = []
    for _ in range(t.steps):
        rates.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    rise, fall = np.arange(1, 9) / 8, 0.5 * (1 + np.cos(np.pi * np.arange(32) / 32))
    np.testing.assert_allclose(rates, 2e-3 * np.concatenate([rise, fall]), rtol=1e-9, atol=1e-15)


@pytest.mark.slow
def test_precessing_binaries_from_training_to_ranks_of_all_fifteen_parameters(tmp_path: Path) -> None:
    """A network that knows next to nothing proposes nine parameters; weights make the posterior right all the same."""
    settings = SETTINGS | {
        "surrogate": "nrphm",
        "prior": {"chirp_mass": [26.0, 36.0], "mass_ratio": [0.5, 1.0], "chi": [-0.5, 0.5], "luminosity_distance": [10.0, 2000.0]},
    }
    settings["simulator"] = SETTINGS["simulator"] | {"basis_size": 100, "network_basis_size": 40}
    settings["training"] = SETTINGS["training"] | {"steps": 40, "live_events": 0}
    out = train_estimator(settings, tmp_path / "precessing")
    estimator = load_estimator(out)
    assert estimator.proposed.names == (*PRECESSING.names, "theta_jn")
    assert estimator.info["proposed"] == list(estimator.proposed.names)
    assert estimator.prior.bounds()["a_1"] == (0.0, 0.5)
    with pytest.raises(ConfigError, match="nr22"):
        load_estimator(out, model=load_model("nr22")).model  # noqa: B018

    options = SamplingOptions(n_sets=2, n_points=512, pilot=400, refine_steps=100, max_rounds=1, on_edge="warn", centre_time=False)
    records = [analyse_injection(estimator, event, 3, n_draws=200, options=options) for event in range(4)]
    done = next(record for record in records if "rank" in record)
    assert set(done["rank"]) == {*PRECESSING.names, *EXTRINSIC}
    assert list(done["raw_rank"]) == list(estimator.proposed.names)
    assert set(pp_test([done] * 3)) == set(done["rank"])
    assert np.shape(done["raw_draws"])[1] == len(done["raw_truth"]) == 9
