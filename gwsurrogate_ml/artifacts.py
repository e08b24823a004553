"""Trained models on disk: a folder with `weights.safetensors` and `card.json`; no pickles.

The card holds name, kind, version, parameter ranges, training data with checksums, seed, metrics and package versions. Loading
checks the format version and the checksum of the weights. Folders are written under a temporary name and renamed.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import ArtifactError
from gwsurrogate_ml.files import refusal, whole_folder

FORMAT_VERSION = 1
SHIPPED = Path(__file__).parent / "models"


def package_versions(*names: str) -> dict[str, str]:
    """Versions of this package, Python and the named distributions, for cards and reports.

    Examples
    --------
    >>> sorted(package_versions("numpy"))
    ['gwsurrogate-ml', 'numpy', 'python']
    """
    versions = {"python": platform.python_version(), "gwsurrogate-ml": metadata.version("gwsurrogate-ml")}
    return versions | {name: metadata.version(name) for name in names}


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def save(folder: Path, card: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Path:
    """Write a model as `folder`/weights.safetensors and card.json, whole or not at all.

    Parameters
    ----------
    folder : Path
        replaced if it exists
    card : mapping
        JSON-serialisable; must hold `name` and `kind`; format version, checksum and versions are added
    tensors : mapping of numpy arrays

    Returns
    -------
    Path of the folder

    Raises
    ------
    ArtifactError
        if `card` lacks `name` or `kind`, or the folder cannot be written
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    for key in ("name", "kind"):
        if key not in card:
            raise ArtifactError(f"the card lacks {key!r}: every model says what it is")
    try:
        json.dumps(dict(card))
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"the card cannot be written as JSON ({error}): give plain numbers, words and lists") from error
    for key, value in tensors.items():
        if np.asarray(value).dtype.kind not in "fiub":
            raise ArtifactError(f"tensor {key!r} has dtype {np.asarray(value).dtype}: give arrays of real numbers")
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(f"{folder} is a file: name a folder for the model")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(folder) as temporary:
            weights = temporary / "weights.safetensors"
            save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, weights)
            full = {
                "format_version": FORMAT_VERSION,
                **card,
                "weights_sha256": sha256(weights),
                "versions": package_versions("numpy", "scipy", "torch", "zuko", "sbi"),
            }
            (temporary / "card.json").write_text(json.dumps(full, indent=1) + "\n")
            weights.chmod(0o644)
    except (OSError, SafetensorError) as error:
        raise refusal(folder, error, ArtifactError) from error
    return folder


def available() -> list[str]:
    """Names of the shipped models.

    Examples
    --------
    >>> isinstance(available(), list)
    True
    """
    return sorted(path.parent.name for path in SHIPPED.glob("*/card.json"))


def resolve(name_or_path: str | Path, kind: str) -> Path:
    """Folder of a shipped model (by name) or of a user's (by path).

    Raises
    ------
    ArtifactError
        if there is neither, with the names that exist
    """
    for candidate in (SHIPPED / str(name_or_path), Path(name_or_path)):
        if (candidate / "card.json").is_file():
            return candidate
    names = [name for name in available() if kind in ("model", _kind(SHIPPED / name))] or available()
    lal = ", or lal: and the name of an approximant" if kind == "surrogate" else ""
    raise ArtifactError(
        f"no {kind} {str(name_or_path)!r}: give one of {', '.join(names)}, or a folder with card.json and weights.safetensors{lal}"
    )


def _kind(folder: Path) -> str:
    return str(json.loads((folder / "card.json").read_text(encoding="utf-8"))["kind"])


def load(name_or_path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Card and tensors of a model, checked.

    Parameters
    ----------
    name_or_path : str or Path
        a shipped model's name or a folder
    kind : str
        "surrogate", "estimator", "denoiser", ...: must equal the card's

    Raises
    ------
    ArtifactError
        unknown name, not a card, other format version, other kind, missing or altered weights
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = resolve(name_or_path, kind)
    try:
        card = json.loads((folder / "card.json").read_text())
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{folder / 'card.json'} is not a model card ({error}): get the model again") from error
    if not isinstance(card, dict) or card.get("format_version") != FORMAT_VERSION:
        found = card.get("format_version") if isinstance(card, dict) else None
        raise ArtifactError(f"{folder} has format version {found}, this package reads {FORMAT_VERSION}: retrain or update")
    if card.get("kind") != kind:
        raise ArtifactError(f"{folder} holds a model of kind {card.get('kind')!r}, not {kind!r}")
    weights = folder / "weights.safetensors"
    if not weights.is_file():
        raise ArtifactError(f"{weights} is missing: get the model again")
    if sha256(weights) != card.get("weights_sha256"):
        raise ArtifactError(f"{weights} does not match the checksum in its card: it is damaged or foreign, get it again")
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise ArtifactError(f"{weights} is not a safetensors file ({error}): get the model again") from error
    for key, value in tensors.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ArtifactError(f"{key!r} in {weights} holds numbers that are not finite: get the model again, or train it anew")
    return card, tensors


def require(card: Mapping[str, Any], **kinds: type | tuple[type, ...]) -> None:
    """Raise unless `card` has the keys named, each of the type given.

    Raises
    ------
    ArtifactError
        naming the model and the key

    Examples
    --------
    >>> require({"name": "x", "degree": 4}, degree=int)
    """
    for key, kind in kinds.items():
        if not isinstance(card.get(key), kind) or isinstance(card[key], bool):
            found = f"has {key} = {card[key]!r:.60}" if key in card else f"lacks {key!r}"
            raise ArtifactError(f"the card of {card.get('name')!r} {found}: restore the card that came with the weights")
