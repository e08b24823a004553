"""Hostile strain: files, series, segments, filters, simulation, curves, the cache of downloads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import ConfigError, DataError, GwsmlError
from tests.hostile.material import (
    BINARY,
    GPS,
    INF,
    LENGTH,
    NAN,
    RATE,
    SKY,
    START,
    cut,
    data,
    frame,
    gwosc,
    hdf5,
    series,
    surrogate,
    values,
    write,
)  # fmt: skip
from tests.hostile.table import Room, refuses, survives

Maker = Callable[[Path], Path]


def read(room: Room, make: Maker, name: str, **options: Any) -> gw.StrainData:
    return gw.StrainData.from_files({"H1": make(room.inside / name)}, gps=GPS, **options)


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def npy(path: Path, array: Any, **options: Any) -> Path:
    np.save(path, array, **options)
    return path


def two_datasets(path: Path) -> Path:
    import h5py

    with h5py.File(path, "w") as file:
        file["a"], file["b"] = np.zeros(4), np.zeros(4)
    return path


def gwf(path: Path, share: float = 1.0) -> Path:
    series(0).write(path, format="gwf") if path.suffix == ".gwf" else None
    return cut(path, share)


def named_hdf5(target: Path, name: str, unit: str = "", **options: Any) -> Path:
    made = series(0)
    made.override_unit(unit)
    made.name = name
    made.write(target, format="hdf5", **options)
    return target


def two_series(path: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        made = series(i)
        made.name = name
        made.write(path, format="hdf5", path=name, append=i > 0)
    return path


def injected(path: Path, mask: np.ndarray) -> Path:
    """The GWOSC file at `path` with a mask of injections, its bits in GWOSC's order."""
    import h5py

    with h5py.File(path, "a") as file:
        file["quality/injections/Injmask"] = mask
    return path


def named_gwf(path: Path, *channels: str) -> Path:
    from gwpy.timeseries import TimeSeriesDict

    made = TimeSeriesDict()
    for i, channel in enumerate(channels):
        made[channel] = series(i)
        made[channel].name = channel
        made[channel].channel = channel
    made.write(path, format="gwf")
    return path


def psds(path: Path) -> Path:
    import h5py

    with h5py.File(path, "w") as file:
        file["C01:Mixed/psds/H1"] = np.stack([np.arange(20.0, 90.0), np.full(70, 1e-46)], 1)
    return path


K = {"sampling_frequency": RATE, "start_time": START}
T = START + np.arange(int(LENGTH * RATE)) / RATE
FILES: list[tuple[str, str, Maker, dict[str, Any], type[GwsmlError], tuple[str, ...]]] = [
    ("a truncated HDF5 file", "h.hdf5", lambda p: cut(hdf5(p)), {}, DataError, ("H1", "h.hdf5", "truncated", "again")),
    ("an HDF5 file cut after its header", "h.hdf5", lambda p: cut(hdf5(p), 0.02), {}, DataError, ("h.hdf5", "truncated")),
    ("a JPEG called .hdf5", "h.hdf5", lambda p: write(p, b"\xff\xd8\xff\xe0" + bytes(999)), {}, DataError, ("h.hdf5",)),
    ("an empty file", "h.hdf5", lambda p: write(p, b""), {}, DataError, ("empty", "again")),
    ("a file that is not there", "h.hdf5", lambda p: p, {}, DataError, ("no file", "h.hdf5")),
    ("a folder", "h.hdf5", lambda p: (p.mkdir(), p)[1], {}, DataError, ("folder",)),
    ("an unknown suffix", "h.wav", lambda p: write(p, b"RIFF"), {}, ConfigError, (".wav", "known")),
    ("HDF5 of another layout", "h.hdf5", two_datasets, {}, DataError, ("2 channels", "--channel")),
    ("another detector's file", "h.hdf5", lambda p: gwosc(p, "L1"), {}, DataError, ("L1", "give it as")),
    ("another detector's file, by gwpy", "h.hdf5", lambda p: named_hdf5(p, "L1:STRAIN"), {}, DataError, ("L1", "give it as")),
    ("another detector's file, by its name alone", "h.hdf5", lambda p: named_hdf5(p, "L1:STRAIN", path="strain"),
     {}, DataError, ("L1", "give it as")),
    ("fewer samples than the header says", "h.hdf5", lambda p: gwosc(p, Npoints=999), {}, DataError, ("999", "again")),
    ("no start time", "h.hdf5", lambda p: gwosc(p, Xstart=None), {}, DataError, ("Xstart",)),
    ("a spacing of zero", "h.hdf5", lambda p: gwosc(p, Xspacing=0.0), {}, DataError, ("spacing",)),
    ("a spacing that is NaN", "h.hdf5", lambda p: gwosc(p, Xspacing=NAN), {}, DataError, ("spacing", "again")),
    ("a start that is NaN", "h.hdf5", lambda p: gwosc(p, Xstart=NAN), {}, DataError, ("start",)),
    ("quality flags without names", "h.hdf5", lambda p: gwosc(p, DQShortnames=None), {}, DataError, ("DQShortnames",)),
    ("an empty quality mask", "h.hdf5", lambda p: gwosc(p, DQmask=np.zeros(0, np.int32)), {}, DataError, ("quality",)),
    ("strain in words", "h.hdf5", lambda p: gwosc(p, strain=np.array([b"loud"] * 8)), {}, DataError, ("strain",)),
    ("strain of two dimensions", "h.hdf5", lambda p: gwosc(p, strain=np.zeros((8, 8)), Npoints=64), {}, DataError, ("samples",)),
    ("complex strain", "h.hdf5", lambda p: gwosc(p, strain=values() * 1j), {}, DataError, ("complex", "real")),
    ("gwpy HDF5 without its attributes", "h.hdf5", lambda p: plain_hdf5(p), {}, DataError, ("H1",)),
    ("a truncated frame file", "h.gwf", lambda p: cut(named_gwf(p, "H1:STRAIN")), {}, DataError, ("truncated", "again")),
    ("text called .gwf", "h.gwf", lambda p: write(p, "hello" * 99), {}, DataError, ("h.gwf", "frame")),
    ("two strain channels", "h.gwf", lambda p: named_gwf(p, "H1:A-STRAIN", "H1:B-STRAIN"), {}, DataError, ("channels",)),
    ("no channel of the detector", "h.gwf", lambda p: named_gwf(p, "L1:STRAIN"), {}, DataError, ("L1:STRAIN",)),
    ("a channel that is not there", "h.gwf", lambda p: named_gwf(p, "H1:STRAIN"), {"channels": {"H1": "H1:NO"}},
     DataError, ("H1",)),
    ("prose called .txt", "h.txt", lambda p: write(p, "It was a dark night.\n"), {}, DataError, ("table of numbers",)),
    ("a table of three columns", "h.txt", lambda p: write(p, "1 2 3\n4 5 6\n"), {}, DataError, ("shape",)),
    ("ragged rows", "h.txt", lambda p: write(p, "1 2\n3\n4 5\n"), {}, DataError, ("table of numbers",)),
    ("bytes called .txt", "h.txt", lambda p: write(p, bytes(range(256))), {}, DataError, ("h.txt",)),
    ("a cut .txt.gz", "h.txt.gz", lambda p: write(p, b"\x1f\x8b\x08" + bytes(20)), {}, DataError, ("h.txt.gz",)),
    ("text without times", "h.txt", lambda p: write(p, "1e-21\n2e-21\n"), {}, ConfigError, ("sampling_frequency", "start_time")),
    ("times that run backwards", "h.txt", lambda p: write(p, "3 1e-21\n2 1e-21\n1 1e-21\n"), {}, DataError, ("spaced",)),
    ("times with a hole", "h.npy", lambda p: npy(p, np.delete(np.stack([T, values()], 1), slice(50, 90), 0)),
     {}, DataError, ("gaps",)),
    ("times that are NaN", "h.npy", lambda p: npy(p, np.stack([T * NAN, values()], 1)), {}, DataError, ("spaced",)),
    ("pickled objects", "h.npy", lambda p: npy(p, np.array([{}], object), allow_pickle=True), {}, DataError, ("h.npy",)),
    ("strings", "h.npy", lambda p: npy(p, np.array(["a", "b"])), {}, DataError, ("not real numbers",)),
    ("complex samples", "h.npy", lambda p: npy(p, values() * 1j), {}, DataError, ("not real",)),
    ("a scalar", "h.npy", lambda p: npy(p, 1.0), {}, DataError, ("shape",)),
    ("a cut npy file", "h.npy", lambda p: cut(npy(p, values())), {}, DataError, ("truncated",)),
    ("a cut npz file", "h.npz", lambda p: cut(npz(p, strain=values())), {}, DataError, ("truncated",)),
    ("an npz without strain", "h.npz", lambda p: npz(p, noise=values()), {}, DataError, ("strain", "noise", "--channel H1=noise")),
    ("an npz of two arrays", "h.npz", lambda p: npz(p, noise=values(), rest=values()), {}, DataError, ("strain", "noise")),
    ("a PSD in place of strain", "h.csv", lambda p: write(p, "f,psd\n20,1e-46\n21,1e-46\n22,1e-46\n"), {},
     DataError, ("psd", "--psd")),
    ("a PSD without names", "h.npy", lambda p: npy(p, np.stack([np.arange(20.0, 90.0), np.full(70, 1e-46)], 1)), {},
     DataError, ("20", "no GPS time", "--psd")),
    ("an npz of a spectrum", "h.npz", lambda p: npz(p, psd=values()), K, DataError, ("psd", "--psd")),
    ("PESummary's spectra", "h.h5", lambda p: psds(p), K, DataError, ("psds/H1", "--psd")),
    ("a header that is contradicted", "h.txt",
     lambda p: write(p, "# 1024 samples per second\n# starting GPS 1126259446 duration 4\n1e-21\n2e-21\n"),
     {"start_time": START + 1}, ConfigError, ("start_time", "contradicts", "1126259446")),
    ("an npz that begins at noon", "h.npz", lambda p: npz(p, strain=values(), fs=9.0, t0="noon"), {}, ConfigError, ("t0", "noon")),
    ("a table of scaled strain", "h.csv", lambda p: write(p, "time,strain*1e21\n1,0.1\n2,0.2\n"), {}, DataError, ("strain*1e21",)),
    ("an npz whose rate is a word", "h.npz", lambda p: npz(p, strain=values(), sampling_frequency="fast", start_time=START),
     {}, ConfigError, ("sampling_frequency", "fast")),
    ("an npz whose times are of another length", "h.npz", lambda p: npz(p, strain=values(), times=T[:-5]),
     {}, DataError, ("times",)),
    ("a rate that contradicts the file", "h.hdf5", gwosc,
     {"sampling_frequency": 4096.0}, ConfigError, ("contradicts", "leave it out")),
    ("a rate of zero", "h.npy", lambda p: npy(p, values()),
     {"sampling_frequency": 0.0, "start_time": START}, ConfigError, ("sampling_frequency",)),
    ("a rate that is NaN", "h.npy", lambda p: npy(p, values()),
     {"sampling_frequency": NAN, "start_time": START}, ConfigError, ("sampling_frequency",)),
    ("a start that is infinite", "h.npy", lambda p: npy(p, values()),
     {"sampling_frequency": RATE, "start_time": INF}, ConfigError, ("start_time",)),
    ("metres", "h.hdf5", lambda p: named_hdf5(p, "H1:DARM", unit="m"), {}, DataError, ("H1", "in m,", "4000 m", "override_unit")),
    ("volts", "h.gwf", lambda p: frame(p, {"H1:DARM": (values(), RATE, "V")}), {}, DataError, ("H1", "in V,", "calibrated")),
    ("counts", "h.gwf", lambda p: frame(p, {"H1:DARM": (values(), RATE, "counts")}), {}, DataError, ("in counts,",)),
    ("data quality alone", "h.gwf", lambda p: named_gwf(p, "H1:GDS-CALIB_STATE_VECTOR", "H1:DMT-DQ_VECTOR"), {},
     DataError, ("H1", "no strain", "DMT-DQ_VECTOR")),
    ("two datasets by gwpy that may be meant", "h.hdf5", lambda p: two_series(p, "H1:A-STRAIN", "H1:B-STRAIN"), {},
     DataError, ("H1:A-STRAIN", "channels=", "--channel H1=")),
    ("three detectors, and none is meant", "h.hdf5", lambda p: two_series(p, "L1:STRAIN", "V1:STRAIN"), {},
     DataError, ("L1, V1", "H1's strain")),
    ("a channel of a text file", "h.txt", lambda p: write(p, "1 2\n2 3\n"), {"channels": {"H1": "H1:STRAIN"}},
     ConfigError, ("no names", "leave it out")),
    ("an empty mask of injections", "h.hdf5", lambda p: injected(gwosc(p), np.zeros(0, np.int32)), {},
     DataError, ("quality mask",)),
    ("another event's file", "h.hdf5", lambda p: hdf5(p, start=START + 1e6), {}, DataError, ("outside the data", "span")),
]  # fmt: skip


def plain_hdf5(path: Path) -> Path:
    import h5py

    with h5py.File(path, "w") as file:
        file["strain"] = values()
    return path


for name, filename, make, options, error, said in FILES:
    refuses(
        "StrainData.from_files", name,
        lambda room, make=make, filename=filename, options=options: read(room, make, filename, **options), error, *said,
    )  # fmt: skip
refuses(
    "StrainData.from_files",
    "no file at all",
    lambda room: gw.StrainData.from_files({}, gps=GPS),
    ConfigError,
    "no detectors",
)
refuses(
    "StrainData.from_files", "an unknown detector",
    lambda room: gw.StrainData.from_files({"X9": "x.hdf5"}, gps=GPS), DataError, "X9", "known",
)  # fmt: skip
refuses(
    "StrainData.from_files", "one file for two detectors",
    lambda room: gw.StrainData.from_files(dict.fromkeys(("H1", "L1"), hdf5(room.inside / "h.hdf5")), gps=GPS),
    DataError, "H1 and L1", "same samples", "each its own",
)  # fmt: skip
refuses(
    "StrainData.from_files", "gps in words",
    lambda room: gw.StrainData.from_files({"H1": gwosc(room.inside / "h.hdf5")}, gps="now"),
     ConfigError, "gps",
)  # fmt: skip
refuses(
    "StrainData.from_files", "a path that is None",
    lambda room: gw.StrainData.from_files({"H1": None}, gps=GPS), ConfigError, "H1",
)  # fmt: skip


def flagged_seconds_are_a_gap(room: Room) -> None:
    mask = np.full(LENGTH, 3, np.int32)
    mask[4:6] = 0
    found = read(room, lambda p: gwosc(p, DQmask=mask), "h.hdf5").series["H1"]
    bad = ~np.isfinite(found.value)
    assert bad.sum() == 2 * RATE
    assert bad[int(4 * RATE)]


survives("StrainData.from_files", "seconds that fail data quality become a gap", flagged_seconds_are_a_gap)


def an_injection_is_flagged(room: Room) -> None:
    mask = np.full(LENGTH, 31, np.int32)
    mask[16] = 30
    found = read(room, lambda p: injected(gwosc(p), mask), "h.hdf5").segment().flags
    assert [text.startswith("hardware injection: ") for text in found] == [True]


survives("StrainData.from_files", "a hardware injection under the event is flagged", an_injection_is_flagged)

S: dict[str, Callable[[], Any]] = {
    "an array without times": lambda: gw.StrainData.from_series({"H1": values()}, gps=GPS),
    "no series": lambda: gw.StrainData.from_series({}, gps=GPS),
    "gps that is NaN": lambda: gw.StrainData.from_series({"H1": series()}, gps=NAN),
    "gps outside the data": lambda: gw.StrainData.from_series({"H1": series()}, gps=GPS + 1e3),
    "different rates": lambda: gw.StrainData.from_series({"H1": series(), "L1": series(rate=3000.0)}, gps=GPS),
    "an unknown detector": lambda: gw.StrainData.from_series({"Hanford": series()}, gps=GPS),
    "metres": lambda: gw.StrainData.from_series({"V1": series() * units.m}, gps=GPS),
}
for name, error, said in (
    ("an array without times", ConfigError, ("H1", "TimeSeries")),
    ("no series", ConfigError, ("no detectors",)),
    ("gps that is NaN", ConfigError, ("gps",)),
    ("gps outside the data", DataError, ("outside the data", "span")),
    ("different rates", DataError, ("different rates", "no whole multiple")),
    ("an unknown detector", DataError, ("Hanford", "known")),
    ("metres", DataError, ("V1", "in m,", "3000 m")),
):
    refuses("StrainData.from_series", name, lambda room, call=S[name]: call(), error, *said)

NEAR = (GPS - 0.5, GPS - 0.4)
SEGMENTS: list[tuple[str, dict[str, Any], dict[str, Any], type[GwsmlError], tuple[str, ...]]] = [
    ("NaN in the segment", {"gap": NEAR}, {}, DataError, ("H1", "NaN", "another time")),
    ("infinities in the segment", {"gap": NEAR, "fill": INF}, {}, DataError, ("H1", "NaN or fail", "another time")),
    ("a dead channel", {"gap": (START, START + LENGTH), "fill": 0.0}, {}, DataError, ("H1", "constant or saturated")),
    ("a clipped channel", {"gap": (GPS - 1, GPS + 1), "fill": 1e-19}, {}, DataError, ("H1", "saturated")),
    ("a gap that leaves no off-source data", {}, {"psd_span": 9.0}, DataError, ("H1", "off-source", "longer file")),
    ("a segment longer than the data", {}, {"duration": 64.0}, DataError, ("H1", "sticks out", "longer file")),
    ("a negative duration", {}, {"duration": -4.0}, ConfigError, ("duration",)),
    ("a duration that is NaN", {}, {"duration": NAN}, ConfigError, ("duration",)),
    ("a duration that is infinite", {}, {"duration": INF}, ConfigError, ("duration",)),
    ("a duration in words", {}, {"duration": "long"}, ConfigError, ("duration",)),
    ("post_trigger beyond the duration", {}, {"post_trigger": 5.0}, ConfigError, ("post_trigger",)),
    ("a roll-off of the whole segment", {}, {"roll_off": 4.0}, ConfigError, ("roll_off",)),
    ("f_min of zero", {}, {"f_min": 0.0}, ConfigError, ("f_min",)),
    ("f_min above f_max", {}, {"f_min": 900.0, "f_max": 800.0}, ConfigError, ("f_max",)),
    ("f_max above Nyquist", {}, {"f_max": 2000.0}, ConfigError, ("f_max", "Nyquist", "1024")),
    ("f_max that is NaN", {}, {"f_max": NAN}, ConfigError, ("f_max",)),
    ("f_max between the bins", {}, {"f_max": 100.1}, ConfigError, ("f_max", "multiple")),
    ("a PSD for one detector of two", {}, {"psd": {"H1": "aLIGO"}}, ConfigError, ("L1",)),
    ("an unknown curve", {}, {"psd": "nonsense"}, ConfigError, ("nonsense", "known")),
    ("a PSD that ends inside the band", {},
     {"psd": (np.linspace(10, 500, 200), np.full(200, 1e-46))}, DataError, ("500", "pass another")),
    ("a PSD of zeros", {}, {"psd": (np.linspace(10, 2000, 200), np.zeros(200))}, DataError, ("PSD", "positive")),
    ("a PSD with a NaN inside", {}, {"psd": (np.arange(3.0), np.array([1e-46, NAN, 1e-46]))}, DataError, ("PSD", "mend")),
    ("an ASD in place of a PSD", {}, {"psd": (np.linspace(10, 2000, 200), np.full(200, 1e-23))}, DataError, ("ASD", "square")),
    ("PSD frequencies that fall in the end", {}, {"psd": (np.r_[10:2000:10, 1000.0], np.full(200, 1e-46))}, DataError, ("ascend",)),
    ("PSD arrays of two lengths", {}, {"psd": (np.linspace(10, 2000, 200), np.full(100, 1e-46))}, DataError, ("one length",)),
    ("a PSD that is a number", {}, {"psd": 1e-46}, ConfigError, ("a PSD is 1e-46", "curve")),
    ("a PSD file that is not there", {}, {"psd": "gone/H1_psd.txt"}, DataError, ("H1_psd.txt",)),
]  # fmt: skip
for name, options, change, error, said in SEGMENTS:
    refuses("StrainData.segment", name, lambda room, o=options, c=change: data(**o).segment(**c), error, *said)


def gap_elsewhere(room: Room) -> None:
    spoilt, whole = data(gap=(START + 1, START + 3)).segment(), data().segment()
    assert np.array_equal(spoilt.strain, whole.strain)  # the segment itself does not see the gap
    assert spoilt.psd_segments[0] < whole.psd_segments[0]
    assert np.isfinite(spoilt.psd[:, spoilt.mask]).all()


survives("StrainData.segment", "a gap off the event costs periodograms only", gap_elsewhere)

for name, options, change, error, said in (
    ("the event in a gap", {"gap": (GPS - 0.01, GPS + 0.01)}, {}, DataError, ("H1", "gap")),
    ("a gap too near the event", {"gap": NEAR}, {}, DataError, ("H1", "whitening", "more data")),
    ("a dead channel", {"gap": (START, START + LENGTH), "fill": 0.0}, {}, DataError, ("H1", "constant")),
    ("periodograms longer than the data", {}, {"segment_duration": 64.0}, DataError, ("segment_duration",)),
    ("a span of two seconds", {}, {"span": 2.0}, DataError, ("H1", "2.5 s", "more data")),
    ("a filter of no length", {}, {"fduration": 0.0}, ConfigError, ("fduration",)),
    ("a filter longer than the data", {}, {"fduration": 64.0}, DataError, ("whitening", "more data")),
    ("a highpass above Nyquist", {}, {"highpass": 5000.0}, ConfigError, ("highpass",)),
    ("a span that is negative", {}, {"span": -1.0}, ConfigError, ("span",)),
    (
        "a PSD that does not cover the band",
        {},
        {"psd": (np.linspace(50, 60, 9), np.full(9, 1e-46))},
        DataError,
        ("PSD", "50"),
    ),
):
    refuses("StrainData.whiten", name, lambda room, o=options, c=change: data(**o).whiten(**c), error, *said)

Q = {name: BINARY[name] for name in ("mass_1", "mass_2", "chi_1", "chi_2")}
for name, options, arguments, change, error, said in (
    ("a template that is a word", {}, ("chirp", None), {}, ConfigError, ("template", "array")),
    ("a real template", {}, (np.ones(100), None), {}, ConfigError, ("template", "complex")),
    ("a template that is NaN", {}, (np.full(1000, NAN + 0j), None), {}, DataError, ("template",)),
    ("a template of zeros", {}, (np.zeros(1000, complex), None), {}, DataError, ("template",)),
    ("a template longer than the data", {}, (np.ones(10**6, complex), None), {}, ConfigError, ("template", "2 to")),
    ("a model without parameters", {}, ("model", None), {}, ConfigError, ("parameters", "mass_1")),
    ("a model with half its parameters", {}, ("model", {"mass_1": 36.0}), {}, ConfigError, ("mass_2",)),
    ("the event in a gap", {"gap": (GPS - 0.01, GPS + 0.01)}, ("model", Q), {}, DataError, ("H1", "gap")),
    ("f_min above f_max", {}, ("model", Q), {"f_min": 900.0, "f_max": 800.0}, ConfigError, ("f_max",)),
    ("no chi-squared bins", {}, ("model", Q), {"n_bins": 0}, ConfigError, ("n_bins",)),
    ("a window of no width", {}, ("model", Q), {"window": 0.0}, ConfigError, ("window",)),
    (
        "a filter longer than the data",
        {},
        ("model", Q),
        {"filter_duration": 99.0},
        DataError,
        ("matched filter", "more data"),
    ),
):
    refuses(
        "matched_filter", name,
        lambda room, o=options, a=arguments, c=change: gw.matched_filter(
            data(**o), surrogate() if isinstance(a[0], str) and a[0] == "model" else a[0], a[1], **c
        ), error, *said,
    )  # fmt: skip


def simulated(parameters: Any = None, **change: Any) -> Any:
    from gwsurrogate_ml.strain.simulate import simulate

    return simulate(parameters, change.pop("waveform", None if parameters is None else surrogate()), **{"duration": 8.0} | change)


SIGNAL = BINARY | SKY
for name, parameters, change, error, said in (
    ("no waveform model", SIGNAL, {"waveform": None}, ConfigError, ("waveform", "load_surrogate")),
    ("a missing sky position", {k: v for k, v in SIGNAL.items() if k != "ra"}, {}, ConfigError, ("missing", "ra")),
    ("a signal longer than the data", SIGNAL | {"mass_1": 9.0, "mass_2": 8.0}, {}, ConfigError, ("duration",)),
    ("a declination that is NaN", SIGNAL | {"dec": NAN}, {}, ConfigError, ("dec",)),
    ("a distance of zero", SIGNAL | {"luminosity_distance": 0.0}, {}, ConfigError, ("luminosity_distance",)),
    ("a time that is NaN", SIGNAL | {"geocent_time": NAN}, {}, ConfigError, ("geocent_time",)),
    ("no detector", None, {"detectors": ()}, ConfigError, ("no detectors",)),
    ("an unknown detector", None, {"detectors": ("H1", "Q7")}, DataError, ("Q7",)),
    ("a duration of zero", None, {"duration": 0.0}, ConfigError, ("duration",)),
    ("a duration that is NaN", None, {"duration": NAN}, ConfigError, ("duration",)),
    ("a rate in words", None, {"sampling_frequency": "fast"}, ConfigError, ("sampling_frequency",)),
    ("a seed that is negative", None, {"seed": -1}, ConfigError, ("seed",)),
    ("a curve that is unknown", None, {"psds": "nonsense"}, ConfigError, ("nonsense",)),
):
    refuses("strain.simulate", name, lambda room, p=parameters, c=change: simulated(p, **c), error, *said)


def from_cache(room: Room, record: str | None, event: str = "GW150914", **options: Any) -> Any:
    from gwsurrogate_ml.strain.gwosc import fetch_event

    if record is not None:
        write(room.inside / f"{event}.json", record)
    return fetch_event(event, ("H1",), cache=options.pop("cache", room.inside), attempts=1, backoff=0.0, **options)


refuses(
    "StrainData.from_gwosc",
    "a name with a path in it",
    lambda room: from_cache(room, None, "../etc"),
    ConfigError,
    "../etc",
)
refuses("StrainData.from_gwosc", "a name that is empty", lambda room: from_cache(room, None, ""), ConfigError, "name")
refuses(
    "StrainData.from_gwosc", "a cached look-up cut short",
    lambda room: from_cache(room, '{"gps": 11262'), DataError, "GW150914.json", "delete",
)  # fmt: skip
refuses(
    "StrainData.from_gwosc", "a cached look-up of another format",
    lambda room: from_cache(room, json.dumps({"a": 1})), DataError, "GW150914.json", "delete",
)  # fmt: skip
refuses(
    "StrainData.from_gwosc", "a cache that is a file",
    lambda room: from_cache(room, None, cache=write(room.inside / "cache", "x")), ConfigError, "cache", "GWSML_CACHE",
)  # fmt: skip
refuses(
    "StrainData.from_gwosc", "an unknown detector",
    lambda room: gw.StrainData.from_gwosc("GW150914", detectors=["Q7"]), DataError, "Q7",
)  # fmt: skip


def curve(room: Room, content: str, name: str = "H1_psd.txt") -> Any:
    from gwsurrogate_ml.strain.spectrum import load_psd

    return load_psd(str(write(room.inside / name, content)))


for name, content, filename, error, said in (
    ("prose", "quiet\nloud\n", "H1_psd.txt", DataError, ("H1_psd.txt", "table")),
    ("one column", "1\n2\n3\n", "H1_psd.txt", DataError, ("two columns",)),
    ("nothing", "", "H1_psd.txt", DataError, ("H1_psd.txt",)),
    ("values that are neither", "1 2\n3 4\n", "noise.txt", DataError, ("noise.txt", "no ASD of strain", "no PSD")),
    ("a PSD called asd", "10 1e-46\n20 1e-46\n", "H1_asd.txt", DataError, ("psd:", "H1_asd.txt")),
    ("an ASD called psd", "10 1e-23\n20 1e-23\n", "H1_psd.txt", DataError, ("ASD", "asd:")),
    (
        "three columns",
        "f H1 L1\n10 1e-46 1e-45\n20 1e-46 1e-45\n",
        "H1_psd.txt",
        DataError,
        ("H1, L1", "whose is meant"),
    ),
    ("XML", "<?xml version='1.0'?>\n<LIGO_LW/>\n", "H1_psd.xml", DataError, ("H1_psd.xml", "npz", "HDF5")),
    ("negative values", "10 -1e-46\n20 -1e-46\n", "H1_psd.txt", DataError, ("positive",)),
):
    refuses("load_psd", name, lambda room, c=content, f=filename: curve(room, c, f), error, *said)
