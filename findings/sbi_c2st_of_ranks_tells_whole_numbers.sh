#!/usr/bin/env bash
# sbi 0.27.0: `check_uniformity_c2st` holds the ranks of simulation-based calibration, whole numbers, against draws of a continuous uniform
# density. With some hundred events a classifier tells them by that alone: ranks that are uniform score far above 0.5.
# A good engineer would read the score as the docstring has it, 0.5 for ranks that cannot be told from uniform ones; it is once they are spread
# over their steps, (rank + u) L / (L + 1) with u uniform between 0 and 1.
#
# Output seen: "500 uniform ranks of 200 draws: C2ST 0.75; spread over their steps 0.50".
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "sbi==0.27.0" "torch==2.13.0" "numpy==2.3.5" "scipy==1.16.3"
cat > "$here/look.py" <<'PYTHON'
import torch
from sbi.diagnostics.sbc import check_uniformity_c2st

torch.manual_seed(1)
draws = 200
ranks = torch.randint(0, draws + 1, (500, 1)).float()
spread = (ranks + torch.rand(ranks.shape)) * draws / (draws + 1)
whole, even = (float(check_uniformity_c2st(x, draws)[0]) for x in (ranks, spread))
print(f"500 uniform ranks of {draws} draws: C2ST {whole:.2f}; spread over their steps {even:.2f}")
assert whole > 0.6 and abs(even - 0.5) < 0.06
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py"
