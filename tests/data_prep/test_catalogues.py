"""Catalogues of many files: bad ones reported and left out, resolutions paired, one file of settings for the whole chain."""

from __future__ import annotations

import logging
from dataclasses import replace

import h5py
import numpy as np
import pytest

from data_prep import catalogues, eob_at_nr
from data_prep.__main__ import main
from data_prep.catalogues import Source, pair_resolutions, read
from data_prep.nr import NRWaveform, check_times
from data_prep.quality import QualityConfig, judge
from data_prep.settings import read_settings
from gwsurrogate_ml.errors import ConfigError, DataError

T = np.arange(-600.0, 120.0, 0.5)


def h22(q, chi=0.0, t=T, error=0.0):
    f = 0.28 + 0.03 * chi + 0.02 * np.log(q)
    sweep = f * t + (3.5 + error) * np.log(np.cosh(t / (25 + error)))
    amplitude = 0.39 / q * np.where(t < 0, (1 + (t / 60) ** 2) ** -0.25, 1 / np.cosh(np.maximum(t, 0) / 12))
    return amplitude * np.exp(-1j * sweep)


def write(path, q, chi=0.0, error=0.0, **changes):
    table = {"NR-code": "SpEC", "mass1": q / (1 + q), "mass2": 1 / (1 + q), "eccentricity": 1e-4, "Format": 1}
    table |= {f"spin{b}{a}": chi if (b, a) == (1, "z") else 0.0 for b in (1, 2) for a in "xyz"} | changes
    with h5py.File(path, "w") as file:
        file.attrs.update({k: v for k, v in table.items() if v is not None})
        h = h22(q, chi, error=error)
        for part, values in (("amp", np.abs(h)), ("phase", np.unwrap(np.angle(h)))):
            group = file.create_group(f"{part}_l2_m2")
            group["X"], group["Y"], group["deg"] = T, values, 5
    return path


def test_bad_files_among_good_ones_are_reported_with_their_culprit_and_left_out(tmp_path, caplog):
    for name in ("good_a", "good_b"):
        write(tmp_path / f"{name}.h5", 2.0)
    write(tmp_path / "no_mode.h5", 2.0)
    write(tmp_path / "no_number.h5", 2.0)
    write(tmp_path / "disorder.h5", 2.0)
    write(tmp_path / "negative.h5", 2.0, mass1=-0.3)
    write(tmp_path / "spinning.h5", 2.0, chi=1.7)
    write(tmp_path / "cut_off.h5", 2.0)
    with h5py.File(tmp_path / "no_mode.h5", "a") as file:
        file.move("amp_l2_m2", "amp_l3_m3")
        file.move("phase_l2_m2", "phase_l3_m3")
    with h5py.File(tmp_path / "no_number.h5", "a") as file:
        file["phase_l2_m2/Y"][3] = np.inf
    with h5py.File(tmp_path / "disorder.h5", "a") as file:
        file["amp_l2_m2/X"][4] = 1e5
    (tmp_path / "cut_off.h5").write_bytes((tmp_path / "cut_off.h5").read_bytes()[:2500])
    (tmp_path / "page.h5").write_text("<html>not found</html>")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["strain/Strain"] = np.zeros(4)
    with caplog.at_level(logging.WARNING):
        found = read([Source("lvcnr", str(tmp_path))])
    assert [run.name for run in found.runs] == ["good_a", "good_b"]
    reasons = {unread.name: unread.reason for unread in found.unread}
    expected = {
        "no_mode": "no mode (2, 2)",
        "no_number": "phase_l2_m2 has a gap",
        "disorder": "amp_l2_m2 do not increase after t = 100000",
        "negative": "masses are (-0.3",
        "spinning": "spin 1 is [0.0, 0.0, 1.7]",
        "cut_off": "truncated",
        "page": "truncated or not in the LVCNR format",
        "foreign": "holds no mode such as amp_l2_m2 but ['strain']",
    }
    assert reasons.keys() == expected.keys()
    for name, words in expected.items():
        assert words in reasons[name]
        assert f"{name}.h5" in reasons[name]
        assert f"{name} left out" in caplog.text
    assert set(found.checksums) == {"good_a.h5", "good_b.h5"}
    assert all(len(digest) == 64 for digest in found.checksums.values())


def test_a_catalogue_without_one_good_file_is_refused_with_the_first_reason(tmp_path):
    with pytest.raises(DataError, match="no file matches"):
        read([Source("lvcnr", str(tmp_path))])
    write(tmp_path / "bad.h5", 2.0, mass1=0.0)
    with pytest.raises(DataError, match=r"no run of the lvcnr catalogue .* the first: .*bad\.h5"):
        read([Source("lvcnr", str(tmp_path))])


def test_one_run_in_two_catalogues_is_refused(tmp_path):
    write(tmp_path / "a.h5", 2.0)
    with pytest.raises(DataError, match="a is in two catalogues"):
        read([Source("lvcnr", str(tmp_path)), Source("lvcnr", str(tmp_path / "*.h5"))])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: np.delete(t, slice(300, 302)), "a gap of 3 M after t = 299"),
        (lambda t: np.delete(t, 300), "a gap of 2 M after t = 299"),
        (lambda t: np.concatenate([t[:300], t[250:]]), "do not increase.*first after t = 299"),
        (lambda t: np.where(t == 300, np.nan, t), "do not increase"),
    ],
)
def test_gaps_and_disorder_in_time_are_found(change, says):
    t = np.arange(600.0)
    with pytest.raises(DataError, match=f"RUN.*{says}"):
        check_times("RUN", change(t))


def test_a_step_that_grows_smoothly_is_no_gap():
    check_times("RUN", np.cumsum(np.geomspace(0.1, 5.0, 400)))


def test_of_each_run_the_finest_resolution_is_kept_with_the_second(tmp_path):
    for level, error in ((4, 0.04), (5, 0.01), (6, 0.0)):
        write(tmp_path / f"SXS_BBH_0001_Res{level}.h5", 2.0, error=error)
    write(tmp_path / "SXS_BBH_0002_Res3.h5", 3.0)
    found = read([Source("lvcnr", str(tmp_path))])
    pairs = {run.name: run.coarser.name if run.coarser else None for run in found.runs}
    assert pairs == {"SXS_BBH_0001_Res6": "SXS_BBH_0001_Res5", "SXS_BBH_0002_Res3": None}
    reasons = {unread.name: unread.reason for unread in found.unread}
    assert "kept for its error" in reasons["SXS_BBH_0001_Res5"]
    assert reasons["SXS_BBH_0001_Res4"] == "a coarser resolution of SXS_BBH_0001_Res6"


def plain(name, q, error=0.0, coarser=None):
    zero = np.zeros(3)
    return NRWaveform(name, "SpEC", q, zero, zero, 1e-4, T, {(2, 2): h22(q, error=error)}, coarser=coarser)


def test_the_difference_of_two_resolutions_is_the_runs_error_and_lowers_its_weight():
    def reference(run, times):
        return h22(run.q, t=times, error=0.005)

    good = [plain(f"good{i}", q, coarser=plain("c", q, error=1e-4)) for i, q in enumerate((1.0, 1.5, 2.0, 3.0))]
    rough = plain("rough", 1.7, coarser=plain("c", 1.7, error=0.015))
    wild = plain("wild", 2.5, coarser=plain("c", 2.5, error=0.25))
    short = replace(plain("c", 1.2), t=T[800:], modes={(2, 2): h22(1.2)[800:]})
    verdicts = {v.name: v for v in judge([*good, rough, wild, plain("short", 1.2, coarser=short)], reference)}
    assert verdicts["good0"].resolution_mismatch < 1e-6
    assert verdicts["rough"].sigma == pytest.approx(verdicts["rough"].resolution_mismatch)
    assert verdicts["rough"].weight < 0.2 * verdicts["good0"].weight
    assert not verdicts["wild"].kept
    assert any("it has not converged" in reason for reason in verdicts["wild"].reasons)
    assert np.isnan(verdicts["short"].resolution_mismatch)  # unknown, and no reason to drop it
    assert verdicts["short"].kept


def test_runs_beyond_the_range_of_the_model_are_dropped():
    def reference(run, times):
        return h22(run.q, t=times, error=0.005)

    runs = [plain(f"run{i}", q) for i, q in enumerate((1.0, 1.5, 2.0, 3.0))]
    verdicts = judge(runs, reference, QualityConfig(q_max=2.5))
    assert [v.kept for v in verdicts] == [True, True, True, False]
    assert verdicts[3].reasons == ["beyond the model's range, q 2.5 and |chi| inf"]


def test_only_what_a_table_can_use_is_held_in_memory():
    t = np.arange(-9000.0, 120.0, 0.5)
    zero, h = np.zeros(3), np.ones(t.size, complex)
    modes = {(l, m): h for l in (2, 3, 4) for m in range(-l, l + 1)}
    other = NRWaveform("x", "SpEC", 1.0, zero, zero, None, t, modes)
    run = catalogues.slim(replace(other, coarser=other))
    assert set(run.modes) == {(2, 2), (2, 1), (3, 3), (3, 2), (4, 4), (4, 3)}
    assert run.t[0] == catalogues.LONG[0] - 100.0
    assert set(run.coarser.modes) == {(2, 2)}
    held = [*run.modes.values(), *run.coarser.modes.values()]
    assert sum(a.nbytes if a.base is None else a.base.nbytes for a in held) < 0.2 * sum(a.nbytes for a in 2 * [*modes.values()])


def test_names_without_resolutions_are_left_alone():
    runs = [plain("GT0001", 1.0), plain("GT0002", 1.0)]
    assert pair_resolutions(runs) == (runs, [])


CONFIG = """
name = "mine"
eob = "sets/eob"
nr = "sets/nr/nr.npz"
q_hard = 4.5
chi_hard = 0.6
[data.eob]
n = 128
duration = 3000.0
[data.quality]
mismatch_max = 1e-2
window = [-300.0, 80.0]
[[data.catalogue]]
kind = "lvcnr"
path = "runs"
[[data.catalogue]]
kind = "sxs"
simulations = "aligned"
tag = "3.0.0"
"""


def test_one_file_tells_ranges_catalogues_and_where_everything_goes(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(CONFIG)
    settings = read_settings(path)
    assert (settings.eob.q_max, settings.eob.chi_max, settings.eob.n, settings.eob.duration) == (4.5, 0.6, 128, 3000.0)
    assert settings.eob_config(n=None, seed=7).seed == 7
    assert settings.quality.window == (-300.0, 80.0)
    assert (settings.quality.q_max, settings.quality.chi_max) == (4.5, 0.6)
    assert (str(settings.eob_folder), str(settings.nr_folder)) == ("sets/eob", "sets/nr")
    assert settings.sources[0].path == str(tmp_path / "runs")
    assert (settings.sources[1].q_max, settings.sources[1].chi_max) == (4.5, 0.6)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("n = 128", "m = 128", r"\[data.eob\] has the unknown key 'm'"),
        ("n = 128", "n = -3", "n = -3: a positive int"),
        ("n = 128", 'n = "many"', "n = 'many': a positive int"),
        ("mismatch_max", "mismatch", r"\[data.quality\] has the unknown key 'mismatch'"),
        ('kind = "lvcnr"', 'kind = "nrar"', "of kind 'nrar': known are"),
        ('path = "runs"', 'paths = "runs"', "unknown key 'paths'"),
        ('path = "runs"', "", "'lvcnr' without a path"),
        ('"aligned"', '"all"', 'give a list of names, or "aligned"'),
        ("[data.eob]", "[data.eoob]", r"\[data\] has the unknown key 'eoob'"),
        ("nr.npz", "table.npz", "always called nr.npz"),
        ("name =", "name", "not TOML"),
    ],
)
def test_mistakes_in_the_settings_are_named(tmp_path, old, new, says):
    path = tmp_path / "mine.toml"
    path.write_text(CONFIG.replace(old, new, 1))
    with pytest.raises(ConfigError, match=says):
        read_settings(path)


def test_reference_waveforms_resume_after_a_kill(tmp_path, monkeypatch):
    for i in range(6):
        write(tmp_path / f"run{i}.h5", 1.0 + i / 4)
    calls = []

    def model(q, chi1, chi2, times):
        calls.append(q)
        if len(calls) == 5:
            raise KeyboardInterrupt
        h = h22(q, t=times)
        return {"amp22": np.abs(h), "phase22": -np.unwrap(np.angle(h))}

    monkeypatch.setattr(eob_at_nr.eob, "one_waveform", model)
    monkeypatch.setattr(eob_at_nr, "SAVE_EVERY", 2)
    sources, out = [Source("lvcnr", str(tmp_path / "*.h5"))], tmp_path / "out" / "eob_at_nr.npz"
    with pytest.raises(KeyboardInterrupt):
        eob_at_nr.generate(sources, out)
    assert not out.exists()
    eob_at_nr.generate(sources, out)
    assert len(calls) == 5 + 2  # four were saved
    whole = tmp_path / "whole.npz"
    eob_at_nr.generate(sources, whole)
    assert out.read_bytes() == whole.read_bytes()
    assert [p.name for p in out.parent.iterdir()] == ["eob_at_nr.npz"]


def test_a_model_that_refuses_parameters_leaves_a_gap_and_not_a_crash(tmp_path, monkeypatch, caplog):
    write(tmp_path / "run.h5", 1.0)

    def refuses(*_):
        raise ValueError("q out of range")

    monkeypatch.setattr(eob_at_nr.eob, "one_waveform", refuses)
    eob_at_nr.generate([Source("lvcnr", str(tmp_path))], tmp_path / "out.npz")
    assert np.all(np.isnan(eob_at_nr.load(tmp_path / "out.npz")["h22"]))
    assert "no reference waveform (q out of range)" in caplog.text


def test_the_command_line_says_what_is_missing(tmp_path):
    with pytest.raises(ConfigError, match="say where by --eob-at-nr"):
        main(["nr", "--from", "lvcnr", "--path", str(tmp_path)])
    with pytest.raises(ConfigError, match="say where by --out"):
        main(["eob"])
    with pytest.raises(ConfigError, match="is missing or not TOML"):
        main(["eob", "--config", str(tmp_path / "none.toml")])
    assert catalogues.KINDS == ("tables", "lvcnr", "rit", "maya", "sxs")
