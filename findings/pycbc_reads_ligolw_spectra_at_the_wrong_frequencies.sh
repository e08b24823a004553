#!/usr/bin/env bash
# pycbc 2.11.0: `pycbc.psd.from_xml` takes the first value of a LIGO_LW frequency series for 0 Hz, whatever its f0 says. A spectrum
# that begins at 20 Hz, as `pycbc_prepare_xml_for_gracedb` itself writes them (from kmin on, with f0 = kmin delta_f), comes back
# shifted down by 20 Hz, without a word: where the noise falls steeply, at 30 Hz, it is four times too quiet.
# The same file's first column begins at 0 as well (lal.series writes k delta_f there), so reading it by hand goes wrong alike;
# gwpy 4.1.0 (FrequencySeries.read, format "ligolw") takes f0 and is right.
# A good engineer would trust the reader of the package whose programs write such files.
#
# Output seen: "PSD read over the one written: 0.229 at 30 Hz, 0.431 at 40 Hz, 0.778 at 60 Hz, 0.970 at 100 Hz; gwpy's: 1.000 to 1.000"
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "pycbc==2.11.0" "lalsuite==7.26.16" "igwn-ligolw==2.1.1" "gwpy==4.1.0"
cat > "$here/look.py" <<'PYTHON'
import sys

import lal
import lal.series
import numpy as np
import pycbc.psd
from gwpy.frequencyseries import FrequencySeries
from igwn_ligolw import utils

f0, df, n = 20.0, 0.25, 4000


def curve(f):
    return 1e-46 * (1 + (50 / f) ** 4)


series = lal.CreateREAL8FrequencySeries("psd", lal.LIGOTimeGPS(0), f0, df, lal.Unit("strain^2 s"), n)
series.data.data = curve(f0 + df * np.arange(n))
utils.write_filename(lal.series.make_psd_xmldoc({"H1": series}), sys.argv[1], compress=False)

read = pycbc.psd.from_xml(sys.argv[1], int(200 / df), df, 25.0, ifo_string="H1")
at = np.array([30.0, 40.0, 60.0, 100.0])
ratio = np.array([read[int(f / df)] for f in at]) / curve(at)
by_gwpy = FrequencySeries.read(sys.argv[1], format="ligolw")
other = by_gwpy.value / curve(by_gwpy.frequencies.value)
said = ", ".join(f"{r:.3f} at {f:g} Hz" for r, f in zip(ratio, at))
print(f"PSD read over the one written: {said}; gwpy's: {other.min():.3f} to {other.max():.3f}")
assert np.allclose(ratio, curve(at + f0) / curve(at), rtol=1e-3), "the behaviour has changed"
assert np.allclose(other, 1), "the behaviour has changed"
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py" "$here/psd.xml"
