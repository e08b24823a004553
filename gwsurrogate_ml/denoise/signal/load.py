"""A trained signal denoiser by name or folder."""

from __future__ import annotations

from pathlib import Path

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.denoise.signal.denoiser import DEFAULT, KIND, SignalDenoiser
from gwsurrogate_ml.errors import ConfigError


def load_denoiser(name_or_path: str | Path = DEFAULT) -> SignalDenoiser:
    """A shipped signal denoiser by name, or one in a folder.

    "bbh-signal" is the posterior mean over a bank of waveforms, "bbh-autoencoder" the learned autoencoder.

    Raises
    ------
    ArtifactError
        if there is none of that name, or it is damaged
    ConfigError
        if it is of a method or an age that this package does not know
    """
    card, tensors = artifacts.load(name_or_path, KIND)
    method = card.get("method", "bank")
    if method == "bank":
        from gwsurrogate_ml.denoise.signal.bank_denoiser import BankDenoiser

        return BankDenoiser.restore(card, tensors)
    if method == "autoencoder":
        from gwsurrogate_ml.denoise.signal.autoencoder import AutoencoderDenoiser

        return AutoencoderDenoiser.restore(card, tensors)
    raise ConfigError(f"{name_or_path} is a denoiser by {method!r}, which this package does not know: update it")
