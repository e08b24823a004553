"""Physical limits of the shipped waveform models: symmetry, post-Newtonian, test mass, energy balance, ringdown.

References are independent of the training data (SEOBNRv5HM, SXS): lalsimulation's Taylor approximants, IMRPhenomT and IMRPhenomTHM,
black-hole perturbation theory, pykerr's quasi-normal modes, and the remnant model, which is trained on catalogues' tables alone.
Each tolerance stands beside the largest deviation observed.
"""

from __future__ import annotations

import lal
import lalsimulation
import numpy as np
import pykerr
import pytest
import sympy
import torch
from numpy.polynomial import Polynomial
from scipy.interpolate import CubicSpline

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import MTSUN_SI, ModeKey
from gwsurrogate_ml.strain.spectrum import load_psd
from gwsurrogate_ml.surrogate.aligned import baseline
from gwsurrogate_ml.surrogate.model import Surrogate

MODELS = [name for name in ("nr22", "nrhm") if name in artifacts.available()]
Binary = tuple[float, float, float]
TOTAL = 60.0  # solar masses, for the codes that want some
UNIT = TOTAL * MTSUN_SI


@pytest.fixture(scope="module", params=MODELS)
def sur(request: pytest.FixtureRequest) -> Surrogate:
    return gw.load_surrogate(request.param)


# ---------------------------------------------------------------------------------------------------------- symmetries


def observed(sur: Surrogate, chi_1: float, chi_2: float, theta_jn: float, phase: float) -> np.ndarray:
    """h_plus and h_cross (2, n) of two equal masses."""
    pair = sur.polarizations(
        mass_1=40.0,
        mass_2=40.0,
        chi_1=chi_1,
        chi_2=chi_2,
        luminosity_distance=400.0,
        theta_jn=theta_jn,
        phase=phase,
        f_min=20.0,
        sampling_frequency=4096.0,
    )
    return np.array([series.value for series in pair])


def test_exchange_of_equal_masses_is_half_a_turn_of_the_orbit(sur: Surrogate) -> None:
    one, two = observed(sur, 0.6, -0.3, 1.1, 0.4), observed(sur, -0.3, 0.6, 1.1, 0.4 + np.pi)
    assert np.max(np.abs(one - two)) < 1e-12 * np.max(np.abs(one))


def test_equal_bodies_look_the_same_after_half_a_turn(sur: Surrogate) -> None:
    one, two = observed(sur, 0.35, 0.35, 1.1, 0.4), observed(sur, 0.35, 0.35, 1.1, 0.4 + np.pi)
    assert np.max(np.abs(one - two)) < 1e-12 * np.max(np.abs(one))
    modes = sur(q=1, chi1=0.35, chi2=0.35)
    assert all(np.max(modes.amplitude((l, m))) < 1e-12 for l, m in sur.modes if m % 2)


def test_exchange_holds_in_the_differentiable_path(sur: Surrogate) -> None:
    parameters = torch.tensor([[1.0, 0.6, -0.3], [1.0, -0.3, 0.6]], dtype=torch.float64, requires_grad=True)
    h = sur.batch(parameters, torch.linspace(-15_000, 90, 800, dtype=torch.float64)).detach().numpy()
    sign = np.array([(-1) ** m for _, m in sur.modes])[:, None]
    assert np.max(np.abs(h[0] - sign * h[1])) < 1e-12


def test_reflection_at_the_orbital_plane_turns_the_cross_polarization(sur: Surrogate) -> None:
    above, below = observed(sur, 0.6, -0.3, 0.8, 0.4), observed(sur, 0.6, -0.3, np.pi - 0.8, 0.4)
    assert np.max(np.abs(above - below * np.array([[1.0], [-1.0]]))) < 1e-12 * np.max(np.abs(above))


def test_time_is_zero_at_the_maximum_of_all_modes_together(sur: Surrogate) -> None:
    q, chi1, chi2 = np.random.default_rng(5).uniform([1, -0.9, -0.9], [10, 0.9, 0.9], (40, 3)).T
    # Where the heavy body spins fast the maximum is flat and far from that of (2,2).
    cases = [*zip(q, chi1, chi2, strict=True), (9.605, 0.855, -0.496), (9.419, 0.859, 0.621), (6.43, 0.872, 0.885)]
    t = np.arange(-20.0, 20.0, 0.02)
    times = torch.as_tensor(t)
    batch = sur.batch(torch.tensor(np.array(cases), requires_grad=True), times).detach().numpy()
    for binary, h in zip(cases, batch, strict=True):
        modes = sur(*binary, times=t)
        total = sum(modes.amplitude(key) ** 2 for key in modes)
        near = np.abs(t) < 1
        at = int(np.argmax(total * near))
        assert abs(t[at]) < 0.05, binary
        assert 0.998 * total.max() <= total[at], binary  # a flat top may have two maxima
        assert max(np.max(np.abs(modes[key] - h[k])) for k, key in enumerate(modes)) < 1e-9


# ------------------------------------------------------------------------------------------------- post-Newtonian limit

BINARIES: list[Binary] = [
    (1, 0, 0),
    (3, 0, 0),
    (10, 0, 0),
    (1, 0.5, 0.5),
    (3, -0.5, 0.2),
    (8, 0.6, -0.4),
    (2, -0.8, -0.8),
]


def peer_phase(approximant: int, binary: Binary, omega: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time in M, phase of (2,2) and its frequency of one of LAL's time-domain models from the frequency `omega` (rad / M)."""
    q, chi1, chi2 = binary
    options = lal.CreateDict()
    lalsimulation.SimInspiralWaveformParamsInsertPNAmplitudeOrder(options, 0)
    plus, cross = lalsimulation.SimInspiralChooseTDWaveform(
        *(TOTAL * q / (1 + q) * lal.MSUN_SI, TOTAL / (1 + q) * lal.MSUN_SI),
        *(0.0, 0.0, chi1, 0.0, 0.0, chi2),
        *(1e6 * lal.PC_SI, 0.0, 0.0, 0.0, 0.0, 0.0, 4 * UNIT, omega / (2 * np.pi * UNIT), 0.0, options, approximant),
    )
    t = 4.0 * np.arange(plus.data.length)
    phase = -np.unwrap(np.angle(plus.data.data - 1j * cross.data.data))
    phase *= np.sign(phase[-1] - phase[0])
    return t, phase, CubicSpline(t, phase).derivative()(t)


def between(omega: np.ndarray, phase: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Phase gained from one frequency of `ends` to the next; needs no alignment of any kind."""
    rising = slice(20, 20 + int(np.argmax(np.append(np.diff(omega[20:]), -1) < 0)))
    return np.diff(CubicSpline(omega[rising], phase[rising])(ends))


Inspirals = dict[Binary, tuple[np.ndarray, np.ndarray, float]]


@pytest.fixture(scope="module")
def inspirals(sur: Surrogate) -> Inspirals:
    """Frequencies of (2,2) at -21,400, -14,000, -7000 and -3000 M, the phase gained between them, and the frequency before."""
    out = {}
    t = np.arange(-21_900.0, -2_500.0, 4.0)
    for binary in BINARIES:
        phase = sur(*binary, times=t).phase((2, 2))
        omega = CubicSpline(t, phase).derivative()(t)
        ends = np.interp([-21_400, -14_000, -7_000, -3_000], t, omega)
        out[binary] = ends, between(omega, phase, ends), float(omega[0])
    return out


@pytest.mark.peer
def test_inspiral_is_that_of_phenom_t(inspirals: Inspirals) -> None:
    for binary, (ends, ours, first) in inspirals.items():
        _, phase, omega = peer_phase(lalsimulation.IMRPhenomT, binary, 0.95 * first)
        np.testing.assert_allclose(ours / between(omega, phase, ends), 1, atol=3e-3)  # observed: 2.2e-3


@pytest.mark.peer
def test_inspiral_tends_to_the_post_newtonian_one(inspirals: Inspirals) -> None:
    errors = []
    for binary, (ends, ours, first) in inspirals.items():
        rows = []
        for approximant in (lalsimulation.SpinTaylorT4, lalsimulation.SpinTaylorT1, lalsimulation.SpinTaylorT5):
            _, phase, omega = peer_phase(approximant, binary, 0.95 * first)
            rows.append(ours / between(omega, phase, ends) - 1)
        errors.append(rows)
    size = np.abs(np.array(errors))  # (binaries, approximants, stretches)
    # The approximants differ from one another as much as from the model, the more the later.
    assert np.all(size.min(1)[:, 0] < 4e-3)  # observed: 2.5e-3
    assert np.all(size[:, :, 0] < 1e-2)  # 6.1e-3
    typical = np.median(size.reshape(-1, 3), axis=0)
    assert typical[0] < 0.8 * typical[1] < 0.8 * 0.8 * typical[2]  # 1.6e-3, 2.5e-3, 4.3e-3


@pytest.mark.peer
@pytest.mark.parametrize("q", [1.0, 1.5, 4.0, 10.0])
def test_early_amplitude_is_the_third_post_newtonian_one(sur: Surrogate, q: float) -> None:
    t = np.arange(-21_500.0, -4_900.0, 4.0)
    modes = sur(q=q, chi1=0, chi2=0, times=t)
    v = np.cbrt(CubicSpline(t, modes.phase((2, 2))).derivative()(t) / 2)
    series = []
    for values in (v, modes.phase((2, 2)) / 2):
        one = lal.CreateREAL8TimeSeries("", lal.LIGOTimeGPS(0), 0.0, 1.0, lal.DimensionlessUnit, len(t))
        one.data.data = values
        series.append(one)
    masses = (lal.MSUN_SI * q / (1 + q), lal.MSUN_SI / (1 + q))
    theirs = lalsimulation.CreateSimInspiralPNModeCOMPLEX16TimeSeriesLALConvention(*series, *masses, lal.MRSUN_SI, -1, 2, 2)
    error = modes.amplitude((2, 2)) / np.abs(theirs.data.data) - 1
    assert np.max(np.abs(error[t < -10_000])) < 1e-3  # observed: 5e-4; it grows as v^7 and more
    assert np.max(np.abs(error)) < 3e-3


def test_early_amplitudes_of_the_higher_modes_are_those_of_phenom_thm(sur: Surrogate) -> None:
    if len(sur.modes) == 1:
        pytest.skip(f"{sur.info['name']} has the (2,2) mode alone")
    t = np.arange(-21_500.0, -2_900.0, 4.0)
    for q, chi1, chi2 in [(1.5, 0, 0), (4, 0, 0), (10, 0, 0), (2, 0.5, -0.3), (6, -0.5, 0.6)]:
        modes = sur(q, chi1, chi2, times=t)
        omega = CubicSpline(t, modes.phase((2, 2))).derivative()(t)
        theirs = phenom_thm(q, chi1, chi2, 0.95 * omega[0])
        rise = CubicSpline(4.0 * np.arange(len(theirs[2, 2])), -np.unwrap(np.angle(theirs[2, 2]))).derivative()
        w = rise(4.0 * np.arange(len(theirs[2, 2])))
        rising = slice(20, 20 + int(np.argmax(np.diff(w[20:]) < 0)))
        for mode, tolerance in HIGHER_TOLERANCE.items():
            ratio = modes.amplitude(mode) / np.interp(omega, w[rising], np.abs(theirs[mode])[rising])
            assert np.max(np.abs(ratio[5:-5] - 1)) < tolerance, (mode, q, chi1, chi2)


HIGHER_TOLERANCE = {(2, 1): 0.03, (3, 3): 0.01, (4, 4): 0.015, (5, 5): 0.04}  # observed: 0.018, 0.004, 0.007, 0.020


def phenom_thm(q: float, chi1: float, chi2: float, omega: float) -> dict[ModeKey, np.ndarray]:
    """Modes r h / M of IMRPhenomTHM every 4 M from the (2,2) frequency `omega` (rad / M)."""
    f = omega / (2 * np.pi * UNIT)
    chain = lalsimulation.SimInspiralChooseTDModes(
        *(0.0, 4 * UNIT, TOTAL * q / (1 + q) * lal.MSUN_SI, TOTAL / (1 + q) * lal.MSUN_SI),
        *(0.0, 0.0, chi1, 0.0, 0.0, chi2, f, f, 1e6 * lal.PC_SI, None, 5, lalsimulation.IMRPhenomTHM),
    )
    out = {}
    while chain:
        out[chain.l, chain.m] = chain.mode.data.data * (1e6 * lal.PC_SI / (lal.C_SI * UNIT))
        chain = chain.next
    return out


# ----------------------------------------------------------------------------------------------------- test-mass limit


@pytest.mark.slow
def test_baseline_tends_to_a_test_mass_around_a_kerr_hole() -> None:
    """dt/dv = -E'(v) / F(v) with the exact energy of circular equatorial orbits and the flux of perturbation theory.

    Flux to infinity: Poisson 1993, Tagoshi & Sasaki 1994; with spin Tagoshi, Shibata, Tanaka & Sasaki 1996, gr-qc/9603028.
    """
    v, chi, log_v = sympy.symbols("v chi log_v")
    pi, gamma = sympy.pi, sympy.EulerGamma
    r = sympy.Rational
    flux = (
        1
        - r(1247, 336) * v**2
        + (4 * pi - r(11, 4) * chi) * v**3
        + (-r(44711, 9072) + r(33, 16) * chi**2) * v**4
        + (-r(8191, 672) * pi - r(59, 16) * chi) * v**5
        + (
            r(6643739519, 69854400)
            + r(16, 3) * pi**2
            - r(1712, 105) * (gamma + 2 * sympy.log(2) + log_v)
            - r(65, 6) * pi * chi
            + r(611, 504) * chi**2
        )
        * v**6
        + (-r(16285, 504) * pi + r(162035, 3888) * chi + r(65, 8) * pi * chi**2 - r(71, 24) * chi**3) * v**7
    )
    u = v * (1 - chi * v**3) ** r(-1, 3)  # sqrt(M / r), from Omega = u^3 / (1 + chi u^3) = v^3
    x = sympy.Symbol("x")
    energy = sympy.series((1 - 2 * x**2 + chi * x**3) / sympy.sqrt(1 - 3 * x**2 + 2 * chi * x**3), x, 0, 10).removeO()
    energy = sympy.series(sympy.expand(energy.subs(x, sympy.series(u, v, 0, 11).removeO())), v, 0, 10).removeO()
    slope = sympy.expand(-sympy.diff(energy, v) / v)  # 1 + ...
    rest, inverse = flux - 1, 1
    for _ in range(3):
        inverse = truncated(1 - rest * inverse, v)
    expected = sympy.Poly(truncated(slope * inverse, v), v)
    for spin in (0.0, 0.02, -0.02):
        p, log5, log6 = baseline.phasing_coefficients(0.0, 1.0, spin, 0.9)
        log = [0, 0, 0, 0, 0, log5, log6, 0]
        for k in range(2, 8):
            theirs = expected.coeff_monomial(v**k)
            wanted = float(theirs.subs({log_v: 0, chi: spin}))
            # t = d psi / d(2 pi f) with psi = 3 / (128 eta) v^-5 sum (p_k + log_k log v) v^k
            ours = ((k - 8) * ((k - 5) * p[k] + log[k]) + (k - 5) * log[k]) / 40
            # LAL's series and ours lack the terms quadratic in the spin at 3.5PN
            assert ours == pytest.approx(wanted, rel=1e-10, abs=1e-10 if k < 7 else 100 * spin**2)
            assert (k - 8) * (k - 5) * log[k] / 40 == pytest.approx(float(sympy.diff(theirs, log_v)), abs=1e-10)


def truncated(expression: sympy.Expr, v: sympy.Symbol) -> sympy.Expr:
    """`expression` without powers of `v` above the seventh."""
    poly = sympy.Poly(sympy.expand(expression), v)
    return sum(c * v**k for (k,), c in poly.terms() if k <= 7)


def test_merger_tends_to_that_of_a_test_mass(sur: Surrogate) -> None:
    """|h22| / eta and the frequency of (2,2) at its peak, continued to eta = 0: Bernuzzi & Nagar 2010, arXiv:1003.0597."""
    q = np.linspace(3, 10, 8)
    eta = q / (1 + q) ** 2
    t = np.arange(-30.0, 40.0, 0.05)
    amplitude, omega = np.empty_like(q), np.empty_like(q)
    for i, ratio in enumerate(q):
        modes = sur(q=ratio, chi1=0, chi2=0, times=t)
        at = int(np.argmax(modes.amplitude((2, 2))))
        amplitude[i] = modes.amplitude((2, 2))[at] / eta[i]
        omega[i] = np.gradient(modes.phase((2, 2)), t)[at]
    limit = [Polynomial.fit(eta, values, 2)(0.0) for values in (amplitude, omega)]
    # 24^(1/2) 0.2959 for RWZ-normalised perturbations; observed: 1.3 % below, and 2.9 % above in frequency
    assert limit[0] == pytest.approx(np.sqrt(24) * 0.2959, rel=0.03)
    assert limit[1] == pytest.approx(0.2733, rel=0.05)
    assert abs(amplitude[-1] / 1.4496 - 1) < 0.6 * abs(amplitude[0] / 1.4496 - 1)  # q = 10 is nearer to it than q = 3


# ------------------------------------------------------------------------------------------------------ energy balance


def binding_energy(v: float, q: float, chi1: float, chi2: float) -> float:
    """-E / M of circular orbits with aligned spins to 3PN (spin-orbit to 1.5PN, spin-spin 2PN): Blanchet 2014, arXiv:1310.1528."""
    m1, m2 = q / (1 + q), 1 / (1 + q)
    eta = m1 * m2
    series = 1 - (9 + eta) / 12 * v**2 + (-27 / 8 + 19 / 8 * eta - eta**2 / 24) * v**4
    series += (-675 / 64 + (34445 / 576 - 205 / 96 * np.pi**2) * eta - 155 / 96 * eta**2 - 35 / 5184 * eta**3) * v**6
    for m, chi in ((m1, chi1), (m2, chi2)):
        series += (8 / 3 * m + 2 * (1 - m)) * m * chi * v**3 - (m * chi) ** 2 * v**4
    return eta * v**2 / 2 * (series - 2 * eta * chi1 * chi2 * v**4)


def radiated(sur: Surrogate, binary: Binary) -> float:
    """Energy over M that the model radiates, with what was radiated before it begins."""
    total = 0.0
    for t in (np.arange(-21_900.0, -300.0, 1.0), np.arange(-300.0, 124.0, 0.1)):
        modes = sur(*binary, times=t)
        if total == 0.0:
            omega = float(CubicSpline(t[:50], modes.phase((2, 2))[:50]).derivative()(t[0]))
            total = binding_energy(np.cbrt(omega / 2), *binary)
        # negative m radiate as much as positive
        total += sum(np.trapezoid(np.abs(CubicSpline(t, modes[key]).derivative()(t)) ** 2, t) / (8 * np.pi) for key in modes)
    return total


@pytest.mark.parametrize(
    "binary",
    [(1, 0, 0), (1, 0.8, 0.8), (1, -0.8, -0.8), (2, 0.3, 0.7), (4, 0, 0), (8, -0.6, 0.3), (8, 0.7, 0.5), (10, 0, 0)],
)
def test_radiated_energy_is_the_mass_that_the_remnant_lacks(sur: Surrogate, binary: Binary) -> None:
    q, chi1, chi2 = (float(x) for x in binary)
    ratio = radiated(sur, (q, chi1, chi2)) / (1 - gw.load_remnant()(q, chi1, chi2).mass)
    if len(sur.modes) > 1:
        assert 0.97 < ratio < 1.003  # observed: 0.976 to 1.000; modes with l > 5 and m < l - 1 are missing
    elif q == 1:
        assert 0.98 < ratio < 1  # observed: 0.985 to 0.990
    else:
        assert 0.79 < ratio < 1  # the higher modes' share grows with q: up to a fifth at q = 8 and positive spins


# ------------------------------------------------------------------------------------------------------------ ringdown


@pytest.mark.parametrize(
    "binary",
    [(1, 0, 0), (1, 0.8, 0.8), (1.5, -0.7, -0.7), (2, 0, 0), (4, 0.6, 0), (8, -0.6, 0.3), (8, 0.7, 0.5), (10, 0, 0)],
)
def test_ringdown_is_the_remnants_quasi_normal_mode(sur: Surrogate, binary: Binary) -> None:
    q, chi1, chi2 = (float(x) for x in binary)
    remnant = gw.load_remnant()(q, chi1, chi2)
    # (3,2) and (4,3) hold much of the spheroidal (2,2) and (3,3): no single frequency. Modes that vanish have none.
    for l, m in [key for key in RINGDOWN if key in sur.modes]:
        if m % 2 and q == 1:
            continue
        t = np.arange(*LATE[(l, m) == (2, 2)], 0.5)
        modes = sur(q, chi1, chi2, times=t)
        omega = Polynomial.fit(t, modes.phase((l, m)), 1).convert().coef[1]
        rate = -Polynomial.fit(t, np.log(modes.amplitude((l, m))), 1).convert().coef[1]
        # for a hole of one solar mass
        expected = 2 * np.pi * pykerr.qnmfreq(1.0, remnant.spin_z, l, m, 0) * MTSUN_SI / remnant.mass
        damping = MTSUN_SI / pykerr.qnmtau(1.0, remnant.spin_z, l, m, 0) / remnant.mass
        assert omega == pytest.approx(expected, rel=RINGDOWN[l, m][0]), (l, m)
        assert rate == pytest.approx(damping, rel=RINGDOWN[l, m][1]), (l, m)


LATE = ((40.0, 60.0), (60.0, 90.0))  # M after the peak, for the higher modes (later they are too faint) and for (2,2)
RINGDOWN = {
    (2, 2): (0.002, 0.002),  # relative, of frequency and damping; observed: 0.0011, 0.0009
    (2, 1): (0.008, 0.015),
    (3, 3): (0.008, 0.02),
    (4, 4): (0.01, 0.03),
    (5, 5): (0.01, 0.05),
}


@pytest.mark.parametrize(("mass_1", "mass_2", "duration"), [(24.0, 6.0, 64.0), (30.0, 8.0, 32.0), (14.0, 10.0, 32.0)])
def test_higher_modes_of_light_binaries_are_there_from_the_lower_end_on(mass_1: float, mass_2: float, duration: float) -> None:
    """They pass 20 Hz when (2,2) is at 2 / m of it: where that is in the early inspiral they began a second late, up to 3e-3 of the
    power, seen from the side."""
    model = gw.load_surrogate("nrhm")
    binary = {"mass_1": mass_1, "mass_2": mass_2, "chi_1": 0.2, "chi_2": -0.1, "theta_jn": 1.4}
    grid = {"sampling_frequency": 1024.0, "duration": duration}
    orders, ours = model.frequency_domain_orders(**binary, f_min=20.0, **grid)
    _, whole = model.frequency_domain_orders(**binary, f_min=12.0, **grid)
    f = np.arange(ours.shape[-1]) / duration
    weight = np.where(f >= 21.0, 1 / np.interp(f, *load_psd("aLIGO"), left=np.inf, right=np.inf), 0.0)
    for m, a, b in zip(orders, ours, whole, strict=True):
        missing = np.sum(weight * np.abs(a - b) ** 2) / np.sum(weight * np.abs(b) ** 2)
        assert missing < 2e-4, m
