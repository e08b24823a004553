"""Orders in the orbital phase against waveforms at that phase, in noise as a detector has it."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.binaries import PRECESSING, Binaries
from gwsurrogate_ml.errors import DomainError
from gwsurrogate_ml.surrogate.load import load_surrogate
from gwsurrogate_ml.waveform.model import Grid

GRID = Grid(4.0, 1024.0, 20.0)
F = np.arange(GRID.n_f) / GRID.duration


@pytest.fixture(scope="module")
def sur():
    return load_surrogate("nrphm")


def some(n: int, seed: int) -> tuple[Binaries, np.ndarray, np.ndarray]:
    """Binaries of any spins, inclinations and phases (n,)."""
    rng = np.random.default_rng(seed)
    angles = rng.uniform(0, 2 * np.pi, (3, n))
    table = {
        "chirp_mass": rng.uniform(27, 34, n), "mass_ratio": rng.uniform(0.5, 1, n), "a_1": rng.uniform(0.2, 0.8, n),
        "a_2": rng.uniform(0.2, 0.8, n), "tilt_1": np.arccos(rng.uniform(-1, 1, n)), "tilt_2": np.arccos(rng.uniform(-1, 1, n)),
        "phi_12": angles[0], "phi_jl": angles[1],
    }  # fmt: skip
    return PRECESSING.binaries(PRECESSING.theta(table)), np.arccos(rng.uniform(-1, 1, n)), angles[2]


def error(a: np.ndarray, b: np.ndarray, low: float) -> float:
    """Share of the power of `b` in the difference, whitened roughly as in 2015, from `low` (Hz) on."""
    weight = np.where(low <= F, 1 / ((30 / np.maximum(F, 1)) ** 8 + 1 + (F / 300) ** 2), 0.0)
    return float(np.sum(weight * np.abs(a - b) ** 2) / np.sum(weight * np.abs(b) ** 2))


def test_orders_give_the_waveform_at_every_phase(sur) -> None:
    binaries, theta_jn, phase = some(6, 1)
    orders, spectra = sur.orders(binaries, GRID, theta_jn)
    summed = np.einsum("nm,nmpf->npf", np.exp(1j * np.outer(phase, orders)), spectra)
    exact = sur.transforms(binaries, GRID, theta_jn, phase, np.ones(6))
    late, early = ([error(a, b, low) for a, b in zip(summed, exact, strict=True)] for low in (45.0, 20.0))
    assert np.median(late) < 2e-3
    assert max(late) < 6e-3
    assert max(early) < 6e-3
    # At few frequencies, to save time: below 45 Hz orders above m = 2 may not be there yet.
    wanted = np.arange(80, GRID.n_f, 7)
    same, some_of_them = sur.orders_at(binaries, GRID, theta_jn, wanted, lost=1e-4)
    assert same.tolist() == orders.tolist()
    here = np.zeros_like(exact)
    here[:, :, wanted] = np.einsum("nm,nmpf->npf", np.exp(1j * np.outer(phase, orders)), some_of_them)
    there = np.where(np.isin(np.arange(GRID.n_f), wanted), exact, 0.0)
    assert max(error(a, b, 45.0) for a, b in zip(here, there, strict=True)) < 6e-3
    quick = [error(a, b, 20.0) for a, b in zip(here, there, strict=True)]
    assert max(early) < max(quick) < 3e-2
    np.testing.assert_array_equal(sur.orders_at(binaries, GRID, theta_jn, wanted)[1], spectra[..., wanted])
    # Orders that were a plain rotation of one waveform would not do.
    turned = sur.transforms(binaries, GRID, theta_jn, np.zeros(6), np.ones(6))
    one_sided = [error(np.exp(2j * p) * a, b, 45.0) for a, b, p in zip(turned, exact, phase, strict=True)]
    assert np.median(one_sided) > 5 * np.median(late)


@pytest.mark.parametrize(
    ("table", "bound"),
    [
        # Heavy and unequal: the ringdown of orders 4 and 5 is a tenth of what they hold (1.6e-2 lost where it was not sampled).
        ({"chirp_mass": 59.0, "mass_ratio": 0.2, "a_1": 0.2, "a_2": 0.2, "tilt_1": 2.8, "tilt_2": 1.2}, 1e-5),
        # Both spins in the plane: the merger comes earlier at one phase than at another (4e-2 with three phases).
        ({"chirp_mass": 44.6, "mass_ratio": 0.77, "a_1": 0.7, "a_2": 0.6, "tilt_1": 1.04, "tilt_2": 0.99}, 1e-3),
        ({"chirp_mass": 45.4, "mass_ratio": 0.66, "a_1": 0.79, "a_2": 0.48, "tilt_1": 0.62, "tilt_2": 1.8}, 3e-3),
    ],
)
def test_orders_hold_ringdowns_and_strong_precession(sur, table: dict[str, float], bound: float) -> None:
    # None is one of those that the dynamics are integrated at.
    phase = 0.17 + np.linspace(0, 2 * np.pi, 6, endpoint=False)
    theta = PRECESSING.theta({name: np.full(6, x) for name, x in (table | {"phi_12": 4.9, "phi_jl": 5.2}).items()})
    binaries, theta_jn = PRECESSING.binaries(theta), np.full(6, 1.2)
    orders, spectra = sur.orders(binaries, GRID, theta_jn)
    summed = np.einsum("nm,nmpf->npf", np.exp(1j * np.outer(phase, orders)), spectra)
    exact = sur.transforms(binaries, GRID, theta_jn, phase, np.ones(6))
    assert max(error(a, b, 20.0) for a, b in zip(summed, exact, strict=True)) < bound


def test_templates_are_the_aligned_models_with_the_spins_along_the_orbit(sur) -> None:
    binaries, *_ = some(2, 2)
    along = binaries.along_orbit
    assert along.is_aligned
    wanted = sur.aligned.quadrupole(along, GRID)
    np.testing.assert_array_equal(sur.quadrupole(binaries, GRID), wanted)
    # And these are the waveform's order m = 2, face-on, where there is nothing in the plane.
    orders, spectra = sur.orders(along, GRID, np.zeros(2))
    ours = spectra[:, list(orders).index(2), 0]
    for a, b in zip(ours, wanted, strict=True):
        weight = (F > 30) & (F < 300)
        z = np.fft.ifft(np.conj(a) * b * weight, 16 * len(F)) * 16 * len(F)
        assert np.abs(z).max() > 0.998 * np.sqrt(np.sum(weight * np.abs(a) ** 2) * np.sum(weight * np.abs(b) ** 2))


def test_transforms_of_many_are_those_of_each_and_name_whom_they_refuse(sur) -> None:
    binaries, theta_jn, phase = some(5, 3)
    together = sur.transforms(binaries, GRID, theta_jn, phase, np.ones(5))
    for i in range(5):
        alone = sur.transforms(binaries[i : i + 1], GRID, theta_jn[i : i + 1], phase[i : i + 1], np.ones(1))[0]
        np.testing.assert_allclose(together[i], alone, atol=1e-9 * np.abs(alone).max())
    # So heavy that it merges below 20 Hz.
    heavy = Binaries(
        np.where(np.arange(5) == 3, 900.0, binaries.mass_1),
        np.where(np.arange(5) == 3, 700.0, binaries.mass_2),
        binaries.spin_1,
        binaries.spin_2,
        binaries.phi_jl,
    )
    with pytest.raises(DomainError, match=r"within reach for total masses of .* and this one has 1600 solar masses"):
        sur.transforms(heavy, GRID, theta_jn, phase, np.ones(5))
