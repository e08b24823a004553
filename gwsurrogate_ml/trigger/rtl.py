"""The Verilog, simulated clock by clock: by Verilator, or by yosys' own simulator (CXXRTL), which pip alone brings.

Both turn Verilog into C++, which g++ compiles with a driver that reads one clock a line of three bytes and more from a file.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.trigger.integer import IntegerNetwork
from gwsurrogate_ml.trigger.verilog import TOP, Design

SIMULATORS = ("verilator", "cxxrtl")
DRAIN = 64
"""Clocks after the last sample, more than any design's latency."""

_DRIVER = """
#include <cstdint>
#include <cstdio>
#ifdef VERILATED
#include "Vtrigger.h"
#include "verilated.h"
double sc_time_stamp() { return 0; }
struct Dut {
    Vtrigger top;
    void clock(int rst, int valid, uint32_t strain) {
        top.clk = 0; top.rst = rst; top.valid = valid; top.strain = strain; top.eval();
        top.clk = 1; top.eval();
    }
    int ready() { return top.ready; }
    int32_t score() { return top.score; }
};
#else
#include "trigger.cc"
struct Dut {
    cxxrtl_design::p_trigger top;
    void clock(int rst, int valid, uint32_t strain) {
        top.p_clk.set<bool>(false); top.p_rst.set<bool>(rst); top.p_valid.set<bool>(valid);
        top.p_strain.set<uint32_t>(strain); top.step();
        top.p_clk.set<bool>(true); top.step();
    }
    int ready() { return top.p_ready.get<bool>(); }
    int32_t score() { return top.p_score.get<uint32_t>(); }
};
#endif
int main(int, char** names) {
    FILE *in = fopen(names[1], "rb"), *out = fopen(names[2], "wb");
    if (!in || !out) return 1;
    Dut dut;
    dut.clock(1, 0, 0);
    dut.clock(1, 0, 0);
    uint32_t word[2];
    while (fread(word, sizeof word, 1, in) == 1) {
        dut.clock(0, word[0], word[1]);
        int32_t result[2] = {dut.ready(), dut.score()};
        fwrite(result, sizeof result, 1, out);
    }
    return fclose(out);
}
"""


def missing(simulator: str) -> str:
    """What a simulator lacks here, as a sentence that says which package brings it; empty where it is there."""
    if shutil.which("g++") is None:
        return "simulating Verilog needs g++: apt-get install g++"
    if simulator == "verilator":
        lacks = [name for name in ("verilator", "make") if shutil.which(name) is None]
        return f"{lacks[0]} is missing: apt-get install {' '.join(lacks)}" if lacks else ""
    if simulator == "cxxrtl":
        return "" if find_spec("pyosys") else "yosys is missing: pip install gwsurrogate-ml[trigger]"
    raise ConfigError(f"no simulator {simulator!r}: there are {', '.join(SIMULATORS)}")


def present() -> list[str]:
    """Simulators that can be used here."""
    return [name for name in SIMULATORS if not missing(name)]


class Simulator:
    """One compiled design.

    Parameters
    ----------
    text : str, Verilog with the module `verilog.TOP`
    score_bits : int
    folder : Path
        for the compiled program
    simulator : str, of `SIMULATORS`

    Raises
    ------
    ConfigError
        where the simulator is missing, or refuses the Verilog
    """

    def __init__(self, text: str, score_bits: int, folder: Path, simulator: str) -> None:
        if lack := missing(simulator):
            raise ConfigError(lack)
        self.score_bits, self.folder, self.program = score_bits, Path(folder), Path(folder) / simulator
        (self.folder / f"{TOP}.v").write_text(text)
        (self.folder / "driver.cc").write_text(_DRIVER)
        _verilator(self.folder, self.program) if simulator == "verilator" else _cxxrtl(self.folder, self.program)

    def clocks(self, valid: np.ndarray, strain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`ready` and `score` (n,) after each of n clocks with the inputs `valid` (n,) and `strain` (n,), packed."""
        source, target = self.folder / "in.bin", self.folder / "out.bin"
        np.stack([valid, strain], axis=1).astype("<u4").tofile(source)
        _run([str(self.program), str(source), str(target)], self.folder)
        out = np.fromfile(target, "<i4").reshape(-1, 2)
        edge = 1 << (self.score_bits - 1)
        return out[:, 0].astype(bool), ((out[:, 1].astype(np.int64) + edge) & (2 * edge - 1)) - edge

    def scores(self, network: IntegerNetwork, x: np.ndarray, gaps: np.random.Generator | None = None) -> np.ndarray:
        """Scores (n,) int64 of quantised strain (n_detectors, n), a sample on every clock, or with gaps at random.

        Raises
        ------
        DataError
            if another number of scores comes out than samples went in
        """
        network.input.require(x)
        n, bits = x.shape[1], network.input.bits
        words = sum((x[d].astype(np.int64) & (2**bits - 1)) << (d * bits) for d in range(x.shape[0]))
        clocks = np.arange(n) if gaps is None else np.cumsum(gaps.geometric(0.6, n)) - 1
        size = int(clocks[-1]) + 1 + DRAIN
        valid, strain = np.zeros(size, np.int64), np.zeros(size, np.int64)
        if gaps is not None:
            strain[:] = gaps.integers(0, 2 ** (bits * x.shape[0]), size)  # what lies there without `valid` is of no account
        valid[clocks], strain[clocks] = 1, words
        ready, score = self.clocks(valid, strain)
        if ready.sum() != n:
            raise DataError(f"{ready.sum()} scores came out of {n} samples: the Verilog and its network do not belong together")
        return score[ready]


def mismatches(design: Design, x: np.ndarray, simulators: list[str], seed: int = 0) -> dict[str, int]:
    """How many scores differ from the integers', by da4ml's emulation and by each simulator without and with gaps.

    Parameters
    ----------
    design : Design
    x : (n_detectors, n) int64, quantised strain
    simulators : list of str
    seed : int, of the gaps
    """
    expected = design.network(x)
    found = {"emulation": int(np.count_nonzero(design.emulate(x) != expected))}
    for name in simulators:
        with tempfile.TemporaryDirectory() as folder:
            simulator = Simulator(design.text, design.score_bits, Path(folder), name)
            for what, gaps in (("", None), (", gaps", np.random.default_rng(seed))):
                found[f"{name}{what}"] = int(np.count_nonzero(simulator.scores(design.network, x, gaps) != expected))
    return found


def stimulus(network: IntegerNetwork, n: int = 10_000, seed: int = 0) -> np.ndarray:
    """Quantised strain (n_detectors, n): noise, whose first half is that of data and second half fills the whole range."""
    rng = np.random.default_rng(seed)
    form = network.input
    data = form.integers(rng.standard_normal((network.n_inputs, n // 2)))
    return np.concatenate([data, rng.integers(form.low, form.high + 1, (network.n_inputs, n - n // 2))], axis=1)


def _verilator(folder: Path, program: Path) -> None:
    # da4ml's own build fails under Verilator 5.006; these three steps do not.
    _run(["verilator", "--cc", "-Wno-fatal", "-O3", "--top-module", TOP, f"{TOP}.v", "--Mdir", "made"], folder)
    _run(["make", "-s", "-C", "made", "-f", f"V{TOP}.mk", f"V{TOP}__ALL.a", "verilated.o", "verilated_threads.o"], folder)
    root = subprocess.run(["verilator", "--getenv", "VERILATOR_ROOT"], capture_output=True, text=True, check=True).stdout.strip()
    made = [f"made/V{TOP}__ALL.a", "made/verilated.o", "made/verilated_threads.o"]
    include = [f"-I{root}/include", f"-I{root}/include/vltstd", "-Imade"]
    _run(["g++", "-O1", "-DVERILATED", *include, "driver.cc", *made, "-lpthread", "-latomic", "-o", str(program)], folder)


def _cxxrtl(folder: Path, program: Path) -> None:
    from gwsurrogate_ml.trigger.gates import share, yosys

    yosys(
        [f"read_verilog {TOP}.v", f"hierarchy -top {TOP}", "proc", "flatten", "opt_clean", "write_cxxrtl -g0 -O6 trigger.cc"],
        folder,
    )
    include = share() / "include" / "backends" / "cxxrtl" / "runtime"
    _run(["g++", "-O0", "-std=c++14", f"-I{include}", "driver.cc", "-o", str(program)], folder)


def _run(command: list[str], folder: Path) -> None:
    """Run a program in `folder`; ConfigError with what it said where it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ConfigError(f"{Path(command[0]).name} failed: {' '.join(said[-3:]) or f'status {done.returncode}'}")
