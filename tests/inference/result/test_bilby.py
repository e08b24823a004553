"""Our results in bilby's files: JSON, HDF5 and pickle hold the same draws, prior density, detectors and settings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bilby.core.likelihood import Likelihood
from bilby.core.prior import Constraint, Interped, Uniform
from bilby.core.result import get_weights_for_reweighting, read_in_result
from bilby.gw.prior import BBHPriorDict
from bilby.gw.result import CBCResult

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.inference import Result
from gwsurrogate_ml.inference.prior.constraints import log_density
from gwsurrogate_ml.inference.result.bilby import _of_binaries, approximant, read, settings_of
from tests.inference.result.test_reweight import TABLE, other_prior, toy

pytestmark = pytest.mark.peer
EXTENSIONS = ("json", "hdf5", "h5", "pkl")


@pytest.fixture(scope="module")
def result() -> Result:
    """A result with all that files have lost before: a list of dictionaries, an empty one, a table, a cut, a comma in a label."""
    base = toy(2000)
    base.meta["segment"] |= {"f_min": 30.0, "f_max": 512.0, "roll_off": 0.2}
    more = {"rounds": [{"efficiency": 0.1, "power": None}, {"proposal": "flow"}], "checks": {}, "surrogate": {"name": "nr22"}}
    base.meta.update(more)
    table = Interped(TABLE, TABLE**2, 21, 40, name="chirp_mass", latex_label="$M, c$")
    return base.with_prior(other_prior(chirp_mass=table, mass_2=Constraint(22, 60, name="mass_2")))


@pytest.fixture(scope="module")
def files(result: Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for extension in EXTENSIONS:
        result.to_bilby().save_to_file(filename=str(folder / f"r.{extension}"), extension=extension)
    return folder


def require_same(found: CBCResult, result: Result) -> None:
    """Draws, evidence, detectors and settings of `result`."""
    expected = result.to_bilby()
    assert found.search_parameter_keys == expected.search_parameter_keys
    for name in expected.posterior:
        np.testing.assert_array_equal(found.posterior[name], expected.posterior[name])
    assert (found.log_evidence, found.log_bayes_factor) == (result.log_evidence, result.log_bayes_factor)
    assert found.interferometers == ["H1", "L1"]
    assert (found.sampling_frequency, found.duration) == (1024.0, 4.0)
    assert found.start_time == result.meta["segment"]["start_time"]
    assert found.reference_frequency == found.waveform_arguments["minimum_frequency"] == 30.0
    assert found.waveform_approximant == "GWSML_NR22"
    likelihood = found.meta_data["likelihood"]
    assert (likelihood["f_low"], likelihood["f_final"], likelihood["delta_f"]) == (30.0, 512.0, 0.25)  # PESummary's names
    assert settings_of(found) == json.loads(json.dumps(result.meta | {"flags": result.flags}))
    assert settings_of(found)["rounds"][0] == {"efficiency": 0.1, "power": None}


def require_same_prior(found: BBHPriorDict, result: Result) -> None:
    """Class and density, at draws and where the Constraint cuts."""
    expected = result.to_bilby().priors
    assert type(found) is type(expected) is BBHPriorDict
    names = result.to_bilby().search_parameter_keys
    at = {name: result.posterior[name].to_numpy()[:50].copy() for name in names}
    at["mass_ratio"][::2] = 0.15
    ours = log_density(expected, at)
    assert np.isinf(ours[::2]).all()
    assert np.isfinite(ours[1::2]).all()
    np.testing.assert_allclose(log_density(found, at), ours, rtol=1e-12)
    theirs = found.ln_prob(at, axis=0, normalized=False)  # the share that a Constraint leaves is found by chance there
    np.testing.assert_allclose(np.ptp((theirs - ours)[1::2]), 0.0, atol=1e-10)
    assert np.isinf(theirs[::2]).all()
    assert found["chirp_mass"].latex_label == "$M, c$"


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.exchange("results", "JSON, HDF5, pickle", "bilby", "round trip")
def test_all_formats_hold_the_same(result: Result, files: Path, extension: str) -> None:
    path = files / f"r.{extension}"
    found = read_in_result(str(path), result_class=CBCResult)
    assert type(found) is CBCResult  # bilby's own: it is read where this package is not
    require_same(found, result)
    require_same_prior(found.priors, result)
    require_same_prior(read(path).priors, result)


def test_json_holds_what_bilby_itself_writes(result: Result, files: Path, tmp_path: Path) -> None:
    _of_binaries(result.to_bilby()).save_to_file(filename=str(tmp_path / "theirs.json"))
    theirs, ours = (json.loads(path.read_text()) for path in (tmp_path / "theirs.json", files / "r.json"))
    assert theirs == ours
    assert list(theirs) == list(ours)


@pytest.mark.slow
@pytest.mark.process
def test_bilby_result_turns_one_into_the_other(result: Result, files: Path, tmp_path: Path) -> None:
    command = str(Path(sys.executable).with_name("bilby_result"))
    words = [command, "-r", str(files / "r.json"), "-s", "--extension", "hdf5", "-o", str(tmp_path), "-l", "turned"]
    subprocess.run(words, check=True, capture_output=True)
    assert [path.name for path in tmp_path.iterdir()] == ["turned_result.hdf5"]
    found = read(tmp_path / "turned_result.hdf5")
    require_same(found, result)
    require_same_prior(found.priors, result)
    words = [command, "-r", str(files / "r.hdf5"), str(files / "r.json"), "--print", "log_evidence"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert done.stdout.count(str(result.log_evidence)) == 2


def test_files_are_whole_or_not_there(result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = result.to_bilby("mine")
    theirs.save_to_file(outdir=str(tmp_path / "new"), extension="hdf5")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["mine_result.hdf5"]
    theirs.save_to_file(filename="r.json.gz", outdir=str(tmp_path), extension="json", gzip=True)
    assert read_in_result(str(tmp_path / "r.json.gz")).log_evidence == result.log_evidence
    path = tmp_path / "r.hdf5"
    theirs.save_to_file(filename=str(path))
    theirs.save_to_file(filename=str(path), overwrite=False)
    assert (tmp_path / "r.hdf5.old").is_file()  # as bilby keeps it
    before = path.read_bytes()
    theirs.meta_data["mine"] = [{"a": 1}]  # what bilby's HDF5 cannot hold
    with pytest.raises(ConfigError, match=r"r.hdf5 cannot be written: bilby cannot save this result as hdf5"):
        theirs.save_to_file(filename=str(path), overwrite=True)
    assert path.read_bytes() == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".") or p.suffix == ".pkl"]
    with pytest.raises(ConfigError, match="extension is 'dat': give one of json, hdf5"):
        theirs.save_to_file(filename=str(path), extension="dat")
    with pytest.raises(ConfigError, match="cannot be written"):
        theirs.save_to_file(filename=str(path / "r.json"))


def test_files_of_others_are_told_from_ours(result: Result, files: Path, tmp_path: Path) -> None:
    plain = read_in_result(str(files / "r.json"), result_class=CBCResult)
    del plain.meta_data["gwsurrogate_ml"]
    plain.save_to_file(filename=str(tmp_path / "other.json"))
    with pytest.raises(DataError, match="was not made by this package"):
        read(tmp_path / "other.json")
    (tmp_path / "cut.json").write_text((files / "r.json").read_text()[:500])
    for name in ("cut.json", "missing.json", "r.txt"):
        with pytest.raises(DataError, match=f"{name} is no bilby result"):
            read(tmp_path / name)


def test_models_have_the_names_that_others_know() -> None:
    assert approximant({"surrogate": {"name": "nrphm"}, "waveform": "lal:IMRPhenomXHM"}) == "IMRPhenomXHM"
    assert approximant({"surrogate": {"name": "mine"}}) == "mine"
    assert approximant({}) == "unknown"


class Half(Likelihood):
    """Half the mass ratio."""

    def log_likelihood(self, parameters: dict[str, float] | None = None) -> float:
        return 0.5 * (self.parameters if parameters is None else parameters)["mass_ratio"]


def test_bilby_reweights_a_result_by_its_own_means() -> None:
    """Under another likelihood by the prior's density that is stored, and under another prior, of the parameters' columns alone."""
    ours = toy(40)
    theirs = ours.to_bilby()
    weights, new, before, _, after = get_weights_for_reweighting(theirs, new_likelihood=Half({"mass_ratio": None}))
    assert np.isfinite(weights).all()
    np.testing.assert_array_equal(before, after)
    np.testing.assert_allclose(new, 0.5 * ours.posterior["mass_ratio"])
    narrow = other_prior(chirp_mass=Uniform(25, 35, name="chirp_mass"))
    theirs.posterior = theirs.posterior[[*theirs.search_parameter_keys, "log_prior", "log_likelihood"]]
    weights = get_weights_for_reweighting(theirs, new_prior=narrow)[0]
    inside = ours.posterior["chirp_mass"].between(25, 35)
    np.testing.assert_array_equal(np.isfinite(weights), inside)
    drawn = {name: ours.posterior[name].to_numpy()[inside] for name in theirs.search_parameter_keys}
    expected = log_density(narrow, drawn) - log_density(ours.to_bilby().priors, drawn)
    np.testing.assert_allclose(weights[inside], expected, atol=1e-9)
