#!/usr/bin/env bash
# cogwheel-pe 1.6.0: the strain that EventData holds (and its .npz files) is tapered over half of `wht_filter_duration`, 16 s by default,
# at each end, although its frequency grid spans the whole segment. A noise spectrum measured from it by Welch's median, the obvious
# thing to do with strain from a file, is a fifth too small:
# squared signal-to-noise ratios come out a quarter too large.
# A good engineer would take the series for the data: `t_before` and `t_after` name the valid part, but nothing in the file does.
#
# Output seen: "median Welch over the true spectrum: whole series 0.783, its middle 1.000; first second's amplitude 0.0055 of the
# middle's" (and pip's word on dependencies that are left out: they serve samplers and notebooks).
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet --no-deps cogwheel-pe==1.6.0
"$here/env/bin/pip" install --quiet "numpy==2.2.6" "scipy==1.15.3" "pandas==2.2.3" "gwpy==3.0.13" "lalsuite==7.26.1" "numba==0.61.2" \
  "matplotlib==3.10.3" "setuptools_scm==8.3.1" "ipython==8.36.0" "pyarrow==20.0.0" "tqdm==4.67.1"
cat > "$here/look.py" <<'PYTHON'
import sys

import numpy as np
from cogwheel.data import EventData
from gwpy.timeseries import TimeSeries
from scipy.signal import welch

rate, tgps = 2048, 1126259462.0
noise = np.random.default_rng(1).normal(size=512 * rate)          # white, variance 1: one-sided spectrum 2 / rate
TimeSeries(noise, t0=tgps - 256, sample_rate=rate, name="H1:STRAIN", channel="H1:STRAIN").write(sys.argv[1], path="strain", overwrite=True)
event = EventData.from_timeseries([sys.argv[1]], "noise", "H", tgps, t_before=48.0, t_after=48.0, fmax=512.0)
series = np.fft.irfft(event.strain[0]) * 2 * event.frequencies[-1]
assert series.size == 128 * 1024, series.size


def level(x):
    frequencies, psd = welch(x, 1024.0, nperseg=4096, average="median")
    return np.mean(psd[(frequencies > 50) & (frequencies < 400)]) / (2 / rate)


whole, middle = level(series), level(series[20 * 1024 : -20 * 1024])
edge = np.std(series[: 1024]) / np.std(series[64 * 1024 : 72 * 1024])
print(f"median Welch over the true spectrum: whole series {whole:.3f}, its middle {middle:.3f}; first second's amplitude {edge:.4f} of the middle's")
assert 0.75 < whole < 0.85 and 0.95 < middle < 1.05 and edge < 0.02, "the behaviour has changed"
PYTHON
"$here/env/bin/python" "$here/look.py" "$here/noise.hdf5"
