#!/usr/bin/env bash
# pycbc 2.11.0 with lalsuite 7.26.16: get_td_waveform and get_fd_waveform of one approximant and one binary are different binaries as long
# as `f_ref` is left at its default. Series of IMRPhenomPv2, XPHM and XHM are made from their transforms (their own series in LAL are
# replaced without a word), which pycbc begins below `f_lower` to have room for a taper; `f_ref` = 0 means the lower end, so that spins
# and phase belong to a frequency that depends on the length of the signal, and not to `f_lower` as in the transform.
# A good engineer would compare or mix the two domains (injections in time, templates in frequency) with the same dictionary of parameters.
#
# Output seen: "IMRPhenomPv2: overlap of series and transform 0.957, with f_ref named 1.0000" and "IMRPhenomXPHM: ... 0.965, ... 1.0000",
# "IMRPhenomXHM: ... 0.973, ... 1.0000" (aligned spins: the phase alone, which higher modes show).
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "pycbc==2.11.0" "lalsuite==7.26.16" "numpy==2.3.5" "setuptools==80.9.0"
cat > "$here/look.py" <<'PYTHON'
import numpy as np
from pycbc.waveform import get_fd_waveform, get_td_waveform

ALIGNED = dict(mass1=40.0, mass2=25.0, spin1z=0.2, inclination=1.1, coa_phase=0.3, distance=400.0, f_lower=20.0)
PRECESSING = ALIGNED | dict(spin1x=0.6, spin2y=0.5)


def overlap(name, **binary):
    """Largest over time of the overlap of both domains' plus polarizations, 30 to 512 Hz, white noise."""
    transform = get_fd_waveform(approximant=name, delta_f=1 / 8, f_final=1024.0, **binary)[0].numpy()
    series = get_td_waveform(approximant=name, delta_t=1 / 2048, **binary)[0].numpy()[-8 * 2048 :]  # the end is the ringdown's
    band = slice(30 * 8, 512 * 8)
    a, b = transform[band], np.fft.rfft(np.pad(series, (0, 8 * 2048 - len(series))))[band]
    size = 16 * len(a)
    return (np.fft.ifft(a * b.conj(), size) * size).real.max() / np.linalg.norm(a) / np.linalg.norm(b)


for name, binary in {"IMRPhenomPv2": PRECESSING, "IMRPhenomXPHM": PRECESSING, "IMRPhenomXHM": ALIGNED}.items():
    default, named = overlap(name, **binary), overlap(name, **binary, f_ref=20.0)
    print(f"{name}: overlap of series and transform {default:.3f}, with f_ref named {named:.4f}")
    assert default < 0.98 and named > 0.9999, (name, default, named)
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py"
