"""Speed of the surrogates beside their peers, in one process: LAL's models, SEOBNRv5HM and gwsurrogate where they are installed.

    python benchmarks/surrogate_speed.py [--quick] [--repeat N] [--model NAME ...] [--device cuda] [--peers-from FOLDER]
                                         [--out benchmarks/results]

One polarization pair (M = 65, 36 + 29 solar masses, from 20 Hz, 4096 Hz; frequency-domain models on 4 s) beside each peer, in
turn, A B A B, medians and best; the surrogate does the work of its peer in each line, time domain against time domain. LAL is
called through its C interface; the lines through pycbc call both models by pycbc's own functions. BLAS is pinned to one thread
before anything is imported, and everything is warmed up. The clock is the process's CPU time, which other load on the machine
disturbs less than wall time; batches (1024 random binaries) state both, on one and on two threads: on an idle machine the wall
time on two threads is half the CPU time. Beside each time stands the physical limit: the bytes of the output over the memory
bandwidth measured in the same run (writing one large array). First calls are made in fresh processes, with an empty cache of
compiled code and with a full one. On a GPU the batch in torch is repeated, with time to first waveform and memory. Writes
surrogate_speed.json and surrogate_speed.png.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["NUMBA_NUM_THREADS"] = "2"

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.cli.bench import (
    ANGLES,
    BINARY,
    DURATION,
    F_MIN,
    RATE,
    alternate,
    lal_waveform,
    median_time,
    random_binaries,
    write_bandwidth,
)

BATCH = 1024
UNIT = 65 * 4.925490947641267e-06
PAIR: dict[str, Any] = BINARY | ANGLES | {"f_min": F_MIN, "sampling_frequency": RATE}
TIME_PEERS = ("IMRPhenomT", "IMRPhenomTHM", "SEOBNRv4HM_PA", "SEOBNRv5HM", "NRHybSur3dq8")
FREQUENCY_PEERS = ("IMRPhenomXAS", "IMRPhenomXHM")
FIRST_CALL = """
import time; wall, cpu = time.perf_counter(), time.process_time()
import gwsurrogate_ml as gw
gw.load_surrogate({model!r}).strain(**{pair!r})
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def time_peer(name: str) -> Callable[[], Any]:
    """A pair from the peer `name`; ImportError and the like where it is not at hand."""
    if name == "SEOBNRv5HM":
        from pyseobnr.generate_waveform import GenerateWaveform

        settings = {
            "mass1": BINARY["mass_1"],
            "mass2": BINARY["mass_2"],
            "spin1z": BINARY["chi_1"],
            "spin2z": BINARY["chi_2"],
            "distance": BINARY["luminosity_distance"],
            "inclination": ANGLES["theta_jn"],
            "phi_ref": ANGLES["phase"],
            "f22_start": F_MIN,
            "deltaT": 1 / RATE,
            "approximant": "SEOBNRv5HM",
        }
        return lambda: GenerateWaveform(dict(settings)).generate_td_polarizations()
    if name == "NRHybSur3dq8":
        import gwsurrogate

        model = gwsurrogate.LoadSurrogate("NRHybSur3dq8")
        arguments = (BINARY["mass_1"] / BINARY["mass_2"], [0, 0, BINARY["chi_1"]], [0, 0, BINARY["chi_2"]])
        options = {
            "dt": 1 / RATE,
            "f_low": F_MIN,
            "M": 65.0,
            "dist_mpc": BINARY["luminosity_distance"],
            "units": "mks",
            "inclination": ANGLES["theta_jn"],
            "phi_ref": ANGLES["phase"],
        }
        return lambda: model(*arguments, **options)
    return lal_waveform(name)


def through_pycbc(approximant: str) -> Callable[[], Any]:
    from pycbc.waveform import get_td_waveform

    return lambda: get_td_waveform(
        approximant=approximant,
        mass1=BINARY["mass_1"],
        mass2=BINARY["mass_2"],
        spin1z=BINARY["chi_1"],
        spin2z=BINARY["chi_2"],
        delta_t=1 / RATE,
        f_lower=F_MIN,
        distance=BINARY["luminosity_distance"],
        inclination=ANGLES["theta_jn"],
        coa_phase=ANGLES["phase"],
    )


def pairs(surrogate: Any, repeat: int, bandwidth: float) -> list[dict[str, Any]]:
    """Lines for one polarization pair."""
    name = surrogate.info["name"]
    samples, bins = len(surrogate.strain(**PAIR)[1]), round(DURATION * RATE / 2) + 1
    in_time = lambda: surrogate.strain(**PAIR)  # noqa: E731
    in_frequency = lambda: surrogate.frequency_domain_polarizations(**PAIR, duration=DURATION)  # noqa: E731
    work: list[tuple[str, str, Callable[[], Any], Callable[[], Callable[[], Any]], int]] = []
    for peer in TIME_PEERS:
        work.append(("pair in time", peer, in_time, lambda peer=peer: time_peer(peer), 16 * samples))  # type: ignore[misc]
    for peer in FREQUENCY_PEERS:
        make = lambda peer=peer: lal_waveform(peer, frequency=True)  # type: ignore[misc]  # noqa: E731
        work.append(("pair in frequency", peer, in_frequency, make, 32 * bins))
    for peer in ("IMRPhenomT", "IMRPhenomTHM"):
        ours = lambda: through_pycbc(f"GWSML_{name.upper()}")()  # noqa: E731
        work.append(("pair through pycbc", peer, ours, lambda peer=peer: through_pycbc(peer), 16 * samples))  # type: ignore[misc]
    lines: list[dict[str, Any]] = []
    for what, peer_name, ours, make, size in work:
        line: dict[str, Any] = {"name": what, "peer": peer_name, "limit_ms": 1e3 * size / bandwidth}
        lines.append(line)
        try:
            peer_call = make()
            start = time.process_time()
            ours(), peer_call()
            slow = time.process_time() - start > 0.05
        except Exception as error:  # whatever keeps a peer from running is stated, not hidden
            line["skipped"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            print(f"{what:<22}{peer_name:<16}skipped, {line['skipped']}", flush=True)
            continue
        a, b = (1e3 * np.array(times) for times in alternate(ours, peer_call, max(5, repeat // 10) if slow else repeat))
        line |= {"ours_ms": float(np.median(a)), "peer_ms": float(np.median(b)), "ours_best_ms": float(a.min())}
        line |= {"peer_best_ms": float(b.min()), "ratio": float(np.median(b) / np.median(a))}
        keys = ("ours_ms", "peer_ms", "ratio", "ours_best_ms", "peer_best_ms")
        print(f"{what:<22}{peer_name:<16}" + "".join(f"{line[k]:>9.3f}" for k in keys) + f"{line['limit_ms']:>10.4f}")
    return lines


def batches(surrogate: Any, repeat: int, bandwidth: float) -> list[dict[str, Any]]:
    """1024 binaries at a time, on one and on two threads: pairs and modes at the pair's times, and (2,2) in frequency."""
    import numba
    import torch

    random = random_binaries(BATCH)
    parameters = torch.tensor(random)
    start, plus, _ = surrogate.strain(**PAIR)
    times = (start + torch.arange(len(plus), dtype=torch.float64) / RATE) / UNIT
    q = random[:, 0]
    binaries = (65 * q / (1 + q), 65 / (1 + q), random[:, 1], random[:, 2])
    grid = {"duration": DURATION, "sampling_frequency": RATE, "f_min": F_MIN}
    modes = len(surrogate.modes)
    pairs = dict(zip(("mass_1", "mass_2", "chi_1", "chi_2"), binaries, strict=True)) | ANGLES
    pairs |= {"luminosity_distance": 410.0, "start": start, "samples": len(plus), "sampling_frequency": RATE}
    cases: list[tuple[str, Callable[[], Any], int]] = [
        (
            f"pairs in time, {modes} mode{'s' * (modes > 1)}, {len(times)} samples",
            lambda: surrogate.batch_polarizations(**pairs),
            16 * len(times),
        ),
        (
            f"{modes} mode{'s' * (modes > 1)} in time, {len(times)} samples",
            lambda: surrogate.batch(parameters, times),
            16 * modes * len(times),
        ),
        (
            f"(2,2) in frequency, {DURATION:g} s at {RATE:g} Hz",
            lambda: surrogate.frequency_domain(*binaries, **grid),
            16 * (round(DURATION * RATE / 2) + 1),
        ),
    ]
    lines = []
    for threads in (1, 2):
        numba.config.NUMBA_NUM_THREADS = threads  # type: ignore[attr-defined]
        for name, call, size in cases:
            call()
            both = []
            for _ in range(repeat):
                begin = np.array([time.process_time(), time.perf_counter()])
                call()
                both.append(np.array([time.process_time(), time.perf_counter()]) - begin)
            cpu, wall = (1e3 * np.median(both, axis=0) / BATCH).tolist()
            line = {"name": name, "threads": threads, "cpu_ms_each": cpu, "wall_ms_each": wall}
            lines.append(line | {"limit_ms_each": 1e3 * size / bandwidth})
            print(
                f"batch of {BATCH}, {name}, {threads} threads: CPU {cpu:.4f} ms each, wall {wall:.4f} ms each",
                flush=True,
            )
    return lines


def gradients(surrogate: Any, repeat: int) -> dict[str, Any]:
    """64 waveforms at 4096 times of which derivatives can be taken, and with those of a number of each in its three parameters,
    beside finite differences."""
    import torch

    times = torch.linspace(-3000.0, 90.0, 4096, dtype=torch.float64)
    parameters = torch.tensor(random_binaries(64))
    weights = torch.ones(64, len(surrogate.modes), len(times), dtype=torch.complex128)

    def forward() -> Any:
        return surrogate.batch(parameters.clone().requires_grad_(), times)

    def differences() -> None:
        for column in range(3):
            for sign in (-1, 1):
                p = parameters.clone()
                p[:, column] += sign * 1e-6
                surrogate.batch(p, times)

    a, b = (1e3 * float(np.median(t)) / 64 for t in alternate(lambda: forward().backward(weights), differences, repeat))
    c = 1e3 * median_time(forward, repeat, time.process_time) / 64
    print(
        f"gradient in three parameters: CPU {a:.3f} ms each; without the derivatives {c:.3f}; central differences {b:.3f}",
        flush=True,
    )
    return {"gradient_ms_each": a, "forward_ms_each": c, "central_differences_ms_each": b}


def first_calls(model: str) -> dict[str, Any]:
    """Times in s from a fresh process to the first pair, imports included: with nothing compiled, and with all of it cached."""
    result = {}
    code = FIRST_CALL.format(model=model, pair=PAIR)
    with tempfile.TemporaryDirectory() as cache:
        for name in ("nothing compiled", "compiled before"):
            environment = os.environ | {"NUMBA_CACHE_DIR": cache}
            run = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
            wall, cpu = map(float, run.stdout.split()[-2:])
            result[name] = {"wall_s": wall, "cpu_s": cpu}
            print(f"first pair in a fresh process, {name}: wall {wall:.2f} s, CPU {cpu:.2f} s", flush=True)
    return result


def on_device(surrogate: Any, device: str) -> dict[str, Any]:
    """The batch in torch on a GPU, 4 s at 2048 Hz: rate, time to first waveform, memory; the limit from its own bandwidth."""
    import torch

    parameters = torch.tensor(random_binaries(BATCH), device=device)
    times = torch.arange(-DURATION / UNIT, surrogate.t_max, 1 / 2048.0 / UNIT, dtype=torch.float64, device=device)
    times = times[times > surrogate.t_min]

    def call() -> None:
        with torch.inference_mode():
            surrogate.batch(parameters, times)
        torch.cuda.synchronize()

    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    torch.cuda.reset_peak_memory_stats()
    seconds = median_time(call, 10, time.perf_counter)
    filled = torch.empty(2**28, device=device)

    def fill() -> None:
        filled.fill_(1.0)
        torch.cuda.synchronize()

    bandwidth = filled.nbytes / median_time(fill, 5, time.perf_counter)
    return {
        "device": torch.cuda.get_device_name(device),
        "samples": len(times),
        "ms_each": 1e3 * seconds / BATCH,
        "waveforms_per_s": BATCH / seconds,
        "limit_ms_each": 1e3 * 16 * len(surrogate.modes) * len(times) / bandwidth,
        "first_waveform_s": first,
        "peak_memory_bytes": int(torch.cuda.max_memory_allocated()),
    }


def figure(report: dict[str, Any]) -> Any:
    """Times of one pair, one panel a model: ours and the peer's beside the limit, on a logarithmic axis."""
    from matplotlib.figure import Figure

    models = report["models"]
    longest = max(sum("ours_ms" in line for line in m["pairs"]) for m in models.values())
    fig = Figure(figsize=(5.5 * len(models) + 2, 0.5 * longest + 1.5), layout="constrained")
    for ax, (name, model) in zip(fig.subplots(1, len(models), sharex=True, squeeze=False)[0], models.items(), strict=True):
        lines = [line for line in model["pairs"] if "ours_ms" in line]
        y = np.arange(len(lines))
        for offset, key, label, colour, hatch in (
            (-0.2, "peer_ms", "peer", "0.75", "//"),
            (0.2, "ours_ms", f"{name}, {len(model['modes'])} mode(s)", "0.25", ""),
        ):
            ax.barh(y + offset, [line[key] for line in lines], 0.36, label=label, color=colour, hatch=hatch)
        ax.plot([line["limit_ms"] for line in lines], y + 0.2, "k|", ms=12, label="limit: writing the output")
        ax.set_yticks(y, [f"{line['name']}\n{line['peer']}" for line in lines], fontsize=8)
        ax.set_xscale("log")
        ax.invert_yaxis()
        ax.set_xlabel("CPU time of one call, one thread (ms)")
        ax.legend(fontsize=8)
    return fig


def shipped() -> list[str]:
    """Names of the shipped waveform models."""
    from gwsurrogate_ml import artifacts

    cards = {name: json.loads((artifacts.resolve(name, "model") / "card.json").read_text()) for name in artifacts.available()}
    return [name for name, card in cards.items() if card["kind"] == "surrogate"]


def versions() -> dict[str, str]:
    """Versions of what was timed and is installed."""
    from importlib import metadata

    from gwsurrogate_ml.artifacts import package_versions

    found = package_versions("numpy", "numba", "torch", "lalsuite", "pycbc")
    for peer in ("pyseobnr", "gwsurrogate"):
        try:
            found[peer] = metadata.version(peer)
        except metadata.PackageNotFoundError:
            found[peer] = "not installed"
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--repeat", type=int, help="repetitions of each line")
    parser.add_argument("--model", nargs="+", help="surrogates, by name or folder; default: all shipped ones")
    parser.add_argument("--device", help="torch device for the batch beside the CPU, such as cuda; default: a GPU if there is one")
    parser.add_argument("--peers-from", type=Path, help="site-packages of another environment that holds peers, searched last")
    parser.add_argument("--out", type=Path, help="folder for the JSON and the figure")
    arguments = parser.parse_args()
    repeat = arguments.repeat or (20 if arguments.quick else 200)
    warnings.filterwarnings("ignore", "Wswiglal-redir-stdio")
    if arguments.peers_from:
        sys.path.append(str(arguments.peers_from))

    import lal
    import torch

    import gwsurrogate_ml as gw

    lal.swig_redirect_standard_output_error(False)
    torch.set_num_threads(1)
    device = arguments.device or ("cuda" if torch.cuda.is_available() else None)
    bandwidth = write_bandwidth()
    models = {}
    for name in arguments.model or shipped():
        surrogate = gw.load_surrogate(name)
        print(f"\n{name}: {len(surrogate.modes)} modes")
        heads = ("ours ms", "peer ms", "ratio", "best", "best")
        print(f"{'':<22}{'peer':<16}" + "".join(f"{head:>9}" for head in heads) + f"{'limit ms':>10}")
        few = 3 if arguments.quick else 7
        models[surrogate.info["name"]] = {
            "modes": [list(mode) for mode in surrogate.modes],
            "pairs": pairs(surrogate, repeat, bandwidth),
            "batch": batches(surrogate, few, bandwidth),
            "gradients": gradients(surrogate, few),
            "first_call": first_calls(name),
            "device": on_device(surrogate, device) if device else "no GPU at hand",
        }
    report: dict[str, Any] = {
        # "load" is the 5-minute load average: with more than one busy process a core, caches are shared and times grow.
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[1],
        },
        "versions": versions(),
        "write_bandwidth_bytes_per_s": bandwidth,
        "repeat": repeat,
        "models": models,
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
