"""Settings of an estimator and of its training; unknown keys are refused."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.priors import BinaryPrior


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SegmentConfig(_Strict):
    """The analysis segment an estimator is trained for.

    Parameters
    ----------
    duration : s; f_min, f_max : Hz; detectors : two names
    """

    detectors: tuple[str, str] = ("H1", "L1")
    duration: float = Field(default=4.0, gt=0)
    f_min: float = Field(default=20.0, gt=0)
    f_max: float = Field(default=1024.0, gt=0)


class SimulatorConfig(_Strict):
    """What is simulated: sizes of the bank and bases, the range of network signal-to-noise ratio.

    Parameters
    ----------
    bank_size : int, waveforms of the bank; basis_size : its basis; network_basis_size : coefficients per detector the
    network sees psds : int, random PSDs per detector; snr : (low, high) optimal network signal-to-noise ratio groups
    : int, pairs of PSDs per batch; pool : int, candidates per simulated signal
    """

    bank_size: int = Field(default=80_000, ge=100)
    basis_size: int = Field(default=90, ge=8)
    network_basis_size: int = Field(default=36, ge=4)
    psds: int = Field(default=256, ge=2)
    snr: tuple[float, float] = (7.5, 42.0)
    groups: int = Field(default=16, ge=1)
    pool: int = Field(default=16, ge=2)


class NetworkConfig(_Strict):
    """Sizes of the embedding and of the neural spline flow."""

    width: int = 256
    blocks: int = 3
    context: int = 64
    transforms: int = 4
    hidden: tuple[int, ...] = (128, 128)
    bins: int = 8


class TrainingConfig(_Strict):
    """The optimiser: AdamW, linear warm-up, cosine decay, exponential moving average of the weights.

    Parameters
    ----------
    steps, batch, warm_up : int; learning_rate : float; ema : float
    checkpoint_every, log_every : steps between checkpoints and between lines of the log
    """

    steps: int = Field(default=8000, ge=1)
    batch: int = Field(default=2048, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = 1e-4
    warm_up: int = 200
    ema: float = Field(default=0.999, ge=0, lt=1)
    clip: float = Field(default=5.0, gt=0)
    checkpoint_every: int = Field(default=500, ge=1)
    log_every: int = Field(default=100, ge=1)


class EstimatorConfig(_Strict):
    """Everything that determines a trained estimator, with the seed.

    Parameters
    ----------
    name : str
    surrogate : str
        name or path of a surrogate, or "lal:APPROXIMANT" for a frequency-domain (2,2) model of LALSimulation
    """

    name: str = "bbh-h1l1"
    kind: Literal["estimator"] = "estimator"
    surrogate: str = "nr22"
    seed: int = 1
    prior: BinaryPrior = BinaryPrior()
    segment: SegmentConfig = SegmentConfig()
    simulator: SimulatorConfig = SimulatorConfig()
    network: NetworkConfig = NetworkConfig()
    training: TrainingConfig = TrainingConfig()


def read_config(source: EstimatorConfig | dict[str, Any] | str | Path) -> EstimatorConfig:
    """Settings from an object, a mapping, or a TOML or JSON file.

    Raises
    ------
    ConfigError
        no such file, not TOML or JSON, unknown keys or impossible values, each named

    Examples
    --------
    >>> read_config({"training": {"steps": 10}}).training.steps
    10
    """
    if isinstance(source, EstimatorConfig):
        return source
    try:
        if isinstance(source, dict):
            raw = source
        else:
            path = Path(source)
            text = path.read_text()
            raw = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        return EstimatorConfig.model_validate(raw)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {source}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "configuration"
        raise ConfigError(f"{where}: {first['msg']} (given: {first['input']!r})") from error
    except ValueError as error:
        raise ConfigError(f"{source} is neither TOML nor JSON: {error}") from error
