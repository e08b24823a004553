"""Co-orbital modes: one frame and sign whatever the source's, against LAL's modes and post-Newtonian signs."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.eob import MODES
from data_prep.frames import coorbital
from data_prep.nr import canonical
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI

KEYS = MODES[1:]
TIMES = np.arange(-400.0, 60.0)
HAVE = [KEYS.index(key) for key in ((2, 1), (3, 3), (4, 4), (5, 5))]


def lal_modes(q, chi1, chi2):
    """IMRPhenomTHM, r h / M on steps of 0.5 M."""
    lal, lalsimulation = pytest.importorskip("lal"), pytest.importorskip("lalsimulation")
    second, total = MTSUN_SI * 60.0, 60.0 * lal.MSUN_SI
    node = lalsimulation.SimInspiralChooseTDModes(
        0.0, 0.5 * second, total * q / (1 + q), total / (1 + q), 0, 0, chi1, 0, 0, chi2, 0.009 / second, 0.009 / second,
        1e6 * lal.PC_SI, lal.CreateDict(), 5, lalsimulation.IMRPhenomTHM,
    )  # fmt: skip
    modes = {}
    while node is not None:
        modes[node.l, node.m] = node.mode.data.data / (second / MPC_SECONDS)
        node = node.next
    return 0.5 * np.arange(modes[2, 2].size), modes


def read(t, modes, masses, chi1, chi2):
    return canonical("x", "LAL", masses, (np.array([0, 0, chi1]), np.array([0, 0, chi2])), 0.0, t, modes)


@pytest.mark.parametrize(("q", "chi1", "chi2"), [(2.0, 0.3, -0.2), (1.2, 0.9, -0.2), (1.0, 0.5, -0.5), (4.0, -0.6, 0.4)])
def test_every_frame_and_sign_of_the_source_gives_the_same_modes_with_the_signs_of_theory(q, chi1, chi2):
    t, modes = lal_modes(q, chi1, chi2)
    expected, _ = coorbital(read(t, modes, (q, 1.0), chi1, chi2), TIMES, KEYS)
    inspiral = expected[:, TIMES < -200].mean(axis=1)
    delta, chi_a, chi_s = (q - 1) / (q + 1), (chi1 - chi2) / 2, (chi1 + chi2) / 2
    theory = {(2, 1): delta - 1.5 * 0.35 * (chi_a + delta * chi_s), (3, 3): delta, (4, 4): 1.0}
    for key, sign in theory.items():
        if sign != 0 and not (q == 1 and key == (3, 3)):
            assert inspiral[KEYS.index(key)].real * sign > 0
            assert abs(inspiral[KEYS.index(key)].imag) < 0.2 * abs(inspiral[KEYS.index(key)].real)
    angle = 1.1
    sources = {
        "turned about z": {(l, m): h * np.exp(1j * m * angle) for (l, m), h in modes.items()},
        "other polarizations": {key: -h for key, h in modes.items()},
        "other sign of i": {key: np.conj(h) for key, h in modes.items()},
    }
    for name, source in sources.items():
        found, _ = coorbital(read(t, source, (q, 1.0), chi1, chi2), TIMES, KEYS)
        np.testing.assert_allclose(found[HAVE], expected[HAVE], atol=1e-9, err_msg=name)
    if q == 1:
        return  # which body is the first is then a matter of labels
    swapped = {(l, m): (-1) ** m * h for (l, m), h in modes.items()}
    found, _ = coorbital(read(t, swapped, (1.0, q), chi2, chi1), TIMES, KEYS)
    np.testing.assert_allclose(found[HAVE], expected[HAVE], atol=1e-9)


def test_a_mode_the_run_lacks_is_not_a_number():
    t, modes = lal_modes(2.0, 0.0, 0.0)
    found, turned = coorbital(read(t, modes, (2.0, 1.0), 0.0, 0.0), TIMES, KEYS)
    assert np.all(np.isnan(found[KEYS.index((3, 2))]))
    assert np.all(np.isfinite(found[HAVE]))
    assert turned["polarizations"]  # LAL's sign is not that of the EOB set


def test_half_the_phase_of_h22_carries_each_mode():
    t, modes = lal_modes(3.0, 0.2, 0.1)
    run = read(t, modes, (3.0, 1.0), 0.2, 0.1)
    found, _ = coorbital(run, TIMES, KEYS)
    h22, h33 = run.h22_at(TIMES), np.abs(run.modes[3, 3])
    np.testing.assert_allclose(np.abs(found[KEYS.index((3, 3))]), np.interp(TIMES, run.t, h33), rtol=2e-3)
    phase22 = -np.unwrap(np.angle(h22))
    rebuilt = found[KEYS.index((3, 3))] * np.exp(-1.5j * phase22)
    original = np.interp(TIMES, run.t, run.modes[3, 3].real) + 1j * np.interp(TIMES, run.t, run.modes[3, 3].imag)
    overlap = np.vdot(rebuilt, original) / np.linalg.norm(rebuilt) / np.linalg.norm(original)
    assert abs(overlap) > 0.999  # one rotation of the frame brings them together
