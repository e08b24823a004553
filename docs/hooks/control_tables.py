"""Tables of the site on the suspended mirror, made from benchmarks/results."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from result_tables import read, table


def spanned(values: list[float] | None) -> str:
    """The least and the largest of several trainings."""
    return f"{min(values):.3f} to {max(values):.3f}" if values else ""


def control(part: str, make: Callable[[Any], str], name: str = "control") -> str:
    """A table of a part of the results on the suspended mirror, or what stands in its place."""
    try:
        found = read(name).get(part)
    except json.JSONDecodeError:  # cut short
        found = None
    return make(found) if found else f"*Not measured in this checkout: `benchmarks/results/{name}.json` has no `{part}`.*"


def control_free(found: list[dict[str, Any]]) -> str:
    """Controllers of the mirror without a limit on torque, beside the optimum."""
    classical = next((x["noise"] for x in found if x["name"].startswith("classical, peak")), None)
    rows = [
        (
            x["name"],
            f"{x['cost']:.3f}" if x["exact"] else f"{x['cost']:.3f} ± {x['error']:.3f}",
            "exact" if x["exact"] else f"{len(x['by_training'])}: {spanned(x['by_training'])}",
            x.get("falls_per_hour"),
            x["noise"],
            None if classical is None else x["noise"] / classical,
            f"{x['lowest_gain']:.2f} to {x['highest_gain']:.2f}" if x["exact"] else "",
            x.get("peak_sensitivity", ""),
            x.get("given", ""),
            x.get("cpu_s", ""),
        )
        for x in found
    ]
    head = ["controller", "cost / LQG", "trainings", "falls an hour", "torque noise 10 to 30 Hz [nrad]"]
    head += [
        "of the margin-tuned classical loop's",
        "stable gains",
        "peak sensitivity",
        "what it was given",
        "training, CPU time [s]",
    ]
    return table(head, rows)


def control_limit(found: list[dict[str, Any]]) -> str:
    """Controllers of the mirror within a limit on torque."""
    rows = [
        (
            x["name"],
            f"{x['cost']:.3f} ± {x['error']:.3f}" if x["error"] else "1",
            f"{len(x['by_training'])}: {spanned(x['by_training'])}" if x["training_seeds"] else "",
            f"{x['falls_per_hour']:.1f}",
            f"{x['more_falls']:+.1f} ± {x['more_falls_error']:.1f}" if x["error"] else "",
            x["noise"],
            x["hours"],
        )
        for x in found
    ]
    head = [
        "controller",
        "cost / LQG's, paired",
        "trainings",
        "falls an hour",
        "more than LQG, paired",
        "torque noise 10 to 30 Hz [nrad]",
    ]
    return table([*head, "hours of mirrors"], rows)


def control_pairs(found: list[dict[str, Any]]) -> str:
    """The learned policy beside the strongest rivals on the same noise."""
    rows = [
        (x["second"], f"{x['ratio']:.3f} ± {x['ratio_error']:.3f}", f"{x['more_falls']:+.1f} ± {x['more_falls_error']:.1f}")
        for x in found
    ]
    return table(["beside", "policy's cost / its cost", "more falls an hour"], rows)


def control_power(found: dict[str, Any]) -> str:
    """Cost of controllers designed at nominal power, at others."""
    rows = [(name, *("falls" if y is None else f"{y:.3f}" for y in curve)) for name, curve in found["curves"].items()]
    return table(["cost / LQG's at nominal power, at a power of", *(f"{x:g}" for x in found["power"])], rows)


def control_worth(found: list[dict[str, Any]]) -> str:
    """What knowing the laser power is worth at most."""
    rows = [
        (f"{x['powers'][0]:g} to {x['powers'][1]:g}", f"{x['LQG designed at']:.2f}", f"{x['LQG']:.4f}", f"{x['tuned']:.4f}")
        for x in found
    ]
    return table(
        ["power, of the nominal", "best LQG is designed at", "its cost / LQG's, told the power", "tuned on the mean cost"], rows
    )


def control_unknown(found: list[dict[str, Any]]) -> str:
    """Controllers of a mirror whose power they are not told."""
    rows = [
        (
            x["name"],
            f"{x['cost']:.3f} ± {x['error']:.3f}" if x["error"] else "1",
            f"{len(x['by_training'])}: {spanned(x['by_training'])}" if x["by_training"] else "",
            f"{min(x['by_power']):.3f} to {max(x['by_power']):.3f}",
            sum(x["falls"]),
        )
        for x in found
    ]
    return table(
        [
            "controller",
            "cost / LQG's, told the power",
            "trainings",
            "at the best and the worst of eight powers, 0.97 to 7.53",
            "falls",
        ],
        rows,
    )


def control_unknown_pairs(found: list[dict[str, Any]]) -> str:
    """The network that weighs filters beside its rivals on the same noise."""
    rows = [(x["second"], f"{x['ratio']:.4f} ± {x['ratio_error']:.4f}") for x in found]
    return table(["beside", "network's cost / its cost"], rows)


def control_verification(found: list[dict[str, Any]]) -> str:
    """Exact costs beside long simulations."""
    rows = [(x["name"], x["exact"], f"{x['simulated / exact']:.4f} ± {x['standard error']:.4f}") for x in found]
    return table(["controller", "exact cost [nrad²]", "simulated / exact"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "control-free": lambda: control("free", control_free),
    "control-limit": lambda: control("limit", control_limit),
    "control-pairs": lambda: control("pairs", control_pairs),
    "control-power": lambda: control("power", control_power),
    "control-worth": lambda: control("worth", control_worth, "control_power"),
    "control-unknown": lambda: control("unknown", control_unknown, "control_power"),
    "control-unknown-pairs": lambda: control("pairs", control_unknown_pairs, "control_power"),
    "control-verification": lambda: control("verification", control_verification),
}
