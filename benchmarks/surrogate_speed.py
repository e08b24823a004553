"""Speed of the surrogate beside LAL's models: one process, one thread each, alternating A B A B, medians and ratios.

    python benchmarks/surrogate_speed.py [--quick] [--repeat N] [--model nr22] [--out benchmarks/results]

One polarization pair (M = 65, 36 + 29 solar masses, from 20 Hz, 4096 Hz; frequency-domain models on 4 s): the surrogate does the
work of its peer in each line, time domain against time domain. LAL is called through its C interface directly; the lines through
pycbc call both models by pycbc's own functions. Threads are pinned before anything is imported and everything is warmed up. The
clock is the process's CPU time, which other load on the machine disturbs less than wall time. Beside each time stands the
physical limit: the bytes of the output over the memory bandwidth measured in the same run (writing one large array). Batches are
1024 random binaries. On a GPU, where torch finds one, the batch is repeated there, with time to first waveform and memory.
Writes surrogate_speed.json and surrogate_speed.png.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

THREADS = "1"
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = THREADS

import argparse
import json
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MASS_1, MASS_2, CHI_1, CHI_2 = 36.0, 29.0, 0.3, -0.1
DISTANCE, INCLINATION, PHASE, F_MIN, RATE, DURATION = 410.0, 0.4, 1.2, 20.0, 4096.0, 4.0
BATCH = 1024
TIME_PEERS = ("IMRPhenomT", "IMRPhenomTHM", "SEOBNRv4", "SEOBNRv4HM_PA")
FREQUENCY_PEERS = ("IMRPhenomXAS", "IMRPhenomXHM", "SEOBNRv4_ROM", "SEOBNRv4HM_ROM")


def alternate(ours: Callable[[], Any], peer: Callable[[], Any], repeat: int) -> dict[str, float]:
    """Median and best CPU times in ms of both, called in turn after two warm-ups each, and the ratio of the medians."""
    for _ in range(2):
        ours(), peer()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeat):
        for collected, call in zip(times, (ours, peer), strict=True):
            start = time.process_time()
            call()
            collected.append(time.process_time() - start)
    a, b = (1e3 * float(np.median(t)) for t in times)
    best_a, best_b = (1e3 * min(t) for t in times)
    return {"ours_ms": a, "peer_ms": b, "ratio": b / a, "ours_best_ms": best_a, "peer_best_ms": best_b}


def write_bandwidth() -> float:
    """Bytes per second at which one thread fills an array far larger than the caches: the best of five."""
    array = np.ones(2**25)
    best = np.inf
    for _ in range(5):
        start = time.process_time()
        array.fill(1.0)
        best = min(best, time.process_time() - start)
    return array.nbytes / best


def lal_time(name: str) -> Callable[[], Any]:
    import lal
    import lalsimulation

    masses = (MASS_1 * lal.MSUN_SI, MASS_2 * lal.MSUN_SI, 0.0, 0.0, CHI_1, 0.0, 0.0, CHI_2)
    place = (DISTANCE * 1e6 * lal.PC_SI, INCLINATION, PHASE, 0.0, 0.0, 0.0)
    model = getattr(lalsimulation, name)
    return lambda: lalsimulation.SimInspiralChooseTDWaveform(*masses, *place, 1 / RATE, F_MIN, F_MIN, None, model)


def lal_frequency(name: str) -> Callable[[], Any]:
    import lal
    import lalsimulation

    masses = (MASS_1 * lal.MSUN_SI, MASS_2 * lal.MSUN_SI, 0.0, 0.0, CHI_1, 0.0, 0.0, CHI_2)
    place = (DISTANCE * 1e6 * lal.PC_SI, INCLINATION, PHASE, 0.0, 0.0, 0.0)
    grid = (1 / DURATION, F_MIN, RATE / 2, F_MIN)
    model = getattr(lalsimulation, name)
    return lambda: lalsimulation.SimInspiralChooseFDWaveform(*masses, *place, *grid, None, model)


def through_pycbc(approximant: str) -> Callable[[], Any]:
    from pycbc.waveform import get_td_waveform

    return lambda: get_td_waveform(
        approximant=approximant,
        mass1=MASS_1,
        mass2=MASS_2,
        spin1z=CHI_1,
        spin2z=CHI_2,
        delta_t=1 / RATE,
        f_lower=F_MIN,
        distance=DISTANCE,
        inclination=INCLINATION,
        coa_phase=PHASE,
    )


def single(surrogate: Any, approximant: str, repeat: int, bandwidth: float) -> list[dict[str, Any]]:
    """Lines for one polarization pair."""
    binary = {"mass_1": MASS_1, "mass_2": MASS_2, "chi_1": CHI_1, "chi_2": CHI_2, "luminosity_distance": DISTANCE}
    keywords = binary | {"theta_jn": INCLINATION, "phase": PHASE, "f_min": F_MIN, "sampling_frequency": RATE}
    samples = len(surrogate.strain(**keywords)[1])
    bins = int(DURATION * RATE / 2) + 1
    arrays = lambda: surrogate.strain(**keywords)  # noqa: E731
    series = lambda: surrogate.polarizations(**keywords)  # noqa: E731
    spectra = lambda: surrogate.frequency_domain_polarizations(**keywords, duration=DURATION)  # noqa: E731
    pairs: list[tuple[str, str, Callable[[], Any], Callable[[], Callable[[], Any]], int]] = [
        *(("pair in time", name, arrays, lambda name=name: lal_time(name), 2 * samples * 8) for name in TIME_PEERS),  # type: ignore[misc]
        ("pair in time as gwpy series", "IMRPhenomTHM", series, lambda: lal_time("IMRPhenomTHM"), 2 * samples * 8),
        *(
            ("pair in frequency", name, spectra, lambda name=name: lal_frequency(name), 2 * bins * 16)  # type: ignore[misc]
            for name in FREQUENCY_PEERS
        ),
        *(
            (
                "pair through pycbc",
                name,
                through_pycbc(approximant),
                lambda name=name: through_pycbc(name),
                16 * samples,
            )  # type: ignore[misc]
            for name in ("IMRPhenomT", "IMRPhenomTHM")
        ),
    ]
    lines: list[dict[str, Any]] = []
    for name, peer_name, ours, make, size in pairs:
        peer = make()
        line: dict[str, Any] = {"name": name, "peer": peer_name}
        try:
            start = time.process_time()
            peer()
            slow = time.process_time() - start > 0.05
        except RuntimeError as error:
            lines.append(line | {"skipped": f"LAL could not evaluate it (its data files are not installed?): {error}"})
            print(f"{name:<30}{peer_name:<16}skipped: data absent", flush=True)
            continue
        line |= alternate(ours, peer, max(5, repeat // 10) if slow else repeat)
        line["limit_ms"] = 1e3 * size / bandwidth
        lines.append(line)
        times = "".join(f"{line[key]:>9.3f}" for key in ("ours_ms", "peer_ms", "ratio", "ours_best_ms", "peer_best_ms"))
        print(f"{name:<30}{peer_name:<16}{times}{line['limit_ms']:>10.4f}", flush=True)
    return lines


def draws(n: int) -> dict[str, np.ndarray]:
    """Random binaries of 65 solar masses that the model follows from 20 Hz."""
    rng = np.random.default_rng(0)
    q = rng.uniform(1, 4, n)
    spins = {"chi_1": rng.uniform(-0.8, 0.8, n), "chi_2": rng.uniform(-0.8, 0.8, n)}
    return {"mass_1": 65 * q / (1 + q), "mass_2": 65 / (1 + q), **spins}


def best(call: Callable[[], Any], repeat: int, clock: Callable[[], float] = time.process_time) -> float:
    """Median time in s after one warm-up."""
    call()
    times = []
    for _ in range(repeat):
        start = clock()
        call()
        times.append(clock() - start)
    return float(np.median(times))


def batches(surrogate: Any, repeat: int, bandwidth: float) -> list[dict[str, Any]]:
    """1024 waveforms at a time: times per waveform on one thread."""
    import torch

    torch.set_num_threads(int(THREADS))
    d = draws(BATCH)
    total = 65 * 4.925490947641267e-06
    parameters = torch.tensor(np.column_stack([d["mass_1"] / d["mass_2"], d["chi_1"], d["chi_2"]]))
    lines = []
    for rate, span in ((2048.0, DURATION), (RATE, DURATION)):
        times = torch.arange(
            max(-span, surrogate.t_min * total) / total, surrogate.t_max, 1 / rate / total, dtype=torch.float64
        )
        with torch.inference_mode():
            seconds = best(lambda times=times: surrogate.batch(parameters, times), repeat)  # type: ignore[misc]
        size = 16 * BATCH * len(surrogate.modes) * len(times)
        lines.append(_batch_line(f"batch in torch, {len(times)} samples at {rate:g} Hz", seconds, size, bandwidth))
        seconds = best(
            lambda rate=rate: surrogate.frequency_domain(**d, duration=DURATION, sampling_frequency=rate, f_min=F_MIN),  # type: ignore[misc]
            repeat,
        )
        size = 16 * BATCH * (int(DURATION * rate / 2) + 1)
        lines.append(_batch_line(f"batch in frequency, {DURATION:g} s at {rate:g} Hz", seconds, size, bandwidth))
    if torch.cuda.is_available():
        lines += gpu(surrogate, parameters, total)
    return lines


def _batch_line(name: str, seconds: float, size: int, bandwidth: float) -> dict[str, Any]:
    line = {
        "name": name,
        "batch": BATCH,
        "ms_each": 1e3 * seconds / BATCH,
        "limit_ms_each": 1e3 * size / bandwidth / BATCH,
    }
    print(f"{name:<48}{line['ms_each']:>9.4f} ms each, limit {line['limit_ms_each']:.4f}", flush=True)
    return line


def gpu(surrogate: Any, parameters: Any, total: float) -> list[dict[str, Any]]:
    """The torch batch on the first GPU, 4 s at 2048 Hz: rate, time to first waveform, memory; the limit from its own bandwidth."""
    import torch

    device = torch.device("cuda")
    times = torch.arange(-DURATION / total, surrogate.t_max, 1 / 2048.0 / total, dtype=torch.float64, device=device)
    times = times[times > surrogate.t_min]
    on_device = parameters.to(device)

    def call() -> None:
        with torch.inference_mode():
            surrogate.batch(on_device, times)
        torch.cuda.synchronize()

    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    torch.cuda.reset_peak_memory_stats()
    seconds = best(call, 10, time.perf_counter)
    filled = torch.empty(2**28, device=device)

    def fill() -> None:
        filled.fill_(1.0)
        torch.cuda.synchronize()

    bandwidth = filled.nbytes / best(fill, 5, time.perf_counter)
    size = 16 * BATCH * len(surrogate.modes) * len(times)
    return [
        {
            "name": f"batch in torch on {torch.cuda.get_device_name()}, {len(times)} samples at 2048 Hz",
            "batch": BATCH,
            "ms_each": 1e3 * seconds / BATCH,
            "waveforms_per_s": BATCH / seconds,
            "limit_ms_each": 1e3 * size / bandwidth / BATCH,
            "first_waveform_s": first,
            "peak_memory_bytes": int(torch.cuda.max_memory_allocated()),
        }
    ]


def figure(report: dict[str, Any]) -> Any:
    """Times of one pair: ours and the peer's beside the limit, on a logarithmic axis."""
    from matplotlib.figure import Figure

    lines = [line for line in report["single"] if "ours_ms" in line]
    fig = Figure(figsize=(8, 0.5 * len(lines) + 1.5), layout="constrained")
    ax = fig.subplots()
    y = np.arange(len(lines))
    for offset, key, label, colour, hatch in (
        (-0.2, "peer_ms", "peer", "0.75", "//"),
        (0.2, "ours_ms", "surrogate", "0.25", ""),
    ):
        ax.barh(y + offset, [line[key] for line in lines], 0.36, label=label, color=colour, hatch=hatch)
    ax.plot([line["limit_ms"] for line in lines], y + 0.2, "k|", ms=12, label="limit: writing the output")
    ax.set_yticks(y, [f"{line['name']}\n{line['peer']}" for line in lines], fontsize=8)
    ax.set_xscale("log")
    ax.invert_yaxis()
    ax.set_xlabel("CPU time of one call, one thread (ms)")
    ax.legend(fontsize=8)
    return fig


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--repeat", type=int, help="repetitions of each line")
    parser.add_argument("--model", default="nr22", help="a shipped surrogate")
    parser.add_argument("--out", type=Path, help="folder for the JSON and the figure")
    arguments = parser.parse_args()
    repeat = arguments.repeat or (20 if arguments.quick else 200)
    warnings.filterwarnings("ignore", "Wswiglal-redir-stdio")

    import lal

    import gwsurrogate_ml as gw
    from gwsurrogate_ml.artifacts import package_versions

    lal.swig_redirect_standard_output_error(False)
    surrogate = gw.load_surrogate(arguments.model)
    bandwidth = write_bandwidth()
    print(
        f"{'surrogate against':<30}{'peer':<16}{'ours ms':>9}{'peer ms':>9}{'ratio':>9}{'best':>9}{'best':>9}{'limit ms':>10}"
    )
    report: dict[str, Any] = {
        "model": arguments.model,
        "modes": [list(mode) for mode in surrogate.modes],
        # "load" is the 5-minute load average: with more than one busy process a core, caches are shared and times grow.
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "threads": THREADS,
            "clock": "process CPU time",
            "load": os.getloadavg()[1],
        },
        "versions": package_versions("numpy", "numba", "torch", "lalsuite", "pycbc"),
        "write_bandwidth_bytes_per_s": bandwidth,
        "repeat": repeat,
        "single": single(surrogate, f"GWSML_{arguments.model.upper()}", repeat, bandwidth),
        "batch": batches(surrogate, 3 if arguments.quick else 7, bandwidth),
    }
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, write in (
            ("surrogate_speed.json", lambda path: path.write_text(json.dumps(report, indent=1) + "\n")),
            ("surrogate_speed.png", lambda path: figure(report).savefig(path, dpi=150, format="png")),
        ):
            temporary = arguments.out / f".{name}"
            write(temporary)
            temporary.replace(arguments.out / name)
        print(f"wrote {arguments.out / 'surrogate_speed.json'} and .png")


if __name__ == "__main__":
    main()
