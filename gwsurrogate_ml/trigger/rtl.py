"""The Verilog, simulated clock by clock: by Verilator, or by yosys' own simulator (CXXRTL), which pip alone brings.

Both turn Verilog into C++, which g++ compiles with a driver that reads two words a clock from a file.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.trigger.integer import IntegerNetwork
from gwsurrogate_ml.trigger.verilog import TOP, Design

SIMULATORS = ("verilator", "cxxrtl")
WORD = 32
"""Bits of a packed sample that the driver feeds."""

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
    int valid() { return top.score_valid; }
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
        top.p_clk.set<bool>(false); top.step();  // a step ends with the registers: outputs follow in the next one
    }
    int valid() { return top.p_score__valid.get<bool>(); }
    int32_t score() { return top.p_score.get<uint32_t>(); }
};
#endif
int main(int, char** names) {
    FILE *in = fopen(names[1], "rb"), *out = fopen(names[2], "wb");
    if (!in || !out) return 1;
    Dut dut;
    uint32_t word[2];
    while (fread(word, sizeof word, 1, in) == 1) {
        dut.clock(word[0] >> 1, word[0] & 1, word[1]);
        int32_t result[2] = {dut.valid(), dut.score()};
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
    """Simulators that can be used here.

    Raises
    ------
    ConfigError
        where there is none, saying which package brings one
    """
    if found := [name for name in SIMULATORS if not missing(name)]:
        return found
    raise ConfigError("Verilog is checked in a simulator, and there is none: " + "; or ".join(map(missing, SIMULATORS)))


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
        # The programs run in that folder: a relative path would be sought below it.
        self.score_bits, self.folder = score_bits, Path(folder).resolve()
        self.program = self.folder / simulator
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{TOP}.v").write_text(text)
        (self.folder / "driver.cc").write_text(_DRIVER)
        _verilator(self.folder, self.program) if simulator == "verilator" else _cxxrtl(self.folder, self.program)

    def clocks(self, control: np.ndarray, strain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`score_valid` and `score` (n,) after each of n clocks with `valid` + 2 `rst` (n,) and `strain` (n,), packed."""
        source, target = self.folder / "in.bin", self.folder / "out.bin"
        np.stack([control, strain], axis=1).astype("<u4").tofile(source)
        _run([str(self.program), str(source), str(target)], self.folder)
        out = np.fromfile(target, "<i4").reshape(-1, 2)
        edge = 1 << (self.score_bits - 1)
        return out[:, 0].astype(bool), ((out[:, 1].astype(np.int64) + edge) & (2 * edge - 1)) - edge

    def wrong(self, case: Case) -> int:
        """Clocks after which `score_valid` is not that of the case, or the score is another."""
        valid, score = self.clocks(case.control, case.strain)
        return int(np.count_nonzero((valid != case.valid) | (case.valid & (score != case.score))))


@dataclass(frozen=True, eq=False)
class Case:
    """What goes in and what is to come out, clock by clock.

    Parameters
    ----------
    control, strain : (n,) int64, `valid` + 2 `rst`, and the packed samples
    valid, score : (n,) bool and int64, after the clock
    """

    control: np.ndarray
    strain: np.ndarray
    valid: np.ndarray
    score: np.ndarray


def cases(network: IntegerNetwork, x: np.ndarray, latency: int, seed: int = 0) -> dict[str, Case]:
    """Ways to feed quantised strain x (n_detectors, n) to a design of `latency` clocks.

    Returns
    -------
    dict
        "every clock"; "gaps" at random, some longer than the latency; "resets": the same with a reset of one clock after a tenth of
        the samples and another soon after it, which drop the scores on their way and empty the lines

    Raises
    ------
    ConfigError
        for a sample of more bits than the simulators' word has
    """
    network.input.require(x)
    if (width := x.shape[0] * network.input.bits) > WORD:
        raise ConfigError(f"a sample of {x.shape[0]} inputs of {network.input.bits} bits has {width}: up to {WORD} are simulated")
    rng, n = np.random.default_rng(seed), x.shape[1]
    tenth = n // 10
    parts = [x[:, :tenth], x[:, tenth : tenth + latency // 2 + 1], x[:, tenth + latency // 2 + 1 : n // 2]]
    return {
        "every clock": _case(network, [x], latency, None),
        "gaps": _case(network, [x], latency, rng),
        "resets": _case(network, parts, latency, rng),
    }


def _case(network: IntegerNetwork, parts: list[np.ndarray], latency: int, gaps: np.random.Generator | None) -> Case:
    """Each part after a reset of one clock, that follows its predecessor's last sample at once."""
    at, resets, free = [], [], 0
    for x in parts:
        idle = np.zeros(x.shape[1], np.int64)
        if gaps is not None:
            idle = gaps.geometric(0.6, idle.size) - 1
            long = gaps.random(idle.size) < 0.01
            idle[long] = gaps.integers(latency + 1, 3 * latency + 1, int(long.sum()))
        resets.append(free)
        at.append(free + np.cumsum(idle + 1))
        free = int(at[-1][-1]) + 1
    size, bits = free + latency + 1, network.input.bits
    control, valid = np.zeros(size, np.int64), np.zeros(size, bool)
    # What lies there without `valid` is of no account.
    strain = np.zeros(size, np.int64) if gaps is None else gaps.integers(0, 2 ** (bits * network.n_inputs), size)
    score = np.zeros(size, np.int64)
    for x, clocks, end in zip(parts, at, [*resets[1:], size], strict=True):
        control[clocks] = 1
        strain[clocks] = sum((row.astype(np.int64) & (2**bits - 1)) << (d * bits) for d, row in enumerate(x))
        out = clocks + latency - 1
        valid[out[out < end]] = True
        score[out[out < end]] = network(x)[out < end]
    control[resets] = 2
    return Case(control, strain, valid, score)


def mismatches(design: Design, x: np.ndarray, simulators: list[str], seed: int = 0) -> dict[str, int]:
    """How many scores differ from the integers', by da4ml's emulation and by each simulator in each of the `cases`.

    Parameters
    ----------
    design : Design
    x : (n_detectors, n) int64, quantised strain
    simulators : list of str
    seed : int, of the gaps
    """
    found = {"emulation": int(np.count_nonzero(design.emulate(x) != design.network(x)))}
    made = cases(design.network, x, design.latency, seed)
    return found | simulated(design.text, design.score_bits, made, simulators)


def simulated(text: str, score_bits: int, made: dict[str, Case], simulators: list[str]) -> dict[str, int]:
    """Wrong clocks of the Verilog `text` in each simulator and case."""
    found: dict[str, int] = {}
    for name in simulators:
        with tempfile.TemporaryDirectory() as folder:
            simulator = Simulator(text, score_bits, Path(folder), name)
            found |= {f"{name}, {what}": simulator.wrong(case) for what, case in made.items()}
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
