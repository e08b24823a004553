"""The chain of data preparation as commands: killed and resumed, whole or not at all, the same twice, one file of settings."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from data_prep import nr_training
from data_prep.catalogues import KINDS, Source
from data_prep.eob import MODES, EobConfig, generate, knots
from data_prep.quality import QualityConfig
from data_prep.settings import read_settings
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.surrogate.aligned.stage1 import load_eob
from gwsurrogate_ml.surrogate.aligned.stage2 import load_runs
from gwsurrogate_ml.surrogate.config import load_config

ROOT = Path(__file__).parents[2]
T = np.arange(-3000.0, 120.0, 0.5)

FAKE = '''
"""Stands in for pyseobnr: a chirp that costs a while."""
import time
import numpy as np

def generate_modes_opt(q, chi1, chi2, omega, approximant, settings):
    time.sleep(0.03)
    t = np.arange(-900.0, 200.0, 0.1)
    phase = 0.15 * t + (2 + 0.1 * chi1 + 0.05 * chi2) * np.log(np.cosh(t / 20)) + 140.0
    h = -0.39 / q * np.exp(-0.5 * (t / 150) ** 2) * np.exp(-2j * phase)
    return t - t[0], {f"{l},{m}": h ** (m / 2) / l for l, m in settings["return_modes"]}
'''


def environment(folder: Path) -> dict[str, str]:
    """The environment with a stand-in for pyseobnr, which is a tool of data preparation and not installed with the tests."""
    package = folder / "fake" / "pyseobnr"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    (package / "generate_waveform.py").write_text(FAKE)
    return os.environ | {"PYTHONPATH": f"{package.parent}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}


SETTINGS = """
name = "small"
eob = "eob"
nr = "nr/nr.npz"
q_max = 4.0
q_hard = 4.0
chi_max = 0.5
chi_hard = 0.5
[data.eob]
n = 16
chunk = 2
duration = 600.0
ringdown = 100.0
[[data.catalogue]]
kind = "lvcnr"
path = "runs"
"""


class Here:
    """A pool of this process alone."""

    def __init__(self, _):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    imap_unordered = staticmethod(map)


@pytest.mark.slow
@pytest.mark.process
def test_a_killed_generation_resumes_to_the_same_set(tmp_path, monkeypatch):
    command = [
        sys.executable,
        "-m",
        "data_prep",
        "eob",
        "--config",
        str(tmp_path / "small.toml"),
        "--workers",
        "1",
        "--out",
    ]
    (tmp_path / "small.toml").write_text(SETTINGS)
    out, env = tmp_path / "eob", environment(tmp_path)
    first = subprocess.Popen([*command, str(out)], env=env, start_new_session=True, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while len(list(out.glob("chunk_?????.npz"))) < 2:
        assert first.poll() is None, "finished before it could be killed"
        assert time.monotonic() < end, "no chunk after two minutes"
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("chunk_?????.npz")}
    assert 2 <= len(kept) < 8
    (out / "chunk_00007.99.tmp.npz").write_bytes(b"half a chunk")  # as a kill in the middle of writing leaves it
    subprocess.run([*command, str(out)], env=env, check=True, stderr=subprocess.DEVNULL)
    assert {name: (out / name).stat().st_mtime_ns for name in kept} == kept  # not made again
    whole = tmp_path / "whole"
    monkeypatch.syspath_prepend(tmp_path / "fake")
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: SimpleNamespace(Pool=Here))
    generate(whole, read_settings(tmp_path / "small.toml").eob)
    names = sorted(path.name for path in whole.iterdir())
    assert sorted(path.name for path in out.iterdir()) == names
    assert len([name for name in names if name.startswith("chunk")]) == 8
    for name in names:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    data = load_eob(out, higher_modes=True)
    assert data["coorbital"].shape == (16, 6, len(data["times"]))
    assert data["parameters"][:, 0].max() <= 4.0  # the ranges of the file of settings
    assert np.abs(data["parameters"][:, 1:]).max() <= 0.5
    assert np.isclose(data["times"][0], -600.0)


def test_a_set_of_other_settings_or_with_a_damaged_chunk_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="another configuration"):
        generate(tmp_path, EobConfig(n=2))
    (tmp_path / "config.json").unlink()
    (tmp_path / "chunk_00000.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"chunk_00000\.npz is damaged: delete it"):
        generate(tmp_path, EobConfig(n=2))


def mode(q, chi, t, m=2, error=0.0):
    """A family of chirps whose odd modes vanish for equal masses."""
    phase = (0.14 + 0.015 * chi + 0.01 * np.log(q)) * t + (1.75 + error) * np.log(np.cosh(t / 25))
    size = {2: 0.39, 3: 0.1 * (q - 1), 4: 0.04}[m] / q
    return size * (1 + (t / 40) ** 2) ** (-0.125 * m) * np.exp(-1j * m * phase)


def write_lvcnr(path, q, chi=0.0, error=0.0, shift=0.0, **changes):
    table = {"NR-code": "SpEC", "mass1": q / (1 + q), "mass2": 1 / (1 + q), "eccentricity": 1e-4, "Format": 1}
    table |= {f"spin{b}{a}": chi if (b, a) == (1, "z") else 0.0 for b in (1, 2) for a in "xyz"}
    with h5py.File(path, "w") as file:
        file.attrs.update(table | changes)
        for key in ((2, 2), (3, 3), (4, 4)):
            h = mode(q, chi, T - shift, key[1], error)
            for part, values in (("amp", np.abs(h)), ("phase", np.unwrap(np.angle(h)))):
                group = file.create_group(f"{part}_l{key[0]}_m{key[1]}")
                group["X"], group["Y"], group["deg"] = T, values, 5


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """Eight LVCNR files, one of two resolutions and one bad, the reference for them, and the settings."""
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "runs").mkdir()
    runs = {f"run{i}": (q, chi) for i, (q, chi) in enumerate([(1.0, 0.0), (1.5, 0.0), (2.0, 0.3), (2.5, 0.0), (3.0, -0.2)])}
    for name, (q, chi) in runs.items():
        write_lvcnr(folder / "runs" / f"{name}.h5", q, chi)
    runs["run7_Res6"] = (1.8, 0.1)
    write_lvcnr(folder / "runs" / "run7_Res6.h5", 1.8, 0.1)
    write_lvcnr(folder / "runs" / "run7_Res5.h5", 1.8, 0.1, error=0.004)
    write_lvcnr(folder / "runs" / "bad.h5", 2.0, mass1=-1.0)
    write_lvcnr(folder / "runs" / "fragment.h5", 2.0, shift=119.0)
    (folder / "settings.toml").write_text(SETTINGS)
    stored = {}
    for prefix, t in (("", np.arange(-910.0, 111.0)), ("spec_", np.arange(-3000.0, 111.0))):
        stored |= {
            f"{prefix}name": np.array(list(runs)),
            f"{prefix}parameters": np.array([[q, chi, 0.0] for q, chi in runs.values()]),
            f"{prefix}t": t,
            f"{prefix}h22": np.array([mode(q, chi, t, error=0.002) for q, chi in runs.values()]),
        }
    np.savez(folder / "eob_at_nr.npz", **stored)
    return folder


def build(catalogue, out, **options):
    sources = [Source("lvcnr", str(catalogue / "runs"))]
    return nr_training.build(catalogue, catalogue / "eob_at_nr.npz", out, QualityConfig(), sources, **options)


@pytest.fixture(scope="module")
def built(catalogue, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    return folder, build(catalogue, folder)


@pytest.mark.slow
def test_a_table_of_other_runs_is_made_from_their_files_with_their_higher_modes(built):
    tmp_path, report = built
    runs = load_runs(str(tmp_path / "nr.npz"))
    assert list(runs.name) == ["run0", "run1", "run2", "run3", "run4", "run7_Res6"]
    long = load_runs(str(tmp_path / "nr.npz"), "spec_")
    assert list(long.name) == ["run0", "run1", "run3"]  # non-spinning and long enough to correct the inspiral
    assert len(set(runs.cluster[[0, 1, 3]]) & set(long.cluster)) == 3
    with np.load(tmp_path / "nr.npz") as table:
        assert table["higher_modes"].tolist() == [[3, 3], [4, 4]]
        t, q = table["t"], table["q"]
        for i in (1, 3):
            for k, m in enumerate((3, 4)):
                expected = np.abs(mode(q[i], 0.0, t, m))
                np.testing.assert_allclose(np.abs(table["higher_coorbital"][i, k]), expected, atol=2e-5)
            assert table["higher_coorbital"][i, 0][t < -100].real.min() > 0  # the sign of theory
        assert table["resolution_mismatch"][5] > 0
        assert np.isnan(table["resolution_mismatch"][:5]).all()
        sources = json.loads(str(table["sources"]))
    assert sources["sources"] == report["sources"]
    assert "run7_Res6.h5" in sources["sources"]
    assert "numpy" in sources["versions"]
    text = (tmp_path / "report.md").read_text()
    assert "| bad | bad.h5 |" in text
    assert "both must be positive" in text
    assert "kept for its error" in text
    assert r"\|h22\| is largest at t = 119" in text  # bars would end the cell of the table


@pytest.mark.slow
def test_a_model_too_short_for_long_runs_gets_none(catalogue, tmp_path):
    build(catalogue, tmp_path, duration=1000.0)
    assert len(load_runs(str(tmp_path / "nr.npz")).name) == 6
    assert load_runs(str(tmp_path / "nr.npz"), "spec_").h22.shape == (0, 5698)


@pytest.mark.slow
def test_the_same_files_give_the_same_table_to_the_byte(catalogue, built, tmp_path):
    build(catalogue, tmp_path)
    for name in ("nr.npz", "report.json", "report.md"):
        assert (tmp_path / name).read_bytes() == (built[0] / name).read_bytes(), name


@pytest.mark.process
def test_a_build_killed_while_it_writes_leaves_the_old_table(catalogue, tmp_path):
    (tmp_path / "nr.npz").write_bytes(b"the old table")
    script = (
        "import os, signal, sys\n"
        "from data_prep import nr_report\n"
        "from data_prep.__main__ import main\n"
        "nr_report.figures = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "main(sys.argv[1:])\n"
    )
    command = ["nr", "--from", "lvcnr", "--path", str(catalogue / "runs"), "--out", str(tmp_path)]
    command += ["--eob-at-nr", str(catalogue / "eob_at_nr.npz")]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    killed = subprocess.run([sys.executable, "-c", script, *command], env=env, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert (tmp_path / "nr.npz").read_bytes() == b"the old table"
    assert not (tmp_path / "report.json").exists()


def test_training_takes_the_file_of_settings_as_it_is(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SETTINGS)
    config = load_config(path)
    assert (str(config.eob), str(config.nr), config.q_hard) == ("eob", "nr/nr.npz", 4.0)
    path.write_text(SETTINGS.replace("[data.eob]", "[date.eob]"))
    with pytest.raises(ConfigError, match="date"):
        load_config(path)


def test_the_example_of_the_documentation_is_accepted_by_both_readers(tmp_path):
    text = (ROOT / "docs" / "how-to" / "catalogues.md").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", text, flags=re.DOTALL)[1])
    settings, config = read_settings(path), load_config(path)
    assert (config.eob, config.nr.parent) == (settings.eob_folder, settings.nr_folder)
    assert [source.kind for source in settings.sources] == ["tables", "lvcnr"]
    for kind in KINDS:
        assert f"| `{kind}`" in text


def test_modes_and_knots_of_the_set_are_those_the_training_expects():
    assert len(MODES) == 7
    assert knots(600.0, 100.0)[[0, -1]].tolist() == [-600.0, 100.0]
