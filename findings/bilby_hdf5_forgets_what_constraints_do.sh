#!/usr/bin/env bash
# bilby 2.8.2: a result read from HDF5 has another prior than the same result read from JSON. The reader undoes the prior's encoding twice,
# the second time as a plain PriorDict, which knows no component masses: Constraints are still listed, and have no effect. Densities of
# binaries that the prior excludes are finite, those of all others too small by the share that the Constraints leave.
# A good engineer would turn results into HDF5 by `bilby_result --extension hdf5` to save room, and re-weight from there.
#
# Output seen (log densities of an excluded binary and of an allowed one): "json: BBHPriorDict, -inf and -3.08, Constraint listed: True;
# hdf5: PriorDict, -3.58 and -3.58, Constraint listed: True".
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "bilby[gw]==2.8.2" "numpy==2.3.5" "scipy==1.17.1" "pandas==3.1.1" "h5py==3.16.0" "lalsuite==7.26.16"
cat > "$here/look.py" <<'PYTHON'
import logging
import sys

import numpy as np
import pandas as pd
from bilby.core.prior import Constraint, Uniform
from bilby.core.result import read_in_result
from bilby.gw.prior import BBHPriorDict
from bilby.gw.result import CBCResult

logging.getLogger("bilby").setLevel(logging.ERROR)
prior = BBHPriorDict({"chirp_mass": Uniform(10, 50), "mass_ratio": Uniform(0.1, 1), "mass_2": Constraint(20, 100)})
draws = pd.DataFrame(prior.sample(100))
names = ["chirp_mass", "mass_ratio"]
result = CBCResult(label="r", outdir=sys.argv[1], search_parameter_keys=names, priors=prior, posterior=draws, samples=draws[names].to_numpy())
at = {"chirp_mass": np.array([12.0, 45.0]), "mass_ratio": np.array([0.5, 0.9])}  # lighter masses of 10 and 49 solar masses
seen = {}
for extension in ("json", "hdf5"):
    result.save_to_file(extension=extension)
    found = read_in_result(f"{sys.argv[1]}/r_result.{extension}", result_class=CBCResult).priors
    seen[extension] = type(found).__name__, found.ln_prob(at, axis=0), "mass_2" in found.constraint_keys
print("; ".join(f"{name}: {kind}, {x[0]:.2f} and {x[1]:.2f}, Constraint listed: {listed}" for name, (kind, x, listed) in seen.items()))
(kind, density, listed), (kind_5, density_5, listed_5) = seen["json"], seen["hdf5"]
assert kind == "BBHPriorDict" and kind_5 == "PriorDict" and listed and listed_5
assert np.isneginf(density[0]) and np.isfinite(density_5[0]) and density[1] - density_5[1] > 0.3
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py" "$here"
