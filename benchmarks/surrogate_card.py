"""The page of a surrogate: docs/models/NAME.md and its figures, from the model and the results of `surrogate_accuracy.py`.

python benchmarks/surrogate_accuracy.py --nr NR_TABLE --unseen FOLDER --model nrhm
python benchmarks/surrogate_card.py nrhm --unseen FOLDER [--results benchmarks/results] [--docs docs]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import held_out
import matplotlib
import numpy as np
import surrogate_accuracy

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import effective_spin
from gwsurrogate_ml.plot import style
from gwsurrogate_ml.plot.figure import panels
from gwsurrogate_ml.surrogate.config import SurrogateConfig
from gwsurrogate_ml.surrogate.load import load_aligned
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.waveform.compare import white_alignment

matplotlib.use("Agg")
import matplotlib.pyplot as plt

Arrays = dict[str, np.ndarray]


def space(points: Arrays, modes: list[list[int]], path: Path) -> None:
    """Mismatches over mass ratio and effective spin: held-out simulations, (2,2) and all modes against SEOBNRv5HM."""
    worst = points["eob_plus_70"].max(1)
    panels = [
        ("held-out simulations, (2,2)", points["nr0_parameters"], points["nr0_true"]),
        ("SEOBNRv5HM, (2,2), 10,000 M", points["eob_parameters"], points["eob_white"][:, 0]),
    ]
    if len(modes) > 1:
        panels.append(("SEOBNRv5HM, $h_+$, all modes, $70\\,M_\\odot$", points["eob_parameters"], worst))
    with matplotlib.rc_context(style.RC):
        figure, axes = plt.subplots(1, len(panels), figsize=(4.3 * len(panels) + 0.6, 3.7), layout="constrained", sharey=True)
        for ax, (title, p, values) in zip(axes, panels, strict=True):
            order = np.argsort(values)
            colours = ax.scatter(
                p[order, 0],
                effective_spin(p[order, 0], p[order, 1], p[order, 2]),
                c=np.log10(np.maximum(values[order], 1e-10)),
                s=np.interp(np.log10(values[order]), [-7, -3], [10, 55]),
                cmap="viridis_r",
                edgecolors="0.3",
                linewidths=0.3,
            )
            ax.set(title=title, xlabel="$q$", xscale="log", xticks=[1, 2, 3, 5, 10], xticklabels=[1, 2, 3, 5, 10])
            ax.minorticks_off()
            figure.colorbar(colours, ax=ax, label="log$_{10}$ mismatch", shrink=0.9)
        axes[0].set_ylabel(r"$\chi_\mathrm{eff}$")
        figure.savefig(path)
        plt.close(figure)


def worst_simulations(points: Arrays, path: Path) -> None:
    """The three held-out simulations with the largest mismatch, and the model's prediction."""
    t = points["nr0_t"].astype(float)
    inside = (t >= -395) & (t <= 90)
    order = np.argsort(points["nr0_true"])[::-1][:3]
    with matplotlib.rc_context(style.RC):
        figure, axes = panels(3, height=1.75, width=8.6)
        for ax, k, nr, ours in zip(axes, order, points["nr0_worst_nr"], points["nr0_worst_model"], strict=True):
            best = white_alignment(t, nr, ours)
            shifted = np.interp(t + best.shift, t, ours.real) + 1j * np.interp(t + best.shift, t, ours.imag)
            shifted = shifted * np.exp(1j * best.phase)
            ax.plot(t[inside], nr.real[inside], color=style.GREY, lw=3, label="simulation")
            ax.plot(t[inside], shifted.real[inside], color=style.BLUE, lw=1, label="model, fitted without it")
            ax.plot(
                t[inside],
                10 * (shifted - nr).real[inside],
                color=style.VERMILLION,
                lw=0.8,
                ls=":",
                label="10 × difference",
            )
            q, chi1, chi2 = points["nr0_parameters"][k]
            ax.set_title(
                f"{points['nr0_names'][k]}: $q$ = {q:.2f}, $\\chi_1$ = {chi1:.2f}, $\\chi_2$ = {chi2:.2f}, "
                f"mismatch {points['nr0_true'][k]:.1e} (SEOBNRv5HM: {points['nr0_eob'][k]:.1e})"
            )
            ax.set_ylabel(r"Re $r h_{22} / M$")
        axes[-1].set_xlabel("$t$ [M]")
        style.legend(axes[0], loc="upper left", ncols=3)
        figure.savefig(path)


def worst_polarizations(points: Arrays, data: Arrays, sur: Surrogate, path: Path) -> None:
    """The three points with the largest mismatch of h_plus seen edge-on, model before stage 2 beside SEOBNRv5HM."""
    import lal

    band = held_out.Band(-surrogate_accuracy.LENGTH, 110.0, 70.0, surrogate_accuracy.design_noise, surrogate_accuracy.F_LOW)
    t = np.arange(-500.0, 90.0, 0.5)
    order = np.argsort(points["eob_plus_70"][:, -1])[::-1][:3]
    y = {(l, m): [lal.SpinWeightedSphericalHarmonic(np.pi / 2, 0.0, -2, l, s * m).real for s in (1, -1)] for l, m in sur.modes}

    def plus(waveform: held_out.Waveform, times: np.ndarray, phase: float) -> np.ndarray:
        modes = waveform(times)
        return sum(((y[l, m][0] + (-1) ** l * y[l, m][1]) * modes[l, m] * np.exp(-1j * m * phase)).real for l, m in sur.modes)

    with matplotlib.rc_context(style.RC):
        figure, axes = panels(3, height=1.75, width=8.6)
        for ax, row in zip(axes, order, strict=True):
            ours = held_out.model(sur, data["parameters"][row])
            theirs = held_out.Eob(data, int(row), sur.modes)
            phase = float(points["eob_phases"][row])
            a, b = (band.spectra(waveform, sur.modes) for waveform in (ours, theirs))
            value, delay, turned = held_out.compare_plus(band, a, b, band.lag(a[0], b[0]), sur.modes, np.pi / 2, phase)
            one, two = plus(ours, t, phase), plus(theirs, t - delay, turned)
            ax.plot(t, two, color=style.GREY, lw=3, label="SEOBNRv5HM")
            ax.plot(t, one, color=style.BLUE, lw=1, label="model before stage 2")
            ax.plot(t, 10 * (one - two), color=style.VERMILLION, lw=0.8, ls=":", label="10 × difference")
            q, chi1, chi2 = data["parameters"][row]
            ax.set_title(f"$q$ = {q:.2f}, $\\chi_1$ = {chi1:.2f}, $\\chi_2$ = {chi2:.2f}: mismatch {value:.1e} over 10,000 M")
            ax.set_ylabel(r"$r h_+ / M$, edge-on")
        axes[-1].set_xlabel("$t$ [M]")
        style.legend(axes[0], loc="upper left", ncols=3)
        figure.savefig(path)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """Two digits, powers of ten as markdown likes them."""
    return f"{value:.1e}".replace("e-0", "e-")


def quantiles(values: dict[str, float], which: tuple[str, ...] = ("50", "90", "99")) -> list[str]:
    """The named percentiles of a result."""
    return [number(values[p]) for p in which]


def smallest_masses(sur: Surrogate, f_min: float = 20.0) -> str:
    """Smallest total mass in solar masses over mass ratios and equal spins, as a table."""
    spins = (-0.9, -0.5, 0.0, 0.5, 0.9)
    rows = [
        [f"{q:g}"] + [f"{sur.smallest_total_mass(q, chi, chi, f_min):.1f}" for chi in spins] for q in (1, 1.5, 2, 3, 4, 6, 8, 10)
    ]
    return table(["q"] + [f"χ1 = χ2 = {chi:g}" for chi in spins], rows)


def early_inspiral(sur: Surrogate) -> list[list[str]]:
    """What the model is before its own knots: a row of the table, if there is anything."""
    inspiral = sur.mode_model.inspiral
    if inspiral is None:
        return []
    info = inspiral.info
    what = f"the artefact `{info['name']}`, {info['training']['eob_waveforms']:,} inspirals of {info['training']['eob_model']}"
    return [[f"before {-sur.t_join:,.0f} M", what]]


def accuracy(result: dict[str, Any], name: str) -> str:
    """Tables of the measured errors."""
    parts = []
    rows = []
    for part in result["sxs"]:
        label = f"SXS, {part['n']} runs, clusters {part['isolation']:g} apart"
        rows += [[label, *quantiles(part["surrogate"]), number(part["surrogate"]["100"])]]
    first = result["sxs"][0]
    rows += [["the same, stage 1 alone", *quantiles(first["stage1_only"]), number(first["stage1_only"]["100"])]]
    rows += [["the same, SEOBNRv5HM", *quantiles(first["SEOBNRv5HM"]), number(first["SEOBNRv5HM"]["100"])]]
    for mass, values in result.get("spec_leave_one_out", {}).items():
        best = values["surrogate"]
        rows += [[f"SpEC non-spinning, {values['n']} left out in turn, {mass} Msun", *quantiles(best), number(best["100"])]]
    parts += [
        "## Against simulations it has not seen\n",
        table(["(2,2) mode: mismatch", "median", "90 %", "99 %", "worst"], rows),
        "\nSXS: white noise, 395 M before to 90 M after the peak, eight folds by clusters of parameters (near-duplicates never on "
        "both sides). SpEC: 2750 M, aLIGO design from 15 Hz. Relative amplitude error, which mismatch does not see: median "
        f"{number(first['amplitude_error']['50'])}, 90 % {number(first['amplitude_error']['90'])}. SEOBNRv5HM, on which stage 1 is "
        "trained, was itself calibrated to SXS simulations; stage 2 never saw the runs it is tested on.",
        f"\n![Mismatch over mass ratio and effective spin](../images/{name}_space.png)",
        "\n*Mismatch over the parameter space; large dark symbols are the worst. Left: simulations held out. Others: SEOBNRv5HM at "
        "points that training did not see, model before stage 2; of h+ the worst of four inclinations.*",
        f"\n![The three worst held-out simulations](../images/{name}_worst_nr.png)",
        "\n*The three held-out simulations with the largest mismatch, aligned in time and phase.*",
    ]
    peer = result["against_SEOBNRv5HM"]
    rows = [
        [f"({key[0]},{key[1]})", str(v["n"]), *quantiles(v["white"]), *quantiles(v["70 Msun"], ("50", "90")),
         *quantiles(v["120 Msun"], ("50", "90")), number(v["amplitude_error"]["50"]), number(v["phase_error_rad"]["50"])]
        for key, v in peer["stage1"]["modes"].items()
    ]  # fmt: skip
    parts += [
        "\n## Against SEOBNRv5HM\n",
        f"{peer['stage1']['n']} points of the domain that training did not see, the model before stage 2 (which moves it away from "
        f"SEOBNRv5HM, towards the simulations).\n",
        table(
            [
                "mode",
                "points",
                "white: median",
                "90 %",
                "99 %",
                "70 Msun: median",
                "90 %",
                "120 Msun: median",
                "90 %",
                "amplitude error",
                "phase error [rad]",
            ],
            rows,
        ),
        "\nWhite noise from 10,000 M before to 90 M after the peak; solar masses: aLIGO design from 20 Hz, from 10,000 M before "
        "it. Each mode over its own shifts in time and phase. Points where a mode nearly vanishes (below a tenth of its median "
        "size: odd m for nearly equal bodies) are left out: relative errors say nothing there. Amplitude: relative error of the "
        "norm; phase: rms to 30 M; medians.",
    ]
    rows = [
        [angle.replace("deg", "°").replace("all", "all of them")]
        + [x for mass in ("70 Msun", "120 Msun") for x in quantiles(peer["stage1"]["h_plus"][mass][angle])]
        for angle in peer["stage1"]["h_plus"]["70 Msun"]
    ]
    parts += [
        "\n"
        + table(
            ["h+ with all modes, inclination", "70 Msun: median", "90 %", "99 %", "120 Msun: median", "90 %", "99 %"],
            rows,
        ),
        "\nOver time and orbital phase, both waveforms with the same modes, aLIGO design from 20 Hz.",
    ]
    if len(peer["stage1"]["modes"]) > 1:
        parts += [
            f"\n![The three worst polarizations](../images/{name}_worst_eob.png)",
            "\n*The three points with the largest mismatch of h+ seen edge-on at 70 solar masses: the last 500 M.*",
        ]
    return "\n".join(parts)


def weak(result: dict[str, Any], modes: list[list[int]]) -> str:
    """What a user should know before trusting it."""
    worst = result["sxs"][0]["worst"][:4]
    names = "; ".join(f"{name} (q {q:g}, χ {c1:g}, {c2:g}): {number(ours)}" for name, q, c1, c2, ours, _ in worst)
    lines = [
        f"- The worst held-out simulations: {names}. Few public runs lie near q = 3 with |χ| = 0.85 and at q = 5 to 8 with spin.",
        "- Before -395 M (-2740 M without spins) no simulation was used: there it is SEOBNRv5HM, on a post-Newtonian baseline.",
        "- Spins along the orbit, no eccentricity, no precession, no tides, no memory (m = 0 modes).",
        "- Beyond q = 10 or |χ| = 0.9 it warns and extrapolates, beyond the hard limits it refuses.",
        "- The predicted error is that of (2,2) against simulations, t in [-395, 90] M, in white noise: not of the inspiral "
        "before. There, and in the early inspiral of light binaries, no simulation says how far SEOBNRv5HM is from the truth.",
    ]
    if len(modes) > 1:
        modes22 = result["against_SEOBNRv5HM"]["stage1"]["modes"]
        largest = max((key for key in modes22 if key != "22"), key=lambda key: modes22[key]["white"]["90"])
        lines += [
            "- Modes beside (2,2) follow the corrected orbital phase of (2,2). Beyond q = 2, |χ| = 0.8 or 600 M before the peak, "
            "and (5,5) everywhere, they are otherwise those of SEOBNRv5HM in the end: no simulation corrects their amplitudes "
            "there, and their bounds in `error_estimate` are against SEOBNRv5HM. Between q = 2 and 3, and spins of 0.8 and 0.9, "
            "the correction fades by a rule, not by data.",
            "- Where stage 3 corrects them they are as far from numerical relativity as NRSur7dq2 is, whose own fits keep to "
            "spins along the orbit as a limit to 0.5 % of a mode.",
            f"- The weakest mode is ({largest[0]},{largest[1]}): 90 % of the points below "
            f"{number(modes22[largest]['white']['90'])}; it is also among the faintest, which the h+ table takes into account.",
            "- (3,2) and (4,3) ring down in a mixture of two quasi-normal modes, as SEOBNRv5HM models it.",
            "- A mode (l, m) starts at m/2 times the `f_min` of (2,2): up to there, m > 2 is missing.",
        ]
    else:
        lines += ["- The (2,2) mode alone: a fifth of the radiated energy is missing at q = 8; use `nrhm` away from equal masses."]
    return "\n".join(lines)


def corrected_with(sets: dict[str, Any]) -> str:
    """What stage 3 was made from."""
    made = sets["set"]
    return f"{made['n']:,} binaries of {sets['model']}, q to {made['q_max']:g}, spins to {made['chi_max']:g}"


STAGE_3 = """
## Higher modes against numerical relativity

Stage 3 moves (2,1), (3,3), (3,2), (4,4) and (4,3) from SEOBNRv5HM to NRSur7dq2 (Blackman et al. 2017), a surrogate of 744
simulations, in its limit of spins along the orbit: fully for mass ratios to 2, spins to 0.8 and from 150 M before the peak to
20 M after it. Outside it fades, over mass ratios to 3, spins to 0.9, back to 600 M before and on to 42 M after the peak; beyond
these the model is that of stages 1 and 2 to rounding. Before, NRSur7dq2 is no better: its faint modes are off by the error of its
own fits, (4,4) by 5 % and (4,3) by 20 % where SEOBNRv5HM and IMRPhenomTHM agree to 1 %. (2,2), and with it the phase of all modes,
is as stage 2 leaves it.

<!-- table: aligned_accuracy -->

60 binaries of NRSur7dq2 that training did not see (`benchmarks/aligned_accuracy.py`), aLIGO design from 20 Hz. All modes: mismatch
of the complex strain over time, azimuth and polarization, at inclinations of 0, 30, 60 and 90 °, without (5,5), which NRSur7dq2 has
not. Each mode: norm of the difference over the norm of (2,2), at the time and azimuth that bring (2,2) together: what is left
counts the error of the phase of (2,2), times m/2, and the ringdown from 20 M on.

<!-- figure: aligned_accuracy.png Held-out binaries below an error at 70 solar masses: dashed without stage 3, solid with it. -->
"""


def page(card: dict[str, Any], sur: Surrogate, result: dict[str, Any], size: float) -> str:
    """The whole page in markdown; `size` in MB."""
    name, ranges, training = card["name"], card["ranges"], card["training"]
    modes = ", ".join(f"({l},{m})" for l, m in card["modes"])
    facts = [
        ["modes (and their negative m)", modes],
        [
            "mass ratio m1/m2",
            f"{ranges['q']['min']:g} to {ranges['q']['max']:g}, refused beyond {ranges['q']['hard_max']:g}",
        ],
        ["spins along the orbit", f"up to {ranges['chi1']['max']:g}, refused beyond {ranges['chi1']['hard_max']:g}"],
        ["length", f"{-sur.t_min:,.0f} M before to {sur.t_max:.0f} M after the peak"],
        ["trained on", f"{training['eob_waveforms']:,} waveforms of {training['eob_model']}"],
        *early_inspiral(sur),
        [
            "corrected with",
            f"{training.get('nr_runs', 0)} simulations (SXS, Georgia Tech) and 22 long SpEC runs without spins",
        ],
        *([["higher modes corrected with", corrected_with(training["nrsur7dq2"])]] if "nrsur7dq2" in training else []),
        ["checksum of the simulations' table", f"`{training.get('nr_sha256', 'none')}`"],
        ["checksum of the weights", f"`{card['weights_sha256']}`, {size:.1f} MB"],
        ["version, seed", f"{card['version']}, {card['config']['seed']}"],
    ]
    share = [f"{p['error_estimate']['share_below_predicted_90']['mean']:.0%}" for p in result["sxs"]]
    apart = " and ".join(f"{p['isolation']:g}" for p in result["sxs"])
    rank = result["sxs"][0]["error_estimate"]["rank_correlation"]
    estimate = (
        f"`error_estimate(q, chi1, chi2)` gives the expected mismatch and a bound for nine in ten (factor "
        f"{card['error_factor_90']:.2f} from cross-validation)."
        if card.get("error_factor_90")
        else "These weights carry no error estimate yet; what follows is the method, measured on them."
    )
    factors = card["metrics"].get("higher_modes_validation", {}).get("error_factor_90")
    bounds = (
        " For each other mode it gives a bound for nine in ten of its error against SEOBNRv5HM in the co-orbital frame, over the "
        "norm of (2,2): the networks' spread times a factor from waveforms that training did not see ("
        + ", ".join(f"({key[0]},{key[1]}): {value:.1f}" for key, value in factors.items())
        + ")."
        + (
            " Where stage 3 corrects a mode it is instead what held for nine in ten of "
            f"{card['metrics']['nrsur7dq2_held_out']['n']} held-out binaries against NRSur7dq2, for odd m in proportion to what "
            "makes the bodies unequal."
            if "nrsur7dq2_held_out" in card["metrics"]
            else ""
        )
        if factors
        else ""
    )
    return f"""# The model `{name}`

Black-hole binaries with spins along the orbit. Written by `benchmarks/surrogate_card.py`; every error below is measured by
`benchmarks/surrogate_accuracy.py` (`benchmarks/results/surrogate_accuracy_{name}.json`).

{table(["what", "value"], facts)}

```python
import gwsurrogate_ml as gw
surrogate = gw.load_surrogate("{name}")
```

{accuracy(result, name)}
{STAGE_3 if "nrsur7dq2" in training else ""}
## Many binaries at once, and derivatives

`surrogate.batch(parameters, times)` takes a torch tensor (N, 3) of q, χ1, χ2 and gives complex modes (N, n_modes, n), on any
device, differentiable in parameters and times. On a CPU compiled code does it where no derivative is asked for; where one is, the
splines and the turning modes are compiled both ways, the rest is torch. Second derivatives and forward ones are plain torch.
`batch_polarizations` gives pairs on one grid of times. How fast: `benchmarks/surrogate_speed.py`.

## Predicted against true errors

{estimate} Calibrated on half of the parameter clusters and tried on the other half, over 200 random halvings, the true mismatch
lay below the bound for {" and ".join(share)} of the held-out runs (clusters {apart} apart); rank correlation of expected and
true mismatch {rank:.2f}.{bounds}

![Predicted against true errors](../images/{name}_error_estimate.png)

*Each symbol is a simulation predicted by a model fitted without it and its neighbours.*

## From which total mass on

Smallest total mass (solar masses, detector frame) for which the (2,2) mode reaches down to 20 Hz; for other frequencies the mass
scales as 20 Hz / f_min. `surrogate.smallest_total_mass(q, chi1, chi2, f_min)` gives it for any spins.

{smallest_masses(sur)}

## Light binaries

Before {-sur.t_join:,.0f} M phase, amplitudes and the other modes are post-Newtonian plus a polynomial in mass ratio and spins,
fitted to inspirals of SEOBNRv5HM (`gwsml train inspiral`, one artefact for all models of aligned spins). It is joined at the
model's first knot with the same phase and frequency there; from that knot on the model is what it is without it, to the last digit.
Only waveforms that begin earlier evaluate it. Chirp masses 5 to 13 from 20 Hz, mass ratios to 8, spins to 0.9, drawn with another
seed than training's, against whole waveforms of SEOBNRv5HM, advanced LIGO's design (`benchmarks/low_mass.py`); what is left is
almost all stage 2's difference to SEOBNRv5HM near the merger, where it follows numerical relativity:

<!-- table: low-mass-{name} -->

{light(name)}A pair of polarizations from 20 Hz, all modes, in turn with LAL's IMRPhenomTHM, one thread, at the
lowest rate that holds the ringdown:

<!-- table: low-mass-speed-{name} -->

## Limits that hold

Tests in `tests/surrogate/test_model_physics.py`: odd m vanish for equal bodies and exchange of the bodies is exact to
1e-12; the early inspiral is that of IMRPhenomT to 3e-3 in the phase gained between two frequencies and tends to the Taylor
approximants; the early amplitude is the 3PN one to 1e-3; the test-mass limit of the baseline is that of black-hole perturbation
theory; the energy radiated balances the remnant's mass; the ringdown is
the quasi-normal mode of the predicted remnant: of (2,2), from 60 to 90 M, to 0.2 % in frequency and damping, of the others from 40
to 60 M to 1 % and 5 %.

## What is weak

{weak(result, card["modes"])}
"""


def light(name: str) -> str:
    """How close light binaries are to simulations, where that was measured: of the model with all modes."""
    if name != "nrhm":
        return ""
    return """How close (2,2) is to numerical relativity at light total masses, before stage 2, when it is SEOBNRv5HM's
to 1e-6, and as shipped: 60 binaries of NRSur7dq2 with spins along the orbit and mass ratios to 2, from 4,490 M before the peak on.

<!-- table: low-mass-simulations -->

"""


def main() -> None:
    """Write the page and its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--unseen", type=Path, required=True, help="the set that surrogate_accuracy.py was run on")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    card, tensors = artifacts.load(arguments.model, "surrogate")
    name, stem = card["name"], arguments.results / f"surrogate_accuracy_{card['name']}"
    result = json.loads(stem.with_suffix(".json").read_text())
    if result["model"]["stages_1_and_2_sha256"] != surrogate_accuracy.digest(tensors):
        raise SystemExit(f"{stem}.json was measured on other stages 1 and 2 of {name}: run benchmarks/surrogate_accuracy.py again")
    with np.load(stem.with_suffix(".npz")) as stored:
        points = {key: stored[key] for key in stored}
    images = arguments.docs / "images"
    images.mkdir(parents=True, exist_ok=True)
    (arguments.docs / "models").mkdir(exist_ok=True)
    space(points, card["modes"], images / f"{name}_space.png")
    worst_simulations(points, images / f"{name}_worst_nr.png")
    held = [
        {
            key.removeprefix(f"nr{i}_"): value.astype(float)
            for key, value in points.items()
            if key in (f"nr{i}_true", f"nr{i}_expected")
        }
        for i in range(len(result["sxs"]))
    ]
    surrogate_accuracy.figure(list(zip(result["sxs"], held, strict=True)), images / f"{name}_error_estimate.png")
    if len(card["modes"]) > 1:
        config = SurrogateConfig(**card["config"], eob=arguments.unseen, nr=None)
        first = Surrogate(card, surrogate_accuracy.without_stages(tensors, "stage2", "stage3"))
        worst_polarizations(points, held_out.load(arguments.unseen, config, unseen=True), first, images / f"{name}_worst_eob.png")
    size = (artifacts.resolve(arguments.model, "surrogate") / "weights.safetensors").stat().st_size / 1e6
    text = page(card, load_aligned(arguments.model), result, size)
    (arguments.docs / "models" / f"{name}.md").write_text(text)


if __name__ == "__main__":
    main()
