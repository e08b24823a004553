"""Settings of a trigger network and of its training; unknown keys are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from gwsurrogate_ml.settings import Strict
from gwsurrogate_ml.trigger.network import BITS, STREAM, LayerSettings

RATE = 1024.0
"""Samples a second of the whitened strain: twice the top of the band, which heavy binaries do not reach."""


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if not 0 < pair[0] <= pair[1]:
        raise ValueError(f"{list(pair)} is no range: write [low, high], both above 0")
    return pair


Range = Annotated[tuple[float, float], AfterValidator(_rising)]


class DataSettings(Strict):
    """What is simulated.

    Parameters
    ----------
    n_waveforms, n_glitches : int
    mass : (low, high), solar masses, detector frame
    q_max, chi : float, largest ratio of masses and aligned spin
    snr : (low, high)
        signals are log-uniform in the SNR of both detectors together
    glitch_snr : (low, high), log-uniform
    signals, glitches : float
        share of windows with a signal, and of the others with a glitch in one detector
    real : float
        share of windows in real noise, where there is any
    window : int
        scores in a window
    """

    n_waveforms: int = Field(default=2000, ge=10)
    n_glitches: int = Field(default=1000, ge=10)
    mass: Range = (20.0, 80.0)
    q_max: float = Field(default=4.0, ge=1.1, le=6)
    chi: float = Field(default=0.6, ge=0, le=0.8)
    snr: Range = (6.0, 25.0)
    glitch_snr: Range = (5.0, 60.0)
    signals: float = Field(default=0.25, gt=0, lt=1)
    glitches: float = Field(default=0.35, ge=0, lt=1)
    real: float = Field(default=0.6, ge=0, le=1)
    window: int = Field(default=256, ge=96)


class TrainingSettings(Strict):
    """AdamW, first in float32, then in fixed point from there; the learning rate falls as a cosine in each.

    Parameters
    ----------
    float_steps, fixed_steps, batch : int
    float_rate, fixed_rate, clip : float
    mined : int
        windows that are drawn for each one trained on: those with a signal are kept, and of the others the loudest, since rare
        false alarms are what a search is judged by
    """

    float_steps: int = Field(default=2000, ge=20)
    fixed_steps: int = Field(default=600, ge=20)
    batch: int = Field(default=96, ge=8)
    float_rate: float = Field(default=8e-3, gt=0)
    fixed_rate: float = Field(default=2e-3, gt=0)
    clip: float = Field(default=2.0, gt=0)
    mined: int = Field(default=2, ge=1)


class TriggerSettings(Strict):
    """Everything that determines a trained trigger, with the seed.

    Parameters
    ----------
    name, version : str
    surrogate : str, name or path
    seed : int
    bits : int
        of inputs, weights and activations
    noise : folder, optional
        strain files named DETECTOR-anything of H1 and L1 (see `strain.read`), gaps where signals were; without it all noise is
        simulated
    """

    name: str = "bbh-trigger"
    version: str = "1"
    surrogate: str = "nrhm"
    seed: int = Field(default=1, ge=0)
    bits: int = Field(default=6, ge=BITS[0], le=BITS[1])
    noise: Path | None = None
    layers: tuple[LayerSettings, ...] = Field(default=STREAM, min_length=1)
    data: DataSettings = DataSettings()
    training: TrainingSettings = TrainingSettings()
