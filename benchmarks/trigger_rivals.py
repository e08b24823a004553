"""Beside the trigger, on the same strain, signals and time slides: the matched filter with a bank, and the autoencoder.

    python benchmarks/trigger_rivals.py --part search        # `gwsml search`'s triggers, chi-squared and coincidences
    python benchmarks/trigger_rivals.py --part autoencoder   # `bbh-autoencoder` in each detector

Both see whitened strain as the trigger does, gated as for it. The bank has the binaries that were trained on, (2, 2) mode, spins
alike, with the search's own settings. The autoencoder's score is the sum of both detectors' log odds of a signal in a segment.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from trigger import DATA, store
from trigger_data import GATE, Injections, injections, paired_noise, test_noise
from trigger_efficiency import BLOCK, SLIDES, SNRS, judged, shift

from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.denoise.signal.segment import DURATION, F_HIGH, F_LOW, SEARCH, frequencies, to_spectrum
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.search.bank import BankConfig, cached
from gwsurrogate_ml.search.coincidence import coincidences, light_travel_time
from gwsurrogate_ml.search.pipeline import SearchConfig
from gwsurrogate_ml.search.segments import Block, Conditioned
from gwsurrogate_ml.search.single import TRIGGER_DTYPE, find_triggers
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.trigger.data import BEFORE, CENTRE, DETECTORS, Stream
from gwsurrogate_ml.trigger.settings import RATE, DataSettings
from gwsurrogate_ml.trigger.train import EARLY, LATE
from gwsurrogate_ml.waveform.model import Grid

N = 1000
"""Injections of `trigger.py`, of which the first are used."""
NEAR = 0.1
"""Seconds from the merger within which a coincidence or the network's peak counts."""
TOGETHER = 4
"""Segments of injections that are filtered at once."""
REACH = 95
"""Samples before the trigger's scores that it sees, and that are gated for it."""


class MatchedFilter:
    """Triggers of the bank in whitened strain.

    Parameters
    ----------
    seconds : int, of what is filtered at once
    """

    def __init__(self, seconds: int) -> None:
        model, d = load_model("nrhm"), DataSettings()
        config = BankConfig(mass_min=d.mass[0], mass_max=d.mass[1], q_max=d.q_max, chi_max=d.chi, f_min=F_LOW)
        self.bank = cached(model, str(model.info["weights_sha256"]), config)
        c = SearchConfig()
        self.settings = {"f_max": F_HIGH, **{name: getattr(c, name) for name in ("threshold", "trigger_window", "n_bins")}}
        self.window = light_travel_time(*DETECTORS) + c.timing_error
        self.seconds, self.n = seconds, round(seconds * RATE)
        self.templates = model.quadrupole(Binaries.aligned(*self.bank.parameters.T), Grid(seconds, RATE, F_LOW))
        self.f = np.arange(self.n // 2 + 1) / seconds

    def white(self, psd: np.ndarray) -> np.ndarray:
        """The templates (n_templates, n_f), whitened."""
        return np.asarray(self.templates / np.sqrt(np.interp(self.f, frequencies(), psd)))

    def __call__(self, templates: np.ndarray, strain: np.ndarray) -> np.ndarray:
        """Triggers of whitened strain of `seconds`, times from its start; zeros behind what is shorter."""
        data = np.zeros(self.n)
        data[: strain.size] = strain
        # White noise of variance one: 2 / RATE of it a hertz.
        clean = Conditioned(fft.rfft(data) / RATE, np.full(self.f.size, 2.0 / RATE), 1.0 / self.seconds, 0.0)
        whole = (0.0, float(self.seconds))
        return find_triggers(templates, 0, clean, Block(whole, whole), F_LOW, self.settings)


def filtered(stream: Stream, matched: MatchedFilter) -> np.ndarray:
    """Triggers of a stream where it is usable, times in samples of what is usable."""
    found = matched(matched.white(stream.psd), stream.values)
    at = np.minimum(np.rint(found["time"] * RATE).astype(int), stream.values.size - 1)
    found["time"] = (np.cumsum(stream.usable) - 1)[at]
    return found[stream.usable[at]]


def search_background(streams: dict[str, list[Stream]], matched: MatchedFilter) -> tuple[np.ndarray, float]:
    """Loudest rankings of all blocks of the slides of `trigger.py`, 0 without a coincidence, and the time in s."""
    triggers, sizes = [], []
    for name in DETECTORS:
        found, total = [], 0
        for one in streams[name]:
            mine = filtered(one, matched)
            mine["time"] += total
            found.append(mine)
            total += int(one.usable.sum())
        triggers.append(np.concatenate(found))
        sizes.append(total)
    n = min(sizes)
    loudest = np.zeros((SLIDES, n // BLOCK))
    one = triggers[0][triggers[0]["time"] < n]
    for k in range(SLIDES):
        two = triggers[1].copy()
        two["time"] = (two["time"] - shift(k, sizes[1])) % sizes[1]
        two = two[two["time"] < n]
        pairs = coincidences(one, two, one["time"] / RATE, two["time"] / RATE, matched.window)
        block = np.minimum(
            (0.5 * (one["time"][pairs["first"]] + two["time"][pairs["second"]])).astype(int) // BLOCK, n // BLOCK - 1
        )
        np.maximum.at(loudest[k], block, pairs["ranking"])
    return np.sort(loudest.ravel())[::-1], loudest.size * BLOCK / RATE


def gated(made: Injections, snr: float) -> np.ndarray:
    """Which of the windows (n,) are gated, as for the trigger."""
    near = slice(round(BEFORE * RATE) - EARLY - REACH, round(BEFORE * RATE) + LATE + 1)
    return np.asarray(np.abs(made.noise[:, :, near] + snr * made.signals[:, :, near]).max(axis=(1, 2)) > GATE)


def search_found(made: Injections, pairs: list[tuple[Stream, Stream]], matched: MatchedFilter) -> np.ndarray:
    """Loudest ranking (n_snr, n) of each injection near its merger."""
    found = np.zeros((SNRS.size, made.event.size))
    noise, size = made.segments(pairs), round(DURATION * RATE)
    place = slice(round((CENTRE - BEFORE) * RATE), round((CENTRE - BEFORE) * RATE) + made.signals.shape[2])
    for event, pair in enumerate(pairs):
        templates = [matched.white(one.psd) for one in pair]
        members = np.flatnonzero(made.event == event)
        for rows in np.split(members, range(TOGETHER, members.size, TOGETHER)):
            for row, snr in zip(found, SNRS, strict=True):
                x = noise[rows].copy()
                x[:, :, place] += snr * made.signals[rows]
                one, two = (near(matched(templates[d], x[:, d].ravel()), size) for d in range(2))
                coincident = coincidences(one, two, one["time"], two["time"], matched.window)
                which = np.minimum((coincident["time"] // DURATION).astype(int), rows.size - 1)
                np.maximum.at(row, rows[which], coincident["ranking"])
        print(f"event {event}: {members.size} injections", flush=True)
    return found


def near(triggers: np.ndarray, size: int) -> np.ndarray:
    """Those about a segment's merger."""
    assert triggers.dtype == TRIGGER_DTYPE
    return triggers[np.abs(triggers["time"] % (size / RATE) - CENTRE) < NEAR]


def record(part: str, loudest: np.ndarray, seconds: float, found: np.ndarray, made: Injections, **more: Any) -> None:
    """Efficiency at one false alarm an hour into the results."""
    kept = np.where(np.array([gated(made, snr) for snr in SNRS]), -np.inf, found)
    row = judged(loudest, seconds, kept) | more
    print(row, flush=True)
    store(part, row)


def search(n: int, seed: int) -> None:
    streams, pairs = test_noise(DATA), paired_noise(DATA)
    longest = max(one.values.size for row in streams.values() for one in row) / RATE
    matched = MatchedFilter(int(-(-longest // 16) * 16))
    loudest, seconds = search_background(streams, matched)
    print(len(matched.bank), "templates;", "loudest of the background:", loudest[:8], flush=True)
    made = injections(pairs, N, seed).first_of(n)
    found = search_found(made, pairs, MatchedFilter(round(TOGETHER * DURATION)))
    record("search", loudest, seconds, found, made, templates=len(matched.bank), settings=matched.settings)


def autoencoder(n: int, seed: int) -> None:
    """The learned denoiser's log odds of a signal, both detectors' together, segment by segment."""
    from gwsurrogate_ml.denoise.signal.load import load_denoiser

    denoiser: Any = load_denoiser("bbh-autoencoder")
    streams, pairs = test_noise(DATA), paired_noise(DATA)

    def odds(series: np.ndarray, psd: np.ndarray) -> float:
        return float(denoiser.reconstruct(to_spectrum(series, RATE), psd, RATE).log_bayes)

    size, first, last = (round(t * RATE) for t in (DURATION, *SEARCH))
    step = last - first
    quiet: dict[str, list[float]] = {name: [] for name in DETECTORS}
    for name in DETECTORS:
        for one in streams[name]:
            for begin in range(0, one.values.size - size + 1, step):
                piece = slice(begin, begin + size)
                if one.usable[begin + first : begin + last].all():
                    quiet[name].append(odds(one.values[piece] * one.usable[piece], one.psd))
        print(name, len(quiet[name]), "segments", flush=True)
    h, l = (np.array(quiet[name]) for name in DETECTORS)
    both = [h[: min(h.size, l.size)] + np.roll(l, -k)[: min(h.size, l.size)] for k in range(1, l.size)]
    loudest = np.sort(np.concatenate(both))[::-1]
    made = injections(pairs, N, seed).first_of(n)
    noise = made.segments(pairs)
    place = slice(round((CENTRE - BEFORE) * RATE), round((CENTRE - BEFORE) * RATE) + made.signals.shape[2])
    found = np.zeros((SNRS.size, n))
    for row, snr in zip(found, SNRS, strict=True):
        for i in range(n):
            x = noise[i].copy()
            x[:, place] += snr * made.signals[i]
            row[i] = sum(odds(x[d], pairs[made.event[i]][d].psd) for d in range(2))
        print(snr, flush=True)
    record("autoencoder", loudest, loudest.size * step / RATE, found, made, version=denoiser.card["version"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("search", "autoencoder"), required=True)
    parser.add_argument("--n", type=int, default=200, help="injections at each SNR, the first of the trigger's 1000")
    parser.add_argument("--seed", type=int, default=11)
    a = parser.parse_args()
    {"search": search, "autoencoder": autoencoder}[a.part](a.n, a.seed)


if __name__ == "__main__":
    main()
