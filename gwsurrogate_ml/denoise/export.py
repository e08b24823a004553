"""The signal autoencoder as an ONNX graph: whitened strain in; signal, sigma and presence out, without this package or torch.

The graph begins with a band-pass of finite length, so that it takes whitened strain as it comes. What a stream has to know, such as
how far the output reaches into past and future, is in the file's metadata.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.denoise.grid import F_HIGH, F_LOW, SEARCH
from gwsurrogate_ml.denoise.signal import SignalDenoiser
from gwsurrogate_ml.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from gwsurrogate_ml.denoise.autoencoder import AutoencoderDenoiser

OPSET = 18
PROPERTY = "gwsurrogate_ml"
"""Key of the metadata, JSON."""
TYPICAL_SNR = 12.0
"""Sigma is calibrated for signals of this SNR."""
BAND_TAPS = 1025
"""Length of the band-pass, half a second."""


def band_pass(rate: float) -> np.ndarray:
    """Taps (BAND_TAPS,) float32 of the linear-phase band-pass about the denoisers' band.

    Examples
    --------
    >>> taps = band_pass(2048.0)
    >>> response = np.abs(np.fft.rfft(taps, 4096))
    >>> bool(response[20] < 0.02 and abs(response[200] - 1) < 0.01 and response[1000] < 0.01)
    True
    """
    from scipy.signal import firwin

    taps = firwin(BAND_TAPS, (F_LOW, F_HIGH), window=("kaiser", 5.0), pass_zero=False, fs=rate)
    return np.asarray(taps, np.float32)


def graph(denoiser: AutoencoderDenoiser) -> torch.nn.Module:
    """A torch module: whitened strain (batch, n) float32, n a multiple of the hop, to signal, sigma, presence."""
    import torch

    from gwsurrogate_ml.denoise.network import RATE

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = denoiser.network
            self.scale = denoiser.sigma_scale(TYPICAL_SNR)
            self.band = torch.nn.Conv1d(1, 1, BAND_TAPS, padding=BAND_TAPS // 2, bias=False)
            self.band.weight.data[0, 0] = torch.from_numpy(band_pass(RATE))

        def forward(self, white: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            out = self.network(self.band(white[:, None])[:, 0])
            return out.signal, out.sigma * self.scale, out.presence

    return Graph().eval()


def export_onnx(denoiser: SignalDenoiser, path: str | Path) -> Path:
    """Write an autoencoder as an ONNX file.

    Input `white` (batch, n) float32: whitened strain at 2048 Hz, n a multiple of 32. Outputs `signal` and `sigma` (batch, n), in
    standard deviations of whitened noise, not yet times the probability of a signal, sigma as calibrated at SNR 12; and `presence`
    (batch, n / 32): its log-sum-exp over about 1.7 s, less `threshold` of the metadata, is the logit of that probability.

    Parameters
    ----------
    denoiser : SignalDenoiser
        a learned one: `load_denoiser("bbh-autoencoder")`
    path : str or Path, .onnx

    Returns
    -------
    Path

    Raises
    ------
    ConfigError
        for a denoiser without a network, without the extra `serve`, or for another suffix
    """
    from gwsurrogate_ml.denoise.autoencoder import AutoencoderDenoiser

    if not isinstance(denoiser, AutoencoderDenoiser):
        raise ConfigError(
            f"{denoiser.card['name']} is no network: export an autoencoder, such as load_denoiser('bbh-autoencoder')"
        )
    path = Path(path)
    if path.suffix != ".onnx" or not path.parent.is_dir():
        raise ConfigError(f"{path}: name a .onnx file in a folder that is there")
    _require()
    import onnx
    import torch

    size = torch.export.Dim("frames", min=2)
    batch = torch.export.Dim("batch")
    hop = denoiser.network.hop
    with torch.no_grad():
        program = torch.onnx.export(
            graph(denoiser),
            (torch.zeros(2, 128 * hop),),
            input_names=["white"],
            output_names=["signal", "sigma", "presence"],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=({0: batch, 1: hop * size},),
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    onnx.helper.set_model_props(proto, {PROPERTY: json.dumps(_about(denoiser))})
    onnx.checker.check_model(proto)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    try:
        onnx.save(proto, name)
        os.chmod(name, 0o644)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
    return path


def _about(denoiser: AutoencoderDenoiser) -> dict[str, Any]:
    from gwsurrogate_ml.denoise.network import RATE

    network, card = denoiser.network, denoiser.card
    inner = network.long.behind + network.long.ahead + sum(block.wide.dilation[0] for block in network.blocks)
    reach = inner * network.hop + BAND_TAPS // 2
    return {key: card.get(key) for key in ("name", "version", "kind", "ranges", "weights_sha256", "threshold")} | {
        "sampling_frequency": RATE,
        "hop": network.hop,
        "reach": -(-reach // network.hop) * network.hop,
        "search": SEARCH[1] - SEARCH[0],
    }


def _require() -> None:
    """Raise ConfigError unless what export needs is installed."""
    from importlib.util import find_spec

    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"export to ONNX needs {' and '.join(missing)}: pip install gwsurrogate-ml[serve]")
