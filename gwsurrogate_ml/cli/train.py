"""`gwsml train`: train a surrogate, an estimator, a denoiser or another model; a killed run resumes where it stopped."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gwsurrogate_ml.cli.console import ProgressReport, stdout
from gwsurrogate_ml.errors import ConfigError

app = typer.Typer(help="Train models; a killed run resumes.", no_args_is_help=True)

Config = Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped configuration.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder of the model; default out/CONFIG.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, in place of the file's; may be repeated.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, max=2**62, help="Seed in place of the configuration's.")]


def parse_overrides(pairs: Sequence[str], seed: int | None = None) -> dict[str, Any]:
    """Nested mapping from ``key.sub=value`` words; values are read as TOML, and as text where they are none.

    Raises
    ------
    ConfigError
        if a word has no ``=``

    Examples
    --------
    >>> parse_overrides(["epochs=3", "training.rates=[1, 2]", "eob=../data"], seed=7)
    {'epochs': 3, 'training': {'rates': [1, 2]}, 'eob': '../data', 'seed': 7}
    """
    result: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {pair!r}: write KEY=VALUE, such as epochs=100")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        *parents, last = key.split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ConfigError(f"--set {pair!r}: {parent!r} was given a value already, it cannot hold {last!r}")
        place[last] = value
    return result if seed is None else result | {"seed": seed}


def model_folder(out: Path | None, config: str) -> Path:
    """Folder to write a model to, checked: it is replaced at the end, so it must be new, empty or a model.

    Raises
    ------
    ConfigError
        if it holds anything but a model, or cannot be written
    """
    folder = out or Path("out") / Path(config).stem
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out {folder} is a file: name a folder that is new, empty, or a model to replace")
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if foreign := sorted(present - {"card.json", "weights.safetensors"}):
        raise ConfigError(f"--out {folder} holds {foreign[0]!r}, which is no part of a model: name another folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {folder} cannot be written ({error.strerror}): name another folder") from error
    return folder


def content(config: str, sets: Sequence[str] | None, seed: int | None) -> dict[str, Any]:
    """Content of the configuration called `config`, with what the command line says in place."""
    from gwsurrogate_ml.settings import shipped

    return merged(shipped(config), parse_overrides(sets or [], seed))


def train(config: str, out: Path | None, run: Callable[[Path, ProgressReport], object]) -> None:
    """Train into the folder of the model, `run` with it and the report of progress, and say so."""
    folder = model_folder(out, config)
    with ProgressReport() as progress:
        run(folder, progress)
    stdout().print(f"wrote {folder}: card.json, weights.safetensors", soft_wrap=True)


@app.command("surrogate")
def surrogate(config: Config, out: Out = None, sets: Sets = None, seed: Seed = None) -> None:
    """Train a surrogate on the sets that `python -m data_prep` makes."""
    from gwsurrogate_ml.surrogate.config import load_config
    from gwsurrogate_ml.surrogate.train import train_surrogate

    settings = load_config(config, parse_overrides(sets or [], seed))
    train(config, out, partial(train_surrogate, settings))


@app.command("inspiral")
def inspiral(config: Config = "inspiral", out: Out = None, sets: Sets = None) -> None:
    """Train the early inspiral of aligned surrogates on the set that `python -m data_prep inspiral` makes."""
    from gwsurrogate_ml.settings import read
    from gwsurrogate_ml.surrogate.inspiral import InspiralConfig, train_inspiral

    train(config, out, partial(train_inspiral, read(InspiralConfig, content(config, sets, None))))


@app.command("precessing")
def precessing(config: Config = "nrphm", out: Out = None, sets: Sets = None) -> None:
    """Train a precessing surrogate on the sets that `python -m data_prep nrsur7dq2` and `seobnrv5phm` make."""
    from gwsurrogate_ml.settings import read
    from gwsurrogate_ml.surrogate.precessing.train import PrecessingConfig, train_precessing

    train(config, out, partial(train_precessing, read(PrecessingConfig, content(config, sets, None))))


@app.command("estimator")
def estimator(
    config: Config,
    out: Out = None,
    sets: Sets = None,
    seed: Seed = None,
    devices: Annotated[int, typer.Option("--devices", min=1, help="GPUs, or processes where there are none.")] = 1,
) -> None:
    """Train an estimator on signals of a surrogate in simulated noise, in several processes also under `torchrun`."""
    from gwsurrogate_ml.inference.config import read_config
    from gwsurrogate_ml.inference.training.processes import relaunch
    from gwsurrogate_ml.inference.training.train import train_estimator

    settings = read_config(content(config, sets, seed))
    folder = model_folder(out, config)
    relaunch(devices)
    with ProgressReport() as progress:
        train_estimator(settings, folder, progress=progress)
    if os.environ.get("RANK", "0") == "0":
        stdout().print(f"wrote {folder}: card.json, weights.safetensors", soft_wrap=True)


@app.command("denoiser")
def denoiser(config: Config, out: Out = None, sets: Sets = None, seed: Seed = None) -> None:
    """Train a signal autoencoder on waveforms of a surrogate in Gaussian noise, and in real noise where folders of it are given."""
    from gwsurrogate_ml.denoise.signal.finish import train_denoiser
    from gwsurrogate_ml.denoise.signal.settings import read_settings
    from gwsurrogate_ml.surrogate.load import load_aligned

    settings = read_settings(content(config, sets, seed))
    surrogate = load_aligned(settings.surrogate)
    train(config, out, lambda folder, progress: train_denoiser(settings, folder, surrogate, progress))


@app.command("remnant")
def remnant(config: Config, out: Out = None, sets: Sets = None, seed: Seed = None) -> None:
    """Train a remnant model on the table that `python -m data_prep remnants` makes."""
    from gwsurrogate_ml.surrogate.remnant.train import read_config, train_remnant

    settings = read_config(content(config, sets, seed))
    train(config, out, partial(train_remnant, settings))


@app.command("anomaly")
def anomaly(config: Config = "anomaly-h1l1", out: Out = None, sets: Sets = None, seed: Seed = None) -> None:
    """Train the model of `gwsml search --anomalies` on bursts and glitches in a folder of noise; begins anew if killed."""
    from gwsurrogate_ml.search.anomalies.train import AnomalyConfig, train_anomalies
    from gwsurrogate_ml.settings import read
    from gwsurrogate_ml.surrogate.load import load_aligned

    settings = read(AnomalyConfig, content(config, sets, seed))
    surrogate = load_aligned(settings.surrogate)
    train(config, out, lambda folder, progress: train_anomalies(settings, folder, surrogate, progress))


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` in place, tables merged key by key.

    Examples
    --------
    >>> merged({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}})
    {'a': {'b': 1, 'c': 3}}
    """
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result
