"""PSDs from names, files and arrays: units are told apart, not guessed, and holes are refused."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.spectrum import load_psd, psd_on_grid

FREQUENCIES = np.linspace(10, 1024, 500)
PSD = 1e-46 * (1 + (50 / FREQUENCIES) ** 4)


@pytest.mark.peer
def test_the_same_design_by_bilbys_and_pycbcs_names():
    at = np.geomspace(20, 1000, 50)
    bilby, pycbc = (np.interp(at, *load_psd(name)) for name in ("aLIGO", "aLIGOZeroDetHighPowerGWINC"))
    np.testing.assert_allclose(bilby, pycbc, rtol=0.02)
    psd_file = np.interp(at, *load_psd("aLIGO_ZERO_DET_high_P_psd"))
    np.testing.assert_allclose(bilby, psd_file, rtol=0.01)


@pytest.mark.parametrize(
    ("name", "prefix", "power"),
    [("H1_asd.txt", "", 0.5), ("H1_PSD.dat", "", 1), ("curve.txt", "asd:", 0.5), ("curve.txt", "psd:", 1)],
)
def test_files_say_whether_they_are_asd_or_psd(tmp_path, name, prefix, power):
    np.savetxt(tmp_path / name, np.stack([FREQUENCIES, PSD**power], axis=1))
    frequencies, psd = load_psd(f"{prefix}{tmp_path / name}")
    np.testing.assert_allclose(frequencies, FREQUENCIES)
    np.testing.assert_allclose(psd, PSD, rtol=1e-12)


@pytest.mark.parametrize("power", [1, 0.5])
def test_where_a_file_does_not_say_its_values_do(tmp_path, power):
    np.savetxt(tmp_path / "curve.txt", np.stack([FREQUENCIES, PSD**power], axis=1))
    np.testing.assert_allclose(load_psd(tmp_path / "curve.txt")[1], PSD, rtol=1e-12)


@pytest.mark.parametrize(("name", "power", "message"), [("x_asd.txt", 1, "is it a PSD"), ("x_psd.txt", 0.5, "is it an ASD")])
def test_a_file_that_says_the_wrong_thing_is_refused(tmp_path, name, power, message):
    np.savetxt(tmp_path / name, np.stack([FREQUENCIES, PSD**power], axis=1))
    with pytest.raises(DataError, match=message):
        load_psd(tmp_path / name)


@pytest.mark.parametrize("mark", [0.0, np.inf, np.nan])
def test_marked_ends_are_dropped_and_holes_refused(mark):
    psd = PSD.copy()
    psd[[0, -1]] = mark
    frequencies, kept = load_psd((FREQUENCIES, psd))
    np.testing.assert_array_equal(frequencies, FREQUENCIES[1:-1])
    np.testing.assert_array_equal(kept, PSD[1:-1])
    psd[250] = mark
    with pytest.raises(DataError, match=f"{FREQUENCIES[250]:g} Hz"):
        load_psd((FREQUENCIES, psd))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/no/such_psd.txt", "no PSD file"),
        ((FREQUENCIES, PSD[:-1]), "one length"),
        ((FREQUENCIES[[1, 0, *range(2, FREQUENCIES.size)]], PSD), "ascend"),
        ((FREQUENCIES, 0 * PSD), "at least two"),
    ],
)
def test_impossible_curves_are_refused(source, message):
    with pytest.raises(DataError, match=message):
        load_psd(source)


@pytest.mark.peer
def test_interpolation_is_bilbys():
    from bilby.gw.detector import PowerSpectralDensity

    grid = np.arange(0, 1100, 0.37)
    ours = psd_on_grid(FREQUENCIES, PSD, grid, f_min=20, f_max=1000)
    theirs = PowerSpectralDensity(frequency_array=FREQUENCIES, psd_array=PSD).get_power_spectral_density_array(grid)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_coarse_curve_may_not_lose_bins_at_the_start_of_the_band():
    frequencies = np.arange(24.0, 2000.0, 5.0)
    grid = np.arange(0.0, 1024.25, 0.25)
    with pytest.raises(DataError, match=r"H1: the PSD covers 24 to"):
        psd_on_grid(frequencies, np.full(len(frequencies), 1e-46), grid, f_min=20, f_max=1024, detector="H1")
    psd = psd_on_grid(frequencies, np.full(len(frequencies), 1e-46), grid, f_min=24, f_max=1024, detector="H1")
    assert np.all(np.isfinite(psd[grid >= 24]))
