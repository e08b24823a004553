#!/usr/bin/env bash
# mlserver 1.7.1: NumpyCodec does not give back what it was given. A vector comes back as a column (n, 1), and infinities come back as NaN
# (the JSON has null for both); nothing warns.
# A good engineer would take encode_input and decode_input of one class for a round trip, and index or broadcast: `decoded - original`
# of a vector of n numbers is a table of n times n.
#
# Output seen: "(3,) comes back as (3, 1), inf as nan; decoded - original has shape (3, 3)".
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "mlserver==1.7.1" "numpy==2.3.5" "pandas==2.3.3"
cat > "$here/look.py" <<'PYTHON'
import numpy as np
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest


def round_trip(array):
    body = InferenceRequest(inputs=[NumpyCodec.encode_input("x", array)]).model_dump_json()
    return NumpyCodec.decode_input(InferenceRequest.model_validate_json(body).inputs[0])


given = np.array([1.0, 2.0, np.inf])
found = round_trip(given)
print(f"{given.shape} comes back as {found.shape}, inf as {found[2, 0]}; decoded - original has shape {(found - given).shape}")
assert found.shape == (3, 1) and np.isnan(found[2, 0]) and (found - given).shape == (3, 3)
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py"
