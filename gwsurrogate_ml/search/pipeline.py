"""The search from strain to a ranked list of events with false-alarm rates."""

from __future__ import annotations

import json
import time as clock
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.arguments import positive
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.files import whole_hdf5
from gwsurrogate_ml.search.bank import TemplateBank, longest
from gwsurrogate_ml.search.coincidence import Background, cluster, coincidences, light_travel_time, n_shifts, slide
from gwsurrogate_ml.search.segments import Block, Span, blocks, common_spans, condition
from gwsurrogate_ml.search.sharing import CHUNK, Work
from gwsurrogate_ml.search.single import TRIGGER_DTYPE
from gwsurrogate_ml.strain.data import require_distinct
from gwsurrogate_ml.waveform.model import WaveformModel

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries
    from matplotlib.figure import Figure

Progress = Callable[[str, int, int], None]
Share = Callable[[Work], Iterator[dict[str, list[np.ndarray]]]]
"""Does the pieces of the filtering elsewhere and yields their triggers in order."""


@dataclass(frozen=True)
class SearchConfig:
    """Settings of a search.

    Attributes
    ----------
    f_max : float, Hz
        upper end of the band; the lower one is the bank's `f_min`
    threshold : float
        smallest SNR of a single-detector trigger
    trigger_window : float, s
        a trigger is the loudest of its template within this time on either side
    n_bins : int, of the power chi-squared
    psd_segment, filter_duration : float, s
        length of the periodograms, and of the truncated inverse ASD
    block : float, s
        longest stretch that is filtered at once, with a PSD of its own
    timing_error : float, s
        added to the light travel time between the detectors
    slide_step : float, s
        smallest time slide, and distance between slides
    cluster_window : float, s
        of two coincidences nearer than this only the louder one counts
    n_jobs : int, threads over templates
    """

    f_max: float = 1024.0
    threshold: float = 4.0
    trigger_window: float = 0.1
    n_bins: int = 16
    psd_segment: float = 2.0
    filter_duration: float = 2.0
    block: float = 256.0
    timing_error: float = 0.005
    slide_step: float = 0.2
    cluster_window: float = 0.2
    n_jobs: int = 1

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            positive(value, name)


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Attributes
    ----------
    detectors : the two names
    bank : TemplateBank
    config : SearchConfig
    triggers : mapping of detector to structured array of `single.TRIGGER_DTYPE`
    events : structured array of coincidences, loudest first; see `event_dtype`
    background : Background, of all triggers
    background_exclusive : Background
        without the triggers within `cluster_window` of events louder than all of `background`
    spans : GPS times that were searched in both detectors
    seconds : float, wall time
    """

    detectors: tuple[str, str]
    bank: TemplateBank
    config: SearchConfig
    triggers: Mapping[str, np.ndarray]
    events: np.ndarray
    background: Background
    background_exclusive: Background
    spans: list[Span]
    seconds: float = 0.0
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def live_time(self) -> float:
        """Seconds searched in both detectors."""
        return sum(b - a for a, b in self.spans)

    def summary(self, n: int = 5) -> dict[str, Any]:
        """Plain numbers: how much was searched, and the `n` loudest events."""
        louder = self.background.rankings
        return {
            "detectors": list(self.detectors),
            "live_time": self.live_time,
            "templates": len(self.bank),
            "triggers": {name: int(found.size) for name, found in self.triggers.items()},
            "background": {
                "n_slides": self.background.n_slides,
                "time": self.background.time,
                "loudest": float(louder[-1]) if louder.size else None,
                "loudest_exclusive": float(self.background_exclusive.rankings[-1])
                if self.background_exclusive.rankings.size
                else None,
            },
            "events": [{name: row[name].item() for name in self.events.dtype.names or ()} for row in self.events[:n]],
            "seconds": self.seconds,
        }

    def save(self, path: str | Path) -> None:
        """Triggers, events and background as HDF5, written under a temporary name first."""
        with whole_hdf5(path) as file:
            file.attrs["config"] = json.dumps(asdict(self.config))
            file.attrs["bank"] = json.dumps(asdict(self.bank.config))
            file.attrs["meta"] = json.dumps(self.meta)
            file["spans"] = np.array(self.spans)
            file["events"] = self.events
            for name, found in self.triggers.items():
                file[f"triggers/{name}"] = found
            for label, background in (("all", self.background), ("exclusive", self.background_exclusive)):
                group = file.create_group(f"background/{label}")
                group["rankings"] = background.rankings
                group.attrs["n_slides"], group.attrs["time"] = background.n_slides, background.time
            names = ("mass_1", "mass_2", "chi_1", "chi_2")
            for name, column in zip(names, self.bank.parameters.T, strict=True):
                file[f"templates/{name}"] = column

    def plot(self) -> Figure:
        """Number of coincidences above a ranking: zero-lag events against the background."""
        from gwsurrogate_ml.search.figure import ranking

        return ranking(self.events["ranking"], self.background, self.background_exclusive, self.live_time)


def event_dtype(detectors: tuple[str, str]) -> np.dtype:
    """Fields of an event: template, ranking, rates (Hz), then time, SNR and so on of each detector.

    Where `louder_in_background` is 0 the rates are upper bounds.
    """
    numbers = ["ranking", "mass_1", "mass_2", "chi_1", "chi_2", "false_alarm_rate", "false_alarm_probability"]
    numbers += ["false_alarm_rate_exclusive", "time"]
    counts = ("template", "louder_in_background")
    each = ("time", "snr", "phase", "chisq_per_dof", "newsnr")
    return np.dtype(
        [(name, np.int64) for name in counts]
        + [(name, np.float64) for name in numbers]
        + [(f"{name}_{what}", np.float64) for name in detectors for what in each]
    )


def search(
    series: Mapping[str, TimeSeries],
    bank: TemplateBank,
    model: WaveformModel,
    config: SearchConfig | None = None,
    progress: Progress | None = None,
    share: Share | None = None,
) -> SearchResult:
    """Search the strain of two detectors with a bank of templates.

    Parameters
    ----------
    series : mapping of two detectors to gwpy TimeSeries of strain, one rate, gaps as NaN
    bank : TemplateBank
    model : waveform model that the bank was placed with
    config : SearchConfig, optional
    progress : callable (stage, done, total), optional
    share : callable, optional
        filters elsewhere: `sharing.shared` with all but its first argument; the triggers are the same

    Returns
    -------
    SearchResult

    Raises
    ------
    ConfigError
        if there are not two detectors, the band does not fit the data, slides would hold real coincidences, or there are none
    DataError
        if the detectors have no long enough stretch in common, or data are constant

    Notes
    -----
    Time slides of T seconds show no rarer noise than once in about T^2 / `slide_step`: 32 s give a false-alarm rate of one
    an hour at best, however loud the event.
    """
    report = progress or (lambda *_: None)
    config = config or SearchConfig()
    started = clock.perf_counter()
    detectors = tuple(series)
    rate, window = require_searchable(series, bank.config.f_min, config)
    # A trigger needs the template's length before it, and the filter's length on both sides.
    before = config.filter_duration + longest(bank.config)
    after = config.filter_duration
    spans = common_spans(series, before + after + max(4.0, 4 * config.psd_segment))
    cut = blocks(spans, max(config.block, 2 * (before + after)), before, after)
    valid = [block.valid for block in cut]
    live = sum(b - a for a, b in valid)
    if not n_shifts(live, config.slide_step):
        raise ConfigError(
            f"slide_step = {config.slide_step:g} s leaves no slide of the {live:.1f} s that are searched, and no false-alarm rate: "
            f"lower it to {np.floor(5 * live) / 10:g} s or less, or give longer data"
        )
    triggers = _all_triggers(series, cut, bank, model, config, rate, progress, share)
    first, second = (triggers[name] for name in detectors)
    pairs = coincidences(first, second, first["time"], second["time"], window)
    zero_lag = cluster(pairs, config.cluster_window)
    report("sliding in time", 0, 1)
    steps = (valid, window, config.slide_step, config.cluster_window)
    background = slide(first, second, *steps)
    loud = zero_lag["time"][zero_lag["ranking"] > background.rankings.max(initial=0.0)]
    kept = [_without(found, loud, config.cluster_window) for found in (first, second)]
    exclusive = slide(kept[0], kept[1], *steps)
    report("sliding in time", 1, 1)
    events = _events((detectors[0], detectors[1]), first, second, zero_lag, bank, background, exclusive, live)
    seconds = clock.perf_counter() - started
    names = (detectors[0], detectors[1])
    return SearchResult(names, bank, config, triggers, events, background, exclusive, valid, seconds)


def require_searchable(series: Mapping[str, TimeSeries], f_min: float, config: SearchConfig) -> tuple[float, float]:
    """Sampling rate (Hz) and coincidence window (s) of a search from `f_min` (Hz) on, if it can be done.

    Raises
    ------
    ConfigError
        if there are not two detectors of one rate, the band does not fit the data, or slides would hold real coincidences
    DataError
        if both hold the same samples
    """
    detectors = tuple(series)
    if len(detectors) != 2:
        raise ConfigError(f"{len(detectors)} detectors: coincidence and time slides need two, such as H1 and L1")
    require_distinct(series)
    window = light_travel_time(*detectors) + config.timing_error
    rates = {name: float(s.sample_rate.value) for name, s in series.items()}
    rate = min(rates.values())
    if max(rates.values()) > rate * (1 + 1e-6):
        raise ConfigError(f"detectors have different rates ({rates}): bring them to the lowest by strain.rates.to_lowest_rate")
    if not f_min < config.f_max <= rate / 2:
        raise ConfigError(
            f"f_max is {config.f_max:g} Hz: it must lie above the bank's f_min ({f_min:g}) and not above Nyquist ({rate / 2:g} Hz)"
        )
    least = 2 * window + config.cluster_window / 2
    if config.slide_step < least:
        raise ConfigError(
            f"slide_step = {config.slide_step:g} s: slides by less than {least:.3f} s may hold real coincidences; raise it"
        )
    return rate, window


def _all_triggers(
    series: Mapping[str, TimeSeries],
    cut: list[Block],
    bank: TemplateBank,
    model: WaveformModel,
    config: SearchConfig,
    rate: float,
    progress: Progress | None,
    share: Share | None,
) -> dict[str, np.ndarray]:
    """Triggers by detector, of all templates and blocks."""
    report = progress or (lambda *_: None)
    f_min = bank.config.f_min
    data = {
        name: [condition(s, block, f_min, config.f_max, config.filter_duration, config.psd_segment) for block in cut]
        for name, s in series.items()
    }
    settings = {name: getattr(config, name) for name in ("f_max", "threshold", "trigger_window", "n_bins")}
    work = Work(bank.parameters, cut, data, rate, f_min, settings)
    pieces = share(work) if share else (work.triggers(model, first, config.n_jobs) for first in work.starts())
    found: dict[str, list[np.ndarray]] = {name: [np.empty(0, TRIGGER_DTYPE)] for name in series}
    report("filtering", 0, len(bank))
    for number, piece in enumerate(pieces, start=1):
        for name, parts in piece.items():
            found[name] += parts
        report("filtering", min(number * CHUNK, len(bank)), len(bank))
    return {name: np.sort(np.concatenate(parts), order=("template", "time")) for name, parts in found.items()}


def _without(triggers: np.ndarray, times: np.ndarray, window: float) -> np.ndarray:
    """Triggers not within `window` of any of `times`."""
    near = np.zeros(triggers.size, bool)
    for t in times:
        near |= np.abs(triggers["time"] - t) <= window
    return triggers[~near]


def _events(
    detectors: tuple[str, str],
    first: np.ndarray,
    second: np.ndarray,
    pairs: np.ndarray,
    bank: TemplateBank,
    background: Background,
    exclusive: Background,
    live: float,
) -> np.ndarray:
    events = np.zeros(pairs.size, event_dtype(detectors))
    events["template"] = first["template"][pairs["first"]]
    for column, name in enumerate(("mass_1", "mass_2", "chi_1", "chi_2")):
        events[name] = bank.parameters[events["template"], column]
    events["ranking"], events["time"] = pairs["ranking"], pairs["time"]
    louder = background.rankings.size - np.searchsorted(background.rankings, pairs["ranking"], side="left")
    events["louder_in_background"] = louder
    events["false_alarm_rate"] = background.false_alarm_rate(pairs["ranking"])
    events["false_alarm_rate_exclusive"] = exclusive.false_alarm_rate(pairs["ranking"])
    events["false_alarm_probability"] = -np.expm1(-live * events["false_alarm_rate"])
    for name, triggers, index in zip(detectors, (first, second), (pairs["first"], pairs["second"]), strict=True):
        for what in ("time", "snr", "phase", "chisq_per_dof", "newsnr"):
            events[f"{name}_{what}"] = triggers[what][index]
    return events
