"""Is a posterior calibrated? Tests on the records of many simulated events (see `campaign.analyse_injection`).

P-P and simulation-based calibration (Talts et al., arXiv:1804.06788), TARP (Lemos et al., arXiv:2302.03026) and the
local classifier test (Linhart et al., arXiv:2306.03580), the last three by sbi. Each p-value stands alone: the eleven
or fifteen of one posterior are correlated, and the smallest of eleven lies below 0.01 one time in ten when all is right.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.inference.result.draws import derived

Records = Sequence[Mapping[str, Any]]
POOR = 0.1
"""Efficiency below which an event counts as poorly proposed."""
FEWEST = 20
"""Fewest analysed events that any of these tests is made with."""


def analysed(records: Records) -> list[Mapping[str, Any]]:
    """Those that were not skipped.

    Raises
    ------
    DataError
        if they are fewer than `FEWEST`
    """
    done = [record for record in records if "rank" in record]
    if len(done) < FEWEST:
        raise DataError(f"{len(done)} of {len(records)} events were analysed: at least {FEWEST} are needed for a test")
    return done


def pp_test(records: Records, key: str = "rank") -> dict[str, dict[str, float]]:
    """By parameter: p-value of the Kolmogorov-Smirnov test of uniform ranks, and how often the truth lies inside.

    Parameters
    ----------
    records : of analysed events
    key : "rank" (weighted) or "raw_rank" (the network's own)

    Returns
    -------
    dict of dicts with `ks_p`, `inside_50` and `inside_90`

    Examples
    --------
    >>> rows = [{"rank": {"chi_1": (i + 0.5) / 100}} for i in range(100)]
    >>> pp_test(rows)["chi_1"]["inside_90"]
    0.9
    """
    from scipy import stats

    out = {}
    for name in records[0][key]:
        rank = np.array([record[key][name] for record in records])
        out[name] = {
            "ks_p": float(stats.kstest(rank, "uniform").pvalue),
            "inside_50": float(np.mean(np.abs(rank - 0.5) < 0.25)),
            "inside_90": float(np.mean(np.abs(rank - 0.5) < 0.45)),
        }
    return out


def sample_arrays(records: Records, raw: bool) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Draws (n_draws, n_events, n_parameters), true values (n_events, n_parameters) and the parameters' names.

    Raw draws are the network's, in normal scores; the others are of the weighted posterior.
    """
    if raw:
        draws = np.array([record["raw_draws"] for record in records]).transpose(1, 0, 2)
        return draws, np.array([record["raw_truth"] for record in records]), tuple(records[0]["raw_rank"])
    from gwsurrogate_ml.inference.likelihood.injections import GPS

    names = tuple(records[0]["rank"])
    draws = np.array([[record["draws"][name] for name in names] for record in records]).transpose(2, 0, 1)
    origin = {"geocent_time": GPS}
    truth = np.array([[record["truth"][name] - origin.get(name, 0.0) for name in names] for record in records])
    return draws, truth, names


def sbc(records: Records, raw: bool, seed: int = 0, classify: bool = True) -> dict[str, Any]:
    """Simulation-based calibration by sbi: ranks of the truth among the draws, their uniformity by two tests.

    Returns
    -------
    dict with `n_draws`, and by parameter `ks_p` and, if `classify`, `c2st` (accuracy of a classifier that tells the
    ranks from uniform ones: 0.5 is perfect; some seconds a parameter)
    """
    import torch
    from sbi.diagnostics.sbc import check_uniformity_c2st, check_uniformity_frequentist

    arrays = sample_arrays(records, raw)
    draws, truth, names = torch.from_numpy(arrays[0]).float(), torch.from_numpy(arrays[1]).float(), arrays[2]
    torch.manual_seed(seed)
    # By hand, as the next: sbi's own functions draw from a posterior of sbi's.
    ranks = (draws < truth).sum(dim=0).float()
    ks = check_uniformity_frequentist(ranks, len(draws))
    out = {"n_draws": len(draws), "ks_p": dict(zip(names, map(float, ks), strict=True))}
    if classify:
        # Ranks are whole numbers, the uniform ones they are held against are not: a classifier would tell them by that.
        spread = (ranks + torch.rand(ranks.shape)) * len(draws) / (len(draws) + 1)
        c2st = check_uniformity_c2st(spread, len(draws))
        out["c2st"] = dict(zip(names, map(float, c2st), strict=True))
    return out


def tarp(records: Records, raw: bool, seed: int = 0, n_references: int = 16) -> dict[str, Any]:
    """Coverage of random regions in all dimensions together (Lemos et al. 2023, arXiv:2302.03026), references by sbi.

    One reference an event leaves much to chance: of a hundred calibrated events another draw of them gave p-values from 0.02 to
    0.97. So there are several.

    Parameters
    ----------
    records, raw, seed : as for `sbc`
    n_references : int
        of each event

    Returns
    -------
    dict with `atc` (area between the curve and the diagonal above 0.5: negative where the posterior is too narrow), `ks_p` (of the
    events' credibilities against a uniform distribution, the median over references; sbi's own test compares the curve's few
    points, and hardly ever fails), and the curve: `credibility` and `coverage`
    """
    import torch
    from sbi.diagnostics.tarp import get_tarp_references
    from scipy.stats import kstest

    draws, truth = (torch.from_numpy(a).float() for a in sample_arrays(records, raw)[:2])
    torch.manual_seed(seed)
    bins = max(len(records) // 10, 5)
    low, high = truth.min(dim=0).values, truth.max(dim=0).values
    references = [get_tarp_references(truth) for _ in range(n_references)]
    draws, truth = ((x - low) / (high - low + 1e-10) for x in (draws, truth))
    inside = []
    for reference in references:
        point = (reference - low) / (high - low + 1e-10)
        nearer = torch.linalg.norm(draws - point, dim=-1) < torch.linalg.norm(truth - point, dim=-1)
        inside.append(nearer.float().mean(dim=0))
    counts, alpha = torch.histogram(torch.cat(inside), bins=bins, range=(0.0, 1.0))
    coverage = torch.cat([torch.zeros(1), counts.cumsum(0) / counts.sum()])
    upper = alpha > 0.5
    return {
        "atc": float((coverage[upper] - alpha[upper]).sum()) / bins,
        "ks_p": float(np.median([kstest(one.numpy(), "uniform").pvalue for one in inside])),
        "credibility": [round(float(a), 4) for a in alpha],
        "coverage": [round(float(c), 4) for c in coverage],
    }


def lc2st(records: Records, seed: int = 0, n_components: int = 16, n_null: int = 50, n_tested: int = 20) -> dict[str, Any]:
    """Local classifier test of the network by sbi: are draws and truths told apart, given the data?

    The data enter by the leading principal components of the network's input: a classifier on all of its some hundred
    numbers would need tens of thousands of events.

    Parameters
    ----------
    records : of analysed events; the last `n_tested` are tested on, the others train the classifiers
    seed : int
    n_components : int
    n_null : int
        classifiers trained under the null hypothesis
    n_tested : int

    Returns
    -------
    dict with `n_trained`, `p_values` of the events tested, and `share_below_0.05`, which is about 0.05 if all is right
    """
    import torch
    from sbi.diagnostics.lc2st import LC2ST

    draws, truth, _ = sample_arrays(records, raw=True)
    features = np.array([record["features"] for record in records])
    features = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9)
    components = np.linalg.svd(features, full_matrices=False)[2][: min(n_components, len(records) // 10)]
    x = torch.from_numpy(features @ components.T).float()
    train = len(records) - n_tested
    theta, samples = torch.from_numpy(truth).float(), torch.from_numpy(draws).float()
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        warnings.simplefilter("ignore")  # the classifier's notices of early stopping
        test = LC2ST(
            prior_samples=theta[:train],
            xs=x[:train],
            posterior_samples=samples[0, :train],
            seed=seed,
            z_score=True,
            num_trials_null=n_null,
            classifier_kwargs={
                "hidden_layer_sizes": (32, 32),
                "max_iter": 200,
                "early_stopping": True,
                "random_state": seed,
            },
        )
        test.train_on_observed_data(verbosity=0)
        test.train_under_null_hypothesis(verbosity=0)
        p = [test.p_value(samples[:, i], x[i]) for i in range(train, len(records))]
    return {"n_trained": train, "p_values": p, "share_below_0.05": float(np.mean(np.array(p) < 0.05))}


def quantiles(records: Records, keys: Sequence[str]) -> dict[str, dict[str, float]]:
    """5 %, 25 %, 50 %, 75 % and 95 % quantiles of numbers of the records."""
    at = (5, 25, 50, 75, 95)
    return {key: {f"{a} %": float(np.percentile([record[key] for record in records], a)) for a in at} for key in keys}


def poorly_proposed(records: Records, below: float = POOR) -> dict[str, Any]:
    """The share of events of low efficiency, and in what they differ from the others.

    Returns
    -------
    dict with `share`, and `traits`: the quantities whose distributions differ between the two groups at p < 0.01
    (two-sample Kolmogorov-Smirnov), most different first, each with `p` and the medians `poor` and `others`
    """
    from scipy import stats

    poor = np.array([record["network_efficiency"] < below for record in records])
    out: dict[str, Any] = {"below": below, "share": float(poor.mean()), "number": int(poor.sum()), "traits": {}}
    if min(poor.sum(), (~poor).sum()) < 5:
        return out
    truth = {name: np.array([record["truth"][name] for record in records]) for name in records[0]["truth"]}
    more = derived(truth)
    columns = {name: truth[name] for name in truth if name != "geocent_time"} | {
        "abs_cos_theta_jn": np.abs(np.cos(truth["theta_jn"])),
    }
    columns |= {name: more[name] for name in ("total_mass", "chi_eff", "chi_p") if name in more}
    for key in ("snr", "measured_snr", "pareto_k", "extrinsic_ess"):
        columns[key] = np.array([record[key] for record in records])
    columns["chirp_mass_width"] = np.array([np.std(record["draws"]["chirp_mass"]) for record in records])
    found = {}
    for name, value in columns.items():
        p = float(stats.ks_2samp(value[poor], value[~poor]).pvalue)
        if p < 0.01:
            found[name] = {"p": p, "poor": float(np.median(value[poor])), "others": float(np.median(value[~poor]))}
    out["traits"] = dict(sorted(found.items(), key=lambda item: item[1]["p"]))
    return out
