"""`gwsml bench`: how fast the surrogate and the kernels are on this machine, beside LAL, pycbc and gwpy, in under a minute each.

Both sides of a line are called in turn and the medians compared; the clock is the process's CPU time, which other load on the
machine disturbs less than wall time (the batch, which runs in threads, is timed by the wall clock). The benchmarks that come with
the source measure more, with threads pinned.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from gwsurrogate_ml.cli.options import Json

BINARY = {"mass_1": 36.0, "mass_2": 29.0, "chi_1": 0.3, "chi_2": -0.1, "luminosity_distance": 410.0}
ANGLES = {"theta_jn": 0.4, "phase": 1.2}
F_MIN, RATE, DURATION = 20.0, 4096.0, 4.0
"""A polarization pair from `F_MIN` (Hz) at `RATE` (Hz), in the frequency domain on `DURATION` (s)."""


class What(StrEnum):
    """What can be measured."""

    surrogate = "surrogate"
    kernels = "kernels"


@dataclass
class Line:
    """One comparison: median times in ms, the peer's over ours, and the time it takes to write the output to memory."""

    name: str
    ours_ms: float
    peer: str | None = None
    peer_ms: float | None = None
    ratio: float | None = None
    limit_ms: float | None = None


def median_time(call: Callable[[], Any], repeat: int, clock: Callable[[], float] = time.process_time) -> float:
    """Median time in s of `call` over `repeat` calls after one warm-up."""
    call()
    times = []
    for _ in range(repeat):
        start = clock()
        call()
        times.append(clock() - start)
    return float(np.median(times))


def alternate(ours: Callable[[], Any], peer: Callable[[], Any], repeat: int) -> tuple[list[float], list[float]]:
    """CPU times in s of both, called in turn after two warm-ups each."""
    for _ in range(2):
        ours(), peer()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeat):
        for collected, call in zip(times, (ours, peer), strict=True):
            start = time.process_time()
            call()
            collected.append(time.process_time() - start)
    return times


def compare(name: str, peer_name: str, ours: Callable[[], Any], peer: Callable[[], Any], repeat: int) -> Line:
    """Medians of `alternate` as a line."""
    a, b = (1e3 * float(np.median(times)) for times in alternate(ours, peer, repeat))
    return Line(name, a, peer_name, b, b / a)


def write_bandwidth() -> float:
    """Bytes per second at which one thread fills an array far larger than the caches: the best of five."""
    array = np.ones(2**25)
    best = np.inf
    for _ in range(5):
        start = time.process_time()
        array.fill(1.0)
        best = min(best, time.process_time() - start)
    return array.nbytes / best


def lal_waveform(name: str, frequency: bool = False) -> Callable[[], Any]:
    """Call of LAL's model `name` through its C interface for `BINARY`, in time or in frequency."""
    import lal
    import lalsimulation

    masses = (BINARY["mass_1"] * lal.MSUN_SI, BINARY["mass_2"] * lal.MSUN_SI)
    spins = (0.0, 0.0, BINARY["chi_1"], 0.0, 0.0, BINARY["chi_2"])
    place = (BINARY["luminosity_distance"] * 1e6 * lal.PC_SI, ANGLES["theta_jn"], ANGLES["phase"], 0.0, 0.0, 0.0)
    model = getattr(lalsimulation, name)
    if frequency:
        grid = (1 / DURATION, F_MIN, RATE / 2, F_MIN)
        return lambda: lalsimulation.SimInspiralChooseFDWaveform(*masses, *spins, *place, *grid, None, model)
    return lambda: lalsimulation.SimInspiralChooseTDWaveform(*masses, *spins, *place, 1 / RATE, F_MIN, F_MIN, None, model)


def random_binaries(n: int) -> np.ndarray:
    """`n` binaries (n, 3), q, chi1, chi2, that a surrogate follows from 20 Hz at 65 solar masses."""
    rng = np.random.default_rng(0)
    return np.column_stack([rng.uniform(1, 4, n), rng.uniform(-0.8, 0.8, (n, 2))])


def surrogate_lines(name: str | None, batch: int = 256, repeat: int = 100) -> Iterator[Line]:
    """Lines for the surrogate `name` (None: the default): first waveform, pairs beside LAL, a batch."""
    from gwsurrogate_ml.conventions import MTSUN_SI
    from gwsurrogate_ml.surrogate.load import load_aligned

    begin = time.perf_counter()
    surrogate = load_aligned() if name is None else load_aligned(name)
    keywords: dict[str, Any] = BINARY | ANGLES | {"f_min": F_MIN, "sampling_frequency": RATE}
    start, plus, _ = surrogate.strain(**keywords)
    label = f"{surrogate.info['name']}, {len(surrogate.modes)} mode{'s' * (len(surrogate.modes) > 1)}"
    yield Line(f"{label}: loading and first waveform", 1e3 * (time.perf_counter() - begin))
    bandwidth = write_bandwidth()
    bins = round(DURATION * RATE / 2) + 1
    for kind, ours, peers, size in (
        ("time", lambda: surrogate.strain(**keywords), ("IMRPhenomT", "IMRPhenomTHM"), 16 * len(plus)),
        (
            "frequency",
            lambda: surrogate.frequency_domain_polarizations(**keywords, duration=DURATION),
            ("IMRPhenomXAS", "IMRPhenomXHM"),
            32 * bins,
        ),
    ):
        for peer in peers:
            line = compare(f"pair in {kind}", peer, ours, lal_waveform(peer, kind == "frequency"), repeat)
            line.limit_ms = 1e3 * size / bandwidth
            yield line
    import torch

    unit = (BINARY["mass_1"] + BINARY["mass_2"]) * MTSUN_SI
    times = (start + torch.arange(len(plus), dtype=torch.float64) / RATE) / unit
    parameters = torch.tensor(random_binaries(batch))
    seconds = median_time(lambda: surrogate.batch(parameters, times), 5, time.perf_counter)
    limit = 16 * len(surrogate.modes) * len(plus) / bandwidth
    yield Line(f"batch of {batch}, each, all modes (wall clock)", 1e3 * seconds / batch, limit_ms=1e3 * limit)


def kernel_lines(duration: int = 64, repeat: int = 9) -> Iterator[Line]:
    """Lines for the kernels: spectrum, whitening, matched filter, chi-squared, on `duration` (s) at 4096 Hz."""
    import pycbc.filter
    import pycbc.psd
    from gwpy.timeseries import TimeSeries
    from pycbc.types import FrequencySeries
    from pycbc.types import TimeSeries as PycbcSeries
    from pycbc.vetoes.chisq import power_chisq_at_points_from_precomputed as at_points

    from gwsurrogate_ml.kernels import chisq, matched_filter, psd, whiten

    rate = int(RATE)
    n, df = rate * duration, 1 / duration
    rng = np.random.default_rng(0)
    x = rng.standard_normal(n)
    gwpy_series, pycbc_series = TimeSeries(x, sample_rate=rate), PycbcSeries(x, delta_t=1 / rate)
    yield compare(
        "Welch's median spectrum",
        "pycbc",
        lambda: psd.welch(x, rate, 4.0),
        lambda: pycbc.psd.welch(pycbc_series, 4 * rate, 2 * rate),
        repeat,
    )
    yield compare(
        "whitening",
        "gwpy",
        lambda: whiten.whiten(x, rate, highpass=F_MIN),
        lambda: gwpy_series.whiten(4, 2, highpass=F_MIN),
        repeat,
    )
    f = np.maximum(np.arange(n // 2 + 1) * df, 5.0)
    s = (20 / f) ** 8 + (40 / f) ** 4 + 1 + (f / 300) ** 2
    h = f ** (-7 / 6) * np.exp(1j * 3e3 * (f / 20) ** (-5 / 3))
    d = np.sqrt(s * duration) / 2 * (rng.standard_normal(f.size) + 1j * rng.standard_normal(f.size))
    ph, pd, ps = (FrequencySeries(a, delta_f=df) for a in (h, d, s))
    yield compare(
        "matched filter",
        "pycbc",
        lambda: matched_filter.matched_filter(h, d, s, df, F_MIN),
        lambda: pycbc.filter.matched_filter(ph, pd, ps, low_frequency_cutoff=F_MIN),
        repeat,
    )
    points = np.sort(rng.choice(n, 100, replace=False))
    edges = chisq.power_chisq_edges(h, s, int(F_MIN / df), n // 2, 16)
    snr, correlation, norm = pycbc.filter.matched_filter_core(ph, pd, ps, low_frequency_cutoff=F_MIN)
    chosen = snr.numpy()[points]
    yield compare(
        "chi-squared at 100 points",
        "pycbc (correlation given)",
        lambda: chisq.power_chisq(h, d, s, df, F_MIN, 16, points),
        lambda: at_points(correlation, chosen, norm, edges, points),
        repeat,
    )


def bench(
    what: Annotated[What | None, typer.Argument(help="One of them; without, both.")] = None,
    surrogate: Annotated[str | None, typer.Option("--surrogate", help="Shipped name or folder; default: the newest.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also write bench.json into this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Speed on this machine: the surrogate beside LAL, the kernels beside pycbc and gwpy."""
    from gwsurrogate_ml.artifacts import package_versions
    from gwsurrogate_ml.cli.console import ProgressReport, echo_json, stdout
    from gwsurrogate_ml.cli.output import output_folder, write_json

    chosen = list(What) if what is None else [what]
    report: dict[str, Any] = {"threads": _threads(), "load": os.getloadavg()[0]}
    with ProgressReport() as progress:
        for part in chosen:
            with progress.stage(f"measuring {part.value}"):
                lines = surrogate_lines(surrogate) if part is What.surrogate else kernel_lines()
                report[part.value] = [asdict(line) for line in lines]
    if out is not None:
        versions = package_versions("numpy", "numba", "torch", "lalsuite", "pycbc", "gwpy")
        with output_folder(out, {"command": "bench", "versions": versions}) as output:
            write_json(output.path / "bench.json", report)
    if as_json:
        echo_json(report)
        return
    console = stdout()
    for part in chosen:
        console.print(_table(part.value, report[part.value]))
    console.print(f"threads: {report['threads']}; load of the machine when it began: {report['load']:.1f}")
    if out is not None:
        console.print(f"wrote {out}: bench.json, config.json", soft_wrap=True)


def _threads() -> dict[str, int]:
    """Threads that numba and torch may use."""
    import numba
    import torch

    return {"numba": numba.config.NUMBA_NUM_THREADS, "torch": torch.get_num_threads()}  # type: ignore[attr-defined]


def _table(title: str, lines: list[dict[str, Any]]) -> Any:
    """The lines as a table of rich."""
    from rich.table import Table

    table = Table("", title=title)
    for heading in ("ours (ms)", "peer (ms)", "peer / ours", "limit (ms)"):
        table.add_column(heading, justify="right")
    for line in lines:
        name = line["name"] if line["peer"] is None else f"{line['name']}, {line['peer']}"
        values = (line["ours_ms"], line["peer_ms"], line["ratio"], line["limit_ms"])
        table.add_row(name, *("" if value is None else f"{value:.3g}" for value in values))
    return table
