"""Readers and conventions of numerical-relativity data, on files made here."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest

from data_prep.lvcnr import read_lvcnr
from data_prep.nr import canonical, peak_time, phase_sense
from data_prep.nr_files import read_bam, read_gatech_polarizations
from data_prep.sxs_runs import read_sxs
from data_prep.tables import load_npz, read_spec_nonspinning, read_sxs_gatech
from gwsurrogate_ml.errors import ConfigError, DataError

T = np.arange(-300.0, 100.0, 0.5)
ZERO = np.zeros(3)


def toy(t, peak=0.0, m=2):
    x = t - peak
    return 0.39 / np.cosh(x / 25) * np.exp(-0.5j * m * (0.3 * x + 2 * np.log(np.cosh(x / 20))))


def test_the_heavier_body_becomes_the_first_and_odd_modes_turn():
    modes = {(2, 2): toy(T), (2, 1): 0.1 * toy(T, m=1)}
    spins = np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.5, -0.6])
    run = canonical("x", "X", (0.25, 0.75), spins, 0.0, T, modes, precessing=True)
    assert run.q == pytest.approx(3.0)
    np.testing.assert_allclose(run.chi1, [-0.4, -0.5, -0.6])
    np.testing.assert_allclose(run.chi2, [-0.1, -0.2, 0.3])
    np.testing.assert_allclose(run.mode((2, 2)), modes[2, 2])
    np.testing.assert_allclose(run.mode((2, 1)), -modes[2, 1])


def test_a_precessing_run_is_refused_where_the_conventions_do_not_hold_for_it():
    spins = np.array([0.0, 0.3, 0.4]), ZERO
    with pytest.raises(DataError, match=r"x: precessing: in-plane spin 0\.300"):
        canonical("x", "X", (0.5, 0.5), spins, None, T, {(2, 2): toy(T)})
    assert canonical("x", "X", (0.5, 0.5), spins, None, T, {(2, 2): toy(T)}, precessing=True).in_plane_spin == 0.3
    nearly = np.array([5e-4, 0.0, 0.4]), ZERO
    assert canonical("x", "X", (0.5, 0.5), nearly, None, T, {(2, 2): toy(T)}).in_plane_spin == 5e-4


@pytest.mark.parametrize("stored", [toy(T, 3.3), np.conj(toy(T, 3.3))])
def test_either_sense_ends_with_a_falling_phase_and_the_peak_at_zero(stored):
    run = canonical("x", "X", (0.5, 0.5), (ZERO, ZERO), None, T, {(2, 2): stored})
    assert phase_sense(run.t, run.mode((2, 2))) == -1
    times = np.arange(-200.0, 80.0)
    np.testing.assert_allclose(run.h22_at(times), toy(times), atol=1e-6)


def test_peak_time_is_found_between_samples_of_one_m():
    t = np.arange(-100.0, 100.0)
    assert peak_time(t, np.abs(toy(t, 0.37))) == pytest.approx(0.37, abs=1e-5)


@pytest.mark.parametrize("eccentricity", [-1.0, -44444444.4, 2.0])
def test_sentinels_are_not_eccentricities(eccentricity):
    assert canonical("x", "X", (0.5, 0.5), (ZERO, ZERO), eccentricity, T, {(2, 2): toy(T)}).eccentricity is None


@pytest.mark.parametrize(
    ("t", "modes", "culprit"),
    [
        (T, {(3, 3): toy(T)}, r"no \(2,2\) mode"),
        (T, {(2, 2): np.where(np.abs(T) < 3, np.nan, toy(T))}, "gap"),
        (T, {(2, 2): toy(T)[:-5]}, "gap or the wrong length"),
        (T[::-1], {(2, 2): toy(T)}, "do not increase"),
        (T[T < -20], {(2, 2): toy(T[T < -20])}, "merger is missing"),
    ],
)
def test_broken_runs_are_refused_by_name(t, modes, culprit):
    with pytest.raises(DataError, match=f"BAD.*{culprit}"):
        canonical("BAD", "X", (0.5, 0.5), (ZERO, ZERO), None, t, modes)


def test_a_missing_mode_is_named_with_those_there():
    run = canonical("x", "X", (0.5, 0.5), (ZERO, ZERO), None, T, {(2, 2): toy(T)})
    with pytest.raises(DataError, match=r"no mode \(3, 3\).*\(2, 2\)"):
        run.mode((3, 3))


def lvcnr(path, modes, **attributes):
    knots = T[::2]
    with h5py.File(path, "w") as file:
        file.attrs.update({"NR-code": "MAYA", "name": "TOY", "mass1": 0.6, "mass2": 0.4, "eccentricity": 0.001} | attributes)
        file.attrs.update({f"spin{b}{a}": 0.1 * b if a == "z" else 0.0 for b in (1, 2) for a in "xyz"})
        for (l, m), h in modes.items():
            for part, values in (("amp", np.abs(h(knots))), ("phase", np.unwrap(np.angle(h(knots))))):
                group = file.create_group(f"{part}_l{l}_m{m}")
                group["X"], group["Y"], group["deg"] = knots, values, 5


def test_lvcnr_splines_give_the_waveform_back_between_knots(tmp_path):
    path = tmp_path / "toy.h5"
    lvcnr(path, {(2, 2): toy, (2, -2): lambda t: np.conj(toy(t)), (3, 3): lambda t: 0.1 * toy(t, m=3)})
    run = read_lvcnr(path)
    assert (run.name, run.code) == ("TOY", "MAYA")
    assert run.q == pytest.approx(1.5)
    assert (run.chi1[2], run.chi2[2]) == pytest.approx((0.1, 0.2))
    inside = np.abs(run.t) < 90
    np.testing.assert_allclose(run.mode((3, 3))[inside], 0.1 * toy(run.t, m=3)[inside], atol=2e-5)


def test_lvcnr_files_that_lack_something_are_refused(tmp_path):
    path = tmp_path / "toy.h5"
    lvcnr(path, {(3, 3): toy})
    with pytest.raises(DataError, match=r"no mode \(2, 2\)"):
        read_lvcnr(path)
    lvcnr(path, {(2, 2): toy})
    with h5py.File(path, "a") as file:
        del file.attrs["spin1z"]
    with pytest.raises(DataError, match="spin1z"):
        read_lvcnr(path)
    with h5py.File(path, "a") as file:
        del file["phase_l2_m2"]
    with pytest.raises(DataError, match="LVCNR"):
        read_lvcnr(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="truncated"):
        read_lvcnr(path)


def test_a_bad_run_in_a_table_is_named_and_the_others_are_read(tmp_path):
    path, n = tmp_path / "table.npz", 3
    h = np.tile(toy(T), (n, 1))
    h[1, 500] = np.nan
    columns = {f"spin{b}{a}": np.zeros(n) for b in (1, 2) for a in "xyz"}
    columns["spin1z"][2] = 1.5
    np.savez(
        path, t=T, h22=h, name=np.array(["A", "B", "C"]), code=np.full(n, "X"), eccentricity=np.zeros(n),
        mass1=np.full(n, 0.5), mass2=np.full(n, 0.5), **columns,
    )  # fmt: skip
    with pytest.raises(DataError, match=r"table\.npz: B: mode \(2, 2\) has a gap at t = -50"):
        read_sxs_gatech(path)
    reasons: dict[str, str] = {}
    assert [run.name for run in read_sxs_gatech(path, reasons)] == ["A"]
    assert "gap at t = -50" in reasons["B"]
    assert "spin 1 is [0.0, 0.0, 1.5]" in reasons["C"]


def test_damaged_or_missing_tables_are_refused(tmp_path):
    path = tmp_path / "table.npz"
    with pytest.raises(DataError, match="missing"):
        read_sxs_gatech(path)
    np.savez(path, t=T)
    with pytest.raises(DataError, match="lacks"):
        read_sxs_gatech(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="truncated"):
        load_npz(path)
    with pytest.raises(DataError, match="truncated"):
        read_spec_nonspinning(path)


def test_polarizations_with_a_gap_in_time_are_refused(tmp_path):
    seconds = np.arange(-40, 21) / 4096
    h = 1e-19 * toy(seconds / 3e-4)
    data = np.column_stack([seconds, np.full((61, 1), 0.5), np.zeros((61, 6)), h.real, -h.imag])
    path = tmp_path / "hphc.npz"
    np.savez(path, data=data, columns=np.array(["x"]))
    assert read_gatech_polarizations(path)[0].q == pytest.approx(2.0)
    np.savez(path, data=np.delete(data, 30, axis=0), columns=np.array(["x"]))
    with pytest.raises(DataError, match="gap"):
        read_gatech_polarizations(path)


@pytest.mark.parametrize(("name", "q", "spin", "tilt"), [("q4a02t60dPm2_T", 4, 0.2, 60), ("q2_a10_a28_ph0_th120", 2, 0.8, 120)])
def test_bam_runs_without_metadata_have_the_parameters_of_their_names(tmp_path, name, q, spin, tilt):
    table, metadata = tmp_path / "bam.npz", tmp_path / "bam.json"
    np.savez(table, **{f"{name}|l2m2": np.column_stack([np.linspace(0.01, 0.2, 50)] + [np.ones(50)] * 5)})
    metadata.write_text("{}")
    (run,) = read_bam(table, metadata)
    assert (run.name, run.q) == (name, q)
    assert np.linalg.norm(run.chi1) == pytest.approx(spin)
    assert run.chi1[2] == pytest.approx(spin * np.cos(np.deg2rad(tilt)))
    assert not run.chi2.any()


def test_bam_modes_with_a_gap_are_refused(tmp_path):
    rows = np.column_stack([np.linspace(0.01, 0.2, 50)] + [np.ones(50)] * 5)
    rows[20, 1] = np.nan
    table, metadata = tmp_path / "bam.npz", tmp_path / "bam.json"
    np.savez(table, **{"q1a02t30|l2m2": rows})
    metadata.write_text("{}")
    with pytest.raises(DataError, match="gap"):
        read_bam(table, metadata)


def test_without_sxs_the_reader_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sxs", None)
    with pytest.raises(ConfigError, match="make nr"):
        read_sxs(tmp_path / "x.h5", 1.0, ZERO, ZERO)
