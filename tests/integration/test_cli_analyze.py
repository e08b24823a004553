"""`gwsml analyze` and `gwsml demo` from strain to the report folder, with the shipped models and few draws."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from gwsurrogate_ml.cli.demo import GPS, simulate_data
from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.strain.data import StrainData

DRAWS = "1000"
WRITTEN = {
    "config.json", "corner.png", "q_transform.png", "report.html", "residual.png", "result.json", "skymap.fits", "skymap.png",
    "snr.png",
    "strain.png", "summary.json", "waveform.png", "weights.png", "whitened.png",
}  # fmt: skip


def invoke(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def strain_options(data_dir, start: int, detectors: str = "HL") -> list[str]:
    files = {f"{x}1": data_dir(f"strain/{x}-{x}1_LOSC_4_V2-{start}-32.hdf5") for x in detectors}
    return [word for name, path in files.items() for word in ("--strain", f"{name}={path}")]


def assert_refused(result: Result, folder: Path, *said: str) -> None:
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("gwsml: error:")]
    assert len(errors) == 1
    assert "Traceback" not in result.output
    for words in said:
        assert words in errors[0]
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="module")
def gw150914(data_dir, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("analyze") / "GW150914"
    options = strain_options(data_dir, 1126259446)
    words = ["analyze", *options, "--gps", "1126259462.4", "--n-draws", DRAWS, "--json", "--out", str(out)]
    result = invoke(*words)
    assert result.exit_code == 0, result.output
    return out, result


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
    assert set(summary) == {"matched_filter", "posterior", "sky", "inference", "flags"}
    assert (
        20 < summary["sky"]["area_50"] < summary["sky"]["area_90"] < 600
    )  # deg^2; of H1 and L1 alone, published: some 180
    assert not any("residual" in flag or "segment" in flag for flag in summary["flags"])
    assert 55 < summary["posterior"]["final_mass_source"]["median"] < 70  # published: 62 to 63
    assert 0.55 < summary["posterior"]["final_spin"]["median"] < 0.8  # published: 0.67 to 0.68
    assert set(summary["matched_filter"]) == {"H1", "L1", "network_snr"}
    assert set(summary["matched_filter"]["L1"]) == {"snr", "time", "chisq_per_dof"}
    assert all(set(row) == {"median", "lower_90", "upper_90"} for row in summary["posterior"].values())
    assert {"chirp_mass", "mass_1_source", "chi_eff", "luminosity_distance", "ra"} <= set(summary["posterior"])
    assert not any(name.startswith("log") for name in summary["posterior"])
    assert {
        "n_draws", "sample_efficiency", "pareto_k", "log_evidence", "log_evidence_error", "log_bayes_factor", "seconds",
    } == set(summary["inference"])  # fmt: skip
    assert summary["inference"]["n_draws"] == int(DRAWS)
    assert json.loads(result.stdout) == summary  # --json prints the results and nothing else on stdout


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
        if name in ("psd", "prior", "higher_modes"):
            assert not value
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
    assert_refused(invoke(*words), tmp_path, "--prior chirp_mass=LOW,HIGH")
    assert_refused(invoke(*words, "--prior", "chirp_mass=10,20", "--prior", "spin=0,1"), tmp_path, "spin")
    assert_refused(invoke(*words, "--prior", "chirp_mass=30"), tmp_path, "LOW,HIGH")
    assert_refused(invoke("analyze", *options, "--prior", "chirp_mass=10,20"), tmp_path, "--from-scratch")


def test_one_detector_of_two_is_refused(data_dir, tmp_path: Path) -> None:
    words = ["--gps", "1126259462.4", "--n-draws", DRAWS, "--out", str(tmp_path / "out")]
    assert_refused(invoke("analyze", *strain_options(data_dir, 1126259446, "H"), *words), tmp_path, "H1", "L1")


def test_a_time_without_signal_is_refused(data_dir, tmp_path: Path) -> None:
    words = ["--gps", "1126259456.4", "--n-draws", DRAWS, "--out", str(tmp_path / "out")]
    result = invoke("analyze", *strain_options(data_dir, 1126259446), *words)
    assert_refused(result, tmp_path, "no signal", "GPS")


def test_an_event_name_fetches_the_files_of_the_estimators_detectors(
    data_dir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def fetch(event: str, detectors: tuple[str, ...]) -> tuple[float, dict[str, Path]]:
        asked.extend([event, detectors])
        names = {"H1": "H-H1", "L1": "L-L1"}
        return 1126259456.4, {k: data_dir(f"strain/{v}_LOSC_4_V2-1126259446-32.hdf5") for k, v in names.items()}

    monkeypatch.setattr("gwsurrogate_ml.strain.gwosc.fetch_event", fetch)
    # At the time this fetch gives there is no signal, which is found out quickly.
    assert_refused(invoke("analyze", "GW150914", "--out", str(tmp_path / "out")), tmp_path, "no signal")
    assert asked == ["GW150914", ("H1", "L1")]


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


def test_sky_map_holds_the_areas_of_the_summary(gw150914: tuple[Path, Result]) -> None:
    from ligo.skymap.io import read_sky_map

    from gwsurrogate_ml.inference.skymap import SkyMap

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
    from gwsurrogate_ml.cli.events import read_table, repeats, tasks_of
    from gwsurrogate_ml.cli.pipeline import Settings

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
    (task,) = tasks_of(read_table(table), Settings(n_draws=int(DRAWS)), out.parent, pdf=False)
    assert repeats(task)
    (other,) = tasks_of(read_table(table), Settings(n_draws=int(DRAWS), seed=1), out.parent, pdf=False)
    assert not repeats(other)


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
