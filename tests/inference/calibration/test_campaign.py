"""Validation: tests of calibration see a posterior that is too narrow and pass one that is right; runs resume."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from gwsurrogate_ml.conventions import INTRINSIC, PARAMETERS
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.inference.calibration import campaign, cards, coverage
from gwsurrogate_ml.inference.calibration.campaign import N_KEPT
from gwsurrogate_ml.inference.likelihood.injections import GPS
from gwsurrogate_ml.scale import Mapper


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
            name: float(value) + (GPS if name == "geocent_time" else 0)
            for name, value in zip(PARAMETERS, truth, strict=True)
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


class Named:
    """As much of an estimator as the bookkeeping needs."""

    info: ClassVar = {"name": "toy", "weights_sha256": "abc"}


def records(n: int, **options: float) -> list[dict]:
    return [r for r in (record(i, **options) for i in range(n)) if "rank" in r]


def test_a_right_posterior_passes_and_a_narrow_or_biased_one_fails() -> None:
    right, narrow, biased = records(400), records(400, width=0.6), records(400, bias=0.4)
    assert min(row["ks_p"] for row in coverage.pp_test(right).values()) > 0.005
    assert max(row["ks_p"] for row in coverage.pp_test(biased).values()) < 1e-4
    assert np.mean([row["inside_90"] for row in coverage.pp_test(narrow).values()]) < 0.8
    assert np.mean([row["inside_90"] for row in coverage.pp_test(right).values()]) == pytest.approx(0.9, abs=0.015)
    good, bad = coverage.tarp(right, raw=False), coverage.tarp(narrow, raw=False)
    assert abs(good["atc"]) < 0.03
    assert bad["atc"] < -0.05
    assert min(coverage.sbc(right, raw=True, classify=False)["ks_p"].values()) > 0.005
    assert max(coverage.sbc(biased, raw=True, classify=False)["ks_p"].values()) < 1e-4


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


def test_a_killed_run_resumes_with_the_same_events(tmp_path, monkeypatch) -> None:
    calls: list[int] = []

    def analyse(estimator, event, seed, n_draws, options):
        calls.append(event)
        return record(event)

    monkeypatch.setattr(campaign, "analyse_injection", analyse)
    path = tmp_path / "injections.jsonl"
    first = cards.run_injections(Named(), 5, path, n_draws=1000)
    assert calls == [0, 1, 2, 3, 4, 5]  # event 4 has no signal
    path.write_bytes(path.read_bytes() + b'{"event": 6, "sn')
    again = cards.run_injections(Named(), 8, path, n_draws=1000)
    assert calls[6:] == [6, 7, 8]
    assert again[:6] == first
    assert [r["event"] for r in again] == list(range(9))
    with pytest.raises(ConfigError, match="seed = 1, this run has 2"):
        cards.run_injections(Named(), 8, path, seed=2, n_draws=1000)
    path.write_text("[1, 2]\n")
    with pytest.raises(ConfigError, match="no file of a validation"):
        cards.run_injections(Named(), 8, path)


def test_events_done_elsewhere_make_the_same_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(campaign, "analyse_injection", lambda estimator, event, *_: record(event))
    monkeypatch.setattr(cards, "_loaded", lambda source: Named())
    here, elsewhere = tmp_path / "here.jsonl", tmp_path / "elsewhere.jsonl"
    cards.run_injections(Named(), 6, here, n_draws=1000)
    cards.run_injections(Named(), 3, elsewhere, n_draws=1000, mapper=Mapper(), source="toy")
    cards.run_injections(Named(), 6, elsewhere, n_draws=1000, mapper=Mapper(), source="toy")  # and resumes
    assert here.read_bytes() == elsewhere.read_bytes()
    monkeypatch.setattr(cards, "_loaded", lambda source: SimpleNamespace(info={"weights_sha256": "other"}))
    with pytest.raises(ConfigError, match="another estimator at toy"):
        cards.run_injections(Named(), 7, elsewhere, n_draws=1000, mapper=Mapper(), source="toy")
    with pytest.raises(ConfigError, match="needs a source"):
        cards.run_injections(Named(), 7, elsewhere, n_draws=1000, mapper=Mapper())


def test_the_card_says_what_the_records_say(tmp_path) -> None:
    from gwsurrogate_ml.cli.validate import write_card

    done = [record(i) for i in range(150)]
    done.append({"event": 150, "snr": 9.0, "truth": {}, "failed": "all importance weights vanish"})
    head = cards.identity(Named(), 1, 4000)
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
    assert "# Validation of toy" in text
    assert "1 failed" in text
    assert "Failed: all importance weights vanish" in text
    median = np.median([r["network_efficiency"] for r in done if "rank" in r])
    assert f"median {median:.1%}" in text
    assert json.loads((tmp_path / "card.json").read_text())["poorly_proposed"] == card["poorly_proposed"]


def test_too_few_events_are_refused() -> None:
    with pytest.raises(DataError, match="at least 20"):
        coverage.analysed([record(i) for i in range(15)])


def test_a_folder_with_foreign_files_is_refused(tmp_path) -> None:
    from gwsurrogate_ml.cli.validate import validation_folder

    folder = validation_folder(tmp_path / "new")
    (folder / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match=r"thesis\.tex"):
        validation_folder(folder)


def test_the_command_writes_the_card_and_takes_other_seeds_along(tmp_path, monkeypatch) -> None:
    from typer.testing import CliRunner

    import gwsurrogate_ml as gw
    from gwsurrogate_ml.cli.main import app

    def analyse(estimator, event, seed, n_draws, options):
        return record(1000 * seed + event)

    monkeypatch.setattr(gw, "load_estimator", lambda name: Named(), raising=False)
    monkeypatch.setattr(campaign, "analyse_injection", analyse)
    # Its fifteen classifiers a card take ten seconds, and are sbi's own business.
    monkeypatch.setattr("sbi.diagnostics.sbc.check_uniformity_c2st", lambda ranks, n: np.full(ranks.shape[1], 0.5))
    runner = CliRunner()
    words = ["validate", "estimator", "toy", "--injections", "20"]
    first = runner.invoke(app, [*words, "--seed", "7", "--out", str(tmp_path / "a")])
    assert first.exit_code == 0, first.output
    assert "20 events analysed, 4 showed no signal" in first.output
    second = runner.invoke(app, [*words, "--json", "--out", str(tmp_path / "b"), "--also", str(tmp_path / "a")])
    assert second.exit_code == 0, second.output
    assert json.loads(second.stdout)["n_analysed"] == 40
    assert (tmp_path / "b" / "card.md").is_file()
    twice = runner.invoke(app, [*words, "--seed", "7", "--out", str(tmp_path / "c"), "--also", str(tmp_path / "a")])
    assert twice.exit_code == 2
    assert "count twice" in twice.stderr
