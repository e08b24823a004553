#!/usr/bin/env bash
# bilby 2.8.2: `bilby.core.result.reweight` with `new_prior` asks that prior for the density of every column of the posterior but log_prior
# and log_likelihood. A result of compact binaries always has more, the component masses and spins that bilby's own conversion adds: KeyError.
# A good engineer would re-weight the posterior of a finished run to another prior with the function made for it; it works once all columns
# without a prior are dropped. Where the posterior has no column log_prior and `old_prior` is not given, all weights are NaN, without a word.
#
# Output seen: "columns of bilby's conversion: KeyError 'total_mass'; those of the prior alone: 200 weights, spread 0.000; without log_prior:
# 200 of 200 are NaN".
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "bilby[gw]==2.8.2" "numpy==2.3.5" "scipy==1.17.1" "lalsuite==7.26.16"
cat > "$here/look.py" <<'PYTHON'
import logging

import numpy as np
import pandas as pd
from bilby.core.prior import Uniform
from bilby.core.result import get_weights_for_reweighting
from bilby.core.utils import random
from bilby.gw.conversion import generate_mass_parameters
from bilby.gw.prior import BBHPriorDict
from bilby.gw.result import CBCResult

logging.getLogger("bilby").setLevel(logging.ERROR)
random.seed(1)
prior = BBHPriorDict({"chirp_mass": Uniform(25, 35), "mass_ratio": Uniform(0.5, 1)})
wider = BBHPriorDict({"chirp_mass": Uniform(20, 40), "mass_ratio": Uniform(0.5, 1)})
drawn = pd.DataFrame(prior.sample(200))
drawn["log_likelihood"], drawn["log_prior"] = 0.0, prior.ln_prob({name: drawn[name] for name in prior}, axis=0)


def weights(posterior):
    result = CBCResult(label="event", search_parameter_keys=list(prior), priors=prior, posterior=posterior)
    return get_weights_for_reweighting(result, new_prior=wider)[0]


try:
    weights(generate_mass_parameters(drawn))
    said = "no error"
except KeyError as error:
    said = f"KeyError {error}"
bare = weights(drawn)
without = weights(drawn.drop(columns="log_prior"))
print(f"columns of bilby's conversion: {said}; those of the prior alone: {len(bare)} weights, spread {np.ptp(bare):.3f}; "
      f"without log_prior: {np.isnan(without).sum()} of {len(without)} are NaN")
assert said.startswith("KeyError") and np.allclose(bare, -np.log(2)) and np.isnan(without).all()
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py"
