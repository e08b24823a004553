"""The shipped surrogate keeps its promises: symmetry, agreement of its paths, domain guard, alignment."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.arguments import at_least
from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DomainError, DomainWarning
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.waveform.model import Grid

BINARY = {"mass_1": 36.0, "mass_2": 29.0, "chi_1": 0.0, "chi_2": 0.0}
GRID = {"f_min": 20.0, "sampling_frequency": 4096.0}
SEEN = BINARY | GRID | {"luminosity_distance": 100.0, "theta_jn": 1.0, "phase": 0.0}


@pytest.fixture(scope="module")
def sur() -> gw.Surrogate:
    return gw.load_surrogate("nr22")


def test_exchanging_equal_masses_changes_nothing(sur: gw.Surrogate) -> None:
    t = np.linspace(-15_000, 100, 4000)
    for chi1, chi2 in ((0.6, -0.4), (0.05, 0.8), (-0.9, 0.9)):
        one, two = sur(q=1, chi1=chi1, chi2=chi2, times=t), sur(q=1, chi1=chi2, chi2=chi1, times=t)
        assert np.max(np.abs(one[2, 2] - two[2, 2])) < 1e-12


@pytest.mark.parametrize("gradient", [True, False])
def test_torch_batch_equals_the_numpy_path_with_and_without_gradient(sur: gw.Surrogate, gradient: bool) -> None:
    t = np.linspace(sur.t_min, sur.t_max, 3001)
    parameters = np.array([[1.0, 0.0, 0.0], [1.5, 0.3, -0.1], [7.9, -0.85, 0.7], [9.5, 0.8, 0.8]])
    batch = sur.batch(torch.tensor(parameters, requires_grad=gradient), torch.tensor(t)).detach().numpy()
    for row, h in zip(parameters, batch, strict=True):
        assert np.max(np.abs(sur(*row, times=t)[2, 2] - h[0])) < 1e-10


def test_times_may_differ_between_the_binaries_of_a_batch(sur: gw.Surrogate) -> None:
    parameters = torch.tensor([[1.2, 0.1, 0.2], [4.0, 0.1, 0.2]], dtype=torch.float64)
    times = torch.tensor([[-100.0, 0.0], [-50.0, 20.0]], dtype=torch.float64)
    both = sur.batch(parameters, times)
    for i in range(2):
        torch.testing.assert_close(both[i], sur.batch(parameters[i : i + 1], times[i])[0])


def test_gradients_in_parameters_and_times_are_exact(sur: gw.Surrogate) -> None:
    parameters = torch.tensor([[2.3, 0.31, -0.42]], dtype=torch.float64, requires_grad=True)
    times = torch.tensor([-812.3, -33.3, 14.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p, t: torch.view_as_real(sur.batch(p, t)), (parameters, times), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("row", [(1.0, 0.0, 0.0), (2.0, 0.6, -0.6), (8.0, -0.8, 0.5), (5.0, 0.85, 0.85)])
def test_the_peak_lies_at_zero(sur: gw.Surrogate, row: tuple[float, float, float]) -> None:
    t = np.arange(-3, 3, 0.001)
    amplitude = np.abs(sur(*row, times=t)[2, 2])
    assert abs(t[np.argmax(amplitude)]) < 0.03  # observed 0.020 where the peak is flat: cubic between knots 1 M apart


def test_phase_is_zero_at_the_peak_and_grows(sur: gw.Surrogate) -> None:
    modes = sur(q=3, chi1=0.4, chi2=0.2)
    phase = modes.phase((2, 2))
    assert abs(np.angle(modes[2, 2][np.flatnonzero(modes.t == 0.0)[0]])) < 1e-12
    assert np.all(np.diff(phase[modes.t < 60]) > 0)


def test_early_inspiral_chirps_as_post_newtonian_theory_says(sur: gw.Surrogate) -> None:
    # TaylorT4 to 3.5PN (Buonanno et al. 2009, eq. 3.6), a rearrangement of the series that the baseline does not use.
    times = np.linspace(-20_000, -19_000, 4001)
    fit = np.polynomial.Polynomial.fit(times, sur(q=1.3, chi1=0, chi2=0, times=times).phase((2, 2)) / 2, 3)
    eta = 1.3 / 2.3**2
    omega, rate = fit.deriv(1)(-19_500.0), fit.deriv(2)(-19_500.0)
    v, pi = omega ** (1 / 3), np.pi
    series = 1 - (743 / 336 + 11 / 4 * eta) * v**2 + 4 * pi * v**3
    series += (34103 / 18144 + 13661 / 2016 * eta + 59 / 18 * eta**2) * v**4 - (4159 / 672 + 189 / 8 * eta) * pi * v**5
    third = 16447322263 / 139708800 - 1712 / 105 * np.euler_gamma - 56198689 / 217728 * eta + 541 / 896 * eta**2
    third += -5605 / 2592 * eta**3 + pi**2 / 48 * (256 + 451 * eta) - 856 / 105 * np.log(16 * v**2)
    series += third * v**6 + (-4415 / 4032 + 358675 / 6048 * eta + 91495 / 1512 * eta**2) * pi * v**7
    assert rate / (96 / 5 * eta * v**11) == pytest.approx(series, rel=2e-3)


def test_frequency_domain_is_the_transform_of_the_polarization(sur: gw.Surrogate) -> None:
    m1, m2, chi1, chi2 = 40.0, 25.0, 0.3, -0.2
    h = sur.frequency_domain(m1, m2, chi1, chi2, duration=4.0, sampling_frequency=2048.0, f_min=20.0)[0]
    hp, _ = sur.polarizations(
        mass_1=m1,
        mass_2=m2,
        chi_1=chi1,
        chi_2=chi2,
        luminosity_distance=1.0,
        theta_jn=0.0,
        phase=0.0,
        f_min=12.0,
        sampling_frequency=2048.0,
    )
    x = np.zeros(8192)
    window = 0.5 - 0.5 * np.cos(np.pi * np.clip(np.arange(len(hp)) / 300, 0, 1))
    x[np.round(hp.times.value * 2048).astype(int)] = hp.value * window
    other = np.fft.rfft(x) / 2048
    f = np.fft.rfftfreq(8192, 1 / 2048)
    band = (f >= 25) & (f <= 400)
    error = np.linalg.norm((h - other)[band]) / np.linalg.norm(h[band])
    assert error < 2e-3  # two different tapers at the start leave this much at 25 Hz


def test_soft_margin_warns_and_hard_limit_raises(sur: gw.Surrogate) -> None:
    with pytest.warns(DomainWarning, match="chi1 is outside the trained range"):
        sur(q=2, chi1=0.92, chi2=0.0, times=np.array([0.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sur(q=2, chi1=0.9, chi2=-0.9, times=np.array([0.0]))
    for arguments, name in (((12.0, 0.0, 0.0), "q"), ((2.0, 1.2, 0.0), "chi1"), ((2.0, 0.0, -0.99), "chi2")):
        with pytest.raises(DomainError, match=name):
            sur(*arguments)


def test_wrong_mass_ratio_says_which_to_use(sur: gw.Surrogate) -> None:
    with pytest.raises(DomainError, match="m1/m2 >= 1"):
        sur(q=0.5, chi1=0, chi2=0)
    with pytest.raises(ConfigError, match="pass q = m1/m2"):
        sur(q=1, chi1=0, chi2=0, mass_ratio=0.5)
    with pytest.raises(DomainError, match="heavier"):
        sur.frequency_domain(20.0, 30.0, 0.0, 0.0, duration=4, sampling_frequency=2048, f_min=20)
    with pytest.raises(DomainError, match="mass_1 = 26 < mass_2 = 39: give the heavier body first, and swap the spins"):
        sur.polarizations(mass_1=26.0, mass_2=39.0, chi_1=0.1, chi_2=0.0, **PLACE)


PLACE = {"luminosity_distance": 400.0, "theta_jn": 0.3, "phase": 0.1, "f_min": 20.0, "sampling_frequency": 4096.0}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda sur: sur(q=2, chi1=[0.3, 0, 0.1], chi2=0.1), r"chi1 is \[0.3, 0, 0.1\], three components: nr.*'nrphm'"),
        (lambda sur: sur(q=2, chi1=0.1, chi2=np.zeros(3)), "chi2 is .*three components.*'nrphm'"),
        (lambda sur: sur(q=2, chi1=0.1, chi2=0.1, t_ref=-100.0), "t_ref.*leave it out, or take load_surrogate.'nrphm'"),
        (lambda sur: sur(q=2, chi1=0.1, chi2=0.1, f_ref=20.0), "f_ref.*leave it out"),
        (lambda sur: sur(q=2, chi_1=0.1, chi_2=0.1), "this call takes q, chi1, chi2, times; give chi1 in place of chi_1"),
        (lambda sur: sur(2, 0.1), "'chi2': this call takes q, chi1, chi2, times"),
        (lambda sur: sur.error_estimate(q=2, a_1=0.1), "nrphm"),
        (lambda sur: sur.polarizations(mass_1=39, mass_2=26, a_1=0.6, tilt_1=1.0, **PLACE), "chi_1 and chi_2 .*'nrphm'"),
        (lambda sur: sur.polarizations(mass1=39, mass2=26, chi_1=0, chi_2=0, **PLACE), "give mass_1 in place of mass1"),
        (lambda sur: sur.polarizations(q=1.5, chi1=0, chi2=0, **PLACE), "give mass_1 and mass_2 in place of q"),
        (lambda sur: sur.strain(mass_1=39, mass_2=26, chi_1=0, chi_2=0, distance=400), "luminosity_distance in place of dist"),
    ],
)
def test_names_of_other_calls_are_told_the_right_ones(sur: gw.Surrogate, call: Callable, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        call(sur)


def test_a_type_error_inside_a_call_stays_what_it_is(sur: gw.Surrogate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sur, "mode_model", None)
    with pytest.raises(TypeError, match="NoneType"):
        sur(2.0, 0.0, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_a_number_is_refused(sur: gw.Surrogate, bad: float) -> None:
    for arguments in ((bad, 0.0, 0.0), (2.0, bad, 0.0), (2.0, 0.0, bad)):
        with pytest.raises(DomainError):
            sur(*arguments)
    with pytest.raises(ConfigError):
        sur(2.0, 0.0, 0.0, times=np.array([bad]))
    with pytest.raises(ConfigError, match="shape"):
        sur.batch(torch.zeros(3, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    with pytest.raises(DomainError, match="this model covers"):
        sur(2.0, 0.0, 0.0, times=np.array([-1e6]))


def test_too_light_a_binary_is_told_the_smallest_mass(sur: gw.Surrogate) -> None:
    smallest = sur.smallest_total_mass(1.0, 0.0, 0.0, 20.0)
    assert smallest < 11
    keywords = {
        "chi_1": 0.0,
        "chi_2": 0.0,
        "luminosity_distance": 100.0,
        "theta_jn": 0.0,
        "phase": 0.0,
        "f_min": 20.0,
        "sampling_frequency": 4096.0,
    }
    with pytest.raises(DomainError, match=f"{at_least(smallest)} solar masses"):
        sur.polarizations(mass_1=smallest * 0.45, mass_2=smallest * 0.45, **keywords)
    hp, _ = sur.polarizations(mass_1=smallest * 0.5001, mass_2=smallest * 0.5001, **keywords)
    assert np.all(np.isfinite(hp.value))


def test_a_segment_shorter_than_the_signal_is_refused(sur: gw.Surrogate) -> None:
    with pytest.raises(DomainError, match="too short"):
        sur.frequency_domain(20.0, 18.0, 0.0, 0.0, duration=1.0, sampling_frequency=2048, f_min=20)


def test_there_is_always_a_cycle_for_the_taper_or_an_error(sur: gw.Surrogate) -> None:
    for q, chi in ((1.0, -0.9), (1.0, 0.9), (10.0, 0.0)):
        m = 1.0001 * sur.smallest_total_mass(q, chi, chi, 20.0)
        binary = {"mass_1": m * q / (1 + q), "mass_2": m / (1 + q), "chi_1": chi, "chi_2": chi, "f_min": 20.0}
        angles = {"luminosity_distance": 100.0, "theta_jn": 0.0, "phase": 0.0}
        bare, _, _ = sur.strain(**binary, **angles, sampling_frequency=8192.0)
        start, plus, _ = sur.strain(**binary, **angles, sampling_frequency=8192.0, taper=True)
        assert start < bare - 1 / 20.0
        assert abs(plus[:4]).max() < 1e-3 * abs(plus).max()
    m1, m2, start = 20.0, 18.0, sur.time_before_peak(mass_1=20.0, mass_2=18.0, chi_1=0.0, chi_2=0.0, f_min=20.0)
    with pytest.raises(DomainError, match="a cycle more"):
        sur.frequency_domain(m1, m2, 0.0, 0.0, duration=round(start + 0.05, 3), sampling_frequency=4000.0, f_min=20.0)


def test_sampling_too_slow_for_the_ringdown_is_refused(sur: gw.Surrogate) -> None:
    keywords = {"chi_1": 0.0, "chi_2": 0.0, "luminosity_distance": 1.0, "theta_jn": 0.0, "phase": 0.0, "f_min": 20.0}
    with pytest.raises(ConfigError, match="would be aliased; sample at 5"):
        sur.polarizations(mass_1=36, mass_2=29, sampling_frequency=64.0, **keywords)
    assert len(sur.polarizations(mass_1=36, mass_2=29, sampling_frequency=1024.0, **keywords)[0]) > 500


def test_bounds_that_errors_name_are_not_refused_in_turn() -> None:
    sur = gw.load_surrogate()
    place = {"chi_1": 0.0, "chi_2": 0.0, "luminosity_distance": 100.0, "theta_jn": 1.0, "phase": 0.0, "f_min": 20.0}

    def strain(q: float, total: float, rate: float) -> None:
        sur.strain(mass_1=total * q / (1 + q), mass_2=total / (1 + q), **place, sampling_frequency=rate)

    for q in np.random.default_rng(0).uniform(1, 8, 12):
        with pytest.raises(ConfigError, match="sample at") as slow:
            strain(q, 40.0, 300.0)
        strain(q, 40.0, float(re.findall(r"sample at ([\d.]+) Hz", str(slow.value))[0]))
        with pytest.raises(DomainError, match="smallest total mass") as light:
            strain(q, 6.0, 32768.0)
        strain(q, float(re.findall(r"is ([\d.]+) solar masses", str(light.value))[0]), 32768.0)


def test_unknown_mode_is_named(sur: gw.Surrogate) -> None:
    with pytest.raises(ConfigError, match=r"\(3, 3\)"):
        sur(q=1, chi1=0, chi2=0, times=np.array([0.0]))[3, 3]


def test_the_soft_margin_warns_once() -> None:
    sur = gw.load_surrogate()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for chi1 in (0.91, 0.915, 0.92):
            sur(1.5, chi1, 0.0, times=np.zeros(1))
    assert len(caught) == 1


@pytest.mark.parametrize("name", ["nr22", "nrhm"])
def test_low_rates_are_refused_in_time_and_lose_only_what_lies_above_the_band_in_frequency(name: str) -> None:
    sur = gw.load_surrogate(name)
    mass = {"mass_1": 52.0, "mass_2": 13.0, "chi_1": 0.0, "chi_2": 0.0}
    angles = {"luminosity_distance": 410.0, "theta_jn": 1.3, "phase": 0.0}
    with pytest.raises(ConfigError, match=r"sampling_frequency is 460 Hz.*aliased"):
        sur.polarizations(**mass, **angles, f_min=20.0, sampling_frequency=460.0)
    if name == "nrhm":  # (5,5) reaches two and a half times as high as (2,2)
        with pytest.raises(ConfigError, match="l = 5"):
            sur.polarizations(**mass, **angles, f_min=20.0, sampling_frequency=1024.0)
    keywords = {"f_min": 20.0, "duration": 4.0}
    for call in (
        lambda rate: sur.frequency_domain(**mass, **keywords, sampling_frequency=rate)[0],
        lambda rate: sur.frequency_domain_polarizations(**mass, **angles, **keywords, sampling_frequency=rate)[0],
    ):
        low, high = call(256.0), call(4096.0)
        assert len(low) == 513
        band = slice(80, 512)
        assert np.max(np.abs(low - high[:513])[band]) < 2e-3 * np.max(np.abs(high))


@pytest.mark.parametrize("duration", [-4.0, 0.0, np.nan, np.inf, "4", 3.00017])
def test_segments_without_a_whole_number_of_samples_are_refused(duration: object) -> None:
    with pytest.raises(ConfigError, match="duration"):
        gw.load_surrogate().frequency_domain(36.0, 29.0, 0.0, 0.0, f_min=20.0, sampling_frequency=2048.0, duration=duration)


def test_calls_for_one_binary_refuse_arrays() -> None:
    with pytest.raises(ConfigError, match="one binary"):
        gw.load_surrogate().time_before_peak(mass_1=[36.0, 40.0], mass_2=29.0, chi_1=0.0, chi_2=0.0, f_min=20.0)
    with pytest.raises(ConfigError, match="f_min"):
        gw.load_surrogate().smallest_total_mass(1.0, 0.0, 0.0, f_min=-20.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card, t: card.update(degree=3), "degree"),
        (lambda card, t: card["modes"].pop(), "modes"),
        (lambda card, t: t.pop("knots"), "knots"),
        (lambda card, t: t["stage1.basis"].fill(np.nan), "stage1.basis"),
    ],
)
def test_a_card_that_does_not_fit_its_weights_is_refused(change: Callable, message: str) -> None:
    card, tensors = artifacts.load("nrhm", "surrogate")
    tensors = {key: np.array(value) for key, value in tensors.items()}
    change(card, tensors)
    with pytest.raises(ArtifactError, match=message):
        Surrogate(card, tensors)


def test_forward_derivatives_are_those_of_differences() -> None:
    sur = gw.load_surrogate()
    t = torch.tensor([-200.0, 5.0], dtype=torch.float64)
    x, v = torch.tensor([[2.0, 0.1, -0.2]], dtype=torch.float64), torch.tensor([[1.0, 0.5, 0.2]], dtype=torch.float64)
    with torch.autograd.forward_ad.dual_level():
        dual = sur.batch(torch.autograd.forward_ad.make_dual(x, v), t)
        tangent = torch.autograd.forward_ad.unpack_dual(dual).tangent
    h = 1e-5
    difference = (sur.batch(x + h * v, t) - sur.batch(x - h * v, t)) / (2 * h)
    assert tangent is not None
    assert torch.max(torch.abs(tangent - difference)) < 1e-7 * torch.max(torch.abs(difference))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda sur: sur([1.0, 2.0], 0.0, 0.0), "q is"),
        (lambda sur: sur("two", 0.0, 0.0), "q is"),
        (lambda sur: sur(2.0, "x", 0.0), "chi1 is 'x'"),
        (lambda sur: sur(2.0, 0.0, None), "chi2 is None"),
        (lambda sur: sur(2.0, 0.0, 0.0, times=["early"]), "times"),
        (lambda sur: sur(2.0, 0.0, 0.0)["22"], "no mode"),
        (lambda sur: sur(2.0, 0.0, 0.0)[2], "no mode"),
        (lambda sur: sur.batch(np.zeros((2, 3)), torch.zeros(4)), "parameters is a ndarray"),
        (lambda sur: sur.batch(torch.ones(2, 3), [0.0, 1.0]), "times is a list"),
        (lambda sur: sur.error_estimate([1.0, 2.0], 0.0, 0.0), "q is"),
        (lambda sur: sur.smallest_total_mass(2.0, 0.0, 0.0, f_min="low"), "f_min"),
        (lambda sur: sur.strain(**SEEN | {"theta_jn": np.array([0.1, 0.2])}), "theta_jn"),
        (lambda sur: sur.strain(**SEEN | {"phase": np.array([0.1, 0.2])}), "phase"),
        (lambda sur: sur.strain(**SEEN | {"phase": "1"}, f_ref=30.0), "phase is '1'"),
        (lambda sur: sur.strain(**SEEN | {"phase": None}, f_ref=30.0), "phase is None"),
        (lambda sur: sur.frequency_domain_polarizations(**SEEN | {"theta_jn": [0.1]}, duration=4.0), "theta_jn"),
        (lambda sur: sur.frequency_domain_orders(**BINARY, **GRID, theta_jn=[0.1], duration=4.0), "theta_jn"),
        (lambda sur: sur.frequency_domain([[36.0]], [[29.0]], 0.0, 0.0, **GRID, duration=4.0), r"shape \(1, 1\)"),
        (lambda sur: sur.batch(torch.ones(2, 3), torch.zeros(4), t_ref=-100.0), "t_ref"),
    ],
)
def test_what_is_no_number_is_refused_by_name(sur: gw.Surrogate, call: Callable, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call(sur)


@pytest.mark.parametrize("name", ["nr22", "nrhm", "nrphm", "lal:IMRPhenomXAS"])
@pytest.mark.parametrize("place", [(0.4, 1.2, -400.0), (0.4, 1.2, 0.0), (0.4, 1.2, np.nan), (np.nan, 1.2, 400.0)])
def test_transforms_refuse_places_that_no_binary_has(name: str, place: tuple[float, ...]) -> None:
    binary, grid = Binaries.aligned(36.0, 29.0, 0.0, 0.0), Grid(4.0, 512.0, 25.0)
    with pytest.raises(ConfigError, match=r"luminosity_distance|theta_jn"):
        load_model(name).transforms(binary, grid, *(np.array([x]) for x in place))


@pytest.mark.parametrize("gradient", [True, False])
def test_no_binaries_give_no_modes(gradient: bool) -> None:
    none = torch.zeros(0, 3, dtype=torch.float64, requires_grad=gradient)
    assert gw.load_surrogate().batch(none, torch.linspace(-100, 0, 5, dtype=torch.float64)).shape == (0, 7, 5)
