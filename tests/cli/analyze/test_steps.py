"""Steps of a killed run belong to its analysis, however its command was spelled; others neither take nor lose them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwsurrogate_ml.cli.analyze.events import Event, analysis_of, folder_of
from gwsurrogate_ml.cli.analyze.settings import Settings
from gwsurrogate_ml.cli.analyze.steps import steps_of, unfinished
from gwsurrogate_ml.errors import ConfigError

ONE, OTHER = {"seed": 1}, {"seed": 2}


def run(folder: Path, analysis: dict, end: type[BaseException], step: str = "001.step") -> None:
    """A run that ends by an exception, after a step or before the first."""
    with unfinished(folder, analysis, ["analyze", "--seed", "1"]) as steps:
        if step:
            (steps / step).parent.mkdir(exist_ok=True)
            (steps / step).write_bytes(b"work")
        raise end


def killed(folder: Path, analysis: dict) -> None:
    """What a run leaves that died after a step."""
    with pytest.raises(MemoryError):
        run(folder, analysis, MemoryError)


def test_the_same_analysis_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "a"
    killed(out, ONE)
    with pytest.raises(ConfigError, match=r"unfinished run of `gwsml analyze --seed 1`"), unfinished(out, OTHER, []):
        pass
    with unfinished(out, ONE, []) as steps:
        assert (steps / "001.step").read_bytes() == b"work"
    assert list(tmp_path.iterdir()) == []


def test_steps_of_several_runs_in_folders_of_their_own_are_steps(tmp_path: Path) -> None:
    """Those of an analysis with a glitch."""
    out = tmp_path / "a"
    with pytest.raises(KeyboardInterrupt, match="goes on from there"):
        run(out, ONE, KeyboardInterrupt, step="glitch0/001.step")
    with pytest.raises(ConfigError, match="unfinished run of"), unfinished(out, OTHER, []):
        pass
    with unfinished(out, ONE, []) as steps:
        assert (steps / "glitch0" / "001.step").read_bytes() == b"work"
    assert list(tmp_path.iterdir()) == []


def test_a_run_at_work_without_steps_yet_holds_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "new" / "a"
    with unfinished(out, ONE, ["analyze"]) as steps:
        with pytest.raises(ConfigError, match="unfinished run"), unfinished(out, OTHER, []):
            pass
        assert steps.is_dir()
        with unfinished(out, ONE, ["analyze"]):  # the same one beside it, as before
            pass
    # Its own, in a folder that a run left before its first step, is nobody's.
    with unfinished(out, OTHER, []):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_says_what_is_kept_where_anything_is(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt) as before:
        run(tmp_path / "a", ONE, KeyboardInterrupt, step="")
    assert before.value.args == ()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt, match="goes on from there"):
        run(tmp_path / "a", ONE, KeyboardInterrupt)


def test_an_analysis_is_the_same_however_it_is_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"H1": (Path("H.hdf5"),), "L1": (Path("L.hdf5"),)}
    absolute = {name: tuple(path.absolute() for path in files[name]) for name in ("L1", "H1")}
    one = analysis_of(Event("", 1.5, files), Settings(psd={"H1": "aLIGO", "L1": "aLIGO"}, prior={"chi": (-0.5, 0.5)}))
    other = analysis_of(Event("", 1.5, absolute), Settings(psd={"L1": "aLIGO", "H1": "aLIGO"}, prior={"chi": (-0.5, 0.5)}))
    assert one == other
    assert one != analysis_of(Event("", 1.5, files), Settings(seed=1))
    assert one != analysis_of(Event("", 1.6, files), Settings(psd={"H1": "aLIGO", "L1": "aLIGO"}, prior={"chi": (-0.5, 0.5)}))


def test_the_usual_folder_is_left_to_the_steps_of_another(tmp_path: Path) -> None:
    place, event = tmp_path / "out" / "E", Event("E")
    assert folder_of(event, Settings(), place) == place
    killed(place, analysis_of(event, Settings(seed=3)))
    assert folder_of(event, Settings(seed=3), place) == place
    second = place.with_name("E-2")
    assert folder_of(event, Settings(), place) == second
    place.mkdir()
    (place / "thesis.tex").write_text("of somebody else: refused with a reason later")
    assert folder_of(event, Settings(seed=3), place) == place
    assert steps_of(place).name == "E.unfinished"
