"""A waveform model of one's own is one class; one that breaks the interface is named and refused when it is loaded."""

from __future__ import annotations

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.binaries import ALIGNED, PRECESSING, Binaries
from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference import BinaryPrior, SamplingOptions, SegmentLikelihood, load_estimator, sample_event
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import draw_injection
from gwsurrogate_ml.plugins.bilby import source_model
from gwsurrogate_ml.search.bank import BankConfig, place
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.waveform.model import Grid, QuadrupoleModel, WaveformModel, oriented

GPS = 1126259462.4
TRUTH = {
    "chirp_mass": 28.0, "mass_ratio": 0.8, "chi_1": 0.0, "chi_2": 0.0, "luminosity_distance": 500.0, "theta_jn": 0.5,
    "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": GPS,
}  # fmt: skip


PLACE = {name: TRUTH[name] for name in ("luminosity_distance", "theta_jn", "phase", "psi", "ra", "dec", "geocent_time")}


class Newtonian(QuadrupoleModel):
    """Newtonian inspirals that end at 4400 Hz over the total mass in solar masses: a toy."""

    name = "newtonian"

    def quadrupole(self, binaries: Binaries, grid: Grid) -> np.ndarray:
        m_1, m_2, *_ = binaries.aligned_columns(self.name)
        chirp = (m_1 * m_2) ** 0.6 / (m_1 + m_2) ** 0.2 * MTSUN_SI
        f = np.maximum(np.arange(grid.n_f) / grid.duration, 1.0)
        phase = 3 / 128 * (np.pi * chirp[:, None] * f) ** (-5 / 3)
        size = np.sqrt(5 / 24) * np.pi ** (-2 / 3) * chirp[:, None] ** (5 / 6) * f ** (-7 / 6) / 1.0292712503e14
        return size * np.exp(1j * phase) * np.exp(-((f * (m_1 + m_2)[:, None] / 4400) ** 4)) * (f >= grid.f_min)


@pytest.fixture(scope="module")
def segment():
    data = simulate(TRUTH, Newtonian(), ("H1", "L1"), duration=16, sampling_frequency=1024, gps=GPS, seed=2)
    return data.segment(psd="aLIGO", duration=4.0, f_min=25.0, f_max=400.0)


@pytest.mark.slow
def test_a_toy_enters_by_its_class_alone(segment) -> None:
    model = load_model(Newtonian())
    alone = SegmentLikelihood(segment, model).log_likelihood_ratio({k: np.array([v]) for k, v in TRUTH.items()})
    assert alone[0] > 100
    noise = simulate(None, duration=64, sampling_frequency=1024, seed=1)
    assert 0 < gw.matched_filter(noise, model, TRUTH, f_min=25.0).network_snr < 9
    config = SegmentConfig(f_min=25.0, f_max=400.0)
    assert draw_injection(config, BinaryPrior(), model, np.random.default_rng(0)).snr > 5
    assert load_estimator(model=model).model is model
    bank = place(model, BankConfig(mass_min=30.0, mass_max=35.0, chi_max=0.1, min_match=0.8, patience=20), n_test=5)
    assert len(bank.parameters) > 0
    both = source_model(model)(np.arange(1025) * 1.0, 36.0, 29.0, 400.0, 0.0, 0.0, 0.0, 0.0, 0.3, 0.2)
    assert both is not None
    assert np.all(np.isfinite(both["plus"]))


@pytest.mark.slow
def test_a_toy_has_posteriors(segment) -> None:
    prior = BinaryPrior(chirp_mass=(24.0, 33.0), mass_ratio=(0.5, 1.0), chi=(-0.1, 0.1))
    options = SamplingOptions(pilot=512, n_sets=2, n_points=512, refine_steps=100, on_edge="warn")
    result = sample_event(segment, prior, model=Newtonian(), n=1500, seed=1, options=options)
    low, high = np.quantile(result.posterior["chirp_mass"], (0.005, 0.995))
    assert low < TRUTH["chirp_mass"] < high
    assert result.meta["surrogate"] == {"name": "newtonian"}


class Broken(WaveformModel):
    """What each test breaks."""

    name = "broken"

    def __init__(self, orders=(2,), spectra=None, finite=True) -> None:
        self._orders, self._spectra, self._finite = orders, spectra, finite

    def orders(self, binaries, grid, theta_jn):
        shape = self._spectra or (len(binaries), len(self._orders), 2, grid.n_f)
        return np.array(self._orders), np.full(shape, 1.0 + 1j if self._finite else np.nan + 0j)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Broken(orders=(1, 3)), r"orders \[1, 3\], without m = 2"),
        (Broken(orders=(2, 2)), r"orders \[2, 2\]: give different whole numbers"),
        (Broken(orders=(2.0,)), "give different whole numbers"),
        (Broken(spectra=(2, 1, 2, 7)), r"spectra of shape \(2, 1, 2, 7\)"),
        (Broken(finite=False), "not finite"),
        (type("Nameless", (Broken,), {"name": None})(), "Nameless has no `name`"),
        (type("Spaceless", (Broken,), {"space": "aligned"})(), "Spaceless has no `name`, or a `space`"),
        (object(), "object is no waveform model"),
        (np.ones, "is no waveform model"),
    ],
)
def test_a_model_that_breaks_the_interface_is_refused(model, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_model(model)


def test_spins_in_the_orbital_plane_are_never_dropped() -> None:
    theta = PRECESSING.theta(TRUTH | {"a_1": 0.5, "a_2": 0.1, "tilt_1": 1.0, "tilt_2": 0.0, "phi_12": 0.0, "phi_jl": 0.0})
    binaries = PRECESSING.binaries(theta)
    assert np.allclose(np.linalg.norm(binaries.spin_1, axis=1), 0.5)
    for model in (gw.load_surrogate("nr22"), Newtonian(), load_model("lal:IMRPhenomXAS")):
        with pytest.raises(ConfigError, match=r"components in the orbital plane.*lal:IMRPhenomXPHM"):
            model.quadrupole(binaries, Grid(4.0, 1024.0, 25.0))


def test_orders_of_a_surrogate_sum_to_its_polarizations() -> None:
    model, grid = gw.load_surrogate(), Grid(4.0, 1024.0, 25.0)
    binaries = ALIGNED.binaries(ALIGNED.theta(TRUTH))
    place = (np.array([0.9]), np.array([1.3]), np.array([400.0]))
    summed, direct = WaveformModel.transforms(model, binaries, grid, *place), model.transforms(binaries, grid, *place)
    assert np.linalg.norm(summed - direct) < 1e-12 * np.linalg.norm(direct)


def test_a_quadrupole_turns_as_conventions_say() -> None:
    model, grid = Newtonian(), Grid(4.0, 1024.0, 25.0)
    binaries = ALIGNED.binaries(ALIGNED.theta(TRUTH))
    place = (np.array([0.9]), np.array([1.3]), np.array([400.0]))
    summed = WaveformModel.transforms(model, binaries, grid, *place)
    expected = oriented(model.quadrupole(binaries, grid), *place)
    assert np.linalg.norm(summed - expected) < 1e-14 * np.linalg.norm(expected)


def test_spins_given_in_other_words_than_the_models_are_refused() -> None:
    parameters = {"mass_1": 36.0, "mass_2": 29.0, "a_1": 0.7, "a_2": 0.2, "tilt_1": 0.0, "tilt_2": 0.0, **PLACE}
    with pytest.raises(ConfigError, match="given as a_1, a_2, tilt_1, tilt_2, the model knows chi_1 and chi_2"):
        simulate(parameters, Newtonian(), duration=16, sampling_frequency=1024, gps=GPS)
    simulate(parameters | {"chi_1": 0.7, "chi_2": 0.2}, Newtonian(), duration=16, sampling_frequency=1024, gps=GPS)
