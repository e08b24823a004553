"""The shipped precessing surrogate keeps its promises: truth, limits, symmetries, reference times, conventions, bad input."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.binaries import PRECESSING, Binaries
from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DomainError, DomainWarning
from gwsurrogate_ml.surrogate.load import load_aligned, load_model
from gwsurrogate_ml.surrogate.precessing import coorbital, uncertainty
from gwsurrogate_ml.surrogate.precessing.model import PrecessingSurrogate
from gwsurrogate_ml.waveform.lal import spins_in_orbit
from gwsurrogate_ml.waveform.model import Grid

Q, CHI_1, CHI_2 = 1.8, np.array([0.5, 0.2, 0.3]), np.array([-0.3, 0.4, -0.2])
BINARY = {
    "mass_1": 39.0, "mass_2": 26.0, "a_1": 0.6, "a_2": 0.4, "tilt_1": 1.0, "tilt_2": 0.7, "phi_12": 0.3, "phi_jl": 1.0,
    "luminosity_distance": 400.0, "theta_jn": 0.8, "phase": 1.0, "f_min": 20.0, "sampling_frequency": 4096.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def sur() -> PrecessingSurrogate:
    model = gw.load_surrogate("nrphm")
    assert isinstance(model, PrecessingSurrogate)
    return model


def binary_of(a_1: float = 0.7, a_2: float = 0.6) -> Binaries:
    return PRECESSING.binaries(np.array([[30.0, 0.6, a_1, a_2, 1.2, 1.5, 0.7, 0.4]]))


def test_it_gives_nrsur7dq2s_modes(sur) -> None:
    with np.load(Path(__file__).parent / "nrsur7dq2.npz") as file:
        truth = dict(file)
    for row, modes in zip(truth["parameters"], truth["modes"], strict=True):
        found = sur(row[0], row[1:4], row[4:], t_ref=-4499.999, times=truth["times"])
        ours = np.array([found[mode] for mode in coorbital.KNOWN])
        scale = np.sqrt((np.abs(modes) ** 2).sum(axis=0)).max()
        # The orbital phase is off by 0.025 rad at most for nine of ten binaries.
        assert np.sqrt((np.abs(ours - modes) ** 2).sum(axis=0)).max() < 0.08 * scale
        early = truth["times"] < -2000
        assert np.sqrt((np.abs(ours - modes)[:, early] ** 2).sum(axis=0)).max() < 0.02 * scale


def test_beyond_simulations_it_gives_seobnrv5phms_modes(sur) -> None:
    with np.load(Path(__file__).parent / "seobnrv5phm.npz") as file:
        truth = dict(file)
    for row, modes in zip(truth["parameters"], truth["modes"], strict=True):
        found = sur(row[0], row[1:4], row[4:], t_ref=-4499.999, times=truth["times"])
        ours = np.array([found[mode] for mode in coorbital.KNOWN])
        scale = np.sqrt((np.abs(modes) ** 2).sum(axis=0)).max()
        assert np.sqrt((np.abs(ours - modes) ** 2).sum(axis=0)).max() < 0.25 * scale
        early = truth["times"] < -1500
        assert np.sqrt((np.abs(ours - modes)[:, early] ** 2).sum(axis=0)).max() < 0.02 * scale


def test_mass_ratios_between_simulations_and_what_is_beyond_are_mixed(sur) -> None:
    tables = sur.mode_model.tables
    for q, (rates, pieces) in ((2.0, tables.near), (1.2, tables.near), (2.5, tables.beyond)):
        assert tables.at(q)[0] is rates
        assert tables.at(q)[1] == [(1.0, pieces)]
    assert [share for share, _ in tables.at(2.25)[1]] == pytest.approx([0.5, 0.5])
    middle = 0.5 * (tables.near[0].coefficients + tables.beyond[0].coefficients)
    np.testing.assert_allclose(tables.at(2.25)[0].coefficients, middle, atol=1e-15)
    t = np.linspace(-4000.0, 90.0, 500)
    for q in (2.0, 2.5):
        below, above = (sur(q + side * 1e-6, CHI_1, CHI_2, t_ref=-4000.0, times=t)[2, 2] for side in (-1, 1))
        np.testing.assert_allclose(above, below, atol=1e-4)


def test_the_error_estimate_is_of_what_the_model_learned_from(sur) -> None:
    near, beyond = (sur.error_estimate(q, [0.5, 0.0, 0.2], [0.0, 0.3, -0.1]) for q in (1.5, 4.0))
    for found in (near, beyond):
        assert 1e-7 < found.mismatch < found.mismatch_90 < 1e-2
    # Beyond simulations' mass ratios it is SEOBNRv5PHM's at once, though waveforms pass over to it.
    spins = np.array([[0.5, 0.0, 0.2], [0.0, 0.3, -0.1]])
    for q, name in ((2.0, "near"), (2.05, "between"), (2.6, "beyond")):
        expected = uncertainty.expected(sur.info["error"][name], q, *spins)
        assert (sur.error_estimate(q, *spins).mismatch, sur.error_estimate(q, *spins).mismatch_90) == expected
    with pytest.raises(DomainError, match="q = 7"):
        sur.error_estimate(7.0, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0])


def test_the_peak_of_the_sum_over_modes_is_at_zero(sur) -> None:
    t = np.arange(-20.0, 20.0, 0.05)
    rng, peaks = np.random.default_rng(0), []
    for _ in range(60):
        spins = rng.normal(size=(2, 3))
        spins *= 0.8 * rng.random((2, 1)) / np.linalg.norm(spins, axis=1)[:, None]
        modes = sur(rng.uniform(1, 6), *spins, t_ref=-1000.0, times=t)
        peaks.append(abs(t[np.argmax(sum(np.abs(modes[mode]) ** 2 for mode in modes))]))
    assert np.quantile(peaks, 0.9) < 0.8  # 0.45 of 4,000, the largest of these 2.6
    assert max(peaks) < 2.6


def test_the_factor_that_a_refused_reference_is_told_is_not_refused_in_turn(sur) -> None:
    for q in np.linspace(1.0, 5.0, 8):
        with pytest.raises(DomainError, match="choose one at least") as low:
            sur(q, CHI_1, CHI_2, omega_ref=1e-3, times=[0.0])
        factor = float(re.findall(r"at least ([\d.]+) times", str(low.value))[0])
        sur(q, CHI_1, CHI_2, omega_ref=1e-3 * factor, times=[0.0])


def test_masses_within_reach_are_those_of_the_spins_along_the_orbit(sur) -> None:
    vectors, q = np.array([[0.3, 0.2, 0.1], [0.1, 0.0, -0.4], [0.0, 0.5, 0.2]]), np.array([1.0, 2.0, 3.0])
    together = sur.total_mass_range(q, vectors[:, 2], vectors[::-1, 2], 20.0)
    np.testing.assert_array_equal(sur.total_mass_range(q, vectors, vectors[::-1], 20.0), together)
    for i in range(3):
        one = sur.total_mass_range(float(q[i]), vectors[i], vectors[2 - i].tolist(), 20.0)
        np.testing.assert_allclose(np.ravel(one), [side[i] for side in together], rtol=1e-12)


def test_aligned_spins_give_the_aligned_model(sur) -> None:
    t = np.linspace(-4000.0, 90.0, 2001)
    aligned = load_aligned("nrhm")(q=Q, chi1=0.4, chi2=-0.3, times=t)
    found = sur(Q, [0, 0, 0.4], [0, 0, -0.3], t_ref=-3000.0, times=t)
    phase = -0.5 * np.angle(aligned[2, 2] * np.conj(found[2, 2]))
    turn = phase[len(t) // 2]
    # From (2,2) the orbital phase is known up to pi: one sign for all odd modes together.
    worst = min(
        max(
            np.abs(found[l, m] * np.exp(-1j * (turn + half_turn) * m) - aligned[l, m]).max()
            for l, above in aligned
            for m in (above, -above)
        )
        for half_turn in (0.0, np.pi)
    )
    assert worst < 1e-4 * np.abs(aligned[2, 2]).max()


def test_bodies_of_equal_mass_may_be_exchanged(sur) -> None:
    t = np.linspace(-3000.0, 90.0, 500)
    one = sur(1.0, CHI_1, CHI_2, t_ref=-2000.0, times=t)
    turned = np.array([-1.0, -1.0, 1.0])
    other = sur(1.0, turned * CHI_2, turned * CHI_1, t_ref=-2000.0, times=t)
    for l, m in one:
        np.testing.assert_allclose(other[l, m], (-1) ** m * one[l, m], atol=2e-6)


def test_the_spins_of_any_time_describe_the_binary(sur) -> None:
    model = sur.mode_model
    first = model.evolve(Q, CHI_1, CHI_2, -4000.0, -4400.0)
    # So late the nodes are half an orbit apart: of forty isotropic binaries the median is off by 0.0065 rad there.
    for t_ref, off in ((-2500.0, 3e-3), (-600.0, 3e-3), (-120.0, 8e-3)):
        k = int(np.argmin(np.abs(first.nodes - t_ref)))
        state = first.states[k]
        c, s = np.cos(state[4]), np.sin(state[4])
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        again = model.evolve(Q, turn @ state[5:8], turn @ state[8:], float(first.nodes[k]), -4400.0)
        n = min(len(first.times), len(again.times))
        late = first.times[-n:] < 20.0
        change = np.abs(again.coorbital[-n:][late] - first.coorbital[-n:][late]).max()
        assert change < 2e-3 * np.abs(first.coorbital).max()
        phase = again.states[-n:, 4] - first.states[-n:, 4]
        assert np.ptp(phase[first.nodes[-n:] < 0]) < off


def test_modes_do_not_depend_on_the_other_times_asked_for(sur) -> None:
    alone = sur(Q, CHI_1, CHI_2, t_ref=-10.0, times=[-200.0])
    among = sur(Q, CHI_1, CHI_2, t_ref=-10.0, times=[-1000.0, -200.0, 3.0])
    for mode in alone:
        assert abs(alone[mode][0] - among[mode][1]) < 2e-6


@pytest.mark.parametrize("first", [-4300.0, -4450.0, -9000.0])
def test_modes_of_spins_near_the_axis_do_not_depend_on_earlier_times(sur, first: float) -> None:
    # The aligned model has a share, and the spins along the orbit change by 1e-3 until where simulations begin.
    binary, t = (1.2, [0.08, 0.04, 0.6], [0.1, -0.03, -0.5], -100.0), [-900.0, -20.0, 40.0]
    alone, among = sur(*binary, times=t), sur(*binary, times=[first, *t])
    assert np.abs(alone[2, 2] - among[2, 2][1:]).max() < 1e-8 * np.abs(alone[2, 2]).max()  # 1.6e-9 seen


def test_asymmetry_is_proportional_to_small_spins_in_the_plane(sur) -> None:
    ratios = []
    for p in (0.02, 0.1, 0.15):
        at = sur.mode_model.evolve(1.5, np.array([p, 0.0, 0.3]), np.array([0.0, 0.0, 0.1]), -50.0, -60.0)
        row = at.coorbital[int(np.argmin(np.abs(at.times + 50.0)))]
        plus, minus = (row[coorbital.MODES.index((2, m))] for m in (2, -2))
        ratios.append(abs(plus - np.conj(minus)) / p)
    assert np.ptp(ratios) < 0.15 * np.mean(ratios)


@pytest.mark.parametrize("how", ["omega_ref", "f_ref"])
def test_frequencies_and_times_are_references_alike(sur, how: str) -> None:
    t = np.linspace(-500.0, 50.0, 300)
    model, total = sur.mode_model, 65.0
    if how == "omega_ref":
        t_ref = model.reference(Q, CHI_1, CHI_2, omega_ref=0.02)
        found = sur(Q, CHI_1, CHI_2, omega_ref=0.02, times=t)
    else:
        t_ref = model.reference(Q, CHI_1, CHI_2, f_ref=25.0, total_mass=total)
        found = sur(Q, CHI_1, CHI_2, f_ref=25.0, total_mass=total, times=t)
    wanted = sur(Q, CHI_1, CHI_2, t_ref=t_ref, times=t)
    np.testing.assert_array_equal(found[2, 2], wanted[2, 2])
    at = model.evolve(Q, CHI_1, CHI_2, t_ref, t_ref)
    omega = 0.02 if how == "omega_ref" else np.pi * 25.0 * total * MTSUN_SI
    assert np.interp(t_ref, at.nodes, at.rates[:, 4]) == pytest.approx(omega, rel=0.02)


def test_early_inspiral_joins_what_is_known(sur) -> None:
    t = np.arange(-9000.0, -3000.0, 10.0)
    modes = sur(Q, CHI_1, CHI_2, t_ref=-5000.0, times=t)
    power = sum(np.abs(modes[mode]) ** 2 for mode in modes)
    assert np.all(np.abs(np.diff(power) / power[1:]) < 0.02)


def overlap(a: np.ndarray, b: np.ndarray, grid: Grid) -> tuple[float, float]:
    """Largest over time, of two pairs of polarizations; and its phase, flat noise from 30 to 400 Hz."""
    f = np.arange(grid.n_f) / grid.duration
    inside = (f > 30) & (f < 400)
    product = (np.conj(a) * b * inside).sum(axis=0)
    z = np.fft.ifft(np.concatenate([product, np.zeros(7 * len(f))])) * 8 * len(f)
    norm = np.sqrt((np.abs(a) ** 2 * inside).sum() * (np.abs(b) ** 2 * inside).sum())
    k = int(np.argmax(np.abs(z)))
    return float(np.abs(z[k]) / norm), float(np.angle(z[k]))


@pytest.mark.slow
def test_transforms_of_aligned_spins_are_nrhms(sur) -> None:
    grid, one = Grid(4.0, 1024.0, 20.0), np.ones(1)
    binaries = Binaries.aligned([46.0], [24.0], [0.3], [-0.2])
    ours = sur.transforms(binaries, grid, 1.2 * one, 0.4 * one, one)[0]
    best = max(
        overlap(load_aligned("nrhm").transforms(binaries, grid, 1.2 * one, phase * one, one)[0], ours, grid)[0]
        for phase in np.linspace(0, 2 * np.pi, 90)
    )
    assert best > 0.9995


@pytest.mark.peer
def test_signs_and_angles_are_those_of_imrphenomtphm(sur) -> None:
    import lal
    import lalsimulation

    rate = 2048.0
    for phase, theta_jn in ((0.3, 0.6), (2.0, 2.2), (4.5, 2.2)):
        binaries = binary_of()
        (iota,), (chi1,), (chi2,) = spins_in_orbit(binaries, np.array([theta_jn]), 20.0, phase)
        binary = {"mass_1": float(binaries.mass_1[0]), "mass_2": float(binaries.mass_2[0]), "spin_1": chi1, "spin_2": chi2}
        place = {"inclination": iota, "phase": phase, "luminosity_distance": 1.0}
        start, *ours = sur.strain(**binary, **place, f_min=20.0, sampling_frequency=rate)
        h, first = ours[0] - 1j * ours[1], round(start * rate)
        plus, cross = lalsimulation.SimInspiralChooseTDWaveform(
            float(binaries.mass_1[0]) * lal.MSUN_SI, float(binaries.mass_2[0]) * lal.MSUN_SI, *chi1, *chi2, 1e6 * lal.PC_SI,
            iota, phase, 0.0, 0.0, 0.0, 1 / rate, 20.0, 20.0, None, lalsimulation.IMRPhenomTPHM,
        )  # fmt: skip
        other = plus.data.data - 1j * cross.data.data
        n = round(4 * rate)
        both = []
        for series, start in ((h, first), (other, round(float(plus.epoch) * rate))):
            row = np.zeros(n, complex)
            row[(np.arange(len(series)) + start) % n] = series
            both.append(np.fft.fft(row))
        f = np.abs(np.fft.fftfreq(n, 1 / rate))
        inside = (f > 30) & (f < 400)
        z = np.fft.ifft(np.conj(both[0]) * both[1] * inside) * n
        norm = np.sqrt((np.abs(both[0][inside]) ** 2).sum() * (np.abs(both[1][inside]) ** 2).sum())
        k = int(np.argmax(np.abs(z)))
        # One wrong sign or angle gives an overlap far below, or a phase far from zero.
        assert np.abs(z[k]) / norm > 0.97
        assert abs(np.angle(z[k])) < 1.2
        assert np.linalg.norm(both[0][inside]) == pytest.approx(np.linalg.norm(both[1][inside]), rel=0.1)


def test_polarizations_are_the_modes_seen_from_the_observer(sur) -> None:
    plus, cross = sur.polarizations(**BINARY)
    total = BINARY["mass_1"] + BINARY["mass_2"]
    unit = total * MTSUN_SI
    binaries = PRECESSING.binaries(PRECESSING.theta({"chirp_mass": 1.0, "mass_ratio": 1.0} | BINARY))
    binaries = Binaries(np.array([39.0]), np.array([26.0]), binaries.spin_1, binaries.spin_2, binaries.phi_jl)
    (iota,), (chi1,), (chi2,) = spins_in_orbit(binaries, np.array([BINARY["theta_jn"]]), 20.0, BINARY["phase"])
    at = plus.times.value / unit
    inside = (at > -1500) & (at < 60)
    modes = sur(1.5, chi1, chi2, f_ref=20.0, total_mass=total, times=at[inside])
    import lal

    seen = sum(modes[l, m] * lal.SpinWeightedSphericalHarmonic(iota, np.pi / 2 - BINARY["phase"], -2, l, m) for l, m in modes) * (
        unit / (400.0 * 1e6 * lal.PC_SI / lal.C_SI)
    )
    found = (plus.value - 1j * cross.value)[inside]
    assert np.abs(found - seen).max() < 1e-3 * np.abs(seen).max()


@pytest.mark.slow
def test_it_is_a_waveform_model_like_others(sur) -> None:
    model = load_model("nrphm")
    assert model.space == PRECESSING
    again = pickle.loads(pickle.dumps(sur))
    grid, theta = Grid(4.0, 512.0, 25.0), np.array([0.4])
    place = (binary_of(), grid, theta, theta, np.ones(1))
    wanted = sur.transforms(*place)
    # Sums in single precision are rounded by where arrays lie in memory.
    np.testing.assert_allclose(again.transforms(*place), wanted, atol=1e-5 * np.abs(wanted).max())
    smallest, _ = sur.total_mass_range(1.5, 0.1, 0.1, 20.0)
    assert 10 < float(smallest) < 20
    assert sur.ringdown(65.0) == pytest.approx(100 * 65 * MTSUN_SI, rel=0.01)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"q": 6.4}, DomainError, ("q = 6.4", "[1, 6]")),
        ({"q": 0.8}, DomainError, ("q",)),
        ({"chi1": [0.9, 0.5, 0.0]}, DomainError, ("chi1", "0.9")),
        ({"chi1": 0.3}, ConfigError, ("chi1", "three components")),
        ({"chi2": [0.1, np.nan, 0.0]}, DomainError, ("chi2", "finite")),
        ({"chi2": "up"}, ConfigError, ("chi2", "three components")),
        ({"t_ref": None}, ConfigError, ("no reference", "t_ref", "f_ref")),
        ({"omega_ref": 0.02}, ConfigError, ("t_ref and omega_ref",)),
        ({"t_ref": -1e6}, DomainError, ("t_ref", "outside")),
        ({"t_ref": 10.0}, DomainError, ("t_ref", "outside")),
        ({"t_ref": None, "f_ref": 20.0}, ConfigError, ("total_mass",)),
        ({"t_ref": None, "f_ref": 20.0, "total_mass": "x"}, ConfigError, ("total_mass",)),
        ({"t_ref": None, "f_ref": 500.0, "total_mass": 65.0}, DomainError, ("f_ref = 500", "choose one at most 0.")),
        ({"t_ref": None, "omega_ref": 1e-4}, DomainError, ("omega_ref = 0.0001", "choose one at least ")),
        ({"t_ref": None, "omega_ref": 0.0}, ConfigError, ("omega_ref is 0.0", "positive")),
        ({"t_ref": None, "f_ref": -20.0, "total_mass": 65.0}, ConfigError, ("f_ref is -20.0", "positive")),
        ({"total_mass": 65.0}, ConfigError, ("total_mass belongs to f_ref", "t_ref")),
        ({"times": [0.0, 1e6]}, DomainError, ("times", "covers")),
        ({"times": [[0.0]]}, ConfigError, ("one-dimensional",)),
        ({"mass_ratio": 0.5}, ConfigError, ("mass_ratio", "q")),
        ({"a_1": 0.5}, ConfigError, ("a_1",)),
    ],
)
def test_bad_input_is_refused_with_the_way_on(sur, change: dict[str, Any], kind: type[Exception], words: tuple[str, ...]) -> None:
    with pytest.raises(kind) as caught:
        sur(**({"q": Q, "chi1": CHI_1, "chi2": CHI_2, "t_ref": -1000.0} | change))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("change", "kind", "word"),
    [
        ({"mass_1": 26.0, "mass_2": 39.0}, DomainError, "mass_1 = 26 < mass_2 = 39: give the heavier body first.*spins"),
        ({"tilt_1": 60.0}, DomainError, "tilt_1 is 60.*radians"),
        ({"tilt_2": -0.1}, DomainError, "tilt_2 is -0.1.*radians"),
        ({"chi_1": 0.3}, ConfigError, "a_1 and tilt_1 in place of chi_1"),
        ({"spin_1": [0.3, 0.0, 0.1]}, ConfigError, "unexpected keyword argument 'spin_1': this call takes mass_1.* tilt_1"),
        ({"a_1": -0.3}, DomainError, "a_1"),
        ({"tilt_1": None}, ConfigError, "tilt_1"),
        ({"f_min": 0.0}, ConfigError, "f_min"),
        ({"sampling_frequency": 256.0}, ConfigError, "sampling_frequency"),
        ({"luminosity_distance": -1.0}, ConfigError, "luminosity_distance"),
        ({"mass_1": 4.0, "mass_2": 3.0}, DomainError, "f_ref"),
        ({"mass_2": 5.0}, DomainError, "q"),
    ],
)
def test_bad_polarizations_are_refused(sur, change: dict[str, Any], kind: type[Exception], word: str) -> None:
    with pytest.raises(kind, match=word):
        sur.polarizations(**(BINARY | change))


def test_wrong_orders_and_degrees_are_refused_by_name_everywhere(sur) -> None:
    lal = {"inclination": 0.3, "spin_1": [0.1, 0.0, 0.2], "spin_2": [0.0, 0.0, 0.1], "luminosity_distance": 400.0, "phase": 0.1}
    swapped, grid = {"mass_1": 26.0, "mass_2": 39.0}, Grid(4.0, 2048.0, 20.0)
    at, times = {"f_min": 20.0, "sampling_frequency": 2048.0}, {"start": -0.1, "samples": 8, "f_ref": 20.0}
    many = {name: np.array([value, value]) for name, value in BINARY.items() if name not in at} | times
    one = binary_of()
    turned, place = replace(one, mass_1=one.mass_2, mass_2=one.mass_1), (np.ones(1), np.ones(1), np.ones(1))
    for call, said in (
        (lambda: sur.strain(**swapped, **lal, **at), "mass_1 = 26 < mass_2 = 39: give the heavier body first"),
        (lambda: sur.frequency_domain_polarizations(**swapped, **lal, **at, duration=4.0), "mass_1 = 26 < mass_2 = 39"),
        (lambda: sur.batch_polarizations(**many | swapped, sampling_frequency=2048.0), "mass_1 = 26 < mass_2 = 39"),
        (lambda: sur.batch_polarizations(**many | {"tilt_2": [0.1, 60.0]}, sampling_frequency=2048.0), "tilt_2 is 60.*radians"),
        (lambda: sur.transforms(turned, grid, *place), "mass_1 = .* < mass_2 = "),
        (lambda: sur.orders(turned, grid, place[0]), "mass_1 = .* < mass_2 = "),
    ):
        with pytest.raises(DomainError, match=said):
            call()
    with pytest.raises(ConfigError, match="give spin_1 and spin_2, three components each") as caught:
        sur.strain(**swapped, a_1=0.3, **at)
    assert "nrphm" not in str(caught.value)
    with pytest.raises(ConfigError, match="give chi1 in place of chi_1"):
        sur(q=2.0, chi_1=[0.3, 0.0, 0.1], chi2=[0.0, 0.0, 0.1], t_ref=-100.0)
    start, plus, _ = sur.strain(**swapped | {"mass_1": 39.0}, **lal, **at)  # equal masses have no order
    assert start < 0 < np.abs(plus).max()


def test_the_trained_range_warns_beyond(sur) -> None:
    with pytest.warns(DomainWarning, match="chi1"):
        sur(Q, [0.85, 0.0, 0.0], CHI_2, t_ref=-1000.0, times=[0.0])
    assert sur.mode_model.one(1.2, 0.9 * np.array([0.6, 0.0, 0.8]), CHI_2, {})[0] == 1.2


def test_spins_in_the_plane_are_refused_by_aligned_models() -> None:
    with pytest.raises(ConfigError, match="nrphm"):
        load_aligned("nrhm").quadrupole(binary_of(), Grid(4.0, 1024.0, 20.0))
    with pytest.raises(ConfigError, match="aligned"):
        load_aligned("nrphm")


def test_weights_and_card_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    changes = (
        ({"degree": {"rates": [3, 4], "modes": [3, 5]}}, "shape"),
        ({"degree": {"rates": [3, 6], "modes": [3, 6]}}, "shape"),
        ({"degree": {"rates": [3, 6]}}, "a degree in the card is None"),
        ({"degree": {"rates": [-1, 6], "modes": [3, 5]}}, "a degree in the card"),
        ({"degree": 4}, "degree"),
        ({"aligned_weights_sha256": "0"}, "another nrhm"),
    )
    for k, (change, word) in enumerate(changes):
        folder = tmp_path / str(k)
        shutil.copytree(artifacts.SHIPPED / "nrphm", folder)
        card = json.loads((folder / "card.json").read_text()) | change
        (folder / "card.json").write_text(json.dumps(card))
        with pytest.raises(ArtifactError, match=word):
            gw.load_surrogate(folder)


def test_light_binaries_follow_the_aligned_models_early_inspiral(sur) -> None:
    t = np.linspace(-280_000.0, -20_000.0, 3001)
    aligned = load_aligned("nrhm")(q=Q, chi1=0.4, chi2=-0.3, times=t)
    found = sur(Q, [0, 0, 0.4], [0, 0, -0.3], t_ref=-100_000.0, times=t)
    turn = np.unwrap(np.angle(aligned[2, 2] * np.conj(found[2, 2])))
    assert np.ptp(turn) < 1e-3
    np.testing.assert_allclose(np.abs(found[2, 2]), np.abs(aligned[2, 2]), rtol=1e-5)
    light = BINARY | {"mass_1": 8.0, "mass_2": 6.0, "sampling_frequency": 16384.0}
    plus, cross = sur.polarizations(**light)
    assert plus.t0.value < -8.0
    assert np.isfinite(plus.value).all()
    assert np.isfinite(cross.value).all()
    with pytest.raises(DomainError, match="f_ref"):
        sur.polarizations(**(light | {"mass_1": 5.0, "mass_2": 4.0}))
