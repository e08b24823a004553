"""Events by name: looked up, downloaded once through HTTP, verified afterwards, and clear about a missing network."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import h5py
import numpy as np
import pytest
import requests

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain import gwosc
from gwsurrogate_ml.strain.data import StrainData

RATE, START, GPS = 1024, 1126259447, 1126259462.4


def hdf5_bytes(tmp_path, detector: str) -> bytes:
    path = tmp_path / f"{detector}.hdf5"
    noise = 1e-21 * np.random.default_rng(list(detector.encode())).normal(size=32 * RATE)
    with h5py.File(path, "w") as file:
        file["meta/Detector"] = detector
        strain = file.create_dataset("strain/Strain", data=noise)
        strain.attrs.update(Xstart=START, Xspacing=1 / RATE, Npoints=32 * RATE)
    return path.read_bytes()


class Server:
    """A local stand-in for GWOSC's file server: counts requests and fails when told to."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.hits, self.failures, self.status = files, 0, 0, 503
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.hits += 1
                name = self.path.rsplit("/", 1)[-1]
                if outer.failures > 0:
                    outer.failures -= 1
                    return self.send_error(outer.status)
                if name not in outer.files:
                    return self.send_error(404)
                self.send_response(200)
                self.send_header("Content-Length", str(len(outer.files[name])))
                self.end_headers()
                return self.wfile.write(outer.files[name])

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def server(tmp_path, monkeypatch):
    names = {d: f"{d[0]}-{d}_GWOSC_4KHZ_R1-{START}-32.hdf5" for d in ("H1", "L1")}
    server = Server({name: hdf5_bytes(tmp_path, d) for d, name in names.items()})
    server.lookups = 0

    def locate(event, detectors):
        server.lookups += 1
        return GPS, {d: f"{server.url}/{names[d]}" for d in detectors or names}

    monkeypatch.setattr(gwosc, "locate", locate)
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_an_event_is_downloaded_once_and_then_read_without_a_network(server, tmp_path, monkeypatch):
    monkeypatch.setenv("GWSML_CACHE", str(tmp_path / "cache"))
    data = StrainData.from_gwosc("GW150914")
    assert data.detectors == ("H1", "L1")
    assert (data.gps, data.name) == (GPS, "GW150914")
    assert data.series["H1"].t0.value == START
    assert (server.hits, server.lookups) == (2, 1)
    server.http.shutdown()
    again = StrainData.from_gwosc("GW150914", ["L1"])
    np.testing.assert_array_equal(again.series["L1"].value, data.series["L1"].value)
    assert (server.hits, server.lookups) == (2, 1)
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_cache_that_cannot_be_written_is_read_and_refused_only_for_what_it_lacks(server, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    gwosc.fetch_event("GW150914", ("H1",), cache=cache)
    before = server.hits, server.lookups

    def full(*arguments, **options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(gwosc.tempfile, "TemporaryFile", full)
    _, files = gwosc.fetch_event("GW150914", ("H1",), cache=cache)
    assert list(files) == ["H1"]
    for lacking in ("GW150914", "GW170104"):
        with pytest.raises(ConfigError, match=r"cache cannot be written \(Read-only.*GWSML_CACHE"):
            gwosc.fetch_event(lacking, ("L1",), cache=cache)
    files["H1"].unlink()
    with pytest.raises(ConfigError, match="GWSML_CACHE"):
        gwosc.fetch_event("GW150914", ("H1",), cache=cache)
    assert (server.hits, server.lookups) == before


def test_a_damaged_cache_is_downloaded_again(server, tmp_path):
    _, files = gwosc.fetch_event("GW150914", ("H1",), cache=tmp_path / "cache")
    whole = files["H1"].read_bytes()
    files["H1"].write_bytes(whole[:1000])
    _, files = gwosc.fetch_event("GW150914", ("H1",), cache=tmp_path / "cache")
    assert files["H1"].read_bytes() == whole
    assert server.hits == 2


def test_a_file_that_changed_at_the_source_is_refused(server, tmp_path):
    _, files = gwosc.fetch_event("GW150914", ("H1",), cache=tmp_path / "cache")
    files["H1"].unlink()
    server.files[files["H1"].name] += b"changed"
    with pytest.raises(DataError, match=r"no longer has the checksum .* delete .*\.sha256"):
        gwosc.fetch_event("GW150914", ("H1",), cache=tmp_path / "cache")


def test_a_passing_failure_is_survived(server, tmp_path):
    server.failures = 2
    _, files = gwosc.fetch_event("GW150914", ("H1",), cache=tmp_path / "cache", attempts=3, backoff=0.01)
    assert files["H1"].exists()
    assert server.hits == 3


def test_a_missing_network_names_the_remedy_after_growing_pauses(monkeypatch, tmp_path):
    pauses: list[float] = []
    monkeypatch.setattr(gwosc.time, "sleep", pauses.append)

    def unreachable(event, detectors):
        raise requests.ConnectionError("no route to host")

    monkeypatch.setattr(gwosc, "locate", unreachable)
    with pytest.raises(DataError, match=r"after 4 attempts .*no network.*from_files or --strain"):
        StrainData.from_gwosc("GW150914", ["H1"], cache=tmp_path)
    assert pauses == [1.0, 2.0, 4.0]
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_gone_is_not_asked_for_again(server, tmp_path):
    server.failures, server.status = 99, 404
    with pytest.raises(DataError, match="GWOSC answers 404"):
        gwosc.fetch_event("GW150914", ("H1",), cache=tmp_path / "cache", backoff=0.01)
    assert server.hits == 1


def api(monkeypatch, **answers):
    """Replace the functions of the gwosc package that `locate` calls."""
    import gwosc.datasets
    import gwosc.locate

    monkeypatch.setattr(gwosc.datasets, "event_gps", lambda event: answers["gps"])
    monkeypatch.setattr(gwosc.datasets, "event_detectors", lambda event: answers["detectors"])
    monkeypatch.setattr(gwosc.locate, "get_event_urls", lambda event, **options: answers["urls"])


def test_the_shortest_file_around_the_event_is_chosen(monkeypatch):
    urls = ["https://x/H-H1_R1-1126257415-4096.hdf5", f"https://x/H-H1_R1-{START}-32.hdf5", "https://x/H-H1-5-32.hdf5"]
    api(monkeypatch, gps=GPS, detectors={"H1", "L1"}, urls=urls)
    assert gwosc.locate("GW150914", ("H1",)) == (GPS, {"H1": urls[1]})


def test_a_detector_without_data_lists_those_with(monkeypatch):
    api(monkeypatch, gps=GPS, detectors={"L1", "H1"}, urls=[])
    with pytest.raises(DataError, match="no data of V1 at GWOSC; available: H1, L1"):
        gwosc.locate("GW150914", ("H1", "V1"))
    with pytest.raises(DataError, match="lists no file around"):
        gwosc.locate("GW150914", ("H1",))


@pytest.mark.parametrize("event", ["../etc/passwd", "", "GW 150914"])
def test_what_cannot_be_a_name_is_refused(event, tmp_path):
    with pytest.raises(ConfigError, match="cannot be an event's name"):
        gwosc.fetch_event(event, cache=tmp_path)


def test_an_unknown_detector_is_refused_before_the_network_is_used():
    with pytest.raises(DataError, match="unknown detector 'X9'"):
        StrainData.from_gwosc("GW150914", ["X9"])
