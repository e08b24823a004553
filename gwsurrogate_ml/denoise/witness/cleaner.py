"""Witness subtraction: explicit linear, slow x fast and scattered-light features, each with a long optimal filter.

The filters are the Wiener solution in closed form, frequency by frequency, of the features that matter there. The bands
are fitted with the frequency resolution that serves each best on held-back data, joined by overlapping ramps, and a band
where held-back power does not fall is left alone. Source: NonSENS (arXiv:1911.09083) for the bilinear features.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.denoise.witness import fitting
from gwsurrogate_ml.denoise.witness.channels import RUN, Aligned, align, require_alive, stuck_after
from gwsurrogate_ml.denoise.witness.features import Feature
from gwsurrogate_ml.denoise.witness.stream import CleanFrame, Filter, StreamState, run_through
from gwsurrogate_ml.errors import ConfigError, DataError, DomainWarning
from gwsurrogate_ml.kernels.psd import welch

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

KIND, VERSION = "witness_cleaner", "1"
DEFAULT_BANDS = ((10.0, 50.0), (50.0, 75.0), (75.0, 200.0))
CREDIBLE = 3.0
"""A witness beyond this many times its largest value in training is not believed."""
MAX_GAP = 60.0
"""A dropped stretch up to this long (s) is passed over as a gap."""

Progress = Callable[[str, int, int], None]


class WitnessCleaner:
    """Subtracts from strain what witness channels explain.

    Make one with `fit` or `load`; call it with strain and witnesses, or feed it frame by frame with `start` and `step`.

    Parameters
    ----------
    card : mapping
        what was fitted, to what, and what it gained on held-back data; in each of `bands`, `leverage` is the fraction of
        any signal in the fitted span that the filters would take if applied to that span (see `crossfit`)
    plan : stream.Filter

    Examples
    --------
    >>> from gwsurrogate_ml.denoise.witness.bench.mock import preset
    >>> data = preset("sidebands_only", sampling_frequency=512).draw(128.0, seed=1)
    >>> cleaner = WitnessCleaner.fit(data.strain, data.witnesses, bands=[(45.0, 75.0)])
    >>> cleaner.card["bands"][0]["held_back_power"] < 0.8
    True
    >>> clean = cleaner(data.strain, data.witnesses)
    >>> bool(clean.value.std() < data.strain.value.std())
    True
    """

    def __init__(self, card: Mapping[str, Any], plan: Filter) -> None:
        self.card = dict(card)
        self.plan = plan

    @classmethod
    def fit(
        cls,
        strain: TimeSeries,
        witnesses: Mapping[str, TimeSeries],
        bands: Sequence[tuple[float, float]] = DEFAULT_BANDS,
        *,
        features: Sequence[Feature] | None = None,
        held_back: float = 0.25,
        resolutions: Sequence[float] = fitting.RESOLUTIONS,
        name: str = "witness-cleaner",
        progress: Progress | None = None,
    ) -> WitnessCleaner:
        """Fit to a span of data.

        Parameters
        ----------
        strain : gwpy TimeSeries
            gaps (NaN) are left out
        witnesses : mapping from channel name to gwpy TimeSeries (a TimeSeriesDict), at the strain's rate
            a slow channel is also tried as the motion of a surface that scatters light, whatever its unit; `scattering` of the
            card says at which wavenumbers it was tried, found, and accepted
        bands : sequence of (low, high), Hz
            ascending; neighbours may touch
        features : sequence of Feature, optional
            in place of those tried by default (`features.candidates`)
        held_back : float
            fraction at the end on which bands are judged; once judged, the filters are fitted again to everything
        resolutions : sequence of float, s
            filter lengths to choose from
        name : str
        progress : callable(stage, done, total), optional

        Raises
        ------
        DataError
            if a channel is missing, dead, saturated or of another rate, or the data are too short
        ConfigError
            if bands overlap, are empty or reach beyond the Nyquist frequency
        """
        return cls.fit_aligned(
            align(strain, witnesses),
            bands,
            features=features,
            held_back=held_back,
            resolutions=resolutions,
            name=name,
            progress=progress,
        )

    @classmethod
    def fit_aligned(
        cls,
        data: Aligned,
        bands: Sequence[tuple[float, float]] = DEFAULT_BANDS,
        *,
        features: Sequence[Feature] | None = None,
        held_back: float = 0.25,
        resolutions: Sequence[float] = fitting.RESOLUTIONS,
        name: str = "witness-cleaner",
        progress: Progress | None = None,
    ) -> WitnessCleaner:
        """As `fit`, to what `channels.align` made of strain and witnesses."""
        require_alive(data)
        bands = fitting.check_bands(bands, data.sampling_frequency)
        if not 0.05 <= held_back <= 0.5:
            raise ConfigError(f"held_back={held_back:g}: hold back between 0.05 and 0.5 of the data")
        fitted = fitting.fit(data, bands, features, held_back, tuple(resolutions), progress or (lambda *_: None))
        limits = {key: CREDIBLE * float(np.nanmax(np.abs(data.channels[key]))) for key in fitted.channels}
        card = {
            "name": name,
            "kind": KIND,
            "version": VERSION,
            "channels": list(fitted.channels),
            "offered_channels": list(data.channels),
            "features": [feature.card() for feature in fitted.features],
            "limits": limits,
            "stuck_after": {key: stuck_after(data.channels[key]) for key in fitted.channels},
            "sampling_frequency": data.sampling_frequency,
            "bands": fitted.bands,
            "scattering": fitted.scattering,
            "training": {
                "start_time": data.start_time,
                "duration": data.strain.size / data.sampling_frequency,
                "held_back": held_back,
                "strain_sha256": _digest(data.strain),
                "witnesses_sha256": {key: _digest(values) for key, values in data.channels.items()},
            },
        }
        return cls._of(card, fitted.smoothing, fitted.taps)

    @classmethod
    def _of(cls, card: Mapping[str, Any], smoothing: np.ndarray, taps: np.ndarray) -> WitnessCleaner:
        channels = tuple(card["channels"])
        plan = Filter(
            channels,
            tuple(Feature.of_card(entry) for entry in card["features"]),
            smoothing,
            taps,
            np.array([card["limits"][key] for key in channels]),
            float(card["sampling_frequency"]),
            f"{card['name']} {card['version']}",
            np.array([card.get("stuck_after", {}).get(key, RUN) for key in channels], int),
            tuple((float(b["low"]), float(b["high"])) for b in card["bands"] if b["subtracted"]),
            tuple(bool(b.get("followed")) for b in card["bands"] if b["subtracted"]),
        )
        return cls(card, plan)

    def save(self, folder: str | Path) -> Path:
        """Write the cleaner as a model folder (card.json, weights.safetensors)."""
        return artifacts.save(Path(folder), self.card, {"smoothing": self.plan.smoothing, "taps": self.plan.taps})

    @classmethod
    def load(cls, name_or_path: str | Path) -> WitnessCleaner:
        """Read a cleaner; raises ArtifactError if it is none, or damaged."""
        card, tensors = artifacts.load(name_or_path, KIND)
        return cls._of(card, tensors["smoothing"], tensors["taps"])

    @property
    def latency(self) -> float:
        """Seconds by which a stream's output lags its input."""
        return self.plan.delay / self.plan.sampling_frequency

    def apply(self, strain: TimeSeries, witnesses: Mapping[str, TimeSeries]) -> CleanFrame:
        """Cleaned strain (n,) with the weight of the subtraction at every sample.

        Raises
        ------
        DataError
            if a channel the cleaner was fitted to is missing, or rates differ
        """
        if not self.plan.channels:
            values = np.asarray(strain.value, np.float64)
            return CleanFrame(values.copy(), np.zeros(values.size), float(strain.t0.value), self.plan.model)
        return self.apply_aligned(align(strain, witnesses, self.plan.channels))

    def apply_aligned(self, data: Aligned) -> CleanFrame:
        """As `apply`, to what `channels.align` made of strain and witnesses."""
        if not self.plan.channels:
            return CleanFrame(data.strain.copy(), np.zeros(data.strain.size), data.start_time, self.plan.model)
        self._require_rate(data.sampling_frequency)
        rows = np.stack([data.channels[name] for name in self.plan.channels])
        return run_through(self.plan, data.strain, rows, data.start_time)

    def __call__(self, strain: TimeSeries, witnesses: Mapping[str, TimeSeries]) -> TimeSeries:
        """Cleaned strain as a gwpy TimeSeries whose name says which model made it; see `apply` for the flags.

        Where the power in a subtracted band rises for most of the time (another state of the detector, witnesses out of
        step), the strain comes back as it was, with a DomainWarning and its own name; a warning also tells where it rises
        for a while only, and nothing was subtracted then.
        """
        from gwpy.timeseries import TimeSeries

        frame = self.apply(strain, witnesses)
        harm = self.harm(strain, frame)
        if harm:
            warnings.warn(
                f"{self.plan.model} {harm}: nothing was subtracted; check the witnesses' timing and gains, or fit anew",
                DomainWarning,
                stacklevel=2,
            )
            return strain.copy()
        if frame.refused.any():
            warnings.warn(
                f"{self.plan.model} would raise the power in {np.mean(frame.refused):.1%} of the data: there nothing was "
                "subtracted",
                DomainWarning,
                stacklevel=2,
            )
        name = f"{strain.name or 'strain'} cleaned by {self.plan.model}"
        return TimeSeries(frame.strain, t0=strain.t0, sample_rate=strain.sample_rate, unit=strain.unit, name=name)

    def harm(self, strain: TimeSeries, frame: CleanFrame) -> str:
        """What speaks against using a cleaned stretch at all; empty where nothing does."""
        worse = {band: ratio for band, ratio in self.in_band_power(strain, frame).items() if ratio > 1.0}
        if worse:
            (low, high), ratio = max(worse.items(), key=lambda item: item[1])
            return f"would raise the power at {low:g} to {high:g} Hz {ratio:.2f} times"
        if frame.refused.size and (share := float(np.mean(frame.refused))) > 0.5:
            return f"would raise the power in a band for {share:.0%} of the time"
        return ""

    def in_band_power(self, strain: TimeSeries, frame: CleanFrame) -> dict[tuple[float, float], float]:
        """Mean ratio of PSDs after and before in every subtracted band, over the longest stretch that was cleaned.

        Empty where that stretch is shorter than 8 s.
        """
        edges = np.flatnonzero(np.diff(np.concatenate([[0], frame.subtracted.astype(np.int8), [0]])))
        if not edges.size:
            return {}
        first, last = max(zip(edges[::2], edges[1::2], strict=True), key=lambda pair: pair[1] - pair[0])
        rate = self.plan.sampling_frequency
        if last - first < 8 * rate:
            return {}
        f, before = welch(np.asarray(strain.value[first:last], np.float64), rate, 1.0, average="mean")
        _, after = welch(frame.strain[first:last], rate, 1.0, average="mean")
        inside = {(b["low"], b["high"]): (f >= b["low"]) & (f <= b["high"]) for b in self.card["bands"] if b["subtracted"]}
        return {band: float(np.mean(after[use] / before[use])) for band, use in inside.items()}

    def start(self, time: float) -> StreamState:
        """State of a stream whose first sample is at `time`, GPS s."""
        return self.plan.start(time)

    def step(
        self, state: StreamState, chunk: TimeSeries, witness_chunk: Mapping[str, TimeSeries]
    ) -> tuple[StreamState, CleanFrame]:
        """Clean one frame of a stream; the output is as long, `latency` earlier.

        A frame that comes after a dropped stretch (up to a minute) is cleaned as after a gap, and the output is longer by
        that stretch, in which the strain is NaN.

        Parameters
        ----------
        state : StreamState, from `start` or the step before
        chunk : gwpy TimeSeries
        witness_chunk : mapping from channel name to gwpy TimeSeries

        Raises
        ------
        DataError
            if the frame lies before the one expected, or a minute or more after it, or does not fit the model
        """
        rate = self.plan.sampling_frequency
        if self.plan.channels:
            data = align(chunk, witness_chunk, self.plan.channels)
            self._require_rate(data.sampling_frequency)
            values, start = data.strain, data.start_time
            rows = np.stack([data.channels[name] for name in self.plan.channels])
        else:
            values, start = np.asarray(chunk.value, np.float64), float(chunk.t0.value)
            rows = np.empty((0, values.size))
        lost = round((start - state.next_time) * rate)
        if lost < 0:
            raise DataError(f"a frame at GPS {start:.4f} came out of order, {state.next_time:.4f} was due: drop it or start() anew")
        if lost >= MAX_GAP * rate:
            raise DataError(f"{lost / rate:.1f} s of the stream were lost before GPS {start:.4f}: begin anew with start()")
        # Whole samples from the frame's own time: sums of many frames' lengths would drift.
        state = replace(state, next_time=start - lost / rate)
        if lost:
            values = np.concatenate([np.full(lost, np.nan), values])
            rows = np.concatenate([np.full((len(rows), lost), np.nan), rows], axis=1)
        return self.plan.step(state, values, rows)

    def _require_rate(self, rate: float) -> None:
        if abs(rate - self.plan.sampling_frequency) > 1e-9 * rate:
            raise DataError(
                f"the data are sampled at {rate:g} Hz, {self.plan.model} was fitted at {self.plan.sampling_frequency:g} Hz: "
                f"resample the data to that"
            )


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
