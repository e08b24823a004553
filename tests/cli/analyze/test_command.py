"""`gwsml analyze` and `gwsml demo` from strain to the report folder, with the shipped models and few draws."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from gwsurrogate_ml.artifacts import SHIPPED, load, save
from gwsurrogate_ml.cli.analyze import pipeline
from gwsurrogate_ml.cli.analyze.events import read_table, repeats, tasks_of
from gwsurrogate_ml.cli.analyze.figures import FIGURES, png
from gwsurrogate_ml.cli.analyze.settings import Settings
from gwsurrogate_ml.cli.demo import GPS, simulate_data
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.strain.data import StrainData
from gwsurrogate_ml.surrogate.load import load_model
from tests.cli.analyze.calls import assert_refused, invoke, strain_options

SLOW_FIXTURES = ("gw150914", "demo")

DRAWS = "1000"
WRITTEN = {
    "config.json", "corner.png", "q_transform.png", "report.html", "residual.png", "result.json", "skymap.fits", "skymap.png",
    "snr.png",
    "strain.png", "summary.json", "waveform.png", "weights.png", "whitened.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def runs() -> list[pipeline.Run]:
    """What was analysed, for tests of what is made of it."""
    return []


@pytest.fixture(scope="module")
def gw150914(data_dir, runs: list[pipeline.Run], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("analyze") / "GW150914"
    options = strain_options(data_dir, 1126259446)
    words = ["analyze", *options, "--gps", "1126259462.4", "--n-draws", DRAWS, "--json", "--out", str(out)]
    analyse = pipeline.analyse
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "analyse", lambda *a: runs.append(analyse(*a)) or runs[-1])
        result = invoke(*words)
    assert result.exit_code == 0, result.output
    return out, result


@pytest.fixture
def quick(gw150914: tuple[Path, Result], runs: list[pipeline.Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """Analyses give at once what that of GW150914 gave, without figures."""
    monkeypatch.setattr(pipeline, "analyse", lambda *_: runs[0])
    monkeypatch.setattr("gwsurrogate_ml.cli.analyze.figures.pictures", lambda _: [])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "demo"
    result = invoke("demo", "--n-draws", DRAWS, "--out", str(out))
    assert result.exit_code == 0, result.output
    return out


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_gw150914_is_found_with_its_published_snr_and_chirp_mass(gw150914: tuple[Path, Result]) -> None:
    summary = read(gw150914[0] / "summary.json")
    filtered = summary["matched_filter"]
    assert 18.6 < filtered["H1"]["snr"] < 19.7
    assert 13.2 < filtered["L1"]["snr"] < 14.2
    assert filtered["network_snr"] == pytest.approx((filtered["H1"]["snr"] ** 2 + filtered["L1"]["snr"] ** 2) ** 0.5)
    assert filtered["H1"]["time"] - filtered["L1"]["time"] == pytest.approx(0.0071, abs=0.001)
    assert all(0.3 < filtered[name]["chisq_per_dof"] < 2.5 for name in ("H1", "L1"))
    mass = summary["posterior"]["chirp_mass"]
    assert mass["median"] == pytest.approx(30.4, abs=1.0)
    assert 2.0 < mass["upper_90"] - mass["lower_90"] < 5.5


def test_summary_has_the_documented_layout(gw150914: tuple[Path, Result]) -> None:
    out, result = gw150914
    summary = read(out / "summary.json")
    assert set(summary) == {"choice", "matched_filter", "posterior", "sky", "inference", "flags", "time", "noise_spectrum"}
    assert 20 < summary["sky"]["area_50"] < summary["sky"]["area_90"] < 600  # deg^2; of H1 and L1 alone, published: some 180
    assert not any("residual" in flag or "segment" in flag for flag in summary["flags"])
    assert 55 < summary["posterior"]["final_mass_source"]["median"] < 70  # published: 62 to 63
    assert 0.55 < summary["posterior"]["final_spin"]["median"] < 0.8  # published: 0.67 to 0.68
    assert set(summary["matched_filter"]) == {"H1", "L1", "network_snr"}
    spectrum = summary["noise_spectrum"]
    assert (spectrum["grade"], 8 < spectrum["periodograms"] < 16) == ("fair", True)  # half of 32 s of strain
    assert f"{spectrum['periodograms']} periodograms" in (out / "report.html").read_text()
    assert set(summary["matched_filter"]["L1"]) == {"snr", "time", "chisq_per_dof"}
    assert all(set(row) == {"median", "lower_90", "upper_90"} for row in summary["posterior"].values())
    assert {"chirp_mass", "mass_1_source", "chi_eff", "luminosity_distance", "ra"} <= set(summary["posterior"])
    assert not any(name.startswith("log") for name in summary["posterior"])
    assert {
        "n_draws", "sample_efficiency", "pareto_k", "log_evidence", "log_evidence_error", "log_bayes_factor", "seconds",
    } == set(summary["inference"])  # fmt: skip
    assert summary["inference"]["n_draws"] == int(DRAWS)
    assert json.loads(result.stdout) == summary  # --json prints the results and nothing else on stdout


def test_a_time_that_is_off_gives_the_same_analysis_and_says_so(
    gw150914: tuple[Path, Result], data_dir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gwsurrogate_ml.cli.analyze.figures.pictures", lambda _: [])
    right, out = read(gw150914[0] / "summary.json"), tmp_path / "late"
    options = strain_options(data_dir, 1126259446)
    result = invoke("analyze", *options, "--gps", "1126259462.7", "--n-draws", DRAWS, "--out", str(out))
    assert result.exit_code == 0, result.output
    summary = read(out / "summary.json")
    assert summary["time"] == {"given": 1126259462.7, "centre": 1126259462.4}
    assert right["time"] == {"given": 1126259462.4, "centre": 1126259462.4}
    (flag,) = (text for text in summary["flags"] if text.startswith("time moved"))
    assert f"warning: {flag}" in " ".join(result.stderr.split())
    assert "-0.30 s from the time given" in " ".join(result.stdout.split())
    page = (out / "report.html").read_text()
    assert flag in page
    assert "moved -0.30 s from the time given" in page
    # The same data are cut: the numbers are equal, not merely alike.
    assert summary["posterior"] == right["posterior"]
    assert summary["matched_filter"] == right["matched_filter"]


@pytest.mark.slow
def test_a_spectrum_of_other_data_is_named_before_the_sampling(data_dir, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    curves = [word for name in ("H1", "L1") for word in ("--psd", f"{name}=aLIGO")]
    words = ["analyze", *strain_options(data_dir, 1126259446), "--gps", "1126259462.4", *curves]
    result = invoke(*words, "--n-draws", DRAWS, "--out", str(tmp_path / "out" / "GW150914"))
    assert "says, aLIGO: " in result.stderr
    # The remedy, to leave out --psd, is what every other test here does.
    assert_refused(result, tmp_path / "out", "times the power that its spectrum says", "leave out --psd")


@pytest.mark.peer
def test_folder_is_complete_and_bilby_reads_the_result(gw150914: tuple[Path, Result]) -> None:
    from bilby.gw.result import CBCResult

    out, _ = gw150914
    assert {path.name for path in out.iterdir()} == WRITTEN
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    result = CBCResult.from_json(str(out / "result.json"))
    summary = read(out / "summary.json")
    assert result.posterior["chirp_mass"].median() == pytest.approx(summary["posterior"]["chirp_mass"]["median"])
    assert result.log_evidence == pytest.approx(summary["inference"]["log_evidence"])


def test_config_holds_all_that_repeats_the_run(gw150914: tuple[Path, Result]) -> None:
    out, _ = gw150914
    config = read(out / "config.json")
    assert config["settings"]["seed"] == 0
    assert len(config["strain"]["H1"]["sha256"]) == 64
    assert {"torch", "bilby", "gwsurrogate-ml"} <= set(config["versions"])
    words = config["repeat"].split()
    assert words[:2] == ["gwsml", "analyze"]
    given = dict(zip(words[2::2], words[3::2], strict=True))
    for name, value in config["settings"].items():
        if not value and name != "seed":  # what was chosen for the event, and what was not asked for
            assert f"--{name.replace('_', '-')}" not in given
        else:
            assert type(value)(given[f"--{name.replace('_', '-')}"]) == value
    assert words.count("--strain") == 2
    assert float(given["--gps"]) == config["event"]["gps"]
    # That a seed fixes the draws is a test of the inference; here: that the command carries all that it needs.
    assert config["inference"]["seed"] == config["settings"]["seed"]


def test_report_shows_the_numbers_of_the_summary(gw150914: tuple[Path, Result]) -> None:
    out, _ = gw150914
    page, summary = (out / "report.html").read_text(), read(out / "summary.json")
    assert f"{summary['posterior']['chirp_mass']['median']:.1f}" in page
    assert f"{summary['matched_filter']['network_snr']:.2f}" in page
    assert page.count("data:image/png;base64,") == len([name for name in WRITTEN if name.endswith(".png")])
    # The figures' bytes may spell any word.
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", page).replace("http-equiv", "")


def test_a_prior_that_makes_no_sense_is_refused(data_dir, tmp_path: Path) -> None:
    options = [*strain_options(data_dir, 1128678884), "--gps", "1128678900.44", "--out", str(tmp_path / "out")]
    words = ["analyze", *options, "--from-scratch"]
    assert_refused(invoke(*words, "--prior", "chirp_mass=10,20", "--prior", "spin=0,1"), tmp_path, "spin")
    assert_refused(invoke(*words, "--prior", "chirp_mass=30"), tmp_path, "LOW,HIGH")
    both = ["--estimator", "bbh-h1l1", "--prior", "chirp_mass=10,20"]
    assert_refused(invoke("analyze", *options, *both), tmp_path, "--prior", "leave --estimator out")


def test_an_estimator_that_is_named_needs_its_detectors(data_dir, tmp_path: Path) -> None:
    words = ["--gps", "1126259462.4", "--n-draws", DRAWS, "--out", str(tmp_path / "out"), "--estimator", "bbh-h1l1"]
    assert_refused(invoke("analyze", *strain_options(data_dir, 1126259446, "H"), *words), tmp_path, "H1", "L1")


@pytest.mark.slow
def test_a_time_without_signal_is_refused(data_dir, tmp_path: Path) -> None:
    words = ["--gps", "1126259456.4", "--n-draws", DRAWS, "--out", str(tmp_path / "out")]
    result = invoke("analyze", *strain_options(data_dir, 1126259446), *words)
    assert_refused(result, tmp_path, "no signal", "GPS")


@pytest.mark.parametrize(("options", "wanted"), [(["--estimator", "bbh-h1l1"], ("H1", "L1")), ([], None)])
def test_an_event_name_fetches_the_files_of_the_estimators_detectors_or_of_all(
    data_dir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], wanted: tuple[str, ...] | None
) -> None:
    asked: list[object] = []

    def fetch(event: str, detectors: tuple[str, ...] | None) -> tuple[float, dict[str, Path]]:
        asked.extend([event, detectors])
        names = {"H1": "H-H1", "L1": "L-L1"}
        return 1126259500.0, {k: data_dir(f"strain/{v}_LOSC_4_V2-1126259446-32.hdf5") for k, v in names.items()}

    monkeypatch.setattr("gwsurrogate_ml.strain.gwosc.fetch_event", fetch)
    # The time that this fetch gives lies beyond the files, which is found out at once.
    assert_refused(invoke("analyze", "GW150914", *options, "--out", str(tmp_path / "out")), tmp_path, "H1", "1126259500")
    assert asked == ["GW150914", wanted]


def test_demo_recovers_what_it_put_in(demo: Path) -> None:
    assert {path.name for path in demo.iterdir()} == WRITTEN | {"H1_simulated.hdf5", "L1_simulated.hdf5"}
    summary, truths = read(demo / "summary.json"), read(demo / "config.json")["truths"]
    inside = [
        row["lower_90"] <= truths[name] <= row["upper_90"]
        for name, row in summary["posterior"].items()
        if name in ("chirp_mass", "mass_ratio", "chi_eff", "luminosity_distance", "geocent_time", "total_mass_source")
    ]
    assert len(inside) == 6
    assert sum(inside) >= 4
    page = (demo / "report.html").read_text()
    assert "<th>true</th>" in page
    assert "The dashed line is the true signal" in page


def test_files_of_the_demo_can_be_analysed(demo: Path) -> None:
    files = {name: demo / f"{name}_simulated.hdf5" for name in ("H1", "L1")}
    data, expected = StrainData.from_files(files, gps=GPS), simulate_data(seed=6)
    for name, series in expected.series.items():
        assert np.array_equal(data.series[name].value, series.value)
        assert data.series[name].t0 == series.t0


@pytest.mark.peer
def test_sky_map_holds_the_areas_of_the_summary(gw150914: tuple[Path, Result]) -> None:
    from ligo.skymap.io import read_sky_map

    from gwsurrogate_ml.inference.result.skymap import SkyMap

    out, _ = gw150914
    summary = read(out / "summary.json")
    assert SkyMap.load(out / "skymap.fits").area(0.9) == pytest.approx(summary["sky"]["area_90"], rel=1e-6)
    _, header = read_sky_map(str(out / "skymap.fits"))
    assert header["instruments"] == {"H1", "L1"}
    assert header["log_bsn"] == pytest.approx(summary["inference"]["log_bayes_factor"])
    assert "sky area, 90 %" in (out / "report.html").read_text()


def test_an_event_of_many_that_is_there_already_is_not_analysed_again(
    gw150914: tuple[Path, Result], data_dir, tmp_path: Path
) -> None:
    out, _ = gw150914
    words = strain_options(data_dir, 1126259446)
    files = dict(word.split("=", 1) for word in words[1::2])
    table = tmp_path / "events.csv"
    table.write_text(f"name,gps,H1,L1\n{out.name},1126259462.4,{files['H1']},{files['L1']}\n")
    before = (out / "summary.json").stat().st_mtime_ns
    result = invoke("analyze", "--events", str(table), "--n-draws", DRAWS, "--json", "--out", str(out.parent))
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert row["outcome"] == "there already"
    assert row["posterior"] == read(out / "summary.json")["posterior"]
    assert (out / "summary.json").stat().st_mtime_ns == before
    for name in ("events.csv", "events.json"):
        (out.parent / name).unlink()


def test_another_seed_is_another_analysis(gw150914: tuple[Path, Result], data_dir, tmp_path: Path) -> None:
    out, _ = gw150914
    files = dict(word.split("=", 1) for word in strain_options(data_dir, 1126259446)[1::2])
    table = tmp_path / "events.csv"
    table.write_text(f"name,gps,H1,L1\n{out.name},1126259462.4,{files['H1']},{files['L1']}\n")
    (task,) = tasks_of(read_table(table), Settings(n_draws=int(DRAWS)), out.parent, pdf=False)
    assert repeats(task)
    (other,) = tasks_of(read_table(table), Settings(n_draws=int(DRAWS), seed=1), out.parent, pdf=False)
    assert not repeats(other)


@pytest.fixture
def one_of_many(quick: None, data_dir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the same command for a table of one event, with a spectrum and an estimator in files of the current folder."""
    monkeypatch.chdir(tmp_path)
    files = dict(word.split("=", 1) for word in strain_options(data_dir, 1126259446)[1::2])
    Path("events.csv").write_text(f"name,gps,H1,L1\nfirst,1126259462.4,{files['H1']},{files['L1']}\n")
    Path("H1.txt").write_text("20 1e-46\n1024 1e-46\n")
    shutil.copytree(SHIPPED / "bbh-h1l1", "own")
    given = ["--psd", "H1=psd:H1.txt", "--psd", "L1=aLIGO", "--estimator", "./own", "--f-max", "1023.99999"]

    def run(*more: str) -> Result:
        result = invoke("analyze", "--events", "events.csv", *given, "--out", "out", *more)
        assert result.exit_code == 0, result.output
        return result

    return run


def outcome(result: Result) -> str:
    return str(json.loads(result.stdout)[0]["outcome"])


def another_spectrum() -> None:
    Path("H1.txt").write_text("20 2e-46\n1024 1e-46\n")


def another_estimator() -> None:
    card, tensors = load("own", "estimator")
    save(Path("own"), card, tensors | {"of_another_training": np.zeros(1)})


@pytest.mark.parametrize("change", [another_spectrum, another_estimator])
def test_an_event_of_many_is_analysed_again_where_the_content_of_a_file_is_another(
    one_of_many: Callable[..., Result], change: Callable[[], None]
) -> None:
    assert [outcome(one_of_many("--json")) for _ in range(2)] == ["analysed", "there already"]
    change()
    assert [outcome(one_of_many("--json")) for _ in range(2)] == ["analysed", "there already"]


def test_the_command_that_repeats_an_event_of_many_holds_from_any_folder_and_to_the_last_digit(
    one_of_many: Callable[..., Result], tmp_path: Path
) -> None:
    one_of_many()
    repeat = shlex.split(read(Path("out/first/config.json"))["repeat"])
    assert {f"H1=psd:{tmp_path}/H1.txt", "L1=aLIGO", f"{tmp_path}/own", "1023.99999"} <= set(repeat)


def test_a_number_that_is_null_in_what_is_there_already_is_shown_as_not_finite(
    one_of_many: Callable[..., Result],
) -> None:
    one_of_many()
    summary = read(Path("out/first/summary.json"))
    summary["inference"]["pareto_k"] = None
    Path("out/first/summary.json").write_text(json.dumps(summary))
    assert "not finite" in one_of_many().stdout


@pytest.mark.parametrize("rate", [1024, 880])
def test_a_gap_and_a_low_sampling_rate_leave_the_figures_of_the_signal_whole(
    gw150914: tuple[Path, Result], runs: list[pipeline.Run], rate: int
) -> None:
    series = {name: values.copy() for name, values in runs[0].data.series.items()}
    for values in series.values():
        values.value[int(2.4 * 4096) : int(3.4 * 4096)] = np.nan  # 14 s before the event
    rates = {name: values[4 * 4096 :].resample(rate) for name, values in series.items()}
    with_gap = replace(runs[0], data=StrainData.from_series(series, runs[0].data.gps))
    slow = replace(runs[0], data=StrainData.from_series(rates, runs[0].data.gps))
    for run, name in ((with_gap, "strain"), (slow, "whitened"), (slow, "q_transform")):
        figure = FIGURES[name][1](run)
        assert png(figure).startswith(b"\x89PNG")
        drawn = [axis.lines[0].get_ydata() for axis in figure.axes if name != "q_transform"]
        assert all(np.isfinite(values).mean() > 0.9 for values in drawn)


def test_a_figure_that_fails_costs_that_figure_alone(
    gw150914: tuple[Path, Result], runs: list[pipeline.Run], data_dir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: pipeline.Run) -> None:
        raise ValueError("cannot convert float NaN to integer")

    few = {"snr": FIGURES["snr"], "strain": ("signal", fails, "Strain.")}
    monkeypatch.setattr(pipeline, "analyse", lambda *_: runs[0])
    monkeypatch.setattr("gwsurrogate_ml.cli.analyze.figures.FIGURES", few)
    result = invoke("analyze", *strain_options(data_dir, 1126259446), "--gps", "1126259462.4", "--out", f"{tmp_path}/out")
    assert result.exit_code == 0, result.output
    assert "gwsml: warning: no strain.png in the report: ValueError: cannot convert float NaN" in result.stderr
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {name for name in WRITTEN if not name.endswith(".png")} | {"snr.png"}
    assert read(tmp_path / "out/summary.json") == read(gw150914[0] / "summary.json")
    assert (tmp_path / "out/report.html").read_text().count("data:image/png;base64,") == 1


@pytest.mark.parametrize(
    ("options", "rounds", "said", "modes"),
    [
        ([], 1, "Draws from the network match", "the dominant (2,2) mode only;"),
        ([], 2, "Draws from flows fitted to this event (the network alone: 10.3 %) match", "the dominant (2,2) mode only;"),
        (["--from-scratch", "--prior", "chirp_mass=20,40"], 2, "Draws from flows fitted to this event match", "mode only;"),
        (["--higher-modes"], 1, "Draws from the posterior under the (2,2) mode alone match", "(4,3), (5,5) of nrhm"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("quick")
def test_the_report_says_what_was_drawn_from_what_and_how_heavy_the_tail_is(
    runs: list[pipeline.Run], data_dir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    options: list[str], rounds: int, said: str, modes: str,
) -> None:  # fmt: skip
    weighted = runs[0].result.weighted.assign(log_weight=np.log(np.r_[[250.0], np.ones(len(runs[0].result.weighted) - 1)]))
    rows = [{"proposal": name, "efficiency": 0.103} for name in ("network", "refinement 1")][:rounds]
    meta, model = runs[0].result.meta | {"rounds": rows}, load_model("nrhm") if "--higher-modes" in options else runs[0].model
    result = replace(runs[0].result, meta=meta, pareto_k=1.05, sample_efficiency=0.735, weighted=weighted)
    choice = replace(runs[0].choice, estimator="") if "--from-scratch" in options else runs[0].choice
    monkeypatch.setattr(pipeline, "analyse", lambda *_: replace(runs[0], result=result, choice=choice, model=model))
    words = ["analyze", *strain_options(data_dir, 1126259446), "--gps", "1126259462.4", *options]
    done = invoke(*words, "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out/report.html").read_text()
    assert f"{said} the exact posterior well" in page
    assert modes in page
    share = f"{100 * 250 / (250 + len(weighted) - 1):.2g} % of the sum"
    assert page.count(f"The largest weight is {share}") == 1
    assert f"the largest weight is {share}" in done.stderr
    summary, config = (read(tmp_path / "out" / name) for name in ("summary.json", "config.json"))
    assert config["inference"]["flags"] == summary["flags"] != []
    assert "estimator" not in done.stderr


@pytest.mark.usefixtures("quick")
def test_a_browser_that_fails_costs_the_print_alone(data_dir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\nfor word; do case $word in --print-to-pdf=*) echo half >${word#*=};; esac; done\nexit 3\n")
    browser.chmod(0o755)
    monkeypatch.setenv("GWSML_BROWSER", str(browser))
    out = tmp_path / "out" / "event"
    result = invoke("analyze", *strain_options(data_dir, 1126259446), "--gps", "1126259462.4", "--pdf", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "gwsml: warning: no report.pdf" in result.stderr
    assert {path.name for path in out.iterdir()} == {name for name in WRITTEN if not name.endswith(".png")}
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.usefixtures("quick")
def test_steps_of_a_killed_run_stay_until_the_output_is_there(data_dir, tmp_path: Path) -> None:
    out, step = tmp_path / "out", tmp_path / "out.unfinished" / "001.step"
    step.parent.mkdir()
    step.write_bytes(b"some minutes of work")
    given = ["--gps", "1126259462.4", "--out", str(out)]
    assert invoke("analyze", "--strain", "H1=mistyped.hdf5", "--strain", "L1=mistyped.hdf5", *given).exit_code == 2
    assert step.exists()
    out.mkdir()
    (out / "notes.txt").write_text("of somebody else")
    options = strain_options(data_dir, 1126259446)
    assert invoke("analyze", *options, *given).exit_code == 2
    assert step.exists()
    (out / "notes.txt").unlink()
    assert invoke("analyze", *options, *given).exit_code == 0
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.usefixtures("quick")
def test_the_steps_of_another_command_are_neither_taken_up_nor_lost(data_dir, tmp_path: Path) -> None:
    out, steps = tmp_path / "out", tmp_path / "out.unfinished"
    given = [*strain_options(data_dir, 1126259446), "--gps", "1126259462.4", "--out", str(out)]
    steps.mkdir()
    (steps / "001.step").write_bytes(b"some minutes of work")
    (steps / "command.json").write_text('{"analysis": {"seed": 3}, "command": ["analyze", "--seed", "3", "--out", "a b"]}')
    refused = invoke("analyze", *given, "--seed", "4")
    assert refused.exit_code == 2
    assert "unfinished run of `gwsml analyze --seed 3 --out 'a b'`: give that command again" in " ".join(refused.stderr.split())
    assert sorted(path.name for path in steps.iterdir()) == ["001.step", "command.json"]
    assert list(tmp_path.iterdir()) == [steps]
    (steps / "001.step").unlink()  # of that run nothing is kept
    assert invoke("analyze", *given, "--seed", "4").exit_code == 0
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.usefixtures("quick")
def test_without_out_no_analysis_replaces_another(data_dir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["analyze", *strain_options(data_dir, 1126259446), "--gps", "1126259462.4"]
    monkeypatch.chdir(tmp_path)
    first, second, again = (invoke(*words, "--seed", seed) for seed in ("3", "4", "3"))
    assert [first.exit_code, second.exit_code, again.exit_code] == [0, 0, 0], first.output + second.output + again.output
    copied = tmp_path / "H.hdf5"
    copied.write_bytes(Path(words[2].removeprefix("H1=")).read_bytes())
    alone = invoke("analyze", "--strain", f"H1={copied}", *words[5:], "--seed", "3")  # other data, the same time and settings
    assert alone.exit_code == 0, alone.output
    folders = {path.name: read(path / "config.json")["settings"]["seed"] for path in (tmp_path / "out").iterdir()}
    assert folders == {"GPS1126259462": 3, "GPS1126259462-2": 4, "GPS1126259462-3": 3}
    assert "holds another analysis: this one goes to out/GPS1126259462-2" in second.output
    assert "holds another analysis" not in again.output


def test_how_a_spectrum_was_understood_stands_in_the_report(quick: None, data_dir, tmp_path: Path) -> None:
    psds = [f"--psd=H1={data_dir('formats/aplus.txt')}", f"--psd=L1={data_dir('formats/gwcelery_psd.xml.gz')}"]
    out = tmp_path / "out"
    result = invoke("analyze", *strain_options(data_dir, 1126259446), "--gps", "2015-09-14T09:50:45.4", *psds, "--out", str(out))
    assert result.exit_code == 0, result.output
    said = read(out / "config.json")["psd"]
    assert said["H1"] == "aplus.txt, an ASD by its values (from 2e-24), 5 to 5000 Hz"
    assert said["L1"] == "gwcelery_psd.xml.gz (L1), a PSD as it says, 0 to 8192 Hz"
    assert "an ASD by its values" in (out / "report.html").read_text()
    assert "--gps 1126259462.4" in read(out / "config.json")["repeat"]


def test_the_report_prints_where_there_is_a_browser(demo: Path, tmp_path: Path) -> None:
    from gwsurrogate_ml.cli.printing import print_page, require_browser

    try:
        require_browser()
    except ConfigError:
        pytest.skip("no Chromium or Chrome: apt-get install chromium")
    print_page(demo / "report.html", tmp_path / "report.pdf")
    content = (tmp_path / "report.pdf").read_bytes()
    pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", content))
    assert 4 <= pages <= 10  # observed 7
    assert re.search(rb"/MediaBox\s*\[0 0 59[45]\S* 84[12]", content)  # A4: 595 x 842 points
