"""The signal autoencoder as an ONNX graph: a whitened segment in; signal, sigma and probability out, without this package or torch.

All that `AutoencoderDenoiser.reconstruct` does is in the graph, the projection on the bank included, and the weight that whitened
the data is an input: one file serves any noise. What a stream has to know is in the file's metadata.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import onnx_file
from gwsurrogate_ml.denoise.signal.denoiser import SignalDenoiser
from gwsurrogate_ml.denoise.signal.segment import DURATION, F_LOW, SEARCH, TAPER, frequencies
from gwsurrogate_ml.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from gwsurrogate_ml.denoise.signal.autoencoder import AutoencoderDenoiser


def graph(denoiser: AutoencoderDenoiser) -> torch.nn.Module:
    """A torch module of one segment: whitened strain (n,) at 2048 Hz, 4 s, and weight (n_f,), to what `export_onnx` names."""
    import torch
    from scipy.signal.windows import tukey
    from torch import Tensor

    from gwsurrogate_ml.denoise.signal.network import RATE

    size, n_f = round(DURATION * RATE), frequencies().size
    first, half = round(F_LOW * DURATION), denoiser.network.hop // 2
    frames = [round(t * RATE / denoiser.network.hop) for t in SEARCH]
    snrs, factors = np.array(denoiser.card["sigma_scale"]).T
    levels = np.log(snrs)
    slopes = np.diff(factors) / np.diff(levels) if snrs.size > 1 else np.zeros(0)

    class Graph(torch.nn.Module):
        taper: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.network, self.layer = denoiser.network, denoiser.layer
            self.register_buffer("taper", torch.from_numpy(tukey(size, 2.0 * TAPER / DURATION).astype(np.float32)))

        def spectrum(self, series: Tensor, norm: float) -> tuple[Tensor, Tensor]:
            z = torch.view_as_real(torch.fft.fft(torch.complex(series, torch.zeros_like(series))))
            return z[first : first + n_f, 0] * norm, z[first : first + n_f, 1] * norm

        def series(self, real: Tensor, imag: Tensor) -> Tensor:
            """`segment.to_series` at RATE."""
            pad = (first, size - first - n_f)
            full = torch.complex(torch.nn.functional.pad(real, pad), torch.nn.functional.pad(imag, pad))
            return torch.view_as_real(torch.fft.ifft(full))[:, 0] * (2.0 * (2.0 * RATE) ** 0.5)

        def forward(self, white: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            real, imag = self.spectrum(white * self.taper, (0.5 / RATE) ** 0.5)
            rows = [self.series(real, imag)]
            if self.layer is not None:
                mean_real, mean_imag, _ = self.layer(real, imag, weight)
                rows.append(self.series(mean_real, mean_imag))
            # The four ways in which `AutoencoderDenoiser` looks at a segment.
            views = []
            for row in rows:
                later = torch.cat([row[-half:], row[:-half]])
                views.append(torch.stack([row, -row, later, -later]))
            out = self.network(*views)
            mean = (out.signal[0] - out.signal[1] + _earlier(out.signal[2] - out.signal[3])) * 0.25
            spread = (out.sigma[0] + out.sigma[1] + _earlier(out.sigma[2] + out.sigma[3])) * 0.25
            logit = torch.logsumexp(out.presence[:, frames[0] : frames[1]], dim=1).mean()
            probability = torch.sigmoid(logit - denoiser.card["threshold"])
            # As `reconstruct` measures it: its spectrum's norm is that of one over the square root of two of the rate.
            m_real, m_imag = self.spectrum(mean, (0.5 / RATE) ** 0.5)
            norm = torch.sqrt(4.0 / DURATION * (m_real**2 + m_imag**2).sum()).clamp_min(1e-30)
            snr = 4.0 / DURATION * (m_real * real + m_imag * imag).sum() / norm
            signal = self.series(m_real, m_imag)
            level = torch.log(snr.clamp_min(1.0))
            scale = torch.full_like(level, float(factors[0]))
            for slope, low, high in zip(slopes, levels[:-1], levels[1:], strict=True):
                scale = scale + float(slope) * (level.clamp(float(low), float(high)) - float(low))
            variance = probability * (spread * scale) ** 2 + probability * (1.0 - probability) * signal**2
            return probability * signal, torch.sqrt(variance), probability[None], snr[None]

    def _earlier(row: Tensor) -> Tensor:
        return torch.cat([row[half:], row[:half]])

    return Graph().eval()


def export_onnx(denoiser: SignalDenoiser, path: str | Path) -> Path:
    """Write an autoencoder as an ONNX file.

    Inputs: `white` (8192,) float32, 4 s of whitened strain at 2048 Hz; `weight` (n_f,) float32, 1 / sqrt(psd) on
    `segment.frequencies`, 1 at its largest (a network without a projection has none). Outputs: `signal` and `sigma` (8192,),
    in standard deviations of whitened noise; `probability` (1,) of a signal that peaks in the search interval, with which the
    signal is multiplied already; `snr` (1,) of the data along it.

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
    from gwsurrogate_ml.denoise.signal.autoencoder import AutoencoderDenoiser

    if not isinstance(denoiser, AutoencoderDenoiser):
        raise ConfigError(f"{denoiser.card['name']} is no network: export an autoencoder, such as load_denoiser('bbh-autoencoder')")
    path = onnx_file.target(path)
    onnx_file.require("export to ONNX", "onnx", "onnxscript")
    import torch

    from gwsurrogate_ml.denoise.signal.network import RATE

    with torch.no_grad():
        program = torch.onnx.export(
            graph(denoiser),
            (torch.zeros(round(DURATION * RATE)), torch.ones(frequencies().size)),
            input_names=["white", "weight"],
            output_names=["signal", "sigma", "probability", "snr"],
            opset_version=onnx_file.OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return onnx_file.write(program.model_proto, path, _about(denoiser))


def _about(denoiser: AutoencoderDenoiser) -> dict[str, Any]:
    from gwsurrogate_ml.denoise.signal.network import RATE

    card = denoiser.card
    return {key: card.get(key) for key in ("name", "version", "kind", "ranges", "weights_sha256", "threshold")} | {
        "sampling_frequency": RATE,
        "duration": DURATION,
        "search": SEARCH,
    }
