"""The gwsignal generator through gwsignal's and bilby's own functions, beside LAL and the package's own bilby source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bilby
import numpy as np
import pytest
from astropy import units as u
from bilby.gw.waveform_generator import GWSignalWaveformGenerator
from lalsimulation import gwsignal
from scipy.interpolate import CubicSpline

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import ConfigError, NoWaveformError
from gwsurrogate_ml.plugins import gwsignal as plugin
from gwsurrogate_ml.plugins.bilby import source_model

pytestmark = pytest.mark.peer

NAME = "GWSML_NR22"
ONE = u.dimensionless_unscaled


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    before = gwsignal.models.gwsignal_get_waveform_generator, gwsignal.gwsignal_get_waveform_generator
    plugin.register()
    yield
    gwsignal.models.gwsignal_get_waveform_generator, gwsignal.gwsignal_get_waveform_generator = before


def parameters(**changes: Any) -> dict[str, Any]:
    p = {
        "mass1": 50 * u.solMass,
        "mass2": 20 * u.solMass,
        **{f"spin{i}{axis}": 0 * ONE for i in (1, 2) for axis in "xyz"},
        "deltaT": u.s / 4096,
        "deltaF": 0.25 * u.Hz,
        "f_max": 1024 * u.Hz,
        "f22_start": 20 * u.Hz,
        "f22_ref": 60 * u.Hz,
        "phi_ref": 0.7 * u.rad,
        "distance": 410 * u.Mpc,
        "inclination": 1.0 * u.rad,
        "eccentricity": 0 * ONE,
        "longAscNodes": 0 * u.rad,
        "meanPerAno": 0 * u.rad,
        "condition": 0,
    }
    return p | {"spin1z": 0.3 * ONE, "spin2z": -0.1 * ONE} | changes


def test_polarizations_in_time_agree_with_phenom_t() -> None:
    ours = gwsignal.GenerateTDWaveform(parameters(), gwsignal.gwsignal_get_waveform_generator(NAME))
    theirs = gwsignal.GenerateTDWaveform(parameters(), gwsignal.gwsignal_get_waveform_generator("IMRPhenomT"))
    t = np.arange(-0.5, 0.01, 1 / 4096)
    for a, b in zip(ours, theirs, strict=True):
        assert a.dt == b.dt
        assert a.unit == b.unit
        x, y = (CubicSpline(h.times.value, h.value)(t) for h in (a, b))
        assert x @ y / np.linalg.norm(x) / np.linalg.norm(y) > 0.998  # no alignment: 0.99984
        assert np.linalg.norm(x) / np.linalg.norm(y) == pytest.approx(1, abs=0.01)


def test_masses_units_and_order_of_bodies_are_converted() -> None:
    generator = gwsignal.gwsignal_get_waveform_generator(NAME)
    other = parameters(
        mass1=(20 * u.solMass).to(u.kg),
        mass2=(50 * u.solMass).to(u.kg),
        spin1z=-0.1 * ONE,
        spin2z=0.3 * ONE,
        distance=(0.41 * u.Gpc).to(u.m),
        inclination=np.degrees(1.0) * u.deg,
    )
    for a, b in zip(
        gwsignal.GenerateTDWaveform(parameters(), generator), gwsignal.GenerateTDWaveform(other, generator), strict=True
    ):
        np.testing.assert_allclose(a.value, b.value, atol=1e-9 * np.abs(b.value).max())


@pytest.mark.parametrize("name", [NAME, "GWSML_NRHM"])
@pytest.mark.parametrize("f_ref", [0.0, 60.0])
def test_modes_sum_to_the_polarizations_by_gwsignals_own_harmonics(f_ref: float, name: str) -> None:
    p, generator = parameters(f22_ref=f_ref * u.Hz), gwsignal.gwsignal_get_waveform_generator(name)
    modes = gwsignal.GenerateTDModes(p, generator)
    summed = modes(p["inclination"], np.pi / 2 * u.rad - p["phi_ref"])
    for a, b in zip(summed, gwsignal.GenerateTDWaveform(p, generator), strict=True):
        np.testing.assert_allclose(a.times.value, b.times.value, atol=1e-12)
        np.testing.assert_allclose(a.value, b.value, atol=1e-11 * np.abs(b.value).max())


def test_the_ascending_node_turns_polarizations_as_lal_does() -> None:
    p = parameters(longAscNodes=0.4 * u.rad)
    ours = gwsignal.GenerateTDWaveform(p, gwsignal.gwsignal_get_waveform_generator(NAME))
    theirs = gwsignal.GenerateTDWaveform(p, gwsignal.gwsignal_get_waveform_generator("IMRPhenomT"))
    t = np.arange(-0.5, 0.01, 1 / 4096)
    for a, b in zip(ours, theirs, strict=True):
        x, y = (CubicSpline(h.times.value, h.value)(t) for h in (a, b))
        assert x @ y / np.linalg.norm(x) / np.linalg.norm(y) > 0.998


def test_a_choice_of_modes_sums_those_alone() -> None:
    generator = gwsignal.gwsignal_get_waveform_generator("GWSML_NRHM")
    whole = gwsignal.GenerateTDWaveform(parameters(), generator)
    some = gwsignal.GenerateTDWaveform(parameters(ModeArray=[(2, 2), (2, -2)]), generator)
    rest = gwsignal.GenerateTDWaveform(parameters(ModeArray=[(2, 1), (3, 3), (3, 2), (4, 4), (4, 3), (5, 5)]), generator)
    for a, b, c in zip(whole, some, rest, strict=True):
        np.testing.assert_allclose(b.value + c.value, a.value, atol=1e-12 * np.abs(a.value).max())
        assert np.abs(c.value).max() > 0.01 * np.abs(a.value).max()
    assert set(gwsignal.GenerateTDModes(parameters(ModeArray=[(3, 3)]), generator)) >= {(3, 3), (3, -3)}


def test_conditioning_in_time_adds_a_tapered_start_only() -> None:
    generator = gwsignal.gwsignal_get_waveform_generator(NAME)
    bare, tapered = (gwsignal.GenerateTDWaveform(parameters(condition=c), generator).hp for c in (0, 1))
    assert tapered.t0 < bare.t0 - 0.1 * u.s
    np.testing.assert_allclose(tapered.value[-len(bare) :], bare.value, atol=1e-12 * np.abs(bare.value).max())
    assert abs(tapered.value[:8]).max() < 1e-3 * np.abs(bare.value).max()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spin2x": 0.4 * ONE}, "spin2x"),
        ({"eccentricity": 0.2 * ONE}, "eccentricity"),
        ({"lambda1": 400.0 * ONE}, "lambda1"),
        ({"lmax": 4}, "lmax"),
        ({"ModeArray": [(2, 2), (2, 1)]}, "modes"),
        ({"f22_start": 0.0 * u.Hz}, "f22_start"),
    ],
)
def test_what_the_model_lacks_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        gwsignal.GenerateTDWaveform(parameters(**changes), gwsignal.gwsignal_get_waveform_generator(NAME))


def test_registering_leaves_other_names_to_lalsimulation() -> None:
    generator = gwsignal.gwsignal_get_waveform_generator("IMRPhenomXAS")
    assert generator.metadata["approximant"] == "IMRPhenomXAS"
    with pytest.raises(ValueError, match="not implemented"):
        gwsignal.gwsignal_get_waveform_generator("GWSML_NOSUCH")


SIGNAL = {
    **{"chirp_mass": 28.0, "mass_ratio": 0.8, "chi_1": 0.3, "chi_2": -0.1, "luminosity_distance": 900.0, "psi": 0.3},
    **{"theta_jn": 0.7, "phase": 1.2, "ra": 1.0, "dec": -1.0, "geocent_time": 1126259462.4},
}


def test_bilbys_gwsignal_generator_gives_the_likelihood_of_the_packages_own_source() -> None:
    convert = bilby.gw.conversion.convert_to_lal_binary_black_hole_parameters
    grid = {"duration": 4.0, "sampling_frequency": 2048.0, "parameter_conversion": convert}
    through_gwsignal = GWSignalWaveformGenerator(
        **grid, waveform_arguments={"waveform_approximant": NAME, "reference_frequency": 0.0, "minimum_frequency": 20.0}
    )
    own = bilby.gw.WaveformGenerator(
        **grid,
        frequency_domain_source_model=source_model(gw.load_surrogate("nr22")),
        waveform_arguments={"minimum_frequency": 20.0},
    )
    bilby.core.utils.random.seed(1)
    detectors = bilby.gw.detector.InterferometerList(["H1", "L1"])
    detectors.set_strain_data_from_power_spectral_densities(2048.0, 4.0, SIGNAL["geocent_time"] - 2)
    detectors.inject_signal(parameters=SIGNAL, waveform_generator=own)
    rng = np.random.default_rng(0)
    values = []
    for trial in range(4):
        drawn = dict(SIGNAL)
        if trial:
            drawn["phase"] = rng.uniform(0, 2 * np.pi)
            drawn["mass_ratio"], drawn["theta_jn"] = rng.uniform(0.4, 1.0), rng.uniform(0, np.pi)
        values.append(
            [bilby.gw.GravitationalWaveTransient(detectors, w).log_likelihood_ratio(drawn) for w in (through_gwsignal, own)]
        )
    ours, reference = np.array(values).T
    assert reference[0] > 100
    np.testing.assert_allclose(ours, reference, atol=0.02)  # 0.003 seen, of log L = 330; the two treat f < 20 Hz alike
    assert np.ptp(reference) > 50


def test_bilbys_reference_frequency_and_time_are_those_of_phenom_t_in_bilbys_lal_source() -> None:
    grid = {
        "duration": 4.0,
        "sampling_frequency": 2048.0,
        "parameter_conversion": bilby.gw.conversion.convert_to_lal_binary_black_hole_parameters,
    }
    arguments = {"reference_frequency": 60.0, "minimum_frequency": 20.0}
    ours = GWSignalWaveformGenerator(**grid, waveform_arguments={"waveform_approximant": NAME, **arguments})
    # bilby's LAL source, since gwsignal's generator for LAL's time-domain models drops their epoch
    theirs = bilby.gw.WaveformGenerator(
        **grid,
        frequency_domain_source_model=bilby.gw.source.lal_binary_black_hole,
        waveform_arguments={"waveform_approximant": "IMRPhenomT", **arguments},
    )
    h, reference = (w.frequency_domain_strain(SIGNAL) for w in (ours, theirs))
    band = slice(4 * 30, 4 * 400)
    for key in ("plus", "cross"):
        x, y = h[key][band], reference[key][band]
        assert np.vdot(x, y).real / np.linalg.norm(x) / np.linalg.norm(y) > 0.995
        assert np.linalg.norm(x) / np.linalg.norm(y) == pytest.approx(1, abs=0.01)


BEYOND: list[dict[str, float]] = [
    {"mass_1": 4.0, "mass_2": 3.0},  # begins above the minimum frequency
    {"mass_1": 900.0, "mass_2": 700.0},  # ends below it
    {"mass_1": 90.0, "mass_2": 3.0},
    {"a_1": 0.99},
    {"mass_1": np.nan},
    {"a_1": np.nan},
    {"luminosity_distance": np.nan},
    {"luminosity_distance": 0.0},
    {"theta_jn": np.inf},
]
ALIGNED = {
    **{
        "mass_1": 36.0,
        "mass_2": 29.0,
        "a_1": 0.3,
        "a_2": 0.1,
        "luminosity_distance": 410.0,
        "theta_jn": 0.4,
        "phase": 1.2,
    },
    **{"tilt_1": 0.0, "tilt_2": 0.0, "phi_12": 0.0, "phi_jl": 0.0, "psi": 0.3, "ra": 1.0, "dec": -1.0},
    **{"geocent_time": 1126259462.4},
}


def bilbys(approximant: str, catch: bool) -> GWSignalWaveformGenerator:
    arguments = {"waveform_approximant": approximant, "reference_frequency": 20.0, "minimum_frequency": 20.0}
    return GWSignalWaveformGenerator(
        duration=4.0, sampling_frequency=2048.0, waveform_arguments=arguments | {"catch_waveform_errors": catch}
    )


@pytest.mark.parametrize("approximant", ["GWSML_NR22", "GWSML_NRHM"])
def test_points_of_the_prior_beyond_the_model_have_likelihood_zero_and_a_run_goes_on(approximant: str) -> None:
    bilby.core.utils.random.seed(1)
    detectors = bilby.gw.detector.InterferometerList(["H1", "L1"])
    detectors.set_strain_data_from_power_spectral_densities(2048.0, 4.0, ALIGNED["geocent_time"] - 2)
    generator = bilbys(approximant, True)
    likelihood = bilby.gw.GravitationalWaveTransient(detectors, generator)
    expected = likelihood.log_likelihood_ratio(dict(ALIGNED))
    assert np.isfinite(expected)
    for point in BEYOND:
        assert likelihood.log_likelihood_ratio(ALIGNED | point) == np.nan_to_num(-np.inf), point
        assert generator.time_domain_strain(ALIGNED | point) is None
        assert likelihood.log_likelihood_ratio(dict(ALIGNED)) == expected
        with pytest.raises(NoWaveformError, match="Input domain error"):
            bilbys(approximant, False).frequency_domain_strain(ALIGNED | point)
    with pytest.raises(ConfigError, match="spin1x"):  # no point of a precessing prior would do: the settings are wrong
        generator.frequency_domain_strain(ALIGNED | {"tilt_1": 1.0})


@pytest.mark.parametrize("point", [{"mass1": 1.5 * u.solMass}, {"spin1z": 0.99 * ONE}, {"mass2": np.nan * u.solMass}])
def test_modes_beyond_the_model_fail_in_the_same_words(point: dict[str, Any]) -> None:
    with pytest.raises(NoWaveformError, match="Input domain error"):
        gwsignal.GenerateTDModes(parameters(**point), gwsignal.gwsignal_get_waveform_generator(NAME))
