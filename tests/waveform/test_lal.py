"""What a network was trained on refuses a model of several modes; LAL's models of any modes and spins enter by name."""

from __future__ import annotations

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference import LalModel, SegmentLikelihood, load_estimator
from gwsurrogate_ml.strain.detectors import project
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.waveform.lal import spins_in_orbit, spins_of_angles
from gwsurrogate_ml.waveform.model import Grid, Quadrupole, WaveformModel, transforms

GPS = 1126259462.4
ROW = {
    "chirp_mass": 25.0, "mass_ratio": 0.4, "chi_1": 0.2, "chi_2": -0.1, "luminosity_distance": 800.0, "theta_jn": 1.2,
    "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": GPS,
}  # fmt: skip


@pytest.fixture(scope="module")
def segment():
    return simulate(None, duration=16, sampling_frequency=2048, gps=GPS).segment(psd="aLIGO")


def signals(segment, model) -> np.ndarray:
    return SegmentLikelihood(segment, model).signals({name: np.array([value]) for name, value in ROW.items()})


def test_an_estimator_of_the_quadrupole_refuses_several_modes() -> None:
    said = r"modes \(2,2\), \(2,1\).*holds for \(2,2\) with aligned spins alone.*load_surrogate\('nr22'\)"
    with pytest.raises(ConfigError, match=said):
        load_estimator(model=gw.load_surrogate())


@pytest.mark.slow
def test_the_models_that_the_refusal_names_are_taken(segment) -> None:
    nr22, of_all = gw.load_surrogate("nr22"), Quadrupole(gw.load_surrogate())
    a, b = (signals(segment, model)[0][0][segment.mask] for model in (nr22, of_all))
    assert abs(np.vdot(a, b)) > 0.99 * np.linalg.norm(a) * np.linalg.norm(b)
    assert load_estimator(model=nr22).model is nr22


def test_simulated_strain_has_all_modes_of_the_model() -> None:
    binary = {"mass_1": 45.0, "mass_2": 15.0, **{k: v for k, v in ROW.items() if k not in ("chirp_mass", "mass_ratio")}}
    model = gw.load_surrogate()
    data = simulate(binary, model, ("H1",), zero_noise=True, duration=16, sampling_frequency=2048)
    series = data.series["H1"]
    f = np.arange(series.size // 2 + 1) / 16.0
    parameters = {k: binary[k] for k in ("mass_1", "mass_2", "chi_1", "chi_2", "luminosity_distance", "theta_jn", "phase")}
    h = model.frequency_domain_polarizations(**parameters, f_min=20.0, sampling_frequency=2048.0, duration=16.0)
    expected = np.fft.irfft(project("H1", *h, binary, f, float(series.t0.value)), series.size) * 2048
    assert np.linalg.norm(series.value - expected) < 1e-9 * np.linalg.norm(expected)
    alone = transforms(Quadrupole(model), parameters, Grid(16.0, 2048.0, 20.0))
    assert np.linalg.norm(alone[0] - h[0]) > 0.1 * np.linalg.norm(h[0])  # the others are no small matter here


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "orders"), [("IMRPhenomXHM", [1, 2, 3, 4]), ("IMRPhenomXPHM", [1, 2, 3, 4]), ("IMRPhenomPv2", [2])]
)
def test_lal_models_sum_to_what_lal_gives(name: str, orders: list[int]) -> None:
    model, grid = load_model(f"lal:{name}"), Grid(4.0, 2048.0, 20.0)
    spins = {
        "a_1": 0.7,
        "a_2": 0.5,
        "tilt_1": 0.9,
        "tilt_2": 2.0,
        "phi_12": 0.6,
        "phi_jl": 1.2,
        "chi_1": 0.3,
        "chi_2": -0.4,
    }
    binary = model.space.binaries(model.space.theta({"chirp_mass": 28.0, "mass_ratio": 0.6} | spins))
    place = (np.array([0.9]), np.array([1.3]), np.array([400.0]))
    assert model.orders(binary, grid, place[0])[0].tolist() == orders
    direct, summed = model.transforms(binary, grid, *place), WaveformModel.transforms(model, binary, grid, *place)
    assert np.linalg.norm(direct - summed) < 1e-5 * np.linalg.norm(direct)  # XPHM interpolates: 2e-6


@pytest.mark.slow
@pytest.mark.peer
def test_spins_towards_the_observer_are_lals() -> None:
    from lal import MSUN_SI
    from lalsimulation import SimInspiralTransformPrecessingNewInitialConditions

    rng, n = np.random.default_rng(0), 40
    mass_2, (a_1, a_2) = rng.uniform(5, 50, n), rng.uniform(0, 1, (2, n))
    mass_1 = mass_2 * rng.uniform(1, 6, n)
    tilt_1, tilt_2, theta_jn = np.arccos(rng.uniform(-1, 1, (3, n)))
    phi_12, phi_jl, phase, azimuth = rng.uniform(0, 2 * np.pi, (4, n))
    spins = [
        np.stack([a * np.sin(tilt) * np.cos(phi), a * np.sin(tilt) * np.sin(phi), a * np.cos(tilt)], 1)
        for a, tilt, phi in ((a_1, tilt_1, azimuth), (a_2, tilt_2, azimuth + phi_12))
    ]
    found = spins_in_orbit(Binaries(mass_1, mass_2, *spins, phi_jl), theta_jn, 20.0, phase)
    columns = theta_jn, phi_jl, tilt_1, tilt_2, phi_12, a_1, a_2, mass_1 * MSUN_SI, mass_2 * MSUN_SI, np.full(n, 20.0), phase
    wanted = [SimInspiralTransformPrecessingNewInitialConditions(*row) for row in np.stack(columns, 1).tolist()]
    np.testing.assert_allclose(np.column_stack(found), wanted, atol=1e-12)
    names = spins_of_angles(*(x[0] for x in (mass_1, mass_2, a_1, a_2, tilt_1, tilt_2, phi_12, phi_jl, theta_jn)), 20.0, phase[0])
    np.testing.assert_allclose(np.hstack(names), wanted[0], atol=1e-12)


def test_spins_along_the_orbit_are_seen_from_theta_jn() -> None:
    iota, spin_1, spin_2 = spins_in_orbit(Binaries.aligned([40.0], [20.0], [-0.3], [0.2]), np.array([0.7]), 20.0, 0.4)
    assert (iota.tolist(), spin_1.tolist(), spin_2.tolist()) == ([0.7], [[0.0, 0.0, -0.3]], [[0.0, 0.0, 0.2]])


def test_opposite_azimuths_of_the_spins_are_no_exception() -> None:
    """At exactly opposite ones IMRPhenomXPHM jumps with the orbital phase (`findings`): its orders would not sum."""
    model, grid = load_model("lal:IMRPhenomXPHM"), Grid(4.0, 1024.0, 20.0)
    spins = {"a_1": 0.6, "a_2": 0.6, "tilt_1": np.pi / 2, "tilt_2": np.pi / 2, "phi_12": np.pi, "phi_jl": np.pi}
    binary = model.space.binaries(model.space.theta({"chirp_mass": 28.0, "mass_ratio": 0.8} | spins))
    one = np.ones(1)
    for phase in np.linspace(0.0, 2 * np.pi, 13):
        place = (1.1 * one, phase * one, one)
        direct, summed = model.transforms(binary, grid, *place), WaveformModel.transforms(model, binary, grid, *place)
        assert np.linalg.norm(direct - summed) < 1e-4 * np.linalg.norm(direct)


def test_lal_models_that_cannot_be_made_are_refused_before_the_work() -> None:
    with pytest.raises(ConfigError, match="cannot make IMRPhenomT in the frequency domain"):
        LalModel("IMRPhenomT")
    for name in ("IMRPhenomXAS", "IMRPhenomD"):
        assert LalModel(name).name == f"lal:{name}"
