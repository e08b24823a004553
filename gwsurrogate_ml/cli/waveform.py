"""`gwsml waveform`: the polarizations of a binary from a shipped surrogate, of aligned or of any spins."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from gwsurrogate_ml.cli.options import Json
from gwsurrogate_ml.errors import ConfigError

ALIGNED = ("chi_1", "chi_2")
PRECESSING = ("a_1", "a_2", "tilt_1", "tilt_2", "phi_12", "phi_jl")


def _spins(given: dict[str, float | None], precessing: bool) -> dict[str, float]:
    """Spins by the names that the model takes, those left out zero.

    Raises
    ------
    ConfigError
        spins given in two ways, or tilted ones for a model of aligned ones
    """
    there = {name: value for name, value in given.items() if value is not None}
    tilted = [f"--{name.replace('_', '-')}" for name in PRECESSING if name in there]
    along = [f"--{name.replace('_', '-')}" for name in ALIGNED if name in there]
    if tilted and along:
        raise ConfigError(f"{along[0]} and {tilted[0]} give spins in two ways: leave one out")
    if not precessing:
        if tilted:
            raise ConfigError(f"{tilted[0]} is for spins of any direction: take --surrogate nrphm, or --chi-1 and --chi-2")
        return {name: there.get(name, 0.0) for name in ALIGNED}
    for i in (1, 2):
        if f"tilt_{i}" in there and f"a_{i}" not in there:
            raise ConfigError(f"--tilt-{i} comes without --a-{i}: a spin of no length has no direction, give both")
    spins = dict.fromkeys(PRECESSING, 0.0) | {name: there[name] for name in PRECESSING if name in there}
    for i, name in enumerate(ALIGNED, start=1):
        chi = there.get(name, 0.0)
        if name in there:
            spins |= {f"a_{i}": abs(chi), f"tilt_{i}": math.pi if chi < 0 else 0.0}
    return spins


def waveform(
    mass_1: Annotated[float, typer.Option("--mass-1", help="Heavier mass in solar masses, detector frame.")],
    mass_2: Annotated[float, typer.Option("--mass-2", help="Lighter mass in solar masses, detector frame.")],
    chi_1: Annotated[float | None, typer.Option("--chi-1", help="Aligned spin of the heavier body; default: 0.")] = None,
    chi_2: Annotated[float | None, typer.Option("--chi-2", help="Aligned spin of the lighter body; default: 0.")] = None,
    a_1: Annotated[float | None, typer.Option("--a-1", help="Magnitude of the heavier body's spin, any direction: nrphm.")] = None,
    a_2: Annotated[float | None, typer.Option("--a-2", help="Magnitude of the lighter body's spin.")] = None,
    tilt_1: Annotated[float | None, typer.Option("--tilt-1", help="Its angle from the orbital angular momentum in rad.")] = None,
    tilt_2: Annotated[float | None, typer.Option("--tilt-2", help="The same of the lighter body.")] = None,
    phi_12: Annotated[float | None, typer.Option("--phi-12", help="Azimuth between the spins in rad.")] = None,
    phi_jl: Annotated[float | None, typer.Option("--phi-jl", help="Azimuth of the orbital about the total one in rad.")] = None,
    luminosity_distance: Annotated[float, typer.Option("--luminosity-distance", help="In Mpc.")] = 410.0,
    theta_jn: Annotated[
        float, typer.Option("--theta-jn", help="Angle of the total angular momentum to the line of sight in rad.")
    ] = 0.0,
    phase: Annotated[float, typer.Option("--phase", help="Orbital phase in rad: at the peak, or at --f-ref.")] = 0.0,
    f_min: Annotated[float, typer.Option("--f-min", help="Starting frequency of the (2,2) mode in Hz.")] = 20.0,
    f_ref: Annotated[
        float | None,
        typer.Option("--f-ref", help="Frequency in Hz that phase, tilts and angles belong to; of nrphm by default --f-min."),
    ] = None,
    sampling_frequency: Annotated[float, typer.Option("--sampling-frequency", help="In Hz.")] = 4096.0,
    surrogate: Annotated[
        str | None,
        typer.Option("--surrogate", help="Shipped name or folder; default: nrhm, seven modes, or nrphm with --a-1 or --a-2."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("out/waveform"),
    as_json: Json = False,
) -> None:
    """Plus and cross polarization as HDF5 (gwpy) and a figure."""
    from gwsurrogate_ml import plot
    from gwsurrogate_ml.artifacts import package_versions
    from gwsurrogate_ml.cli.analyze.figures import png
    from gwsurrogate_ml.cli.console import stdout
    from gwsurrogate_ml.cli.output import output_folder
    from gwsurrogate_ml.files import whole_hdf5
    from gwsurrogate_ml.surrogate.load import DEFAULT, load_surrogate
    from gwsurrogate_ml.surrogate.precessing.model import PrecessingSurrogate

    given = {"chi_1": chi_1, "chi_2": chi_2, "a_1": a_1, "a_2": a_2, "tilt_1": tilt_1, "tilt_2": tilt_2}
    given |= {"phi_12": phi_12, "phi_jl": phi_jl}
    if surrogate is None:
        surrogate = "nrphm" if a_1 is not None or a_2 is not None else DEFAULT
    model: Any = load_surrogate(surrogate)
    spins = _spins(given, isinstance(model, PrecessingSurrogate))
    parameters: dict[str, Any] = {
        "mass_1": mass_1,
        "mass_2": mass_2,
        **spins,
        "luminosity_distance": luminosity_distance,
        "theta_jn": theta_jn,
        "phase": phase,
        "f_min": f_min,
        "sampling_frequency": sampling_frequency,
    }
    if f_ref is not None:
        parameters["f_ref"] = f_ref
    versions = package_versions("numpy", "gwpy", "torch")
    config = {"command": "waveform", "surrogate": model.identity, "parameters": parameters, "versions": versions}
    with output_folder(out, config) as output:
        hp, hc = model.polarizations(**parameters)
        with whole_hdf5(output.path / "waveform.hdf5") as file:
            for name, series in (("hp", hp), ("hc", hc)):
                series.name = name
                series.write(file, path=name, format="hdf5")
        symbols = {"chi_1": "\\chi_1", "chi_2": "\\chi_2", "a_1": "a_1", "a_2": "a_2", "tilt_1": "\\theta_1", "tilt_2": "\\theta_2"}
        shown = ", ".join(f"${symbol}$ = {spins[name]:g}" for name, symbol in symbols.items() if name in spins)
        title = f"{mass_1:g} + {mass_2:g} $M_\\odot$, {shown}"
        (output.path / "waveform.png").write_bytes(png(plot.polarizations(hp, hc, title)))
    summary = {
        "start": float(hp.times.value[0]),
        "end": float(hp.times.value[-1]),
        "samples": len(hp),
        "peak_strain": float(abs(hp.value + 1j * hc.value).max()),
        "file": str(out / "waveform.hdf5"),
    }
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
        return
    console = stdout()
    console.print(
        f"{summary['samples']} samples from {summary['start']:.3f} s to {summary['end']:.3f} s around the peak, "
        f"largest strain {summary['peak_strain']:.2e}"
    )
    console.print(f"wrote {out}: waveform.hdf5 (hp, hc), waveform.png, config.json", soft_wrap=True)
