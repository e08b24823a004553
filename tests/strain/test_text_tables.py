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


FORMS: list[tuple[str, str | bytes]] = [
    ("ends of Windows", rows(" ", "\r\n", "# f psd\r\n")),
    ("ends of old Macintoshes", rows(" ", "\r")),
    ("semicolons", rows(";", head="f;psd\n")),
    ("decimal commas", rows(";", head="f;psd\n").replace(".", ",")),
    ("tabs", rows("\t", head="f\tpsd\n")),
    ("a comma at the end", rows(",", ",\n", "f,psd,\n")),
    ("quotes", rows(",", head='"f","psd"\n')),
    ("numbered rows", pd.DataFrame(X, columns=["f", "psd"]).to_csv()),
    ("comments of MATLAB", rows(" ", head="% f psd\n") + "% end\n"),
    ("comments of Fortran", rows(" ", head="! f psd\n").replace("e-", "D-")),
    ("comments after numbers", rows(" ", "  # note, 3\n")),
    ("blank lines", "\n\n" + rows(" ", "\n\n")),
    ("two bytes a letter", rows(" ").encode("utf-16")),
    ("another alphabet", rows(" ", head="# f\xfcr H1\n").encode("latin-1")),
    ("gzip", gzip.compress(rows(" ").encode())),
    ("bzip2", bz2.compress(rows(" ").encode())),
    ("xz", lzma.compress(rows(" ").encode())),
]


@pytest.mark.parametrize("content", [form for _, form in FORMS], ids=[name for name, _ in FORMS])
def test_a_table_is_the_same_in_whatever_form(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    np.testing.assert_array_equal(read_table(path).values, X)
    np.testing.assert_array_equal(load_psd(path), X.T)
    np.testing.assert_array_equal(read_strain(path, "H1").value, X[:, 1])


def test_empty_fields_are_gaps_and_rows_that_are_too_short_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("time,strain\n1,1e-21\n2,\n3,2e-21\n")
    np.testing.assert_array_equal(read_strain(tmp_path / "x.csv", "H1").value, [1e-21, np.nan, 2e-21])
    for between in (";", ",", " "):
        (tmp_path / "y.csv").write_text(f"1{between}1e-21\n2\n3{between}2e-21\n")
        with pytest.raises(DataError, match="truncated"):
            read_strain(tmp_path / "y.csv", "H1")


def detectors(*names: str) -> Callable[[Path], object]:
    table = np.stack([X[:, 0], X[:, 1], 4 * X[:, 1]], 1)
    return lambda path: path.write_text(rows(",", head=",".join(("f", *names)) + "\n", values=table))


@pytest.mark.parametrize("names", [("h1", "l1"), ("H", "L"), ("LHO", "LLO"), ("ASD Hanford", "Livingston")])
def test_detectors_have_several_names(tmp_path: Path, names: tuple[str, str]) -> None:
    detectors(*names)(tmp_path / "x.csv")
    for detector, factor in (("H1", 1.0), ("L1", 4.0)):
        values = factor * X[:, 1]
        np.testing.assert_allclose(read_strain(tmp_path / "x.csv", detector).value, values)
        if names[0][:3] != "ASD":
            np.testing.assert_allclose(load_psd(tmp_path / "x.csv", detector)[1], values)
    with pytest.raises(DataError, match="V1"):
        read_strain(tmp_path / "x.csv", "V1")


def test_scaled_samples_are_refused_by_the_name_of_their_column(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("# time (seconds)      strain * 1.e21\n0.25  0.1\n0.2501 0.2\n")
    with pytest.raises(DataError, match=r"a multiple, by the name 'strain \* 1.e21'"):
        read_strain(tmp_path / "x.txt", "H1")
