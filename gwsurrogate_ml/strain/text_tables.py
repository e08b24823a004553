"""Tables of numbers in text, as programs and spreadsheets write them.

Any line ends, packing (gzip, bzip2, xz) and usual encoding; columns apart by commas, semicolons, tabs or blanks; comments after
``#``, or in lines from ``%``, ``!`` or ``//`` on; decimal commas between semicolons; Fortran's exponents (1.0D-46); empty fields
as NaN; and a column of row numbers, as pandas writes it, left out.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PACKED = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ": lzma.decompress}
"""How packed files begin, and what unpacks them."""
COMMENTS = ("#", "%", "!", "//")
UNREADABLE = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)
"""What comes of a damaged file, or of one that is no table; a UnicodeDecodeError is a ValueError."""
NUMBERED = ("", "index", "unnamed: 0")
"""Names of columns that number the rows."""


@dataclass(frozen=True, eq=False)
class TextTable:
    """A table, and what stands above it.

    Attributes
    ----------
    values : (n, columns) float64
    names : list of str
        of the columns; empty where the line above the first row does not name each
    above : list of str
        the lines above the first row, without blank ones
    """

    values: np.ndarray
    names: list[str]
    above: list[str]


def unpacked(path: Path) -> bytes:
    """What a file holds, unpacked where it is packed, whatever its name says; raises one of `UNREADABLE`."""
    raw = path.read_bytes()
    unpack = next((how for magic, how in PACKED.items() if raw.startswith(magic)), None)
    return unpack(raw) if unpack else raw


def first_bytes(path: Path, n: int = 512) -> bytes:
    """The first `n` bytes that a file holds, unpacked; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            begin = file.read(n)
        return unpacked(path)[:n] if begin.startswith(tuple(PACKED)) else begin
    except UNREADABLE:
        return b""


def read_table(path: Path) -> TextTable:
    """The table in a file.

    Raises
    ------
    one of UNREADABLE
        if it is damaged, binary, or has no row of numbers

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "x.csv"
    >>> _ = path.write_text("% two detectors\\r\\nf;H1\\r\\n20,5;4D-46\\r\\n")
    >>> found = read_table(path)
    >>> found.names, found.values
    (['f', 'H1'], array([[2.05e+01, 4.00e-46]]))
    """
    raw, encoding = _decodable(unpacked(path))
    above: list[str] = []
    row, skipped = "", 0
    with _text(raw, encoding) as lines:
        for skipped, line in enumerate(lines):  # noqa: B007  the number of the first row is needed below
            if _numbers(line):
                row = line.partition("#")[0].strip()
                break
            above += [line.strip()] if line.strip() else []
    if not row:
        raise ValueError("it has no row of numbers")
    delimiter = _delimiter(row)
    n = len(parts := _parts(row, delimiter))
    if n > 1 and not parts[-1] and not (above and column_names(above[-1], delimiter, n)):
        n -= 1  # a delimiter at the end of each row
    marks = [mark for mark in COMMENTS if mark.encode() in raw]
    with _text(raw, encoding) as lines:
        rows: Iterator[str] | io.TextIOWrapper = lines
        if mending := _needs_mending(raw, row, delimiter):
            rows = (_mended(line, delimiter, n) for line in lines)
        between = "," if mending and delimiter else delimiter
        values = np.loadtxt(rows, comments=marks or None, delimiter=between, ndmin=2, skiprows=skipped)
    names = column_names(above[-1], delimiter, values.shape[1]) if above else []
    if names and names[0].lower() in NUMBERED and len(names) > 2 and np.array_equal(values[:, 0], np.arange(len(values))):
        return TextTable(values[:, 1:], names[1:], above)
    return TextTable(values, names, above)


def column_names(head: str, delimiter: str | None, n: int) -> list[str]:
    """Names of `n` columns in the line above the first row; empty where it does not name each.

    Examples
    --------
    >>> column_names("# GPS time (s),H1", ",", 2), column_names("two words  H1", None, 2), column_names("a title", None, 3)
    (['GPS time (s)', 'H1'], ['two words', 'H1'], [])
    """
    head = _bare(head).strip()
    ways = [head.split(delimiter)] if delimiter else [head.split()]
    for names in (*ways, re.split(r"\s{2,}|\t", head), head.split(",")):
        tidy = [name.strip().strip("\"'") for name in names]
        if tidy and not tidy[-1] and len(tidy) == n + 1:
            tidy.pop()
        if len(tidy) == n and all(tidy[1:]) and (tidy[0] or delimiter):
            return tidy
    return []


def is_number(field: str) -> bool:
    """Whether a field is a number, Fortran's exponents among them."""
    try:
        float(re.sub(r"(?<=\d|\.)[dD](?=[+-]?\d)", "e", field))
    except ValueError:
        return False
    return True


def _decodable(raw: bytes) -> tuple[bytes, str]:
    """The bytes of a text, and their encoding, one in which marks are single bytes."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16").encode(), "utf-8"
    if b"\x00" in raw[:4096]:
        raise ValueError("it is binary")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(raw[:65536])  # a letter may be cut at the end
    except UnicodeDecodeError:
        return raw, "latin-1"
    return raw, "utf-8-sig"


def _text(raw: bytes, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(raw), encoding, errors="replace", newline=None)


def _bare(line: str) -> str:
    """A line without the mark of a comment before it."""
    line = line.strip()
    while mark := next((mark for mark in COMMENTS if line.startswith(mark)), None):
        line = line.removeprefix(mark).strip()
    return line


def _delimiter(row: str) -> str | None:
    return next((mark for mark in (";", ",") if mark in row), None)


def _parts(row: str, delimiter: str | None) -> list[str]:
    """Fields of a row, as they are; decimal commas as points."""
    parts = [part.strip() for part in row.partition("#")[0].strip().split(delimiter)]
    return [part.replace(",", ".") for part in parts] if delimiter == ";" else parts


def _numbers(line: str) -> bool:
    """Whether a line is a row of numbers, of which all but the first may be left out."""
    parts = _parts(line, _delimiter(line.partition("#")[0]))
    return bool(parts) and bool(parts[0]) and all(map(is_number, " ".join(parts).split()))


def _needs_mending(raw: bytes, row: str, delimiter: str | None) -> bool:
    """Whether rows are not as numpy reads them at once, which is much faster."""
    if delimiter == ";" or re.search("[dD]", row):
        return True
    return delimiter == "," and any(hole in raw for hole in (b",,", b",\n", b",\r", b", ,"))


def _mended(line: str, delimiter: str | None, n: int) -> str:
    """A row of `n` fields as numpy reads it."""
    parts = _parts(line, delimiter)
    if not any(parts) or parts[0].startswith(COMMENTS):
        return line
    if len(parts) == n + 1 and not parts[-1]:
        parts.pop()
    mended = [re.sub(r"(?<=\d|\.)[dD](?=[+-]?\d)", "e", part) or "nan" for part in parts]
    return ("," if delimiter else " ").join(mended) + "\n"
