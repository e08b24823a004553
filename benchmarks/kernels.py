"""The kernels beside pycbc and gwpy: one process, one thread each, alternating A B A B, medians and ratios.

    python benchmarks/kernels.py [--quick] [--repeat N] [--only NAME ...] [--first-call] [--json FILE] [--figure FILE]

Threads are pinned before anything is imported (an unpinned OpenMP loop of the peer is twenty times slower and would
fake a gain), pycbc runs on MKL where `mkl` is installed (named in the output), every pair is warmed up, and each line
states how far the two results are apart. On one thread the clock is the process's CPU time, which other load on the
machine disturbs less than wall time; GWSML_BENCH_THREADS=2 measures wall time on two threads. The limit is the time of what
nobody can leave out: the transforms alone, by the same FFT library, on the same threads, in the same run (for chi-squared the
multiplications of its sums, by BLAS). `--first-call` measures import and
compilation in a fresh process with an empty compile cache, and again with the cache filled.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

THREADS = os.environ.get("GWSML_BENCH_THREADS", "1")
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = THREADS

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

DYN_RANGE = 5.902958103587057e20


@dataclass
class Line:
    """One comparison: medians in ms, peer / ours, the goal for it, the bare transforms, the largest relative difference."""

    name: str
    peer: str
    ours_ms: float
    peer_ms: float
    ratio: float
    target: float | None
    limit_ms: float | None
    difference: float | None


def alternate(ours: Callable[[], Any], peer: Callable[[], Any], repeat: int) -> tuple[float, float]:
    """Median times in ms of both, called in turn after one warm-up each."""
    clock = time.process_time if THREADS == "1" else time.perf_counter
    ours(), peer()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeat):
        for collected, call in zip(times, (ours, peer), strict=True):
            start = clock()
            call()
            collected.append(clock() - start)
    return 1e3 * float(np.median(times[0])), 1e3 * float(np.median(times[1]))


def spread(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference relative to the largest value of `b`."""
    return float(np.max(np.abs(np.asarray(a) - np.asarray(b))) / np.max(np.abs(b)))


class Bench:
    """Collects and prints the comparisons."""

    def __init__(self, quick: bool, repeat: int, only: list[str] | None) -> None:
        self.quick, self.repeat, self.only = quick, repeat, only
        self.lines: list[Line] = []

    def add(
        self,
        name: str,
        peer_name: str,
        ours: Callable[[], Any],
        peer: Callable[[], Any],
        difference: float | None,
        target: float | None = None,
        limit: Callable[[], Any] | None = None,
    ) -> None:
        """Time both sides, and the limit if there is one, and print a line."""
        if self.only and not any(part in name for part in self.only):
            return
        a, b = alternate(ours, peer, self.repeat)
        bare = None if limit is None else alternate(limit, lambda: None, self.repeat)[0]
        self.lines.append(Line(name, peer_name, a, b, b / a, target, bare, difference))
        print(
            f"{name:<48}{peer_name:<42}{a:>9.2f}{b:>9.2f}{b / a:>8.2f}{_text(target, '.1f'):>8}{_text(bare, '.2f'):>9}"
            f"{_text(difference, '.1e'):>11}",
            flush=True,
        )


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def noise_psd(n_freq: int, delta_f: float) -> np.ndarray:
    f = np.maximum(np.arange(n_freq) * delta_f, 5.0)
    return 1e-46 * ((20 / f) ** 8 + (40 / f) ** 4 + 1 + (f / 300) ** 2)


def bench_spectra(bench: Bench, duration: int, rate: int) -> None:
    import pycbc.psd
    from gwpy.timeseries import TimeSeries
    from pycbc.types import FrequencySeries
    from pycbc.types import TimeSeries as PycbcSeries

    from gwsurrogate_ml.kernels import fft, psd, threads, whiten

    n = duration * rate
    x = 1e-21 * np.random.default_rng(0).standard_normal(n)
    x32 = (x * DYN_RANGE).astype(np.float32)
    gw, pc, pc32 = TimeSeries(x, sample_rate=rate), PycbcSeries(x, delta_t=1 / rate), PycbcSeries(x32, delta_t=1 / rate)
    symmetric = np.hanning(4 * rate)
    frames = np.lib.stride_tricks.sliding_window_view(x, 4 * rate)[:: 2 * rate].copy()
    frames32 = frames.astype(np.float32)

    def convolution(
        series: np.ndarray,
    ) -> None:  # the spectrum of the data and back, in the blocks that serve best, and the PSD
        def blocks(part: range) -> None:
            for _ in part:
                fft.irfft(fft.rfft(series[: 8 * rate]), 8 * rate)

        segments = frames if series.dtype == np.float64 else frames32
        transforms(segments)
        threads.each(blocks, threads.parts(range(-(-n // (6 * rate)))))

    def transforms(segments: np.ndarray) -> None:
        threads.each(lambda part: fft.rfft(segments[part.start : part.stop]), threads.parts(range(len(segments))))

    def truncation() -> None:  # transforms of 1/16 of the length, of which half follow from symmetry, in both directions
        split = 32
        rows = np.empty((split // 2 + 1, n // split))
        fft.rfft(rows), fft.fft(rows.astype(np.complex128))

    label = f"{duration} s at {rate} Hz"

    peer32 = lambda: pycbc.psd.welch(pc32, 4 * rate, 2 * rate).numpy()  # noqa: E731
    peer64 = lambda: pycbc.psd.welch(pc, 4 * rate, 2 * rate).numpy()  # noqa: E731
    same = {"window": symmetric, "detrend": False}
    bench.add(
        f"welch median f32, {label}",
        "pycbc.psd.welch f32",
        lambda: psd.welch(x32, rate, 4.0),
        peer32,
        spread(psd.welch(x32, rate, 4.0, **same)[1], peer32()),
        8.0,
        lambda: transforms(frames32),
    )
    bench.add(
        f"welch median f64, {label}",
        "pycbc.psd.welch f64",
        lambda: psd.welch(x, rate, 4.0),
        peer64,
        spread(psd.welch(x, rate, 4.0, **same)[1], peer64()),
        8.0,
        lambda: transforms(frames),
    )
    peer_gw = lambda: gw.psd(4, 2, method="median").value  # noqa: E731
    bench.add(
        f"welch median f64, {label}",
        "gwpy TimeSeries.psd",
        lambda: psd.welch(x, rate, 4.0),
        peer_gw,
        spread(psd.welch(x, rate, 4.0)[1], peer_gw()),
        8.0,
        lambda: transforms(frames),
    )

    peer_w = lambda: gw.whiten(4, 2, highpass=20).value  # noqa: E731
    ours_w = lambda: whiten.whiten(x, rate, highpass=20.0)  # noqa: E731
    bench.add(
        f"whiten f64, {label}",
        "gwpy TimeSeries.whiten(4, 2)",
        ours_w,
        peer_w,
        spread(ours_w(), peer_w()),
        6.0,
        lambda: convolution(x),
    )
    x32u = x.astype(np.float32)
    ours_w32 = lambda: whiten.whiten(x32u, rate, highpass=20.0)  # noqa: E731
    bench.add(
        f"whiten f32, {label}",
        "gwpy TimeSeries.whiten(4, 2)",
        ours_w32,
        peer_w,
        spread(ours_w32(), peer_w()),
        6.0,
        lambda: convolution(x32u),
    )
    peer_pw = lambda: pc32.whiten(4, 2, remove_corrupted=False, low_frequency_cutoff=20.0)  # noqa: E731
    bench.add(
        f"whiten f32, {label}",
        "pycbc TimeSeries.whiten f32 (*)",
        ours_w32,
        peer_pw,
        None,
        6.0,
        lambda: convolution(x32u),
    )

    s, df = noise_psd(n // 2 + 1, 1 / duration), 1 / duration
    fs = FrequencySeries(s, delta_f=df)
    peer_i = lambda: pycbc.psd.inverse_spectrum_truncation(  # noqa: E731
        fs, 4 * rate, low_frequency_cutoff=20.0, trunc_method="hann"
    ).numpy()
    ours_i = lambda: truncation.inverse_spectrum_truncation(s, df, 4.0, 20.0)  # noqa: E731
    k = slice(20 * duration, -1)
    bench.add(
        f"inverse-spectrum truncation, {label}",
        "pycbc f64",
        ours_i,
        peer_i,
        float(np.max(np.abs(ours_i()[k] / peer_i()[k] - 1))),
        6.0,
        truncation,
    )


def simulated(duration: int, rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Template, data, PSD (scaled by DYN_RANGE, its square) and delta_f."""
    from pycbc.waveform import get_fd_waveform

    n, df = duration * rate, 1 / duration
    s = noise_psd(n // 2 + 1, df) * DYN_RANGE**2
    h, _ = get_fd_waveform(approximant="IMRPhenomD", mass1=20, mass2=15, delta_f=df, f_lower=20, f_final=rate / 2)
    h.resize(n // 2 + 1)
    template = h.numpy() * DYN_RANGE / 300
    rng = np.random.default_rng(1)
    noise = np.sqrt(s * duration) / 2 * (rng.standard_normal(s.size) + 1j * rng.standard_normal(s.size))
    return template, noise + template * np.exp(-2j * np.pi * np.arange(s.size) * df * duration / 3), s, df


def bench_filter(bench: Bench, duration: int, rate: int) -> None:
    import pycbc.filter
    import pycbc.vetoes.chisq as peer_chisq
    from pycbc.types import FrequencySeries

    from gwsurrogate_ml.kernels import chisq, fft
    from gwsurrogate_ml.kernels import matched_filter as mf

    template, data, s, df = simulated(duration, rate)
    label = f"{duration} s at {rate} Hz"
    n = duration * rate
    for name, cplx, real in (("c64", np.complex64, np.float32), ("c128", np.complex128, np.float64)):
        h, d, p = template.astype(cplx), data.astype(cplx), s.astype(real)
        ph, pd, pp = (FrequencySeries(a, delta_f=df) for a in (h, d, p))
        peer = lambda: pycbc.filter.matched_filter(ph, pd, pp, low_frequency_cutoff=20.0)  # noqa: B023, E731
        full = lambda: mf.matched_filter(h, d, p, df, 20.0)  # noqa: B023, E731
        half = lambda: mf.matched_filter(h, d, p, df, 20.0, decimate=2)  # noqa: B023, E731
        reference = peer().numpy()
        whole, bare = np.ones(n, cplx), np.ones(n // 2, cplx)
        bench.add(
            f"matched filter {name}, {label}",
            "pycbc matched_filter",
            full,
            peer,
            spread(full().snr, reference),
            4.0,
            lambda: fft.ifft(whole),  # noqa: B023
        )
        bench.add(
            f"  half-length transform {name}",
            "pycbc matched_filter",
            half,
            peer,
            spread(half().snr, reference[::2]),
            4.0,
            lambda: fft.ifft(bare),  # noqa: B023
        )
        bench.add(
            f"  half-length transform {name}",
            "bare half-length inverse FFT",
            half,
            lambda: fft.ifft(bare),  # noqa: B023
            0.0,
            1 / 1.6,
            lambda: fft.ifft(bare),  # noqa: B023
        )

    h, d, p = template.astype(np.complex64), data.astype(np.complex64), s.astype(np.float32)
    ph, pd, pp = (FrequencySeries(a, delta_f=df) for a in (h, d, p))
    points = np.sort(np.random.default_rng(2).choice(n, 100, replace=False))
    bins = chisq.power_chisq_edges(template, s, int(20 / df), n // 2, 16)  # its own edges suffer from a float32 sum
    snr, corr, norm = pycbc.filter.matched_filter_core(ph, pd, pp, 20.0)
    chosen = snr.numpy()[points]
    peer = lambda: peer_chisq.power_chisq_at_points_from_precomputed(corr, chosen, norm, bins, points)  # noqa: E731
    exact = chisq.power_chisq(template, data, s, df, 20.0, 16, points)[0]
    ours = lambda: chisq.power_chisq(h, d, p, df, 20.0, 16, points)[0]  # noqa: E731
    phases, blocks = np.ones((points.size, 512), np.complex64), np.ones((512, n // 1024), np.complex64)
    bench.add(
        f"chi-squared at 100 points c64, {label}",
        "pycbc at points (correlation given)",
        ours,
        peer,
        float(np.max(np.abs(ours() / exact - 1))),
        1 / 1.2,
        lambda: phases @ blocks,  # the sums' multiplications, by the matrix product of a BLAS
    )
    print(
        f"{'':<48}error of ours and of the peer against float64: "
        f"{np.max(np.abs(ours() / exact - 1)):.1e}, {np.max(np.abs(peer() / exact - 1)):.1e}"
    )


def bench_bank(bench: Bench, n_templates: int, duration: int, rate: int) -> None:
    from pycbc.filter import MatchedFilterControl, sigmasq
    from pycbc.types import FrequencySeries, zeros

    from gwsurrogate_ml.kernels import fft, threads
    from gwsurrogate_ml.kernels import matched_filter as mf

    template, data, s, df = simulated(duration, rate)
    n = duration * rate
    warp = np.linspace(-1, 1, n_templates)[:, None] * (np.arange(s.size) * df / 100)[None]
    bank = (template[None] * np.exp(1j * warp)).astype(np.complex64)
    d, p = data.astype(np.complex64), s.astype(np.float32)
    memory = zeros(s.size, dtype=np.complex64)
    over_whitened = FrequencySeries(d / p, delta_f=df)
    over_whitened.analyze = slice(0, n)
    over_whitened.cumulative_index = 0
    peer_psd = FrequencySeries(p, delta_f=df)
    control = MatchedFilterControl(20.0, None, 5.5, n, df, np.complex64, [over_whitened], memory, True)
    norms = [sigmasq(FrequencySeries(h, delta_f=df), peer_psd, 20.0) for h in bank]

    def peer() -> list[tuple[int, int]]:
        found = []
        for row in range(n_templates):
            memory.data[:] = bank[row]
            _, _, _, index, _ = control.matched_filter_and_cluster(0, norms[row], rate // 4)
            found += [(row, int(i)) for i in index]
        return found

    def ours(decimate: Any) -> np.ndarray:
        return mf.filter_bank(bank, d, p, df, 20.0, threshold=5.5, window=0.25, decimate=decimate, n_jobs=int(THREADS))

    theirs = set(peer())
    label, name = f"{n_templates}, {duration} s at {rate} Hz", "pycbc MatchedFilterControl (norms given)"
    for title, decimate, target, size in (
        (f"bank of {label}", 1, None, n),
        ("  every second sample", 2, None, n // 2),
        ("  full rate from shorter transforms", "adaptive", 2.5, n // 4),
    ):
        found = {(int(t["template"]), int(t["index"])) for t in ours(decimate)}
        off = 1 if decimate == 2 else 0
        same = sum(any(row == r and abs(i - j) <= off for r, j in found) for row, i in theirs)

        def inverse(part: range) -> None:
            series = np.zeros(size, np.complex64)  # noqa: B023
            for _ in part:
                fft.ifft(series, out=series)

        bench.add(
            title,
            name,
            lambda: ours(decimate),  # noqa: B023
            peer,
            1 - same / max(1, len(theirs)),
            target,
            lambda: threads.each(inverse, threads.parts(range(n_templates))),
        )


FIRST_CALL = """
import time, numpy as np
t0 = time.perf_counter()
from gwsurrogate_ml.kernels import psd, whiten, matched_filter as mf, chisq
t1 = time.perf_counter()
x = np.random.default_rng(0).standard_normal(65536)
psd.welch(x, 1024.0, 4.0); t2 = time.perf_counter()
whiten.whiten(x, 1024.0); t3 = time.perf_counter()
h = np.fft.rfft(x); s = np.ones(h.size)
mf.matched_filter(h, h, s, 1 / 64, 20.0); t4 = time.perf_counter()
mf.filter_bank(h[None], h, s, 1 / 64, 20.0, threshold=5.0, window=0.1); t5 = time.perf_counter()
chisq.power_chisq(h, h, s, 1 / 64, 20.0, 16, [0]); t6 = time.perf_counter()
import json
print(json.dumps(dict(zip(["import", "welch", "whiten", "matched_filter", "filter_bank", "power_chisq"],
    np.round(np.diff([t0, t1, t2, t3, t4, t5, t6]), 3).tolist()))))
"""


def first_call() -> dict[str, dict[str, float]]:
    """Seconds of the first call of each kernel: with an empty compile cache, and in the next process."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        runs = [
            subprocess.run([sys.executable, "-c", FIRST_CALL], env=environment, capture_output=True, check=True) for _ in range(2)
        ]
    return {name: json.loads(run.stdout) for name, run in zip(("empty cache", "next process"), runs, strict=True)}


def draw(lines: list[Line], path: Path) -> None:
    """Ratio of the peer's time to ours for each line, with the target and with what the bare transforms would give."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcdefaults()  # gwpy changes them when it is imported
    figure = Figure(figsize=(9, 0.34 * len(lines) + 1.2), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(lines))[::-1]
    axes.barh(place, [line.ratio for line in lines], color="#0072B2", height=0.6)
    for y, line in zip(place, lines, strict=True):
        if line.target is not None:
            axes.plot([line.target] * 2, [y - 0.42, y + 0.42], color="#1a1a1a", linewidth=2.0)
        if line.limit_ms is not None:
            axes.plot(line.peer_ms / line.limit_ms, y, "D", color="#1a1a1a", markerfacecolor="white", markersize=4)
    axes.axvline(1.0, color="#8a8a8a", linewidth=0.8)
    axes.set_yticks(place, [f"{line.name.strip()} / {line.peer}" for line in lines], fontsize=7)
    axes.set_xscale("log")
    axes.tick_params(axis="x", labelsize=8)
    label = f"time of the peer / ours, {THREADS} thread(s); line: target, diamond: the limit"
    axes.set_xlabel(label, fontsize=8)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, a few seconds")
    parser.add_argument("--repeat", type=int, default=None, help="calls of each side (default 15, quick 5)")
    parser.add_argument("--only", nargs="*", help="parts of the names to run")
    parser.add_argument("--first-call", action="store_true", help="also time compilation")
    parser.add_argument("--figure", type=Path, help="draw the ratios here (PNG)")
    parser.add_argument("--json", type=Path, help="write the results here")
    arguments = parser.parse_args()
    bench = Bench(arguments.quick, arguments.repeat or (5 if arguments.quick else 15), arguments.only)

    from pycbc.fft.backend_support import get_backend

    from gwsurrogate_ml.kernels import fft

    machine = {
        "cpu": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "threads": THREADS,
        "fft": fft.backend_name(),
        "pycbc_fft": get_backend().__name__.rsplit(".", 1)[-1],
    }
    print(json.dumps(machine))
    print(f"{'kernel':<48}{'peer':<42}{'ours ms':>9}{'peer ms':>9}{'ratio':>8}{'target':>8}{'limit ms':>9}{'difference':>11}")
    bench_spectra(bench, 32 if arguments.quick else 256, 4096)
    bench_filter(bench, 16 if arguments.quick else 64, 4096)
    bench_bank(bench, 4 if arguments.quick else 512, 32 if arguments.quick else 256, 2048)
    print("(*) another filter than gwpy's: no difference is stated")
    report: dict[str, Any] = {"machine": machine, "lines": [asdict(line) for line in bench.lines]}
    if arguments.first_call:
        report["first_call_s"] = first_call()
        print(json.dumps(report["first_call_s"], indent=1))
    if arguments.json:
        temporary = arguments.json.with_suffix(".tmp")
        temporary.write_text(json.dumps(report, indent=1))
        temporary.replace(arguments.json)
        print(f"wrote {arguments.json}")
    if arguments.figure:
        draw(bench.lines, arguments.figure)
        print(f"wrote {arguments.figure}")


if __name__ == "__main__":
    main()
