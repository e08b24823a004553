"""An interrupted analysis goes on from its last step, and comes out as one that ran through."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gwsurrogate_ml.errors import ArtifactError
from gwsurrogate_ml.inference import BinaryPrior, LalModel, Result, SamplingOptions, sample_event
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import GPS, random_psds, simulate_segment
from gwsurrogate_ml.inference.sampling import checkpoint

SLOW_FIXTURES = ("whole", "left")

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


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """Sizes at which a run has all its steps and takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gwsurrogate_ml.inference.sampling.rounds.PART", 160)
        yield


def sample(segment: Any, folder: Path | None, dies_at: str = "", seed: int = 0) -> tuple[Result | None, Counter[str]]:
    """The result, None where the run was killed at the end of stage `dies_at`, and how often each stage was completed."""
    completed: Counter[str] = Counter()

    def progress(stage: str, done: int, total: int) -> None:
        completed[stage] += done == total
        if dies_at and stage.startswith(dies_at) and done == total:
            raise Killed

    options = {"model": LalModel(), "n": 400, "options": QUICK, "seed": seed, "checkpoint": folder}
    try:
        return sample_event(segment, PRIOR, progress=progress, **options), completed
    except Killed:
        return None, completed


@pytest.fixture(scope="module")
def whole(segment: Any) -> tuple[Result, Counter[str]]:
    """What comes out of a run that nobody kills, and its stages."""
    return sample(segment, None)


@pytest.fixture(scope="module")
def left(segment: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counter[str]]:
    """What is left of a run that was killed when its first flow was fitted, and its stages."""
    folder = tmp_path_factory.mktemp("killed") / "e.unfinished"
    died, completed = sample(segment, folder, dies_at="refinement pilot")
    assert died is None
    return folder, completed


@pytest.fixture
def unfinished(left: tuple[Path, Counter[str]], tmp_path: Path) -> Path:
    return shutil.copytree(left[0], tmp_path / "e.unfinished")


def same(one: Result | None, other: Result) -> bool:
    return one is not None and one.posterior.equals(other.posterior) and one.log_evidence == other.log_evidence


def test_a_run_killed_twice_ends_as_one_that_ran_through_and_does_nothing_twice(
    segment: Any, whole: tuple[Result, Counter[str]], left: tuple[Path, Counter[str]], unfinished: Path
) -> None:
    died, second = sample(segment, unfinished, dies_at="waveforms, part 2")
    resumed, third = sample(segment, unfinished)
    assert died is None
    assert same(resumed, whole[0])
    assert resumed.seconds > 0
    together = left[1] + second + third
    assert whole[1]["refinement"] > 0
    for stage in ("first draws: extrinsic integral", "refinement"):
        assert together[stage] == whole[1][stage], stage


def test_damaged_steps_are_done_anew(segment: Any, whole: tuple[Result, Counter[str]], unfinished: Path) -> None:
    for path in unfinished.iterdir():
        path.write_bytes(path.read_bytes()[:2000])
    assert same(sample(segment, unfinished)[0], whole[0])


def test_steps_of_another_seed_are_not_taken(segment: Any, unfinished: Path) -> None:
    first = "first draws: extrinsic integral"
    assert sample(segment, unfinished, dies_at="refinement")[1][first] == 0
    assert sample(segment, unfinished, dies_at="refinement", seed=1)[1][first] == 1


def test_steps_of_a_first_attempt_outlast_those_of_a_second(tmp_path: Path) -> None:
    done: list[str] = []

    def walk(key: str) -> None:
        steps = checkpoint.KeptSteps(tmp_path, key)
        for name in ("pilot", "flow"):
            steps(name, lambda: done.append(key) or checkpoint.Arrays(x=np.zeros(1)), checkpoint.Arrays)

    for _ in range(2):  # the first time to a kill in the third attempt, say
        walk("a" * 64)
        walk("b" * 64)
    assert Counter(done) == {"a" * 64: 2, "b" * 64: 2}
    checkpoint.clear(tmp_path)
    assert not tmp_path.exists()


def test_what_is_kept_is_plain_tensors_of_one_step_of_one_analysis(tmp_path: Path) -> None:
    path = tmp_path / "a.step"
    tensors = {"a": np.arange(6.0).reshape(2, 3)[:, ::2] + 1j, "b": np.array(True), "c": np.arange(3, dtype=">f8")[:0]}
    checkpoint.save(path, "key", "pilot", 2.5, tensors)
    seconds, found = checkpoint.load(path, "key", "pilot")
    assert seconds == 2.5
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor)
    for key, name in (("another", "pilot"), ("key", "flow 1")):
        with pytest.raises(ArtifactError, match="another analysis"):
            checkpoint.load(path, key, name)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ArtifactError, match="no step of an analysis"):
        checkpoint.load(path, "key", "pilot")


def test_steps_of_another_code_are_not_taken(segment: Any, unfinished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "code", lambda: "another")
    assert sample(segment, unfinished, dies_at="refinement")[1]["first draws: extrinsic integral"] == 1


def test_the_code_is_that_of_the_whole_package() -> None:
    root = Path(checkpoint.__file__).parents[2]
    assert (root / "binaries.py").exists()
    assert len(list(root.rglob("*.py"))) > 200
