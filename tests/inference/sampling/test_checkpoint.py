"""An interrupted analysis goes on from its last step, and comes out as one that ran through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gwsurrogate_ml.errors import ArtifactError
from gwsurrogate_ml.inference import BinaryPrior, LalModel, Result, SamplingOptions, sample_event
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import GPS, random_psds, simulate_segment
from gwsurrogate_ml.inference.sampling import frozen, rounds

TRUTH = {
    "chirp_mass": 30.0, "mass_ratio": 0.8, "chi_1": 0.1, "chi_2": 0.0, "luminosity_distance": 900.0, "theta_jn": 0.5,
    "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": GPS + 0.01,
}  # fmt: skip
PRIOR = BinaryPrior(chirp_mass=(24.0, 38.0), mass_ratio=(0.4, 1.0), chi=(-0.4, 0.4))
QUICK = SamplingOptions(n_sets=2, n_points=128, pilot=200, refine_steps=8, max_rounds=1, on_edge="warn")


class Killed(BaseException):
    """What ends a run in these tests."""


@pytest.fixture(scope="module")
def segment():
    rng = np.random.default_rng(1)
    config = SegmentConfig(f_max=512.0)
    return simulate_segment(TRUTH, LalModel(), random_psds(config, rng), config, rng)


def sample(segment: Any, folder: Path | None, dies_at: str = "", times: int = 1, seed: int = 0) -> Result:
    left = [times]

    def progress(stage: str, done: int, total: int) -> None:
        if dies_at and stage.startswith(dies_at) and done == total:
            left[0] -= 1
            if left[0] == 0:
                raise Killed

    return sample_event(
        segment, PRIOR, model=LalModel(), n=400, options=QUICK, seed=seed, progress=progress, checkpoint=folder
    )


def same(one: Result, other: Result) -> bool:
    return one.posterior.equals(other.posterior) and one.log_evidence == other.log_evidence


def test_a_run_killed_over_and_over_ends_as_one_that_ran_through(
    segment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gwsurrogate_ml.inference.analysis.from_scratch.FIRST", 256)
    monkeypatch.setattr(rounds, "PART", 160)
    whole = sample(segment, None)
    folder = tmp_path / "e.unfinished"
    fits: list[int] = []
    fit = rounds.fit_flow
    monkeypatch.setattr(rounds, "fit_flow", lambda *words, **named: (fits.append(1), fit(*words, **named))[1])
    for moment in ("refinement", "refinement pilot", "waveforms, part 2"):
        with pytest.raises(Killed):
            sample(segment, folder, dies_at=moment)
    steps = sorted(path.name for path in folder.iterdir())
    assert steps[:2] == ["001.step", "002.step"]
    begun = len(fits)
    resumed = sample(segment, folder)
    assert same(whole, resumed)
    # Repairs come after the final draws, in the midst of which the last run was killed.
    repairs = sum(entry["proposal"].startswith("repair") for entry in whole.meta["rounds"])
    assert len(fits) == begun + repairs, "a flow that was kept was fitted anew"
    assert begun <= len(whole.meta["rounds"]) + 2  # two fits were killed
    assert resumed.seconds > 0

    # Steps of another seed, damaged and foreign ones are done anew.
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:2000])
    assert same(whole, sample(segment, folder))
    fresh = len(fits)
    assert not same(whole, sample(segment, folder, seed=1))
    assert len(fits) > fresh


def test_what_is_read_back_runs_no_foreign_code(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "a.step"
    for node in (
        ("class", "os:system"),
        ("object", ["subprocess:Popen", {"node": 1}]),
        ("class", "gwsurrogate_ml.files:os"),
        ("method", ["text", "__reduce__"]),
        ("call", ["os"]),
    ):
        torch.save({"key": "", "root": {"node": 0}, "nodes": [node, ("dict", [])]}, path)
        with pytest.raises(ArtifactError, match="no state of an analysis"):
            frozen.load(path)
    frozen.save(path, {"a": 1}, "key")
    with pytest.raises(ArtifactError, match="another key"):
        frozen.load(path, "another")
    with pytest.raises(frozen.CannotFreezeError):
        frozen.save(path, {"a": print})
    nested: list = []
    for _ in range(3000):
        nested = [nested]
    with pytest.raises(frozen.CannotFreezeError, match="too deep"):
        frozen.save(path, nested)


def test_arrays_of_either_byte_order_are_kept(tmp_path: Path) -> None:
    frozen.save(tmp_path / "a", [np.arange(3, dtype=">f8"), np.float64(2.5)])
    array, scalar = frozen.load(tmp_path / "a")
    np.testing.assert_array_equal(array, [0.0, 1.0, 2.0])
    assert scalar == 2.5
