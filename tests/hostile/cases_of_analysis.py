"""Strain with a signal, for the analyses that are killed."""

from __future__ import annotations

from pathlib import Path


def strain_files(folder: Path) -> dict[str, Path]:
    """H1 and L1 files of simulated noise with a loud binary at the material's GPS time."""
    from gwsurrogate_ml.strain.simulate import simulate
    from tests.hostile.material import BINARY, SKY, surrogate

    data = simulate(BINARY | SKY, surrogate(), duration=32.0, sampling_frequency=2048.0, seed=4)
    files = {}
    for name, series in data.series.items():
        files[name] = folder / f"{name}.hdf5"
        series.name = name
        series.write(files[name], path="strain", format="hdf5")
    return files
