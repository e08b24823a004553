"""`gwsml demo`: a simulated event in H1 and L1, analysed like a real one; needs no data and no network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsurrogate_ml.cli.console import ProgressReport
from gwsurrogate_ml.cli.options import Draws, Estimator, Json, Seed, command_words

if TYPE_CHECKING:
    from gwsurrogate_ml.cli.output import Output
    from gwsurrogate_ml.strain.data import StrainData

GPS = 1126259462.4
DETECTORS = ("H1", "L1")
NAME = "Simulated event like GW150914"
PSD = "aLIGO_early_high_asd"
DURATION = 64.0
"""Seconds: beside the analysed 4 s, some 27 periodograms for the noise spectrum."""
SIGNAL = {
    "mass_1": 39.0,
    "mass_2": 32.0,
    "chi_1": 0.3,
    "chi_2": -0.1,
    "luminosity_distance": 600.0,
    "theta_jn": 2.7,
    "phase": 1.2,
    "psi": 0.8,
    "ra": 1.9,
    "dec": -1.2,
    "geocent_time": GPS,
}
"""Like GW150914: masses in the detector frame, distance in Mpc, angles in rad, time in GPS s."""


def demo(
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("out/demo"),
    estimator: Estimator = "bbh-h1l1",
    n_draws: Draws = 20_000,
    seed: Seed = 6,
    as_json: Json = False,
) -> None:
    """Simulate a GW150914-like signal in H1 and L1 noise, analyse it, and compare with the truth."""
    from gwsurrogate_ml.cli.analyze.pipeline import announce, run_into
    from gwsurrogate_ml.cli.analyze.settings import Settings
    from gwsurrogate_ml.cli.analyze.steps import unfinished
    from gwsurrogate_ml.cli.output import output_folder

    settings = Settings(estimator=estimator, n_draws=n_draws, seed=seed)
    words = command_words({"estimator": estimator, "n_draws": n_draws, "seed": seed, "out": out})
    with (
        unfinished(out, {"demo": [estimator, n_draws, seed]}, ["demo", *words]) as steps,
        output_folder(out, {"command": "demo"}) as output,
        ProgressReport() as progress,
    ):
        with progress.stage("simulating the data"):
            data = simulate_data(seed)
            files = write_strain(data, output)
        truths = true_parameters()
        summary = run_into(output, data, settings, ["demo", *words], progress, files=files, truths=truths, checkpoint=steps)
    announce(out, summary, as_json)


def simulate_data(seed: int) -> StrainData:
    """64 s of H1 and L1 noise with the signal of the shipped surrogate in it."""
    import gwsurrogate_ml as gw
    from gwsurrogate_ml.strain.simulate import simulate

    return simulate(
        SIGNAL,
        gw.load_surrogate("nr22"),
        detectors=DETECTORS,
        psds=PSD,
        duration=DURATION,
        gps=GPS,
        seed=seed,
        name=NAME,
    )


def true_parameters() -> dict[str, float]:
    """All parameters of the simulated signal under the names that the posterior uses."""
    from bilby.gw.conversion import luminosity_distance_to_redshift

    from gwsurrogate_ml.conventions import chirp_mass_from_components, effective_spin

    mass_1, mass_2 = SIGNAL["mass_1"], SIGNAL["mass_2"]
    masses = {
        "mass_1": mass_1,
        "mass_2": mass_2,
        "total_mass": mass_1 + mass_2,
        "chirp_mass": float(chirp_mass_from_components(mass_1, mass_2)),
    }
    redshift = float(luminosity_distance_to_redshift(SIGNAL["luminosity_distance"]))
    return {
        **SIGNAL,
        **masses,
        **{f"{name}_source": mass / (1 + redshift) for name, mass in masses.items()},
        "mass_ratio": mass_2 / mass_1,
        "chi_eff": float(effective_spin(mass_1 / mass_2, SIGNAL["chi_1"], SIGNAL["chi_2"])),
        "redshift": redshift,
    }


def write_strain(data: StrainData, output: Output) -> dict[str, tuple[Path]]:
    """Write one HDF5 file a detector into the output folder, readable by `gwsml analyze`; paths by detector."""
    files = {}
    for name, series in data.series.items():
        files[name] = (output.path / f"{name}_simulated.hdf5",)
        series.name = name
        series.write(*files[name], path="strain", format="hdf5")
    return files
