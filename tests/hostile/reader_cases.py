"""Hostile files where spectra, strain, banks, results and calibration envelopes are read: damaged, foreign, of another kind.

What is asked of every message is the file's name and an error of the package's own: the cases stay as they are when more formats are read.
"""
# ruff: noqa: E501 (a case is a row of a table)

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import ConfigError, DataError, GwsmlError
from gwsurrogate_ml.inference import Result
from tests.hostile.command_cases import command, strain
from tests.hostile.material import GPS, INF, NAN, RATE, cut, frame, gwosc, hdf5, result, values, write
from tests.hostile.strain_cases import npy, npz, read
from tests.hostile.table import Room, refuses

Maker = Callable[[Path], Path]
F = np.arange(0.0, 1025.0, 0.25)
LIGO_LW = """<?xml version='1.0' encoding='utf-8'?>
<!DOCTYPE LIGO_LW SYSTEM "http://ldas-sw.ligo.caltech.edu/doc/ligolwAPI/html/ligolw_dtd.txt">
<LIGO_LW>{}</LIGO_LW>
"""


def spectrum(path: Path, psd: np.ndarray | None = None, name: str = "H1", **attributes: Any) -> Path:
    """A frequency series as pycbc writes it."""
    import h5py

    with h5py.File(path, "a") as file:
        file[name] = np.full(F.size, 1e-46) if psd is None else psd
        file[name].attrs.update({"delta_f": 0.25} | attributes)
    return path


def zipped(path: Path, content: bytes, share: float = 1.0) -> Path:
    return cut(write(path, gzip.compress(content)), share)


def posterior(path: Path) -> Path:
    return write(path, json.dumps({"posterior": {"chirp_mass": [30.0, 31.0]}}))


def bank(path: Path) -> Path:
    from gwsurrogate_ml.search.bank import BankConfig, TemplateBank

    TemplateBank(np.array([[36.0, 29.0, 0.1, 0.1]] * 3), BankConfig()).save(path)
    return path


ROWS = "\n".join(f"{f:g} 1e-46" for f in F[40:80])
ENVELOPE = "\n".join(f"{f:g} 1 0 0.95 -0.05 1.05 0.05" for f in np.geomspace(10, 4000, 60))
SPECTRA: list[tuple[str, str, Maker]] = [
    ("a truncated HDF5 file", "psd.hdf5", lambda p: cut(spectrum(p))),
    ("an HDF5 file cut after its head", "psd.h5", lambda p: cut(spectrum(p), 0.03)),
    ("an empty HDF5 file", "psd.hdf5", lambda p: write(p, b"")),
    ("a picture called .hdf5", "psd.hdf5", lambda p: write(p, b"\xff\xd8\xff\xe0" + bytes(999))),
    ("strain in place of a spectrum", "psd.hdf5", hdf5),
    ("GWOSC's strain in place of a spectrum", "psd.hdf5", gwosc),
    ("a template bank", "psd.hdf5", bank),
    ("two unnamed spectra", "psd.hdf5", lambda p: spectrum(spectrum(p, name="a"), np.full(F.size, 4e-46), name="b")),
    ("a spectrum of NaN", "psd.hdf5", lambda p: spectrum(p, np.full(F.size, NAN))),
    ("a spectrum of zeros", "psd.hdf5", lambda p: spectrum(p, np.zeros(F.size))),
    ("a spectrum below zero", "psd.hdf5", lambda p: spectrum(p, np.full(F.size, -1e-46))),
    ("a spectrum of one value", "psd.hdf5", lambda p: spectrum(p, np.full(1, 1e-46))),
    ("a spacing of NaN", "psd.hdf5", lambda p: spectrum(p, delta_f=NAN)),
    ("a spacing of zero", "psd.hdf5", lambda p: spectrum(p, delta_f=0.0)),
    ("an amplitude called psd", "H1_psd.txt", lambda p: write(p, ROWS.replace("1e-46", "1e-23"))),
    ("infinite values", "H1_psd.txt", lambda p: write(p, ROWS.replace("1e-46", "inf"))),
    ("frequencies of NaN", "H1_psd.txt", lambda p: write(p, ROWS.replace("10 ", "nan ").replace("11 ", "nan "))),
    ("bytes called .txt", "H1_psd.txt", lambda p: write(p, bytes(range(256)))),
    ("an empty table", "H1_psd.txt", lambda p: write(p, "# nothing\n")),
    ("a calibration envelope", "H1_psd.txt", lambda p: write(p, ENVELOPE)),
    ("ragged rows", "H1_psd.csv", lambda p: write(p, "10,1e-46\n11\n12,1e-46\n")),
    ("half a gzip", "H1_psd.txt.gz", lambda p: zipped(p, ROWS.encode() * 50, 0.5)),
    ("a web page called .gz", "H1_psd.txt.gz", lambda p: write(p, "<html><body>404</body></html>")),
    ("binary called .gz", "H1_psd.txt.gz", lambda p: write(p, bytes(99))),
    ("a frame called .psd", "H1.psd", lambda p: write(p, b"IGWD" + bytes(99))),
    ("a PSD of single precision", "psd.npz", lambda p: npz(p, frequencies=F, psd=np.full(F.size, 1e-46, np.float32))),
    ("a spacing that is a word", "psd.npz", lambda p: npz(p, delta_f="fast", psd=np.full(F.size, 1e-46))),
    ("a row too short between semicolons", "psd.csv", lambda p: write(p, ROWS.replace(" ", ";") + "\n99")),
    ("half an npz", "psd.npz", lambda p: cut(npz(p, frequencies=F, psd=F))),
    ("an npz of other arrays", "psd.npz", lambda p: npz(p, noise=F)),
    ("an npz of two lengths", "psd.npz", lambda p: npz(p, frequencies=F, psd=np.full(9, 1e-46))),
    ("an npz in words", "psd.npz", lambda p: npz(p, frequencies=F, psd=np.array(["quiet"] * F.size))),
    ("a complex npy", "psd.npy", lambda p: npy(p, np.stack([F, F * 1j], 1))),
    ("pickled objects", "psd.npy", lambda p: npy(p, np.array([{}], object), allow_pickle=True)),
    ("a cube", "psd.npy", lambda p: npy(p, np.zeros((3, 3, 3)))),
    ("half an XML document", "psd.xml", lambda p: cut(write(p, LIGO_LW.format("<LIGO_LW Name='REAL8FrequencySeries'>" + "<Time/>" * 99)))),
    ("an XML document without a spectrum", "psd.xml", lambda p: write(p, LIGO_LW.format(""))),
    ("XML of another kind", "psd.xml.gz", lambda p: zipped(p, b"<svg></svg>" * 9)),
    ("bytes called .xml.gz", "psd.xml.gz", lambda p: write(p, b"\x1f\x8b" + bytes(99))),
    ("a posterior", "psd.json", posterior),
    ("no file at all", "psd.hdf5", lambda p: p),
]  # fmt: skip
for name, filename, make in SPECTRA:

    def loaded(room: Room, filename: str = filename, make: Maker = make) -> Any:
        from gwsurrogate_ml.strain.spectrum import load_psd

        return load_psd(str(make(room.inside / filename)))

    refuses("load_psd", f"file: {name}", loaded, GwsmlError, filename)
    command(
        "gwsml analyze", f"--psd of {name}",
        lambda r, f=filename, m=make: [*strain(r), "--gps", GPS, "--psd", f"H1={m(r.inside / f)}", "--psd", "L1=aLIGO"], filename,
    )  # fmt: skip
for name, words, said in (
    ("a PSD twice", lambda r: ["--psd", "H1=aLIGO", "--psd", "H1=aLIGO"], "H1"),
    ("a PSD that is a folder", lambda r: ["--psd", f"H1={r.inside}", "--psd", "L1=aLIGO"], "in"),
):
    command("gwsml analyze", name, lambda r, w=words: [*strain(r), "--gps", GPS, *w(r)], said)

for name, filename, make in (
    ("a spectrum in place of strain", "h.hdf5", spectrum),
    ("a template bank in place of strain", "h.hdf5", bank),
    ("a spectrum's npz in place of strain", "h.npz", lambda p: npz(p, frequencies=F, psd=F)),
    ("a result in place of strain", "h.hdf5", lambda p: result().save(p)),
    ("a frame file cut within its table", "h.gwf", lambda p: cut(frame(p, {"H1:STRAIN": (values(), RATE, "strain")}), 0.97)),
    ("a frame file of zeros", "h.gwf", lambda p: write(p, bytes(8192))),
    ("HDF5 called .gwf", "h.gwf", lambda p: write(p, hdf5(p.with_name("x.hdf5")).read_bytes())),
    ("a frame file called .hdf5", "h.hdf5", lambda p: frame(p, {"H1:STRAIN": (values(), RATE, "strain")})),
    ("an npz cut in its directory", "h.npz", lambda p: cut(npz(p, strain=values(), sampling_frequency=RATE, start_time=0.0), 0.999)),
):  # fmt: skip
    refuses("StrainData.from_files", name, lambda room, m=make, f=filename: read(room, m, f), GwsmlError, filename)

BANKS: list[tuple[str, str, Maker]] = [
    ("a truncated bank", "bank.hdf5", lambda p: cut(bank(p))),
    ("an empty bank file", "bank.hdf5", lambda p: write(p, b"")),
    ("a spectrum as a bank", "bank.hdf5", spectrum),
    ("strain as a bank", "bank.hdf5", hdf5),
    ("a result as a bank", "bank.hdf5", lambda p: result().save(p)),
    ("a picture as a bank", "bank.h5", lambda p: write(p, b"\x89PNG" + bytes(99))),
    ("half an XML bank", "bank.xml", lambda p: cut(write(p, LIGO_LW.format("<Table Name='sngl_inspiral:table'>" + "<Column/>" * 99)))),
    ("an XML bank without a table", "bank.xml", lambda p: write(p, LIGO_LW.format(""))),
    ("a cut .xml.gz bank", "bank.xml.gz", lambda p: zipped(p, LIGO_LW.format("<Table/>" * 99).encode(), 0.6)),
    ("JSON as a bank", "bank.json", posterior),
]  # fmt: skip
for name, filename, make in BANKS:

    def placed(room: Room, filename: str = filename, make: Maker = make) -> Any:
        from gwsurrogate_ml.search.bank import TemplateBank

        return TemplateBank.load(make(room.inside / filename))

    refuses("TemplateBank.load", name, placed, GwsmlError, filename)
    command("gwsml search", name, lambda r, f=filename, m=make: [*strain(r), "--bank", m(r.inside / f)], filename)

for name, filename, make in (
    ("strain as a result", "r.hdf5", hdf5),
    ("a bank as a result", "r.hdf5", bank),
    ("a spectrum as a result", "r.hdf5", spectrum),
    ("an empty HDF5 file as a result", "r.hdf5", lambda p: write(p, b"")),
    ("an empty JSON file", "r.json", lambda p: write(p, "")),
    ("null", "r.json", lambda p: write(p, "null")),
    ("an empty object", "r.json", lambda p: write(p, "{}")),
    ("a posterior and nothing more", "r.json", posterior),
    ("a picture called .json", "r.json", lambda p: write(p, b"\x89PNG" + bytes(99))),
    ("a posterior of NaN", "r.json", lambda p: write(p, json.dumps({"posterior": {"chirp_mass": [NAN] * 9}}))),
):
    refuses("Result.load", name, lambda room, m=make, f=filename: Result.load(m(room.inside / f)), GwsmlError, filename)


def envelope(room: Room, text: str | bytes, correction: str = "data") -> Any:
    from gwsurrogate_ml.inference.nuisances.envelope import CalibrationEnvelope

    return CalibrationEnvelope.read(write(room.inside / "H1.txt", text), correction)


LINES = ENVELOPE.splitlines()
ENVELOPES: list[tuple[str, str | bytes]] = [
    ("nothing", ""),
    ("prose", "It was a dark night.\n"),
    ("bytes", bytes(range(256))),
    ("three rows", "\n".join(LINES[:3])),
    ("a spectrum", ROWS),
    ("ragged rows", "\n".join([*LINES[:5], "100 1 0", *LINES[5:]])),
    ("a hole of NaN", ENVELOPE.replace(" 1 0 ", " nan 0 ", 1)),
    ("infinite sigmas", ENVELOPE.replace("1.05", "inf")),
    ("frequencies that fall", "\n".join(reversed(LINES))),
    ("a frequency of zero", ENVELOPE.replace("10 1 0", "0 1 0", 1)),
    ("amplitudes in per cent about zero", ENVELOPE.replace(" 1 0 0.95", " 0 0 -0.05")),
    ("phases in degrees", ENVELOPE.replace(" 1 0 ", " 1 12 ")),
    ("commas where a point belongs", ENVELOPE.replace("0.95", "0,95")),
]  # fmt: skip
for name, text in ENVELOPES:
    refuses("CalibrationEnvelope.read", name, lambda room, t=text: envelope(room, t), DataError, "H1.txt")
    command(
        "gwsml analyze", f"--calibration of {name}",
        lambda r, t=text: [*strain(r), "--gps", GPS, *(w for d in ("H1", "L1") for w in ("--calibration", f"{d}={write(r.inside / 'H1.txt', t)}"))],
        "H1.txt",
    )  # fmt: skip
refuses(
    "CalibrationEnvelope.read", "another correction", lambda room: envelope(room, ENVELOPE, "both"), ConfigError, "both", "template"
)


def constant(amplitude: Any, phase: Any) -> Any:
    from gwsurrogate_ml.inference.nuisances.envelope import CalibrationEnvelope

    return CalibrationEnvelope.constant(amplitude, phase)


def asked(calibration: Any = None, waveform_error: Any = None) -> Any:
    from gwsurrogate_ml.inference.nuisances.prior import requested

    return requested(("H1", "L1"), (20.0, 1000.0), calibration, waveform_error)


for name, pair, said in (
    ("a negative error", (-0.1, 0.05), "-0.1"),
    ("an error of NaN", (NAN, 0.05), "amplitude"),
    ("a phase in words", (0.1, "small"), "phase"),
    ("an infinite phase", (0.1, INF), "phase"),
):
    refuses("CalibrationEnvelope.constant", name, lambda room, p=pair: constant(*p), ConfigError, said)
for name, calibration, said in (
    ("one detector of two", {"H1": constant(0.05, 0.05)}, "L1"),
    ("a detector that is not there", {"H1": constant(0.05, 0.05), "L1": constant(0.05, 0.05), "V1": constant(0.05, 0.05)}, "V1"),
    ("a number", {"H1": 0.05, "L1": 0.05}, "H1"),
    ("a list", [0.05], "list"),
):
    refuses("calibration=", name, lambda room, c=calibration: asked(c), ConfigError, said)
refuses(
    "calibration=", "an envelope that ends within the band",
    lambda room: asked(dict.fromkeys(("H1", "L1"), write(room.inside / "H1.txt", "\n".join(LINES[:40])))), DataError, "H1.txt", "cover",
)  # fmt: skip
for name, error in (
    ("a word", "large"), ("one number", (0.1,)), ("three numbers", (0.1, 0.1, 0.1)), ("an amplitude above one", (1.5, 0.1)),
    ("a phase beyond pi", (0.1, 4.0)), ("a negative amplitude", (-0.1, 0.1)), ("NaN", (NAN, 0.1)),
):  # fmt: skip
    refuses("waveform_error=", name, lambda room, e=error: asked(waveform_error=e), ConfigError, "waveform_error")
for name, word in (("a word", "large"), ("one number", "0.1"), ("an amplitude above one", "1.5,0.1"), ("NaN", "nan,0.1")):
    command(
        "gwsml analyze",
        f"--waveform-error of {name}",
        lambda r, w=word: [*strain(r), "--gps", GPS, "--waveform-error", w],
        "waveform",
    )
for name, words in (
    ("--calibration of one detector", lambda r: ["--calibration", f"H1={write(r.inside / 'H1.txt', ENVELOPE)}"]),
    ("--calibration without its detector", lambda r: ["--calibration", str(write(r.inside / "H1.txt", ENVELOPE))]),
    (
        "--calibration of no file",
        lambda r: ["--calibration", f"H1={r.inside / 'no.txt'}", "--calibration", f"L1={r.inside / 'no.txt'}"],
    ),
):
    command("gwsml analyze", name, lambda r, w=words: [*strain(r), "--gps", GPS, *w(r)], "calibration")
_: Any = gw
