"""`gwsml analyze --alert`: an alert gives the time, and stands beside the result; what is no event leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.inference.result.skymap import SkyMap
from tests.inference.result.test_alert import alert, cap

SLOW_FIXTURES = ("analysed",)

GW150914 = {"time": "2015-09-14T09:50:45.4Z"}
PLACE = (2.2, -1.2)
"""Some 20 degrees from the middle of the posterior of H1 and L1, whose region it overlaps."""


def strain(data_dir) -> list[str]:
    files = {f"{x}1": data_dir(f"strain/{x}-{x}1_LOSC_4_V2-1126259446-32.hdf5") for x in "HL"}
    return [word for name, path in files.items() for word in ("--strain", f"{name}={path}")]


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, ["analyze", *map(str, words)])


@pytest.fixture(scope="module")
def analysed(data_dir, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result, SkyMap]:
    folder, theirs = tmp_path_factory.mktemp("alert"), cap(*PLACE, 0.25)
    file = alert(folder, theirs, GW150914 | {"instruments": ["H1", "L1", "V1"]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gwsurrogate_ml.cli.analyze.figures.pictures", lambda _: [])
        result = invoke(*strain(data_dir), "--alert", file, "--n-draws", 1000, "--out", folder / "out")
    assert result.exit_code == 0, result.output
    return folder / "out", result, theirs


def test_the_alert_gives_the_time_and_the_name(analysed: tuple[Path, Result, SkyMap]) -> None:
    out, result, _ = analysed
    config, summary = (json.loads((out / name).read_text()) for name in ("config.json", "summary.json"))
    assert config["event"]["name"] == "S150914ab"
    assert summary["time"]["given"] == pytest.approx(1126259462.4, abs=1e-6)
    assert summary["matched_filter"]["H1"]["snr"] > 18
    assert "--alert" in config["repeat"]
    assert "--gps" not in config["repeat"]
    assert set(config["alert"]) == {"file", "sha256"}
    assert "the alert is of H1 L1 V1: no strain of V1 is given" in " ".join(result.stderr.split())


def test_the_maps_stand_beside_each_other(analysed: tuple[Path, Result, SkyMap]) -> None:
    out, result, theirs = analysed
    found = json.loads((out / "summary.json").read_text())["alert"]
    ours = SkyMap.load(out / "skymap.fits")
    assert ours.table.colnames == ["UNIQ", "PROBDENSITY", "DISTMU", "DISTSIGMA", "DISTNORM"]
    sky = found["sky"]
    assert sky["area_90"] == pytest.approx(theirs.area(0.9), rel=1e-6)
    assert sky["distance"] == pytest.approx([400, 80], rel=1e-3)
    assert sky["own_distance"] == pytest.approx(ours.distance, rel=1e-6)
    assert sky["overlap"] == pytest.approx(ours.overlap(theirs)[0], rel=1e-6)
    assert sky["in_region_90"] == pytest.approx(ours.probability_within(theirs, 0.9), rel=1e-6)
    assert 0 < sky["overlap"] < 1
    assert SkyMap.load(out / "alert_skymap.fits").overlap(theirs)[0] == pytest.approx(1.0, abs=1e-6)
    page = (out / "report.html").read_text()
    for words in ("Beside the alert", "S150914ab", "400 ± 80", f"{sky['area_90']:,.0f}", f"{100 * sky['overlap']:.0f} %"):
        assert words in page
    assert f"{100 * sky['overlap']:.0f} % in common" in " ".join(result.stdout.split())


def test_the_alerts_masses_are_the_prior_from_scratch(data_dir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def stop(event: Any, settings: Any, *_: Any, **__: Any) -> None:
        seen.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr("gwsurrogate_ml.cli.analyze.events.analyse_event", stop)
    file = alert(tmp_path, cap(*PLACE, 0.25), GW150914)
    for more, expected in (((), (11.57, 49.07)), (("--prior", "chirp_mass=25,35"), (25.0, 35.0))):
        invoke(*strain(data_dir), "--alert", file, "--from-scratch", *more, "--out", tmp_path / "out")
        assert seen.pop().prior["chirp_mass"] == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(
    ("words", "details", "changes", "said"),
    [
        ((), {}, {"alert_type": "RETRACTION"}, "was retracted"),
        (("--gps", 1126259462.4), {}, {}, "leave --gps out"),
        ((), {"skymap": "AAAA"}, {}, "is damaged"),
        (("--from-scratch",), {"mchirp_source": None}, {}, "give --prior chirp_mass"),
        (("no strain",), {}, {}, "holds no strain: give --strain H1=FILE --strain L1=FILE around GPS 1126259462.4"),
    ],
)
def test_refusals_come_before_the_work_and_leave_nothing(
    data_dir, tmp_path: Path, words: tuple[object, ...], details: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    file, out = alert(tmp_path, details=GW150914 | details, **changes), tmp_path / "results" / "out"
    out.parent.mkdir()
    more = [] if words == ("no strain",) else [*strain(data_dir), *words]
    result = invoke("--alert", file, *more, "--out", out)
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(out.parent.iterdir()) == []
