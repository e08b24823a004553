"""A trigger's Verilog on disk, written only once it computes what the network does, to the bit; and the same check afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gwsurrogate_ml.arguments import whole
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.trigger import rtl
from gwsurrogate_ml.trigger.integer import IntegerNetwork
from gwsurrogate_ml.trigger.load import Trigger
from gwsurrogate_ml.trigger.verilog import TOP, Design, design

ABOUT = "design.json"


def checked(network: IntegerNetwork, depth: int = 4, n: int = 10_000, seed: int = 0) -> tuple[Design, dict[str, int]]:
    """The network's Verilog, and how many of `n` scores differ: by emulation and each simulator that is here, all 0.

    Raises
    ------
    ConfigError
        without da4ml or any simulator; for a network that cannot be expressed; for Verilog that computes anything else
    """
    n, simulators = whole(n, "n", 100), rtl.present()
    made = design(network, depth)
    found = rtl.mismatches(made, rtl.stimulus(network, n, seed), simulators, seed)
    require_exact(found, n)
    return made, found


def require_exact(found: dict[str, int], n: int) -> None:
    """Raise ConfigError unless no score differs."""
    if wrong := {name: count for name, count in found.items() if count}:
        name, count = next(iter(wrong.items()))
        raise ConfigError(f"{name} differs from the network in {count} of {n} scores: nothing is written, the export is at fault")


def write(trigger: Trigger, folder: Path, depth: int = 4, n: int = 10_000, seed: int = 0) -> dict[str, Any]:
    """Write `trigger`'s Verilog and what it was checked by into `folder`; what design.json holds.

    Raises
    ------
    ConfigError
        as `checked`
    """
    made, found = checked(trigger.network, depth, n, seed)
    about = {
        "model": trigger.card["name"],
        "version": trigger.card["version"],
        "weights_sha256": trigger.card["weights_sha256"],
        "top": TOP,
        "input_bits": trigger.network.input.bits,
        "input_fraction": trigger.network.input.fraction,
        "score_bits": made.score_bits,
        "score_fraction": trigger.network.fraction,
        "latency_clocks": made.latency,
        "checked": n,
        "mismatches": found,
        "not_simulated": {name: lack for name in rtl.SIMULATORS if (lack := rtl.missing(name))},
    }
    (folder / f"{TOP}.v").write_text(made.text)
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n")
    return about


def verify(trigger: Trigger, folder: Path, n: int = 10_000, seed: int = 0) -> dict[str, int]:
    """How many of `n` scores of the Verilog in `folder` differ from the network's in each of `rtl.cases`, by each simulator here.

    The clock at which a score comes counts too: `latency_clocks` of design.json after its sample.

    Raises
    ------
    ConfigError
        where no simulator is, saying which package brings one; where scores differ
    DataError
        if `folder` holds no export, or another model's
    """
    n = whole(n, "n", 100)
    try:
        about = json.loads((folder / ABOUT).read_text())
        text, bits = (folder / f"{TOP}.v").read_text(), int(about["score_bits"])
        latency, checksum = int(about["latency_clocks"]), about["weights_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} holds no export of a trigger ({error}): name a folder that `gwsml trigger export` wrote"
        ) from error
    if checksum != trigger.card["weights_sha256"]:
        raise DataError(f"{folder} was exported from other weights than {trigger.card['name']}'s: name its model by --model")
    x = rtl.stimulus(trigger.network, n, seed)
    found = rtl.simulated(text, bits, rtl.cases(trigger.network, x, latency, seed), rtl.present())
    if any(found.values()):
        raise ConfigError(
            f"the Verilog in {folder} is not that of {trigger.card['name']}: {found} of {n} scores differ; export it anew"
        )
    return found
