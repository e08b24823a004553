"""Modes of precessing binaries to compare models with: NRSur7dq2, and SEOBNRv5PHM beside it, with the spins of one reference time.

NRSur7dq2: Blackman et al. 2017, arXiv:1705.07089. SEOBNRv5PHM: Ramos-Buades et al. 2023, arXiv:2303.18046, through `pyseobnr`, in
the frame whose z is along the orbital angular momentum at its start and whose x is where the phase of its waves vanishes, as in
NRSur7dq2: a tenth of a radian from the heavier body. Its peak is at t = 0.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

from data_prep import chunks
from data_prep.nrsur7dq2 import PrecessingSet, design, model

log = logging.getLogger(__name__)

TIMES = np.concatenate([np.arange(-4490.0, -100.0, 2.0), np.arange(-100.0, 98.0, 0.5)])
"""M from the peak."""
MODES = tuple((l, m) for l in range(2, 5) for m in range(-l, l + 1))


def eob_modes(q: float, chi_1: np.ndarray, chi_2: np.ndarray, omega: float) -> tuple[np.ndarray, float, float]:
    """SEOBNRv5PHM's modes (21, n) at `TIMES` from the orbital frequency `omega` (rad / M) on, where the spins are given; the time
    (M) then, and the orbital phase of its waves: not 0 as that of its bodies, but a tenth of a radian by tails."""
    from pyseobnr.generate_waveform import generate_modes_opt

    t, modes, _ = generate_modes_opt(q, chi_1, chi_2, omega, approximant="SEOBNRv5PHM", debug=True)
    rows = np.stack([modes[f"{l},{m}"] if f"{l},{m}" in modes else np.zeros(len(t), complex) for l, m in MODES])
    power = np.sum(np.abs(rows) ** 2, axis=0)
    k = int(np.argmax(power))
    near = CubicSpline(t[k - 8 : k + 9], power[k - 8 : k + 9])
    roots = near.derivative().roots(extrapolate=False)
    peak = float(roots[np.argmax(near(roots))])
    out = np.zeros((len(MODES), len(TIMES)), complex)
    inside = (t[0] - peak <= TIMES) & (t[-1] - peak >= TIMES)
    out[:, inside] = CubicSpline(t - peak, rows, axis=1)(TIMES[inside])
    # LAL's sign of h is the other, which the difference of the two does not see.
    twice = 0.5 * (np.angle(-rows[MODES.index((2, -2)), 0]) - np.angle(-rows[MODES.index((2, 2)), 0]))
    return out, float(t[0]) - peak, float((twice + np.pi / 2) % np.pi - np.pi / 2) / 2


def eob_modes_at(q: float, chi_1: np.ndarray, chi_2: np.ndarray, omega: float, time: float) -> np.ndarray:
    """`eob_modes` for spins at the `time` (M), when the orbital frequency is about `omega`, in NRSur7dq2's frame, whose x axis is
    where the phase of the waves vanishes."""
    for _ in range(2):
        _, begin, turn = eob_modes(q, chi_1, chi_2, omega)
        omega *= (begin / time) ** 0.375
    modes, begin, turn = eob_modes(q, about_z(chi_1, turn), about_z(chi_2, turn), omega)
    if abs(begin - time) > 2.0:
        log.warning("q = %g: the spins are those of %.0f M in place of %.0f", q, begin, time)
    return modes * np.exp(1j * np.array([m for _, m in MODES])[:, None] * turn)


def about_z(vector: np.ndarray, angle: float) -> np.ndarray:
    """A vector (3,) turned about z."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1], vector[2]])


def generate(out: Path, n: int, seed: int, with_eob: int) -> None:
    """Write `n` binaries to the file `out`; SEOBNRv5PHM for the first `with_eob` of them.

    It holds: parameters (n, 7), spins at the first time of NRSur7dq2; omega (n,), the orbital frequency there in rad / M; times;
    modes (n, 21, n_t) complex64 of NRSur7dq2, eob (with_eob, 21, n_t) of SEOBNRv5PHM.
    """
    parameters, nr, eob, omegas = design(PrecessingSet(n=n, seed=seed)), [], [], []
    for i, row in enumerate(parameters):
        found = model()(row[0], row[1:4], row[4:], t=TIMES)
        nr.append(np.stack([found[mode] for mode in MODES]).astype(np.complex64))
        state = np.concatenate([[1.0, 0.0, 0.0, 0.0, 0.0], row[1:]])
        omegas.append(float(model().dynamics_sur.get_omega(0, row[0], state)))
        if i < with_eob:
            eob.append(eob_modes_at(row[0], row[1:4], row[4:], omegas[-1], -4500.0).astype(np.complex64))
            log.info("%d of %d", i + 1, with_eob)
    chunks.write(
        out,
        {
            "parameters": parameters,
            "omega": np.array(omegas),
            "times": TIMES,
            "modes": np.stack(nr),
            "eob": np.array(eob, dtype=np.complex64).reshape(len(eob), len(MODES), len(TIMES)),
        },
    )
