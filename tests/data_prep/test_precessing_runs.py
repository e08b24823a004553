"""Precessing simulations as they are read: frames of the reference, sense of i, exchanged bodies, real runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

import gwsurrogate_ml as gw
from data_prep.precessing_nr import inside
from data_prep.precessing_runs import orbit_frame, read_bam, read_sxs_gatech
from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.surrogate.precessing import wigner

TIMES = np.arange(-60.0, 20.0)


def table(**change: object) -> dict[str, np.ndarray]:
    """Three runs: one without spins in the plane, one that precesses, and the same with the bodies the other way round."""
    n = 3
    columns = {f"spin{body}{axis}": np.zeros(n) for body in (1, 2) for axis in "xyz"}
    columns |= {f"{name}hat{axis}": np.full(n, float(axis == end)) for name, end in (("LN", "z"), ("n", "y")) for axis in "xyz"}
    columns["spin1y"][1], columns["spin2y"][2] = 0.5, 0.5
    columns["nhaty"][2] = -1.0
    columns |= {"mass1": np.array([0.6, 0.6, 0.4]), "mass2": np.array([0.4, 0.4, 0.6])}
    columns |= {"t": TIMES, "h22": np.tile(np.exp(-0.2j * TIMES), (n, 1)), "eccentricity": np.full(n, 1e-3)}
    columns |= {"name": np.array(["plain", "one", "other"]), "group": np.full(n, "SXS"), "code": np.full(n, "SpEC")}
    columns |= {"spin_type": np.full(n, "Precessing"), "f_lower_at_1MSUN": np.full(n, 0.02 / np.pi / MTSUN_SI)}
    return columns | {key: np.asarray(value) for key, value in change.items()}


def written(folder: Path, **change: object) -> Path:
    np.savez(folder / "table.npz", **table(**change))
    return folder / "table.npz"


def test_spins_are_seen_from_the_frame_of_the_orbit(tmp_path: Path) -> None:
    one, other = read_sxs_gatech(written(tmp_path))
    for run in (one, other):
        # Along the separation, from the lighter to the heavier body
        np.testing.assert_allclose(run.chi1, [0.5, 0.0, 0.0], atol=1e-12)
        np.testing.assert_allclose(run.chi2, 0.0, atol=1e-12)
        np.testing.assert_allclose(run.frame[:, 0], [0.0, 1.0, 0.0], atol=1e-12)
        assert run.q == pytest.approx(1.5)
        assert run.omega == pytest.approx(0.02)
    assert [one.name, other.name] == ["one", "other"]
    np.testing.assert_array_equal(one.parameters, [one.q, *one.chi1, *one.chi2])


def test_a_catalogue_that_turns_the_wrong_way_is_conjugated(tmp_path: Path) -> None:
    one, _ = read_sxs_gatech(written(tmp_path, h22=np.tile(np.exp(0.2j * TIMES), (3, 1))))
    np.testing.assert_allclose(one.h, np.exp(-0.2j * TIMES))


def test_the_separation_of_georgia_tech_points_the_other_way(tmp_path: Path) -> None:
    one, _ = read_sxs_gatech(written(tmp_path, code=np.full(3, "MAYA")))
    np.testing.assert_allclose(one.chi1, [-0.5, 0.0, 0.0], atol=1e-12)


def test_eccentric_and_impossible_runs_are_left_out(tmp_path: Path) -> None:
    assert [run.name for run in read_sxs_gatech(written(tmp_path, eccentricity=[1e-3, -4e7, 1e-3]))] == ["other"]
    path, unread = written(tmp_path, spin1y=[0.0, 1.5, 0.0]), {}
    assert [run.name for run in read_sxs_gatech(path, unread)] == ["other"]
    assert "spin 1" in unread["one"]
    with pytest.raises(DataError, match="one: spin 1"):
        read_sxs_gatech(path)


def test_frames_are_right_handed() -> None:
    rng = np.random.default_rng(0)
    frame = orbit_frame(*rng.normal(size=(2, 3)))
    np.testing.assert_allclose(frame.T @ frame, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame) == pytest.approx(1.0)


def test_ranges_allow_what_simulations_miss_their_targets_by(tmp_path: Path) -> None:
    one, _ = read_sxs_gatech(written(tmp_path))
    assert inside(one, 1.5, 0.5)
    assert not inside(one, 1.4, 0.8)
    assert not inside(one, 2.0, 0.4)


@pytest.mark.parametrize(("name", "worst"), [("SXS_BBH_0023_Res5", 1e-3), ("SXS_BBH_0143_Res5", 1e-3), ("GT0463", 1e-2)])
def test_real_runs_are_as_the_surrogate_has_them(data_dir, name: str, worst: float) -> None:
    """One wrong sign, axis or sense of i in the reading, and (2,2) in the source's frame is off by a few times as much."""
    run = next(r for r in read_sxs_gatech(data_dir("nr/sxs_gatech_h22.npz")) if r.name == name)
    seen = np.arange(-390.0, 97.0, 0.5)
    found = gw.load_surrogate("nrphm")(run.q, run.chi1, run.chi2, omega_ref=run.omega, times=seen)
    w = 0.5 * np.sqrt(1 + np.trace(run.frame))
    off = [run.frame[2, 1] - run.frame[1, 2], run.frame[0, 2] - run.frame[2, 0], run.frame[1, 0] - run.frame[0, 1]]
    x, y, z = np.array(off) / (4 * w)
    modes = np.stack([found[mode] for mode in wigner.INERTIAL])
    turned = np.empty_like(modes)
    wigner.turn(wigner.QUARTER, wigner.QUARTER_TRANSPOSED, np.tile([w, x, y, z], (len(seen), 1)), modes, turned)
    h22 = turned[wigner.INERTIAL.index((2, 2))]
    inside_window = (run.x > -370) & (run.x < 75)
    t, h, model = run.x[inside_window], run.h[inside_window], CubicSpline(seen, h22)
    overlaps = [abs(np.vdot(h, o := model(t + shift))) / np.linalg.norm(h) / np.linalg.norm(o) for shift in np.arange(-20, 20, 0.1)]
    assert 1 - max(overlaps) < worst


def test_bam_runs(data_dir) -> None:
    runs = read_bam(data_dir("nr/bam_precessing_psi4_fd.npz"), data_dir("nr/bam_precessing_metadata.json"))
    assert len(runs) == 64
    for run in runs:
        assert 0.0 <= run.chi1[2] ** 2 + run.chi1[0] ** 2 < 0.9
        assert 0.02 < run.omega < 0.04
        band = (run.x > 0.02) & (run.x < 0.05)
        # The strain of the inspiral: f^(-7/6), to what corrections and the merger make of it
        slope = np.polyfit(np.log(run.x[band]), np.log(np.abs(run.h[band])), 1)[0]
        assert -1.5 < slope < -0.7
