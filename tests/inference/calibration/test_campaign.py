"""Validation: tests of calibration see a posterior that is too narrow and pass one that is right; runs resume."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.cli.validate import validation_folder, write_card
from gwsurrogate_ml.conventions import INTRINSIC, PARAMETERS
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.inference import Estimator, load_estimator
from gwsurrogate_ml.inference.calibration import cards, coverage
from gwsurrogate_ml.inference.calibration.campaign import N_KEPT
from gwsurrogate_ml.inference.likelihood.injections import GPS
from gwsurrogate_ml.scale import Mapper

SLOW_FIXTURES = ("continued",)
KEPT = Path(__file__).parents[3] / "benchmarks" / "reference" / "records"


def record(event: int, width: float = 1.0, bias: float = 0.0) -> dict:
    """An event of a normal prior and normal noise, its posterior reported too wide by `width` and off by `bias`."""
    rng = np.random.default_rng([event, 9])
    if event % 5 == 4:
        return {"event": event, "snr": 5.5, "truth": {}, "skipped": "no signal"}
    truth = rng.normal(size=len(PARAMETERS))
    centre = (truth + rng.normal(size=len(PARAMETERS))) / 2 + bias
    draws = centre + width * np.sqrt(0.5) * rng.normal(size=(N_KEPT, len(PARAMETERS)))
    rank = (draws < truth).mean(axis=0)
    efficiency = float(rng.uniform(0.2, 0.9)) if truth[0] < 1 else 0.05  # poor at high chirp mass
    n = len(INTRINSIC)
    return {
        "event": event,
        "snr": 10.0,
        "truth": {
            name: float(value) + (GPS if name == "geocent_time" else 0) for name, value in zip(PARAMETERS, truth, strict=True)
        },
        "measured_snr": 10.0 + float(rng.normal()),
        "efficiency": efficiency,
        "network_efficiency": efficiency,
        "pareto_k": float(rng.uniform(0, 0.8)),
        "extrinsic_ess": 500.0,
        "log_bayes_factor": 30.0,
        "seconds": 1.0,
        "rank": dict(zip(PARAMETERS, map(float, rank), strict=True)),
        "raw_rank": dict(zip(INTRINSIC, map(float, rank[:n]), strict=True)),
        "draws": dict(zip(PARAMETERS, draws.T.tolist(), strict=True)),
        "raw_draws": draws[:, :n].tolist(),
        "raw_truth": truth[:n].tolist(),
        "features": (centre[:n] @ np.eye(n, 8)).tolist(),
    }


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return load_estimator()


def write(path: Path, estimator: Estimator, records: list[dict], seed: int = 1) -> None:
    """The file of a run that has done `records`."""
    head = cards.identity(estimator, seed, 1000)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in ({"validation": head}, *records)))


def records(n: int, **options: float) -> list[dict]:
    return [r for r in (record(i, **options) for i in range(n)) if "rank" in r]


@pytest.mark.slow
def test_a_right_posterior_passes_and_a_narrow_or_biased_one_fails() -> None:
    right, narrow, biased = records(400), records(400, width=0.6), records(400, bias=0.4)
    assert min(row["ks_p"] for row in coverage.pp_test(right).values()) > 0.005
    assert max(row["ks_p"] for row in coverage.pp_test(biased).values()) < 1e-4
    assert np.mean([row["inside_90"] for row in coverage.pp_test(narrow).values()]) < 0.8
    assert np.mean([row["inside_90"] for row in coverage.pp_test(right).values()]) == pytest.approx(0.9, abs=0.015)
    good, bad = coverage.tarp(right, raw=False), coverage.tarp(narrow, raw=False)
    assert abs(good["atc"]) < 0.03
    assert bad["atc"] < -0.05
    assert good["ks_p"] > 0.005
    assert bad["ks_p"] < 1e-6
    assert min(coverage.sbc(right, raw=True, classify=False)["ks_p"].values()) > 0.005
    assert max(coverage.sbc(biased, raw=True, classify=False)["ks_p"].values()) < 1e-4


@pytest.mark.slow
def test_a_classifier_does_not_tell_right_ranks_by_their_being_whole_numbers() -> None:
    right = coverage.sbc(records(300), raw=True)["c2st"]
    assert max(right.values()) < 0.6  # 0.7 where ranks were left whole
    assert np.mean(list(coverage.sbc(records(300, bias=1.0), raw=True)["c2st"].values())) > 0.62  # 0.67 seen


@pytest.mark.slow
def test_the_local_test_rejects_a_biased_network_and_not_a_right_one() -> None:
    right = coverage.lc2st(records(250), n_null=10, n_tested=10)
    biased = coverage.lc2st(records(250, bias=1.0), n_null=10, n_tested=10)
    assert right["share_below_0.05"] < 0.5
    assert biased["share_below_0.05"] > 0.8


def test_what_poor_events_have_in_common_is_named_first() -> None:
    poor = coverage.poorly_proposed(records(400))
    assert 0.1 < poor["share"] < 0.22
    assert next(iter(poor["traits"])) == "chirp_mass"
    assert poor["traits"]["chirp_mass"]["poor"] > 1 > poor["traits"]["chirp_mass"]["others"]
    assert "dec" not in poor["traits"]


def test_events_that_are_there_are_not_done_again_and_a_line_cut_off_is_removed(estimator, tmp_path) -> None:
    path, there = tmp_path / "injections.jsonl", [record(event) for event in range(6)]  # event 4 has no signal
    write(path, estimator, there)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event": 6, "sn')
    assert cards.run_injections(estimator, 5, path, n_draws=1000) == there
    assert path.read_bytes() == whole


@pytest.fixture(scope="module")
def continued(estimator, tmp_path_factory) -> list[dict]:
    """What a run returns that goes on after two events, until a third has a signal."""
    path = tmp_path_factory.mktemp("here") / "injections.jsonl"
    write(path, estimator, [record(event) for event in range(2)], seed=5)
    records = cards.run_injections(estimator, 3, path, seed=5, n_draws=1000)
    assert cards.read_records(path) == records
    return records


def test_a_killed_run_goes_on_with_the_next_event(continued: list[dict]) -> None:
    assert continued[:2] == [record(0), record(1)]
    assert [found["event"] for found in continued] == list(range(len(continued)))
    assert ["rank" in found for found in continued[2:]] == [False] * (len(continued) - 3) + [True]


def test_events_done_elsewhere_are_those_done_here(continued: list[dict], estimator, tmp_path) -> None:
    path = tmp_path / "injections.jsonl"
    write(path, estimator, [record(event) for event in range(2)], seed=5)
    options = {"seed": 5, "n_draws": 1000, "mapper": Mapper(), "source": "bbh-h1l1"}
    there = cards.run_injections(estimator, 3, path, **options)
    without = [[{k: v for k, v in found.items() if k != "seconds"} for found in some] for some in (continued, there)]
    assert without[0] == without[1]


def test_a_worker_that_finds_another_estimator_refuses(estimator, tmp_path) -> None:
    with pytest.raises(ConfigError, match="another estimator at bbh-h1l1v1"):
        cards.run_injections(estimator, 1, tmp_path / "a.jsonl", mapper=Mapper(), source="bbh-h1l1v1")
    with pytest.raises(ConfigError, match="needs a source"):
        cards.run_injections(estimator, 1, tmp_path / "a.jsonl", mapper=Mapper())


def test_the_file_of_another_run_is_not_continued(estimator, tmp_path) -> None:
    path = tmp_path / "injections.jsonl"
    write(path, estimator, [record(0)])
    with pytest.raises(ConfigError, match="seed = 1, this run has 2"):
        cards.run_injections(estimator, 1, path, seed=2, n_draws=1000)
    path.write_text("[1, 2]\n")
    with pytest.raises(ConfigError, match="no file of a validation"):
        cards.run_injections(estimator, 1, path)


@pytest.mark.slow
def test_the_card_says_what_the_records_say(estimator, tmp_path) -> None:
    done = [record(i) for i in range(150)]
    done.append({"event": 150, "snr": 9.0, "truth": {}, "failed": "all importance weights vanish"})
    head = cards.identity(estimator, 1, 4000)
    card = cards.judge(done, head, classify=False)
    assert (card["n_analysed"], card["n_without_signal"]) == (120, 30)
    write_card(tmp_path, card, done)
    assert {path.name for path in tmp_path.iterdir()} == {
        "card.json",
        "card.md",
        "pp.png",
        "tarp.png",
        "efficiency.png",
    }
    text = (tmp_path / "card.md").read_text()
    assert "# Validation of bbh-h1l1" in text
    assert "1 failed" in text
    assert "Failed: all importance weights vanish" in text
    median = np.median([r["network_efficiency"] for r in done if "rank" in r])
    assert f"median {median:.1%}" in text
    assert json.loads((tmp_path / "card.json").read_text())["poorly_proposed"] == card["poorly_proposed"]


def test_too_few_events_are_refused() -> None:
    with pytest.raises(DataError, match="at least 20"):
        coverage.analysed([record(i) for i in range(15)])


def test_a_folder_with_foreign_files_is_refused(tmp_path) -> None:
    folder = validation_folder(tmp_path / "new")
    (folder / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match=r"thesis\.tex"):
        validation_folder(folder)


@pytest.fixture
def validated(estimator, tmp_path) -> Path:
    """Folders `a` and `b` of two runs that have done twenty events each, of seeds 7 and 1."""
    for name, seed in (("a", 7), ("b", 1)):
        write(tmp_path / name / "injections.jsonl", estimator, [record(1000 * seed + event) for event in range(24)], seed)
    return tmp_path


def validate(*words: object):
    given = ["validate", "estimator", "bbh-h1l1", "--injections", "20", "--n-draws", "1000", *map(str, words)]
    return CliRunner().invoke(app, given)


@pytest.mark.slow
def test_the_command_writes_the_card_and_takes_other_seeds_along(validated: Path) -> None:
    done = validate("--out", validated / "b", "--also", validated / "a")
    assert done.exit_code == 0, done.output
    assert "40 events analysed, 8 showed no signal" in done.output
    assert json.loads((validated / "b" / "card.json").read_text())["n_analysed"] == 40
    assert (validated / "b" / "card.md").is_file()


@pytest.mark.slow
def test_a_card_of_kept_records_alone_says_whose_they_are(validated: Path) -> None:
    kept = []
    for name in ("a", "b"):
        kept.append(validated / f"{name}.jsonl.gz")
        kept[-1].write_bytes(gzip.compress((validated / name / "injections.jsonl").read_bytes()))
    done = validate("--injections", 0, "--out", validated / "c", "--also", kept[0], "--also", kept[1])
    assert done.exit_code == 0, done.output
    card = json.loads((validated / "c" / "card.json").read_text())
    assert (card["n_analysed"], card["seeds"]) == (40, [7, 1])
    assert "Seeds 7, 1, weights" in (validated / "c" / "card.md").read_text()
    assert not (validated / "c" / "injections.jsonl").exists()
    kept[0].write_bytes(kept[0].read_bytes()[:-40])
    refused = validate("--injections", 0, "--out", validated / "c", "--also", kept[0])
    assert refused.exit_code == 2
    assert "no file of a validation" in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(KEPT.glob("*.jsonl.gz")), ids=lambda path: path.name)
def test_records_that_are_kept_are_those_of_the_shipped_estimator(path: Path) -> None:
    name, seed = path.name.removesuffix(".jsonl.gz").rsplit("-", 1)
    head = cards.identity(load_estimator(name), int(seed), 5000, thorough=True)
    kept, seeds = cards.read_others([path], head)
    assert seeds == [int(seed)]
    assert [found["event"] for found in kept] == list(range(len(kept)))
    assert all("rank" in found or "skipped" in found for found in kept)


def test_a_card_of_nothing_is_refused_before_work_starts(tmp_path) -> None:
    refused = validate("--injections", 0, "--out", tmp_path / "a")
    assert refused.exit_code == 2
    assert "--injections 0 says too little" in refused.stderr
    assert not (tmp_path / "a").exists()


def test_a_file_of_records_that_is_not_there_is_named_and_leaves_nothing(tmp_path) -> None:
    refused = validate("--out", tmp_path / "a", "--also", tmp_path / "no.jsonl.gz")
    assert refused.exit_code == 2
    assert "no.jsonl.gz: give" in " ".join(refused.stderr.split())
    assert not (tmp_path / "a").exists()


def test_events_of_one_seed_do_not_count_twice(validated: Path) -> None:
    twice = validate("--seed", 7, "--out", validated / "c", "--also", validated / "a")
    assert twice.exit_code == 2
    assert "count twice" in twice.stderr
