"""Spectra that are not the data's and glitches are told from Gaussian noise, in which tiles are chi-squared."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.inference import BinaryPrior, Estimator, LalModel, SegmentLikelihood, sample_event
from gwsurrogate_ml.inference.analysis import choice
from gwsurrogate_ml.inference.analysis.preflight import draws_and_seed, require_spectra, spectrum_flags
from gwsurrogate_ml.inference.likelihood.tiles import tiles
from gwsurrogate_ml.inference.likelihood.trigger import Trigger, search
from gwsurrogate_ml.inference.result.residual import GLITCH, loudest_glitch
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.strain.spectrum import load_psd

GPS = 1187008882.4
BINARY = {
    "chirp_mass": 28.0, "mass_ratio": 0.7, "chi_1": 0.2, "chi_2": -0.1, "theta_jn": 0.6, "phase": 1.0, "psi": 0.4, "ra": 1.9,
    "dec": 0.3, "luminosity_distance": 400.0, "geocent_time": GPS,
}  # fmt: skip
MERGER = np.array([2.0, 2.0])


def segment(seed: int, binary: dict[str, float] | None = None) -> AnalysisSegment:
    data = simulate(binary, LalModel(), duration=8.0, sampling_frequency=2048.0, gps=GPS, seed=seed)
    return data.segment(psd="aLIGO")


def likelihood(seed: int, **changes: np.ndarray) -> SegmentLikelihood:
    return SegmentLikelihood(replace(segment(seed), **changes), LalModel())


def found(of: SegmentLikelihood, prior: BinaryPrior = BinaryPrior()) -> Trigger:  # noqa: B008
    band = np.flatnonzero(of.frequencies >= 20)
    reference = of.waveforms(np.array([[28.0, 0.8, 0.0, 0.0]]))[0, band]
    return search(of, prior, reference, band, 0)


def test_tiles_of_gaussian_noise_are_chi_squared_in_every_band() -> None:
    several = [likelihood(seed) for seed in range(12)]
    for band in range(5):
        t = [tiles(x, x.strain, 0) for x in several]
        values = np.concatenate([x.ratio[band] * x.dof[band] for x in t])
        assert np.mean(values) == pytest.approx(t[0].dof[band], rel=4 * np.sqrt(2 / t[0].dof[band] / len(values)))
        # The tiles' edges mix neighbouring bins: slightly fewer degrees of freedom than bins, in the lowest band most.
        assert kstest(values / np.mean(values) * t[0].dof[band], "chi2", (t[0].dof[band],)).statistic < 0.12


def test_levels_and_excess_are_measured_against_the_tiles_asked_for() -> None:
    t = tiles(likelihood(1), likelihood(1).strain, 0)
    everywhere = np.ones(len(t.times), bool)
    np.testing.assert_allclose(t.levels(everywhere), 1.0, atol=0.6)
    assert t.excess(everywhere).max() < 40
    assert np.all(t.excess(~everywhere | (np.arange(len(t.times)) < 9))[:, 9:] == 0)


@pytest.mark.slow
def test_the_right_spectrum_is_not_flagged_with_a_loud_signal_either() -> None:
    for seed in range(6):
        of = SegmentLikelihood(segment(seed, BINARY), LalModel())
        event = found(of)
        assert event.network_snr > 40
        assert spectrum_flags(of, event) == []


def test_a_spectrum_off_by_two_is_named_with_its_detector_and_band() -> None:
    psd = segment(2).psd.copy()
    psd[1] *= 2.2
    of = likelihood(2, psd=psd)
    flags = spectrum_flags(of, found(of))
    assert len(flags) == 1
    assert flags[0].startswith("spectrum unlike the noise: L1's segment has 0.")
    psd[1] /= 2.2**2
    of = likelihood(2, psd=psd)
    assert spectrum_flags(of, found(of))[0].startswith("spectrum unlike the noise: L1's segment has 2.")


@pytest.mark.parametrize("factor", [30.0, 100.0, 1000.0])
def test_a_spectrum_that_is_far_too_large_is_flagged(factor: float) -> None:
    """From 50 on it was taken for a signal without noise."""
    of = SegmentLikelihood(replace(s := segment(2, BINARY), psd=factor * s.psd), LalModel())
    flags = spectrum_flags(of, found(of))
    assert [flag.partition(":")[0] for flag in flags] == ["spectrum unlike the noise"] * 2


def test_a_spectrum_off_by_far_is_refused_before_the_sampling() -> None:
    of = likelihood(3, psd=segment(3).psd / 5)
    with pytest.raises(DataError, match=r"H1: the noise of the segment has [45]\.\d times the power.*leave out --psd"):
        spectrum_flags(of, found(of))


def test_a_spectrum_of_another_detector_is_named_with_its_file_before_the_search(tmp_path, monkeypatch) -> None:
    data = simulate(BINARY, LalModel(), duration=8.0, sampling_frequency=2048.0, gps=GPS, seed=3)
    frequencies, psd = load_psd("aLIGO")
    np.savetxt(tmp_path / "quiet_psd.txt", np.column_stack([frequencies, psd / 5]))

    def never(*_: Any) -> None:
        raise AssertionError("the search has begun")

    monkeypatch.setattr(choice, "locate", never)
    sources = {"H1": "aLIGO", "L1": str(tmp_path / "quiet_psd.txt")}
    for estimator in ("", "bbh-h1l1"):
        with pytest.raises(DataError, match=r"L1: the noise of the segment has [45]\.\d times.*quiet_psd.txt.*leave out --psd"):
            choice.choose(data, choice.Wanted(psd=sources, estimator=estimator))
    with pytest.raises(AssertionError, match="has begun"):  # the signal alone, of an SNR above 40, makes no spectrum wrong
        choice.choose(data, choice.Wanted(psd="aLIGO"))


def test_a_change_of_one_band_is_flagged_and_not_refused() -> None:
    s = segment(4)
    low = (s.frequencies > 20) & (s.frequencies < 40)
    of = likelihood(4, psd=np.where(low, s.psd / 6, s.psd))
    (one, two) = spectrum_flags(of, found(of))
    assert "at 20 to 40 Hz" in one
    assert "80" not in one.partition(" Hz")[0]
    assert two.startswith("spectrum unlike the noise: L1")


@pytest.mark.parametrize(("at", "frequency", "snr"), [(1.0, 100.0, 20.0), (2.9, 60.0, 30.0), (0.6, 250.0, 15.0)])
def test_a_glitch_is_found_at_its_time_and_band(at: float, frequency: float, snr: float) -> None:
    of = likelihood(5)
    assert loudest_glitch(of, np.zeros_like(of.strain), MERGER, 0.375, 0.125)["snr"] ** 2 < GLITCH
    f = of.frequencies
    burst = np.exp(-0.5 * ((f - frequency) / 15) ** 2 - 2j * np.pi * f * at)
    strain = of.segment.strain.copy()
    strain[1] += burst * snr / np.sqrt(np.sum(of.weight[1] * np.abs(burst) ** 2))
    of = likelihood(5, strain=strain)
    found = loudest_glitch(of, np.zeros_like(of.strain), MERGER, 0.375, 0.125)
    assert found["detector"] == "L1"
    # A burst on the seam of two tiles or bands leaves half of its energy to each.
    assert 0.5 * snr < found["snr"] < 1.1 * snr
    assert found["start"] <= at - 2.0 + 0.05
    assert at - 2.0 < found["start"] + 0.125 + 0.05
    assert found["f_low"] <= frequency < found["f_high"]


def test_short_segments_have_too_few_tiles_to_say_anything() -> None:
    data = simulate(None, duration=8.0, sampling_frequency=2048.0, gps=GPS, seed=1)
    short = data.segment(duration=1.5, post_trigger=0.75, psd="aLIGO")
    of = SegmentLikelihood(replace(short, psd=short.psd / 5), LalModel())
    assert loudest_glitch(of, np.zeros_like(of.strain), np.array([0.75, 0.75]), 0.375, 0.125)["snr"] == 0.0


def test_the_loudest_signals_are_not_taken_for_noise() -> None:
    for chirp_mass, distance in ((28.0, 12.0), (16.0, 8.0)):
        of = SegmentLikelihood(segment(7, BINARY | {"chirp_mass": chirp_mass, "luminosity_distance": distance}), LalModel())
        require_spectra(of, "aLIGO")
        loud = search(
            of,
            BinaryPrior(chirp_mass=(15.0, 60.0)),
            of.waveforms(np.array([[28.0, 0.8, 0, 0]]))[0, 80:],
            np.arange(80, 4097),
            0,
        )
        assert loud.network_snr > 1000
        assert spectrum_flags(of, loud) == []


def test_a_band_too_narrow_for_a_tile_says_nothing() -> None:
    whole = segment(2, BINARY)
    narrow = (whole.frequencies > 100) & (whole.frequencies < 103)
    of = SegmentLikelihood(replace(whole, psd=np.where(narrow, whole.psd, np.inf)), LalModel())
    assert not tiles(of, of.strain, 0).bands.size
    assert spectrum_flags(of, found(of)) == []


def test_a_signal_without_noise_belongs_to_any_spectrum() -> None:
    data = simulate(BINARY, LalModel(), duration=8.0, sampling_frequency=2048.0, gps=GPS, zero_noise=True)
    of = SegmentLikelihood(data.segment(psd="aLIGO"), LalModel())
    assert spectrum_flags(of, found(of)) == []


def test_a_spectrum_that_was_measured_is_not_blamed_on_an_option() -> None:
    s = replace(segment(3), psd=segment(3).psd / 5, psd_segments=(60, 60))
    of = SegmentLikelihood(s, LalModel())
    with pytest.raises(DataError, match="far from steady; give the spectrum of these data"):
        spectrum_flags(of, found(of))


def test_a_band_without_a_whole_bin_says_nothing() -> None:
    narrow = SegmentLikelihood(replace(segment(1), mask=np.abs(segment(1).frequencies - 28.5) < 2), LalModel())
    assert len(tiles(narrow, narrow.strain, 0).dof) <= 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 5000.5}, "n is 5000.5: give a whole number"),
        ({"n": "many"}, "n is 'many'"),
        ({"n": 10}, "at least 100 draws"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": True}, "seed is True"),
    ],
)
def test_numbers_that_are_none_are_refused_before_any_work(given: dict[str, Any], message: str) -> None:
    for analyse in (partial(sample_event, None, None), partial(Estimator.sample, None, None)):
        with pytest.raises(ConfigError, match=re.escape(message)):
            analyse(**given)


def test_more_sets_than_draws_are_refused() -> None:
    assert draws_and_seed(100, 0, 100) == (100, 0)
    for n_sets in (0, 101):
        with pytest.raises(ConfigError, match=f"n_sets is {n_sets}: .* no more than there are draws, 100"):
            draws_and_seed(100, 0, n_sets)
