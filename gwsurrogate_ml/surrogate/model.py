"""The surrogate as users see it: modes, polarizations in physical units, and the frequency domain."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI, ModeKey
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.threads import in_threads
from gwsurrogate_ml.surrogate.aligned import compiled
from gwsurrogate_ml.surrogate.aligned.compiled import Knots
from gwsurrogate_ml.surrogate.physical import MOST_SAMPLES, Layout, PhysicalSurrogate, is_finite
from gwsurrogate_ml.waveform.conditioning import start_taper
from gwsurrogate_ml.waveform.model import Grid, WaveformModel, oriented

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

DEFAULT = "nrhm"
_FACE_ON = np.array([[[-np.sqrt(5.0 / (4.0 * np.pi)), 0.0]]])  # h_plus of (2,2) for theta_jn = 0, phase = 0


@lru_cache(maxsize=4096)
def _rise(samples: int) -> np.ndarray:
    """The taper over so many samples; read-only, kept, since batches ask for the same lengths again and again."""
    rise = start_taper(np.arange(samples, dtype=np.float64), 0.0, float(samples))
    rise.flags.writeable = False
    return rise


class Surrogate(PhysicalSurrogate, WaveformModel):
    """A trained waveform model for binaries with aligned spins; see `conventions` for signs, phases and units.

    Parameters
    ----------
    card : dict
        parameter ranges, modes, training data, metrics: `info`
    tensors : dict of float64 arrays
        knots, bases, networks

    Examples
    --------
    >>> sur = load_surrogate()
    >>> modes = sur(q=1.5, chi1=0.3, chi2=-0.1)
    >>> bool(0.37 < abs(modes[2, 2]).max() < 0.38)
    True
    """

    has_samples = True

    def __init__(self, card: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        super().__init__(card, tensors)
        self.name = str(card.get("name", "unnamed"))
        ranges = {name: (float(x["hard_min"]), float(x["hard_max"])) for name, x in card["ranges"].items()}
        self.limits = {
            "mass_ratio": (1.0 / ranges["q"][1], 1.0),
            "chi_1": ranges["chi1"],
            "chi_2": ranges["chi2"],
        }

    @property
    def identity(self) -> dict[str, Any]:
        """Name, version and checksum of the weights."""
        return {
            "name": self.name,
            "version": self.info.get("version"),
            "weights_sha256": self.info.get("weights_sha256"),
        }

    def polarizations(
        self,
        *,
        mass_1: float,
        mass_2: float,
        chi_1: float,
        chi_2: float,
        luminosity_distance: float,
        theta_jn: float,
        phase: float,
        f_min: float,
        sampling_frequency: float,
        f_ref: float | None = None,
        modes: Iterable[ModeKey] | None = None,
    ) -> tuple[TimeSeries, TimeSeries]:
        """Plus and cross polarizations as gwpy TimeSeries in strain, epoch relative to the peak (t = 0).

        Parameters
        ----------
        mass_1, mass_2 : float, solar masses (detector frame), mass_1 >= mass_2
        chi_1, chi_2 : float, aligned spins
        luminosity_distance : float, Mpc
        theta_jn, phase : float, radians; `phase` is the orbital phase at t = 0, or where `f_ref` says
        f_min : float, Hz, frequency of the (2,2) mode at which the series starts
        sampling_frequency : float, Hz
        f_ref : float, Hz, optional
            take `phase` as the orbital phase at the moment the (2,2) mode passes this frequency, as LAL does
        modes : iterable of (l, m), optional
            those of the model's modes that are summed, m > 0 (-m comes with them); by default all. The peak at t = 0 stays that of
            all modes together

        Raises
        ------
        DomainError
            parameters outside the domain, or a waveform that does not reach down to `f_min` (with the smallest total mass)
        ConfigError
            numbers that are not positive, or a sampling frequency too low for the ringdown
        """
        from gwpy.timeseries import TimeSeries

        start, plus, cross = self.strain(
            mass_1=mass_1,
            mass_2=mass_2,
            chi_1=chi_1,
            chi_2=chi_2,
            luminosity_distance=luminosity_distance,
            theta_jn=theta_jn,
            phase=phase,
            f_min=f_min,
            sampling_frequency=sampling_frequency,
            f_ref=f_ref,
            modes=modes,
        )
        keywords = {"t0": start, "dt": 1.0 / sampling_frequency, "copy": False}
        return TimeSeries(plus, name="h_plus", **keywords), TimeSeries(cross, name="h_cross", **keywords)

    def strain(
        self,
        *,
        mass_1: float,
        mass_2: float,
        chi_1: float,
        chi_2: float,
        luminosity_distance: float,
        theta_jn: float,
        phase: float,
        f_min: float,
        sampling_frequency: float,
        f_ref: float | None = None,
        modes: Iterable[ModeKey] | None = None,
        taper: bool = False,
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Plus and cross polarizations as bare arrays: what `polarizations` wraps, for callers with containers of their own.

        Parameters
        ----------
        as for `polarizations`, and
        taper : bool
            start earlier, by up to 0.45 s where the model reaches so far, and rise smoothly before the (2,2) mode passes
            `f_min`: the conditioning of `frequency_domain`

        Returns
        -------
        start : float, s
            time of the first sample; the peak is at 0
        h_plus, h_cross : (n,) float64, strain
        """
        self._check_positive(luminosity_distance=luminosity_distance, sampling_frequency=sampling_frequency)
        parameters, total = self._physical_one(mass_1, mass_2, chi_1, chi_2)
        k = self._at_knots(parameters)
        unit = float(total[0]) * MTSUN_SI
        reach = float(self._start(k, total * MTSUN_SI, f_min, parameters)[0]) * unit
        chosen = self._chosen(modes)
        m = max(m for _, m in chosen)
        self._require_rate(sampling_frequency, self._highest(k, total * MTSUN_SI, m), m)
        begin = max(reach - 0.4 / 0.9, self.t_min * unit) if taper else reach
        first = int(np.ceil(begin * sampling_frequency))
        last = int(np.floor(self.t_max * unit * sampling_frequency))
        self._require_room(last - first, sampling_frequency)
        turned = self._phase_at_peak(k, total * MTSUN_SI, phase, f_ref, parameters)
        step = 1.0 / sampling_frequency / unit
        out = self._observed(k, theta_jn, turned, first * step, step, last - first + 1, chosen)
        if taper:
            ramp = int(self._ramp(-first, reach, sampling_frequency))
            out[:, :ramp] *= _rise(ramp)
        out *= unit / (luminosity_distance * MPC_SECONDS)
        return first / sampling_frequency, out[0], out[1]

    def batch_polarizations(
        self,
        *,
        mass_1: np.ndarray,
        mass_2: np.ndarray,
        chi_1: np.ndarray,
        chi_2: np.ndarray,
        luminosity_distance: np.ndarray,
        theta_jn: np.ndarray,
        phase: np.ndarray,
        start: float,
        samples: int,
        sampling_frequency: float,
        modes: Iterable[ModeKey] | None = None,
    ) -> np.ndarray:
        """Plus and cross polarizations of many binaries on one grid of times, in NUMBA_NUM_THREADS threads.

        Parameters
        ----------
        mass_1, mass_2, chi_1, chi_2, luminosity_distance, theta_jn, phase : (N,) float, or a number for all
            as for `polarizations`; `phase` is the orbital phase at t = 0
        start : float, s
            time of the first sample, 0 at each binary's peak
        samples : int
        sampling_frequency : float, Hz
        modes : iterable of (l, m), optional
            as for `polarizations`

        Returns
        -------
        (N, 2, samples) float64, strain

        Raises
        ------
        DomainError
            parameters outside the domain, or times that the model does not cover for the lightest or heaviest binary
        ConfigError
            as for `polarizations`
        """
        self._check_positive(sampling_frequency=sampling_frequency, samples=samples)
        if samples != int(samples) or samples > MOST_SAMPLES:
            raise ConfigError(f"samples is {samples!r}: give a whole number, at most {MOST_SAMPLES}")
        if not is_finite(start):
            raise ConfigError(f"start is {start!r}: give seconds from the peak")
        samples = int(samples)
        parameters, total = self._physical(mass_1, mass_2, chi_1, chi_2)
        shape = total.shape
        distance, theta, azimuth = (
            self._spread(name, value, shape)
            for name, value in (("luminosity_distance", luminosity_distance), ("theta_jn", theta_jn), ("phase", phase))
        )
        if not (distance > 0).all():
            raise ConfigError("luminosity_distance is not positive everywhere: give Mpc")
        chosen = self._chosen(modes)
        units = total * MTSUN_SI
        end = start + (samples - 1) / sampling_frequency
        if len(units):
            self._check_times(np.outer([start, end], 1.0 / units[[units.argmin(), units.argmax()]]).ravel())
        scale = units / (distance * MPC_SECONDS)
        weights = self._weights(theta, azimuth, chosen) * scale[:, None, None, None]
        out = np.empty((len(total), 2, samples))
        highest = max(m for _, m in chosen)

        def work(part: slice) -> None:
            k = self._at_knots(parameters[part])
            self._require_rate(sampling_frequency, self._highest(k, units[part], highest), highest)
            rows = compiled.at_all_knots(self._tables, k)
            for i, unit in enumerate(units[part]):
                row = part.start + i
                step = 1.0 / sampling_frequency / unit
                compiled.sums(self._tables, k, rows, i, weights[row], start / unit, step, out[row])

        in_threads(work, len(total))
        return out

    def frequency_domain_polarizations(
        self,
        *,
        mass_1: float,
        mass_2: float,
        chi_1: float,
        chi_2: float,
        luminosity_distance: float,
        theta_jn: float,
        phase: float,
        f_min: float,
        sampling_frequency: float,
        duration: float,
        f_ref: float | None = None,
        modes: Iterable[ModeKey] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fourier transforms (1/Hz) of plus and cross polarization with all modes, on an analysis segment.

        Parameters
        ----------
        as for `polarizations`, and `duration` (s); time and conditioning as for `frequency_domain`

        Returns
        -------
        h_plus, h_cross : (duration * sampling_frequency / 2 + 1,) complex128
        """
        self._check_positive(luminosity_distance=luminosity_distance)
        parameters, total = self._physical_one(mass_1, mass_2, chi_1, chi_2)
        k = self._at_knots(parameters)
        chosen = self._chosen(modes)
        phase = self._phase_at_peak(k, total * MTSUN_SI, phase, f_ref, parameters)
        weights = self._weights(theta_jn, phase, chosen) / luminosity_distance
        plus, cross = self._spectra(k, parameters, total, weights, chosen, duration, sampling_frequency, f_min)
        return plus, cross

    def frequency_domain_orders(
        self,
        *,
        mass_1: float,
        mass_2: float,
        chi_1: float,
        chi_2: float,
        theta_jn: float,
        f_min: float,
        sampling_frequency: float,
        duration: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fourier transforms (1/Hz) of both polarizations at 1 Mpc, order by order in m: all orbital phases at once.

        ``h(phase) = sum over m of cos(m phase) spectra[m, 0] + sin(m phase) spectra[m, 1]``, of which
        `frequency_domain_polarizations` is the value at one phase (that at the peak).

        Parameters
        ----------
        as for `frequency_domain_polarizations`

        Returns
        -------
        orders : (n_m,) int, the modes' m
        spectra : (n_m, 2, 2, duration * sampling_frequency / 2 + 1) complex128
            second axis cosine and sine, third plus and cross
        """
        parameters, total = self._physical_one(mass_1, mass_2, chi_1, chi_2)
        k = self._at_knots(parameters)
        orders = sorted({m for _, m in self.modes})
        rows = []
        for m in orders:
            of_this_order = tuple(mode for mode in self.modes if mode[1] == m)
            for phase in (0.0, 0.5 * np.pi / m):
                weights = np.zeros((2, len(self.modes), 2))
                found = self._weights(theta_jn, phase, of_this_order)
                weights[:, : found.shape[1]] = found
                rows.append(weights)
        spectra = self._spectra(
            k, parameters, total, np.concatenate(rows), self.modes, duration, sampling_frequency, f_min
        )
        return np.array(orders), spectra.reshape(len(orders), 2, 2, -1)

    def _spectra(
        self,
        k: Knots,
        parameters: np.ndarray,
        total: np.ndarray,
        weights: np.ndarray,
        chosen: tuple[ModeKey, ...],
        duration: float,
        sampling_frequency: float,
        f_min: float,
    ) -> np.ndarray:
        """Transforms (n_sums, n_f) of sums over the modes of one binary, `weights` (n_sums, n, 2), at 1 Mpc."""
        n = self._samples(duration, sampling_frequency)
        orders = max(m for _, m in chosen)
        layout = self._layout(k, total * MTSUN_SI, parameters, duration, sampling_frequency, f_min, orders)
        return self._transformed(k, 0, float(total[0]) * MTSUN_SI, weights, layout, duration, n // 2 + 1)

    def _transformed(
        self, k: Knots, i: int, unit: float, weights: np.ndarray, layout: Layout, duration: float, n_f: int
    ) -> np.ndarray:
        """First `n_f` bins (n_sums, n_f) of the transforms of sums over the modes of the i-th waveform of `k`, at 1 Mpc."""
        rate, before, after, ramp = (column[i] for column in layout)
        step = 1.0 / rate / unit
        part = np.empty((len(weights), before + after))
        compiled.sums(self._tables, k, compiled.NOTHING, i, weights, -before * step, step, part)
        part[:, :ramp] *= _rise(ramp)
        series = np.zeros((len(weights), round(duration * rate)))
        series[:, :after], series[:, series.shape[1] - before :] = part[:, before:], part[:, :before]
        series *= unit / MPC_SECONDS / rate
        return np.stack([fft.rfft(row)[:n_f] for row in series])

    def frequency_domain(
        self,
        mass_1: np.ndarray,
        mass_2: np.ndarray,
        chi_1: np.ndarray,
        chi_2: np.ndarray,
        *,
        duration: float,
        sampling_frequency: float,
        f_min: float,
    ) -> np.ndarray:
        """Fourier transform of the (2,2) mode's h_plus for `theta_jn` = 0, `phase` = 0, at 1 Mpc, on an analysis segment.

        For any orientation h_plus = (1 + c^2) / 2 h exp(2i phase) and h_cross = -i c h exp(2i phase), c = cos(theta_jn).

        Parameters
        ----------
        mass_1, mass_2 : (N,) float, solar masses (detector frame), mass_1 >= mass_2
        chi_1, chi_2 : (N,) float
        duration : float, s
        sampling_frequency : float, Hz
        f_min : float, Hz
            lowest frequency that will be used; the taper at the start ends before the (2,2) mode reaches it

        Returns
        -------
        (N, duration * sampling_frequency / 2 + 1) complex128, 1/Hz
            the peak lies at the start of the segment, what precedes it wraps around to the end

        Raises
        ------
        DomainError
            outside the domain, or too short for `f_min` or for `duration`
        """
        n = self._samples(duration, sampling_frequency)
        parameters, total = self._physical(mass_1, mass_2, chi_1, chi_2)
        out = np.empty((len(total), n // 2 + 1), dtype=np.complex128)

        def work(rows: slice) -> None:
            k = self._at_knots(parameters[rows])
            units = total[rows] * MTSUN_SI
            layout = self._layout(k, units, parameters[rows], duration, sampling_frequency, f_min)
            for i, unit in enumerate(units):
                out[rows.start + i] = self._transformed(k, i, unit, _FACE_ON, layout, duration, n // 2 + 1)[0]

        in_threads(work, len(total))
        return out

    def segment_samples(
        self,
        mass_1: np.ndarray,
        mass_2: np.ndarray,
        chi_1: np.ndarray,
        chi_2: np.ndarray,
        *,
        times: np.ndarray,
        duration: float,
        sampling_frequency: float,
        f_min: float,
    ) -> np.ndarray:
        """The strain that `frequency_domain` transforms, its taper included, at a few times only.

        Parameters
        ----------
        times : (n,) float64, s from the peak, ascending
        mass_1, mass_2, chi_1, chi_2, duration, sampling_frequency, f_min
            as for `frequency_domain`

        Returns
        -------
        (N, n) float64

        Raises
        ------
        ConfigError
            times that do not ascend
        DomainError
            as `frequency_domain`
        """
        self._samples(duration, sampling_frequency)
        times = np.asarray(times, dtype=np.float64)
        if times.ndim != 1 or not np.all(np.diff(times) > 0):
            raise ConfigError("times must be a one-dimensional array of ascending numbers, in seconds from the peak")
        parameters, total = self._physical(mass_1, mass_2, chi_1, chi_2)
        out = np.empty((len(total), len(times)))

        def work(rows: slice) -> None:
            k = self._at_knots(parameters[rows])
            units = total[rows] * MTSUN_SI
            layout = self._layout(k, units, parameters[rows], duration, sampling_frequency, f_min)
            spans = np.stack([-layout.before, layout.ramp - layout.before, layout.after], 1) / layout.rate[:, None]
            compiled.samples(self._tables, k, _FACE_ON, units, spans, times, out[rows])
            out[rows] *= (units / MPC_SECONDS)[:, None]

        in_threads(work, len(total))
        return out

    # What `WaveformModel` asks for, from the calls above.

    def quadrupole(self, binaries: Binaries, grid: Grid) -> np.ndarray:
        """See `WaveformModel.quadrupole`: `frequency_domain`."""
        return self.frequency_domain(*binaries.aligned_columns(self.name), **grid._asdict())

    def samples(self, binaries: Binaries, grid: Grid, times: np.ndarray) -> np.ndarray:
        """See `WaveformModel.samples`: `segment_samples`."""
        return self.segment_samples(*binaries.aligned_columns(self.name), times=times, **grid._asdict())

    def orders(self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `WaveformModel.orders`: m of both signs, since spectra of tapered series are not quite one-sided."""
        positive = sorted({m for _, m in self.modes})
        out = np.empty((len(binaries), 2 * len(positive), 2, grid.n_f), dtype=np.complex128)
        columns = zip(*binaries.aligned_columns(self.name), theta_jn, strict=True)
        for row, (mass_1, mass_2, chi_1, chi_2, theta) in zip(out, columns, strict=True):
            binary = {"mass_1": mass_1, "mass_2": mass_2, "chi_1": chi_1, "chi_2": chi_2}
            _, both = self.frequency_domain_orders(**binary, theta_jn=theta, **grid._asdict())
            cosine, sine = both[:, 0], both[:, 1]
            row[: len(positive)], row[len(positive) :] = 0.5 * (cosine - 1j * sine), 0.5 * (cosine + 1j * sine)
        return np.array([*positive, *(-m for m in positive)]), out

    def transforms(
        self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, phase: np.ndarray, luminosity_distance: np.ndarray
    ) -> np.ndarray:
        """See `WaveformModel.transforms`: of (2, 2) alone from `frequency_domain`, else `frequency_domain_polarizations`."""
        if self.quadrupole_only:
            return oriented(self.quadrupole(binaries, grid), theta_jn, phase, luminosity_distance)
        out = np.empty((len(binaries), 2, grid.n_f), dtype=np.complex128)
        columns = zip(*binaries.aligned_columns(self.name), theta_jn, phase, luminosity_distance, strict=True)
        for row, (mass_1, mass_2, chi_1, chi_2, theta, turn, distance) in zip(out, columns, strict=True):
            binary = {"mass_1": mass_1, "mass_2": mass_2, "chi_1": chi_1, "chi_2": chi_2}
            place = {"luminosity_distance": distance, "theta_jn": theta, "phase": turn}
            row[:] = self.frequency_domain_polarizations(**binary, **place, **grid._asdict())
        return out


def load_surrogate(name_or_path: str | Path = DEFAULT) -> Surrogate:
    """A trained surrogate: a shipped one by name, or a folder written by `gwsml train surrogate`.

    Raises
    ------
    ArtifactError
        unknown name, foreign or damaged files
    """
    return Surrogate(*artifacts.load(name_or_path, "surrogate"))
