#!/usr/bin/env bash
# pycbc 2.11.0: `FrequencySeries.save` writes the zeros below a spectrum's low-frequency cutoff as zeros to .hdf, .npy and .txt, but to .xml
# and .xml.gz as the first value above it: a flat, quiet spectrum where there was none. Whoever reads the file back and starts the
# integral lower than the writer did (the file does not say where that was) gets signal-to-noise from a band that was never measured:
# with the aLIGO design written from 20 Hz and used from 10 Hz, a 1.4 + 1.4 Msun binary's sigma is 4 % larger than with the true curve; for
# 200 + 200 Msun it is larger by more than half.
# A good engineer would take the choice of a suffix for a choice of the container.
#
# Output seen: (see below)
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "pycbc==2.11.0" "lalsuite==7.26.16" "igwn-ligolw==2.1.1"
cat > "$here/look.py" <<'PYTHON'
import sys

import numpy as np
import pycbc.psd
from pycbc.filter import sigma
from pycbc.waveform import get_fd_waveform
from pycbc.types import load_frequencyseries

folder, df, n = sys.argv[1], 1 / 8, 8 * 1024 + 1
true = pycbc.psd.aLIGOZeroDetHighPower(n, df, 10.0)
written = pycbc.psd.aLIGOZeroDetHighPower(n, df, 20.0)
for suffix in ("hdf", "xml.gz"):
    written.save(f"{folder}/psd.{suffix}", **({"ifo": "H1"} if suffix == "xml.gz" else {}))
hdf = load_frequencyseries(f"{folder}/psd.hdf", group="data")
xml = pycbc.psd.from_xml(f"{folder}/psd.xml.gz", n, df, 10.0, ifo_string="H1")
k = int(15 / df)
print(f"at 15 Hz, 5 Hz below the cutoff: .hdf {float(hdf[k]):g}, .xml.gz {xml[k]:.3g}, at 20 Hz {written[int(20 / df)]:.3g}")
ratios = []
for mass in (1.4, 200.0):
    h, _ = get_fd_waveform(approximant="IMRPhenomD", mass1=mass, mass2=mass, delta_f=df, f_lower=10.0, f_final=1024.0)
    h.resize(n)
    ratios.append(sigma(h, psd=xml, low_frequency_cutoff=10.0) / sigma(h, psd=true, low_frequency_cutoff=10.0))
print(f"sigma from 10 Hz with the file over that with the true curve: {ratios[0]:.3f} for 1.4 + 1.4 Msun, {ratios[1]:.2f} for 200 + 200 Msun")
assert hdf[k] == 0 and np.isclose(xml[k], written[int(20 / df)], rtol=1e-6), "the behaviour has changed"
assert ratios[1] > 1.2, "the behaviour has changed"
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py" "$here"
