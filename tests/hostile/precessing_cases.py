"""Hostile calls of the precessing surrogate: waveforms, remnants, error bounds, and its requests to the service."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DomainError, GwsmlError
from tests.hostile import peer_cases
from tests.hostile.material import INF, NAN, surrogate
from tests.hostile.peer_cases import Answer, tensor
from tests.hostile.table import refuses

BINARY = {
    "mass_1": 39.0, "mass_2": 26.0, "a_1": 0.6, "a_2": 0.4, "tilt_1": 1.0, "tilt_2": 0.7, "phi_12": 0.3, "phi_jl": 1.0,
    "luminosity_distance": 410.0, "theta_jn": 0.4, "phase": 1.2,
}  # fmt: skip
PAIR = {"f_min": 20.0, "sampling_frequency": 4096.0, "f_ref": 20.0}


@cache
def model() -> Any:
    return surrogate("nrphm")


for name, change, error, said in (
    ("a mass that is NaN", {"mass_1": NAN}, GwsmlError, "mass_1"),
    ("a mass of zero", {"mass_2": 0.0}, GwsmlError, "mass_2"),
    ("a mass in words", {"mass_1": "heavy"}, ConfigError, "mass_1"),
    ("masses in the wrong order", {"mass_1": 20.0}, DomainError, "mass_1 = 20 < mass_2 = 26: give the heavier body first"),
    ("a tilt in degrees", {"tilt_1": 60.0}, DomainError, "radians"),
    ("a negative tilt", {"tilt_2": -0.5}, DomainError, "radians"),
    ("a spin along the orbit", {"chi_1": 0.3}, ConfigError, "a_1 and tilt_1"),
    ("masses in kilograms", {"mass_1": 7.2e31, "mass_2": 5.8e31}, DomainError, "total masses"),
    ("a mass ratio of fifty", {"mass_1": 900.0, "mass_2": 18.0}, DomainError, "q"),
    ("a spin longer than one", {"a_1": 1.2}, DomainError, "1.2"),
    ("a spin that is negative", {"a_2": -0.3}, GwsmlError, "a_2"),
    ("a spin that is NaN", {"a_1": NAN}, GwsmlError, "a_1"),
    ("a spin in words", {"a_1": "fast"}, ConfigError, "a_1"),
    ("a tilt that is NaN", {"tilt_1": NAN}, ConfigError, "tilt_1"),
    ("a tilt that is infinite", {"tilt_2": INF}, ConfigError, "tilt_2"),
    ("an azimuth in words", {"phi_12": "east"}, ConfigError, "phi_12"),
    ("an azimuth that is NaN", {"phi_jl": NAN}, ConfigError, "phi_jl"),
    ("a distance of zero", {"luminosity_distance": 0.0}, ConfigError, "luminosity_distance"),
    ("a distance that is NaN", {"luminosity_distance": NAN}, ConfigError, "luminosity_distance"),
    ("an inclination that is infinite", {"theta_jn": INF}, ConfigError, "theta_jn"),
    ("a phase that is NaN", {"phase": NAN}, ConfigError, "phase"),
    ("f_min of zero", {"f_min": 0.0}, ConfigError, "f_min"),
    ("f_min below the model", {"f_min": 0.5, "f_ref": 0.5}, DomainError, "f_ref"),
    ("f_min above the merger", {"f_min": 900.0}, DomainError, "f_min"),
    ("f_ref that is NaN", {"f_ref": NAN}, ConfigError, "f_ref"),
    ("f_ref above the merger", {"f_ref": 900.0}, DomainError, "900"),
    ("f_ref below the model", {"f_ref": 0.1}, DomainError, "f_ref"),
    ("a rate below the ringdown's", {"sampling_frequency": 256.0}, ConfigError, "sampling_frequency"),
    ("a rate that is NaN", {"sampling_frequency": NAN}, ConfigError, "sampling_frequency"),
):
    refuses("nrphm.polarizations", name, lambda room, c=change: model().polarizations(**BINARY | PAIR | c), error, said)

ONE = {"q": 1.5, "chi1": [0.3, 0.2, 0.1], "chi2": [0.0, 0.4, -0.2], "t_ref": -1000.0}
VECTORS: list[tuple[str, dict[str, Any], type[GwsmlError], str]] = [
    ("q below one", {"q": 0.5}, DomainError, "q"),
    ("q that is NaN", {"q": NAN}, DomainError, "q"),
    ("q beyond the model", {"q": 40.0}, DomainError, "q"),
    ("q in words", {"q": "equal"}, ConfigError, "q"),
    ("a spin longer than one", {"chi1": [0.8, 0.8, 0.0]}, DomainError, "chi1"),
    ("a spin of two components", {"chi2": [0.1, 0.2]}, ConfigError, "chi2"),
    ("a spin of NaN", {"chi1": [NAN, 0.0, 0.0]}, GwsmlError, "chi1"),
    ("a spin in words", {"chi1": "aligned"}, ConfigError, "chi1"),
    ("bilby's mass_ratio", {"mass_ratio": 0.5}, ConfigError, "mass_ratio"),
]  # fmt: skip
REFERENCES: list[tuple[str, dict[str, Any], type[GwsmlError], str]] = [
    ("no reference for spins in the plane", {"t_ref": None}, ConfigError, "t_ref"),
    ("two references", {"omega_ref": 0.02}, ConfigError, "omega_ref"),
    ("a reference before the model", {"t_ref": -1e7}, DomainError, "t_ref"),
    ("a reference that is NaN", {"t_ref": NAN}, ConfigError, "t_ref"),
    ("a frequency without a total mass", {"t_ref": None, "f_ref": 20.0}, ConfigError, "total_mass"),
    ("a total mass beside a reference time", {"total_mass": 60.0}, ConfigError, "total_mass"),
    ("an orbital frequency beyond the merger", {"t_ref": None, "omega_ref": 3.0}, DomainError, "omega_ref"),
]  # fmt: skip
for name, change, error, said in VECTORS + REFERENCES:
    refuses("nrphm()", name, lambda room, c=change: model()(**ONE | c), error, said)
    refuses("nrphm.remnant", name, lambda room, c=change: model().remnant(**ONE | c), error, said)
for name, change, error, said in VECTORS:
    given = {key: value for key, value in (ONE | change).items() if key != "t_ref"}
    refuses("nrphm.error_estimate", name, lambda room, g=given: model().error_estimate(**g), error, said)
for name, times, error in (
    ("times that are NaN", np.array([0.0, NAN]), ConfigError),
    ("times before the model", np.array([-1e9, 0.0]), DomainError),
    ("times of two dimensions", np.zeros((2, 2)), ConfigError),
    ("times in words", ["now"], ConfigError),
):
    refuses("nrphm()", name, lambda room, t=times: model()(**ONE, times=t), error, "times")

SEGMENT = {
    "mass_1": 39.0, "mass_2": 26.0, "inclination": 0.4, "spin_1": [0.3, 0.2, 0.1], "spin_2": [0.0, 0.4, -0.2],
    "luminosity_distance": 410.0, "phase": 1.2, "f_min": 20.0, "sampling_frequency": 2048.0, "duration": 4.0,
}  # fmt: skip
for name, change, error, said in (
    ("a duration that is NaN", {"duration": NAN}, ConfigError, "duration"),
    ("a duration of no number of samples", {"duration": 0.3333}, ConfigError, "whole number"),
    ("a spin of two components", {"spin_1": [0.1, 0.2]}, ConfigError, "three components"),
    ("a spin longer than one", {"spin_2": [0.9, 0.9, 0.9]}, DomainError, "1.5"),
    ("an inclination in words", {"inclination": "face-on"}, ConfigError, "inclination"),
    ("a distance that is negative", {"luminosity_distance": -1.0}, ConfigError, "luminosity_distance"),
):
    refuses(
        "nrphm.frequency_domain_polarizations",
        name,
        lambda room, c=change: model().frequency_domain_polarizations(**SEGMENT | c),
        error,
        said,
    )


def served() -> dict[str, Any]:
    from gwsurrogate_ml.serve.precessing import PrecessingModes, PrecessingPolarizations

    return {"nrphm": PrecessingModes(model()), "nrphm-polarizations": PrecessingPolarizations(model())}


def asked(body: Any, which: str) -> Any:
    models = peer_cases.served()
    if which not in models:
        models.update(served())
    return peer_cases.ask(body, which)


ROW = [1.5, 0.3, 0.2, 0.1, 0.0, 0.4, -0.2]
P, T, REF = tensor("parameters", ROW, [1, 7]), tensor("times", [-10.0, 0.0], [2]), {"t_ref": -1000.0}
ELEVEN = tensor("parameters", list(BINARY.values()), [1, 11])
for name, body, said in (
    (
        "three columns, as for aligned spins",
        {"inputs": [tensor("parameters", [1.5, 0.1, 0.0], [1, 3]), T], "parameters": REF},
        "parameters",
    ),
    ("no reference time", {"inputs": [P, T]}, "t_ref"),
    ("a reference time in words", {"inputs": [P, T], "parameters": {"t_ref": "early"}}, "t_ref"),
    ("a reference time that is NaN", {"inputs": [P, T], "parameters": {"t_ref": NAN}}, "t_ref"),
    ("a reference before the model", {"inputs": [P, T], "parameters": {"t_ref": -1e9}}, "t_ref"),
    ("a spin longer than one", {"inputs": [{**P, "data": [1.5, 0.9, 0.9, 0, 0, 0, 0]}, T], "parameters": REF}, "row 0"),
    ("a spin of NaN", {"inputs": [{**P, "data": [1.5, NAN, 0, 0, 0, 0, 0]}, T], "parameters": REF}, "finite"),
    (
        "the second of two rows beyond the model",
        {"inputs": [{**P, "data": [*ROW, 99.0, *ROW[1:]], "shape": [2, 7]}, T], "parameters": REF},
        "row 1",
    ),
    ("times before the model", {"inputs": [P, {**T, "data": [-1e9, 0.0]}], "parameters": REF}, "times"),
    ("an unknown output", {"inputs": [P, T], "outputs": [{"name": "kick"}], "parameters": REF}, "kick"),
    ("a million binaries", {"inputs": [{**P, "shape": [10**6, 7]}, T], "parameters": REF}, "shape"),
    ("integers of another datatype", {"inputs": [{**P, "datatype": "BYTES"}, T], "parameters": REF}, "parameters"),
):
    refuses("gwsml serve (requests)", f"nrphm: {name}", lambda room, b=body: asked(b, "nrphm"), Answer, said)
for name, body, said in (
    ("seven columns", {"inputs": [tensor("parameters", ROW, [1, 7])]}, "parameters"),
    ("f_ref in words", {"inputs": [ELEVEN], "parameters": {"f_ref": "low"}}, "f_ref"),
    ("a negative f_min", {"inputs": [ELEVEN], "parameters": {"f_min": -20.0}}, "f_min"),
    ("a rate that asks for gigabytes", {"inputs": [ELEVEN], "parameters": {"sampling_frequency": 1e9}}, "MB"),
    ("a binary that peaks below f_min", {"inputs": [{**ELEVEN, "data": [900.0, 700.0, *list(BINARY.values())[2:]]}]}, "row 0"),
    ("a tilt in degrees", {"inputs": [{**ELEVEN, "data": [39.0, 26.0, 0.6, 0.4, 60.0, *list(BINARY.values())[5:]]}]}, "radians"),
    ("masses in the wrong order", {"inputs": [{**ELEVEN, "data": [26.0, 39.0, *list(BINARY.values())[2:]]}]}, "heavier"),
    ("a distance of zero", {"inputs": [{**ELEVEN, "data": [*list(BINARY.values())[:8], 0.0, 0.4, 1.2]}]}, "luminosity_distance"),
    ("no binaries", {"inputs": [tensor("parameters", [], [0, 11])]}, "row"),
    ("a tilt of NaN", {"inputs": [{**ELEVEN, "data": [39.0, 26.0, 0.6, 0.4, NAN, *list(BINARY.values())[5:]]}]}, "finite"),
):
    refuses(
        "gwsml serve (requests)", f"nrphm-polarizations: {name}", lambda room, b=body: asked(b, "nrphm-polarizations"), Answer, said
    )
