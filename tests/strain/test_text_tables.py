"""Tables in text, in the forms that programs and spreadsheets write, read alike as spectra and as strain."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.read import read_strain
from gwsurrogate_ml.strain.spectrum_given import load_psd
from gwsurrogate_ml.strain.text_tables import read_table

X = np.array([[20.5, 4e-46], [21.0, 3e-46], [21.5, 2.5e-46], [22.0, 2e-46]])


def rows(between: str, end: str = "\n", head: str = "", values: np.ndarray = X) -> str:
    return head + "".join(between.join(f"{v:.12g}" for v in row) + end for row in values)


def forms(axis: str, value: str) -> list[str | bytes]:
    """The same table in many forms, its columns called so where the form has names."""
    head = f"{axis} {value}\n"
    return [
        rows(" ", "\r\n", f"# {axis} {value}\r\n"),  # ends of Windows
        rows(" ", "\r"),  # ends of old Macintoshes
        rows(";", head=f"{axis};{value}\n"),  # semicolons
        rows(";", head=f"{axis};{value}\n").replace(".", ","),  # decimal commas
        rows("\t", head=f"{axis}\t{value}\n"),  # tabs
        rows(",", ",\n", f"{axis},{value},\n"),  # a comma at the end
        rows(",", head=f'"{axis}","{value}"\n'),  # quotes
        pd.DataFrame(X, columns=[axis, value]).to_csv(),  # numbered rows
        rows(" ", head=f"% {head}") + "% end\n",  # comments of MATLAB
        rows(" ", head=f"! {head}").replace("e-", "D-"),  # comments of Fortran
        rows(" ", "  # note, 3\n"),  # comments after numbers
        "\n\n" + rows(" ", "\n\n"),  # blank lines
        rows(" ").encode("utf-16"),  # two bytes a letter
        rows(" ", head="# f\xfcr H1\n").encode("latin-1"),  # another alphabet
        gzip.compress(rows(" ").encode()),  # gzip
        bz2.compress(rows(" ").encode()),  # bzip2
        lzma.compress(rows(" ").encode()),  # xz
    ]


@pytest.mark.parametrize(("spectrum", "strain"), list(zip(forms("f", "psd"), forms("t", "strain"), strict=True)))
def test_a_table_is_the_same_in_whatever_form(tmp_path: Path, spectrum: str | bytes, strain: str | bytes) -> None:
    path, times = tmp_path / "x.txt", tmp_path / "t.txt"
    path.write_bytes(spectrum.encode() if isinstance(spectrum, str) else spectrum)
    times.write_bytes(strain.encode() if isinstance(strain, str) else strain)
    np.testing.assert_array_equal(read_table(path).values, X)
    np.testing.assert_array_equal(load_psd(path), X.T)
    found = read_strain(times, "H1", start_time=1e9)
    np.testing.assert_array_equal(found.value, X[:, 1])
    assert (found.t0.value, found.sample_rate.value) == (1e9 + 20.5, 2.0)


@pytest.mark.parametrize("head", ["f,psd", "Frequency (Hz),H1", "a,H1_asd"])
def test_spectra_are_no_strain_by_the_names_of_their_columns(tmp_path: Path, head: str) -> None:
    (tmp_path / "x.csv").write_text(rows(",", head=f"{head}\n"))
    with pytest.raises(DataError, match=r"x.csv holds a spectrum by the names .*--psd"):
        read_strain(tmp_path / "x.csv", "H1", start_time=1e9)
    (tmp_path / "y.csv").write_text(rows(","))
    with pytest.raises(DataError, match=r"begins at 20.5, which is no GPS time: .*--start-time.*--psd"):
        read_strain(tmp_path / "y.csv", "H1")


def test_empty_fields_are_gaps_and_rows_that_are_too_short_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("time,strain\n1,1e-21\n2,\n3,2e-21\n")
    np.testing.assert_array_equal(read_strain(tmp_path / "x.csv", "H1").value, [1e-21, np.nan, 2e-21])
    for between in (";", ",", " "):
        (tmp_path / "y.csv").write_text(f"1{between}1e-21\n2\n3{between}2e-21\n")
        with pytest.raises(DataError, match="truncated"):
            read_strain(tmp_path / "y.csv", "H1")


def detectors(axis: str, *names: str) -> Callable[[Path], object]:
    table = np.stack([X[:, 0], X[:, 1], 4 * X[:, 1]], 1)
    return lambda path: path.write_text(rows(",", head=",".join((axis, *names)) + "\n", values=table))


@pytest.mark.parametrize("names", [("h1", "l1"), ("H", "L"), ("LHO", "LLO"), ("Hanford", "Livingston")])
def test_detectors_have_several_names(tmp_path: Path, names: tuple[str, str]) -> None:
    detectors("f", *names)(tmp_path / "x.csv")
    detectors("time", *names)(tmp_path / "t.csv")
    for detector, factor in (("H1", 1.0), ("L1", 4.0)):
        values = factor * X[:, 1]
        np.testing.assert_allclose(read_strain(tmp_path / "t.csv", detector).value, values)
        np.testing.assert_allclose(load_psd(tmp_path / "x.csv", detector)[1], values)
    with pytest.raises(DataError, match="V1"):
        read_strain(tmp_path / "t.csv", "V1")


def test_scaled_samples_are_refused_by_the_name_of_their_column(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("# time (seconds)      strain * 1.e21\n0.25  0.1\n0.2501 0.2\n")
    with pytest.raises(DataError, match=r"a multiple, by the name 'strain \* 1.e21'"):
        read_strain(tmp_path / "x.txt", "H1")
