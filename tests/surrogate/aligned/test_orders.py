"""Orders in the orbital phase of aligned binaries, many at once: against single binaries, and without negative m."""

from __future__ import annotations

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.strain.spectrum import load_psd
from gwsurrogate_ml.surrogate.model import ONE_SIDED, Surrogate
from gwsurrogate_ml.waveform.model import Grid

GRID = Grid(8.0, 2048.0, 20.0)
MASSES = np.array([[60.0, 40.0], [12.0, 11.0], [90.0, 12.0], [150.0, 120.0]])
SPINS = np.array([[0.5, -0.4], [0.1, 0.7], [-0.6, 0.2], [0.7, 0.7]])
THETA = np.array([0.3, 1.2, 1.5, 2.4])
PHASE = np.array([0.2, 1.9, 4.0, 5.5])
DISTANCE = np.array([400.0, 90.0, 1000.0, 2000.0])


@pytest.fixture(scope="module")
def sur() -> Surrogate:
    return gw.load_surrogate("nrhm")


def binaries(rows: slice = slice(None)) -> Binaries:
    return Binaries.aligned(*MASSES[rows].T, *SPINS[rows].T)


def single(sur: Surrogate, i: int) -> np.ndarray:
    """Both polarizations of the i-th binary, by the call that takes one."""
    binary = dict(zip(("mass_1", "mass_2", "chi_1", "chi_2"), (*MASSES[i], *SPINS[i]), strict=True))
    place = {"luminosity_distance": DISTANCE[i], "theta_jn": THETA[i], "phase": PHASE[i]}
    return np.array(sur.frequency_domain_polarizations(**binary, **place, **GRID._asdict()))


def test_many_binaries_are_each_as_alone(sur: Surrogate) -> None:
    every = sur.transforms(binaries(), GRID, THETA, PHASE, DISTANCE)
    orders, spectra = sur.orders(binaries(), GRID, THETA)
    turned = np.einsum("nm,nmpf->npf", np.exp(1j * np.outer(PHASE, orders)) / DISTANCE[:, None], spectra)
    for i in range(len(MASSES)):
        alone = single(sur, i)
        largest = np.abs(alone).max()
        assert np.abs(every[i] - alone).max() < 1e-9 * largest
        assert np.abs(turned[i] - alone).max() < 1e-9 * largest


def test_some_frequencies_are_those_of_all(sur: Surrogate) -> None:
    wanted = np.array([160, 170, 555, 8000])
    orders, spectra = sur.orders(binaries(), GRID, THETA)
    same, some = sur.orders_at(binaries(), GRID, THETA, wanted)
    assert list(same) == list(orders) == [1, 2, 3, 4, 5, -1, -2, -3, -4, -5]
    np.testing.assert_allclose(some, spectra[..., wanted], rtol=0, atol=1e-13 * np.abs(spectra).max())


def test_negative_orders_are_left_out_where_they_may_be(sur: Surrogate) -> None:
    wanted = np.arange(160, GRID.n_f)
    f = wanted / GRID.duration
    weight = 1 / np.interp(f, *load_psd("aLIGO"))
    _, both = sur.orders_at(binaries(), GRID, THETA, wanted, lost=ONE_SIDED)
    orders, half = sur.orders_at(binaries(), GRID, THETA, wanted, lost=1.01 * ONE_SIDED)
    assert list(orders) == [1, 2, 3, 4, 5]
    power = np.einsum("nmpf,f->n", np.abs(both) ** 2, weight)
    negative = np.einsum("nmpf,f->n", np.abs(both[:, 5:]) ** 2, weight)
    change = np.einsum("nmpf,f->n", np.abs(half - both[:, :5]) ** 2, weight)
    assert (negative < ONE_SIDED * power).all()
    assert (change < ONE_SIDED * power).all()
    assert (change > 0).all()


def test_modes_are_sampled_as_fast_as_their_l_asks(sur: Surrogate) -> None:
    """The ringdown of (4,3) is as high as that of (4,4): sampled as m = 3 asks, at 1024 Hz half of the power was wrong."""
    binary = {
        "mass_1": 30.0,
        "mass_2": 25.0,
        "chi_1": 0.5,
        "chi_2": -0.4,
        "luminosity_distance": 100.0,
        "theta_jn": 1.0,
        "phase": 0.0,
    }
    given = {"duration": 4.0, "f_min": 20.0, "modes": [(4, 3)]}
    slow, fast = (sur.frequency_domain_polarizations(**binary, **given, sampling_frequency=rate)[0] for rate in (1024.0, 8192.0))
    fast = fast[80 : len(slow)]
    assert np.sum(np.abs(slow[80:] - fast) ** 2) < 1e-6 * np.sum(np.abs(fast) ** 2)


def test_one_angle_and_one_distance_for_each_binary_are_asked_for(sur: Surrogate) -> None:
    with pytest.raises(ConfigError, match=r"phase has the shape \(1,\): give \(4,\)"):
        sur.transforms(binaries(), GRID, THETA, PHASE[:1], DISTANCE)
    with pytest.raises(ConfigError, match=r"theta_jn has the shape \(3,\): give \(4,\)"):
        sur.orders(binaries(), GRID, THETA[:3])


def test_no_binaries_have_no_orders(sur: Surrogate) -> None:
    none, nothing = binaries(slice(0)), np.zeros(0)
    assert sur.orders(none, GRID, nothing)[1].shape == (0, 10, 2, GRID.n_f)
    assert sur.orders_at(none, GRID, nothing, np.arange(7), 1e-4)[1].shape == (0, 5, 2, 7)
    assert sur.transforms(none, GRID, nothing, nothing, nothing).shape == (0, 2, GRID.n_f)
