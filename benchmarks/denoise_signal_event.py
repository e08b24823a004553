"""GW150914 denoised in both detectors, beside the waveforms of a posterior."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from denoise_signal_data import FILES, gwosc_file

import gwsurrogate_ml as gw
from gwsurrogate_ml.denoise.signal import waveform_bank as banks
from gwsurrogate_ml.denoise.signal.calibration import RATE
from gwsurrogate_ml.denoise.signal.denoiser import DEFAULT, SignalDenoiser
from gwsurrogate_ml.denoise.signal.noise import whitened
from gwsurrogate_ml.denoise.signal.segment import DURATION
from gwsurrogate_ml.plot.denoise import reconstruction

POSTERIOR = 150
"""Samples of the posterior among which the best fit is taken."""


def gw150914(denoiser: SignalDenoiser, data: Path, out: Path, posterior: Path | None) -> dict[str, Any]:
    """Overlap of the reconstruction with the best-fitting surrogate waveform among a posterior's samples.

    The posterior is the result.json that `gwsml analyze` wrote, or the published table.
    """
    samples = _samples(posterior or data / "posteriors" / "GW150914_IMRPhenomD_bilby.dat")
    templates = banks.build(gw.load_surrogate("nr22"), samples).evaluate(denoiser.frequencies)
    result: dict[str, Any] = {"posterior": "gwsml analyze" if posterior else "IMRPhenomD, bilby, published"}
    gps, event = FILES["GW150914"]
    found: dict[str, tuple[float, Any, Any, Any]] = {}
    total = np.zeros(len(templates))
    for detector in ("H1", "L1"):
        series = gw.StrainData.from_files({detector: gwosc_file(data, detector, gps)}, gps=event).series[detector]
        rate, start = float(series.sample_rate.value), float(series.t0.value)
        first = round((event - 3.0 - start) * rate)
        segment = whitened(series).segment(first)
        r = denoiser.reconstruct(segment.white, segment.psd, RATE)
        white = templates / np.sqrt(segment.psd)
        white /= np.sqrt(4.0 / DURATION * np.sum(np.abs(white) ** 2, axis=1))[:, None]
        # The peak of a whitened signal lies some milliseconds before that of the waveform.
        times = r.time + np.arange(-200, 201) * 1e-4
        turns = np.exp(2j * np.pi * np.outer(denoiser.frequencies, times))
        z = 4.0 / DURATION * (np.conj(white) * segment.white) @ turns
        total += np.max(np.abs(z) ** 2, axis=1)
        found[detector] = (start + first / rate, r, (white, z, times), segment)
    best = int(np.argmax(total))
    result["best_fit"] = dict(zip(("mass_1", "mass_2", "chi_1", "chi_2"), samples[best].tolist(), strict=True))
    panels = {}
    for detector, (begin, r, (white, z, times), segment) in found.items():
        # Every sample's waveform at its own best time, amplitude and phase.
        k = np.argmax(np.abs(z), axis=1)
        turns = np.exp(-2j * np.pi * denoiser.frequencies * times[k][:, None])
        fits = denoiser.series(z[np.arange(len(k)), k][:, None] * white * turns, RATE)
        fit, raw = fits[best], denoiser.series(segment.white[None], RATE)[0]
        low, high = np.quantile(fits, (0.05, 0.95), axis=0)
        result[detector] = {
            "overlap": float(r.signal @ fit / np.linalg.norm(r.signal) / np.linalg.norm(fit)),
            "amplitude_ratio": float(np.linalg.norm(r.signal) / np.linalg.norm(fit)),
            "snr": r.snr,
            "probability": r.probability,
            "ood": r.ood,
            "ood_threshold": denoiser.card["ood_threshold"],
            "flagged": denoiser.flags(r),
            "gps": begin + r.time,
        }
        t = begin + np.arange(raw.size) / RATE - event
        panels[detector] = (t, raw, r.signal, r.sigma, np.stack([low, fit, high]))
    name = denoiser.card["name"]
    reconstruction(panels, event).savefig(out / f"denoise_gw150914{'' if name == DEFAULT else '_' + name}.png")
    return result


def _samples(path: Path) -> np.ndarray:
    """About POSTERIOR samples (n, 4) of masses (detector frame) and spins, of a bilby result or a table with a header."""
    if path.suffix == ".json":
        from bilby.core.result import read_in_result

        table: Any = read_in_result(str(path)).posterior.to_records()
    else:
        table = np.genfromtxt(path, names=True)
    table = table[:: max(1, len(table) // POSTERIOR)]
    q, chirp = table["mass_ratio"], table["chirp_mass"]
    m_1 = chirp * (1 + q) ** 0.2 / q**0.6
    samples = np.stack([m_1, q * m_1, table["chi_1"], table["chi_2"]], axis=1)
    return samples[np.all(np.abs(samples[:, 2:]) < 0.85, axis=1)]
