"""Binaries that the anomaly search is not trained on: eccentric, and precessing with all modes."""

from __future__ import annotations

import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml.denoise.signal.segment import DURATION, F_LOW, frequencies

RATE = 4096
Both = tuple[np.ndarray, np.ndarray]


def spectrum(series: np.ndarray, peak: int) -> np.ndarray:
    """Transform (n_f,) on the denoiser's frequencies of a series at RATE whose sample `peak` is put at time zero."""
    n = round(DURATION * RATE)
    first = max(0, peak - round(0.75 * n))
    cut = series[first : peak + n // 4].copy()
    ramp = min(200, cut.size // 4)
    cut[:ramp] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(ramp) / ramp)
    padded = np.zeros(n)
    padded[: cut.size] = cut
    low = round(F_LOW * DURATION)
    return np.asarray(np.fft.rfft(np.roll(padded, first - peak))[low : low + frequencies().size] * 1e21)


def eccentric(n: int, rng: np.random.Generator) -> list[Both]:
    """LAL's EccentricTD: eccentricity 0.1 to 0.5 at 15 Hz, 10 to 35 solar masses each; the inspiral alone, eased out over 5 ms."""
    import lal
    import lalsimulation

    out: list[Both] = []
    while len(out) < n:
        m_1, m_2 = rng.uniform(10, 35, 2)
        try:
            both = lalsimulation.SimInspiralChooseTDWaveform(
                max(m_1, m_2) * lal.MSUN_SI, min(m_1, m_2) * lal.MSUN_SI, 0, 0, 0, 0, 0, 0, 1e8 * lal.PC_SI,
                float(np.arccos(rng.uniform(-1, 1))), float(rng.uniform(0, 6.28)), 0, float(rng.uniform(0.1, 0.5)), 0,
                1 / RATE, 15, 15, lal.CreateDict(), lalsimulation.EccentricTD,
            )  # fmt: skip
        except RuntimeError:
            continue
        series = np.array([both[0].data.data, both[1].data.data])
        ease = round(0.005 * RATE)
        series[:, -ease:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(ease) / ease)
        peak = int(np.argmax(np.abs(series[0] + 1j * series[1])))
        out.append((spectrum(series[0], peak), spectrum(series[1], peak)))
    return out


def precessing(n: int, rng: np.random.Generator) -> list[Both]:
    """The surrogate `nrphm`: 20 to 70 solar masses each, mass ratios to 4, spins to 0.8 in any direction, seen from anywhere."""
    surrogate = gw.load_surrogate("nrphm")
    out: list[Both] = []
    while len(out) < n:
        m_2, m_1 = np.sort(rng.uniform(20, 70, 2))
        if m_1 > 4 * m_2:
            continue
        hp, hc = surrogate.polarizations(
            mass_1=m_1, mass_2=m_2, a_1=rng.uniform(0.3, 0.8), a_2=rng.uniform(0, 0.8),
            tilt_1=np.arccos(rng.uniform(-1, 1)), tilt_2=np.arccos(rng.uniform(-1, 1)), phi_12=rng.uniform(0, 6.28),
            phi_jl=rng.uniform(0, 6.28), luminosity_distance=400, theta_jn=np.arccos(rng.uniform(-1, 1)),
            phase=rng.uniform(0, 6.28), f_min=18, f_ref=18, sampling_frequency=RATE,
        )  # fmt: skip
        peak = int(np.argmax(np.abs(hp.value + 1j * hc.value)))
        out.append((spectrum(hp.value, peak), spectrum(hc.value, peak)))
    return out
