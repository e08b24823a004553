"""Priors from and to bilby: round trips to the last digit, and refusals that name the parameter, its prior and the way on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bilby
import pytest
from bilby.core.prior import Constraint, Cosine, LogUniform, PowerLaw, PriorDict, Sine, Uniform
from bilby.gw.prior import AlignedSpin, UniformSourceFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from gwsurrogate_ml.cli.analyze.settings import Settings
from gwsurrogate_ml.cli.options import parse_prior
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.inference import BinaryPrior
from gwsurrogate_ml.inference.prior.binary import as_prior, of_file, time_of
from gwsurrogate_ml.inference.prior.extrinsic import Extrinsic
from gwsurrogate_ml.surrogate.load import load_model

GPS = 1126259462.4
ISOTROPIC = BinaryPrior(chirp_mass=(7.7, 10.0), chi=(-0.99, 0.99), spins="isotropic", time_half_width=0.05)

FRAME = UniformSourceFrame(100, 5000, name="luminosity_distance")


def changed(**change: Any) -> dict[str, Any]:
    return dict(BinaryPrior().to_bilby(GPS)) | change


@pytest.mark.slow
@given(
    st.floats(1.0, 50.0),
    st.floats(0.05, 0.9),
    st.floats(0.01, 0.99),
    st.sampled_from(["uniform", "isotropic"]),
    st.integers(1, 500_000),
)
@settings(deadline=None, max_examples=25)
def test_the_way_to_bilby_and_back_is_exact(low: float, q: float, chi: float, spins: str, microseconds: int) -> None:
    prior = BinaryPrior(
        chirp_mass=(low, 2 * low),
        mass_ratio=(q, 1.0),
        chi=(-chi, chi),
        luminosity_distance=(low, 100 * low),
        time_half_width=microseconds / 1e6,
        spins=spins,
    )
    assert BinaryPrior.from_bilby(prior.to_bilby(GPS), GPS) == prior


@pytest.mark.slow
@pytest.mark.parametrize("prior", [BinaryPrior(), ISOTROPIC], ids=["uniform", "isotropic"])
def test_prior_files_are_written_and_read(prior: BinaryPrior, tmp_path: Path) -> None:
    path = tmp_path / "event.prior"
    prior.write_prior_file(path, GPS)
    assert bilby.gw.prior.BBHPriorDict(filename=str(path)) == prior.to_bilby(GPS)
    assert as_prior(path, GPS) == as_prior(str(path)) == BinaryPrior.from_bilby(path) == prior
    settings_ = Settings(prior=parse_prior([str(path)]))
    words = [word for word in settings_.options() if word.endswith(".prior")]
    assert parse_prior(words) == settings_.prior == {"file": str(path)}
    assert of_file(settings_.prior, load_model("nr22")) == prior
    # Its time counts, as that of any file.
    assert time_of(settings_.prior, GPS + 0.5, 3.0) == pytest.approx(GPS)
    with pytest.raises(ConfigError, match="the event at"):
        time_of(settings_.prior, GPS + 60.0, 3.0)
    with pytest.raises(ConfigError, match="end in"):
        prior.write_prior_file(tmp_path / "event.txt", GPS)


def test_old_priors_are_written_as_ever() -> None:
    assert list(BinaryPrior().model_dump()) == [
        "chirp_mass",
        "mass_ratio",
        "chi",
        "luminosity_distance",
        "time_half_width",
    ]
    assert ISOTROPIC.model_dump(mode="json")["spins"] == "isotropic"
    assert BinaryPrior.model_validate_json(ISOTROPIC.model_dump_json()) == ISOTROPIC


def test_equal_densities_of_other_classes_are_read() -> None:
    same = changed(
        chirp_mass=PowerLaw(1, 20.0, 45.0),
        chi_1=Uniform(-0.9, 0.9, name="s1"),
        theta_jn=Sine(),
        total_mass=Constraint(20, 500),
        mass_2=Constraint(5, 100),
    )
    del same["geocent_time"]
    assert BinaryPrior.from_bilby(same) == as_prior(PriorDict(same), GPS) == BinaryPrior()
    assert as_prior({"chirp_mass": [20, 45], "chi": (-0.9, 0.9)}) == BinaryPrior()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"luminosity_distance": FRAME}, r"luminosity_distance is UniformSourceFrame from 100 to 5000.*alpha=2.*with_prior"),
        ({"luminosity_distance": PowerLaw(3, 10, 3000)}, r"luminosity_distance is PowerLaw .*alpha=2"),
        ({"chirp_mass": Uniform(20, 45)}, "chirp_mass is Uniform from 20 to 45, and can be UniformInComponentsChirpMass"),
        ({"mass_ratio": LogUniform(0.125, 1)}, "mass_ratio is LogUniform .*UniformInComponentsMassRatio"),
        ({"chi_2": AlignedSpin(Uniform(0, 0.9))}, "chi_2 is AlignedSpin"),
        ({"chi_2": Uniform(-0.9, 0.8)}, "chi_2 is Uniform from -0.9 to 0.8"),
        ({"chi_1": AlignedSpin(Uniform(0, 0.9), Uniform(0, 1), num_interp=50)}, r"chi_1 is AlignedSpin .*Uniform\(0, a\)"),
        ({"chi_1": AlignedSpin(PowerLaw(2, 0, 0.9), num_interp=50)}, r"chi_1 is AlignedSpin .*Uniform\(0, a\)"),
        ({"theta_jn": Sine(0, 1.5)}, "theta_jn is Sine from 0 to 1.5"),
        ({"dec": Cosine(0, 1)}, "dec is Cosine"),
        ({"ra": Uniform(1, 2), "psi": Uniform(0, 3)}, "psi is Uniform .*ra is Uniform"),
        ({"mass_2": Constraint(5, 40)}, "mass_2 is Constraint from 5 to 40, which cuts into the prior: leave it out"),
        ({"mass_1_source": Constraint(5, 40)}, "Constraint on mass_1_source, which does not follow from chirp_mass"),
        ({"chirp_mass": Constraint(20, 45)}, "chirp_mass is a Constraint"),
        ({"mass_1": Uniform(5, 100)}, "has mass_1"),
        ({"a_1": Uniform(0, 1)}, "has a_1, a parameter of precessing spins, which the waveform model does not have"),
        ({"psi": 0.3}, "psi is the single value 0.3"),
        ({"geocent_time": Uniform(GPS, GPS + 0.2)}, "geocent_time has its middle"),
        ({"chi_1": Uniform(-1, 1), "chi_2": Uniform(-1, 1)}, r"lie in \(-1, 1\)"),
        ({"psi": "Nonsense(3)"}, "cannot be read"),
        ({"psi": "flat"}, "psi is 'flat', which is no prior"),
    ],
)  # fmt: skip
def test_what_no_part_says_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises((ConfigError, DomainError), match=words):
        BinaryPrior.from_bilby(changed(**change), GPS)


def test_bilbys_own_prior_file_is_refused_with_all_reasons() -> None:
    path = Path(bilby.gw.prior.__file__).parent / "prior_files" / "aligned_spins_bbh.prior"
    with pytest.raises(ConfigError, match=r"luminosity_distance is UniformSourceFrame.*mass_1 is Constraint"):
        BinaryPrior.from_bilby(path)
    adapted = dict(PriorDict(filename=str(path))) | Extrinsic((100.0, 5000.0), 0.1, GPS).to_bilby()
    del adapted["mass_1"], adapted["mass_2"]
    read = BinaryPrior.from_bilby(adapted, GPS)
    assert (read.spins, read.chi, read.chirp_mass) == ("isotropic", (-0.99, 0.99), (25.0, 100.0))


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.prior").write_text("chirp_mass = Nonsense(3)\n")
    for path, words in ((tmp_path / "no.prior", "no prior file"), (tmp_path / "bad.prior", "bad.prior cannot be read")):
        with pytest.raises(ConfigError, match=words):
            as_prior(path)
    with pytest.raises(ConfigError, match="chirpmass"):
        as_prior({"chirpmass": (1.0, 2.0)})
    with pytest.raises(ConfigError, match=r"chirp_mass is \(45.0, 20.0\)"):
        as_prior({"chirp_mass": (45.0, 20.0)})
