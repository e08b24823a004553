"""The surrogate and its baseline against lalsimulation: coefficients, signs, rotation, meaning of the angles, amplitude."""

from __future__ import annotations

import lal
import lalsimulation
import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar

import gwsurrogate_ml as gw
from gwsurrogate_ml.conventions import C_SI, MPC_SI, MTSUN_SI
from gwsurrogate_ml.surrogate import baseline


def test_constants_are_lals() -> None:
    assert MTSUN_SI == lal.MTSUN_SI
    assert C_SI == lal.C_SI
    assert pytest.approx(lal.PC_SI * 1e6, rel=1e-15) == MPC_SI


@pytest.mark.parametrize(("m1", "chi1", "chi2"), [(0.5, 0, 0), (0.6, 0.7, -0.3), (0.9, -0.8, 0.9), (0.75, 0.2, 0.9)])
def test_phasing_coefficients_are_lals(m1: float, chi1: float, chi2: float) -> None:
    series = lalsimulation.SimInspiralTaylorF2AlignedPhasing(m1, 1 - m1, chi1, chi2, None)
    theirs, logs = np.array(series.v)[:8] / series.v[0], np.array(series.vlogv)[:8] / series.v[0]
    ours, log5, log6 = baseline.phasing_coefficients(m1 * (1 - m1), m1, chi1, chi2)
    np.testing.assert_allclose(np.array(ours), theirs, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose([log5, log6], logs[5:7], rtol=1e-10)


def test_baseline_is_lals_taylor_t3_without_spins() -> None:
    m1, m2, fs = 30.0, 20.0, 4096.0
    total = (m1 + m2) * MTSUN_SI
    plus, _ = lalsimulation.SimInspiralTaylorT3PNGenerator(
        0.0, 0.0, 1 / fs, m1 * lal.MSUN_SI, m2 * lal.MSUN_SI, 15.0, 0.0, 1e6 * lal.PC_SI, 0.0, 0.0, 0.0, 0, 0, 7
    )
    h = plus.data.data
    zero = np.flatnonzero(np.diff(np.signbit(h)))
    t = (float(plus.epoch) + (zero + h[zero] / (h[zero] - h[zero + 1])) / fs) / total
    early = t < -2000
    eta = m1 * m2 / (m1 + m2) ** 2
    expected = np.pi * np.arange(early.sum())  # successive zeros of a cosine are pi apart

    def misfit(shift: float) -> float:
        # LAL's epoch is where its integration ended, not the coalescence of the series: the shift between them is free.
        return float(np.std(baseline.phase(t[early] + shift, eta, m1 / (m1 + m2), 0.0, 0.0) - expected))

    best = minimize_scalar(misfit, bracket=(-100.0, 100.0))
    assert abs(best.x) < 200
    assert best.fun < 0.02  # of 250 rad


CASES = [(36.0, 29.0, 0.3, -0.1, 0.4, 1.2), (60.0, 12.0, -0.3, 0.5, 2.2, 0.3), (45.0, 40.0, 0.0, 0.0, 1.4, 2.9)]


@pytest.mark.parametrize("case", CASES)
def test_polarizations_agree_with_lal_in_sign_rotation_phase_and_amplitude(case: tuple[float, ...]) -> None:
    m1, m2, chi1, chi2, theta_jn, phase = case
    distance, fs = 410.0, 8192.0
    total = (m1 + m2) * MTSUN_SI
    sur = gw.load_surrogate("nr22")
    near = np.linspace(-3, 3, 61)
    omega = np.polynomial.Polynomial.fit(near, sur(m1 / m2, chi1, chi2, times=near).phase((2, 2)), 5).deriv()(0.0)
    ours = sur.polarizations(
        mass_1=m1,
        mass_2=m2,
        chi_1=chi1,
        chi_2=chi2,
        luminosity_distance=distance,
        theta_jn=theta_jn,
        phase=phase,
        f_min=20.0,
        sampling_frequency=fs,
    )
    # phiRef means the orbital phase where the (2,2) frequency is f_ref: at the peak that is our reference moment.
    theirs = lalsimulation.SimInspiralChooseTDWaveform(
        m1 * lal.MSUN_SI,
        m2 * lal.MSUN_SI,
        *(0.0, 0.0, chi1, 0.0, 0.0, chi2),
        *(distance * 1e6 * lal.PC_SI, theta_jn, phase, 0.0, 0.0, 0.0),
        *(1 / fs, 18.0, omega / (2 * np.pi * total), None, lalsimulation.IMRPhenomT),
    )
    t = np.arange(-0.1, 0.01, 1 / fs)
    lal_times = float(theirs[0].epoch) + np.arange(theirs[0].data.length) / fs
    series = [CubicSpline(s.times.value, s.value)(t) for s in ours]
    for a, b in zip(series, theirs, strict=True):
        b = CubicSpline(lal_times, b.data.data)(t)
        cosine = np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
        assert cosine > 0.995  # same sign, same phase: no alignment of any kind was done
        assert np.linalg.norm(a) / np.linalg.norm(b) == pytest.approx(1, abs=0.01)
    ours_complex = series[0] - 1j * series[1]
    assert (np.mean(np.diff(np.unwrap(np.angle(ours_complex)))) < 0) == (theta_jn < np.pi / 2)


@pytest.mark.parametrize(("m1", "m2", "chi1", "chi2"), [(45.0, 15.0, 0.0, 0.0), (60.0, 12.0, -0.3, 0.5)])
def test_higher_modes_agree_with_lals_in_sign_phase_and_amplitude(
    m1: float, m2: float, chi1: float, chi2: float
) -> None:
    sur = gw.load_surrogate("nrhm")
    distance, fs, f_ref = 410.0, 4096.0, 25.0
    total = (m1 + m2) * MTSUN_SI
    binary = {"mass_1": m1, "mass_2": m2, "chi_1": chi1, "chi_2": chi2}
    found = lalsimulation.SimInspiralChooseTDModes(
        0.0,
        1 / fs,
        m1 * lal.MSUN_SI,
        m2 * lal.MSUN_SI,
        *(0.0, 0.0, chi1, 0.0, 0.0, chi2),
        *(20.0, f_ref, distance * 1e6 * lal.PC_SI, None, 5, lalsimulation.IMRPhenomTHM),
    )
    theirs = {}
    while found:
        series = found.mode
        theirs[found.l, found.m] = (
            float(series.epoch) + np.arange(series.data.length) / fs,
            series.data.data / (total / (distance * MPC_SI / C_SI)),
        )
        found = found.next
    peak = theirs[2, 2][0][np.argmax(np.abs(theirs[2, 2][1]))]
    t = np.array([-2000.0, -1000.0, -500.0])
    ours = sur(m1 / m2, chi1, chi2, times=t)
    turn = sur.orbital_phase(**binary, frequency=f_ref)
    compared = [key for key in sur.modes if key in theirs]
    assert compared == [(2, 2), (2, 1), (3, 3), (4, 4), (5, 5)]
    for l, m in compared:
        times, h = theirs[l, m]
        expected = CubicSpline(times, h)(peak + t * total)
        ratio = ours[l, m] * np.exp(1j * m * turn) / expected
        # a time shift of the peak moves all phases by m omega / 2
        assert np.max(np.abs(np.angle(ratio))) < 0.08 * m, (l, m)
        assert np.max(np.abs(np.abs(ratio) - 1)) < 0.04, (l, m)


@pytest.mark.parametrize(("theta_jn", "phase"), [(1.2, 0.4), (2.3, 3.9)])
def test_polarizations_with_higher_modes_agree_with_lals(theta_jn: float, phase: float) -> None:
    sur = gw.load_surrogate("nrhm")
    m1, m2, fs, f_ref = 45.0, 15.0, 4096.0, 25.0
    binary = {
        "mass_1": m1,
        "mass_2": m2,
        "chi_1": 0.0,
        "chi_2": 0.0,
        "luminosity_distance": 410.0,
        "theta_jn": theta_jn,
    }
    ours = sur.polarizations(**binary, phase=phase, f_ref=f_ref, f_min=20.0, sampling_frequency=fs)
    without = gw.load_surrogate("nr22").polarizations(
        **binary, phase=phase, f_ref=f_ref, f_min=20.0, sampling_frequency=fs
    )
    theirs = lalsimulation.SimInspiralChooseTDWaveform(
        m1 * lal.MSUN_SI,
        m2 * lal.MSUN_SI,
        *(0.0,) * 6,
        *(410e6 * lal.PC_SI, theta_jn, phase, 0.0, 0.0, 0.0),
        *(1 / fs, 20.0, f_ref, None, lalsimulation.IMRPhenomTHM),
    )
    t = np.arange(-0.4, -0.02, 1 / fs)
    for a, plain, b in zip(ours, without, theirs, strict=True):
        x = CubicSpline(float(b.epoch) + np.arange(b.data.length) / fs, b.data.data)(t)
        y, z = (CubicSpline(s.times.value, s.value)(t) for s in (a, plain))
        cosine, bare = (np.dot(x, v) / np.linalg.norm(x) / np.linalg.norm(v) for v in (y, z))
        assert cosine > 0.99  # no alignment of any kind was done
        assert 1 - cosine < 0.3 * (1 - bare)
        assert np.linalg.norm(y) / np.linalg.norm(x) == pytest.approx(1, abs=0.05)
