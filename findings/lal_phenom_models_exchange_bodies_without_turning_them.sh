#!/usr/bin/env bash
# lalsuite 7.26.16: which body of a binary is called the first is a matter of names. LAL's frame has x along the separation, so that an
# exchange of the names turns azimuths of spins and the orbital phase by 180 degrees: SpinTaylorT4 gives the same waveform then, to
# rounding. IMRPhenomTPHM and IMRPhenomXPHM do not: where mass1 < mass2 they exchange masses and spins and leave the azimuths. Their
# waveform is then one of another binary (overlap 0.99), and is unchanged by an exchange of the names that SpinTaylorT4 tells apart.
# A good engineer would let mass1 and mass2 vary freely in a prior, or convert between the two families with the masses as they come.
#
# Output seen: "exchange of names, spins turned: SpinTaylorT4 1.0000, IMRPhenomTPHM 0.9877, IMRPhenomXPHM 0.9841" and
# "spins as they were: SpinTaylorT4 0.9951, IMRPhenomTPHM 1.0000, IMRPhenomXPHM 1.0000".
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "lalsuite==7.26.16" "numpy==2.4.6"
cat > "$here/look.py" <<'PYTHON'
import lal
import lalsimulation as ls
import numpy as np

HEAVY, LIGHT, ONE, TWO = 40 * lal.MSUN_SI, 25 * lal.MSUN_SI, np.array([0.3, -0.4, 0.2]), np.array([-0.2, 0.3, -0.3])
TURN, PLACE = np.array([-1, -1, 1]), (4e8 * lal.PC_SI, 1.0)


def plus(name, m_1, m_2, s_1, s_2, phase):
    number = ls.GetApproximantFromString(name)
    if name == "IMRPhenomXPHM":
        return ls.SimInspiralChooseFDWaveform(m_1, m_2, *s_1, *s_2, *PLACE, phase, 0, 0, 0, 1 / 8, 20, 1024, 30, None, number)[0].data.data
    return ls.SimInspiralChooseTDWaveform(m_1, m_2, *s_1, *s_2, *PLACE, phase, 0, 0, 0, 1 / 2048, 20, 30, None, number)[0].data.data


def overlap(a, b):
    n = min(len(a), len(b))
    return np.vdot(a[-n:], b[-n:]).real / np.linalg.norm(a[-n:]) / np.linalg.norm(b[-n:])


turned, as_they_were = {}, {}
for name in ("SpinTaylorT4", "IMRPhenomTPHM", "IMRPhenomXPHM"):
    h = plus(name, HEAVY, LIGHT, ONE, TWO, 0.7)
    turned[name] = overlap(h, plus(name, LIGHT, HEAVY, TURN * TWO, TURN * ONE, 0.7 + np.pi))
    as_they_were[name] = overlap(h, plus(name, LIGHT, HEAVY, TWO, ONE, 0.7))
print("exchange of names, spins turned:", ", ".join(f"{name} {z:.4f}" for name, z in turned.items()))
print("spins as they were:", ", ".join(f"{name} {z:.4f}" for name, z in as_they_were.items()))
assert turned["SpinTaylorT4"] > 0.99999 and as_they_were["SpinTaylorT4"] < 0.999
for name in ("IMRPhenomTPHM", "IMRPhenomXPHM"):
    assert turned[name] < 0.995 and as_they_were[name] > 0.99999, name
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py"
