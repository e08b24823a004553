"""P-P test and efficiencies of a shipped estimator on signals from its prior, in noise of varying PSD.

    python benchmarks/calibration.py --events 150 --out benchmarks/reference/calibration.jsonl

Each event is one line of the output; a run that was stopped goes on where it stopped. The table is printed at the end, and by
``--events 0`` from the lines already there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import stats

import gwsurrogate_ml as gw
from gwsurrogate_ml.conventions import PARAMETERS


def table(records: list[dict]) -> str:
    """Markdown: KS p-value of every parameter's ranks, quantiles of efficiency and Pareto-k."""
    done = [record for record in records if "rank" in record]
    lines = [f"{len(done)} events analysed, {len(records) - len(done)} without a signal in the data", ""]
    lines += ["| parameter | KS p | share in 90 % interval |", "|---|---|---|"]
    p_values = []
    for name in PARAMETERS:
        rank = np.array([record["rank"][name] for record in done])
        p_values.append(stats.kstest(rank, "uniform").pvalue)
        inside = np.mean((rank > 0.05) & (rank < 0.95))
        lines.append(f"| {name} | {p_values[-1]:.3f} | {inside:.2f} |")
    combined = stats.combine_pvalues(p_values).pvalue
    lines += ["", f"Fisher's combination of the eleven p-values: {combined:.3f}", ""]
    lines += ["| quantity | 5 % | 25 % | median | 75 % | 95 % |", "|---|---|---|---|---|---|"]
    for key in ("measured_snr", "network_efficiency", "pareto_k", "extrinsic_ess", "seconds"):
        values = np.quantile([record[key] for record in done], (0.05, 0.25, 0.5, 0.75, 0.95))
        lines.append(f"| {key} | " + " | ".join(f"{value:.3g}" for value in values) + " |")
    poor = [record for record in done if record["network_efficiency"] < 0.1]
    lines.append(f"\nshare below 10 % efficiency: {len(poor) / len(done):.3f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--estimator", default="bbh-h1l1")
    parser.add_argument("--events", type=int, default=150)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/reference/calibration.jsonl"))
    arguments = parser.parse_args()

    import torch

    from gwsurrogate_ml.inference.diagnostics import calibrate

    torch.set_num_threads(1)
    records = [json.loads(line) for line in arguments.out.read_text().splitlines()] if arguments.out.exists() else []
    if arguments.events > len(records):
        estimator = gw.load_estimator(arguments.estimator)
        with arguments.out.open("a") as stream:
            missing = arguments.events - len(records)
            for record in calibrate(estimator, missing, arguments.seed, arguments.draws, first=len(records)):
                stream.write(json.dumps(record) + "\n")
                stream.flush()
                records.append(record)
    print(table(records))


if __name__ == "__main__":
    main()
