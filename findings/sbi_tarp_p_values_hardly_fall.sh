#!/usr/bin/env bash
# sbi 0.27.0: the p-value of `check_tarp` is no p-value of the events. It compares the curve's points, a tenth as many as there are events,
# with the diagonal's as two samples, so that posteriors 0.7 times as wide as they should be, of a thousand events, pass; right ones have 1.
# A good engineer would read `tarp_val, ks_pval = check_tarp(ecp, alpha)` as its docstring has it, a test whose small p speaks against the
# posterior, and the credibilities themselves, tested against a uniform distribution, are what tells.
#
# Output seen: "width 1: check_tarp 1, the credibilities 1; width 0.7: check_tarp 0.59, the credibilities 2e-11".
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "sbi==0.27.0" "torch==2.13.0" "numpy==2.3.5" "scipy==1.16.3"
cat > "$here/look.py" <<'PYTHON'
import torch
from sbi.diagnostics.tarp import _run_tarp, check_tarp, get_tarp_references
from scipy.stats import kstest

torch.manual_seed(1)
n, draws, said = 1000, 500, {}
for width in (1.0, 0.7):
    # Truths lie a unit normal away from the middles of their posteriors, which are as wide, or narrower.
    middle = 3 * torch.randn(n, 4)
    truth, samples = middle + torch.randn(n, 4), middle + width * torch.randn(draws, n, 4)
    points = get_tarp_references(truth)
    ecp, alpha = _run_tarp(samples, truth, points, num_bins=n // 10, z_score_theta=True)
    low, high = truth.min(0).values, truth.max(0).values
    s, t, p = ((x - low) / (high - low) for x in (samples, truth, points))
    inside = (torch.linalg.norm(s - p, dim=-1) < torch.linalg.norm(t - p, dim=-1)).float().mean(0)
    said[width] = float(check_tarp(ecp, alpha)[1]), float(kstest(inside.numpy(), "uniform").pvalue)
print("; ".join(f"width {w:g}: check_tarp {a:.2g}, the credibilities {b:.1g}" for w, (a, b) in said.items()))
assert said[0.7][0] > 0.05 and said[0.7][1] < 1e-6 and said[1.0][0] > 0.9 and said[1.0][1] > 1e-3
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py"
