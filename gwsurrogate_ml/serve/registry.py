"""Which model serves a trained one: by its kind, from its name or folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ArtifactError, ConfigError
from gwsurrogate_ml.serve.base import ServedModel
from gwsurrogate_ml.serve.surrogates import SurrogateModes, SurrogatePolarizations


def _surrogates(folder: Path) -> list[ServedModel]:
    from gwsurrogate_ml.surrogate.load import load_surrogate
    from gwsurrogate_ml.surrogate.precessing.model import PrecessingSurrogate

    surrogate = load_surrogate(folder)
    if isinstance(surrogate, PrecessingSurrogate):
        from gwsurrogate_ml.serve.precessing import PrecessingModes, PrecessingPolarizations

        return [PrecessingModes(surrogate), PrecessingPolarizations(surrogate)]
    return [SurrogateModes(surrogate), SurrogatePolarizations(surrogate)]


def _estimators(folder: Path) -> list[ServedModel]:
    from gwsurrogate_ml.inference import load_estimator
    from gwsurrogate_ml.serve.posterior import ServedEstimator

    return [ServedEstimator(load_estimator(folder))]


def _cleaners(folder: Path) -> list[ServedModel]:
    from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
    from gwsurrogate_ml.serve.streams import WitnessStream

    return [WitnessStream(WitnessCleaner.load(folder))]


def _denoisers(folder: Path) -> list[ServedModel]:
    from gwsurrogate_ml.denoise.signal.load import load_denoiser
    from gwsurrogate_ml.serve.streams import SignalStreamModel

    return [SignalStreamModel(load_denoiser(folder))]


KINDS: dict[str, Callable[[Path], list[ServedModel]]] = {
    "surrogate": _surrogates,
    "estimator": _estimators,
    "witness_cleaner": _cleaners,
    "signal_denoiser": _denoisers,
}


def serve_model(name_or_path: str | Path, served_as: str | None = None) -> list[ServedModel]:
    """What a trained model is served as, by its card's kind; a surrogate is served as modes and as polarizations.

    Parameters
    ----------
    name_or_path : str or Path
    served_as : str, optional
        a name instead of the card's: two models of one name can then be served together

    Raises
    ------
    ArtifactError
        unknown name, damaged files
    ConfigError
        a kind that is not served, or a name that no address can hold

    Examples
    --------
    >>> [model.name for model in serve_model("nr22", "mine")]
    ['mine', 'mine-polarizations']
    """
    if served_as is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", served_as):
        raise ConfigError(f"the name {served_as!r} cannot stand in an address: take letters, digits, '.', '_' and '-'")
    folder = artifacts.resolve(name_or_path, "model")
    try:
        card = json.loads((folder / "card.json").read_text())
        kind = str(card["kind"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder / 'card.json'} is not a model card: get the model again") from error
    if kind not in KINDS:
        raise ConfigError(f"{name_or_path} is a model of kind {kind!r}: of those served are {', '.join(KINDS)}")
    models = KINDS[kind](folder)
    if served_as is not None:
        for model in models:
            model.name = served_as + model.name.removeprefix(str(card["name"]))
    return models
