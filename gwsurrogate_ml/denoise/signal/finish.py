"""From a trained network to a denoiser: scale of its sigma, thresholds, and the reference of its latent score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gwsurrogate_ml.denoise.signal.autoencoder import AutoencoderDenoiser, Reference
from gwsurrogate_ml.denoise.signal.calibration import RATE, STRONG, inject, noise_level
from gwsurrogate_ml.denoise.signal.denoiser import KIND, REFERENCE
from gwsurrogate_ml.denoise.signal.example_pool import remove
from gwsurrogate_ml.denoise.signal.examples import Examples
from gwsurrogate_ml.denoise.signal.network import Autoencoder
from gwsurrogate_ml.denoise.signal.noise import gaussian, read_folder
from gwsurrogate_ml.denoise.signal.projection import Families, Projection, families, of_bank
from gwsurrogate_ml.denoise.signal.segment import Segment, frequencies
from gwsurrogate_ml.denoise.signal.settings import DenoiserSettings, ProjectionSettings, read_settings
from gwsurrogate_ml.denoise.signal.train import HELD, make_examples, optimise

Progress = Callable[[str, int, int], None]
_CALIBRATION, _REFERENCE, _NOISE = 6, 7, 8
HOP_TRAINING, HOP_CALIBRATION = 0.25, 0.5
"""Steps (s) between segments of the real noise, which overlap."""
N_COMPONENTS = 48
SNRS = (8.0, 12.0, 20.0, 32.0)
"""At which sigma is calibrated."""
FALSE_ALARMS, UNUSUAL = 0.005, 0.01
"""Shares of segments of calibration noise in which a signal is seen, and that are flagged."""


def train_denoiser(
    config: DenoiserSettings | dict[str, Any] | str | Path,
    out: str | Path,
    model: Any,
    progress: Progress | None = None,
) -> Path:
    """Train a signal autoencoder and write it to `out`; an earlier run of the same configuration goes on where it stopped.

    Parameters
    ----------
    config : DenoiserSettings, mapping, or path of a TOML file
    out : path
        folder of the model; the checkpoint lives in `out`.training until the end, `log.jsonl` stays there
    model : WaveformModel
    progress : callable, optional
        called as ``progress(stage, done, total)``

    Returns
    -------
    Path of the folder

    Raises
    ------
    ConfigError
        impossible settings, or another configuration's checkpoint in the way
    DataError
        if the folders of noise hold none
    """
    settings, out = read_settings(config), Path(out)
    work = out.with_name(out.name + ".training")
    taught = read_folder(settings.noise, HOP_TRAINING) if settings.noise else []
    quiet = read_folder(settings.calibration, HOP_CALIBRATION) if settings.calibration else []
    examples = make_examples(settings, model, taught, progress)
    guide = None if settings.projection is None else _guide(settings.projection)
    network, metrics = optimise(settings, examples, work, progress, guide.layer if guide else None)
    if not quiet:
        rng = np.random.default_rng([settings.seed, _NOISE])
        quiet = [gaussian(examples.psds[i % len(examples.psds)], rng) for i in range(settings.data.quiet)]
    denoiser = finish(settings, network, examples, quiet, metrics, guide)
    folder = denoiser.save(out)
    remove(work)
    for name in ("checkpoint.pt", "config.json"):
        (work / name).unlink(missing_ok=True)
    return folder


class Guide(NamedTuple):
    """A projection, the families of its bank, and what the card records of it."""

    layer: Projection
    families: Families
    card: dict[str, Any]


def _guide(settings: ProjectionSettings) -> Guide:
    from gwsurrogate_ml.strain.spectrum import load_psd

    waveforms, sha256 = of_bank(settings.bank)
    found = families(waveforms, np.interp(frequencies(), *load_psd(REFERENCE)), settings.heads)
    layer = Projection(waveforms, found.family, found.heads, settings.temperature, settings.best)
    card = {"bank": settings.bank, "bank_sha256": sha256, "temperature": settings.temperature, "best": settings.best}
    return Guide(layer, found, card)


def finish(
    settings: DenoiserSettings,
    network: Autoencoder,
    examples: Examples,
    noise: list[Segment],
    metrics: dict[str, Any],
    guide: Guide | None = None,
) -> AutoencoderDenoiser:
    """Calibrate a network on noise it was not trained on and on the waveforms held back."""
    for value in network.parameters():
        value.data = value.data.half().float()  # as it will be stored
    card = _card(settings, examples, network, metrics) | ({"projection": guide.card} if guide else {})
    denoiser = AutoencoderDenoiser(
        card | {"sigma_scale": [[1.0, 1.0]], "threshold": -1e3, "ood_threshold": np.inf},
        network,
        families=guide.families if guide else None,
    )
    rng = np.random.default_rng([settings.seed, _REFERENCE])
    drawn = examples.spectra(2 * settings.data.reference, rng, (settings.data.snr[0], 1.5 * settings.data.snr[1]))
    # Glitches are what the score is to tell apart: they are no part of the reference.
    usual = np.flatnonzero(~drawn.glitch)[: settings.data.reference]
    denoiser.reference = Reference.of(np.array([denoiser.latent(drawn.data[i], drawn.psd[i]) for i in usual]), N_COMPONENTS)
    rng = np.random.default_rng([settings.seed, _CALIBRATION])
    held = examples.waveforms[-max(1, round(HELD * len(examples.waveforms))) :]
    latents, scales = [], []
    n = min(48, len(held))
    for snr in SNRS:
        ratio, seen = [], []
        for waveform in held[:n]:
            segment = noise[int(rng.integers(len(noise)))]
            data, signal = inject(segment, waveform, snr, rng)
            r = denoiser.reconstruct(data, segment.psd, RATE)
            truth = denoiser.series(signal[None], RATE)[0]
            strong = np.abs(truth) > STRONG * np.abs(truth).max()
            ratio.append(float(np.quantile((np.abs(r.signal - truth) / r.sigma)[strong], 0.6827)))
            seen.append(r.snr)
            latents.append(r.ood_latent)
        # The mean over signals of the share within sigma is what is judged.
        scales.append([float(np.median(seen)), float(np.median(ratio))])
    denoiser.card["sigma_scale"] = sorted(scales)
    denoiser.card["threshold"] = 1e3  # nothing is subtracted before the residual is judged
    found = [denoiser.reconstruct(segment.white, segment.psd, RATE) for segment in noise]
    denoiser.card["threshold"] = noise_level([r.log_bayes for r in found], FALSE_ALARMS)
    denoiser.card["ood_threshold"] = float(np.quantile([r.ood for r in found], 1 - UNUSUAL))
    limits = [float(np.quantile(values, 1 - UNUSUAL)) for values in ([r.ood_latent for r in found], latents)]
    denoiser.card["latent_threshold"] = max(limits)
    denoiser.card["calibration"] = {
        "n_noise": len(noise),
        "n_injections": n * len(SNRS),
        "false_alarms": FALSE_ALARMS,
        "unusual": UNUSUAL,
    }
    return denoiser


def _card(settings: DenoiserSettings, examples: Examples, network: Autoencoder, metrics: dict[str, Any]) -> dict[str, Any]:
    def names(folder: Path | None) -> list[str]:
        return sorted(path.name for path in folder.glob("*-*.*")) if folder else ["Gaussian"]

    masses, spins = list(settings.mass), [-settings.chi, settings.chi]
    return {
        "name": settings.name,
        "kind": KIND,
        "method": "autoencoder",
        "version": settings.version,
        "seed": settings.seed,
        "network": settings.network.model_dump(mode="json"),
        "ranges": {"mass_1": masses, "mass_2": masses, "chi_1": spins, "chi_2": spins, "snr": list(settings.data.snr)},
        "units": {
            "mass_1": "solar mass, detector frame",
            "frequency": "Hz",
            "signal": "standard deviations of whitened noise",
        },
        "config": settings.model_dump(mode="json", exclude={"noise", "calibration"}),
        "waveforms": f"surrogate {settings.surrogate}, (2,2) mode, {len(examples.waveforms)} binaries",
        "noise": {"training": names(settings.noise), "calibration": names(settings.calibration)},
        "parameters": sum(p.numel() for p in network.parameters()),
        "training": metrics,
    }
