"""Simulated strain: stationary Gaussian noise with given PSDs, and a signal projected onto the detectors as bilby does.

Noise is drawn in the frequency domain over the whole stretch, E|n_k|^2 = S_k T / 2: it is continuous, so that a segment
can be cut from its middle and off-source data around it give the PSD, as with real data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gwsurrogate_ml.arguments import finite, positive, whole
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.strain.data import StrainData
from gwsurrogate_ml.strain.detectors import project, require_known
from gwsurrogate_ml.strain.read import make_series
from gwsurrogate_ml.strain.spectrum import PsdSource, design_curve, per_detector
from gwsurrogate_ml.waveform.model import Grid, WaveformModel, inspiral_time, transforms

GPS = 1126259462.4
"""Time of simulated noise where neither a signal nor the caller names one."""
EXTRINSIC = ("luminosity_distance", "theta_jn", "phase", "psi", "ra", "dec")


def simulate(
    parameters: Mapping[str, float] | None,
    waveform: WaveformModel | None = None,
    detectors: Sequence[str] = ("H1", "L1"),
    psds: PsdSource | Mapping[str, PsdSource] | None = None,
    *,
    duration: float = 32.0,
    sampling_frequency: float = 4096.0,
    gps: float | None = None,
    seed: int = 0,
    f_min: float = 20.0,
    zero_noise: bool = False,
    name: str = "simulated",
) -> StrainData:
    """Strain of several detectors with coloured Gaussian noise and, if wanted, one binary's signal.

    Parameters
    ----------
    parameters : mapping, or None for noise alone
        bilby's names: mass_1 and mass_2 (or chirp_mass and mass_ratio; Msun, detector frame), chi_1, chi_2,
        luminosity_distance (Mpc), theta_jn, phase, psi, ra, dec (rad), geocent_time (GPS s; `gps` where left out)
    waveform : WaveformModel, needed with `parameters`: a surrogate, or see `surrogate.load.load_model`
        all its modes are in the signal
    detectors : sequence of str
    psds : source, or mapping of detector to source, optional
        see `spectrum.load_psd`; each detector's own design (see `spectrum.design_curve`) where left out;
        beyond its ends a curve is continued with its last value
    duration : float, s
        length of the data, whose middle second holds `gps`
    sampling_frequency : float, Hz
    gps : float, GPS s, optional
        the event's time in the result; `geocent_time`, or GPS, where left out
    seed : int
        the same seed gives the same noise, detector by detector in the order given
    f_min : float, Hz
        where the signal's (2,2) mode starts
    zero_noise : bool
        leave the noise out
    name : str

    Returns
    -------
    StrainData

    Raises
    ------
    ConfigError
        if a parameter or the model is missing, or the signal is longer than the data before the event
    DataError
        if a detector is unknown, a PSD cannot be read, or `gps` lies outside the data

    Examples
    --------
    >>> data = simulate(None, duration=16, sampling_frequency=1024, seed=3)
    >>> data.detectors, data.series["L1"].duration
    (('H1', 'L1'), <Quantity 16. s>)
    """
    require_known(tuple(detectors))
    duration, f_min = positive(duration, "duration", "s"), positive(f_min, "f_min", "Hz")
    sampling_frequency, seed = positive(sampling_frequency, "sampling_frequency", "Hz"), whole(seed, "seed")
    parameters = parameters and {name: finite(value, name) for name, value in parameters.items()}
    n = round(duration * sampling_frequency)
    if n < 2 or n % 2 or abs(n - duration * sampling_frequency) > 1e-6:
        raise ConfigError(f"duration={duration:g} s at {sampling_frequency:g} Hz must be an even number of samples")
    if gps is None:
        gps = float((parameters or {}).get("geocent_time", GPS))
    start = float(np.floor(gps - duration / 2 + 0.5))
    frequencies = np.arange(n // 2 + 1) / duration
    strain = dict.fromkeys(detectors, np.zeros(frequencies.size, np.complex128))
    if not zero_noise:
        names = tuple(detectors)
        curves = {d: design_curve(d) for d in names} if psds is None else per_detector(psds, names)
        children = np.random.SeedSequence(seed).spawn(len(detectors))
        for detector, child in zip(detectors, children, strict=True):
            psd = np.interp(frequencies, *curves[detector])
            strain[detector] = coloured_noise(psd, duration, np.random.default_rng(child))
    if parameters is not None:
        signal = _signal({"geocent_time": gps, **parameters}, waveform, detectors, start, Grid(duration, sampling_frequency, f_min))
        strain = {detector: strain[detector] + signal[detector] for detector in detectors}
    series = {
        detector: make_series(np.fft.irfft(strain[detector], n) * sampling_frequency, start, sampling_frequency, detector)
        for detector in detectors
    }
    return StrainData(series, gps, name)


def coloured_noise(psd: np.ndarray, duration: float, rng: np.random.Generator) -> np.ndarray:
    """Transform of Gaussian noise, E|n|^2 = psd duration / 2, zero at DC and Nyquist.

    Parameters
    ----------
    psd : (n_f,) float64, 1/Hz, one-sided, from DC to Nyquist
    duration : float, s
    rng : numpy Generator

    Returns
    -------
    (n_f,) complex128, 1/Hz
    """
    noise = rng.standard_normal((2, psd.size))
    coloured = (noise[0] + 1j * noise[1]) * np.sqrt(psd * duration) / 2
    coloured[[0, -1]] = 0
    return coloured


def _signal(
    parameters: Mapping[str, float], waveform: WaveformModel | None, detectors: Sequence[str], start: float, grid: Grid
) -> dict[str, np.ndarray]:
    """Projected signal (n_f,) 1/Hz a detector."""
    if waveform is None:
        raise ConfigError("parameters without a waveform model: pass waveform=gwsurrogate_ml.load_surrogate()")
    missing = [key for key in EXTRINSIC if key not in parameters]
    if missing:
        raise ConfigError(f"signal parameters missing: {', '.join(missing)}")
    positive(parameters["luminosity_distance"], "luminosity_distance", "Mpc")
    # The segment is periodic: a longer inspiral would come out at its end.
    before, needed = parameters["geocent_time"] - start, inspiral_time(parameters, grid.f_min)
    if not 0.1 < before < grid.duration - 0.1 or needed > before:
        raise ConfigError(
            f"the signal lasts {needed:.1f} s from f_min={grid.f_min:g} Hz and merges {before:.1f} s after the start of "
            f"{grid.duration:g} s of data; raise duration or f_min"
        )
    h_plus, h_cross = transforms(waveform, parameters, grid)
    frequencies = np.arange(grid.n_f) / grid.duration
    return {d: project(d, h_plus, h_cross, parameters, frequencies, start) for d in detectors}
