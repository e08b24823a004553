#!/usr/bin/env bash
# bilby 2.8.2: `bilby_result --save --extension hdf5` of a result whose meta data hold a list of dictionaries, which JSON keeps and HDF5 cannot,
# ends with status 0. It leaves an HDF5 file that holds a part of the result and that no bilby reads, and a pickle beside it; only a line
# in the log says so. `bilby_result --bayes` prints the noise evidence under the name of the Bayes factor.
# A good engineer would turn a folder of results into HDF5 in a script, look at its status, and delete the JSON files.
#
# Output seen: "status 0; r_result.hdf5 is there, and reading it: TypeError; r_result.pkl is there; printed as log_bayes_factor: -3.0, is 2.0".
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "bilby==2.8.2" "numpy==2.3.5" "scipy==1.17.1" "pandas==3.1.1" "h5py==3.16.0"
cat > "$here/look.py" <<'PYTHON'
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from bilby.core.prior import PriorDict, Uniform
from bilby.core.result import FileLoadError, Result, read_in_result

folder, command = Path(sys.argv[1]), str(Path(sys.executable).with_name("bilby_result"))
draws = pd.DataFrame({"x": np.linspace(0, 1, 50)})
result = Result(label="r", outdir=str(folder), search_parameter_keys=["x"], priors=PriorDict({"x": Uniform(0, 1)}), posterior=draws,
                samples=draws.to_numpy(), log_evidence=-1.0, log_evidence_err=0.1, log_noise_evidence=-3.0, log_bayes_factor=2.0,
                meta_data={"rounds": [{"efficiency": 0.1}, {"efficiency": 0.4}]})
result.save_to_file(extension="json")
assert read_in_result(str(folder / "r_result.json")).meta_data == result.meta_data
done = subprocess.run([command, "-r", str(folder / "r_result.json"), "-s", "-e", "hdf5"], capture_output=True, text=True)
try:
    read_in_result(str(folder / "r_result.hdf5"))
    said = "read"
except FileLoadError as error:
    said = type(error.__cause__).__name__
printed = subprocess.run([command, "-r", str(folder / "r_result.json"), "--bayes"], capture_output=True, text=True).stdout
factor = float(re.search(r"log_bayes_factor=(\S+)", printed)[1])
there = [name for name in ("r_result.hdf5", "r_result.pkl") if (folder / name).exists()]
print(f"status {done.returncode}; {there[0]} is there, and reading it: {said}; {there[-1]} is there; printed as log_bayes_factor: {factor}, is 2.0")
assert done.returncode == 0 and len(there) == 2 and said != "read" and factor == -3.0
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py" "$here"
