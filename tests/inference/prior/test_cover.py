"""Priors as bilby's users have them: taken as they are, under parts that are nowhere narrower, or refused for what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bilby
import pytest
from bilby.core.prior import Constraint, Interped, PowerLaw, PriorDict, Sine, Uniform
from bilby.gw.prior import AlignedSpin, UniformSourceFrame

from gwsurrogate_ml.binaries import ALIGNED, PRECESSING
from gwsurrogate_ml.cli.analyze.settings import Settings
from gwsurrogate_ml.cli.options import parse_prior
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.inference.prior.binary import BinaryPrior, as_prior, of_file, time_of
from gwsurrogate_ml.inference.prior.composition import ComposedPrior
from gwsurrogate_ml.inference.prior.from_bilby import within
from gwsurrogate_ml.inference.prior.span import require_covered
from gwsurrogate_ml.surrogate.load import load_model

GPS = 1126259462.4
OWN = Path(bilby.gw.prior.__file__).parent / "prior_files"
FILE = "formats/4s.prior"


def changed(**change: Any) -> dict[str, Any]:
    return dict(BinaryPrior().to_bilby(GPS)) | change


def require_wider(prior: ComposedPrior) -> None:
    """The parts reach as far as the target in all parameters."""
    assert prior.target is not None
    parts = prior.to_bilby(GPS)
    for name in prior.target.non_fixed_keys:
        assert parts[name].minimum <= prior.target[name].minimum + 1e-9, name
        assert parts[name].maximum >= prior.target[name].maximum - 1e-9, name


@pytest.mark.exchange("priors", "prior file", "bilby, `4s.prior`", "read")
def test_a_file_of_a_real_analysis_is_taken_as_it_is(data_dir) -> None:
    path = data_dir(FILE)
    model = load_model("lal:IMRPhenomXPHM")
    for source in (path, str(path), PriorDict(filename=str(path))):
        prior = as_prior(source, GPS, model)
        assert prior.names == PRECESSING.names
        require_wider(prior)
        assert prior.target == PriorDict(filename=str(path))
        require_covered(prior, model, model.name, 20.0, 4.0)
    assert as_prior(path).names == PRECESSING.names  # also without a model


def test_a_file_of_another_events_time_is_refused(data_dir, tmp_path: Path) -> None:
    timed = tmp_path / "timed.prior"
    time = f"geocent_time = Uniform(name='geocent_time', minimum={GPS - 0.08}, maximum={GPS})\n"
    timed.write_text(data_dir(FILE).read_text() + time)
    assert of_file({"file": timed}, load_model("lal:IMRPhenomXPHM")).time_half_width == pytest.approx(0.04)
    assert time_of({"file": timed}, GPS + 0.6, 3.0) == pytest.approx(GPS - 0.04)
    assert time_of({"file": timed, "time_half_width": 0.1}, GPS, 3.0) is None
    assert time_of({"file": data_dir(FILE)}, GPS, 3.0) is None
    with pytest.raises(ConfigError, match=r"geocent_time of .*timed.prior is about GPS .*, the event at 1187008882.400: "):
        time_of({"file": timed}, 1187008882.4, 3.0)


def test_a_file_wider_than_the_model_is_refused_with_all_that_is_wider(data_dir) -> None:
    path, model = data_dir(FILE), load_model("nrphm")
    words = r"mass_ratio \(0.125 to 1\) exceeds what nrphm covers \(0.166667 to 1\): .*--prior mass_ratio=LOW,HIGH"
    with pytest.raises(ConfigError, match=words):
        require_covered(as_prior(path, GPS, model), model, "nrphm", 20.0, 4.0)
    # Ranges beside a file are ends of its own densities; all of its other parameters are within the model.
    narrowed = of_file(parse_prior([str(path), "mass_ratio=0.17,1", "luminosity_distance=100,3000"]), model)
    require_covered(narrowed, model, "nrphm", 20.0, 4.0)
    assert narrowed.bounds()["a_1"] == (0.0, 0.88)
    assert narrowed.target["mass_ratio"] == Uniform(0.17, 1, name="mass_ratio")
    assert narrowed.target["luminosity_distance"] == UniformSourceFrame(100, 3000, name="luminosity_distance", unit="Mpc")
    table = Interped([20, 30, 40], [1, 2, 1], name="chirp_mass")
    with pytest.raises(ConfigError, match="give a range inside it"):
        within("chirp_mass", table, 10.0, 30.0)
    with pytest.raises(ConfigError, match=r"has a_1, a parameter of precessing spins, .* nrphm and lal:IMRPhenomXPHM"):
        as_prior(path, GPS, load_model("nr22"))
    # Spins of a range in their place: an aligned prior with the file's masses and distance.
    aligned = of_file(parse_prior([str(path), "chi=-0.8,0.8"]), load_model("nr22"))
    assert aligned.names == ALIGNED.names


def test_a_range_of_spins_takes_the_place_of_a_files_uniform_ones(tmp_path: Path) -> None:
    path, model = tmp_path / "aligned.prior", load_model("nrphm")
    BinaryPrior(chirp_mass=(25.0, 35.0), mass_ratio=(0.2, 1.0)).write_prior_file(path, GPS)
    prior = of_file(parse_prior([str(path), "chi=-0.7,0.7"]), model)
    assert (prior.bounds()["a_1"], prior.bounds()["chirp_mass"]) == ((0.0, 0.7), (25.0, 35.0))
    aligned = load_model("nr22")
    assert of_file(parse_prior([str(path), "chi=-0.7,0.7"]), aligned).spins == "uniform"
    # Isotropic ones are cut, and stay isotropic.
    BinaryPrior(chirp_mass=(25.0, 35.0), spins="isotropic").write_prior_file(path, GPS)
    assert of_file(parse_prior([str(path), "chi=-0.7,0.7"]), aligned) == BinaryPrior(
        chirp_mass=(25.0, 35.0), chi=(-0.7, 0.7), spins="isotropic"
    )
    assert of_file(parse_prior([str(path), "chi=-0.7,0.7", "spins=uniform"]), aligned).spins == "uniform"
    BinaryPrior(chirp_mass=(25.0, 35.0), mass_ratio=(0.2, 1.0)).write_prior_file(path, GPS)
    with pytest.raises(ConfigError, match=r"chi_1, a parameter of aligned spins, .*--prior chi=-A,A after the file"):
        of_file(parse_prior([str(path)]), model)
    with pytest.raises(ConfigError, match="--prior spins=isotropic"):
        of_file(parse_prior([str(path), "chi=-0.7,0.7", "spins=uniform"]), model)


def test_the_file_stays_in_the_command_and_its_checksum(data_dir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = data_dir(FILE)
    (tmp_path / "4s.prior").write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    settings = Settings(prior=parse_prior(["4s.prior", "luminosity_distance=100,3000"]), surrogate="lal:IMRPhenomXPHM")
    words = [word for at, word in enumerate(settings.options()) if settings.options()[at - 1] == "--prior"]
    assert words == ["4s.prior", "luminosity_distance=100.0,3000.0"]
    assert parse_prior(words) == settings.prior
    assert "prior" in settings.sha256()
    assert settings.absolute().prior["file"] == str(tmp_path / "4s.prior")
    # A file after words is all of the prior.
    assert parse_prior(["luminosity_distance=100,3000", "4s.prior"]) == {"file": "4s.prior"}


@pytest.mark.parametrize("name", ["aligned_spins_bbh.prior", "precessing_spins_bbh.prior"])
def test_bilbys_own_priors_are_taken_with_their_constraints(name: str) -> None:
    prior = as_prior(OWN / name, GPS)
    require_wider(prior)
    assert set(prior.target.constraint_keys) == {"mass_1", "mass_2"}
    assert prior.bounds()["chirp_mass"] == (25.0, 100.0)


def test_what_parts_say_needs_no_target() -> None:
    assert as_prior(changed(total_mass=Constraint(20, 500)), GPS) == BinaryPrior()
    fields = {"chirp_mass": (20.0, 30.0), "chi": (-0.7, 0.7)}
    precessing = of_file(fields, load_model("nrphm"))
    assert as_prior(precessing.to_bilby(GPS), GPS) == precessing


@pytest.mark.parametrize(
    "change",
    [
        {"luminosity_distance": UniformSourceFrame(100, 5000, name="luminosity_distance")},
        {"luminosity_distance": Uniform(900, 1000)},
        {"chirp_mass": Uniform(20, 45)},
        {"chi_2": AlignedSpin(Uniform(0, 0.7), num_interp=500)},
        {"chi_1": AlignedSpin(PowerLaw(2, 0, 0.9), num_interp=20), "chi_2": AlignedSpin(Uniform(0, 0.8), num_interp=500)},
        {"theta_jn": Sine(0, 1.5), "ra": Uniform(1, 1.2)},
        {"mass_2": Constraint(5, 40)},
    ],
    ids=lambda change: "-".join(change),
)
def test_densities_of_other_shapes_get_a_target(change: dict[str, Any]) -> None:
    given = changed(**change)
    prior = as_prior(given, GPS)
    require_wider(prior)
    assert set(prior.target) == set(given) - {"geocent_time"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ra": 1.9}, "the prior on ra is the single value 1.9, .* Uniform about 1.9"),
        ({"mass_1": Uniform(5, 100)}, "has mass_1, which is no parameter"),
        ({"mass_1_source": Constraint(5, 100)}, "Constraint on mass_1_source, which does not follow"),
        ({"total_mass": Constraint(5, 10)}, "Constraints on total_mass leave nothing"),
        ({"ra": Uniform(-1, 1)}, r"ra \(-1 to 1\) is wider .* \(0 to 6.28319\)"),
        ({"geocent_time": Sine(GPS - 1, GPS + 1)}, "geocent_time is Sine: arrival times are uniform"),
        ({"geocent_time": Uniform(GPS, GPS + 0.2)}, "geocent_time has its middle"),
        ({"chi_1": Uniform(-1, 1)}, r"lie in \(-1, 1\)"),
        ({"luminosity_distance": UniformSourceFrame(0, 500, name="luminosity_distance")}, "luminosity_distance .*must be positive"),
    ],
)
def test_what_cannot_be_analysed_is_refused_for_what_it_is(change: dict[str, Any], words: str) -> None:
    with pytest.raises((ConfigError, DomainError), match=words):
        as_prior(changed(**change), GPS)


def test_spins_beyond_one_are_refused_by_name() -> None:
    given = PriorDict(filename=str(OWN / "precessing_spins_bbh.prior"))
    with pytest.raises(ConfigError, match="a_1 and a_2 reach 1: spins lie below 1"):
        as_prior(dict(given) | {"a_1": Uniform(0, 1)}, GPS)
