"""Hostile calls of the kernels, the plug-ins, the service's requests, the search's files, and the readers of catalogues."""

# ruff: noqa: E501 (a case is a row of a table)

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError, DomainError, GwsmlError, NoWaveformError
from gwsurrogate_ml.serve.protocol import RequestError
from tests.hostile.material import INF, NAN, START, cut, series, surrogate, values, write
from tests.hostile.table import Room, refuses, survives


class Answer(GwsmlError):
    """The service's refusal, an HTTP status of the client's own with a sentence."""


def welch(x: Any, *arguments: Any, **options: Any) -> Any:
    from gwsurrogate_ml.kernels.psd import welch as kernel

    return kernel(x, *arguments, **options)


def whiten(x: Any, *arguments: Any, **options: Any) -> Any:
    from gwsurrogate_ml.kernels.whiten import whiten as kernel

    return kernel(x, *arguments, **options)


def matched(h: Any, d: Any, s: Any, *arguments: Any) -> Any:
    from gwsurrogate_ml.kernels.matched_filter import matched_filter as kernel

    return kernel(h, d, s, *arguments)


X = np.random.default_rng(0).normal(size=4096)
H, S = np.fft.rfft(X), np.ones(2049)
HOLED = np.where(np.arange(4096) == 99, NAN, X)
KERNELS: list[tuple[str, str, Callable[[], Any], type[GwsmlError], tuple[str, ...]]] = [
    ("welch", "a NaN", lambda: welch(HOLED, 1024.0, 1.0), DataError, ("NaN", "99")),
    ("welch", "an empty array", lambda: welch(X[:0], 1024.0, 1.0), DataError, ("shape",)),
    ("welch", "words", lambda: welch(np.array(["a"] * 9), 1024.0, 1.0), DataError, ("dtype",)),
    ("welch", "complex samples", lambda: welch(X * 1j, 1024.0, 1.0), DataError, ("real",)),
    ("welch", "a rate that is NaN", lambda: welch(X, NAN, 1.0), ConfigError, ("sample_rate",)),
    ("welch", "a rate in words", lambda: welch(X, "fast", 1.0), ConfigError, ("sample_rate",)),
    ("welch", "a segment longer than the data", lambda: welch(X, 1024.0, 9.0), DataError, ("segment",)),
    ("welch", "an overlap above one", lambda: welch(X, 1024.0, 1.0, overlap=1.5), ConfigError, ("overlap",)),
    ("welch", "an unknown average", lambda: welch(X, 1024.0, 1.0, average="mode"), ConfigError, ("mode",)),
    ("whiten", "a NaN", lambda: whiten(HOLED, 1024.0), DataError, ("NaN",)),
    ("whiten", "an ASD of zeros", lambda: whiten(X, 1024.0, np.zeros(2049)), DataError, ("asd",)),
    ("whiten", "a filter in words", lambda: whiten(X, 1024.0, fduration="long"), ConfigError, ("fduration",)),
    ("matched_filter", "spectra of two lengths", lambda: matched(H[:-9], H, S, 0.25, 20.0), DataError, ("template",)),
    ("matched_filter", "a PSD of zeros", lambda: matched(H, H, S * 0, 0.25, 20.0), DataError, ("psd",)),
    ("matched_filter", "a template that is NaN", lambda: matched(H * NAN, H, S, 0.25, 20.0), DataError, ("template",)),
    ("matched_filter", "f_low above Nyquist", lambda: matched(H, H, S, 0.25, 900.0), ConfigError, ("f_low", "Nyquist")),
    ("matched_filter", "f_low that is NaN", lambda: matched(H, H, S, 0.25, NAN), ConfigError, ("f_low",)),
    ("matched_filter", "delta_f of zero", lambda: matched(H, H, S, 0.0, 20.0), ConfigError, ("delta_f",)),
]  # fmt: skip
for kernel, name, make, error, said in KERNELS:
    refuses(f"kernels.{kernel}", name, lambda room, make=make: make(), error, *said)

PYCBC = {
    "approximant": "GWSML_NR22", "mass1": 36.0, "mass2": 29.0, "spin1z": 0.3, "spin2z": 0.0, "distance": 410.0, "inclination": 0.4,
    "coa_phase": 0.0, "f_lower": 20.0, "delta_t": 1 / 4096, "delta_f": 0.25,
}  # fmt: skip


def plugin(kind: str, **changes: Any) -> Any:
    from gwsurrogate_ml.plugins import pycbc

    return getattr(pycbc, kind)(**PYCBC | changes)


for kind, name, changes, error, said in (
    ("td", "a spin in the plane", {"spin1x": 0.2}, ConfigError, ("spin1x",)),
    ("td", "an eccentric orbit", {"eccentricity": 0.1}, ConfigError, ("eccentricity",)),
    ("td", "tides", {"lambda1": 400.0}, ConfigError, ("lambda1",)),
    ("td", "a mass of zero", {"mass2": 0.0}, DomainError, ("mass_2",)),
    ("td", "delta_t of zero", {"delta_t": 0.0}, ConfigError, ("delta_t",)),
    ("td", "delta_t in words", {"delta_t": "short"}, ConfigError, ("delta_t",)),
    ("td", "a mass in words", {"mass1": "heavy"}, ConfigError, ("mass1",)),
    ("td", "another's approximant", {"approximant": "IMRPhenomD"}, ConfigError, ("IMRPhenomD", "GWSML_")),
    ("td", "one sign of m", {"approximant": "GWSML_NRHM", "mode_array": [(2, -2)]}, ConfigError, ("name both",)),
    ("fd", "delta_f that is negative", {"delta_f": -1.0}, ConfigError, ("delta_f",)),
    ("fd", "f_final below f_lower", {"f_final": 10.0}, ConfigError, ("f_final",)),
    ("fd", "f_lower that is NaN", {"f_lower": NAN}, ConfigError, ("f_lower",)),
):
    refuses(f"plugins.pycbc.{kind}", name, lambda room, k=kind, c=changes: plugin(k, **c), error, *said)


BEYOND: list[tuple[str, dict[str, float], str]] = [
    ("a binary that begins above f_lower", {"mass1": 4.0, "mass2": 3.0}, "smallest total mass"),
    ("a binary that peaks below f_lower", {"mass1": 900.0, "mass2": 700.0}, "frequency at the peak"),
    ("a mass ratio of thirty", {"mass1": 90.0, "mass2": 3.0}, "q = 30"),
    ("a spin of 0.99", {"spin2z": 0.99}, "chi2 = 0.99"),
    ("a mass that is NaN", {"mass1": NAN}, "mass_1"),
    ("a spin that is NaN", {"spin1z": NAN}, "chi1"),
    ("a spin in the plane that is NaN", {"spin1x": NAN}, "spin1x"),
    ("a distance that is NaN", {"distance": NAN}, "distance"),
    ("a distance of zero", {"distance": 0.0}, "distance"),
    ("an infinite inclination", {"inclination": INF}, "theta_jn"),
]
"""Points of a prior that have no waveform: a sampler may be told to go on, by an error that it knows."""


def generator(kind: str, **changes: float) -> Any:
    """Call of the gwsignal generator, pycbc's names turned into gwsignal's."""
    from astropy import units as u

    from gwsurrogate_ml.plugins.gwsignal import NR22

    one = u.dimensionless_unscaled
    p = PYCBC | changes
    given = {
        "mass1": p["mass1"] * u.solMass, "mass2": p["mass2"] * u.solMass, "spin1z": p["spin1z"] * one, "spin2z": p["spin2z"] * one,
        "spin1x": p.get("spin1x", 0.0) * one, "distance": p["distance"] * u.Mpc, "inclination": p["inclination"] * u.rad,
        "phi_ref": 0.0 * u.rad, "f22_start": 20.0 * u.Hz, "f22_ref": 20.0 * u.Hz, "deltaT": u.s / 4096, "deltaF": 0.25 * u.Hz,
        "f_max": 1024.0 * u.Hz,
    }  # fmt: skip
    return getattr(NR22(), f"generate_{kind}")(**given)


for name, changes, said in BEYOND:
    for kind in ("td", "fd"):
        refuses(
            f"plugins.pycbc.{kind}",
            name,
            lambda room, k=kind, c=changes: plugin(k, **c),
            NoWaveformError,
            "Input domain error",
            said,
        )
    for kind in ("td_waveform", "fd_waveform", "td_modes"):
        refuses(
            f"plugins.gwsignal.{kind}",
            name,
            lambda room, k=kind, c=changes: generator(k, **c),
            NoWaveformError,
            "Input domain error",
            said,
        )
refuses(
    "plugins.gwsignal.td_waveform",
    "a spin in the plane",
    lambda room: generator("td_waveform", spin1x=0.2),
    ConfigError,
    "spin1x = 0.2",
)


def bilby_goes_on(room: Room) -> None:
    """bilby gives the point likelihood zero where it is told to catch errors, and the next one its own."""
    from bilby.gw.waveform_generator import GWSignalWaveformGenerator

    from gwsurrogate_ml.plugins import gwsignal

    gwsignal.register()
    arguments = {"waveform_approximant": "GWSML_NR22", "minimum_frequency": 20.0, "reference_frequency": 20.0}
    bilbys = GWSignalWaveformGenerator(
        duration=4.0, sampling_frequency=2048.0, waveform_arguments=arguments | {"catch_waveform_errors": True}
    )
    binary = dict.fromkeys(("a_1", "a_2", "tilt_1", "tilt_2", "phi_12", "phi_jl", "phase"), 0.0)
    binary |= {"mass_1": 36.0, "mass_2": 29.0, "luminosity_distance": 410.0, "theta_jn": 0.4}
    for point in ({"mass_1": 4.0, "mass_2": 3.0}, {"a_1": 0.99}, {"mass_2": NAN}, {"luminosity_distance": NAN}):
        assert bilbys.frequency_domain_strain(binary | point) is None
        assert bilbys.time_domain_strain(binary | point) is None
        assert np.abs(bilbys.frequency_domain_strain(dict(binary))["plus"]).max() > 0


def pycbc_goes_on(room: Room) -> None:
    """pycbc's generator fails at the point in the kind that its models take for likelihood zero."""
    from pycbc.waveform import FailedWaveformError
    from pycbc.waveform.generator import FDomainCBCGenerator

    pycbcs = FDomainCBCGenerator(variable_args=["mass1", "mass2"], approximant="GWSML_NR22", f_lower=20.0, delta_f=0.25)
    for point in ((4.0, 3.0), (90.0, 3.0), (900.0, 700.0)):
        try:
            pycbcs.generate(mass1=point[0], mass2=point[1])
        except FailedWaveformError:
            assert abs(pycbcs.generate(mass1=36.0, mass2=29.0)[0]).max() > 0
        else:
            raise AssertionError(f"a waveform for {point}")


survives("plugins.gwsignal in bilby", "points beyond the model in a run", bilby_goes_on)
survives("plugins.pycbc in pycbc", "points beyond the model in a run", pycbc_goes_on)


@cache
def served() -> dict[str, Any]:
    from gwsurrogate_ml.serve.surrogates import SurrogateModes, SurrogatePolarizations

    return {"modes": SurrogateModes(surrogate()), "polarizations": SurrogatePolarizations(surrogate())}


def ask(body: Any, model: str = "modes", header: str | None = None) -> Any:
    """What the routes do with a body, up to the answer; a refusal must be the client's fault (4xx)."""
    from gwsurrogate_ml.serve import protocol

    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        request = protocol.decode(raw, header)
        call = served()[model].call(request.inputs, request.parameters, tuple(request.outputs), max_bytes=1e6)
        return protocol.encode("m", "1", request, served()[model].infer(call))
    except RequestError as error:
        raise (Answer if 400 <= error.status < 500 else RuntimeError)(str(error)) from error
    except GwsmlError as error:  # the routes answer 400
        raise Answer(str(error)) from error


def tensor(name: str, data: Any, shape: list[int], datatype: str = "FP64", **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


P, T = tensor("parameters", [1.5, 0.1, 0.0], [1, 3]), tensor("times", [-10.0, 0.0], [2])
NINE = tensor("parameters", [36, 29, 0.3, -0.1, 410, 0.4, 1.2], [1, 7])
BODIES: list[tuple[str, Any, str, str | None, tuple[str, ...]]] = [
    ("nothing", b"", "modes", None, ("not JSON",)),
    ("bytes", bytes(range(256)), "modes", None, ("not JSON",)),
    ("a million brackets", b"[" * 1_000_000, "modes", None, ("not JSON",)),
    ("a list", [1], "modes", None, ("inputs",)),
    ("no inputs", {}, "modes", None, ("inputs",)),
    ("a header longer than the body", {"inputs": [P, T]}, "modes", "99999", ("Content-Length",)),
    ("a header in words", {"inputs": [P, T]}, "modes", "-1", ("Content-Length",)),
    ("an input without a name", {"inputs": [{**P, "name": ""}]}, "modes", None, ("name",)),
    ("an unknown input", {"inputs": [P, T, tensor("q", [1.0], [1])]}, "modes", None, ("'q'", "takes")),
    ("an input twice", {"inputs": [P, P]}, "modes", None, ("twice",)),
    ("a missing input", {"inputs": [P]}, "modes", None, ("times",)),
    ("an unknown datatype", {"inputs": [{**P, "datatype": "FP128"}, T]}, "modes", None, ("FP128",)),
    ("a shape of terabytes", {"inputs": [{**P, "shape": [10**9, 10**9]}, T]}, "modes", None, ("shape",)),
    ("a negative shape", {"inputs": [{**P, "shape": [-1, 3]}, T]}, "modes", None, ("shape",)),
    ("data of another size", {"inputs": [{**P, "data": [1.5]}, T]}, "modes", None, ("shape [1, 3]",)),
    ("data in words", {"inputs": [{**P, "data": ["a", "b", "c"]}, T]}, "modes", None, ("FP64",)),
    ("binary data that are not there", {"inputs": [{**P, "parameters": {"binary_data_size": 24}}, T]}, "modes", None, ("24",)),
    ("a NaN", {"inputs": [{**P, "data": [NAN, 0, 0]}, T]}, "modes", None, ("q", "finite")),
    ("a binary outside the domain", {"inputs": [{**P, "data": [99.0, 0, 0]}, T]}, "modes", None, ("q = 99",)),
    ("times outside the model", {"inputs": [P, {**T, "data": [-1e9, 0.0]}]}, "modes", None, ("times", "covers")),
    ("an unknown output", {"inputs": [P, T], "outputs": [{"name": "power"}]}, "modes", None, ("power",)),
    ("an unknown parameter", {"inputs": [P, T], "parameters": {"f": 1}}, "modes", None, ("'f'",)),
    ("a parameter in words", {"inputs": [NINE], "parameters": {"f_min": "low"}}, "polarizations", None, ("f_min",)),
    ("a rate that asks for gigabytes", {"inputs": [NINE], "parameters": {"sampling_frequency": 1e9}}, "polarizations", None, ("MB",)),
    ("no binaries", {"inputs": [tensor("parameters", [], [0, 7])]}, "polarizations", None, ("row",)),
    ("a mass of zero", {"inputs": [{**NINE, "data": [36, 0, 0, 0, 410, 0, 0]}]}, "polarizations", None, ("mass_2",)),
]  # fmt: skip
for name, body, model, header, said in BODIES:
    refuses("gwsml serve (requests)", name, lambda room, b=body, m=model, h=header: ask(b, m, h), Answer, *said)


def bank(room: Room, **changes: Any) -> Any:
    import h5py

    from gwsurrogate_ml.search.bank import BankConfig, TemplateBank

    path = room.inside / "bank.hdf5"
    TemplateBank(np.array([[36.0, 29.0, 0.1, 0.1]] * 3), BankConfig()).save(path)
    with h5py.File(path, "a") as file:
        for key, value in changes.items():
            if key in file.attrs:
                file.attrs[key] = value
                continue
            del file[key]
            if value is not None:
                file[key] = value
    return TemplateBank.load(path)


for name, changes, error, said in (
    ("another format", {"format_version": 9}, DataError, ("format 9", "anew")),
    ("a column missing", {"mass1": None}, DataError, ("no mass1", "give the masses")),
    ("a column too short", {"mass1": np.ones(2)}, DataError, ("bank.hdf5",)),
    ("a column that is NaN", {"mass1": np.full(3, NAN)}, DataError, ("finite", "anew")),
    ("masses that are negative", {"mass2": np.full(3, -1.0)}, DataError, ("mass",)),
    ("settings that are no JSON", {"config": "{"}, DataError, ("no template bank",)),
    ("settings of another program", {"config": '{"a": 1}'}, DataError, ("no template bank",)),
):
    refuses("TemplateBank.load", name, lambda room, c=changes: bank(room, **c), error, *said)


def searched(h1: Any, l1: Any, **options: Any) -> Any:
    from gwsurrogate_ml.search.bank import BankConfig, TemplateBank
    from gwsurrogate_ml.search.pipeline import SearchConfig, search

    templates = TemplateBank(np.array([[36.0, 29.0, 0.1, 0.1]]), BankConfig())
    return search({"H1": h1, "L1": l1}, templates, surrogate(), SearchConfig(**options))


for name, call, error, said in (
    (
        "a gap that leaves nothing",
        lambda: searched(series(0, gap=(START + 3, START + 30)), series(1)),
        DataError,
        ("stretch",),
    ),
    ("no stretch in common", lambda: searched(series(0), series(1, start=START + 1e5)), DataError, ("stretch",)),
    (
        "a dead channel",
        lambda: searched(series(0, gap=(START, START + 32), fill=0.0), series(1)),
        DataError,
        ("constant",),
    ),
    ("a threshold that is NaN", lambda: searched(series(0), series(1), threshold=NAN), ConfigError, ("threshold",)),
    ("a block that is infinite", lambda: searched(series(0), series(1), block=INF), ConfigError, ("block",)),
    ("a threshold in words", lambda: searched(series(0), series(1), threshold="low"), ConfigError, ("threshold",)),
):
    refuses("search.search", name, lambda room, call=call: call(), error, *said)


def prepared(room: Room, *words: object) -> Any:
    from data_prep.__main__ import main

    return main([str(word) for word in words])


def reader(name: str) -> Callable[..., Any]:
    from data_prep import lvcnr, maya, metadata, nr_files, tables

    return {
        "read_lvcnr": lvcnr.read_lvcnr, "read_rit": lvcnr.read_rit, "read_maya_psi4": maya.read_maya_psi4,
        "read_sxs_gatech": tables.read_sxs_gatech, "read_spec_nonspinning": tables.read_spec_nonspinning,
        "read_gatech_polarizations": nr_files.read_gatech_polarizations, "metadata.read": metadata.read,
    }[name]  # fmt: skip


def table_npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays or {"a": values()})
    return path


for name, suffix in (
    ("read_lvcnr", "h5"), ("read_rit", "h5"), ("read_maya_psi4", "h5"), ("read_sxs_gatech", "npz"),
    ("read_spec_nonspinning", "h5"), ("read_gatech_polarizations", "npz"), ("metadata.read", "json"),
):  # fmt: skip
    entry, filename = f"data_prep {name}", f"run.{suffix}"
    refuses(entry, "no such file", lambda room, n=name, f=filename: reader(n)(room.inside / f), DataError, filename)
    refuses(
        entry, "a file of zeros", lambda room, n=name, f=filename: reader(n)(write(room.inside / f, bytes(4096))), DataError, filename
    )  # fmt: skip
    if suffix == "npz":
        refuses(
            entry,
            "another table",
            lambda room, n=name: reader(n)(table_npz(room.inside / "run.npz")),
            DataError,
            "lacks",
        )
        refuses(
            entry, "a table cut short", lambda room, n=name: reader(n)(cut(table_npz(room.inside / "run.npz"))), DataError, "truncated"
        )  # fmt: skip
PREPARED: list[tuple[str, Callable[[Room], list[object]], type[GwsmlError], tuple[str, ...]]] = [
    ("no output folder", lambda r: ["eob"], ConfigError, ("--out",)),
    ("a configuration that is not there", lambda r: ["eob", "--config", r.inside / "no.toml"], ConfigError, ("no.toml",)),
    ("a configuration that is no TOML", lambda r: ["nr", "--config", write(r.inside / "c.toml", "[a")], ConfigError, ("c.toml",)),
    ("an unknown key", lambda r: ["eob", "--config", write(r.inside / "c.toml", "[data.eob]\nnumber = 3\n")], ConfigError, ("number",)),
    ("a negative number of waveforms", lambda r: ["eob", "--config", write(r.inside / "c.toml", "[data.eob]\nn = -3\n")], ConfigError, ("n = -3",)),
    ("a folder without catalogues", lambda r: ["nr", "--data", r.inside, "--eob-at-nr", r.inside / "x.npz", "--out", r.out], DataError, ("x.npz",)),
    ("remnants from nowhere", lambda r: ["remnants", "--data", r.inside / "no", "--out", r.out], DataError, ("no",)),
    ("an eob set below a file", lambda r: ["eob", "--n", "1", "--out", write(r.inside / "f", "x") / "eob"], ConfigError, ("cannot be written",)),
    ("an eob set of another configuration", lambda r: ["eob", "--n", "1", "--out", write(r.inside / "e" / "config.json", "{}").parent], ConfigError, ("another configuration",)),
]  # fmt: skip
for name, words, error, said in PREPARED:
    refuses("python -m data_prep", name, lambda room, w=words: prepared(room, *w(room)), error, *said)
