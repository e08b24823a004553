"""The LVCNR format and RIT's variant of it: files written here with h5py as arXiv:1703.01076 describes them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from data_prep import metadata
from data_prep.lvcnr import read_lvcnr, read_rit
from gwsurrogate_ml.errors import DataError

T = np.arange(-600.0, 100.0, 0.5)
INSIDE = np.arange(-250.0, 80.0)


def toy(t, m=2):
    return 0.39 / m / np.cosh(t / 40) * np.exp(-0.5j * m * (0.3 * t + 2 * np.log(np.cosh(t / 20))))


def spline(file, key, values, knots=T, degree=5):
    group = file.create_group(key)
    group["X"], group["Y"], group["deg"] = knots, values, degree


def write(path, modes, attributes=None, **changes):
    """A file of format 1: `modes` by (l, m) as arrays on T; attributes set to None are left out."""
    table = {
        "Format": 1, "NR-code": "SpEC", "name": path.stem, "mass1": 0.6, "mass2": 0.4, "eccentricity": 0.001,
        "LNhatx": 0.0, "LNhaty": 0.0, "LNhatz": 1.0,
        "spin1x": 0.0, "spin1y": 0.0, "spin1z": 0.1, "spin2x": 0.0, "spin2y": 0.0, "spin2z": 0.2,
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        file.attrs.update({k: v for k, v in (table | (attributes or {}) | changes).items() if v is not None})
        for (l, m), h in modes.items():
            spline(file, f"amp_l{l}_m{m}", np.abs(h))
            spline(file, f"phase_l{l}_m{m}", np.unwrap(np.angle(h)))
    return path


MODES = {(2, 2): toy(T), (3, 3): toy(T, 3), (2, -2): np.conj(toy(T)), (3, -3): -np.conj(toy(T, 3))}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_format_gives_the_same_waveform_and_format_3_the_remnant(tmp_path, number):
    path = write(tmp_path / "run_Res5.h5", MODES, Format=number)
    late = T[T > 0]
    with h5py.File(path, "a") as file:
        if number >= 2:  # time series beside the modes
            for key, value in {"spin1z-vs-time": 0.1, "Omega-vs-time": 0.02, "LNhatz-vs-time": 1.0}.items():
                spline(file, key, np.full(T.size, value))
        if number == 3:
            spline(file, "remnant-mass-vs-time", 0.95 + 0.01 * np.exp(-late), late)
            for axis, value in zip("xyz", (0.0, 0.0, 0.68), strict=True):
                spline(file, f"remnant-spin{axis}-vs-time", np.full(late.size, value), late)
    run = read_lvcnr(path)
    assert run.resolution == "Res5"
    assert run.eccentricity == 0.001
    np.testing.assert_allclose(run.h22_at(INSIDE), toy(INSIDE), atol=2e-6)
    assert set(run.modes) == set(MODES)
    if number == 3:
        assert run.remnant_mass == pytest.approx(0.95, abs=1e-9)
        np.testing.assert_allclose(run.remnant_spin, [0, 0, 0.68])
    else:
        assert run.remnant_mass is None


def test_an_orbit_about_minus_z_is_turned_over(tmp_path):
    """The same binary seen from below: rotated by pi about x, h_lm becomes (-1)^l h_l,-m and spins along z change sign."""
    upright = read_lvcnr(write(tmp_path / "up.h5", MODES))
    below = {(l, m): (-1) ** l * MODES[l, -m] for l, m in MODES}
    spins = {"LNhatz": -1.0, "spin1z": -0.1, "spin2z": -0.2}
    run = read_lvcnr(write(tmp_path / "down.h5", below, **spins))
    assert run.meta["turned"]
    assert not run.meta["conjugated"]
    assert (run.chi1[2], run.chi2[2]) == pytest.approx((0.1, 0.2))
    for key in MODES:
        np.testing.assert_allclose(run.modes[key], upright.modes[key], atol=1e-9)


def test_without_negative_m_an_orbit_about_minus_z_is_turned_by_reflection(tmp_path):
    below = {(l, m): (-1) ** l * MODES[l, -m] for l, m in MODES if m > 0}
    run = read_lvcnr(write(tmp_path / "down.h5", below, LNhatz=-1.0, spin1z=-0.1, spin2z=-0.2))
    assert run.chi1[2] == pytest.approx(0.1)
    np.testing.assert_allclose(run.h22_at(INSIDE), toy(INSIDE), atol=2e-6)


def test_the_same_sense_of_time_with_the_other_sign_of_i_leaves_spins_alone(tmp_path):
    run = read_lvcnr(write(tmp_path / "conj.h5", {key: np.conj(h) for key, h in MODES.items()}))
    assert run.meta["conjugated"]
    assert run.chi1[2] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mass1": -0.6}, "both must be positive.*correct its metadata"),
        ({"mass2": float("nan")}, "neither masses nor a mass ratio"),
        ({"spin1z": 1.4}, "spin 1 is .*at most"),
        ({"spin2z": None}, "lacks spin2z"),
        ({"LNhatx": 0.6, "LNhatz": 0.8}, "tilted by 37 degrees.*rotate"),
        ({"Format": 9}, "format 9"),
    ],
)
def test_impossible_attributes_are_refused_by_file_and_culprit(tmp_path, changes, says):
    path = write(tmp_path / "culprit.h5", MODES, **changes)
    with pytest.raises(DataError, match=f"culprit.h5.*{says}"):
        read_lvcnr(path)


def damage(path, what):
    with h5py.File(path, "a") as file:
        knots = file["phase_l2_m2/X"]
        if what == "order":
            knots[100] = knots[99] - 1
        elif what == "nan":
            file["amp_l2_m2/Y"][50] = np.nan
        elif what == "short":
            del file["amp_l2_m2/Y"]
            file["amp_l2_m2/Y"] = np.ones(7)
        elif what == "half":
            del file["phase_l3_m3"]
        elif what == "foreign":
            for key in list(file):
                del file[key]
            file["strain"] = np.ones(5)
    if what == "cut off":
        path.write_bytes(path.read_bytes()[:3000])
    elif what == "text":
        path.write_text("404: not found")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("order", "phase_l2_m2 do not increase after t = "),
        ("nan", "amp_l2_m2 has a gap"),
        ("short", "amp_l2_m2 has .* knots for .*truncated"),
        ("half", "phase_l3_m3"),
        ("foreign", r"holds no mode such as amp_l2_m2 but \['strain'\]"),
        ("cut off", "truncated"),
        ("text", "truncated or not in the LVCNR format"),
    ],
)
def test_damaged_files_are_refused_by_file_and_culprit(tmp_path, what, says):
    path = write(tmp_path / "culprit.h5", MODES)
    damage(path, what)
    with pytest.raises(DataError, match=f"culprit.h5.*{says}"):
        read_lvcnr(path)


RIT = """# Metadata of RIT:BBH:0001
catalog-tag        = RIT:BBH:0001
resolution-tag     = n120
code               = LazEv
relaxed-time       = 200.0     # in M
relaxed-mass1      = 0.4
relaxed-mass2      = 0.6
relaxed-LNhatx = 0.0
relaxed-LNhaty = 0.0
relaxed-LNhatz = 1.0
relaxed-chi1z      = 0.2
relaxed-chi2z      = -0.1
eccentricity       = 0.002
final-mass         = 0.951
final-chi          = 0.686
"""


def test_rit_strain_takes_its_parameters_from_the_text_beside_it_and_loses_its_junk(tmp_path):
    junk = 0.05 * np.exp(-(((T + 560) / 15) ** 2)) * np.exp(1.5j * T)
    nothing = dict.fromkeys(["Format", "NR-code", "name", "mass1", "mass2", "eccentricity"])
    nothing |= dict.fromkeys([f"{k}{a}" for k in ("spin1", "spin2", "LNhat") for a in "xyz"])
    path = write(tmp_path / "ExtrapStrain_RIT-BBH-0001-n120.h5", {(2, 2): toy(T) + junk, (2, 1): toy(T, 1)}, nothing)
    with pytest.raises(DataError, match=r"RIT-BBH-0001-n120\.h5 has no metadata beside it"):
        read_rit(path)
    (tmp_path / "RIT:BBH:0001-n120-id3_Metadata.txt").write_text(RIT)
    run = read_rit(path)
    assert (run.code, run.resolution, run.q) == ("LazEv", "n120", pytest.approx(1.5))
    assert (run.chi1[2], run.chi2[2]) == pytest.approx((-0.1, 0.2))  # the second body is the heavier one
    assert run.meta["swapped"]
    assert run.meta["mass_sum"] == pytest.approx(1.0)
    assert run.remnant_mass == pytest.approx(0.951)
    assert run.remnant_spin[2] == pytest.approx(0.686)
    assert run.relaxation_time == pytest.approx(-400.0, abs=1e-3)
    assert run.t[0] == pytest.approx(-400.0, abs=0.3)  # 200 M after the file's start
    np.testing.assert_allclose(run.h22_at(INSIDE), toy(INSIDE), atol=2e-6)


def test_an_eccentricity_bound_is_a_number_and_a_sentinel_is_none():
    table = {"q": 1.0, "chi1z": 0.0, "chi2z": 0.0}
    for value, expected in (("<2e-4", 2e-4), (-99, None), ("[simulation too short]", None), (None, None), (0.3, 0.3)):
        assert metadata.parse(table | {"reference_eccentricity": value}, "x").eccentricity == expected


def test_text_that_is_no_metadata_is_refused(tmp_path):
    path = tmp_path / "metadata.json"
    for text in ("[1, 2]", "{", ""):
        path.write_text(text)
        with pytest.raises(DataError, match=r"metadata\.json"):
            metadata.read(path)
    (tmp_path / "metadata.txt").write_text("<html>")
    with pytest.raises(DataError, match="no line 'key = value'"):
        metadata.read(tmp_path / "metadata.txt")
