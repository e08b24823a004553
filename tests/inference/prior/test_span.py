"""Priors that a model's waveforms do not cover are refused before the work, with limits that do."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.conventions import component_masses
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.inference.config import read_config
from gwsurrogate_ml.inference.prior.binary import BinaryPrior
from gwsurrogate_ml.inference.prior.span import require_covered, require_reach
from gwsurrogate_ml.settings import shipped

HEAVY = BinaryPrior(chirp_mass=(70.0, 200.0), luminosity_distance=(100.0, 10000.0))
LIGHT = BinaryPrior(chirp_mass=(3.5, 20.0), mass_ratio=(0.4, 1.0), chi=(-0.4, 0.4))


def refusal(prior: BinaryPrior, f_min: float, duration: float, model: Any) -> str:
    with pytest.raises(DomainError) as caught:
        require_reach(prior, model, f_min, duration)
    return str(caught.value)


def with_masses(prior: BinaryPrior, message: str) -> BinaryPrior:
    low, high = map(float, re.findall(r"--prior chirp_mass=([\d.]+),([\d.]+)", message)[0])
    return prior.model_copy(update={"chirp_mass": (low, high)})


def every_shape(prior: BinaryPrior, model: Any, f_min: float, duration: float, factor: float = 1.0) -> None:
    """Waveforms of random mass ratios and spins at both ends of the prior on chirp mass, times or divided by `factor`."""
    draws = prior.sample_intrinsic(300, np.random.default_rng(1))
    corners = np.array([[0.0, q, a, b] for q in prior.mass_ratio for a in (*prior.chi, 0.0) for b in (*prior.chi, 0.0)])
    _, mass_ratio, chi_1, chi_2 = np.concatenate([draws, corners]).T
    for chirp_mass in (prior.chirp_mass[0] / factor, prior.chirp_mass[1] * factor):
        masses = component_masses(np.full(len(mass_ratio), chirp_mass), mass_ratio)
        model.frequency_domain(*masses, chi_1, chi_2, duration=duration, sampling_frequency=256.0, f_min=f_min)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nr22", "nrhm"])
def test_waveforms_that_peak_below_f_min_are_found_out_and_both_remedies_hold_for_all_of_the_prior(name: str) -> None:
    model = gw.load_surrogate(name)
    message = refusal(HEAVY, 11.0, 8.0, model)
    assert "peak below f_min = 11 Hz for chirp masses up to 200" in message
    narrower = with_masses(HEAVY, message)
    assert narrower.chirp_mass[0] == 70.0
    highest, lowest = map(float, re.findall(r"at most ([\d.]+) Hz \(and at least ([\d.]+)\)", message)[0])
    for prior, f_min in ((narrower, 11.0), (HEAVY, highest)):
        require_reach(prior, model, f_min, 32.0)
        every_shape(prior, model, f_min, 32.0)
    require_reach(HEAVY, model, lowest, 512.0)
    with pytest.raises(DomainError, match="above the frequency at the peak"):
        every_shape(narrower, model, 11.0, 32.0, 1.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nr22", "nrhm"])
def test_waveforms_that_begin_above_f_min_are_found_out_and_both_remedies_hold(name: str) -> None:
    model = gw.load_surrogate(name)
    message = refusal(LIGHT, 20.0, 32.0, model)
    assert "does not reach down to f_min = 20 Hz for chirp masses from 3.5" in message
    narrower = with_masses(LIGHT, message)
    lowest = float(re.findall(r"at least ([\d.]+) Hz", message)[0])
    for prior, f_min in ((narrower, 20.0), (LIGHT, lowest)):
        require_reach(prior, model, f_min, 32.0)
        every_shape(prior, model, f_min, 32.0)
    with pytest.raises(DomainError, match="does not reach down"):
        every_shape(narrower, model, 20.0, 32.0, 1.02)


def test_signals_longer_than_the_segment_are_found_out_and_the_duration_named_holds_them() -> None:
    model, prior = gw.load_surrogate("nr22"), BinaryPrior(chirp_mass=(15.0, 30.0))
    message = refusal(prior, 20.0, 1.0, model)
    duration = float(re.findall(r"take one of at least (\d+) s \(--duration\)", message)[0])
    require_reach(prior, model, 20.0, duration)
    every_shape(prior, model, 20.0, duration)
    with pytest.raises(DomainError, match="too short"):
        every_shape(prior, model, 20.0, 1.0)


@pytest.mark.slow
def test_where_more_than_one_thing_is_wrong_the_remedies_mend_all_of_it() -> None:
    model = gw.load_surrogate("nr22")
    wide = BinaryPrior(chirp_mass=(3.0, 400.0))
    message = refusal(wide, 20.0, 32.0, model)
    assert "f_min (--f-min)" not in message  # none does for all of it
    assert re.search(r"begin the prior at a chirp mass of [\d.]+ and end it at a chirp mass of", message)
    require_reach(with_masses(wide, message), model, 20.0, 32.0)
    message = refusal(HEAVY, 11.0, 1.0, model)
    durations = [float(x) for x in re.findall(r"at least (\d+) s", message)]
    require_reach(HEAVY, model, float(re.findall(r"at most ([\d.]+) Hz", message)[0]), durations[0])
    require_reach(with_masses(HEAVY, message), model, 11.0, durations[1])
    far = refusal(BinaryPrior(chirp_mass=(0.1, 3.0)), 20.0, 32.0, model)
    low, high = map(float, re.findall(r"within ([\d.]+) to ([\d.]+)", far)[0])
    require_reach(BinaryPrior(chirp_mass=(low, high)), model, 20.0, 32.0)


@pytest.mark.parametrize("name", ["bbh-h1l1", "bbh-h1l1v1"])
def test_priors_that_shipped_networks_were_trained_on_pass(name: str) -> None:
    config = read_config(shipped(name))
    model = gw.load_surrogate(config.surrogate)
    require_covered(config.prior, model, config.surrogate, config.segment.f_min, config.segment.duration)


@pytest.mark.parametrize("changes", [{"chi": (-0.99, 0.99)}, {"mass_ratio": (0.05, 1.0)}])
def test_shapes_beyond_the_surrogate_are_refused_with_its_range(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="exceeds what nr22 covers"):
        require_covered(BinaryPrior(**changes), gw.load_surrogate("nr22"), "nr22", 20.0, 4.0)
