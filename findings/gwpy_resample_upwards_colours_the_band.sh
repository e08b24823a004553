#!/usr/bin/env bash
# gwpy 4.1.0: `TimeSeries.resample` to a higher rate, or to a lower one that is no whole divisor, multiplies the spectrum with a Hamming
# window that falls over the whole band: it hands its argument `window` (default "hamming", meant for the filter of whole factors) to
# scipy.signal.resample, which applies a window in the frequency domain. White noise of 4096 Hz brought to 16384 Hz, as one detector is
# often brought to the rate of the other, has 3 % less amplitude at 250 Hz and 44 % less at 1 kHz; from 2048 to 4096 Hz it is 13 % at
# 250 Hz and 44 % at 500 Hz.
# No warning; a bandlimited interpolation, which is what one expects, keeps the band to the last digit (resample(..., window=None)).
# A good engineer would bring all detectors to the highest rate so as to lose nothing.
#
# Output seen: "amplitude after over before, 4096 to 16384 Hz: 0.97 at 250 Hz, 0.87 at 500 Hz, 0.56 at 1000 Hz; 2048 to 4096 Hz: 0.87 at
# 250 Hz, 0.56 at 500 Hz; with window=None: 1.00"
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "gwpy==4.1.0" "scipy==1.16.3" "numpy==2.3.5"
cat > "$here/look.py" <<'PYTHON'
import numpy as np
from gwpy.timeseries import TimeSeries

SECONDS = 64


def amplitude(old, new, frequency, **options):
    """Of a tone, after over before, away from the ends."""
    t = np.arange(SECONDS * old) / old
    tone = TimeSeries(np.sin(2 * np.pi * frequency * t), sample_rate=old)
    return float(np.std(tone.resample(new, **options).value[10 * new : -10 * new]) / np.std(tone.value[10 * old : -10 * old]))


up = {f: amplitude(4096, 16384, f) for f in (250.0, 500.0, 1000.0)}
low = {f: amplitude(2048, 4096, f) for f in (250.0, 500.0)}
plain = amplitude(4096, 16384, 1000.0, window=None)
say = lambda found: ", ".join(f"{a:.2f} at {f:g} Hz" for f, a in found.items())
print(f"amplitude after over before, 4096 to 16384 Hz: {say(up)}; 2048 to 4096 Hz: {say(low)}; with window=None: {plain:.2f}")
assert up[250.0] < 0.98 and up[1000.0] < 0.6 and low[500.0] < 0.6 and abs(plain - 1) < 1e-3, "the behaviour has changed"
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py"
