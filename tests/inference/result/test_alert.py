"""Alerts as the schema has them (igwn-gwalert-schema 1.0 to 1.3), damaged ones, and sky maps beside one another."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.inference.result.alert import read_alert
from gwsurrogate_ml.inference.result.skymap import SkyMap, from_draws

pytestmark = pytest.mark.peer

N = 3000


def cap(ra: float, dec: float, radius: float, order: int = 5, distance: tuple[float, float] | None = (400.0, 80.0)) -> SkyMap:
    """A map made with astropy_healpix alone: even within `radius` (rad) of a place, 0 outside; two orders of pixels."""
    from astropy_healpix import HEALPix
    from ligo.skymap.distance import moments_to_parameters

    uniq, inside = [], []
    for level, south in ((order, False), (order - 1, True)):
        grid = HEALPix(2**level, order="nested")
        lon, lat = (x.rad for x in grid.healpix_to_lonlat(np.arange(grid.npix)))
        here = np.arange(grid.npix) >> (2 * level) >= 8  # base pixels 8 to 11 lie around the south pole
        chosen = np.flatnonzero(here == south)
        uniq.append(chosen + 4 ** (level + 1))
        cosine = np.sin(lat) * np.sin(dec) + np.cos(lat) * np.cos(dec) * np.cos(lon - ra)
        inside.append((cosine > np.cos(radius))[chosen])
    table = Table({"UNIQ": np.concatenate(uniq)})
    area = np.concatenate([np.full(len(u), 4 * np.pi / 12 / 4**level) for u, level in zip(uniq, (order, order - 1), strict=True)])
    table["PROBDENSITY"] = np.concatenate(inside) / np.sum(np.concatenate(inside) * area)
    if distance is not None:
        for name, value in zip(("DISTMU", "DISTSIGMA", "DISTNORM"), moments_to_parameters(*np.atleast_1d(*distance)), strict=True):
            table[name] = np.full(len(table), value[0])
    return SkyMap(table)


def alert(tmp_path: Path, sky: SkyMap | None = None, details: dict[str, Any] | None = None, **changes: Any) -> Path:
    """The file of an alert, laid out as the example of the public user guide."""
    described: dict[str, Any] = {
        "time": "2015-09-14T09:50:45.412Z", "far": 1e-9, "significant": True, "instruments": ["L1", "H1"], "group": "CBC",
        "pipeline": "gstlal", "search": "AllSky", "properties": {"HasNS": 0.0, "HasRemnant": 0.0, "HasMassGap": 0.1},
        "classification": {"BNS": 0.0, "NSBH": 0.0, "BBH": 1.0, "Terrestrial": 0.0}, "duration": None, "central_frequency": None,
        "mchirp_source": {"bin_edges": [0.1, 5.0, 11.0, 22.0, 44.0, 88.0], "probabilities": [0.0, 0.0, 0.1, 0.8999, 0.0001]},
        "skymap": None,
    }  # fmt: skip
    if sky is not None:
        file = sky.save(tmp_path / "map.fits")
        described["skymap"] = base64.b64encode(file.read_bytes()).decode()
    content = {
        "alert_type": "PRELIMINARY", "time_created": "2015-09-14T09:53:00Z", "superevent_id": "S150914ab",
        "urls": {"gracedb": "https://example.org/superevents/S150914ab/view/"}, "event": described | (details or {}),
        "external_coinc": None,
    }  # fmt: skip
    path = tmp_path / "alert.json"
    path.write_text(json.dumps(content | changes))
    return path


@pytest.mark.exchange("alerts and sky maps", "IGWN alert 1.x, JSON", "laid out after igwn-gwalert-schema 1.3", "read")
def test_an_alert_is_read_whole(tmp_path: Path) -> None:
    found = read_alert(alert(tmp_path, cap(1.5, -1.0, 0.3)))
    assert (found.superevent_id, found.kind, found.pipeline) == ("S150914ab", "PRELIMINARY", "gstlal")
    assert found.gps == pytest.approx(1126259462.412, abs=1e-6)
    assert found.detectors == ("H1", "L1")
    assert found.chirp_mass_source == (11.0, 44.0)
    assert found.sky.area(0.9) == pytest.approx(0.9 * 2 * np.pi * (1 - np.cos(0.3)) * (180 / np.pi) ** 2, rel=0.03)
    assert found.sky.distance == pytest.approx((400.0, 80.0), rel=1e-3)
    low, high = found.chirp_mass()  # z of 240 and 560 Mpc: 0.052 and 0.115
    assert (low, high) == (pytest.approx(11 * 1.052, rel=2e-3), pytest.approx(44 * 1.115, rel=2e-3))


def test_what_differs_between_senders_is_the_same(tmp_path: Path) -> None:
    plain = read_alert(alert(tmp_path))
    for change in ({"alert_type": "EARLY_WARNING"}, {"alert_type": "EARLYWARNING"}):
        assert read_alert(alert(tmp_path, **change)).kind == "EARLYWARNING"
    for time in ("2015-09-14T09:50:45.412", "2015-09-14 09:50:45.412+00:00", "2015-09-14T11:50:45.412+02:00"):
        assert read_alert(alert(tmp_path, details={"time": time})).gps == pytest.approx(plain.gps, abs=1e-6)
    path = alert(tmp_path)
    path.write_text(f"[{path.read_text()}]")  # as SCiMMA's clients keep one
    assert read_alert(path).superevent_id == plain.superevent_id
    text, record = json.dumps(json.loads(alert(tmp_path).read_text())), json.loads(alert(tmp_path).read_text())
    for content in (
        json.dumps({"format": "igwn-gwalert", "content": [record]}),  # hop-client's
        json.dumps({"topic": "igwn.gwalert", "value": record}),
        json.dumps(text),  # JSON within JSON
    ):
        path.write_text(content)
        assert read_alert(path).gps == plain.gps
    path.write_bytes(gzip.compress(text.encode()))
    assert read_alert(path).gps == plain.gps
    assert read_alert(alert(tmp_path, details={"instruments": "H1,L1", "skymap": ""})).detectors == ("H1", "L1")
    for schema in ("igwn.alerts.v1_0.Alert", "http://emfollow.docs.ligo.org/_static/igwn.alerts.Alert.schema.json", "1.2"):
        assert read_alert(alert(tmp_path, **{"$schema": schema})).gps == plain.gps


@pytest.mark.parametrize(
    ("event", "changes", "said"),
    [
        ({}, {"alert_type": "RETRACTION", "event": None}, "S150914ab was retracted"),
        ({}, {"alert_type": "RUMOUR"}, "alert_type is 'RUMOUR', known are EARLYWARNING"),
        ({}, {"$schema": "https://gcn.nasa.gov/schema/v4.1.0/gcn/notices/x.schema.json"}, "format 1.x is read"),
        ({}, {"version": "2.0"}, "version is '2.0'"),
        ({}, {"event": None}, "has no event"),
        ({"group": "Burst"}, {}, "only binaries"),
        ({"time": "yesterday"}, {}, "ISO 8601"),
        ({"time": 1126259462.4}, {}, "ISO 8601"),
        ({"instruments": []}, {}, "instruments"),
        ({"mchirp_source": {"bin_edges": [1, 2], "probabilities": [0.5, 0.5]}}, {}, "mchirp_source"),
        ({"skymap": "https://gracedb.ligo.org/x.fits"}, {}, "not in the alert, but at https"),
        ({"skymap": "no base64!"}, {}, "sky map of S150914ab is damaged.*base64"),
        ({"skymap": base64.b64encode(b"no FITS").decode()}, {}, "sky map of S150914ab is damaged.*fetch the alert again"),
    ],
)
def test_what_is_no_event_to_analyse_is_refused_in_words(tmp_path: Path, event: dict, changes: dict, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read_alert(alert(tmp_path, details=event, **changes))
    assert "alert.json" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no JSON", "not JSON"),
        (b"Obj\x01\x04avro", "Avro"),
        (b"[]", "one JSON object"),
        (b"{}", "lacks superevent_id"),
        (b'{"superevent_id": "S1"}\n{"superevent_id": "S2"}', "several"),
        (b'[{"superevent_id": "S1"}, {"superevent_id": "S2"}]', "2 alerts"),
        (b"<?xml version='1.0'?><voe:VOEvent/>", "VOEvent"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_alert(tmp_path / "x.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_alert(tmp_path / "none.json")


def test_a_sky_map_may_be_packed_and_broken_into_lines(tmp_path: Path) -> None:
    path = alert(tmp_path, cap(1.5, -1.0, 0.3))
    content, area = json.loads(path.read_text()), read_alert(path).sky.area(0.9)
    raw = base64.b64decode(content["event"]["skymap"])
    for text in (base64.encodebytes(raw), base64.urlsafe_b64encode(raw), base64.b64encode(gzip.compress(raw))):
        content["event"]["skymap"] = text.decode()
        path.write_text(json.dumps(content))
        assert read_alert(path).sky.area(0.9) == area


def test_a_map_cut_off_negative_or_with_holes_is_damaged(tmp_path: Path) -> None:
    whole = cap(1.0, 0.5, 0.4)
    path = alert(tmp_path, whole)
    content = json.loads(path.read_text())
    raw = base64.b64decode(content["event"]["skymap"])
    header = raw.replace(b"TFORM1", b"TF\xffRM1")  # of which astropy warns, and which the error says
    for damaged in (raw[: len(raw) // 2], header, raw[: len(raw) // 2 - 7], raw[:2880] + b"\xff" * 2880 + raw[5760:]):
        content["event"]["skymap"] = base64.b64encode(damaged).decode()
        path.write_text(json.dumps(content))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(DataError, match="damaged"):
                read_alert(path)
    holed, negative = whole.table[10:], whole.table.copy()
    negative["PROBDENSITY"][0] = -1.0
    for table, said in ((holed, "cover"), (negative, "negative")):
        with pytest.raises(DataError, match=said):
            read_alert(alert(tmp_path, SkyMap(table)))


def test_without_masses_or_distances_there_is_no_range_of_masses(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no mchirp_source: give --prior"):
        read_alert(alert(tmp_path, cap(1.0, 0.5, 0.4), details={"mchirp_source": None})).chirp_mass()
    with pytest.raises(ConfigError, match="no sky map with distances: give --prior"):
        read_alert(alert(tmp_path, cap(1.0, 0.5, 0.4, distance=None))).chirp_mass()


def test_overlaps_are_those_of_caps() -> None:
    one, half = cap(1.0, -0.9, 0.4, order=7), cap(1.0, -0.9, 0.2, order=6)
    shared = (1 - np.cos(0.2)) / (1 - np.cos(0.4))
    inside, integral = one.overlap(half)
    assert inside == pytest.approx(shared, rel=0.02)
    assert integral == pytest.approx(2 / (1 - np.cos(0.4)), rel=0.02)  # 4 pi over the larger cap
    assert half.overlap(one) == pytest.approx((inside, integral), rel=1e-9)
    assert one.overlap(one)[0] == pytest.approx(1.0, abs=1e-9)
    assert one.overlap(cap(4.0, 0.9, 0.4))[0] == 0.0
    assert half.probability_within(one, 0.999) == pytest.approx(1.0, abs=1e-3)
    assert one.probability_within(half, 0.999) == pytest.approx(shared, rel=0.02)


@pytest.fixture(scope="module")
def drawn() -> tuple[SkyMap, dict[str, np.ndarray]]:
    """Draws along an arc, whose distance grows along it from 300 to 600 Mpc with a scatter of 40."""
    rng = np.random.default_rng(0)
    along = rng.random(N)
    ra, dec = 1.0 + 1.2 * along + 0.05 * rng.normal(size=N), 0.3 + 0.05 * rng.normal(size=N)
    distance = 300 + 300 * along + 40 * rng.normal(size=N)
    draws = {"ra": ra, "dec": dec, "distance": distance}
    return from_draws(ra, dec, distance, max_draws=800, meta={"objid": "S1", "gps_time": 1126259462.4}), draws


@pytest.mark.slow
def test_distances_are_those_of_the_draws_along_each_line_of_sight(drawn: tuple[SkyMap, dict[str, np.ndarray]]) -> None:
    from ligo.skymap.distance import parameters_to_moments

    sky, draws = drawn
    assert sky.table.colnames == ["UNIQ", "PROBDENSITY", "DISTMU", "DISTSIGMA", "DISTNORM"]
    assert sky.distance == pytest.approx((draws["distance"].mean(), draws["distance"].std()))
    rows = sky._pixels(np.array([1.3, 1.6, 1.9]), np.full(3, 0.3))
    mean, scatter, _ = parameters_to_moments(sky.table["DISTMU"][rows], sky.table["DISTSIGMA"][rows])
    np.testing.assert_allclose(mean, [375, 450, 525], atol=12)  # 50 draws: 6 Mpc, and the kernel's width
    np.testing.assert_allclose(scatter, 40, rtol=0.35)
    bare = SkyMap(sky.table.copy())
    del bare.table.meta["distmean"]
    assert bare.distance == pytest.approx(sky.distance, rel=0.02)  # marginalized by ligo.skymap


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.exchange("alerts and sky maps", "multi-order FITS", "ligo.skymap", "written")
def test_ligo_skymaps_programs_read_our_map(drawn: tuple[SkyMap, dict[str, np.ndarray]], tmp_path: Path) -> None:
    file = drawn[0].save(tmp_path / "sky.fits")
    calls = (
        ("ligo-skymap-plot", str(file), "-o", str(tmp_path / "sky.png"), "--contour", "50", "90"),
        ("ligo-skymap-flatten", str(file), str(tmp_path / "flat.fits.gz")),
        ("ligo-skymap-unflatten", str(tmp_path / "flat.fits.gz"), str(tmp_path / "again.fits")),
    )
    code = (
        "import json, sys\n"
        "from importlib.metadata import entry_points\n"
        "for name, *words in json.loads(sys.argv[1]):\n"
        "    entry_points(group='console_scripts')[name].load()(words)\n"
    )
    subprocess.run([sys.executable, "-c", code, json.dumps(calls)], check=True, capture_output=True)
    assert (tmp_path / "sky.png").stat().st_size > 5000
    again = SkyMap.load(tmp_path / "again.fits")
    flat = SkyMap.load(tmp_path / "flat.fits.gz")
    for other in (again, flat):
        assert other.area(0.9) == pytest.approx(drawn[0].area(0.9), rel=0.02)
        assert other.overlap(drawn[0])[0] > 0.99
        assert other.distance == pytest.approx(drawn[0].distance, rel=0.02)
    # As the alerts' user guide reads them, with astropy alone.
    import astropy_healpix as ah

    table = Table.read(file)
    best = table[np.argmax(table["PROBDENSITY"])]
    level, pixel = ah.uniq_to_level_ipix(best["UNIQ"])
    lon, lat = ah.healpix_to_lonlat(pixel, ah.level_to_nside(level), order="nested")
    assert drawn[0].credible_level(lon.rad, lat.rad) < 0.01
    assert table.meta["DISTMEAN"] == pytest.approx(drawn[0].distance[0])
