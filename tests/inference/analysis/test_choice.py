"""How an event is analysed: what the bank finds, and the estimator, or the prior, segment and band, that follow."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.inference.analysis.choice import Wanted, choose, from_scratch
from gwsurrogate_ml.inference.analysis.coarse_search import chirp_masses, locate
from gwsurrogate_ml.inference.prior.binary import BinaryPrior, of_model
from gwsurrogate_ml.inference.prior.span import require_reach
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.waveform.model import inspiral_time

GPS = 1126259462.4
PLACE = {"theta_jn": 0.5, "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": GPS}


@pytest.fixture(scope="module")
def nr22() -> gw.surrogate.model.Surrogate:
    return load_model("nr22")


def event(model, detectors: tuple[str, ...], chirp_mass: float, distance: float, rate: float = 2048.0, duration: float = 48.0):
    signal = PLACE | {"chirp_mass": chirp_mass, "mass_ratio": 0.7, "chi_1": 0.2, "chi_2": -0.1, "luminosity_distance": distance}
    return simulate(signal, model, detectors=detectors, duration=duration, sampling_frequency=rate, gps=GPS, seed=2)


def test_the_bank_is_dense_where_a_change_of_chirp_mass_shows() -> None:
    masses = chirp_masses()
    steps = masses[1:] / masses[:-1] - 1
    assert np.all(np.diff(steps) > -1e-9)
    assert steps[0] < 0.01 < 0.079 < steps[-1]


@pytest.mark.parametrize("other", [{"prior": {"chirp_mass": (20.0, 40.0)}}, {"surrogate": "nrhm"}, {"from_scratch": True}])
def test_an_estimator_that_is_named_goes_with_nothing_that_it_brings(nr22, other: dict) -> None:
    data = event(nr22, ("H1", "L1"), 28.0, 700.0)
    with pytest.raises(ConfigError, match="does not go with the estimator bbh-h1l1"):
        choose(data, Wanted(estimator="bbh-h1l1", **other))
    assert choose(data, Wanted(estimator="bbh-h1l1", duration=8.0)).duration == 8.0
    assert choose(data, Wanted(estimator="bbh-h1l1", f_min=0.0)).f_min == 0.0


@pytest.mark.slow
def test_a_usual_event_gets_the_estimator_of_its_detectors(nr22) -> None:
    data = event(nr22, ("H1", "L1"), 28.0, 700.0)
    choice = choose(data)
    assert (choice.estimator, choice.surrogate, choice.duration, choice.f_max) == ("bbh-h1l1", "nr22", 4.0, 1024.0)
    low, high = choice.found.possible
    assert low / 1.1 < 28.0 < 1.1 * high
    assert choice.found.gps == pytest.approx(GPS, abs=0.05)
    assert "bbh-h1l1" in choice.reasons[-1]
    assert "spins uniform to 0.9" in choice.reasons[-1]

    tilted = choose(data, Wanted(surrogate="nrphm"))
    assert (tilted.estimator, tilted.surrogate) == ("bbh-precessing-h1l1", "nrphm")
    assert "spins isotropic, of magnitudes to 0.8" in tilted.reasons[-1]
    assert choose(data, Wanted(surrogate="nrphm", from_scratch=True)).estimator == ""
    modes = choose(data, Wanted(surrogate="nrhm"))
    assert (modes.estimator, modes.surrogate, modes.duration) == ("bbh-modes-h1l1", "nrhm", 10.0)

    three = choose(event(nr22, ("H1", "L1", "V1"), 28.0, 700.0), Wanted(surrogate="nrhm"))
    assert (three.estimator, three.duration) == ("bbh-modes-h1l1v1", 10.0)

    from_scratch = choose(data, Wanted(from_scratch=True))
    assert from_scratch.estimator == ""
    assert from_scratch.prior["spins"] == "isotropic"
    assert from_scratch.reasons[1] == "from scratch, as asked for"
    longer = choose(data, Wanted(duration=8.0))
    assert (longer.estimator, longer.duration) == ("", 8.0)
    assert any("trained for duration 4 s, 8 was asked for" in reason for reason in longer.reasons)

    for given, left_out in (((35.0, 45.0), True), ((20.0, 25.0), True), ((20.0, 30.0), False)):
        said = choose(data, Wanted(prior={"chirp_mass": given})).reasons[0]
        assert said.startswith("the search found a chirp mass of about")
        assert said.endswith(f"; the prior asked for, {given[0]:g} to {given[1]:g}, leaves that out") is left_out
    wide = choose(data, Wanted(prior={"chirp_mass": (10.0, 80.0)}))
    assert (wide.estimator, wide.prior["chirp_mass"]) == ("", (10.0, 80.0))
    assert any("as asked for by a prior" in reason for reason in wide.reasons)
    assert wide.duration >= inspiral_time({"mass_1": 11.5, "mass_2": 11.5}, 20.0) + 2.4

    spinning = {"chirp_mass": (20.0, 40.0), "chi": (-0.98, 0.98)}
    beyond = choose(data, Wanted(prior=spinning))
    assert beyond.surrogate == "lal:IMRPhenomXAS"
    assert any("exceeds what nr22 covers (-0.93 to 0.93)" in reason for reason in beyond.reasons)
    with pytest.raises(ConfigError, match=r"nr22 covers \(-0.93 to 0.93\).*lal:IMRPhenomXAS"):
        choose(data, Wanted(prior=spinning, surrogate="nr22"))


@pytest.mark.slow
@pytest.mark.parametrize("detectors", [("L1", "V1"), ("H1",), ("K1", "V1", "H1", "L1")])
def test_detectors_without_an_estimator_are_analysed_from_scratch(detectors: tuple[str, ...], nr22) -> None:
    choice = choose(event(nr22, detectors, 28.0, 300.0))
    assert choice.estimator == ""
    assert any(f"no estimator is trained for {' and '.join(detectors)}" in reason for reason in choice.reasons)
    low, high = choice.prior["chirp_mass"]
    assert low < 28.0 < high < 60.0


@pytest.mark.slow
@pytest.mark.parametrize(("chirp_mass", "distance", "rate"), [(8.5, 250.0, 2048.0), (100.0, 2500.0, 2048.0), (28.0, 400.0, 512.0)])
def test_masses_and_bands_beyond_the_estimators_get_a_segment_that_holds_them(
    chirp_mass: float, distance: float, rate: float, nr22
) -> None:
    choice = choose(event(nr22, ("H1", "L1"), chirp_mass, distance, rate))
    assert choice.estimator == ""
    low, high = choice.prior["chirp_mass"]
    assert low < chirp_mass < high
    require_reach(of_model(choice.prior, nr22), nr22, choice.f_min, choice.duration)
    if chirp_mass < 10:
        assert (choice.duration, choice.f_min) == (16.0, 20.0)
    elif chirp_mass > 60:
        assert choice.f_min < 20.0
    else:
        assert choice.f_max == 235.0  # 92 % of the Nyquist frequency
        assert any("needs data up to 350 Hz, these reach 236 Hz" in reason for reason in choice.reasons)


@pytest.mark.slow
def test_light_binaries_in_short_data_begin_higher_up(nr22) -> None:
    choice = choose(event(nr22, ("H1", "L1"), 8.5, 250.0, duration=24.0))
    assert choice.duration < 16.0
    assert choice.f_min > 20.0
    assert any("too short for signals from 20 Hz on" in reason for reason in choice.reasons)


@pytest.mark.slow
def test_noise_is_told_from_a_signal_and_a_time_that_is_off_is_found(nr22) -> None:
    with pytest.raises(DomainError, match=r"no signal: of a bank.*6 to 150.*--gps"):
        choose(simulate(None, detectors=("H1",), duration=32, sampling_frequency=1024, gps=GPS, seed=5))
    data = event(nr22, ("H1", "L1"), 28.0, 500.0)
    found = locate(replace(data, gps=GPS + 1.7), nr22)
    assert found.gps == pytest.approx(GPS, abs=0.05)


@pytest.mark.slow
def test_a_prior_that_cuts_the_posterior_off_is_widened_at_that_end(nr22) -> None:
    data = event(nr22, ("H1", "L1"), 28.0, 700.0)
    wanted = Wanted(from_scratch=True)
    choice = choose(data, wanted)
    low, high = choice.prior["chirp_mass"]
    wider = choice.widened(data, wanted, low)
    assert wider.prior["chirp_mass"] == (low / 1.5, high)
    assert wider.duration >= choice.duration
    assert re.search(r"widened to .*: .* cut the posterior off", " ".join(wider.reasons))


@pytest.mark.parametrize(
    ("prior", "surrogate", "said"),
    [
        ({"chi": (0.0, 0.8)}, "nr22", "spins aligned, uniform from 0 to 0.8"),
        ({"chi": (-0.8, 0.8)}, "nr22", "spins aligned, isotropic with uniform magnitude to 0.8"),
        ({"chi": (-0.8, 0.8), "spins": "uniform"}, "nr22", "spins aligned, uniform from -0.8 to 0.8"),
        (
            {"mass_ratio": (0.2, 1.0), "chi": (-0.7, 0.7)},
            "nrphm",
            "spins in any direction, isotropic with uniform magnitude to 0.7",
        ),
    ],
)
def test_the_spins_said_are_those_of_the_prior(prior: dict, surrogate: str, said: str) -> None:
    data = simulate(None, detectors=("H1",), duration=32, sampling_frequency=2048, gps=GPS, seed=5)
    wanted = Wanted(prior={"chirp_mass": (25.0, 35.0), **prior}, surrogate=surrogate)
    assert said in from_scratch(data, wanted, None, ()).reasons[0]


def test_ranges_beside_a_file_are_said(tmp_path) -> None:
    path = tmp_path / "event.prior"
    BinaryPrior(chirp_mass=(25.0, 35.0)).write_prior_file(path, GPS)
    data = simulate(None, detectors=("H1",), duration=32, sampling_frequency=2048, gps=GPS, seed=5)
    wanted = Wanted(prior={"file": str(path), "chi": (-0.7, 0.7)}, surrogate="nr22")
    assert from_scratch(data, wanted, None, ()).reasons[0] == f"prior: {path}, chi -0.7 to 0.7"
