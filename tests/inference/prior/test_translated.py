"""Priors on what bilby's users put in place of our parameters are the same densities."""

from __future__ import annotations

from pathlib import Path

import bilby
import numpy as np
import pytest
from bilby.core.prior import Constraint, DeltaFunction, PriorDict, Sine, Uniform
from bilby.gw.prior import AlignedSpin, UniformSourceFrame

from gwsurrogate_ml.binaries import ALIGNED
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.prior.binary import as_prior
from gwsurrogate_ml.inference.prior.constraints import log_density
from gwsurrogate_ml.inference.prior.from_bilby import read_priors
from gwsurrogate_ml.inference.prior.translated import translated

OWN = Path(bilby.gw.prior.__file__).parent / "prior_files" / "precessing_spins_bbh.prior"
N = 20_000


def test_cosines_sky_phase_and_redshift_are_those_of_the_parameters() -> None:
    given = {
        "cos_theta_jn": Uniform(-0.5, 1), "cos_tilt_1": Uniform(-1, 1), "azimuth": Uniform(0, 2 * np.pi), "zenith": Sine(),
        "delta_phase": Uniform(0, 2 * np.pi), "redshift": UniformSourceFrame(0.02, 0.9, name="redshift"),
        "lambda_1": DeltaFunction(0.0),
    }  # fmt: skip
    found = translated(given)
    assert set(found) == {"theta_jn", "tilt_1", "ra", "dec", "phase", "luminosity_distance"}
    u = (np.arange(N) + 0.5) / N
    np.testing.assert_allclose(np.cos(found["theta_jn"].rescale(1 - u)), given["cos_theta_jn"].rescale(u), atol=1e-9)
    distances = bilby.gw.conversion.redshift_to_luminosity_distance(given["redshift"].rescale(u[::500]))
    np.testing.assert_allclose(found["luminosity_distance"].rescale(u[::500]), distances, rtol=2e-3)


def test_uniform_masses_are_densities_of_chirp_mass_and_mass_ratio() -> None:
    found = translated({"mass_1": Uniform(10, 80), "mass_2": Uniform(10, 80), "mass_ratio": Constraint(0.25, 1)})
    rng = np.random.default_rng(0)
    m_1, m_2 = np.sort(rng.uniform(10, 80, (N, 2)), axis=1).T[::-1]
    m_1, m_2 = m_1[m_2 > 0.25 * m_1], m_2[m_2 > 0.25 * m_1]
    chirp, q = (m_1 * m_2) ** 0.6 / (m_1 + m_2) ** 0.2, m_2 / m_1
    # dMc dq = Mc / m_1^2 dm_1 dm_2: uniform in the masses is so much in these.
    log_p = log_density(found, {"chirp_mass": chirp, "mass_ratio": q}) + np.log(chirp / m_1**2)
    assert np.isfinite(log_p).all()
    assert np.ptp(log_p) < 1e-3
    assert log_p.mean() == pytest.approx(-np.log(70**2 / 2 * (m_1.size / N)), abs=0.02)
    loose = {"mass_1": Uniform(10, 80), "mass_2": Uniform(5, 50)}  # which body is the heavier is not said
    assert translated(loose) == loose


def test_which_body_is_called_the_first_makes_no_difference_only_where_their_spins_are_alike() -> None:
    masses = {"mass_1": Uniform(10, 80), "mass_2": Uniform(10, 80)}
    alike = masses | {f"{kind}_{body}": prior for body in "12" for kind, prior in (("a", Uniform(0, 0.9)), ("tilt", Sine()))}
    alike |= {"phi_12": Uniform(0, 2 * np.pi), "phase": Uniform(0, 2 * np.pi)}
    for name in ("a_1", "a_2"):
        alike[name] = Uniform(0, 0.9, name=name, latex_label=name)
    assert "chirp_mass" in translated(alike)
    aligned = {f"chi_{body}": AlignedSpin(Uniform(0, 0.9), Uniform(-1, 1), name=f"chi_{body}") for body in "12"}
    assert "chirp_mass" in translated(masses | aligned)
    for other in (
        {"a_2": Uniform(0, 0.4)}, {"tilt_2": DeltaFunction(0.0)}, {"phi_12": Uniform(0, 1)}, {"phase": Uniform(0, 1)},
        {"mass_ratio": Constraint(0.5, 8)},
    ):  # fmt: skip
        assert translated(alike | other) == alike | other
        assert "chirp_mass" in translated(alike | other | {"mass_ratio": Constraint(0.125, 1)})
    with pytest.raises(ConfigError, match=r"has mass_1.*both bodies have the same priors on masses and spins"):
        as_prior(dict(PriorDict(filename=str(OWN))) | {"chirp_mass": Constraint(5, 90), "mass_ratio": Constraint(0.1, 10)}
                 | masses | {"a_2": Uniform(0, 0.4)})  # fmt: skip


def test_tilts_fixed_at_zero_are_aligned_spins(tmp_path: Path) -> None:
    text = OWN.read_text()
    for name in ("tilt_1", "tilt_2", "phi_12", "phi_jl"):
        text = "\n".join(f"{name} = 0.0  # aligned" if line.startswith(name) else line for line in text.splitlines())
    (tmp_path / "x.prior").write_text("\ufeff" + text.replace("\n", "\r\n"), encoding="utf-8")
    prior = as_prior(tmp_path / "x.prior")
    assert prior.names == ALIGNED.names
    assert prior.bounds()["chi_1"] == (0.0, 0.99)
    numbers = {name: 0.0 for name in ("tilt_1", "tilt_2", "phi_12", "phi_jl")}
    assert as_prior(dict(PriorDict(filename=str(OWN))) | numbers).names == ALIGNED.names


def test_bilbys_json_is_read(tmp_path: Path) -> None:
    given = PriorDict(filename=str(OWN))
    given.to_json(str(tmp_path), "x")
    assert read_priors(tmp_path / "x_prior.json") == given


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("lambda_1 = Uniform(0, 5000)", "black holes: fix it at 0"),
        ("recalib_H1_amplitude_0 = Uniform(-1, 1)", "--calibration"),
        ("H1_time = Uniform(1, 1.2)", "at the geocentre: leave it out"),
        ("chirp_mass = Gaussian(30, 2)", "from -inf to inf: an analysis needs ends"),
    ],
)
def test_what_is_no_parameter_is_refused_for_what_it_is(tmp_path: Path, line: str, said: str) -> None:
    text = "\n".join(row for row in OWN.read_text().splitlines() if not row.startswith(line.split(" ")[0]))
    (tmp_path / "x.prior").write_text(f"{text}\n{line}\n")
    with pytest.raises(ConfigError, match=said):
        as_prior(tmp_path / "x.prior")
