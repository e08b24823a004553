"""SXS simulations through the interface of `sxs`, and MAYA's psi4: on objects and files made here, and with `sxs` itself."""

from __future__ import annotations

import json
import sys
import zipfile
from types import ModuleType, SimpleNamespace

import h5py
import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

from data_prep import sxs_runs
from data_prep.catalogues import Source, read
from data_prep.maya import read_maya_psi4
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.waveform.compare import white_alignment

T = np.arange(0.0, 1000.0, 0.5)
PEAK = 800.0
INSIDE = np.arange(-400.0, 80.0)
MODES = [(l, m) for l in (2, 3) for m in range(-l, l + 1)]


def toy(t, m=2, error=0.0, width=60):
    return 0.39 / max(abs(m), 1) / np.cosh(t / width) * np.exp(-0.5j * m * (0.3 * t + (2 + error) * np.log(np.cosh(t / 20))))


def strain(error=0.0):
    """An object with the attributes of `sxs.WaveformModes`; junk before t = 150."""
    data = np.array([toy(T - PEAK, m, error) if m else 0 * T + 0j for _, m in MODES]).T
    data = data + (0.3 * np.exp(-T / 20) * np.exp(2j * T))[:, None]
    return SimpleNamespace(t=T, data=data, LM=np.array(MODES), frame_type="inertial")


METADATA = {
    "reference_mass1": 0.6, "reference_mass2": 0.4, "reference_eccentricity": "<3.4e-04", "relaxation_time": 150.0,
    "reference_dimensionless_spin1": [0.0, 0.0, 0.3], "reference_dimensionless_spin2": [0.0, 0.0, -0.1],
    "remnant_mass": 0.955, "remnant_dimensionless_spin": [0.0, 0.0, 0.72], "keywords": [],
}  # fmt: skip


class Catalogue(dict):
    tag = "3.0.0"


@pytest.fixture
def sxs(monkeypatch):
    """A stand-in for the package: three simulations, one of them deprecated, two resolutions each."""
    fake = ModuleType("sxs")
    fake.__version__ = "0"
    names = ("SXS:BBH:0001", "SXS:BBH:0002", "SXS:BBH:0003")
    catalogue = Catalogue({name: dict(METADATA) for name in names})
    catalogue["SXS:BBH:0002"]["keywords"] = ["deprecated"]
    catalogue["SXS:BBH:0003"]["reference_dimensionless_spin1"] = [0.3, 0.0, 0.3]
    catalogue["SXS:NSNS:0001"] = dict(METADATA)
    fake.asked = []

    def load(location, **options):
        fake.asked.append((location, options))
        if location == "simulations":
            return catalogue
        name, _, level = location.replace("v3.0", "").partition("/Lev")
        if name not in catalogue:
            raise ValueError(f"Simulation '{name}' not found in simulation catalog")
        if "deprecated" in catalogue[name]["keywords"]:
            raise ValueError(f"Simulation '{name}' is deprecated.")
        level = int(level or 5)
        return SimpleNamespace(
            metadata=catalogue[name], h=strain(0.0 if level == 5 else 0.02), location=f"{name}v3.0/Lev{level}", lev_number=level,
            lev_numbers=[3, 4, 5], sxs_id=f"{name}v3.0", version="v3.0", Lev=f"Lev{level}",
            files={f"Lev{level}:Strain_N2.h5": {"checksum": f"md5:{level}"}, f"Lev{level}:Horizons.h5": {"checksum": "md5:x"}},
        )  # fmt: skip

    fake.load = load
    fake.catalogue = catalogue
    monkeypatch.setitem(sys.modules, "sxs", fake)
    return fake


def test_a_simulation_comes_with_all_modes_its_metadata_and_its_second_resolution(sxs):
    run, checksums = sxs_runs.read_simulation("SXS:BBH:0001")
    assert run.name == "SXS:BBH:0001v3.0/Lev5"
    assert (run.q, run.chi1[2], run.chi2[2]) == pytest.approx((1.5, 0.3, -0.1))
    assert run.eccentricity == pytest.approx(3.4e-4)
    assert run.remnant_mass == pytest.approx(0.955)
    assert run.resolution == "Lev5"
    assert set(run.modes) == set(MODES)
    assert run.relaxation_time == pytest.approx(150 - PEAK, abs=1e-3)
    assert run.t[0] >= run.relaxation_time  # junk is cut
    np.testing.assert_allclose(run.h22_at(INSIDE), toy(INSIDE), atol=2e-4)
    assert run.coarser.name == "SXS:BBH:0001v3.0/Lev4"
    difference = np.abs(run.coarser.h22_at(INSIDE) - run.h22_at(INSIDE)).max()
    assert difference > 1e-3
    assert checksums == {
        "SXS:BBH:0001v3.0/Lev5:Lev5:Strain_N2.h5": "md5:5",
        "SXS:BBH:0001v3.0/Lev4:Lev4:Strain_N2.h5": "md5:4",
    }


def test_the_catalogue_is_pinned_and_its_bad_runs_are_reported_and_left_out(sxs):
    names = ("SXS:BBH:0001", "SXS:BBH:0002", "SXS:BBH:9999")
    found = read([Source("sxs", simulations=names, tag="3.0.0")])
    assert sxs.asked[0] == ("simulations", {"tag": "3.0.0"})
    assert found.versions == {"SXS catalogue": "3.0.0"}
    assert [run.name for run in found.runs] == ["SXS:BBH:0001v3.0/Lev5"]
    reasons = {unread.name: unread.reason for unread in found.unread}
    assert "deprecated" in reasons["SXS:BBH:0002"]
    assert "not found" in reasons["SXS:BBH:9999"]
    with pytest.raises(DataError, match=r"is 3\.0\.0, not 2\.0\.0"):
        read([Source("sxs", simulations=names, tag="2.0.0")])


def test_aligned_takes_what_lies_inside_the_limits_of_the_model(sxs):
    limits = {"in_plane_max": 1e-3, "eccentricity_max": 0.01}
    assert sxs_runs.select(sxs.catalogue, 10, 0.9, **limits) == ["SXS:BBH:0001"]
    assert sxs_runs.select(sxs.catalogue, 1.4, 0.9, **limits) == []
    assert sxs_runs.select(sxs.catalogue, 10, 0.2, **limits) == []
    assert [r.name for r in read([Source("sxs", simulations="aligned")]).runs] == ["SXS:BBH:0001v3.0/Lev5"]


def test_a_bad_second_resolution_costs_the_error_and_not_the_run(sxs):
    load = sxs.load

    def broken(location, **options):
        simulation = load(location, **options)
        if location.endswith("Lev4"):
            simulation.h.data[900] = np.nan
        return simulation

    sxs.load = broken
    run, _ = sxs_runs.read_simulation("SXS:BBH:0001")
    assert run.coarser is None
    assert "gap" in run.meta["coarser_unusable"]


def test_no_network_is_said_in_one_sentence(sxs):
    def offline(location, **options):
        raise ConnectionError("no route to host")

    sxs.load = offline
    with pytest.raises(DataError, match=r"SXS catalogue 3\.0\.0 cannot be loaded: no route.*check the network"):
        read([Source("sxs", simulations=("SXS:BBH:0001",), tag="3.0.0")])


def test_what_holds_no_modes_is_refused(sxs):
    with pytest.raises(DataError, match="does not hold waveform modes"):
        sxs_runs.from_modes(SimpleNamespace(data=np.ones(5)), METADATA, "x", "x.h5", {})


def test_without_sxs_the_catalogue_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sxs", None)
    with pytest.raises(ConfigError, match="make nr"):
        read([Source("sxs", simulations="aligned")])


def save_with_sxs(sxs, path, error=0.0):
    modes = sxs.WaveformModes(
        strain(error).data, time=T, time_axis=0, modes_axis=1, ell_min=2, ell_max=3, spin_weight=-2, data_type="h",
        frame_type="inertial", m_is_scaled_out=True, r_is_scaled_out=True,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    sxs.waveforms.formats["rpdmb"].save(modes, str(path.with_suffix("")))


def test_a_file_written_by_sxs_is_read_with_the_metadata_beside_it(tmp_path):
    sxs = pytest.importorskip("sxs", reason="sxs is in the data-preparation environment (make nr)")
    folder = tmp_path / "SXS:BBH:0001v3.0" / "Lev5"
    save_with_sxs(sxs, folder / "Strain_N2.h5")
    (folder / "metadata.json").write_text(json.dumps(METADATA))
    found = read([Source("sxs", path=str(tmp_path))])
    assert [run.name for run in found.runs] == ["SXS:BBH:0001v3.0/Lev5"]
    np.testing.assert_allclose(found.runs[0].h22_at(INSIDE), toy(INSIDE), atol=2e-4)


def test_the_package_finds_a_catalogue_in_its_cache_and_both_resolutions(tmp_path, monkeypatch):
    """`sxs` itself from the pinned catalogue to the strain, everything in its cache as a download would leave it."""
    sxs = pytest.importorskip("sxs", reason="sxs is in the data-preparation environment (make nr)")
    from sxs.utilities import sxs_path_to_system_path

    cache = tmp_path / "cache"
    monkeypatch.setenv("SXSCACHEDIR", str(cache))
    monkeypatch.delattr(sxs.simulations.Simulations, "_simulations", raising=False)
    files = {}
    for level, error in ((4, 0.02), (5, 0.0)):
        for name in (f"Lev{level}:Strain_N2.h5", f"Lev{level}:Strain_N2.json", f"Lev{level}:metadata.json"):
            files[name] = {"link": f"https://nowhere.invalid/{name}", "checksum": f"md5:{level}", "size": 1}
        place = cache / sxs_path_to_system_path(f"SXS:BBH:0001v3.0/Lev{level}:Strain_N2.h5")
        save_with_sxs(sxs, place, error)
        place.with_name(sxs_path_to_system_path(f"Lev{level}:metadata.json")).write_text(json.dumps(METADATA))
    names = (
        "reference_orbital_frequency",
        "remnant_velocity",
        "initial_ADM_linear_momentum",
        "initial_ADM_angular_momentum",
    )
    names += tuple(
        f"{name}{b}" for name in ("initial_dimensionless_spin", "reference_position", "initial_position") for b in (1, 2)
    )
    vectors = {name: [0.0, 0.0, 0.0] for name in names}
    entry = METADATA | vectors | {"DOI_versions": ["", "v3.0"], "files": files, "object_types": "BHBH", "lev_numbers": [4, 5]}
    with zipfile.ZipFile(cache / "simulations_v3.0.0.bz2", "w") as archive:
        archive.writestr("simulations.json", json.dumps({"SXS:BBH:0001": entry}))
    found = read([Source("sxs", simulations="aligned", tag="3.0.0")])
    assert found.versions == {"SXS catalogue": "v3.0.0"}
    assert [run.name for run in found.runs] == ["SXS:BBH:0001v3.0/Lev5"]
    run = found.runs[0]
    assert run.coarser is not None
    assert run.coarser.name == "SXS:BBH:0001v3.0/Lev4"
    np.testing.assert_allclose(run.h22_at(INSIDE), toy(INSIDE), atol=2e-4)
    assert set(found.checksums.values()) == {"md5:4", "md5:5"}


# MAYA


def write_psi4(path, radii=("70.00", "100.00"), lacks=None):
    """psi4 of `toy` as seen on spheres: r psi4 = d^2 h / dt^2, later by r and with the error of a finite radius."""
    t = np.arange(0.0, 1400.0, 0.25)
    with h5py.File(path, "w") as file:
        for radius in radii:
            r = float(radius)
            areal = r * (1 + 1 / (2 * r)) ** 2
            group = file.create_group(f"radiative/psi4/radius={radius}")
            group["time"] = t
            for l, m in ((2, 2), (2, -2), (3, 3)):
                h = toy(t - r - 1000.0, m, width=200)
                news = np.gradient(h, t)
                # outgoing multipole of psi4 in flat space: a confluent hypergeometric series in 1 / r
                far = np.gradient(news, t) + (l - 1) * (l + 2) / (2 * areal) * news
                far = far + (l - 1) * l * (l + 1) * (l + 2) / (8 * areal**2) * h
                far = far / (1 - 2 / areal) / areal
                far += 1e-5 * np.exp(-(((t - r) / 10) ** 2)) * np.exp(2j * t)  # junk with the wave front
                mode = group.create_group(f"modes/l={l}/m={m}")
                mode["real"] = far.real
                if lacks != (l, m):
                    mode["imaginary"] = far.imag
    return path


PARAMETERS = {"q": 1.5, "a1x": 0.0, "a1y": 0.0, "a1z": 0.3, "a2x": 0.0, "a2y": 0.0, "a2z": -0.1, "eccentricity": 0.003}


def test_maya_psi4_becomes_the_strain_at_infinity(tmp_path):
    path = write_psi4(tmp_path / "MAYA0001.h5")
    (tmp_path / "MAYA0001.json").write_text(json.dumps(PARAMETERS))
    run = read_maya_psi4(path)
    assert (run.name, run.code, run.meta["radius"]) == ("MAYA0001", "MAYA", 100.0)
    assert (run.q, run.chi1[2], run.eccentricity) == pytest.approx((1.5, 0.3, 0.003))
    assert run.t[0] == pytest.approx(175.0 - 1100.0, abs=10.0)  # 75 M after the front; a broad peak shifts easily
    times = np.arange(-150.0, 60.0)
    near = (run.t > -400) & (run.t < 100)
    for key in ((2, 2), (3, 3)):
        found = make_interp_spline(run.t[near], run.modes[key][near], k=5)(times)
        best = white_alignment(times, found, toy(times, key[1], width=200), (-130.0, 40.0), 15.0)
        assert best.mismatch < 1e-3
        assert best.amplitude_ratio == pytest.approx(1, abs=0.01)  # 2 % without the extrapolation to infinity
    h22 = run.h22_at(times)
    other = read_maya_psi4(path, PARAMETERS, radius="70.00")
    np.testing.assert_allclose(np.abs(other.h22_at(times)), np.abs(h22), atol=0.005)


def test_maya_files_that_lack_something_are_refused(tmp_path):
    path = write_psi4(tmp_path / "culprit.h5", lacks=(3, 3))
    with pytest.raises(DataError, match=r"culprit\.h5.*imaginary"):
        read_maya_psi4(path, PARAMETERS)
    path = write_psi4(tmp_path / "culprit.h5")
    with pytest.raises(DataError, match=r"culprit\.h5 has no psi4 at radius 55.00: it has \['100.00', '70.00'\]"):
        read_maya_psi4(path, PARAMETERS, radius="55.00")
    with h5py.File(path, "a") as file:
        file["radiative/psi4/radius=100.00/modes/l=2/m=2/real"][2000] = np.nan
    with pytest.raises(DataError, match=r"culprit\.h5.*\(2, 2\) of psi4 has a gap"):
        read_maya_psi4(path, PARAMETERS)
    with pytest.raises(DataError, match="no metadata beside it"):
        read_maya_psi4(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="truncated"):
        read_maya_psi4(path, PARAMETERS)
