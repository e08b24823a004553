"""`gwsml models`, `gwsml train` and `gwsml --version` at the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.cli.main import app


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def assert_refused(result: Result, said: str) -> None:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("gwsml: error:")]
    assert len(errors) == 1
    assert said in errors[0]


@pytest.mark.process
def test_help_comes_without_heavy_imports() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom gwsurrogate_ml.cli.main import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'gwpy', 'bilby', 'matplotlib', 'scipy', 'numba', 'pycbc'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_version_names_the_fft_backend() -> None:
    from gwsurrogate_ml.kernels.fft import backend_name

    result = run("--version")
    assert result.exit_code == 0
    assert "gwsml " in result.stdout
    assert backend_name() in result.stdout


@pytest.mark.slow
def test_models_list_and_info_agree_with_the_cards() -> None:
    listed = json.loads(run("models", "list", "--json").stdout)
    assert sorted(listed) == artifacts.available()
    for name, row in listed.items():
        card = json.loads(run("models", "info", name, "--json").stdout)
        assert card["name"] == name
        assert card["kind"] == row["kind"]
        assert card["weights_sha256"] in "".join(run("models", "info", name).stdout.split())[:100_000].replace("│", "")


def test_models_alone_lists_what_each_is_its_ranges_and_accuracy() -> None:
    plain, listed = run("models"), json.loads(run("models", "list", "--json").stdout)
    assert plain.exit_code == 0
    assert plain.stdout == run("models", "list").stdout
    words = plain.stdout.split()
    for name, row in listed.items():
        assert name in words
        assert all(row[key] for key in ("description", "ranges", "accuracy")), name
    assert listed["bbh-h1l1"]["ranges"].startswith("chirp_mass 15 to 60, mass_ratio 0.125 to 1, chi_1 chi_2 -0.9 to 0.9")
    assert "H1, L1, V1" in listed["bbh-h1l1v1"]["description"]


def test_unknown_model_is_named_with_the_shipped_ones() -> None:
    assert_refused(run("models", "info", "nonsense"), "nonsense")


@pytest.mark.parametrize("content", ["{", "[]", '{"format_version": 1, "kind": "surrogate", "weights_sha256": "0"}'])
def test_damaged_model_is_refused(tmp_path: Path, content: str) -> None:
    shutil.copy(artifacts.SHIPPED / "nr22" / "weights.safetensors", tmp_path)
    (tmp_path / "card.json").write_text(content)
    assert_refused(run("models", "info", str(tmp_path)), str(tmp_path))


@pytest.mark.parametrize("what", ["surrogate", "estimator"])
@pytest.mark.parametrize(("config", "said"), [("absent", "absent"), ("broken.toml", "not TOML"), ("unknown.toml", "no_such_key")])
def test_bad_configurations_are_refused(tmp_path: Path, what: str, config: str, said: str) -> None:
    (tmp_path / "broken.toml").write_text("[a")
    (tmp_path / "unknown.toml").write_text('no_such_key = 1\nname = "x"\neob = "."')
    path = str(tmp_path / config) if config.endswith(".toml") else config
    assert_refused(run("train", what, path, "--out", str(tmp_path / "out")), said)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.toml", "unknown.toml"]


def test_training_does_not_replace_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    config = tmp_path / "config.toml"
    config.write_text('name = "x"\neob = "nowhere"')
    assert_refused(run("train", "surrogate", str(config), "--out", str(tmp_path)), "no part of a model")
    assert (tmp_path / "thesis.tex").read_text() == "dear"


def test_overrides_are_key_value_words() -> None:
    assert_refused(run("train", "surrogate", "nr22", "--set", "epochs"), "KEY=VALUE")
    assert_refused(run("train", "surrogate", "nr22", "--set", "a=3", "--set", "a.b=2"), "was given a value already")


def test_an_estimator_whose_card_is_not_of_this_version_is_refused(tmp_path: Path) -> None:
    import json
    import shutil

    from gwsurrogate_ml import artifacts, load_estimator
    from gwsurrogate_ml.errors import ArtifactError

    folder = tmp_path / "estimator"
    shutil.copytree(artifacts.SHIPPED / "bbh-h1l1", folder)
    card = json.loads((folder / "card.json").read_text())
    card["config"]["network"]["surprise"] = 1
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ArtifactError, match="train it anew"):
        load_estimator(folder)


@pytest.mark.slow
def test_training_an_estimator_writes_a_model_that_tells_its_settings(tmp_path: Path) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(
        'name = "tiny"\nsurrogate = "lal:IMRPhenomD"\n[segment]\nf_max = 512.0\n'
        "[simulator]\nbank_size = 300\nbasis_size = 60\nnetwork_basis_size = 20\npsds = 3\ngroups = 2\npool = 4\n"
        "[network]\nwidth = 16\nblocks = 1\ncontext = 8\ntransforms = 1\nhidden = [8]\n"
        "[training]\nsteps = 50\nbatch = 32\nwarm_up = 1\n"
    )
    out = tmp_path / "model"
    words = ["--set", "training.steps=3", "--seed", "7", "--out", str(out)]
    result = run("train", "estimator", str(config), *words)
    assert result.exit_code == 0, result.output
    assert "train: done" in result.stderr
    card = json.loads(run("models", "info", str(out), "--json").stdout)
    assert card["config"]["training"]["steps"] == 3
    assert card["config"]["seed"] == 7
    assert card["config"]["network"]["width"] == 16


def test_info_prints_cards_that_are_not_shipped(tmp_path: Path) -> None:
    """Of a surrogate without numerical relativity, and of one without ranges, as what `gwsml denoise witness` leaves has none."""
    folder = tmp_path / "mine"
    shutil.copytree(artifacts.SHIPPED / "nr22", folder)
    card = json.loads((folder / "card.json").read_text())
    card["training"] = {name: value for name, value in card["training"].items() if not name.startswith("nr")}
    card["metrics"] = {}
    (folder / "card.json").write_text(json.dumps(card))
    done = run("models", "info", str(folder))
    assert done.exit_code == 0, done.output
    assert "0 runs of numerical relativity" in " ".join(done.stdout.replace("│", " ").split())
    del card["ranges"]
    (folder / "card.json").write_text(json.dumps(card))
    assert run("models", "info", str(folder)).exit_code == 0
