"""Settings of a signal autoencoder and of its training; unknown keys are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from gwsurrogate_ml.settings import Strict, read


class DataSettings(Strict):
    """What is simulated.

    Parameters
    ----------
    n_waveforms, n_psds : int
    snr : (low, high)
        signals are log-uniform in SNR
    snr_start : float
        the curriculum: the lowest SNR falls from this to `snr[0]` over the first `curriculum` steps
    window : float, s
        length of an example
    real_fraction, noise_fraction, glitch_fraction : float
        shares of examples in real noise (if there is any), with noise alone, and with a glitch
    outside_fraction : float
        share of the signals whose peak lies just outside the segment's search interval, which are not to be recovered
    glitches : kinds of glitches the network learns to leave alone
    reference, quiet : int
        after training: segments that the latent score compares with, and of noise to calibrate on where there is no real one
    """

    n_waveforms: int = Field(default=12000, ge=10)
    n_psds: int = Field(default=512, ge=1)
    snr: tuple[float, float] = (5.0, 40.0)
    snr_start: float = Field(default=20.0, gt=0)
    curriculum: int = Field(default=600, ge=0)
    window: float = Field(default=2.0, gt=0.5, le=4.0)
    real_fraction: float = Field(default=0.4, ge=0, le=1)
    noise_fraction: float = Field(default=0.1, ge=0, le=1)
    glitch_fraction: float = Field(default=0.12, ge=0, le=1)
    outside_fraction: float = Field(default=0.0, ge=0, lt=1)
    glitches: tuple[str, ...] = Field(default=("sine-Gaussian", "noise burst"), min_length=1)
    reference: int = Field(default=1500, ge=50)
    quiet: int = Field(default=200, ge=10)


class NetworkSettings(Strict):
    """Sizes of `network.Autoencoder`, whose parameters they are."""

    width: int = Field(default=128, ge=4)
    long: int = Field(default=64, ge=2)
    short: int = Field(default=64, ge=2)
    long_length: int = Field(default=1024, ge=64)
    short_length: int = Field(default=128, ge=32)
    hop: int = Field(default=32, ge=4)
    ahead: int = Field(default=128, ge=0)
    dilations: tuple[int, ...] = Field(default=(1, 2, 4, 8, 16, 1, 2, 4), min_length=1)


class ProjectionSettings(Strict):
    """A bank of waveforms whose posterior mean the network is given beside the data (`projection`).

    Parameters
    ----------
    bank : str, name or path of a denoiser by a bank
    heads, best : int
        waveforms of the coarse search, and those that are looked at closely
    temperature : float
        growth of the temperature of the waveforms' weights per squared SNR: it stands for the gaps between them
    pool : int
        examples that are made in advance, since projections take their time; the training goes through them again and again
    """

    bank: str = "bbh-signal"
    heads: int = Field(default=300, ge=1)
    best: int = Field(default=160, ge=1)
    temperature: float = Field(default=0.008, ge=0)
    pool: int = Field(default=8192, ge=64)


class TrainingSettings(Strict):
    """The optimiser: AdamW, a learning rate that rises linearly and falls as a cosine, an average of the weights.

    Parameters
    ----------
    steps, batch, warm_up : int; learning_rate, weight_decay, ema, clip : float
    restarts : steps
        at which the cosine begins anew, each time from half the learning rate of the time before
    spread, presence : float
        weights of the losses of sigma and of the presence of a signal beside the squared error
    bfloat16 : bool
        faster on processors with AMX or AVX512-BF16
    checkpoint_every, log_every : steps
    """

    steps: int = Field(default=2400, ge=1)
    batch: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    warm_up: int = Field(default=50, ge=1)
    restarts: tuple[int, ...] = ()
    ema: float = Field(default=0.998, ge=0, lt=1)
    clip: float = Field(default=5.0, gt=0)
    spread: float = Field(default=0.3, ge=0)
    presence: float = Field(default=1.0, ge=0)
    bfloat16: bool = True
    checkpoint_every: int = Field(default=100, ge=1)
    log_every: int = Field(default=50, ge=1)


class DenoiserSettings(Strict):
    """Everything that determines a trained autoencoder, with the seed.

    Parameters
    ----------
    name, version : str
    surrogate : str, name or path
    seed : int
    noise, calibration : folder, optional
        strain files named DETECTOR-anything (see `strain.read`) of real noise to train on, and to calibrate on; gaps where
        signals were. Without them Gaussian noise stands in
    mass, chi : ranges of the waveforms: component masses (Msun, detector frame) and largest spin
    projection : of the data on a bank of waveforms, which the network corrects and judges; without it, it starts from nothing
    """

    name: str = "bbh-autoencoder"
    kind: Literal["signal_denoiser"] = "signal_denoiser"
    version: str = "1"
    surrogate: str = "nr22"
    seed: int = 1
    noise: Path | None = None
    calibration: Path | None = None
    mass: tuple[float, float] = (10.0, 80.0)
    chi: float = Field(default=0.8, ge=0, lt=0.9)
    data: DataSettings = DataSettings()
    network: NetworkSettings = NetworkSettings()
    projection: ProjectionSettings | None = None
    training: TrainingSettings = TrainingSettings()


def read_settings(source: DenoiserSettings | dict[str, Any] | str | Path) -> DenoiserSettings:
    """Settings from an object, a mapping, or a TOML or JSON file.

    Raises
    ------
    ConfigError
        no such file, not TOML or JSON, unknown keys or impossible values, each named

    Examples
    --------
    >>> read_settings({"training": {"steps": 10}}).training.steps
    10
    """
    return read(DenoiserSettings, source)
