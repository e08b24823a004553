#!/usr/bin/env bash
# gwpy 4.1.0 with lalsuite 7.26.16: a frame file says in what unit each channel is, as a string that the data acquisition chose: "um",
# "nm", "counts". gwpy's reader hands that string to LAL, which knows "m" and "10^-6 m" but no prefixes, and gives the channel no unit
# at all where LAL does not know it; no warning comes. What gwpy itself writes it reads back, as it translates to LAL's notation.
# A good engineer would ask `series.unit` whether a witness is a length, or convert with `series.to("m")`, and test that on files which
# gwpy wrote: with the detectors' own files displacements in micrometres are dimensionless.
#
# Output seen: "written m: read as m; written 10^-6 m: read as 1e-06 m; written um: read as no unit; written nm: read as no unit; written
# counts: read as no unit" and "um by gwpy's own writer: read as 1e-06 m".
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "gwpy==4.1.0" "lalsuite==7.26.16" "numpy==2.4.6" "astropy==8.0.2"
cat > "$here/look.py" <<'PYTHON'
import sys

import lal
import lalframe
import numpy as np
from gwpy.timeseries import TimeSeries, TimeSeriesDict

CODE, N, RATE = 2, 1024, 256.0  # FR_VECT_8R


def written(path, unit):
    """A frame of zeros whose channel is in `unit`, as written."""
    frame = lalframe.FrameNew(lal.LIGOTimeGPS(1000000000), N / RATE, "site", 0, 0, 0)
    channel = lalframe.FrameUFrProcChanAlloc("H1:STAGE", 1, 0, CODE, N)
    lalframe.FrameUFrChanVectorAlloc(channel, CODE, N)
    lalframe.FrameUFrChanSetTRange(channel, N / RATE)
    lalframe.FrameUFrChanVectorSetName(channel, "H1:STAGE")
    lalframe.FrameUFrChanVectorSetDx(channel, 1 / RATE)
    lalframe.FrameUFrChanVectorSetUnitX(channel, "s")
    lalframe.FrameUFrChanVectorSetUnitY(channel, unit)
    lalframe.FrameUFrameHFrChanAdd(frame, channel)
    lalframe.FrameWrite(frame, path)
    return path


def seen(path):
    return str(TimeSeries.read(path, "H1:STAGE", format="gwf").unit) or "no unit"


units = {unit: seen(written(f"{sys.argv[1]}/{i}.gwf", unit)) for i, unit in enumerate(("m", "10^-6 m", "um", "nm", "counts"))}
print("; ".join(f"written {unit}: read as {found}" for unit, found in units.items()))
series = TimeSeries(np.zeros(N), t0=1000000000, sample_rate=RATE, unit="um", name="H1:STAGE", channel="H1:STAGE")
TimeSeriesDict({"H1:STAGE": series}).write(f"{sys.argv[1]}/own.gwf", format="gwf")
own = seen(f"{sys.argv[1]}/own.gwf")
print(f"um by gwpy's own writer: read as {own}")
assert units == {"m": "m", "10^-6 m": "1e-06 m", "um": "no unit", "nm": "no unit", "counts": "no unit"} and own == "1e-06 m", "it has changed"
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py" "$here"
