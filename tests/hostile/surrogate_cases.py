"""Hostile calls of the waveform and remnant models."""

from __future__ import annotations

from typing import Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DomainError, GwsmlError
from tests.hostile.material import BINARY, INF, NAN, remnant, surrogate
from tests.hostile.table import refuses

PAIR = {"f_min": 20.0, "sampling_frequency": 4096.0}
N = np.arange(3.0)

PHYSICAL: list[tuple[str, dict[str, Any], type[GwsmlError], tuple[str, ...]]] = [
    ("a mass that is NaN", {"mass_1": NAN}, DomainError, ("mass_1", "positive")),
    ("a negative mass", {"mass_2": -3.0}, DomainError, ("mass_2", "positive")),
    ("an infinite mass", {"mass_1": INF}, DomainError, ("mass_1",)),
    ("masses in kilograms", {"mass_1": 7.2e31, "mass_2": 5.8e31}, DomainError, ("f_min", "solar masses")),
    ("masses in the wrong order", {"mass_1": 20.0}, DomainError, ("mass_1 = 20", "swap")),
    ("a mass in words", {"mass_1": "heavy"}, ConfigError, ("mass_1", "heavy", "number")),
    ("a mass that is None", {"mass_2": None}, DomainError, ("mass_2",)),
    ("spins of any direction", {"a_1": 0.6, "tilt_1": 1.0}, ConfigError, ("a_1", "nrphm")),
    ("an inclination by LAL's name", {"inclination": 0.3}, ConfigError, ("theta_jn in place of inclination",)),
    ("a spin above one", {"chi_1": 1.5}, DomainError, ("chi1", "1.5", "hard limit")),
    ("a spin that is infinite", {"chi_2": -INF}, DomainError, ("chi2", "finite")),
    ("a complex spin", {"chi_1": 0.1 + 0.2j}, ConfigError, ("chi_1", "number")),
    ("a mass ratio beyond the hard limit", {"mass_1": 3000.0}, DomainError, ("q =", "hard limit")),
    ("a distance of zero", {"luminosity_distance": 0.0}, ConfigError, ("luminosity_distance", "positive")),
    ("a distance that is NaN", {"luminosity_distance": NAN}, ConfigError, ("luminosity_distance",)),
    ("a distance in words", {"luminosity_distance": "far"}, ConfigError, ("luminosity_distance", "far")),
    ("an inclination that is NaN", {"theta_jn": NAN}, ConfigError, ("theta_jn", "finite")),
    ("an inclination in words", {"theta_jn": "edge-on"}, ConfigError, ("theta_jn", "number")),
    ("a phase that is infinite", {"phase": INF}, ConfigError, ("phase", "finite")),
    ("f_min of zero", {"f_min": 0.0}, ConfigError, ("f_min", "positive")),
    ("f_min that is NaN", {"f_min": NAN}, ConfigError, ("f_min",)),
    ("f_min in words", {"f_min": "low"}, ConfigError, ("f_min", "low")),
    ("f_min below the model's reach", {"f_min": 0.5}, DomainError, ("f_min = 0.5", "smallest total mass")),
    ("f_min above the merger", {"f_min": 900.0}, DomainError, ("f_min = 900", "lower f_min")),
    (
        "a sampling rate below the ringdown's",
        {"sampling_frequency": 256.0},
        ConfigError,
        ("sampling_frequency", "aliased"),
    ),
    ("a sampling rate of minus one", {"sampling_frequency": -1.0}, ConfigError, ("sampling_frequency",)),
    (
        "a sampling rate that asks for terabytes",
        {"sampling_frequency": 1e15},
        ConfigError,
        ("sampling_frequency", "lower"),
    ),
    ("a mode that the model lacks", {"modes": [(7, 7)]}, ConfigError, ("(7, 7)", "choose")),
    ("an empty choice of modes", {"modes": []}, ConfigError, ("modes", "choose")),
    ("modes in words", {"modes": "all"}, ConfigError, ("modes", "pairs")),
    ("modes that are a number", {"modes": 22}, ConfigError, ("modes", "pairs")),
    ("f_ref below the model's reach", {"f_ref": 0.1}, DomainError, ("f_ref",)),
    ("f_ref that is NaN", {"f_ref": NAN}, ConfigError, ("f_ref",)),
]
for name, change, error, said in PHYSICAL:
    refuses(
        "Surrogate.polarizations", name,
        lambda room, change=change: surrogate("nrhm").polarizations(**BINARY | PAIR | change), error, *said,
    )  # fmt: skip
refuses(
    "Surrogate.polarizations", "arrays where one binary is taken",
    lambda room: surrogate().polarizations(**BINARY | PAIR | {"mass_1": np.full(3, 36.0)}), ConfigError, "one binary",
)  # fmt: skip

CALLS: list[tuple[str, dict[str, Any], type[GwsmlError], tuple[str, ...]]] = [
    ("q below one", {"q": 0.5}, DomainError, ("q is 0.5", "swap")),
    ("bilby's mass_ratio", {"mass_ratio": 0.8}, ConfigError, ("mass_ratio", "q = m1/m2")),
    ("an unknown keyword", {"chi_eff": 0.1}, ConfigError, ("chi_eff",)),
    ("a spin of three components", {"chi1": [0.3, 0.0, 0.1]}, ConfigError, ("chi1", "three components", "nrphm")),
    ("a reference time", {"t_ref": -100.0}, ConfigError, ("t_ref", "nrphm")),
    ("a magnitude", {"a_1": 0.3}, ConfigError, ("a_1", "nrphm")),
    ("q that is NaN", {"q": NAN}, DomainError, ("q is", "finite")),
    ("q that is a word", {"q": "equal"}, ConfigError, ("q is", "number")),
    ("q that is an array", {"q": np.ones(4)}, ConfigError, ("q is", "one binary")),
    ("a spin that is None", {"chi2": None}, ConfigError, ("chi2",)),
    ("times that are not finite", {"times": np.array([0.0, NAN])}, ConfigError, ("times", "finite")),
    ("times before the model begins", {"times": np.array([-1e9])}, DomainError, ("times", "covers")),
    ("times of two dimensions", {"times": np.zeros((2, 2))}, ConfigError, ("times", "one-dimensional")),
    ("times in words", {"times": ["now"]}, ConfigError, ("times", "numbers")),
]
for name, change, error, said in CALLS:
    refuses(
        "Surrogate.__call__", name,
        lambda room, change=change: surrogate()(**{"q": 1.5, "chi1": 0.1, "chi2": 0.0} | change), error, *said,
    )  # fmt: skip


def _batch(parameters: Any, times: Any) -> Any:
    import torch

    convert = lambda x: torch.as_tensor(x) if isinstance(x, list) else x  # noqa: E731
    return surrogate().batch(convert(parameters), convert(times))


ROWS, TIMES = [[1.5, 0.1, 0.0], [2.0, 0.0, 0.0]], [-100.0, 0.0]
for name, parameters, times, error, said in (
    ("numpy in place of torch", np.array(ROWS), TIMES, ConfigError, ("parameters", "torch")),
    ("a row that is NaN", [[NAN, 0.0, 0.0]], TIMES, DomainError, ("q", "finite")),
    ("two columns", [[1.5, 0.1]], TIMES, ConfigError, ("parameters", "(N, 3)")),
    ("one binary beyond the limit among many", [*ROWS, [1.0, 0.0, 0.99]], TIMES, DomainError, ("chi2", "0.99")),
    ("times for another number of binaries", ROWS, [TIMES] * 3, ConfigError, ("times", "(3, 2)")),
    ("times of three dimensions", ROWS, [[TIMES]], ConfigError, ("times",)),
    ("times that are infinite", ROWS, [INF], ConfigError, ("times", "finite")),
    ("complex parameters", [[1.5j, 0.0, 0.0]], TIMES, ConfigError, ("parameters", "real")),
):
    refuses("Surrogate.batch", name, lambda room, p=parameters, t=times: _batch(p, t), error, *said)

GRID = {"start": -0.2, "samples": 900, "sampling_frequency": 4096.0}
for name, change, error, said in (
    (
        "masses of other lengths",
        {"mass_1": np.full(3, 36.0), "mass_2": np.full(2, 29.0)},
        ConfigError,
        ("masses", "one length"),
    ),
    ("a mass that is NaN among good ones", {"mass_1": np.array([36.0, NAN])}, DomainError, ("mass_1",)),
    (
        "inclinations of another length",
        {"mass_1": np.full(3, 36.0), "theta_jn": np.zeros(2)},
        ConfigError,
        ("theta_jn",),
    ),
    (
        "a distance that is negative",
        {"luminosity_distance": np.array([410.0, -1.0])},
        ConfigError,
        ("luminosity_distance",),
    ),
    ("a phase that is NaN", {"phase": NAN}, ConfigError, ("phase", "finite")),
    ("a start that is NaN", {"start": NAN}, ConfigError, ("start",)),
    ("a start in words", {"start": "early"}, ConfigError, ("start",)),
    ("a start before the model begins", {"start": -1e6}, DomainError, ("covers",)),
    ("zero samples", {"samples": 0}, ConfigError, ("samples", "positive")),
    ("half a sample", {"samples": 10.5}, ConfigError, ("samples", "whole")),
    ("samples that reach beyond the ringdown", {"samples": 40_960}, DomainError, ("covers",)),
    ("a mode that the model lacks", {"modes": [(2, 0)]}, ConfigError, ("(2, 0)",)),
    ("a rate below the ringdown's", {"sampling_frequency": 128.0, "samples": 10}, ConfigError, ("aliased",)),
):
    refuses(
        "Surrogate.batch_polarizations", name,
        lambda room, change=change: surrogate().batch_polarizations(**BINARY | GRID | change), error, *said,
    )  # fmt: skip

SEGMENT = {"duration": 4.0, "sampling_frequency": 2048.0, "f_min": 20.0}
FOUR = {name: np.array([BINARY[name]]) for name in ("mass_1", "mass_2", "chi_1", "chi_2")}
for name, change, error, said in (
    ("a segment shorter than the signal", {"duration": 0.25}, DomainError, ("too short", "longer")),
    ("a duration that is no number of samples", {"duration": 0.3333}, ConfigError, ("whole number",)),
    ("a duration that is infinite", {"duration": INF}, ConfigError, ("duration",)),
    ("a negative rate", {"sampling_frequency": -2048.0}, ConfigError, ("sampling_frequency",)),
    ("f_min that is infinite", {"f_min": INF}, ConfigError, ("f_min",)),
    ("f_min in words", {"f_min": "low"}, ConfigError, ("f_min",)),
    ("masses of zero", {"mass_2": np.zeros(1)}, DomainError, ("mass_2",)),
    (
        "masses of other lengths",
        {"mass_1": np.full(3, 36.0), "mass_2": np.full(2, 29.0)},
        ConfigError,
        ("masses", "one length"),
    ),
):
    refuses(
        "Surrogate.frequency_domain", name,
        lambda room, change=change: surrogate().frequency_domain(**FOUR | SEGMENT | change), error, *said,
    )  # fmt: skip
for name, change, error, said in (
    ("a phase that is NaN", {"phase": NAN}, ConfigError, ("phase",)),
    ("an inclination in words", {"theta_jn": "face-on"}, ConfigError, ("theta_jn",)),
    ("a duration that is None", {"duration": None}, ConfigError, ("duration",)),
    ("a distance that is infinite", {"luminosity_distance": INF}, ConfigError, ("luminosity_distance",)),
):
    refuses(
        "Surrogate.frequency_domain_polarizations", name,
        lambda room, change=change: surrogate().frequency_domain_polarizations(**BINARY | SEGMENT | change), error, *said,
    )  # fmt: skip

ONE = {name: BINARY[name] for name in ("mass_1", "mass_2", "chi_1", "chi_2")}
for entry, call, name, error, said in (
    (
        "time_before_peak",
        lambda: surrogate().time_before_peak(**ONE, f_min=NAN),
        "f_min that is NaN",
        ConfigError,
        "f_min",
    ),
    (
        "orbital_phase",
        lambda: surrogate().orbital_phase(**ONE, frequency=-1.0),
        "a negative frequency",
        ConfigError,
        "frequency",
    ),
    (
        "orbital_phase",
        lambda: surrogate().orbital_phase(**ONE, frequency=None),
        "no frequency",
        ConfigError,
        "frequency",
    ),
    (
        "smallest_total_mass",
        lambda: surrogate().smallest_total_mass(1.5, 0, 0, 0.0),
        "f_min of zero",
        ConfigError,
        "f_min",
    ),
    ("error_estimate", lambda: surrogate().error_estimate(0.2, 0.0, 0.0), "q below one", DomainError, "q is 0.2"),
    ("error_estimate", lambda: surrogate().error_estimate(1.2, 0.0, "up"), "a spin in words", ConfigError, "chi2"),
):
    refuses(f"Surrogate.{entry}", name, lambda room, call=call: call(), error, said)

for name, change, error, said in (
    ("q below one", {"q": 0.9}, DomainError, ("q is 0.9",)),
    ("a spin longer than one", {"chi1": [0.8, 0.8, 0.0]}, DomainError, ("chi1", "1.13")),
    ("a spin that is NaN", {"chi2": NAN}, DomainError, ("chi2", "finite")),
    ("spins of another length", {"q": np.ones(3), "chi1": np.zeros(2)}, ConfigError, ("chi1", "shape")),
    ("a spin in words", {"chi1": "aligned"}, ConfigError, ("chi1",)),
    ("bilby's mass_ratio", {"mass_ratio": 0.5}, ConfigError, ("mass_ratio",)),
    ("q beyond the hard limit", {"q": 1e9}, DomainError, ("q",)),
):
    refuses(
        "Remnant.__call__", name,
        lambda room, change=change: remnant()(**{"q": 1.5, "chi1": 0.1, "chi2": 0.0} | change), error, *said,
    )  # fmt: skip
