"""Validation of an estimator: many simulated events, resumable, and a card that says how well it is calibrated."""

from __future__ import annotations

import functools
import gzip
import itertools
import json
import zlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.files import write_whole
from gwsurrogate_ml.inference.calibration import coverage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gwsurrogate_ml.inference.analysis.estimator import Estimator
    from gwsurrogate_ml.scale import Mapper

Progress = Callable[[str, int, int], None]
QUANTITIES = ("measured_snr", "network_efficiency", "efficiency", "pareto_k", "extrinsic_ess", "seconds")
FEWEST_FOR_LC2ST = 200


def identity(estimator: Estimator, seed: int, n_draws: int, thorough: bool = False) -> dict[str, Any]:
    """What fixes the events and their analysis: the first line of the file, which a resumed run must match."""
    from gwsurrogate_ml.inference.calibration.campaign import QUICK, THOROUGH

    return {
        "estimator": estimator.info["name"],
        "weights_sha256": estimator.info.get("weights_sha256"),
        "model": estimator.model.identity,
        "options": asdict(THOROUGH if thorough else QUICK),
        "seed": seed,
        "n_draws": n_draws,
        "format": 5,
        "thorough": thorough,
    }


def read_records(path: Path, expected: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Records of a file of JSON lines; a last line cut off by an interruption is removed from the file, if it is not compressed.

    Parameters
    ----------
    path : Path
        compressed by gzip where its name ends so
    expected : mapping, optional
        the `identity` the file must have

    Raises
    ------
    ConfigError
        if the file is another estimator's, seed's or number of draws', or no such file
    """
    if not path.exists():
        return []
    head, lines, cut = _parsed(path)
    if cut and path.suffix != ".gz":
        write_whole(path, b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    if head is None:
        return []
    for key, value in (expected or head).items():
        if head.get(key) != value:
            raise ConfigError(
                f"{path} was made with {key} = {head.get(key)!r}, this run has {value!r}: name another folder, or "
                "give the settings of the run to be continued"
            )
    return lines


def _parsed(path: Path) -> tuple[dict[str, Any] | None, list[dict[str, Any]], bool]:
    """What fixes the events of a file, if anything is in it, its records, and whether a last line is cut off."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        lines = [json.loads(line) for line in whole.splitlines()]
        return dict(lines.pop(0)["validation"]) if lines else None, lines, len(whole) < len(content)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no file of a validation: name another folder") from error


def read_others(
    paths: Sequence[Path], head: Mapping[str, Any], seeds: Sequence[int] = ()
) -> tuple[list[dict[str, Any]], list[int]]:
    """Records of other runs of the same estimator with other seeds, so that several processes share the work, and their seeds.

    Parameters
    ----------
    paths : sequence of Path
    head : mapping
        the `identity` that the runs must have, their seeds apart
    seeds : sequence of int
        that none may have

    Raises
    ------
    ConfigError
        if a file is missing, belongs to other weights or another number of draws, or repeats a seed
    """
    records: list[dict[str, Any]] = []
    others: list[int] = []
    for path in paths:
        if not path.is_file():
            raise ConfigError(f"no file {path}: give the folder of another validation, or its file of records")
        found = read_records(path, {key: value for key, value in head.items() if key != "seed"})
        if (seed := (_parsed(path)[0] or {}).get("seed")) is None:
            raise ConfigError(f"{path} holds no records of a validation: leave it out")
        if seed in (*seeds, *others):
            raise ConfigError(f"{path} has seed {seed} as another run: its events would count twice")
        others.append(seed)
        records += found
    return records, others


def run_injections(
    estimator: Estimator,
    n: int,
    path: Path,
    *,
    seed: int = 1,
    n_draws: int = 5000,
    thorough: bool = False,
    progress: Progress | None = None,
    mapper: Mapper | None = None,
    source: str | Path | None = None,
) -> list[dict[str, Any]]:
    """Simulate and analyse events until `n` of them showed a signal; what the file at `path` holds is not done again.

    Parameters
    ----------
    estimator : Estimator
    n : int
        events analysed; those whose data show no signal come on top
    path : Path
        JSON lines, one event each, written as they are done
    seed : int
        with the event's number it fixes the event
    n_draws : int
        of each event
    thorough : bool
        sample as for a real event, with refinement, rather than quickly
    progress : callable, optional, ``progress(stage, done, total)``
    mapper : scale.Mapper, optional
        does the events elsewhere; the records are the same, `seconds` apart
    source : str or Path, needed with a `mapper`
        the estimator's name or folder, from which workers load it

    Returns
    -------
    list of records, see `campaign.analyse_injection`

    Raises
    ------
    ConfigError
        if the file belongs to other settings
    """
    from gwsurrogate_ml.inference.calibration.campaign import QUICK, THOROUGH, analyse_injection

    if mapper is not None and source is None:
        raise ConfigError("a mapper needs a source: the estimator's name or folder, from which its workers load it")
    head = identity(estimator, seed, n_draws, thorough)
    options = THOROUGH if thorough else QUICK
    records = read_records(path, head)
    done = sum("rank" in record for record in records)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists() or path.stat().st_size == 0
    with path.open("a", encoding="utf-8") as stream:
        if fresh:
            stream.write(json.dumps({"validation": head}) + "\n")
            stream.flush()
        events = itertools.count(len(records))
        if mapper is None:
            found: Generator[dict[str, Any], None, None] = (analyse_injection(estimator, k, seed, n_draws, options) for k in events)
        else:
            found = mapper.map(_elsewhere, ((str(source), head, k, seed, n_draws, thorough) for k in events))
        with closing(found):
            while done < n:
                record = next(found)
                stream.write(json.dumps(record) + "\n")
                stream.flush()
                records.append(record)
                done += "rank" in record
                if progress:
                    progress("injections", done, n)
    return records


@functools.cache
def _loaded(source: str) -> Estimator:
    import torch

    from gwsurrogate_ml.inference.analysis.estimator import load_estimator

    torch.set_num_threads(1)
    return load_estimator(source)


def _elsewhere(task: tuple[str, dict[str, Any], int, int, int, bool]) -> dict[str, Any]:
    """One event by a worker, which loads the estimator once and checks that it is the same."""
    from gwsurrogate_ml.inference.calibration.campaign import QUICK, THOROUGH, analyse_injection

    source, head, event, seed, n_draws, thorough = task
    estimator = _loaded(source)
    if identity(estimator, seed, n_draws, thorough) != head:
        raise ConfigError(
            f"a worker finds another estimator at {source}, or another waveform model: give all machines the same files, and no "
            "model beside an estimator that workers load"
        )
    return analyse_injection(estimator, event, seed, n_draws, THOROUGH if thorough else QUICK)


def judge(
    records: list[dict[str, Any]], head: Mapping[str, Any], progress: Progress | None = None, *, classify: bool = True
) -> dict[str, Any]:
    """The card: all tests of `coverage` on the records, raw (the network alone) and weighted (the result).

    Parameters
    ----------
    records : as `run_injections` returns them
    head : what the card starts with, see `identity`, and `seeds` where there are several
    progress : callable, optional
    classify : bool
        with the tests that train classifiers

    Raises
    ------
    DataError
        if too few events were analysed
    """
    from gwsurrogate_ml import artifacts

    done = coverage.analysed(records)
    steps: list[tuple[str, str, Callable[[], Any]]] = []
    for kind, raw in (("weighted", False), ("raw", True)):
        steps += [
            (kind, "pp", partial(coverage.pp_test, done, "raw_rank" if raw else "rank")),
            (kind, "sbc", partial(coverage.sbc, done, raw, classify=classify)),
            (kind, "tarp", partial(coverage.tarp, done, raw)),
        ]
    if classify and len(done) >= FEWEST_FOR_LC2ST:
        steps.append(("raw", "lc2st", partial(coverage.lc2st, done)))
    card: dict[str, Any] = {"weighted": {}, "raw": {}}
    for number, (kind, test, step) in enumerate(steps):
        card[kind][test] = step()
        if progress:
            progress("tests", number + 1, len(steps))
    k = np.array([record["pareto_k"] for record in done])
    return {
        "seeds": [head["seed"]],
        **head,
        "n_analysed": len(done),
        "n_without_signal": sum("skipped" in record for record in records),
        "failures": [record["failed"] for record in records if "failed" in record],
        **card,
        "quantiles": coverage.quantiles(done, QUANTITIES),
        "share_pareto_k_above_0.7": float(np.mean(k > 0.7)),
        "poorly_proposed": coverage.poorly_proposed(done),
        "versions": artifacts.package_versions("gwsurrogate-ml", "sbi", "numpy", "torch"),
    }


def markdown(card: Mapping[str, Any]) -> str:
    """The card as text with tables."""
    quantile, refined = card["quantiles"]["network_efficiency"], card["quantiles"]["efficiency"]
    poor = card["poorly_proposed"]
    lines = [
        f"# Validation of {card['estimator']}",
        "",
        f"{card['n_analysed']} simulated events from the prior in Gaussian noise of varying spectra, {card['n_draws']} draws "
        f"each; {card['n_without_signal']} more showed no signal, {len(card['failures'])} failed. Seeds "
        f"{', '.join(map(str, card['seeds']))}, weights "
        f"{str(card['weights_sha256'])[:12]}.",
        "",
        f"Efficiency of the results, {'sampled as real events' if card['thorough'] else 'quickly sampled'}: median "
        f"{refined['50 %']:.1%}, 5th percentile {refined['5 %']:.1%}. Of the network, before refinement: median "
        f"{quantile['50 %']:.1%}, 5th percentile {quantile['5 %']:.1%}, below {poor['below']:.0%} for {poor['share']:.1%} of "
        f"the events. Pareto k above 0.7 after refinement: {card['share_pareto_k_above_0.7']:.1%}.",
        "",
        "| quantity | 5 % | 25 % | median | 75 % | 95 % |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | " + " | ".join(f"{value:.3g}" for value in row.values()) + " |" for name, row in card["quantiles"].items()
    ]
    lines += [f"\nFailed: {message}" for message in card["failures"]]
    if poor["traits"]:
        lines += ["", f"What the {poor['number']} events below {poor['below']:.0%} have in common (p < 0.01):", ""]
        lines += ["| quantity | median of these | median of the others | p |", "|---|---|---|---|"]
        lines += [f"| {name} | {row['poor']:.3g} | {row['others']:.3g} | {row['p']:.1e} |" for name, row in poor["traits"].items()]
    for kind, title in (("weighted", "Weighted posterior (the result)"), ("raw", "Network alone (the proposal)")):
        tests = card[kind]
        lines += ["", f"## {title}", ""]
        lines += ["| parameter | P-P: KS p | in 50 % | in 90 % | SBC: KS p | SBC: C2ST |", "|---|---|---|---|---|---|"]
        for name, row in tests["pp"].items():
            ks, c2st = (tests["sbc"].get(key, {}).get(name, float("nan")) for key in ("ks_p", "c2st"))
            lines.append(
                f"| {name} | {row['ks_p']:.3f} | {row['inside_50']:.2f} | {row['inside_90']:.2f} | {ks:.3f} | {c2st:.2f} |"
            )
        lines += ["", f"TARP: area to the diagonal {tests['tarp']['atc']:+.3f}, KS p {tests['tarp']['ks_p']:.3f}."]
        if kind == "raw":
            lines += [
                "SBC ranks of the network are of normal scores, in which the spins are rotated; P-P ranks of the parameters. "
                "The network need not be calibrated for this prior of distances: the weights make it so.",
            ]
        if "lc2st" in tests:
            lines += [
                f"LC2ST: p < 0.05 in {tests['lc2st']['share_below_0.05']:.0%} of {len(tests['lc2st']['p_values'])} events, "
                f"classifiers trained on {tests['lc2st']['n_trained']}."
            ]
    lines += [
        "",
        f"Each p-value stands alone: of {len(card['weighted']['pp'])} correlated ones the smallest lies below 0.01 one time in ten "
        "or more by chance.",
    ]
    return "\n".join(lines) + "\n"


def figures(records: list[dict[str, Any]], card: Mapping[str, Any]) -> dict[str, Figure]:
    """Figures of the card by name: P-P curves, TARP curves, efficiency against signal-to-noise ratio."""
    from gwsurrogate_ml.plot import validation as plots

    done = coverage.analysed(records)
    ranks = {
        kind: {name: np.array([record[key][name] for record in done]) for name in done[0][key]}
        for kind, key in (("weighted", "rank"), ("raw", "raw_rank"))
    }
    curves = {kind: (card[kind]["tarp"]["credibility"], card[kind]["tarp"]["coverage"]) for kind in ("weighted", "raw")}
    columns = {key: np.array([record[key] for record in done]) for key in ("measured_snr", "network_efficiency", "pareto_k")}
    return {
        "pp": plots.pp(ranks),
        "tarp": plots.tarp(curves, len(done)),
        "efficiency": plots.efficiency(**columns),
    }
