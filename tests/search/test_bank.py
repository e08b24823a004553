"""Placement of a template bank: the match, what the bank covers, its seed, its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.errors import ConfigError, DataError, DomainError
from gwsurrogate_ml.search.bank import BankConfig, Matcher, TemplateBank, cached, place
from gwsurrogate_ml.strain.spectrum import load_psd
from gwsurrogate_ml.waveform.lal import LalModel
from gwsurrogate_ml.waveform.model import Grid

SMALL = BankConfig(mass_min=32.0, mass_max=48.0, q_max=1.4, chi_max=0.3, min_match=0.95, patience=100, seed=3)


@pytest.fixture(scope="module")
def model():
    return LalModel("IMRPhenomD")


@pytest.fixture(scope="module")
def bank(model):
    return place(model, SMALL)


@pytest.mark.peer
def test_the_match_is_pycbcs(model):
    from pycbc.filter import match
    from pycbc.types import FrequencySeries

    matcher = Matcher(model, SMALL)
    parameters = np.array([[36.0, 30.0, 0.1, 0.1], [38.0, 31.0, -0.2, -0.2], [49.0, 34.0, 0.3, 0.3]])
    ours = matcher.matches(matcher.whitened(parameters[:1])[0], matcher.whitened(parameters))
    delta_f = 1 / matcher.duration
    h = model.quadrupole(Binaries.aligned(*parameters.T), Grid(matcher.duration, 8192.0, 20.0))
    psd = FrequencySeries(np.interp(np.arange(h.shape[1]) * delta_f, *load_psd("aLIGO")), delta_f=delta_f)
    series = [FrequencySeries(row, delta_f=delta_f) for row in h]
    for value, other in zip(ours, series, strict=True):
        theirs, _ = match(
            series[0], other, psd, low_frequency_cutoff=20.0, high_frequency_cutoff=512.0, subsample_interpolation=True
        )
        assert value == pytest.approx(theirs, abs=5e-4)


def test_new_binaries_with_unequal_spins_match_the_bank(model, bank):
    draws = SMALL.draw(60, np.random.default_rng(99), common_spin=False)
    matcher = Matcher(model, SMALL)
    templates = matcher.whitened(bank.parameters)
    best = np.array([matcher.matches(h, templates).max() for h in matcher.whitened(draws)])
    # Placement stops when one proposal in fifty is new: a few per cent of holes, and none of them deep.
    assert np.mean(best >= SMALL.min_match) > 0.9
    assert best.min() > SMALL.min_match - 0.03
    assert bank.info["coverage"]["matched"] > 0.9


def test_no_template_is_superfluous(model, bank):
    matcher = Matcher(model, SMALL)
    templates = matcher.whitened(bank.parameters)
    for i in range(1, len(bank)):
        assert matcher.matches(templates[i], templates[:i]).max() < SMALL.min_match


@pytest.mark.slow
def test_the_seed_decides_the_bank(model, bank):
    np.testing.assert_array_equal(place(model, SMALL).parameters, bank.parameters)
    other = place(model, BankConfig(**(vars(SMALL) | {"seed": 4})))
    assert other.parameters.shape[0] != 0
    assert not np.array_equal(other.parameters[0], bank.parameters[0])


def test_a_bank_comes_back_from_its_file_and_from_the_cache(model, bank, tmp_path):
    first = cached(model, "abc", SMALL, tmp_path)
    files = list(tmp_path.iterdir())
    assert [path.suffix for path in files] == [".hdf5"]
    np.testing.assert_array_equal(first.parameters, bank.parameters)

    class Untouched:
        frequency_domain = None

    again = cached(Untouched(), "abc", SMALL, tmp_path)
    np.testing.assert_array_equal(again.parameters, bank.parameters)
    assert again.config == SMALL
    assert again.info == first.info
    assert SMALL.key("abc") != SMALL.key("abd")
    # A file of a noise curve by the same name, with another curve in it.
    curve, keys = tmp_path / "curve.txt", []
    for level in (1e-46, 2e-46):
        np.savetxt(curve, np.column_stack([np.arange(5.0, 1100.0), np.full(1095, level)]))
        keys.append(replace(SMALL, psd=str(curve)).key("abc"))
    assert keys[0] != keys[1]
    assert "coverage" in first.info
    elsewhere = TemplateBank.load(files[0], SMALL.f_min + 5.0)
    assert "coverage" not in elsewhere.info


def test_a_bank_that_cannot_be_kept_is_placed_all_the_same_and_says_so(model, bank, tmp_path, monkeypatch, caplog):
    nowhere = tmp_path / "file"
    nowhere.touch()  # where the folder would be: no permission bits, which root does not heed
    monkeypatch.setenv("GWSML_CACHE", str(nowhere))
    found = cached(model, "abc", SMALL)
    np.testing.assert_array_equal(found.parameters, bank.parameters)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "GWSML_CACHE" in caplog.text
    caplog.clear()
    monkeypatch.setenv("GWSML_CACHE", str(tmp_path / "cache"))
    cached(model, "abc", SMALL)
    assert len(list((tmp_path / "cache").rglob("*.hdf5"))) == 1
    assert not caplog.records


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mass_min": 60.0}, "mass_min"),
        ({"q_max": 0.5}, "q_max"),
        ({"chi_max": 1.0}, "chi_max"),
        ({"min_match": 1.0}, "min_match"),
        ({"f_min": 600.0}, "f_min"),
        ({"patience": 0}, "patience"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        BankConfig(**(vars(SMALL) | change))


def test_too_many_templates_and_too_light_binaries_are_refused(model):
    with pytest.raises(ConfigError, match="more than 3 templates"):
        place(model, BankConfig(**(vars(SMALL) | {"max_templates": 3})))
    with pytest.raises(DomainError, match="total mass"):
        place(gw.load_surrogate("nr22"), BankConfig(mass_min=2.0, mass_max=50.0))
    with pytest.raises(ConfigError, match="unknown noise curve"):
        place(model, BankConfig(**(vars(SMALL) | {"psd": "nonsense"})))


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "bank.hdf5"
    with pytest.raises(DataError, match="no template bank"):
        TemplateBank.load(path)
    path.write_text("not HDF5")
    with pytest.raises(DataError, match="no template bank"):
        TemplateBank.load(path)
