"""Spectra from the files that peers write, and refusals that say what a file holds and what is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pycbc.types
import pytest
from gwpy.frequencyseries import FrequencySeries
from gwpy.timeseries import TimeSeries

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.spectrum import load_psd

F = np.arange(40, 4097) * 0.25
PSD = 1e-46 * (1 + (50 / F) ** 4)
ASD = np.sqrt(PSD)
WHOLE = np.concatenate([np.zeros(40), PSD])  # from 0 Hz on, zero below 10 Hz


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def rows(values: np.ndarray, separator: str, head: str = "") -> str:
    return head + "".join(f"{f:.17g}{separator}{v:.17g}\n" for f, v in zip(F, values, strict=True))


def gwpy_series(values: np.ndarray, unit: str, **options: object) -> Callable[[Path], object]:
    return lambda p: FrequencySeries(values, f0=0, df=0.25, unit=unit, name="H1").write(p, format="hdf5", **options)


READ: list[tuple[str, Callable[[Path], object]]] = [
    ("x_psd.csv", text(rows(PSD, ","))),
    ("x_psd.csv", text(rows(PSD, ",", "frequency,value\n"))),
    ("x_psd.csv", text(rows(PSD, ", ", "﻿# Frequency [Hz], PSD [1/Hz]\r\n"))),
    ("x.csv", text(rows(ASD, ",", "frequency,ASD\n"))),
    ("x.csv", text(rows(PSD, ",", "f,psd\n"))),
    ("x_psd.txt", text(rows(PSD, "\t", "# two lines\n# of head\n"))),
    ("x_psd.dat", text(rows(PSD, " ", "domain units: Hz\nsegment length (sec): 4\n------\ndomainValue measuredValue\n"))),
    ("x_asd.npy", lambda p: np.save(p, np.stack([F, ASD], 1))),
    ("x_asd.npy", lambda p: np.save(p, np.stack([F, ASD]))),
    ("x.npz", lambda p: np.savez(p, frequencies=F, psd=PSD)),
    ("x.npz", lambda p: np.savez(p, frequencies=F, asd=ASD, note=np.array("O3"))),
    ("x_psd.npz", lambda p: np.savez(p, frequencies=F, asd=3 * ASD, psd=PSD)),
    ("x_psd.hdf", lambda p: pycbc.types.FrequencySeries(WHOLE, delta_f=0.25).save(str(p))),
    ("x.hdf", lambda p: pycbc.types.FrequencySeries(WHOLE, delta_f=0.25).save(str(p), group="H1/psd")),
    ("x_psd.npy", lambda p: pycbc.types.FrequencySeries(WHOLE, delta_f=0.25).save(str(p))),
    ("x.hdf5", gwpy_series(WHOLE, "strain^2/Hz", path="H1")),
    ("x.h5", gwpy_series(WHOLE, "1/Hz")),
    ("x.hdf5", gwpy_series(np.sqrt(WHOLE), "strain/Hz^(1/2)")),
    ("x_asd.hdf5", gwpy_series(np.sqrt(WHOLE), "")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make"), READ)
def test_what_peers_write_is_read(tmp_path: Path, name: str, make: Callable[[Path], object]) -> None:
    make(tmp_path / name)
    frequencies, psd = load_psd(tmp_path / name)
    np.testing.assert_allclose(frequencies, F, rtol=1e-12)
    np.testing.assert_allclose(psd, PSD, rtol=1e-12)


def two_series(path: Path) -> None:
    for detector in ("H1", "L1"):
        with h5py.File(path, "a") as file:
            file.create_dataset(f"{detector}/psd", data=WHOLE).attrs["delta_f"] = 0.25


THREE = np.stack([F, PSD, 9 * PSD], 1)
REFUSED: list[tuple[str, Callable[[Path], object], type[Exception], str]] = [
    ("x_psd.txt", lambda p: np.savetxt(p, THREE), DataError, "x_psd.txt has 3 columns; needed are two.*file of its own"),
    ("x_psd.txt", lambda p: np.savetxt(p, THREE, header="f H1 L1"), DataError, "3 columns: 'f', 'H1', 'L1'; needed"),
    ("x_psd.csv", lambda p: np.savetxt(p, THREE, delimiter=",", header="f [Hz],PSD of H1,L1", comments=""), DataError,
     r"3 columns: 'f \[Hz\]', 'PSD of H1', 'L1'"),
    ("x_psd.npy", lambda p: np.save(p, THREE), DataError, r"shape \(4057, 3\): needed is \(n, 2\)"),
    ("x_psd.txt", lambda p: np.savetxt(p, F), DataError, "has 1 columns; needed are two columns"),
    ("x_psd.npz", lambda p: np.savez(p, f=F, psd=PSD), DataError, "arrays f, psd: needed are 'frequencies'"),
    ("x.npz", lambda p: np.savez(p, frequencies=F, psd=PSD, asd=ASD), ConfigError, "an ASD or a PSD.*psd:"),
    ("x_psd.npz", lambda p: np.savez(p, frequencies=F, psd=PSD * 1j), DataError, "psd is complex128, not real"),
    ("x_psd.npz", lambda p: np.savez(p, frequencies=F, psd=PSD[1:]), DataError, "one length"),
    ("x_psd.npz", lambda p: p.write_bytes(b"PK\x03\x04" + bytes(50)), DataError, "truncated or no numpy file"),
    ("x_psd.npy", lambda p: np.save(p, np.array([{}], object), allow_pickle=True), DataError, "no numpy file"),
    ("x.hdf", two_series, DataError, "2 frequency series: H1/psd, L1/psd; needed is one.*one file a detector"),
    ("x_psd.hdf5", lambda p: TimeSeries(np.ones(9), sample_rate=1, name="s").write(p, format="hdf5", path="s"), DataError,
     r"x_psd.hdf5 has none \(s\); needed is one FrequencySeries"),
    ("x_psd.hdf", lambda p: p.write_bytes(b"\x89HDF" + bytes(90)), DataError, "truncated or no HDF5 file"),
    ("x_psd.xml", text("<?xml version='1.0'?>\n<LIGO_LW>\n</LIGO_LW>\n"), DataError, "no row of numbers; read are two columns"),
    ("x_psd.xml.gz", lambda p: p.write_bytes(b"\x1f\x8b\x08" + bytes(20)), DataError, "read are two columns.*npz.*HDF5"),
    ("x_psd.pkl", lambda p: p.write_bytes(bytes(range(256))), DataError, "x_psd.pkl is no table.*read are two columns"),
    ("x.csv", text(rows(ASD, ",", "f,ASD\n")), DataError, "says that it holds ASD"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "error", "message"), REFUSED)
def test_what_has_no_one_meaning_is_refused(
    tmp_path: Path, name: str, make: Callable[[Path], object], error: type[Exception], message: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(error, match=message):
        load_psd(f"psd:{tmp_path / name}" if "says that" in message else tmp_path / name)


def test_the_remedies_named_work(tmp_path: Path) -> None:
    three = tmp_path / "three_psd.txt"
    np.savetxt(three, THREE)
    for column, detector in ((1, "H1"), (2, "L1")):
        np.savetxt(tmp_path / f"{detector}_psd.txt", np.loadtxt(three)[:, [0, column]])
        np.testing.assert_allclose(load_psd(tmp_path / f"{detector}_psd.txt")[1], THREE[:, column], rtol=1e-12)
    np.savez(tmp_path / "x.npz", frequencies=F, psd=PSD, asd=ASD)
    for kind in ("psd", "asd"):
        np.testing.assert_allclose(load_psd(f"{kind}:{tmp_path / 'x.npz'}")[1], PSD, rtol=1e-12)
    (tmp_path / "x.csv").write_text(rows(ASD, ",", "f,ASD\n"))
    np.testing.assert_allclose(load_psd(f"asd:{tmp_path / 'x.csv'}")[1], PSD, rtol=1e-12)


@pytest.mark.parametrize(
    ("file", "kind", "at_100"),
    [
        ("formats/bw_noise_psd_H1.dat", "", None),
        ("formats/aplus.txt", "asd:", 1.87e-24),
        ("formats/psd_file.txt", "", None),
        ("formats/mlgwsc_psd-0.hdf", "", 6.1e-24),
        ("psd/o3_h1_asd.txt", "", None),
        ("psd/o4_l1_asd.txt", "", None),
        ("psd/GWTC1_GW150914_PSD_H1.dat", "", None),
    ],
)
def test_real_files_are_read(data_dir, file: str, kind: str, at_100: float | None) -> None:
    frequencies, psd = load_psd(f"{kind}{data_dir(file)}")
    asd = np.interp(100.0, frequencies, psd) ** 0.5
    assert 1e-24 < asd < 2e-23
    assert at_100 is None or asd == pytest.approx(at_100, rel=0.01)


def test_a_calibration_envelope_is_no_spectrum(data_dir) -> None:
    with pytest.raises(DataError, match="7 columns; needed are two columns"):
        load_psd(f"psd:{data_dir('formats/calibration_envelope.txt')}")
    with pytest.raises(DataError, match="read are two columns"):
        load_psd(f"psd:{data_dir('formats/gwcelery_psd.xml.gz')}")
