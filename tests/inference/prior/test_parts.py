"""Parts of priors: their maps against integrals of bilby's densities; compositions with a part of one's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from bilby.core.prior import LogUniform, Uniform
from scipy import stats
from scipy.integrate import quad

from gwsurrogate_ml.conventions import INTRINSIC, PARAMETERS
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.inference import BinaryPrior, sample_event
from gwsurrogate_ml.inference.prior.binary import as_prior
from gwsurrogate_ml.inference.prior.composition import ComposedPrior
from gwsurrogate_ml.inference.prior.extrinsic import Extrinsic
from gwsurrogate_ml.inference.prior.masses import ChirpMass, MassRatio
from gwsurrogate_ml.inference.prior.parts import Given, Interval, Part
from gwsurrogate_ml.inference.prior.spins import AlignedIsotropic, AlignedUniform, Isotropic
from gwsurrogate_ml.strain.simulate import simulate


@dataclass(frozen=True)
class LogTotalMass(Interval):
    """Log-uniform total mass in (low, high) and mass ratio uniform in (0.2, 1), as chirp mass and mass ratio: not independent."""

    names = ("chirp_mass", "mass_ratio")

    def to_bilby(self) -> dict:
        raise ConfigError("the chirp mass depends on the mass ratio")

    def bounds(self) -> dict[str, tuple[float, float]]:
        return {"chirp_mass": (self.low * share(0.2), self.high * share(1.0)), "mass_ratio": (0.2, 1.0)}

    def to_uniform(self, values: np.ndarray, given: Given) -> np.ndarray:
        total = values[:, 0] / share(values[:, 1])
        return np.stack([np.log(total / self.low) / np.log(self.high / self.low), (values[:, 1] - 0.2) / 0.8], axis=1)

    def from_uniform(self, u: np.ndarray, given: Given) -> np.ndarray:
        q = 0.2 + 0.8 * u[:, 1]
        return np.stack([self.low * (self.high / self.low) ** u[:, 0] * share(q), q], axis=1)


class LogChirpMass(Part):
    """All that a part of independent parameters needs."""

    names = ("chirp_mass",)

    def to_bilby(self) -> dict:
        return {"chirp_mass": LogUniform(20.0, 45.0, name="chirp_mass")}


def share(q: np.ndarray | float) -> np.ndarray | float:
    """Chirp mass over total mass."""
    return q**0.6 / (1 + q) ** 1.2


PARTS = [
    ChirpMass(20.0, 45.0),
    MassRatio(0.125, 1.0),
    AlignedUniform(-0.4, 0.9),
    AlignedIsotropic(-0.9, 0.9),
    Extrinsic((10.0, 3000.0), 0.1, 1126259462.4),
    LogChirpMass(),
]
EXACT = {
    "chi_1": lambda x: -np.log(abs(x) / 0.9) / 1.8,
    "chi_2": lambda x: -np.log(abs(x) / 0.9) / 1.8,
}
each_part = pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)


def draws(part: Part, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    u = np.random.default_rng(1).random((n, len(part.names)))
    return u, part.from_uniform(u, {"mass_ratio": np.full(n, 0.5)})


@each_part
def test_cumulative_prior_is_the_integral_of_bilbys_density(part: Part) -> None:
    u, values = draws(part, 12)
    for column, (name, prior) in enumerate(part.to_bilby().items()):
        density = EXACT[name] if isinstance(part, AlignedIsotropic) else prior.prob
        low = part.bounds()[name][0]
        for x, expected in zip(values[:, column], u[:, column], strict=True):
            zero = [0.0] if low < 0 < x else None
            found = quad(density, low, x, points=zero, limit=200)[0]
            assert found == pytest.approx(expected, abs=1e-6 if name == "geocent_time" else 1e-8), name


@each_part
def test_maps_return_and_draws_are_uniform_in_bilbys_cumulative_prior(part: Part) -> None:
    u, values = draws(part)
    given = {"mass_ratio": np.full(len(u), 0.5)}
    assert np.all(part.contains(values, given))
    rounding = 3e-6 if "geocent_time" in part.names else 1e-9  # GPS times are 0.2 microseconds apart, of 0.2 s
    assert np.allclose(part.to_uniform(values, given), u, rtol=0, atol=rounding)
    assert np.allclose(part.from_normal(part.to_normal(values, given), given), values, rtol=1e-9, atol=1e-9)
    for name, column in zip(part.names, values.T, strict=True):
        assert stats.kstest(part.to_bilby()[name].cdf(column), "uniform").pvalue > 1e-3, name


def test_isotropic_spins_are_projections_of_uniform_magnitudes() -> None:
    rng = np.random.default_rng(3)
    projected = rng.uniform(0, 0.9, 20_000) * rng.uniform(-1, 1, 20_000)
    u = AlignedIsotropic(-0.9, 0.9).to_uniform(np.stack([projected, projected], axis=1), {})
    assert stats.kstest(u[:, 0], "uniform").pvalue > 1e-3


def test_spins_of_any_direction_are_two_normal_vectors() -> None:
    part = Isotropic(0.8)
    rng = np.random.default_rng(2)
    bilbys = part.to_bilby()
    values = part.from_uniform(rng.random((20_000, 6)), {})
    for name, column in zip(part.names, values.T, strict=True):
        assert stats.kstest(column, bilbys[name].cdf).pvalue > 1e-3
    z = part.to_normal(values, {})
    assert min(stats.kstest(column, "norm").pvalue for column in z.T) > 1e-3
    assert np.abs(np.corrcoef(z.T) - np.eye(6)).max() < 0.03
    assert np.allclose(part.from_normal(z, {}), values)
    # The first vector points as the first spin does, seen from the line of sight: no seam where an azimuth passes 2 pi.
    near = np.array([[0.5, 0.4, 1.0, 1.2, 0.3, 1e-6], [0.5, 0.4, 1.0, 1.2, 0.3, 2 * np.pi - 1e-6]])
    assert np.allclose(*part.to_normal(near, {}), atol=1e-5)


def test_isotropic_spins_keep_their_digits_at_zero_and_at_the_ends() -> None:
    part = AlignedIsotropic(-0.9, 0.9)
    u = np.array([[0.0, 1.0], [0.5, 0.5], [0.5 + 1e-12, 0.5 - 1e-12], [1e-16, 1 - 1e-16]])
    chi = part.from_uniform(u, {})
    assert np.all(chi[:2] == [[-0.9, 0.9], [0.0, 0.0]])
    assert np.all(np.isfinite(chi))
    assert np.allclose(part.to_uniform(chi, {}), u, rtol=0, atol=1e-15)


@pytest.mark.parametrize("first", [(LogTotalMass(50.0, 100.0),), (LogChirpMass(), MassRatio(0.2, 1.0))])
def test_ones_own_part_joins_the_others_in_a_prior(first: tuple[Part, ...]) -> None:
    prior = ComposedPrior((*first, AlignedIsotropic(-0.9, 0.9)), luminosity_distance=(10.0, 2000.0))
    assert prior.names == INTRINSIC
    theta = prior.sample_intrinsic(20_000, np.random.default_rng(5))
    assert np.all(prior.contains(theta))
    z = prior.to_normal(theta)
    assert np.allclose(prior.from_normal(z), theta, rtol=1e-8, atol=1e-8)
    assert np.allclose(np.corrcoef(z.T), np.eye(4), atol=0.03)
    for column in z.T:
        assert stats.kstest(column, "norm").pvalue > 1e-3
    chi_eff = (theta[:, 2] + theta[:, 1] * theta[:, 3]) / (1 + theta[:, 1])
    assert stats.spearmanr(z[:, 2], chi_eff).statistic > 0.9
    with pytest.raises(DomainError, match="chirp_mass=90"):
        prior.to_normal(np.array([90.0, 0.5, 0.0, 0.0]))
    with pytest.raises(DomainError, match="one number for each of chirp_mass"):
        prior.from_normal(z[:, :3])
    assert as_prior(prior) is prior


def test_the_default_composition_is_the_binary_prior() -> None:
    parts = (ChirpMass(20.0, 45.0), MassRatio(0.125, 1.0), AlignedUniform(-0.9, 0.9))
    z = np.random.default_rng(7).normal(size=(100, 4))
    assert np.array_equal(ComposedPrior(parts).from_normal(z), BinaryPrior().from_normal(z))
    assert ComposedPrior(parts).to_bilby(0.0) == BinaryPrior().to_bilby(0.0)


def test_a_result_reads_its_composed_prior_back() -> None:
    from gwsurrogate_ml.inference.prior.record import read

    prior = ComposedPrior((LogChirpMass(), MassRatio(0.2, 1.0), AlignedIsotropic(-0.9, 0.9)))
    record = prior.record(10.0)
    assert record["prior"] == {"parts": ["LogChirpMass", "MassRatio", "AlignedIsotropic"]}
    again = read(record["bilby_prior"])
    assert tuple(again) == PARAMETERS
    assert repr(again["chirp_mass"]).startswith("LogUniform(minimum=20.0, maximum=45.0")
    assert again["chi_1"] == prior.to_bilby(10.0)["chi_1"]


def test_compositions_that_cannot_be_analysed_are_refused() -> None:
    swapped = ComposedPrior((MassRatio(0.2, 1.0), LogChirpMass(), AlignedUniform(-0.9, 0.9)))
    noise = simulate(None, duration=16, sampling_frequency=1024)
    with pytest.raises(ConfigError, match=r"over mass_ratio, chirp_mass, .* depends on chirp_mass, mass_ratio, chi_1"):
        sample_event(noise, swapped, n=100)
    with pytest.raises(ConfigError, match="at most half of the farthest"):
        ComposedPrior((LogChirpMass(),), luminosity_distance=(600.0, 1000.0))
    with pytest.raises(ConfigError, match="prior is a Uniform"):
        as_prior(Uniform(0, 1))
