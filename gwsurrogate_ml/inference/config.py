"""Settings of an estimator and of its training; unknown keys are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gwsurrogate_ml.inference.prior.binary import BinaryPrior
from gwsurrogate_ml.settings import Strict, read


class SegmentConfig(Strict):
    """The analysis segment an estimator is trained for.

    Parameters
    ----------
    duration : s; f_min, f_max : Hz; detectors : one name or more
    """

    detectors: tuple[str, ...] = Field(default=("H1", "L1"), min_length=1)
    duration: float = Field(default=4.0, gt=0)
    f_min: float = Field(default=20.0, gt=0)
    f_max: float = Field(default=1024.0, gt=0)

    @model_validator(mode="after")
    def _check(self) -> SegmentConfig:
        if len(set(self.detectors)) < len(self.detectors):
            raise ValueError(f"detectors are {', '.join(self.detectors)}: name each once")
        if not self.f_min < self.f_max:
            raise ValueError(f"f_min is {self.f_min:g} Hz and f_max {self.f_max:g} Hz: need f_min < f_max")
        return self


class SimulatorConfig(Strict):
    """What is simulated: sizes of the bank and bases, the range of network signal-to-noise ratio.

    Parameters
    ----------
    bank_size : int
        waveforms signals are drawn from at any moment of the training
    refresh, refresh_every : int
        so many of them are replaced by new binaries, every so many steps of the training; 0: never
    basis_size, network_basis_size : int
        complex coefficients of the bank, and of the network's input per detector
    templates : int
        waveforms of the bank the features choose their phase by
    psds : int
        random PSDs per kind of detector
    snr : (low, high)
        optimal network signal-to-noise ratio
    volume_below : float
        below about this ratio signals are as frequent as volume has it, density ~ snr^-4; above, log-uniform
    heard : float
        ratio that the loudest of the templates must reach in the data: what is quieter is never analysed
    groups : int
        sets of PSDs per batch
    pool : int
        candidates per simulated signal
    """

    bank_size: int = Field(default=300_000, ge=100)
    refresh: int = Field(default=0, ge=0)
    refresh_every: int = Field(default=250, ge=1)
    basis_size: int = Field(default=130, ge=8)
    network_basis_size: int = Field(default=48, ge=4)
    templates: int = Field(default=64, ge=1)
    psds: int = Field(default=1024, ge=2)
    snr: tuple[float, float] = (4.5, 42.0)
    volume_below: float = Field(default=10.0, gt=0)
    heard: float = Field(default=6.3, ge=0)
    groups: int = Field(default=16, ge=1)
    pool: int = Field(default=16, ge=2)

    @model_validator(mode="after")
    def _check(self) -> SimulatorConfig:
        if not 0 < self.snr[0] < self.snr[1]:
            raise ValueError(f"snr is {self.snr}: give (low, high) with 0 < low < high")
        if not self.network_basis_size <= self.basis_size <= self.bank_size:
            raise ValueError(
                f"network_basis_size is {self.network_basis_size}, basis_size {self.basis_size}, bank_size {self.bank_size}: "
                "none may exceed the next"
            )
        return self


class NetworkConfig(Strict):
    """Sizes of the embedding and of the neural spline flow.

    Parameters
    ----------
    width, blocks, context : of the embedding; transforms, hidden, bins : of the flow
    bfloat16 : bool
        train the embedding in bfloat16 (faster on processors with AMX or AVX512-BF16)
    """

    width: int = Field(default=256, ge=1)
    blocks: int = Field(default=3, ge=0)
    context: int = Field(default=64, ge=1)
    transforms: int = Field(default=4, ge=1)
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (128, 128)
    bins: int = Field(default=8, ge=2)
    bfloat16: bool = False


class TrainingConfig(Strict):
    """The optimiser: AdamW, linear warm-up, cosine decay, exponential moving average of the weights.

    Parameters
    ----------
    steps, batch, warm_up : int; learning_rate : float; ema : float
    checkpoint_every, log_every : steps between checkpoints and between lines of the log
    validation : int
        simulated observations of the validation loss
    live_events, live_every : int
        injections whose sample efficiency is logged, every so many steps; 0 events: never
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
    validation: int = Field(default=4096, ge=16)
    live_events: int = Field(default=0, ge=0)
    live_every: int = Field(default=1000, ge=1)


class EstimatorConfig(Strict):
    """Everything that determines a trained estimator, with the seed.

    Parameters
    ----------
    name : str
    surrogate : str
        name or path of a surrogate, or "lal:APPROXIMANT" for one of LALSimulation's
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

    @model_validator(mode="after")
    def _check(self) -> EstimatorConfig:
        if not 2 <= len(self.segment.detectors) <= 3:
            raise ValueError(
                f"detectors are {', '.join(self.segment.detectors)}: estimators are trained for two or three, `sample_event` takes "
                "any number without one"
            )
        return self


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
    return read(EstimatorConfig, source)
