#!/usr/bin/env bash
# pycbc 2.11.0: an approximant that a package registers by its three documented entry points, series (pycbc.waveform.td), transforms
# (pycbc.waveform.fd) and length (pycbc.waveform.length), loses the first: as soon as the length is read, pycbc puts a transform of the
# frequency-domain plug-in in its place, and get_td_waveform never calls the registered function. No warning is given.
# A good engineer would add the length that template banks ask for and think that nothing else changes.
#
# Output seen: "with a length: td plug-in called 0 times, fd plug-in 1; without: 1 and 0".
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "pycbc==2.11.0" "lalsuite==7.26.16"
mkdir -p "$here/plug/plug-1.0.dist-info"
cat > "$here/plug/plug.py" <<'PYTHON'
import numpy as np

called = {"td": 0, "fd": 0}


def td(**p):
    from pycbc.types import TimeSeries

    called["td"] += 1
    h = TimeSeries(np.sin(2 * np.pi * 30 * np.arange(4096) * p["delta_t"]), delta_t=p["delta_t"], epoch=-1)
    return h, h


def fd(**p):
    from pycbc.types import FrequencySeries

    called["fd"] += 1
    h = FrequencySeries(np.exp(-(np.arange(2049) * p["delta_f"] / 50.0) ** 2) + 0j, delta_f=p["delta_f"])
    return h, h


def length(**p):
    return 20.0 / p["f_lower"]
PYTHON
printf 'Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n' > "$here/plug/plug-1.0.dist-info/METADATA"
{
  for group in td fd; do printf '[pycbc.waveform.%s]\nBARE = plug:%s\nWHOLE = plug:%s\n\n' "$group" "$group" "$group"; done
  printf '[pycbc.waveform.length]\nWHOLE = plug:length\n'
} > "$here/plug/plug-1.0.dist-info/entry_points.txt"
cat > "$here/look.py" <<'PYTHON'
import plug
from pycbc.waveform import get_td_waveform

counts = {}
for name in ("WHOLE", "BARE"):
    plug.called.update(td=0, fd=0)
    get_td_waveform(approximant=name, mass1=30, mass2=30, delta_t=1 / 4096, f_lower=20)
    counts[name] = dict(plug.called)
print("with a length: td plug-in called {td} times, fd plug-in {fd};".format(**counts["WHOLE"]), "without: {td} and {fd}".format(**counts["BARE"]))
assert counts == {"WHOLE": {"td": 0, "fd": 1}, "BARE": {"td": 1, "fd": 0}}, counts
PYTHON
PYTHONPATH="$here/plug" "$here/env/bin/python" -W ignore "$here/look.py"
