#!/usr/bin/env bash
# bilby 2.8.2: BBHPriorDict knows detector-frame masses alone. A Constraint on anything else, on a source-frame mass or on chi_eff, is taken
# and listed, and cuts nothing off: of a prior between whose densities and Constraint there is nothing at all, all draws are valid.
# A good engineer would write `mass_1_source = Constraint(5, 10)` beside priors of chirp mass, mass ratio and distance, all that the source
# frame follows from; `mass_1 = Constraint(...)` in the line above works.
#
# Output seen: "drawn with a Constraint on mass_1_source, 5 to 10: 1000 of 1000 heavier, lightest 24.4; on mass_1, 40 to 60: 0 of 1000 outside".
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "bilby[gw]==2.8.2" "numpy==2.3.5" "scipy==1.17.1" "lalsuite==7.26.16"
cat > "$here/look.py" <<'PYTHON'
import logging

import numpy as np
from bilby.core.prior import Constraint, Uniform
from bilby.core.utils import random
from bilby.gw.conversion import generate_mass_parameters, luminosity_distance_to_redshift
from bilby.gw.prior import BBHPriorDict

logging.getLogger("bilby").setLevel(logging.ERROR)
random.seed(1)
densities = {"chirp_mass": Uniform(30, 50), "mass_ratio": Uniform(0.5, 1), "luminosity_distance": Uniform(100, 3000)}
source = BBHPriorDict(densities | {"mass_1_source": Constraint(5, 10)})
draws = generate_mass_parameters(source.sample(1000))
mass = draws["mass_1"] / (1 + luminosity_distance_to_redshift(draws["luminosity_distance"]))
detector = generate_mass_parameters(BBHPriorDict(densities | {"mass_1": Constraint(40, 60)}).sample(1000))["mass_1"]
outside = int(np.sum((detector < 40) | (detector > 60)))
print(f"drawn with a Constraint on mass_1_source, 5 to 10: {np.sum(mass > 10)} of 1000 heavier, lightest {mass.min():.1f}; "
      f"on mass_1, 40 to 60: {outside} of 1000 outside")
assert source.constraint_keys == ["mass_1_source"] and np.all(mass > 10) and outside == 0
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py"
