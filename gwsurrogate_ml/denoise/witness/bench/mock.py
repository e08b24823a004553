"""Witness mocks whose best possible cleaning is known: strain, witnesses, and the optimal residual in closed form.

d = n + sum of couplings (see `couplings`), all independent. The limit of any cleaner follows from the optimal residual PSD;
a cleaner's score is the fraction of the attainable logarithmic gain in SNR that it achieves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.arguments import finite
from gwsurrogate_ml.denoise.witness.bench.couplings import Bilinear, Coupling, Linear, Scattering, Spectrum
from gwsurrogate_ml.denoise.witness.bench.metrics import binary_power, snr_gain
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.strain.read import make_series
from gwsurrogate_ml.strain.simulate import coloured_noise
from gwsurrogate_ml.strain.spectrum import PsdSource, load_psd

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries, TimeSeriesDict

LASER = 1.064e-6
"""Wavelength of the light, m."""
F_LOW = 10.0
"""The noise floor is flat below this frequency (Hz): the seismic wall is no part of the problem."""
BINARY = (30.0, 30.0)
"""Msun, of the binary whose SNR a score is about."""
GRID_DURATION = 64.0
"""Analytic spectra are on a grid of 1 / this, s."""
START = 1126259462.0


@dataclass(frozen=True)
class MockData:
    """One realisation of a mock.

    Parameters
    ----------
    strain : gwpy TimeSeries, what the detector records
    witnesses : gwpy TimeSeriesDict
    noise : (n,) float64, the strain without any coupling
    best : (n,) float64, the best estimate of all that couples in, from the witnesses (non-causal)
    """

    strain: TimeSeries
    witnesses: TimeSeriesDict
    noise: np.ndarray
    best: np.ndarray


@dataclass(frozen=True)
class Mock:
    """A detector with witnessed noise.

    Parameters
    ----------
    name : str
    couplings : sequence of `couplings.Coupling`
    floor : noise floor, 1/Hz, as a function of frequency in Hz
    sampling_frequency : float, Hz
    spare : mapping from channel name to PSD
        witnesses of nothing, independent of all else

    Examples
    --------
    >>> mock = preset("null", sampling_frequency=512)
    >>> data = mock.draw(8.0, seed=1)
    >>> sorted(data.witnesses), bool(np.allclose(data.strain.value, data.noise))
    (['JITTER', 'MAINS', 'TILT'], True)
    """

    name: str
    couplings: tuple[Coupling, ...]
    floor: Spectrum
    sampling_frequency: float = 1024.0
    spare: Mapping[str, Spectrum] = field(default_factory=dict)

    def draw(self, duration: float, seed: int) -> MockData:
        """Strain and witnesses of `duration` (s); seeds share nothing.

        Raises
        ------
        ConfigError
            if the duration is no even number of samples
        """
        from gwpy.timeseries import TimeSeriesDict

        duration = finite(duration, "duration", "s")
        n = round(duration * self.sampling_frequency)
        if n < 4 or n % 2 or abs(n - duration * self.sampling_frequency) > 1e-6:
            raise ConfigError(f"duration={duration:g} s at {self.sampling_frequency:g} Hz is no even number of samples")
        frequencies = np.arange(n // 2 + 1) / duration
        children = np.random.SeedSequence(seed).spawn(1 + len(self.couplings) + len(self.spare))
        rngs = [np.random.default_rng(child) for child in children]
        noise = self._coloured(self.floor(frequencies), duration, rngs[0])
        strain, best, witnesses = noise.copy(), np.zeros(n), TimeSeriesDict()
        for coupling, rng in zip(self.couplings, rngs[1:], strict=False):
            drawn = coupling.draw(frequencies, rng)
            strain += drawn.contribution
            best += drawn.estimate
            for name, values in drawn.witnesses.items():
                witnesses[name] = self._series(values, name, coupling.channels[name])
        for (name, spectrum), rng in zip(self.spare.items(), rngs[1 + len(self.couplings) :], strict=True):
            witnesses[name] = self._series(self._coloured(spectrum(frequencies), duration, rng), name, "")
        return MockData(self._series(strain, "strain", ""), witnesses, noise, best)

    def grid(self) -> np.ndarray:
        """Frequencies (Hz) of the analytic spectra."""
        return np.arange(round(0.5 * GRID_DURATION * self.sampling_frequency) + 1) / GRID_DURATION

    def raw_psd(self) -> np.ndarray:
        """One-sided PSD of the strain on `grid`, 1/Hz."""
        f = self.grid()
        return np.asarray(self.floor(f) + sum(c.psd(f) for c in self.couplings))

    def optimal_psd(self, *, causal: bool = False) -> np.ndarray:
        """One-sided PSD of the strain after the best subtraction, on `grid`, 1/Hz.

        `causal`: after the best subtraction that uses the witnesses' past and present alone (for the linear coupling the
        least error is that weighted with the raw PSD).
        """
        f, raw = self.grid(), self.raw_psd()
        return np.asarray(self.floor(f) + sum(c.residual(f, causal=causal, weight=raw) for c in self.couplings))

    def limit(self, masses: tuple[float, float] = (30.0, 30.0), *, causal: bool = False) -> float:
        """Largest possible gain in optimal SNR (1: none) of a binary with these masses (Msun)."""
        f = self.grid()
        return snr_gain(f, self.raw_psd(), self.optimal_psd(causal=causal), binary_power(f, *masses))

    def score(
        self,
        frequencies: np.ndarray,
        cleaned_psd: np.ndarray,
        *,
        band: tuple[float, float] = (F_LOW, np.inf),
        reference_psd: np.ndarray | None = None,
    ) -> float:
        """Share of the attainable log-gain in the SNR of 30 + 30 Msun that a cleaned PSD gets; 1 is perfect, below 0 is harm.

        Parameters
        ----------
        frequencies : (n_f,) Hz
        cleaned_psd : (n_f,) 1/Hz
            measured on data that the cleaner was not fitted to
        band : (low, high), Hz
            frequencies that count
        reference_psd : (n_f,) 1/Hz, optional
            the raw strain's PSD measured on the same data, in place of the analytic one: its sampling error cancels

        Raises
        ------
        ConfigError
            if nothing can be gained in the band
        """
        f = self.grid()
        power = binary_power(frequencies, *BINARY)
        raw = np.interp(frequencies, f, self.raw_psd())
        best = np.interp(frequencies, f, self.optimal_psd())
        attainable = np.log(snr_gain(frequencies, raw, best, power, band))
        if attainable < 1e-9:
            raise ConfigError(f"nothing can be gained between {band[0]:g} and {band[1]:g} Hz of mock {self.name!r}")
        before = raw if reference_psd is None else reference_psd
        return float(np.log(snr_gain(frequencies, before, cleaned_psd, power, band)) / attainable)

    def _coloured(self, psd: np.ndarray, duration: float, rng: np.random.Generator) -> np.ndarray:
        n = 2 * (psd.size - 1)
        return np.asarray(np.fft.irfft(coloured_noise(psd, duration, rng), n) * self.sampling_frequency)

    def _series(self, values: np.ndarray, name: str, unit: str) -> TimeSeries:
        series = make_series(values, START, self.sampling_frequency, name)
        series.override_unit(unit)
        return series


def preset(name: str, *, sampling_frequency: float = 1024.0, floor: PsdSource = "aLIGO_late_asd.txt") -> Mock:
    """One of the mocks by name.

    Parameters
    ----------
    name : "o3_like", "sidebands_only" or "null"
        broadband and narrow linear coupling (one with a drifting gain), mains sidebands and scattered light, limit about
        +25 % in SNR for 30 + 30 Msun; sidebands alone, about +5 %; witnesses of nothing
    sampling_frequency : float, Hz, at least 512
    floor : noise curve's name (bilby's or pycbc's), ASD file or (frequencies, PSD)

    Raises
    ------
    ConfigError
        if the name is unknown or the rate too low for the couplings
    """
    if sampling_frequency < 512:
        raise ConfigError(f"sampling_frequency={sampling_frequency:g} Hz: the couplings reach 200 Hz, give at least 512")
    curve = _floor(floor)
    if name == "o3_like":
        return Mock(name, _o3_like(curve), curve, sampling_frequency)
    if name == "sidebands_only":
        return Mock(name, (_sidebands(curve, 4.0, 4.3),), curve, sampling_frequency)
    if name == "null":
        spare = {"JITTER": _pink, "MAINS": lambda f: _bump(60.0, 0.5)(f) + 1e-6, "TILT": lambda f: _slow(1.0)(f) + 1e-7}
        return Mock(name, (), curve, sampling_frequency, spare)
    raise ConfigError(f"no mock {name!r}: choose o3_like, sidebands_only or null")


def _o3_like(floor: Spectrum) -> tuple[Coupling, ...]:
    microseism, a = _slow_motion(110.0), 4.0 * np.pi / LASER
    return (
        Linear("JITTER", _relative(floor, _pink, _bump(35.0, 16.0), 0.8, 0.004), _pink, lambda f: 2e-2 * _pink(f)),
        Linear("ACOUSTIC", _resonance(floor, 41.3, 90.0, 5.0), _pink, lambda f: 1e-3 * _pink(f)),
        Linear(
            "MAGNETIC",
            _relative(floor, _pink, _bump(110.0, 14.0), 1.4, 0.002),
            _pink,
            lambda f: 2e-2 * _pink(f),
            drift=0.12,
        ),
        _sidebands(floor, 4.0, 3.0),
        Scattering(
            "STAGE",
            np.sqrt(2.0 * np.sqrt(2.0 * np.pi) * 22.0 * float(floor(np.array([30.0]))[0])) * 0.72,
            1.006 * a,  # the light does not hit along the witness's axis: its calibration is off
            lambda f: microseism(f) / a**2,
            lambda f: np.full(f.size, 0.005 / a**2),
        ),
    )


def _sidebands(floor: Spectrum, ratio: float, width: float) -> Bilinear:
    """Sidebands whose ASD is `ratio` times the floor at 60 Hz, reaching `width` (Hz) to each side."""
    slow = _slow(width)
    gain = ratio * np.sqrt(float(floor(np.array([60.0]))[0]) * 4.0 / float(slow(np.array([1.0]))[0]))
    return Bilinear("MAINS", "TILT", gain, slow, lambda f: np.full(f.size, 1e-3 * float(slow(np.array([0.0]))[0])))


def _floor(source: PsdSource) -> Spectrum:
    frequencies, psd = load_psd(source)
    log_f, log_psd = np.log(frequencies[frequencies > 0]), np.log(psd[frequencies > 0])
    return lambda f: np.exp(np.interp(np.log(np.maximum(f, F_LOW)), log_f, log_psd))


def _pink(f: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + (f / 20.0) ** 2) + 0.01


def _bump(centre: float, width: float) -> Spectrum:
    return lambda f: np.exp(-0.5 * ((f - centre) / width) ** 2)


def _slow(width: float) -> Spectrum:
    return lambda f: 1.0 / (1.0 + (f / width) ** 8) + 1e-12


def _slow_motion(radians: float) -> Spectrum:
    """Microseism at 0.2 Hz, of `radians` rms phase."""
    shape = _bump(0.2, 0.04)
    norm = radians**2 / (0.04 * np.sqrt(2.0 * np.pi))
    return lambda f: norm * shape(f) + 1e-9


def _relative(floor: Spectrum, driver: Spectrum, shape: Spectrum, ratio: float, delay: float) -> Spectrum:
    """H(f) that makes the contribution's ASD `ratio` times the floor at the top of `shape`, delayed (s)."""
    return lambda f: ratio * shape(f) * np.sqrt(floor(f) / driver(f)) * np.exp(-2j * np.pi * f * delay)


def _resonance(floor: Spectrum, f_0: float, quality: float, ratio: float) -> Spectrum:
    """A mechanical resonance of quality `quality`: narrower than any short filter resolves."""
    top = np.array([f_0])
    scale = ratio * np.sqrt(floor(top)[0] / _pink(top)[0]) * f_0**2 / quality
    return lambda f: scale / (f_0**2 - f**2 + 1j * f * f_0 / quality)
