"""The readers and quality control on the real files, with IMRPhenomT from LAL as the independent reference model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from data_prep import eob_at_nr, nr, nr_training
from data_prep.lvcnr import read_lvcnr
from data_prep.nr import peak_time, phase_sense
from data_prep.nr_files import read_bam, read_gatech_polarizations
from data_prep.quality import judge
from data_prep.sxs_runs import read_sxs
from data_prep.tables import read_spec_nonspinning, read_sxs_gatech
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.waveform.compare import psd_mismatch, white_mismatch

SLOW_FIXTURES = ("verdicts",)

pytestmark = pytest.mark.peer


def phenom_t(run, times):
    """h22 of IMRPhenomT (lalsimulation) at the run's parameters: calibrated to NR by other people, with other code."""
    lal, lalsimulation = pytest.importorskip("lal"), pytest.importorskip("lalsimulation")
    second, total = MTSUN_SI * 60.0, 60.0 * lal.MSUN_SI
    m1, m2 = total * run.q / (1 + run.q), total / (1 + run.q)
    modes = lalsimulation.SimInspiralChooseTDModes(
        0.0, 0.25 * second, m1, m2, 0, 0, run.chi1[2], 0, 0, run.chi2[2], 0.009 / second, 0.009 / second,
        1e6 * lal.PC_SI, lal.CreateDict(), 2, lalsimulation.IMRPhenomTHM,
    )  # fmt: skip
    h22 = lalsimulation.SphHarmTimeSeriesGetMode(modes, 2, 2).data.data / (second / MPC_SECONDS)
    t = 0.25 * np.arange(h22.size)
    t -= peak_time(t, np.abs(h22))
    return CubicSpline(t, np.abs(h22))(times) * np.exp(1j * CubicSpline(t, np.unwrap(np.angle(h22)))(times))


@pytest.fixture(scope="module")
def table(data_dir):
    return read_sxs_gatech(data_dir("nr/sxs_gatech_h22.npz"))


@pytest.fixture(scope="module")
def verdicts(table):
    return {v.name: v for v in judge(table, phenom_t)}


def test_every_run_is_brought_to_one_sense_with_the_heavier_body_first(table):
    assert len(table) == 413
    assert all(phase_sense(r.t, r.mode((2, 2))) == -1 and r.q >= 1 for r in table)
    conjugated = {code: np.mean([r.meta["conjugated"] for r in table if r.code == code]) for code in ("SpEC", "MAYA")}
    assert conjugated["MAYA"] == 0  # the two groups rotate in opposite senses in the source
    assert conjugated["SpEC"] > 0.99


@pytest.mark.parametrize("name", ["GT0803", "GT0805", "GT0405", "GT0900", "SXS_BBH_0324_Res4"])
def test_runs_known_to_be_bad_are_found_without_a_list(verdicts, name):
    assert not verdicts[name].kept
    assert verdicts[name].best > 3e-3


def test_kept_sxs_runs_agree_with_the_reference_and_better_with_each_other(verdicts):
    kept = [v for v in verdicts.values() if v.kept and v.code == "SpEC"]
    assert len(kept) >= 160  # 164 with SEOBNRv5HM
    reference = np.array([v.reference_mismatch for v in kept])
    assert np.median(reference) < 1.2e-4  # 7e-5
    assert np.quantile(reference, 0.9) < 4e-4  # 2e-4
    duplicates = [v.duplicate_mismatch for v in kept if np.isfinite(v.duplicate_mismatch)]
    assert np.median(duplicates) < 1e-5  # 5e-6


def test_georgia_tech_runs_weigh_less(verdicts):
    weights = {c: np.median([v.weight for v in verdicts.values() if v.kept and v.code == c]) for c in ("SpEC", "MAYA")}
    assert weights["MAYA"] < 0.02 * weights["SpEC"]


@pytest.mark.slow
def test_spec_runs_predict_one_another_in_detector_noise(data_dir):
    runs = read_spec_nonspinning(data_dir("nr/spec_nonspinning_h22_eim.h5"))
    assert len(runs) == 22
    assert np.abs(runs[0].mode((2, 2))).max() == pytest.approx(0.3929, abs=1e-4)
    assert np.abs(runs[-1].mode((2, 2))).max() == pytest.approx(0.1206, abs=1e-4)
    f, asd = np.loadtxt(data_dir("psd/aligo_design_asd.txt")).T
    t = np.arange(-2749.0, 99.0, 0.5)
    amplitude, phase = nr_training.pieces(np.array([r.h22_at(t) for r in runs]), t)
    x = np.log([r.q for r in runs])
    errors = []
    for i in range(1, 21):
        rest = np.arange(22) != i
        predicted = CubicSpline(x[rest], amplitude[rest])(x[i]) * np.exp(-1j * CubicSpline(x[rest], phase[rest])(x[i]))
        errors.append(psd_mismatch(t, amplitude[i] * np.exp(-1j * phase[i]), predicted, 70.0, f, asd**2, 15.0))
    assert np.median(errors) < 1e-5  # 4.9e-6
    assert max(errors) < 4e-5  # 2.0e-5


def test_lvcnr_files(data_dir, monkeypatch):
    with pytest.raises(DataError, match=r"GT0001: precessing: in-plane spin 0\.400"):
        read_lvcnr(data_dir("nr/GT0001_lvcnr.h5"))
    monkeypatch.setattr(nr, "IN_PLANE_MAX", 1.0)  # what the reader itself does with it
    run = read_lvcnr(data_dir("nr/GT0001_lvcnr.h5"))
    assert (run.name, run.code, len(run.modes)) == ("GT0001", "MAYA", 45)
    assert run.chi1[2] == pytest.approx(0.3998831)
    assert np.abs(run.mode((2, 2))).max() == pytest.approx(0.41491, abs=1e-4)
    fragment = data_dir("nr/maya_q1_plunge_lvcnr.h5")
    with pytest.raises(DataError, match="merger is missing"):
        read_lvcnr(fragment)
    assert read_lvcnr(fragment, align=False).t[0] == 0


@pytest.mark.slow
def test_georgia_tech_polarizations_match_the_model(data_dir):
    runs = read_gatech_polarizations(data_dir("nr/gatech_merger_hphc_M60.npz"))
    assert len(runs) == 121
    times = np.arange(-31.0, 15.0)
    aligned = [r for r in runs if r.in_plane_spin < 1e-3 and r.t[0] < -32]
    mismatch = [white_mismatch(times, r.h22_at(times), phenom_t(r, times), (-25.0, 10.0), 5.0) for r in aligned]
    assert np.median(mismatch) < 5e-3
    scale = [np.abs(r.h22_at(np.array([0.0, 1.0])))[0] / np.abs(phenom_t(r, times))[31] for r in aligned]
    assert np.median(scale) == pytest.approx(1.05, abs=0.03)  # 60 Msun at 1 Mpc; the rest of m = 2 adds 5 %


def test_bam_runs(data_dir):
    runs = read_bam(data_dir("nr/bam_precessing_psi4_fd.npz"), data_dir("nr/bam_precessing_metadata.json"))
    assert len(runs) == 64
    assert {round(r.q) for r in runs} == {1, 2, 4, 8}
    named = [r for r in runs if not r.meta["from_name"] and r.q > 1.5]
    for run in named:  # chi_eff of the metadata fixes which body spins
        assert run.q * run.chi1[2] / (1 + run.q) == pytest.approx(run.meta["chi_eff"], abs=2e-3)


def test_sxs_cce_file_is_the_equal_mass_binary(data_dir):
    pytest.importorskip("sxs", reason="sxs is in the data-preparation environment (make nr)")
    run = read_sxs(data_dir("nr/sxs_sample_cce.h5"), 1.0, np.zeros(3), np.zeros(3))
    times = np.arange(-407.0, 103.0)
    assert white_mismatch(times, run.h22_at(times), phenom_t(run, times)) < 1e-4


@pytest.mark.slow
def test_the_training_table_is_written_whole_and_reported(data_dir, table, tmp_path):
    source = data_dir("nr/sxs_gatech_h22.npz")
    some = [i for i, r in enumerate(table) if r.in_plane_spin < eob_at_nr.IN_PLANE_MAX and (i % 3 == 0 or r.q < 1.01)]
    (tmp_path / "nr").mkdir()
    with np.load(source) as file:
        np.savez(tmp_path / "nr" / source.name, t=file["t"], **{k: file[k][some] for k in file.files if k != "t"})
    (tmp_path / "nr" / nr_training.SPEC_FILE).symlink_to(data_dir(f"nr/{nr_training.SPEC_FILE}"))
    aligned = [table[i] for i in some]
    spec = read_spec_nonspinning(data_dir("nr/spec_nonspinning_h22_eim.h5"))
    times = np.arange(-409.0, 108.0)
    stored = {"spec_t": nr_training.SPEC_TIMES[::2], "t": times}
    for prefix, runs, t in (("", aligned, times), ("spec_", spec, nr_training.SPEC_TIMES[::2])):
        stored[f"{prefix}name"] = np.array([r.name for r in runs])
        stored[f"{prefix}parameters"] = np.array([[r.q, r.chi1[2], r.chi2[2]] for r in runs])
        stored[f"{prefix}h22"] = np.array([phenom_t(r, t) if not prefix else r.h22_at(t) for r in runs])
    path = tmp_path / "reference.npz"
    np.savez(path, **stored)
    nr_training.build(tmp_path, path, tmp_path / "out")
    with np.load(tmp_path / "out" / "nr.npz") as out:
        n = len(out["name"])
        assert out["h22"].shape == (n, out["t"].size)
        assert np.all(np.isfinite(out["h22"]))
        assert np.all((out["weight"] > 0) & (out["weight"] <= 1))
        zero = int(np.flatnonzero(out["t"] == 0)[0])
        np.testing.assert_allclose(out["phase22"][:, zero], 0, atol=1e-12)
        np.testing.assert_allclose(out["h22"][:, zero].imag, 0, atol=1e-12)
        assert np.all(out["h22"][:, zero].real > 0)
        equal = (out["q"] < 1.001) & (np.abs(out["chi1"]) < 1e-4) & (np.abs(out["chi2"]) < 1e-4)
        assert set(out["cluster"][equal]) == {out["spec_cluster"][0]}  # one binary, one cluster, in both tables
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert sum(r["kept"] for r in report["runs"]) == n
    assert "GT0805" in (tmp_path / "out" / "report.md").read_text()
    assert {p.name for p in (tmp_path / "out").iterdir()} >= {"kept.png", "mismatch.png"}


def test_a_reference_for_other_parameters_is_refused(table):
    run = table[0]
    times = np.arange(-409.0, 108.0)
    stored = {
        "name": np.array([run.name]),
        "parameters": np.array([[9.0, 0, 0]]),
        "t": times,
        "h22": np.ones((1, 517), complex),
    }
    with pytest.raises(DataError, match="make it again"):
        nr_training.stored_reference(stored)(run, times)
