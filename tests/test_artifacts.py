"""Artefacts are whole, checked and named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ArtifactError

CARD = {"name": "tiny", "kind": "surrogate"}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    tensors = {"a": np.arange(6.0).reshape(2, 3), "b": np.float32([1.5])}
    folder = artifacts.save(tmp_path / "tiny", CARD, tensors)
    card, back = artifacts.load(folder, "surrogate")
    assert card["name"] == "tiny"
    assert card["versions"]["numpy"] == np.__version__
    for key, value in tensors.items():
        np.testing.assert_array_equal(back[key], value)
        assert back[key].dtype == value.dtype


def test_saving_again_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    artifacts.save(tmp_path / "tiny", CARD, {"a": np.zeros(1)})
    artifacts.save(tmp_path / "tiny", CARD, {"a": np.ones(1)})
    assert artifacts.load(tmp_path / "tiny", "surrogate")[1]["a"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]


def test_a_failed_save_leaves_the_old_model(tmp_path: Path) -> None:
    artifacts.save(tmp_path / "tiny", CARD, {"a": np.zeros(1)})
    with pytest.raises(ArtifactError):
        artifacts.save(tmp_path / "tiny", {**CARD, "bad": object()}, {"a": np.ones(1)})
    assert artifacts.load(tmp_path / "tiny", "surrogate")[1]["a"] == 0
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    folder = artifacts.save(tmp_path / "tiny", CARD, {"a": np.zeros(4)})
    raw = bytearray((folder / "weights.safetensors").read_bytes())
    raw[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(raw)
    with pytest.raises(ArtifactError, match="checksum"):
        artifacts.load(folder, "surrogate")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "format version 99"),
        ({"kind": "denoiser"}, "denoiser"),
        ({"weights_sha256": None}, "checksum"),
    ],
)
def test_foreign_cards_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    folder = artifacts.save(tmp_path / "tiny", CARD, {"a": np.zeros(4)})
    card = json.loads((folder / "card.json").read_text()) | change
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ArtifactError, match=message):
        artifacts.load(folder, "surrogate")


def test_missing_pieces_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"no surrogate 'nowhere'.*nr22"):
        artifacts.load("nowhere", "surrogate")
    folder = artifacts.save(tmp_path / "tiny", CARD, {"a": np.zeros(4)})
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ArtifactError, match="missing"):
        artifacts.load(folder, "surrogate")
    (folder / "card.json").write_text("{")
    with pytest.raises(ArtifactError, match="not a model card"):
        artifacts.load(folder, "surrogate")
    with pytest.raises(ArtifactError, match="lacks 'kind'"):
        artifacts.save(tmp_path / "x", {"name": "x"}, {})


def test_shipped_models_load_and_stay_small() -> None:
    total = 0
    for name in artifacts.available():
        folder = artifacts.SHIPPED / name
        card = json.loads((folder / "card.json").read_text())
        artifacts.load(name, card["kind"])
        total += sum(path.stat().st_size for path in folder.iterdir())
    assert 0 < total < 60e6


def test_shipped_weights_stay_below_60_mb_in_all() -> None:
    sizes = {path.parent.name: path.stat().st_size for path in artifacts.SHIPPED.glob("*/weights.safetensors")}
    assert len(sizes) >= 5
    assert sum(sizes.values()) < 60_000_000, sizes
