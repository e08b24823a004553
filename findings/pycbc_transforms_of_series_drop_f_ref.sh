#!/usr/bin/env bash
# pycbc 2.11.0: get_fd_waveform of an approximant that LAL makes in time alone (SpinTaylorT5, SEOBNRv4P) drops `f_ref`: it is set to
# f_lower whatever was asked for (the guard looks for a misspelt 'f_fref'). Precessing spins then belong to another moment and the
# transform is of another binary than get_td_waveform gives at the same parameters. No warning is given.
# A good engineer would take the two functions for two views of one waveform.
#
# Output seen: "SpinTaylorT5 at f_ref 40 and 80 Hz: series differ by 1.30 of their norm, transforms by 0.00".
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "pycbc==2.11.0" "lalsuite==7.26.16"
cat > "$here/look.py" <<'PYTHON'
import numpy as np
from pycbc.waveform import get_fd_waveform, get_td_waveform

call = dict(approximant="SpinTaylorT5", mass1=20, mass2=8, spin1x=0.6, spin1z=0.2, spin2y=0.3, inclination=1.0, f_lower=40)
series = [get_td_waveform(**call, f_ref=f, delta_t=1 / 4096)[0] for f in (40, 80)]
n = min(map(len, series))
a, b = (np.asarray(h)[-n:] for h in series)
x, y = (np.asarray(get_fd_waveform(**call, f_ref=f, delta_f=1 / 16)[0]) for f in (40, 80))
in_time, in_frequency = (np.linalg.norm(p - q) / np.linalg.norm(p) for p, q in ((a, b), (x, y)))
print(f"SpinTaylorT5 at f_ref 40 and 80 Hz: series differ by {in_time:.2f} of their norm, transforms by {in_frequency:.2f}")
assert in_time > 0.1 and in_frequency < 1e-6, (in_time, in_frequency)
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py"
