"""Spectra from the files that peers write, and refusals that say what a file holds and what is read."""

from __future__ import annotations

import bz2
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pycbc.types
import pytest
from gwpy.frequencyseries import FrequencySeries
from gwpy.timeseries import TimeSeries

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.spectrum_given import given_psd, load_psd, per_detector

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


def lal_xml(offset: float, gz: bool, **psds: np.ndarray) -> Callable[[Path], object]:
    """One series a detector, as lal, gstlal and GraceDB keep them; frequencies begin at `offset`."""

    def write(path: Path) -> None:
        import lal.series
        from igwn_ligolw import utils

        made = {}
        for detector, values in psds.items():
            made[detector] = lal.CreateREAL8FrequencySeries(
                "psd", lal.LIGOTimeGPS(1), offset, 0.25, lal.Unit("strain^2 s"), len(values)
            )
            made[detector].data.data = values
        utils.write_filename(lal.series.make_psd_xmldoc(made), str(path), compress="gz" if gz else False)

    return write


def bz2_xml(path: Path) -> None:
    lal_xml(0.0, False, H1=WHOLE)(path)
    path.write_bytes(bz2.compress(path.read_bytes()))


def pycbc_search(path: Path) -> None:
    """As pycbc_calculate_psd writes its PSDs: single precision, multiplied by the square of its factor."""
    import pycbc

    with h5py.File(path, "w") as file:
        file.attrs.update(dynamic_range_factor=pycbc.DYN_RANGE_FAC, low_frequency_cutoff=10.0)
        file["H1/psds/0"] = (WHOLE * pycbc.DYN_RANGE_FAC**2).astype(np.float32)
        file["H1/psds/0"].attrs.update(epoch=1, delta_f=0.25)
        file["H1/start_time"], file["H1/end_time"] = np.array([1]), np.array([9])


def pesummary(path: Path) -> None:
    """A GWTC release: two analyses with one PSD a detector, posterior samples, and a calibration envelope."""
    with h5py.File(path, "w") as file:
        for label in ("C01:IMRPhenomXPHM", "C01:Mixed"):
            for detector, factor in (("H1", 1.0), ("L1", 9.0)):
                file[f"{label}/psds/{detector}"] = np.stack([F, factor * PSD], 1)
                file[f"{label}/calibration_envelope/{detector}"] = np.stack([F] * 7, 1)
            file[f"{label}/posterior_samples"] = np.zeros(5, [("mass_1", float), ("log_likelihood", float)])
            file[f"{label}/approximant"] = "IMRPhenomXPHM"


def several(path: Path) -> None:
    np.savetxt(path, np.stack([F, 9 * PSD, PSD], 1), header="Freq (Hz)\tLIGO_Livingston_PSD (1/Hz)\tLIGO_Hanford_PSD (1/Hz)")


def intervals(path: Path) -> None:
    np.savetxt(path, np.stack([F, PSD, 0.9 * PSD, 1.1 * PSD, 0.8 * PSD, 1.2 * PSD], 1))


def bayeswave(path: Path) -> None:
    """The head of BayesWave's tables, and its 1 below and above the band."""
    head = "domain units: Hz\nmeasurement data type: Positive<double>\nsegment length (sec): 4\n---------------\n"
    whole = np.concatenate([np.ones(40), PSD, [1.0]])
    path.write_text(head + "domainValue measuredValue\n" + "".join(f"{0.25 * k:g} {v:.17g}\n" for k, v in enumerate(whole)))


def arrays(**content: object) -> Callable[[Path], object]:
    """HDF5 of datasets, in groups where names have __; a tuple holds the attributes too, `attrs` are the file's."""

    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.attrs.update(content.pop("attrs", {}))
            for name, item in content.items():
                values, attributes = item if isinstance(item, tuple) else (item, {})
                file.create_dataset(name.replace("__", "/"), data=values).attrs.update(attributes)

    return write


def gwpy_csv(values: np.ndarray) -> Callable[[Path], object]:
    return lambda path: FrequencySeries(values, f0=10.0, df=0.25).write(path)


FAC = pycbc.DYN_RANGE_FAC
SINGLE = (WHOLE * FAC**2).astype(np.float32)
READ = [
    ("x.csv", text(rows(PSD, ",").replace("\n", "\r\n")[: -2])),
    ("x.csv", lambda p: pd.DataFrame({"frequency": F, "L1": 9 * PSD, "H1": PSD}).to_csv(p)),
    ("x.txt", lambda p: np.savetxt(p, np.stack([F, ASD, PSD], 1))),
    ("x.txt", lambda p: np.savetxt(p, np.stack([PSD, F], 1), header="psd frequency")),
    ("x.csv", text("".join(f"{f / 1000:.9g},{v:.17g}\n" for f, v in zip(F, PSD, strict=True)).join(["Frequency (kHz),PSD\n", ""]))),
    ("x.txt", lambda p: np.savetxt(p, np.stack([F, PSD], 1)[::-1])),
    ("x.npy", lambda p: np.save(p, np.stack([F, ASD], 1).astype(">f8"))),
    ("x.npz", lambda p: np.savez(p, psd=WHOLE, delta_f=0.25)),
    ("x.npz", lambda p: np.savez(p, psd=WHOLE, delta_f=0.25, f_min=10.0)),
    ("x.npz", lambda p: np.savez(p, psd=PSD, delta_f=0.25, f_min=10.0)),  # 4057 values end at 1024 Hz from there
    ("x.npz", lambda p: np.savez(p, psd=np.r_[np.ones(40), PSD], delta_f=0.25, f_low=10.0, fs=2048.0)),
    ("x.npz", lambda p: np.savez(p, psd=PSD, df=0.25, x0=10.0)),
    ("x.hdf5", arrays(psd=(PSD, {"delta_f": 0.25, "fmin": 10.0, "fmax": 1024.0}))),
    ("x.hdf5", arrays(H1__psd=(PSD, {"delta_f": 0.25}), H1__flow=10.0)),
    ("x.npz", lambda p: np.savez(p, fs=4096.0, f=F, Sn=PSD, gps=1e9)),
    ("x.npz", lambda p: np.savez(p, F, PSD)),
    ("x.npz", lambda p: np.savez(p, H1=np.stack([F, PSD], 1), L1=np.stack([F, 9 * PSD], 1))),
    ("x.npz", lambda p: np.savez(p, frequency=F, power_spectral_density=PSD, noise=ASD)),
    ("x.npz", lambda p: np.savez(p, frequencies=F, psds=np.stack([PSD, 9 * PSD]), ifos=np.array(["H1", "L1"]))),
    ("x.hdf5", arrays(frequencies=F, H1__psd=PSD, L1__psd=9 * PSD)),
    ("x.hdf5", arrays(frequencies=F, psds__H1=PSD, psds__L1=9 * PSD)),
    ("x.hdf5", arrays(psd=np.stack([F, PSD]).astype(">f8"))),
    ("x.hdf5", arrays(H1__psd=(WHOLE, {"df": 0.25}))),
    ("x.hdf5", arrays(H1__psd=WHOLE, H1__delta_f=0.25)),
    ("x.hdf5", arrays(attrs={"deltaF": 0.25}, psd=WHOLE)),
    ("x.psd", arrays(frequencies=F, psd=PSD)),  # what it is says the file, where the name does not
    pytest.param("x.hdf", lambda p: pycbc.types.FrequencySeries(SINGLE, delta_f=0.25).save(str(p)),
                 marks=pytest.mark.exchange("noise spectra", "HDF5 by FrequencySeries.save, multiplied", "pycbc", "read")),
    ("x.xml.bz2", lambda p: bz2_xml(p)),
    ("x_psd.csv", text(rows(PSD, ","))),
    ("x_psd.csv", text(rows(PSD, ",", "frequency,value\n"))),
    ("x_psd.csv", text(rows(PSD, ", ", "﻿# Frequency [Hz], PSD [1/Hz]\r\n"))),
    ("x.csv", text(rows(ASD, ",", "frequency,ASD\n"))),
    ("x.csv", text(rows(PSD, ",", "f,psd\n"))),
    ("x_psd.txt", text(rows(PSD, "\t", "# two lines\n# of head\n"))),
    ("x.txt", text(rows(ASD, " "))),  # the values say which it is
    ("x.txt", text(rows(PSD, " "))),
    ("x.dat", bayeswave),
    pytest.param("x_median_psd.dat", intervals,
                 marks=pytest.mark.exchange("noise spectra", "table, a median with its intervals in six columns", "numpy", "read")),
    pytest.param("x.dat", several,
                 marks=pytest.mark.exchange("noise spectra", "table, a column a detector", "numpy", "read")),
    ("x_asd.npy", lambda p: np.save(p, np.stack([F, ASD], 1))),
    pytest.param("x.npy", lambda p: np.save(p, np.stack([F, ASD])),
                 marks=pytest.mark.exchange("noise spectra", "npy, two rows or columns", "numpy", "read")),
    pytest.param("x.npz", lambda p: np.savez(p, frequencies=F, psd=PSD),
                 marks=pytest.mark.exchange("noise spectra", "npz of named arrays", "numpy", "read")),
    ("x.npz", lambda p: np.savez(p, frequencies=F, asd=ASD, note=np.array("O3"))),
    ("x.npz", lambda p: np.savez(p, frequencies=F, asd=ASD, psd=PSD)),
    ("x.npz", lambda p: np.savez(p, freqs=F, L1_psd=9 * PSD, H1_psd=PSD)),
    ("x.npz", lambda p: np.savez(p, frequencies=F, asd=np.stack([ASD, 3 * ASD]), detector_names=np.array(["H", "L"]))),
    ("x_psd.npz", lambda p: np.savez(p, frequencies=F, asd=3 * ASD, psd=PSD)),
    pytest.param("x.hdf", lambda p: pycbc.types.FrequencySeries(WHOLE, delta_f=0.25).save(str(p)),
                 marks=pytest.mark.exchange("noise spectra", "HDF5 by FrequencySeries.save", "pycbc", "read")),
    ("x.hdf", lambda p: pycbc.types.FrequencySeries(WHOLE, delta_f=0.25).save(str(p), group="H1/psd")),
    pytest.param("x.hdf", pycbc_search,
                 marks=pytest.mark.exchange("noise spectra", "HDF5 as pycbc_calculate_psd has it, multiplied", "h5py", "read")),
    pytest.param("x_psd.npy", lambda p: pycbc.types.FrequencySeries(WHOLE, delta_f=0.25).save(str(p)),
                 marks=pytest.mark.exchange("noise spectra", "npy by FrequencySeries.save", "pycbc", "read")),
    pytest.param("x.xml.gz", lambda p: pycbc.types.FrequencySeries(WHOLE, delta_f=0.25).save(str(p), ifo="H1"),
                 marks=pytest.mark.exchange("noise spectra", "LIGO_LW XML by FrequencySeries.save", "pycbc", "read")),
    pytest.param("x.xml.gz", lal_xml(0.0, True, L1=9 * WHOLE, H1=WHOLE),
                 marks=pytest.mark.exchange("noise spectra", "LIGO_LW XML, one series a detector", "lalsuite", "read")),
    pytest.param("x.xml", lal_xml(10.0, False, L1=9 * PSD, H1=PSD),
                 marks=pytest.mark.exchange("noise spectra", "LIGO_LW XML that begins above 0 Hz (f0)", "igwn-ligolw", "read")),
    ("x.xml.gz", lal_xml(10.0, False, H1=PSD)),  # compressed only by name
    pytest.param("x.hdf5", gwpy_series(WHOLE, "strain^2/Hz", path="H1"),
                 marks=pytest.mark.exchange("noise spectra", "HDF5 by FrequencySeries.write", "gwpy", "read")),
    ("x.h5", gwpy_series(WHOLE, "1/Hz")),
    ("x.hdf5", gwpy_series(np.sqrt(WHOLE), "strain/Hz^(1/2)")),
    ("x_asd.hdf5", gwpy_series(np.sqrt(WHOLE), "")),
    pytest.param("x.csv", gwpy_csv(ASD),
                 marks=pytest.mark.exchange("noise spectra", "csv and txt by FrequencySeries.write", "gwpy", "read")),
    pytest.param("x.h5", pesummary,
                 marks=pytest.mark.exchange("noise spectra", "HDF5 as PESummary has it, psds of each detector", "h5py", "read")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make"), READ)
def test_what_peers_write_is_read(tmp_path: Path, name: str, make: Callable[[Path], object]) -> None:
    make(tmp_path / name)
    frequencies, psd = load_psd(tmp_path / name, "H1")
    precision = 1e-6 if make is pycbc_search or "divided by pycbc's factor" in given_psd(tmp_path / name, "H1").said else 1e-12
    np.testing.assert_allclose(frequencies, F, rtol=1e-12)
    np.testing.assert_allclose(psd, PSD, rtol=precision)


def test_arrays_that_are_multiplied_are_refused() -> None:
    with pytest.raises(DataError, match=r"the PSD given: .*no ASD of strain .*divide the values by the factor"):
        load_psd((F, PSD * FAC**2))


def two_series(path: Path) -> None:
    for detector, factor in (("H1", 1.0), ("L1", 9.0)):
        with h5py.File(path, "a") as file:
            file.create_dataset(f"{detector}/psd", data=factor * WHOLE).attrs["delta_f"] = 0.25


def cut(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """The first half of what `make` writes."""

    def write(path: Path) -> None:
        make(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return write


XML = lal_xml(0.0, True, H1=WHOLE, L1=WHOLE)
THREE = np.stack([F, PSD, 9 * PSD], 1)
REFUSED: list[tuple[str, Callable[[Path], object], str]] = [
    ("x_psd.txt", lambda p: np.savetxt(p, THREE), "x_psd.txt has 3 columns; needed are two.*file of its own"),
    ("x_psd.txt", lambda p: np.savetxt(p, THREE, header="f one two"), "3 columns: 'f', 'one', 'two'; needed"),
    ("x_psd.npy", lambda p: np.save(p, THREE), r"shape \(4057, 3\): needed is \(n, 2\)"),
    ("x_psd.txt", lambda p: np.savetxt(p, F), "has 1 columns; needed are two columns"),
    ("x_psd.npz", lambda p: np.savez(p, axis=F, psd=PSD), "arrays axis, psd: needed are 'frequencies'"),
    ("x.npz", lambda p: np.savez(p, frequencies=F, psd=PSD, asd=3 * ASD), "an ASD or a PSD.*psd:"),
    ("x_psd.npz", lambda p: np.savez(p, frequencies=F, psd=PSD * 1j), "psd is complex128 of .*, not real"),
    ("x_psd.npz", lambda p: np.savez(p, frequencies=F, psd=PSD[1:]), "one length"),
    ("x_psd.npy", lambda p: np.save(p, np.stack([F, PSD], 1).astype(np.float32)), "single precision, .*as an ASD"),
    ("x.csv", text("f,h1,l1\n20,1e-46,1e-46\n30,1e-46,1e-46\n".replace("h1", "v1")), "holds the spectrum of L1 and V1, none of H1"),
    ("x.dat", lambda p: p.write_bytes(b"IGWD" + b"\x01" * 40), "a frame file: spectra are not read from frames"),
    ("x.hdf", lambda p: pycbc.types.FrequencySeries(np.sqrt(SINGLE), delta_f=0.25).save(str(p)), "pycbc has multiplied.*'psd:"),
    ("x_asd.txt", text(rows(ASD * 1e21, ",")), "0.01: no ASD of strain .*divide the values by the factor they were multiplied by"),
    ("x_psd.txt", text(rows(PSD * 1e42, ",")), "0.0001: no ASD of strain .*divide the values by the factor"),
    ("x.hdf5", arrays(psd=(WHOLE * 1e42, {"delta_f": 0.25})), "0.0001: no ASD of strain .*divide the values by the factor"),
    ("x.npz", lambda p: np.savez(p, psd=PSD[:1000], delta_f=0.25, f_min=10.0), "may begin at 0 Hz, or at the 10 Hz .*say it as f0"),
    ("x.npz", lambda p: np.savez(p, psd=PSD, delta_f=0.25, freq_start=10.0), "what freq_start = 10.* says: call the first f"),
    ("x_psd.npz", lambda p: p.write_bytes(b"PK\x03\x04" + bytes(50)), "truncated or no numpy file"),
    ("x_psd.npz", cut(lambda p: np.savez(p, frequencies=F, psd=PSD)), "x_psd.npz is truncated .*copy it again"),
    ("x_psd.npy", lambda p: np.save(p, np.array([{}], object), allow_pickle=True), "no numpy file"),
    ("x_psd.hdf5", lambda p: TimeSeries(np.ones(9), sample_rate=1, name="s").write(p, format="hdf5", path="s"),
     r"x_psd.hdf5 holds no spectrum \(it has s\); needed is a FrequencySeries"),
    ("x_psd.hdf", lambda p: p.write_bytes(b"\x89HDF" + bytes(90)), "truncated or no HDF5 file"),
    ("x_psd.hdf", cut(lambda p: pycbc.types.FrequencySeries(WHOLE, delta_f=0.25).save(str(p))), "x_psd.hdf is truncated .*copy it"),
    ("x_psd.xml", text("<?xml version='1.0'?>\n<LIGO_LW>\n</LIGO_LW>\n"), "holds no REAL8FrequencySeries.*read are columns"),
    ("x_psd.xml", text("<html><body></body></html>"), "no LIGO_LW file of spectra"),
    ("x_psd.xml.gz", cut(XML), "x_psd.xml.gz is truncated .*copy it again"),
    ("x_psd.xml", cut(lal_xml(0.0, False, H1=WHOLE)), "x_psd.xml is truncated .*copy it again"),
    ("x_psd.xml.gz", lambda p: p.write_bytes(b"\x1f\x8b\x08" + bytes(20)), "truncated or no LIGO_LW file"),
    ("x_psd.pkl", lambda p: p.write_bytes(bytes(range(256))), "x_psd.pkl is truncated or no table.*read are columns"),
    ("x_asd.csv", text(rows(PSD, ",")), "too small for an ASD: is it a PSD"),
    ("x_psd.csv", text(rows(ASD, ",")), "no PSD of strain.*'asd:"),
    ("x.csv", text(rows(PSD * 1e46, ",")), "no ASD of strain .* and no PSD .*; divide"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "message"), REFUSED)
def test_what_has_no_one_meaning_is_refused(tmp_path: Path, name: str, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path / name)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match=message):
        load_psd(tmp_path / name, "H1")
    assert sorted(tmp_path.iterdir()) == before


def test_what_a_prefix_contradicts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(rows(ASD, ",", "f,ASD\n"))
    with pytest.raises(DataError, match="says that it holds ASD"):
        load_psd(f"psd:{tmp_path / 'x.csv'}")


@pytest.mark.parametrize(
    ("name", "make"), [("x.hdf", two_series), ("x.xml.gz", lal_xml(0.0, True, H1=WHOLE, L1=9 * WHOLE)), ("x.dat", several)]
)
def test_of_several_detectors_each_gets_its_own_and_others_are_refused(
    tmp_path: Path, name: str, make: Callable[[Path], object]
) -> None:
    make(tmp_path / name)
    for detector, factor in (("H1", 1.0), ("L1", 9.0)):
        np.testing.assert_allclose(load_psd(tmp_path / name, detector)[1], factor * PSD, rtol=1e-12)
        np.testing.assert_allclose(per_detector(tmp_path / name, ("H1", "L1"))[detector][1], factor * PSD, rtol=1e-12)
    with pytest.raises(DataError, match=rf"V1: {name} holds the spectrum of H1 and L1, none of V1: give it as H1={name}"):
        load_psd(tmp_path / name, "V1")
    with pytest.raises(DataError, match=r"2 spectra that may be meant: .*; say whose is meant: [HL]1="):
        load_psd(tmp_path / name)


def test_of_several_analyses_that_differ_one_is_named(tmp_path: Path) -> None:
    pesummary(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "a") as file:
        file["C01:Mixed/psds/H1"][:, 1] *= 4
    with pytest.raises(
        DataError, match=r"2 spectra that may be meant: C01:IMRPhenomXPHM/psds/H1, .*; name the one meant, as in 'x.h5#"
    ) as error:
        load_psd(tmp_path / "x.h5", "H1")
    named = str(error.value).rpartition("#")[2].strip("'")
    np.testing.assert_allclose(load_psd(f"{tmp_path / 'x.h5'}#{named}", "H1")[1], PSD, rtol=1e-12)
    np.testing.assert_allclose(load_psd(f"psd:{tmp_path / 'x.h5'}#C01:Mixed", "H1")[1], 4 * PSD, rtol=1e-12)
    with pytest.raises(DataError, match="no spectrum 'C02'"):
        load_psd(f"{tmp_path / 'x.h5'}#C02", "H1")


def test_how_a_file_was_understood_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "x.txt").write_text(rows(ASD, " "))
    assert given_psd(tmp_path / "x.txt").said == "x.txt, an ASD by its values (from 1e-23), 10 to 1024 Hz"
    bayeswave(tmp_path / "L1.dat")
    said = given_psd(tmp_path / "L1.dat", "H1").said
    assert said == (
        "L1.dat, a PSD by its values (from 1e-46) (the file is named after L1); 1 below 10 Hz and 1 above 1024 Hz left out as "
        "filled in, 10 to 1024 Hz"
    )
    assert "H1: the spectrum is taken from L1.dat, which is named after L1" in caplog.text


@pytest.mark.parametrize(
    ("file", "detector", "named"),
    [
        ("o3_v1_asd.txt", "H1", "V1"), ("O4-K1.txt", "L1", "K1"), ("g1_asd.dat", "V1", "G1"), ("H1_L1.txt", "V1", "H1 and L1"),
        ("virgo_asd.txt", "H1", "V1"), ("asd_H1_v1.txt", "H1", ""), ("o3_h1_asd.txt", "H1", ""), ("aplus.txt", "H1", ""),
        ("g1_asd.txt", "GEO600", ""),
    ],
)  # fmt: skip
def test_a_file_named_after_another_detector_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, detector: str, named: str
) -> None:
    (tmp_path / file).write_text(rows(ASD, " "))
    for _ in range(3):
        said = given_psd(tmp_path / file, detector).said
    assert ("named after" in said) == bool(named)
    assert caplog.text.count("named after") == bool(named)
    assert not named or f"{detector}: the spectrum is taken from {file}, which is named after {named}" in caplog.text


def test_the_fill_of_pycbcs_xml_is_left_out_and_its_first_measured_value_kept(tmp_path: Path) -> None:
    pycbc.types.FrequencySeries(WHOLE, delta_f=0.25).save(str(tmp_path / "x.xml.gz"), ifo="H1")
    import lal.series
    from igwn_ligolw import utils

    document = utils.load_filename(str(tmp_path / "x.xml.gz"), contenthandler=lal.series.PSDContentHandler)
    filled = lal.series.read_psd_xmldoc(document)["H1"].data.data
    assert np.all(filled[:41] == PSD[0])
    np.testing.assert_allclose(load_psd(tmp_path / "x.xml.gz", "H1")[0], F, rtol=1e-12)


@pytest.mark.parametrize("digits", ["%.3e", "%.7e"])
def test_equal_values_that_come_from_few_digits_are_no_fill(tmp_path: Path, digits: str) -> None:
    np.savetxt(tmp_path / "x.txt", np.stack([F, PSD], 1), fmt=["%.6f", digits])  # white at high frequencies
    assert load_psd(tmp_path / "x.txt")[0].size == F.size


def test_a_power_of_ten_in_the_unit_counts(tmp_path: Path) -> None:
    lal_xml(10.0, False, H1=PSD * 1e46)(tmp_path / "x.xml")
    written = (tmp_path / "x.xml").read_text()
    (tmp_path / "x.xml").write_text(written.replace('Unit="s strain^2"', 'Unit="10^-46 s strain^2"'))
    np.testing.assert_allclose(load_psd(tmp_path / "x.xml", "H1")[1], PSD, rtol=1e-12)


def test_old_and_spare_xml_is_read(tmp_path: Path) -> None:
    """Tables of types that are no longer known, no f0, no epoch, kHz."""
    lal_xml(10.0, False, H1=PSD)(tmp_path / "x.xml")
    written = (tmp_path / "x.xml").read_text()
    table = '<Table Name="process:table"><Column Name="process:process_id" Type="ilwd:char"/></Table>'
    f0, epoch = r"<Param[^>]*f0:param[^>]*>[^<]*</Param>", r"<Time[^>]*>[^<]*</Time>"
    for pattern, new in (("</LIGO_LW>\\s*$", f"{table}</LIGO_LW>"), (f0, ""), (epoch, "")):
        changed = re.sub(pattern, new, written)
        assert changed != written
        (tmp_path / "y.xml").write_text(changed)
        frequencies, psd = load_psd(tmp_path / "y.xml", "H1")
        np.testing.assert_allclose((frequencies, psd), (F, PSD), rtol=1e-12)
    (tmp_path / "y.xml").write_text(written.replace('Unit="s^-1"', 'Unit="10^3 s^-1"'))
    np.testing.assert_allclose(load_psd(tmp_path / "y.xml", "H1")[0], 1000 * F, rtol=1e-12)


def test_a_fill_that_is_no_one_is_left_out(data_dir) -> None:
    frequencies, psd = load_psd(data_dir("posteriors/GW150914_H1_psd_4s.txt"), "H1")  # 0.2187 below 16 Hz
    assert frequencies[0] == 16
    assert psd.max() < 1e-39


def test_a_curve_that_is_flat_stays_whole(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "x.txt", np.stack([F, np.full_like(F, 1e-46)], 1))
    assert load_psd(tmp_path / "x.txt")[0].size == F.size


def test_the_remedies_named_work(tmp_path: Path) -> None:
    three = tmp_path / "three_psd.txt"
    np.savetxt(three, THREE)
    for column, detector in ((1, "H1"), (2, "L1")):
        np.savetxt(tmp_path / f"{detector}_psd.txt", np.loadtxt(three)[:, [0, column]])
        np.testing.assert_allclose(load_psd(tmp_path / f"{detector}_psd.txt")[1], THREE[:, column], rtol=1e-12)
    np.savez(tmp_path / "x.npz", frequencies=F, psd=PSD, asd=3 * ASD)
    for kind, factor in (("psd", 1), ("asd", 9)):
        np.testing.assert_allclose(load_psd(f"{kind}:{tmp_path / 'x.npz'}")[1], factor * PSD, rtol=1e-12)
    (tmp_path / "x.csv").write_text(rows(ASD, ",", "f,ASD\n"))
    np.testing.assert_allclose(load_psd(f"asd:{tmp_path / 'x.csv'}")[1], PSD, rtol=1e-12)


@pytest.mark.parametrize(
    ("file", "kind", "at_100"),
    [
        pytest.param(
            "formats/bw_noise_psd_H1.dat",
            "",
            None,
            marks=pytest.mark.exchange(
                "noise spectra", "table with a head of many lines and a fill of 1", "BayesWave, `bw_noise_psd_H1.dat`", "read"
            ),
        ),
        ("formats/aplus.txt", "", 1.87e-24),
        pytest.param(
            "formats/gwcelery_psd.xml.gz",
            "",
            5.8e-24,
            marks=pytest.mark.exchange(
                "noise spectra", "LIGO_LW XML, one series a detector", "GraceDB, `gwcelery_psd.xml.gz` of gwcelery's tests", "read"
            ),
        ),
        ("formats/psd_file.txt", "", None),
        pytest.param(
            "formats/mlgwsc_psd-0.hdf",
            "",
            6.1e-24,
            marks=pytest.mark.exchange("noise spectra", "HDF5 of a mock challenge", "MLGWSC-1, `mlgwsc_psd-0.hdf`", "read"),
        ),
        ("psd/o3_h1_asd.txt", "", None),
        ("psd/o4_l1_asd.txt", "", None),
        ("psd/GWTC1_GW150914_PSD_H1.dat", "", None),
    ],
)
def test_real_files_are_read(data_dir, file: str, kind: str, at_100: float | None) -> None:
    frequencies, psd = load_psd(f"{kind}{data_dir(file)}", "H1")
    asd = np.interp(100.0, frequencies, psd) ** 0.5
    assert 1e-24 < asd < 2e-23
    assert at_100 is None or asd == pytest.approx(at_100, rel=0.01)


def test_a_calibration_envelope_is_no_spectrum(data_dir) -> None:
    with pytest.raises(DataError, match="7 columns; needed are two columns"):
        load_psd(f"psd:{data_dir('formats/calibration_envelope.txt')}")


def test_a_spectrum_of_one_value_is_refused(data_dir) -> None:
    with pytest.raises(DataError, match=r"at least two frequencies .* give a whole one"):
        load_psd(data_dir("formats/H1L1V1-REFERENCE_PSD-967234210-29963.xml.gz"), "H1")
