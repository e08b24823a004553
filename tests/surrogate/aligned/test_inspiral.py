"""The early inspiral: how far it reaches, how it is joined, that it is SEOBNRv5HM's and post-Newtonian, alike on all paths.

inspiral.npz holds values of SEOBNRv5HM (pyseobnr 0.3.7, `generate_modes_opt`, dynamics integrated without approximation), three
light binaries that no training saw, every third time before 15,000 M before the peak:
python -m data_prep inspiral-truth --out TRUTH.npz --n 3 --seed 12
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DomainError
from gwsurrogate_ml.surrogate.aligned.higher import in_lal_frame
from gwsurrogate_ml.surrogate.aligned.inspiral import PADS, Inspiral
from gwsurrogate_ml.surrogate.domain import EOB_MODES
from gwsurrogate_ml.surrogate.inspiral import InspiralConfig, train_inspiral
from gwsurrogate_ml.surrogate.load import load_aligned
from gwsurrogate_ml.surrogate.model import Surrogate

ROWS = np.array([[1.0, 0.0, 0.0], [1.7, 0.4, -0.3], [4.0, -0.8, 0.5], [8.0, 0.85, 0.85]])
PLACE = {"luminosity_distance": 100.0, "theta_jn": 0.7, "phase": 0.4}


@pytest.fixture(scope="module")
def sur() -> Surrogate:
    return load_aligned("nrhm")


@pytest.fixture(scope="module")
def without() -> Surrogate:
    return Surrogate(*artifacts.load("nrhm", "surrogate"))


def masses(chirp_mass: float, q: float) -> dict[str, float]:
    total = chirp_mass * (q / (1 + q) ** 2) ** -0.6
    return {"mass_1": total * q / (1 + q), "mass_2": total / (1 + q)}


@pytest.mark.parametrize("q", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("chi", [-0.9, 0.0, 0.9])
def test_20_hz_are_reached_from_chirp_mass_5_on(sur: Surrogate, q: float, chi: float) -> None:
    assert sur.smallest_total_mass(q, chi, chi, 20.0) * (q / (1 + q) ** 2) ** 0.6 < 4.9
    binary = masses(5.0, q) | {"chi_1": chi, "chi_2": chi}
    length = sur.time_before_peak(**binary, f_min=20.0)
    # The leading order, of which the rest is a few per cent.
    total = binary["mass_1"] + binary["mass_2"]
    newtonian = 5 / 256 * (5.0 * MTSUN_SI) ** (-5 / 3) * (np.pi * 20.0) ** (-8 / 3)
    assert length == pytest.approx(newtonian, rel=0.15)
    assert length < -sur.t_min * total * MTSUN_SI
    start, plus, _ = sur.strain(**binary, **PLACE, f_min=20.0, sampling_frequency=16384.0, taper=True)
    assert -start == pytest.approx(length + 0.4 / 0.9, abs=1e-3)
    assert np.isfinite(plus).all()


def test_it_ends_where_it_says(sur: Surrogate, without: Surrogate) -> None:
    assert sur.t_min < -319_000 < sur.t_join == without.t_min == without.t_join < -21_990
    assert sur.knots[0] == without.knots[0]
    for model in (sur, without):
        assert np.isfinite(model(2.0, 0.3, 0.1, times=[model.t_min])[2, 2]).all()
        with pytest.raises(DomainError, match="this model covers"):
            model(2.0, 0.3, 0.1, times=[model.t_min - 1.0])
    with pytest.raises(DomainError, match="smallest total mass"):
        sur.time_before_peak(**masses(4.0, 1.0), chi_1=0.0, chi_2=0.0, f_min=20.0)


def test_from_the_join_on_nothing_changes(sur: Surrogate, without: Surrogate) -> None:
    t = np.linspace(sur.t_join, sur.t_max, 2001)
    for row in ROWS:
        late, both = without(*row, times=t), sur(*row, times=np.append(-100_000.0, t))
        for mode in sur.modes:
            np.testing.assert_array_equal(both[mode][1:], late[mode])
    heavy = {"mass_1": 36.0, "mass_2": 29.0, "chi_1": 0.3, "chi_2": -0.1}
    grid = {"duration": 4.0, "sampling_frequency": 2048.0, "f_min": 20.0}  # in longer ones m = 5 is there before the join
    one, two = (model.frequency_domain_polarizations(**heavy, **PLACE, **grid) for model in (sur, without))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("row", ROWS.tolist())
def test_the_join_is_not_seen(sur: Surrogate, row: list[float]) -> None:
    """Amplitudes, frequency and its rate pass the join as they pass other knots."""
    t = np.arange(-26_000.0, -18_000.0, 4.0)
    modes = sur(*row, times=t)
    frequency = np.gradient(modes.phase((2, 2)), t)
    rate = np.gradient(frequency, t)[2:-2]
    smooth = np.polynomial.Polynomial.fit(t[2:-2], rate, 3)(t[2:-2])
    assert np.max(np.abs(rate / smooth - 1)) < 0.012  # 0.008 seen: the spline is cubic
    for mode in sur.modes:
        amplitude = modes.amplitude(mode)
        fit = np.polynomial.Polynomial.fit(t, amplitude, 3)(t)
        assert np.max(np.abs(amplitude - fit)) < 5e-5 * np.max(modes.amplitude((2, 2)))


def test_beyond_the_join_both_say_the_same(without: Surrogate) -> None:
    """The early inspiral's last times are the model's own first knots, which it never uses: two trainings agree there."""
    model = without.mode_model
    inspiral = Inspiral(*artifacts.load("inspiral", "inspiral"), model.modes)
    phase, log_amplitude, _ = inspiral.rows(ROWS, inspiral.tensors, np)
    k = model.at_knots(ROWS)
    assert np.max(np.abs(phase[:, inspiral.n_early :] - (k.phase - k.phase[:, :1])[:, : PADS + 1])) < 2e-3
    assert np.max(np.abs(np.exp(log_amplitude[:, inspiral.n_early :]) / k.amplitude[:, : PADS + 1] - 1)) < 1e-4


def test_it_is_seobnrv5hm(sur: Surrogate) -> None:
    with np.load(Path(__file__).parent / "inspiral.npz") as file:
        truth = dict(file)
    for i, (_, q, chi1, chi2) in enumerate(truth["parameters"]):
        there = np.isfinite(truth["amp22"][i])
        t, amplitude, phase = truth["times"][there], truth["amp22"][i][there], truth["phase22"][i][there]
        modes = sur(q, chi1, chi2, times=t)
        # The angle between two times would need thousands of samples: the model's own phase at the times.
        ours = -np.angle(modes[2, 2] * np.exp(1j * phase))
        frequency = np.gradient(phase, t)
        # The peaks of the two differ by a time and an angle.
        design = np.column_stack([np.ones_like(t), frequency])
        error = np.unwrap(ours)
        error = error - design @ np.linalg.lstsq(design, error, rcond=None)[0]
        assert np.max(np.abs(error)) < 0.02
        assert np.max(np.abs(np.abs(modes[2, 2]) / amplitude - 1)) < 2e-4
        framed = np.abs(truth["coorbital"][i][:, there] * in_lal_frame(EOB_MODES)[:, None])
        for mode, row in zip(EOB_MODES, framed, strict=True):
            assert np.max(np.abs(np.abs(modes[mode]) - row) / amplitude) < 5e-4


@pytest.mark.parametrize("t", [-250_000.0, -100_000.0])
def test_it_chirps_as_post_newtonian_theory_says(sur: Surrogate, t: float) -> None:
    # TaylorT4 to 3.5PN (Buonanno et al. 2009, eq. 3.6), a rearrangement of the series that the baseline does not use.
    times = t + np.linspace(-2000.0, 2000.0, 16_001)
    fit = np.polynomial.Polynomial.fit(times, sur(q=1.3, chi1=0, chi2=0, times=times).phase((2, 2)) / 2, 5)
    eta = 1.3 / 2.3**2
    omega, rate = fit.deriv(1)(t), fit.deriv(2)(t)
    v, pi = omega ** (1 / 3), np.pi
    series = 1 - (743 / 336 + 11 / 4 * eta) * v**2 + 4 * pi * v**3
    series += (34103 / 18144 + 13661 / 2016 * eta + 59 / 18 * eta**2) * v**4 - (4159 / 672 + 189 / 8 * eta) * pi * v**5
    third = 16447322263 / 139708800 - 1712 / 105 * np.euler_gamma - 56198689 / 217728 * eta + 541 / 896 * eta**2
    third += -5605 / 2592 * eta**3 + pi**2 / 48 * (256 + 451 * eta) - 856 / 105 * np.log(16 * v**2)
    series += third * v**6 + (-4415 / 4032 + 358675 / 6048 * eta + 91495 / 1512 * eta**2) * pi * v**7
    assert rate / (96 / 5 * eta * v**11) == pytest.approx(series, rel=2e-4)  # 8.5e-5 seen


@pytest.mark.parametrize("gradient", [True, False])
def test_torch_gives_the_same(sur: Surrogate, gradient: bool) -> None:
    t = np.linspace(sur.t_min, -15_000.0, 801)
    batch = sur.batch(torch.tensor(ROWS, requires_grad=gradient), torch.tensor(t)).detach().numpy()
    for row, h in zip(ROWS, batch, strict=True):
        modes = sur(*row, times=t)
        assert max(np.max(np.abs(modes[mode] - h[k])) for k, mode in enumerate(sur.modes)) < 1e-10


def test_gradients_are_exact() -> None:
    sur = gw.load_surrogate("nr22")
    parameters = torch.tensor([[2.3, 0.31, -0.42]], dtype=torch.float64, requires_grad=True)
    times = torch.tensor([-61_234.5, -22_010.0, -15_000.0], dtype=torch.float64, requires_grad=True)
    # The phase is a thousand radians, its derivatives are as large: relative errors.
    assert torch.autograd.gradcheck(
        lambda p, t: torch.view_as_real(sur.batch(p, t)), (parameters, times), eps=1e-7, atol=1e-4, rtol=1e-4
    )


def test_equal_bodies_have_no_odd_modes(sur: Surrogate) -> None:
    modes = sur(1.0, 0.4, 0.4, times=[-200_000.0, -50_000.0])
    assert all(np.max(modes.amplitude(mode)) < 1e-12 for mode in sur.modes if mode[1] % 2)
    one, two = sur(1.0, 0.5, -0.2, times=[-200_000.0]), sur(1.0, -0.2, 0.5, times=[-200_000.0])
    assert all(abs(one[l, m] - (-1) ** m * two[l, m])[0] < 1e-12 for l, m in sur.modes)


@pytest.mark.parametrize("name", ["nr22", "nrhm"])
def test_transforms_of_light_binaries_are_those_of_their_series(name: str) -> None:
    sur, rate, duration = load_aligned(name), 8192.0, 16.0
    binary = masses(6.0, 1.5) | {"chi_1": 0.2, "chi_2": 0.1}
    both = sur.frequency_domain_polarizations(**binary, **PLACE, duration=duration, sampling_frequency=rate, f_min=20.0)
    start, *series = sur.strain(**binary, **PLACE, f_min=20.0, sampling_frequency=rate, taper=True)
    n = round(duration * rate)
    f = np.arange(n // 2 + 1) / duration
    # The series begins when (2,2) passes 20 Hz, the transform when all modes do.
    inside = (f > 21 * max(m for _, m in sur.modes) / 2) & (f < 2000)
    for h, row in zip(both, series, strict=True):
        padded = np.zeros(n)
        padded[(np.arange(len(row)) + round(start * rate)) % n] = row
        other = np.fft.rfft(padded) / rate
        assert np.linalg.norm((h - other)[inside]) < 1e-3 * np.linalg.norm(h[inside])


def test_a_batch_may_hold_light_and_heavy_binaries(sur: Surrogate) -> None:
    grid = {"duration": 16.0, "sampling_frequency": 2048.0, "f_min": 20.0}
    mass_1, mass_2, spin = np.array([36.0, 7.5]), np.array([29.0, 6.0]), np.array([0.1, -0.2])
    both = sur.frequency_domain(mass_1, mass_2, spin, spin, **grid)
    for i in range(2):
        alone = sur.frequency_domain(mass_1[i], mass_2[i], spin[i], spin[i], **grid)[0]
        assert np.max(np.abs(both[i] - alone)) < 1e-9 * np.max(np.abs(alone))
    series = sur.batch_polarizations(
        mass_1=mass_1, mass_2=mass_2, chi_1=spin, chi_2=spin, **PLACE, start=-4.0, samples=32_800, sampling_frequency=8192.0
    )
    assert np.isfinite(series).all()
    assert (np.abs(series).max(axis=2) > 0).all()


def test_reference_frequencies_may_lie_early(sur: Surrogate) -> None:
    binary = masses(9.0, 1.4) | {"chi_1": 0.3, "chi_2": 0.0}
    phase = sur.orbital_phase(**binary, frequency=20.0)
    _, plus, _ = sur.strain(**binary, **PLACE, f_min=60.0, f_ref=20.0, sampling_frequency=8192.0)
    turned = PLACE | {"phase": PLACE["phase"] - phase}
    _, same, _ = sur.strain(**binary, **turned, f_min=60.0, sampling_frequency=8192.0)
    np.testing.assert_allclose(plus, same, atol=1e-9 * plus.max())
    with pytest.raises(ConfigError, match="f_ref"):
        sur.strain(**binary, **PLACE, f_min=60.0, f_ref=-1.0, sampling_frequency=8192.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card, t: card["modes"].remove([5, 5]), "lacks the mode"),
        (lambda card, t: card.update(degree=3), "degree"),
        (lambda card, t: t["knots"].__imul__(1.01), "joined at"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(change: Callable, words: str) -> None:
    card, tensors = artifacts.load("inspiral", "inspiral")
    tensors = {key: np.array(value) for key, value in tensors.items()}
    change(card, tensors)
    with pytest.raises(ArtifactError, match=words):
        Surrogate(*artifacts.load("nrhm", "surrogate"), (card, tensors))


def a_set(folder: Path, n: int) -> Path:
    """A training set of which the truth is the shipped early inspiral."""
    card, tensors = artifacts.load("inspiral", "inspiral")
    inspiral = Inspiral(card, tensors, ((2, 2), *EOB_MODES))
    rng = np.random.default_rng(5)
    parameters = np.column_stack([np.exp(rng.uniform(0, 1, n)), rng.uniform(-0.3, 0.3, (n, 2))])
    phase, log_amplitude, more = inspiral.rows(parameters, inspiral.tensors, np)
    folder.mkdir()
    np.save(folder / "times.npy", inspiral.knots)
    arrays: dict[str, Any] = {
        "parameters": parameters,
        "phase22": phase,
        "amp22": np.exp(log_amplitude),
        "coorbital": (more[:, :, 0] + 1j * more[:, :, 1]) / in_lal_frame(EOB_MODES)[:, None],
    }
    np.savez(folder / "chunk_00000.npz", **arrays)
    return folder


def test_training_finds_what_the_set_holds(tmp_path: Path) -> None:
    folder = a_set(tmp_path / "set", 120)
    out = train_inspiral(InspiralConfig(name="mine", data=folder, degree=3, n_basis=6, higher_basis=3), tmp_path / "mine")
    card, tensors = artifacts.load(out, "inspiral")
    assert card["metrics"]["validation"]["phase_rad"]["99"] < 0.05
    assert card["metrics"]["validation"]["33_over_22"]["99"] < 1e-3
    mine = Surrogate(*artifacts.load("nrhm", "surrogate"), (card, tensors))
    assert np.isfinite(mine(1.3, 0.1, 0.1, times=[-300_000.0])[2, 2]).all()
    with pytest.raises(ConfigError, match="polynomials of degree 6 need"):
        train_inspiral(InspiralConfig(name="mine", data=folder), tmp_path / "more")


def test_a_card_names_its_early_inspiral(tmp_path: Path) -> None:
    folder = tmp_path / "nr22"
    shutil.copytree(artifacts.SHIPPED / "nr22", folder)
    text = (folder / "card.json").read_text()
    (folder / "card.json").write_text(text.replace('"inspiral": "inspiral"', '"inspiral": "nothing"'))
    with pytest.raises(ArtifactError, match="nothing"):
        load_aligned(folder)
    (folder / "card.json").write_text(text.replace('"inspiral": "inspiral"', '"inspiral": null'))
    assert load_aligned(folder).t_min == load_aligned(folder).t_join
