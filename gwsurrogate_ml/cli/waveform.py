"""`gwsml waveform`: the polarizations of a binary from the shipped surrogate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gwsurrogate_ml.cli.options import Json


def waveform(
    mass_1: Annotated[float, typer.Option("--mass-1", help="Heavier mass in solar masses, detector frame.")],
    mass_2: Annotated[float, typer.Option("--mass-2", help="Lighter mass in solar masses, detector frame.")],
    chi_1: Annotated[float, typer.Option("--chi-1", help="Aligned spin of the heavier body.")] = 0.0,
    chi_2: Annotated[float, typer.Option("--chi-2", help="Aligned spin of the lighter body.")] = 0.0,
    luminosity_distance: Annotated[float, typer.Option("--luminosity-distance", help="In Mpc.")] = 410.0,
    theta_jn: Annotated[float, typer.Option("--theta-jn", help="Inclination in rad.")] = 0.0,
    phase: Annotated[float, typer.Option("--phase", help="Orbital phase at the peak in rad.")] = 0.0,
    f_min: Annotated[float, typer.Option("--f-min", help="Starting frequency of the (2,2) mode in Hz.")] = 20.0,
    sampling_frequency: Annotated[float, typer.Option("--sampling-frequency", help="In Hz.")] = 4096.0,
    surrogate: Annotated[
        str | None, typer.Option("--surrogate", help="Shipped name or folder; default: nrhm, seven modes.")
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
    from gwsurrogate_ml.surrogate.load import load_aligned

    parameters: dict[str, Any] = {
        "mass_1": mass_1,
        "mass_2": mass_2,
        "chi_1": chi_1,
        "chi_2": chi_2,
        "luminosity_distance": luminosity_distance,
        "theta_jn": theta_jn,
        "phase": phase,
        "f_min": f_min,
        "sampling_frequency": sampling_frequency,
    }
    config = {"command": "waveform", "parameters": parameters, "versions": package_versions("numpy", "gwpy", "torch")}
    with output_folder(out, config) as output:
        model = load_aligned() if surrogate is None else load_aligned(surrogate)
        hp, hc = model.polarizations(**parameters)
        with whole_hdf5(output.path / "waveform.hdf5") as file:
            for name, series in (("hp", hp), ("hc", hc)):
                series.name = name
                series.write(file, path=name, format="hdf5")
        title = f"{mass_1:g} + {mass_2:g} $M_\\odot$, $\\chi_1$ = {chi_1:g}, $\\chi_2$ = {chi_2:g}"
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
