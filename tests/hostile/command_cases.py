"""Hostile command lines: misuse, damaged files, configurations, folders that cannot be written."""
# ruff: noqa: E501 (a case is a row of a table)

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile.material import GPS, NOWHERE, START, cut, hdf5, model_copy, write
from tests.hostile.table import CommandError, Room, gwsml, refuses, survives


def command(entry: str, name: str, words: Callable[[Room], list[object]], *said: str) -> None:
    """A command that must be refused; `--out` is added where it takes one and none is given."""

    def call(room: Room) -> Any:
        given = words(room)
        takes_out = entry not in ("gwsml models info", "gwsml serve", "gwsml")
        return gwsml(*entry.split()[1:], *given, *(["--out", room.out] if takes_out and "--out" not in given else []))

    refuses(entry, name, call, CommandError, *said)


def strain(room: Room, spoil: Callable[[Path], Any] = lambda p: None, **options: Any) -> list[object]:
    """Options for H1 and L1 files, H1's spoilt."""
    files = {d: hdf5(room.inside / f"{d}.hdf5", seed, **(options if d == "H1" else {})) for seed, d in enumerate(("H1", "L1"))}
    spoil(files["H1"])
    return [word for d, path in files.items() for word in ("--strain", f"{d}={path}")]


def a_file(room: Room) -> Path:
    return write(room.inside / "file", "x")


def from_scratch(room: Room, prior: str, *more: str) -> list[object]:
    return [*strain(room), "--gps", GPS, "--from-scratch", "--prior", prior, *more]


ANALYZE: list[tuple[str, Callable[[Room], list[object]], tuple[str, ...]]] = [
    ("nothing to analyse", lambda r: [], ("nothing to analyse", "--strain")),
    ("event and files", lambda r: ["GW150914", "--strain", "H1=a", "--gps", "1"], ("only one of these",)),
    ("files without --gps", lambda r: strain(r), ("--gps",)),
    ("--gps in words", lambda r: [*strain(r), "--gps", "noon"], ("--gps", "no valid number and no date")),
    ("--gps that is NaN", lambda r: [*strain(r), "--gps", "nan"], ("gps",)),
    ("a file twice", lambda r: ["--strain", "H1=a", "--strain", "H1=a", "--gps", "1"], ("H1", "twice")),
    ("a file without its detector", lambda r: ["--strain", "a.hdf5", "--gps", "1"], ("DETECTOR=FILE",)),
    ("a truncated file", lambda r: [*strain(r, cut), "--gps", GPS], ("H1.hdf5", "truncated", "again")),
    ("a foreign file", lambda r: [*strain(r, lambda p: write(p, b"PK" * 99)), "--gps", GPS], ("H1.hdf5",)),
    ("a missing file", lambda r: [*strain(r, os.remove), "--gps", GPS], ("H1.hdf5", "no file")),
    ("a time outside the data", lambda r: [*strain(r), "--gps", GPS + 99], ("outside the data",)),
    ("a gap at the event", lambda r: [*strain(r, gap=(GPS - 0.2, GPS)), "--gps", GPS], ("H1", "NaN")),
    ("rates without a whole factor", lambda r: [*strain(r, rate=3000.0), "--gps", GPS], ("different rates", "no whole multiple")),
    ("a negative duration", lambda r: [*strain(r), "--gps", GPS, "--duration", "-4"], ("duration",)),
    ("an endless duration", lambda r: [*strain(r), "--gps", GPS, "--duration", "inf"], ("duration",)),
    ("f_min above f_max", lambda r: [*strain(r), "--gps", GPS, "--f-min", "900", "--f-max", "800"], ("f_max",)),
    ("one PSD of two", lambda r: [*strain(r), "--gps", GPS, "--psd", "H1=aLIGO"], ("--psd L1=FILE", "leave --psd out")),
    ("an unknown estimator", lambda r: [*strain(r), "--gps", GPS, "--estimator", "none"], ("none", "one of")),
    ("a surrogate as estimator", lambda r: [*strain(r), "--gps", GPS, "--estimator", "nr22"], ("kind",)),
    ("ten draws", lambda r: [*strain(r), "--gps", GPS, "--n-draws", "10"], ("n-draws",)),
    ("a negative seed", lambda r: [*strain(r), "--gps", GPS, "--seed", "-3"], ("seed",)),
    ("an unknown option", lambda r: ["GW150914", "--fast"], ("--fast",)),
    ("a prior without --from-scratch", lambda r: [*strain(r), "--gps", GPS, "--prior", "chirp_mass=7,10"], ("--from-scratch",)),
    ("--from-scratch without a prior", lambda r: [*strain(r), "--gps", GPS, "--from-scratch"], ("--prior",)),
    ("a prior upside down", lambda r: [*strain(r), "--gps", GPS, "--from-scratch", "--prior", "chirp_mass=10,7"], ("chirp_mass",)),
    ("a prior that is NaN", lambda r: [*strain(r), "--gps", GPS, "--from-scratch", "--prior", "chirp_mass=nan,7"], ("chirp_mass",)),
    ("a prior of an unknown parameter", lambda r: [*strain(r), "--gps", GPS, "--from-scratch", "--prior", "chirp_mass=7,9", "--prior", "lambda=1,2"], ("lambda",)),
    ("a prior that peaks below f_min", lambda r: from_scratch(r, "chirp_mass=70,200", "--f-min", "11", "--surrogate", "nr22"), ("peak below f_min = 11 Hz", "at most 9.74 Hz", "end the prior at a chirp mass of 177")),
    ("a prior that begins above f_min", lambda r: from_scratch(r, "chirp_mass=3.5,45", "--surrogate", "nr22"), ("no signal", "3.5 to 45 solar masses")),
    ("a prior too wide for any f_min", lambda r: from_scratch(r, "chirp_mass=3,400"), ("narrow the prior",)),
    ("a prior of signals longer than the segment", lambda r: from_scratch(r, "chirp_mass=27,30", "--f-min", "10"), ("need 9 s of data from 10 Hz on", "give a longer file, or a higher --f-min")),
    ("spins beyond the surrogate", lambda r: [*from_scratch(r, "chirp_mass=20,45", "--surrogate", "nr22"), "--prior", "chi=-0.99,0.99"], ("prior on chi_1", "-0.93 to 0.93", "narrow")),
    ("mass ratios beyond the surrogate", lambda r: [*from_scratch(r, "chirp_mass=20,45", "--surrogate", "nr22"), "--prior", "mass_ratio=0.05,1"], ("prior on mass_ratio", "narrow")),
    ("--out that is a file", lambda r: [*strain(r), "--gps", GPS, "--out", a_file(r)], ("--out", "is a file")),
    ("--out below a file", lambda r: [*strain(r), "--gps", GPS, "--out", a_file(r) / "x"], ("--out", "cannot be written")),
    ("--out where nobody may write", lambda r: [*strain(r), "--gps", GPS, "--out", NOWHERE], ("--out", "cannot be written")),
    ("--out with other people's files", lambda r: [*strain(r), "--gps", GPS, "--out", a_file(r).parent], ("did not write",)),
]  # fmt: skip
for name, words, said in ANALYZE:
    command("gwsml analyze", name, words, *said)

MASSES = ["--mass-1", "36", "--mass-2", "29"]
for name, more, said in (
    ("one mass", ["--mass-1", "36"], ("--mass-2",)),
    ("a mass in words", ["--mass-1", "heavy", "--mass-2", "29"], ("--mass-1", "valid number")),
    ("a mass that is NaN", ["--mass-1", "nan", "--mass-2", "29"], ("mass_1",)),
    ("masses in the wrong order", ["--mass-1", "29", "--mass-2", "36"], ("mass_1", "swap")),
    ("a spin above one", [*MASSES, "--chi-1", "1.2"], ("chi1", "1.2")),
    ("a distance of zero", [*MASSES, "--luminosity-distance", "0"], ("luminosity_distance",)),
    ("f_min of zero", [*MASSES, "--f-min", "0"], ("f_min",)),
    ("a rate below the ringdown's", [*MASSES, "--sampling-frequency", "100"], ("sampling_frequency",)),
    ("a rate that asks for terabytes", [*MASSES, "--sampling-frequency", "1e15"], ("sampling_frequency", "lower")),
    ("an unknown surrogate", [*MASSES, "--surrogate", "nr99"], ("nr99",)),
    ("--out where nobody may write", [*MASSES, "--out", NOWHERE], ("--out", "cannot be written")),
):
    command("gwsml waveform", name, lambda room, more=more: more, *said)

DEMO: list[tuple[str, Callable[[Room], list[object]], tuple[str, ...]]] = [
    ("--out that is a file", lambda r: ["--out", a_file(r)], ("is a file",)),
    ("an unknown estimator", lambda r: ["--estimator", "none"], ("none",)),
    ("draws in words", lambda r: ["--n-draws", "many"], ("--n-draws", "valid integer")),
]  # fmt: skip
for name, words, said in DEMO:
    command("gwsml demo", name, words, *said)

SEARCH: list[tuple[str, Callable[[Room], list[object]], tuple[str, ...]]] = [
    ("no strain", lambda r: [], ("--strain",)),
    ("one detector", lambda r: strain(r)[:2], ("two",)),
    ("a truncated file", lambda r: strain(r, cut), ("H1.hdf5", "truncated")),
    ("an unknown detector", lambda r: ["--strain", "X1=a", "--strain", "L1=b"], ("X1",)),
    ("rates without a whole factor", lambda r: strain(r, rate=3000.0), ("different rates", "no whole multiple")),
    ("a bank that is text", lambda r: [*strain(r), "--bank", a_file(r)], ("no template bank",)),
    ("a bank that is not there", lambda r: [*strain(r), "--bank", r.inside / "no.hdf5"], ("no.hdf5",)),
    ("masses upside down", lambda r: [*strain(r), "--mass-min", "70", "--mass-max", "16"], ("mass_min",)),
    ("a mass that is NaN", lambda r: [*strain(r), "--mass-min", "nan"], ("mass",)),
    ("a mass ratio beyond all measure", lambda r: [*strain(r), "--q-max", "inf"], ("q_max",)),
    ("a match of one", lambda r: [*strain(r), "--min-match", "1"], ("min_match",)),
    ("a threshold of zero", lambda r: [*strain(r), "--threshold", "0"], ("threshold",)),
    ("slides that hold real coincidences", lambda r: [*strain(r), "--slide-step", "0.01"], ("slide_step", "raise")),
    ("f_max above Nyquist", lambda r: [*strain(r), "--f-max", "3000"], ("f_max", "Nyquist")),
    ("f_max that is NaN", lambda r: [*strain(r), "--f-max", "nan"], ("f_max",)),
    ("no threads", lambda r: [*strain(r), "--jobs", "0"], ("jobs",)),
    ("an unknown curve", lambda r: [*strain(r), "--bank-psd", "nonsense"], ("nonsense",)),
    ("an unknown surrogate", lambda r: [*strain(r), "--surrogate", "none"], ("none",)),
    ("data too short", lambda r: [*strain(r, gap=(START + 2, START + 31)), "--mass-min", "40"], ("stretch",)),
    ("--out that is a file", lambda r: [*strain(r), "--out", a_file(r)], ("is a file",)),
]  # fmt: skip


@contextmanager
def cache(folder: Path) -> Iterator[None]:
    before = os.environ.get("GWSML_CACHE")
    os.environ["GWSML_CACHE"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("GWSML_CACHE") if before is None else os.environ.update(GWSML_CACHE=before)


for name, words, said in SEARCH:

    def in_cache(room: Room, words: Callable[[Room], list[object]] = words) -> Any:
        given = words(room)
        with cache(room.inside / "cache"):
            return gwsml("search", *given, *([] if "--out" in given else ["--out", room.out]))

    refuses("gwsml search", name, in_cache, CommandError, *said)

DENOISE: list[tuple[str, str, Callable[[Room], list[object]], tuple[str, ...]]] = [
    ("signal", "nothing", lambda r: [], ("--strain",)),
    ("signal", "files without --gps", lambda r: strain(r), ("--gps",)),
    ("signal", "a truncated file", lambda r: [*strain(r, cut), "--gps", GPS], ("truncated",)),
    ("signal", "an event at the edge", lambda r: [*strain(r), "--gps", START + 0.5], ("longer file",)),
    ("signal", "a gap at the event", lambda r: [*strain(r, gap=(GPS - 1, GPS)), "--gps", GPS], ("gap",)),
    ("signal", "a time that is NaN", lambda r: [*strain(r), "--gps", "nan"], ("gps",)),
    ("signal", "an unknown model", lambda r: [*strain(r), "--gps", GPS, "--model", "none"], ("none",)),
    ("signal", "--out below a file", lambda r: [*strain(r), "--gps", GPS, "--out", a_file(r) / "x"], ("cannot be written",)),
    ("witness", "nothing", lambda r: [], ("--strain", "--mock")),
    ("witness", "an unknown mock", lambda r: ["--mock", "nonsense"], ("nonsense",)),
    ("witness", "a mock that is negative in time", lambda r: ["--mock", "o3_like", "--duration", "-5"], ("duration",)),
    ("witness", "a band in words", lambda r: ["--mock", "o3_like", "--band", "low"], ("--band", "LOW:HIGH")),
    ("witness", "a band upside down", lambda r: ["--mock", "sidebands_only", "--duration", "64", "--band", "75:45"], ("band",)),
    ("witness", "no witnesses", lambda r: ["--strain", f"H1={hdf5(r.inside / 'h.hdf5')}"], ("--witnesses",)),
    ("witness", "a truncated witness file", lambda r: ["--strain", f"H1={hdf5(r.inside / 'h.hdf5')}", "--witnesses", cut(hdf5(r.inside / "w.hdf5")), "--channel", "H1:W"], ("w.hdf5",)),
    ("witness", "an unknown channel", lambda r: ["--strain", f"H1={hdf5(r.inside / 'h.hdf5')}", "--witnesses", hdf5(r.inside / "w.hdf5"), "--channel", "H1:W"], ("H1:W",)),
    ("witness", "an unknown cleaner", lambda r: ["--strain", f"H1={hdf5(r.inside / 'h.hdf5')}", "--witnesses", hdf5(r.inside / "w.hdf5"), "--channel", "H1:W", "--model", "none"], ("none",)),
    ("witness", "a rate of one", lambda r: ["--mock", "o3_like", "--rate", "1"], ("--rate",)),
]  # fmt: skip
for which, name, words, said in DENOISE:
    command(f"gwsml denoise {which}", name, words, *said)

TINY = {
    "name": "tiny", "surrogate": "lal:IMRPhenomD", "segment": {"f_max": 256.0},
    "simulator": {"bank_size": 200, "basis_size": 60, "network_basis_size": 20, "templates": 2, "psds": 2, "groups": 1, "pool": 2},
    "network": {"width": 8, "blocks": 1, "context": 4, "transforms": 1, "hidden": [8]},
    "training": {"steps": 2, "batch": 8, "validation": 16},
}  # fmt: skip


def config(room: Room, **changes: Any) -> Path:
    """A small estimator's configuration with some keys changed, as JSON is TOML's near relative."""
    lines = []
    for table, content in (TINY | changes).items():
        if isinstance(content, dict):
            lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in content.items())]
        else:
            lines.insert(0, f"{table} = {json.dumps(content)}")
    return write(room.inside / "c.toml", "\n".join(lines).replace("Infinity", "inf").replace("NaN", "nan"))


TRAIN: list[tuple[str, str, Callable[[Room], list[object]], tuple[str, ...]]] = [
    ("estimator", "an unknown configuration", lambda r: ["none"], ("none", "one of")),
    ("estimator", "a file that is no TOML", lambda r: [write(r.inside / "c.toml", "[a")], ("not TOML",)),
    ("estimator", "a file of bytes", lambda r: [write(r.inside / "c.toml", bytes(range(128, 256)))], ("not TOML",)),
    ("estimator", "an unknown key", lambda r: [config(r, nonsense=1)], ("nonsense",)),
    ("estimator", "an unknown key in a table", lambda r: [config(r, training={"epochs": 1})], ("training.epochs",)),
    ("estimator", "a number in words", lambda r: [config(r, training={"steps": "many"})], ("training.steps",)),
    ("estimator", "a negative rate of learning", lambda r: [config(r, training={"learning_rate": -1.0})], ("learning_rate",)),
    ("estimator", "a rate of learning that is infinite", lambda r: [config(r, training={"learning_rate": float("inf")})], ("learning_rate",)),
    ("estimator", "a network of no width", lambda r: [config(r, network={"width": 0})], ("network.width",)),
    ("estimator", "a bank smaller than its basis", lambda r: [config(r, simulator=TINY["simulator"] | {"basis_size": 4000})], ("basis_size",)),
    ("estimator", "a network basis larger than the bank's", lambda r: [config(r, simulator=TINY["simulator"] | {"network_basis_size": 90})], ("network_basis_size",)),
    ("estimator", "loudness upside down", lambda r: [config(r, simulator=TINY["simulator"] | {"snr": [40.0, 5.0]})], ("snr",)),
    ("estimator", "an unknown detector", lambda r: [config(r, segment={"detectors": ["H1", "Q7"]})], ("Q7",)),
    ("estimator", "one detector twice", lambda r: [config(r, segment={"detectors": ["H1", "H1"]})], ("H1",)),
    ("estimator", "f_max below f_min", lambda r: [config(r, segment={"f_min": 300.0, "f_max": 256.0})], ("f_m",)),
    ("estimator", "a band that is infinite", lambda r: [config(r, segment={"f_max": float("inf")})], ("f_max",)),
    ("estimator", "a prior upside down", lambda r: [config(r, prior={"chirp_mass": [40.0, 20.0]})], ("chirp_mass",)),
    ("estimator", "an infinite prior", lambda r: [config(r, prior={"chirp_mass": [20.0, float("inf")]})], ("chirp_mass",)),
    ("estimator", "an unknown approximant", lambda r: [config(r, surrogate="lal:Nonsense")], ("Nonsense",)),
    ("estimator", "an unknown surrogate", lambda r: [config(r, surrogate="none")], ("none",)),
    ("estimator", "a prior beyond the surrogate", lambda r: [config(r, surrogate="nr22", prior={"mass_ratio": [0.05, 1.0]})], ("mass_ratio",)),
    ("estimator", "a prior that peaks below f_min", lambda r: [config(r, surrogate="nr22", prior={"chirp_mass": [70.0, 300.0]})], ("peak below f_min = 20 Hz", "end the prior at a chirp mass of")),
    ("estimator", "--set without a value", lambda r: [config(r), "--set", "seed"], ("KEY=VALUE",)),
    ("estimator", "--set of an unknown key", lambda r: [config(r), "--set", "a.b=1"], ("a",)),
    ("estimator", "--out that is a file", lambda r: [config(r), "--out", a_file(r)], ("is a file",)),
    ("estimator", "--out below a file", lambda r: [config(r), "--out", a_file(r) / "m"], ("cannot be written",)),
    ("estimator", "--out with other people's files", lambda r: [config(r), "--out", a_file(r).parent], ("no part of a model",)),
    ("estimator", "--out where nobody may write", lambda r: [config(r), "--out", NOWHERE], ("cannot be written",)),
    ("estimator", "a damaged checkpoint", lambda r: unfinished(r, "checkpoint.pt", b"PK" + bytes(99)), ("checkpoint.pt", "delete")),
    ("estimator", "a damaged bank", lambda r: unfinished(r, "bank.npz", b"PK" + bytes(99)), ("bank.npz", "delete")),
    ("surrogate", "an unknown configuration", lambda r: ["none"], ("none",)),
    ("surrogate", "no training set", lambda r: ["nr22", "--set", f"eob={r.inside / 'no'}"], ("data_prep eob",)),
    ("surrogate", "an unknown key", lambda r: ["nr22", "--set", f"eob={eob(r)}", "--set", "depths=2"], ("depths",)),
    ("surrogate", "no members", lambda r: ["nr22", "--set", f"eob={eob(r)}", "--set", "members=0"], ("members",)),
    ("surrogate", "a negative width", lambda r: ["nr22", "--set", f"eob={eob(r)}", "--set", "width=-3"], ("width",)),
    ("surrogate", "a batch larger than the set", lambda r: ["nr22", "--set", f"eob={eob(r)}", "--set", "batch_size=999", "--set", "n_basis=4"], ("batch_size",)),
    ("surrogate", "a basis larger than the set", lambda r: ["nr22", "--set", f"eob={eob(r)}", "--set", "n_basis=900"], ("n_basis",)),
    ("surrogate", "nothing held back", lambda r: ["nr22", "--set", f"eob={eob(r)}", "--set", "validation_fraction=0"], ("validation_fraction",)),
    ("surrogate", "a truncated chunk", lambda r: ["nr22", "--set", f"eob={eob(r, cut)}"], ("chunk_00000.npz",)),
    ("surrogate", "a chunk that is NaN", lambda r: ["nr22", "--set", f"eob={eob(r, nan_chunk)}"], ("chunk_00000.npz", "finite")),
    ("surrogate", "times of another length", lambda r: ["nr22", "--set", f"eob={eob(r, lambda p: np.save(p.with_name('times.npy'), np.arange(3.0)))}"], ("times.npy",)),
    ("surrogate", "no times", lambda r: ["nr22", "--set", f"eob={eob(r, lambda p: os.remove(p.with_name('times.npy')))}"], ("no training waveforms",)),
    ("surrogate", "an NR table that is text", lambda r: ["nr22", "--set", f"eob={eob(r)}", "--set", f"nr={a_file(r)}"], ("data_prep nr",)),
    ("surrogate", "a truncated NR table", lambda r: ["nr22", "--set", f"eob={eob(r)}", "--set", f"nr={cut(Path(shutil.copy(eob(r) / 'chunk_00000.npz', r.inside / 'nr.npz')), 0.9)}"], ("data_prep nr",)),
    ("remnant", "no table", lambda r: ["remnant", "--set", f"runs={r.inside / 'no.npz'}"], ("data_prep remnants",)),
    ("remnant", "a truncated table", lambda r: ["remnant", "--set", f"runs={cut(eob(r) / 'chunk_00000.npz', 0.9)}"], ("data_prep remnants",)),
    ("remnant", "another table", lambda r: ["remnant", "--set", f"runs={eob(r) / 'chunk_00000.npz'}"], ("no array",)),
    ("remnant", "an unknown key", lambda r: ["remnant", "--set", "runs=x", "--set", "fold=3"], ("fold",)),
]  # fmt: skip


def eob(room: Room, spoil: Callable[[Path], Any] = lambda p: None) -> Path:
    """A tiny training set in the format of `python -m data_prep eob`, its first chunk spoilt."""
    folder = room.inside / "eob"
    folder.mkdir(exist_ok=True)
    rng, t = np.random.default_rng(0), np.linspace(-3000.0, 100.0, 120)
    rows = np.column_stack([rng.uniform(1, 4, 60), rng.uniform(-0.5, 0.5, (60, 2))])
    np.save(folder / "times.npy", t)
    amplitude = 0.4 / (1 + np.abs(t) / 50) * rows[:, :1] / (1 + rows[:, :1]) ** 2
    np.savez(folder / "chunk_00000.npz", parameters=rows, amp22=amplitude, phase22=np.tile(0.1 * t, (60, 1)))
    spoil(folder / "chunk_00000.npz")
    return folder


def nan_chunk(path: Path) -> None:
    with np.load(path) as stored:
        content = {key: stored[key] for key in stored.files}
    content["amp22"][3, 7] = np.nan
    np.savez(path, **content)


def unfinished(room: Room, name: str, content: bytes) -> list[object]:
    """A training that stopped, with one of its files damaged since; everything of it lies among the inputs."""
    path = config(room)
    from gwsurrogate_ml.files import claim
    from gwsurrogate_ml.inference.config import read_config
    from gwsurrogate_ml.inference.training import train
    from gwsurrogate_ml.settings import shipped

    settings = read_config(shipped(str(path)))
    work = room.inside / "m.training"
    work.mkdir()
    identity = train.load_model(settings.surrogate).identity
    claim(work, {"config": settings.model_dump(mode="json"), "surrogate": identity, "format": train.FORMAT})
    write(work / name, content)
    return [path, "--out", room.inside / "m"]


for which, name, words, said in TRAIN:
    command(f"gwsml train {which}", name, words, *said)

VALIDATE: list[tuple[str, Callable[[Room], list[object]], tuple[str, ...]]] = [
    ("an unknown estimator", lambda r: ["none"], ("none",)),
    ("three injections", lambda r: ["--injections", "3"], ("injections",)),
    ("--out that is a file", lambda r: ["--out", a_file(r)], ("cannot be used",)),
    ("--out where nobody may write", lambda r: ["--out", NOWHERE], ("cannot be used",)),
    ("--out with other people's files", lambda r: ["--out", a_file(r).parent], ("no part of a validation",)),
    ("records of another estimator", lambda r: ["--out", records(r, '{"validation": {"estimator": "x"}}\n')], ("another folder",)),
    ("records that are no JSON", lambda r: ["--out", records(r, "dear diary\nnothing\n")], ("no file of a validation",)),
    ("records without their head", lambda r: ["--out", records(r, '{"rank": {}}\n')], ("no file of a validation",)),
    ("--also of a folder that is not there", lambda r: ["--also", r.inside / "no", "--out", r.inside / "v"], ("no file",)),
]  # fmt: skip


def records(room: Room, content: str) -> Path:
    return write(room.inside / "v" / "injections.jsonl", content).parent


for name, words, said in VALIDATE:
    command("gwsml validate estimator", name, words, *said)

MODELS: list[tuple[str, Callable[[Room], list[object]], tuple[str, ...]]] = [
    ("an unknown name", lambda r: ["none"], ("none",)),
    ("a card that is no JSON", lambda r: [write(r.inside / "m" / "card.json", "{").parent], ("card.json",)),
    ("a card without weights", lambda r: [write(model_copy(r.inside / "m") / "x", "").parent, "--nonsense"], ("--nonsense",)),
    ("a format of the future", lambda r: [model_copy(r.inside / "m", format_version=9)], ("format version 9",)),
]  # fmt: skip
for name, words, said in MODELS:
    command("gwsml models info", name, words, *said)

SERVE: list[tuple[str, Callable[[Room], list[object]], tuple[str, ...]]] = [
    ("an unknown model", lambda r: ["--model", "none"], ("none",)),
    ("a model twice", lambda r: ["--model", "nr22", "--model", "nr22"], ("nr22", "two models")),
    ("two folders of one name", lambda r: ["--model", model_copy(r.inside / "a"), "--model", model_copy(r.inside / "b")], ("two models", "in/a", "in/b", "--model nr22-2=")),
    ("a name that is another's", lambda r: ["--model", "nrhm", "--model", f"nrhm={model_copy(r.inside / 'a')}"], ("two models", "'nrhm'", "in/a")),
    ("a name that no address can hold", lambda r: ["--model", "a/b=nr22"], ("'a/b'", "letters, digits")),
    ("a name without a model", lambda r: ["--model", "mine="], ("no model ''", "one of")),
    ("a remnant, which is not served", lambda r: ["--model", "remnant"], ("remnant", "of those served")),
    ("a port beyond all ports", lambda r: ["--model", "nr22", "--port", "99999"], ("port",)),
    ("a host that is none", lambda r: ["--model", "nr22", "--host", "no.such.host.invalid"], ("--host", "no.such.host")),
    ("no workers", lambda r: ["--workers", "0"], ("workers",)),
    ("a time-out that is NaN", lambda r: ["--model", "nr22", "--timeout", "nan"], ("timeout",)),
]  # fmt: skip
for name, words, said in SERVE:
    command("gwsml serve", name, words, *said)

command("gwsml", "an unknown command", lambda r: ["nonsense"], "nonsense")
command("gwsml bench", "an unknown benchmark", lambda r: ["nonsense"], "nonsense")
command("gwsml bench", "an unknown surrogate", lambda r: ["surrogate", "--surrogate", "none"], "none")


def earlier_output_stays(room: Room) -> None:
    """A run that is refused leaves an earlier output as it was."""
    gwsml("waveform", *MASSES, "--out", room.inside / "w")
    before = {path.name: path.read_bytes() for path in (room.inside / "w").iterdir()}
    try:
        gwsml("waveform", *MASSES, "--chi-1", "2", "--out", room.inside / "w")
    except CommandError:
        assert before == {path.name: path.read_bytes() for path in (room.inside / "w").iterdir()}
        return
    raise AssertionError("not refused")


survives("gwsml waveform", "an earlier output outlives a run that is refused", earlier_output_stays)
