"""The precessing surrogate through pycbc, gwsignal and bilby, beside LAL's models through the same calls at the same parameters.

Against IMRPhenomTPHM, which as the surrogate has orbital phase and spins at `f_ref` in time, nothing is free but a few milliseconds
of shift: both polarizations have to agree in sign, rotation and phase. IMRPhenomXPHM fixes the phase of the transform there: one
phase is free, which has to be that between LAL's own two models.
"""

from __future__ import annotations

from typing import Any

import bilby
import numpy as np
import pytest
from astropy import units as u
from bilby.gw.conversion import bilby_to_lalsimulation_spins
from bilby.gw.waveform_generator import GWSignalWaveformGenerator
from lalsimulation import gwsignal
from pycbc.waveform import get_fd_waveform, get_td_waveform
from scipy.interpolate import CubicSpline

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import ConfigError, NoWaveformError
from gwsurrogate_ml.plugins import gwsignal as plugin
from gwsurrogate_ml.plugins.bilby import source_model

pytestmark = pytest.mark.peer

NAME, RATE = "GWSML_NRPHM", 4096.0
SPINS = {"spin1x": 0.3, "spin1y": -0.35, "spin1z": 0.2, "spin2x": -0.1, "spin2y": 0.4, "spin2z": -0.2}
BINARY = {"mass1": 38.0, "mass2": 27.0, "distance": 410.0, "f_lower": 20.0, "f_ref": 30.0, **SPINS}
ANGLES = [(0.4, 0.3), (1.2, 2.0), (2.6, 5.1)]
"""Inclination and phase: above and below the orbital plane, and near it."""
ONE = u.dimensionless_unscaled


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b).real / np.linalg.norm(a) / np.linalg.norm(b))


def td(approximant: str, **changes: float) -> list[Any]:
    return list(get_td_waveform(approximant=approximant, delta_t=1 / RATE, **(BINARY | changes)))


def both_overlaps(ours: list[Any], theirs: list[Any]) -> tuple[list[float], float, list[float]]:
    """Overlaps of plus and of cross at the shift (s) that makes their sum largest, that shift, and ratios of norms."""
    t = np.arange(-0.6, 0.02, 1 / RATE)
    a = [CubicSpline(h.sample_times.numpy(), h.numpy())(t) for h in ours]
    curves = [CubicSpline(h.sample_times.numpy(), h.numpy()) for h in theirs]
    rows = [([overlap(x, c(t + s)) for x, c in zip(a, curves, strict=True)], s) for s in np.arange(-2e-3, 2.01e-3, 1e-4)]
    best, shift = max(rows, key=lambda row: sum(row[0]))
    norms = [float(np.linalg.norm(x) / np.linalg.norm(c(t + shift))) for x, c in zip(a, curves, strict=True)]
    return best, float(shift), norms


@pytest.mark.parametrize(("inclination", "phase"), ANGLES)
@pytest.mark.parametrize("f_ref", [20.0, 50.0])
def test_both_polarizations_are_those_of_imrphenomtphm(inclination: float, phase: float, f_ref: float) -> None:
    angles = {"inclination": inclination, "coa_phase": phase, "f_ref": f_ref}
    found, _, norms = both_overlaps(td(NAME, **angles), td("IMRPhenomTPHM", **angles))
    assert min(found) > 0.99  # a wrong sign of one of them: -0.99
    assert norms == pytest.approx([1, 1], abs=0.05)


@pytest.mark.parametrize(
    "wrong",
    [
        {"inclination": np.pi - 1.2},
        {"coa_phase": -2.0},
        {"coa_phase": 2.0 + np.pi / 2},
        {**SPINS, "spin1x": -SPINS["spin1x"], "spin1y": -SPINS["spin1y"], "spin2x": 0.1, "spin2y": -0.4},
        {"f_ref": 60.0},
    ],
)
def test_the_comparison_sees_a_wrong_angle_or_reference(wrong: dict[str, float]) -> None:
    angles = {"inclination": 1.2, "coa_phase": 2.0}
    found, _, _ = both_overlaps(td(NAME, **angles), td("IMRPhenomTPHM", **(angles | wrong)))
    assert min(found) < 0.97


def test_spins_and_observer_turned_about_the_orbital_axis_see_the_same_orbit_at_another_phase() -> None:
    """With the azimuths of spins and observer (pi/2 - phase) turned by an angle, what is left is an orbital phase that much
    earlier: h_plus - i h_cross, from above all of one sign of m, turns by twice the angle, but for how the dynamics depend on
    the phase."""
    angle, angles = 0.9, {"inclination": 0.4, "coa_phase": 2.0}
    c, s = np.cos(angle), np.sin(angle)
    turned: dict[str, float] = {}
    for i in (1, 2):
        x, y = SPINS[f"spin{i}x"], SPINS[f"spin{i}y"]
        turned |= {f"spin{i}x": c * x - s * y, f"spin{i}y": s * x + c * y}
    both = td(NAME, **angles), td(NAME, **(angles | turned | {"coa_phase": 2.0 - angle}))
    t = np.arange(-0.6, 0.02, 1 / RATE)
    h, k = (np.array([CubicSpline(a.sample_times.numpy(), a.numpy())(t) for a in pair]) for pair in both)
    z = np.vdot(h[0] - 1j * h[1], k[0] - 1j * k[1]) / np.linalg.norm(h) / np.linalg.norm(k)
    assert abs(z) > 0.97
    assert np.angle(z) == pytest.approx(2 * angle, abs=0.1)


def test_the_order_of_the_bodies_is_taken_as_imrphenomtphm_takes_it() -> None:
    other = {f"spin{3 - i}{axis}": SPINS[f"spin{i}{axis}"] for i in (1, 2) for axis in "xyz"}
    swapped = {**other, "mass1": BINARY["mass2"], "mass2": BINARY["mass1"], "inclination": 1.2, "coa_phase": 2.0}
    for h, k in zip(td(NAME, inclination=1.2, coa_phase=2.0), td(NAME, **swapped), strict=True):
        np.testing.assert_allclose(h.numpy(), k.numpy(), atol=1e-5 * np.abs(h.numpy()).max())
    assert min(both_overlaps(td(NAME, **swapped), td("IMRPhenomTPHM", **swapped))[0]) > 0.99


def test_spins_along_the_orbit_give_the_aligned_surrogate() -> None:
    flat = {**dict.fromkeys(SPINS, 0.0), "spin1z": 0.3, "spin2z": -0.1, "inclination": 1.1, "coa_phase": 0.7}
    found, shift, norms = both_overlaps(td(NAME, **flat), td("GWSML_NRHM", **flat))
    assert min(found) > 0.9995
    assert abs(shift) < 2e-4
    assert norms == pytest.approx([1, 1], abs=0.01)


def test_a_reference_of_zero_is_the_lowest_frequency_as_in_lal() -> None:
    zero, named = (td(NAME, f_ref=f, inclination=1.0) for f in (0.0, 20.0))
    np.testing.assert_allclose(zero[0].numpy(), named[0].numpy(), atol=1e-5 * np.abs(named[0].numpy()).max())
    assert min(both_overlaps(zero, td("IMRPhenomTPHM", f_ref=0.0, inclination=1.0))[0]) > 0.99


def complex_overlaps(ours: Any, theirs: Any, delta_f: float) -> np.ndarray:
    """Complex overlaps of plus and cross from 30 to 400 Hz, at the shift in time that makes their sum largest."""
    band = slice(round(30 / delta_f), round(400 / delta_f))
    f = np.arange(band.start, band.stop) * delta_f
    pairs = [(np.asarray(x)[band], np.asarray(y)[band]) for x, y in zip(ours, theirs, strict=True)]
    turns = np.exp(2j * np.pi * np.outer(np.arange(-6e-3, 6e-3, 1e-4), f))
    found = np.array([(turns * (x.conj() * y)).sum(1) / np.linalg.norm(x) / np.linalg.norm(y) for x, y in pairs])
    return found[:, np.argmax(np.abs(found).sum(0))]


@pytest.mark.parametrize(("inclination", "phase"), ANGLES)
def test_transforms_are_those_of_imrphenomxphm_up_to_the_phase_between_lals_models(inclination: float, phase: float) -> None:
    delta_f = 0.25
    call = {**BINARY, "inclination": inclination, "coa_phase": phase, "delta_f": delta_f, "f_final": 1024.0}
    ours, theirs = ([h.numpy() for h in get_fd_waveform(approximant=name, **call)] for name in (NAME, "IMRPhenomXPHM"))
    found = complex_overlaps(ours, theirs, delta_f)
    assert np.abs(found).min() > 0.97
    assert abs(np.angle(found[0] / found[1])) < 0.15  # one phase for both: the sign of cross is that of plus
    series = td("IMRPhenomTPHM", inclination=inclination, coa_phase=phase)
    n, twins = round(RATE / delta_f), []
    for h in series:
        x = h.numpy().copy()
        x[:300] *= np.linspace(0, 1, 300)
        f = np.fft.rfftfreq(n, 1 / RATE)
        twins.append(np.fft.rfft(x, n) / RATE * np.exp(-2j * np.pi * f * float(h.start_time)))
    between = complex_overlaps(twins, theirs, delta_f)
    assert abs(np.angle(found[0] / between[0])) < 0.3


def test_transforms_are_of_the_series_at_any_spacing() -> None:
    series = td(NAME, inclination=1.0, coa_phase=0.4)
    for delta_f in (0.25, 1.0, 4.0):
        both = get_fd_waveform(approximant=NAME, **BINARY, inclination=1.0, coa_phase=0.4, delta_f=delta_f, f_final=512.0)
        for h, transform in zip(series, both, strict=True):
            band = np.arange(round(100 / delta_f), round(500 / delta_f))  # (5, 5) begins at 50 Hz where the series does
            t = h.sample_times.numpy()
            direct = np.array([np.sum(h.numpy() * np.exp(-2j * np.pi * k * delta_f * t)) / RATE for k in band])
            assert np.abs(transform.numpy()[band] - direct).max() < 2e-2 * np.abs(direct).max()


def signal(**changes: Any) -> dict[str, Any]:
    p = {name: value * ONE for name, value in SPINS.items()}
    p |= {"mass1": 38 * u.solMass, "mass2": 27 * u.solMass, "distance": 410 * u.Mpc, "inclination": 1.2 * u.rad}
    p |= {"phi_ref": 2.0 * u.rad, "f22_ref": 30 * u.Hz, "f22_start": 20 * u.Hz, "deltaT": u.s / RATE, "deltaF": 0.25 * u.Hz}
    p |= {"f_max": 1024 * u.Hz, "condition": 0, "eccentricity": 0 * ONE, "longAscNodes": 0 * u.rad, "meanPerAno": 0 * u.rad}
    return p | changes


@pytest.fixture
def generator() -> Any:
    plugin.register()
    return gwsignal.gwsignal_get_waveform_generator(NAME)


def test_gwsignal_gives_what_pycbc_gives(generator: Any) -> None:
    assert generator.metadata["type"] == "precessing_spin"
    for h, k in zip(gwsignal.GenerateTDWaveform(signal(), generator), td(NAME, inclination=1.2, coa_phase=2.0), strict=True):
        assert h.t0.value == pytest.approx(float(k.start_time))
        np.testing.assert_allclose(h.value, k.numpy(), atol=1e-5 * np.abs(k.numpy()).max())
    kilograms = signal(mass1=(38 * u.solMass).to(u.kg), inclination=np.degrees(1.2) * u.deg)
    for h, k in zip(
        gwsignal.GenerateTDWaveform(kilograms, generator), gwsignal.GenerateTDWaveform(signal(), generator), strict=True
    ):
        np.testing.assert_allclose(h.value, k.value, atol=1e-5 * np.abs(k.value).max())


def test_modes_sum_by_gwsignals_own_harmonics_and_are_those_of_imrphenomtphm(generator: Any) -> None:
    modes = gwsignal.GenerateTDModes(signal(), generator)
    summed = modes(1.2 * u.rad, (np.pi / 2 - 2.0) * u.rad)
    for a, b in zip(summed, gwsignal.GenerateTDWaveform(signal(), generator), strict=True):
        np.testing.assert_allclose(a.times.value, b.times.value, atol=1e-12)
        late = a.times.value > -0.7  # the series rises by a taper
        assert np.abs(a.value - b.value)[late].max() < 1e-3 * np.abs(b.value).max()
    theirs = gwsignal.GenerateTDModes(signal(), gwsignal.gwsignal_get_waveform_generator("IMRPhenomTPHM"))
    t = np.arange(-0.6, 0.01, 1 / RATE)
    for key, least in {(2, 2): 0.99, (2, 1): 0.97, (2, -1): 0.97, (2, -2): 0.99, (3, 3): 0.95, (3, -3): 0.95}.items():
        a, b = (CubicSpline(m[key].times.value, m[key].value)(t) for m in (modes, theirs))
        assert overlap(a, b) > least


BILBY = {
    **{"chirp_mass": 28.0, "mass_ratio": 0.7, "luminosity_distance": 410.0, "theta_jn": 0.9, "phase": 1.0},
    **{"a_1": 0.5, "a_2": 0.4, "tilt_1": 1.0, "tilt_2": 0.6, "phi_12": 1.3, "phi_jl": 0.5},
}
WAVEFORM = {"minimum_frequency": 20.0, "reference_frequency": 30.0}


def generators() -> dict[str, Any]:
    plugin.register()
    grid = {"duration": 4.0, "sampling_frequency": 2048.0}
    own = {"frequency_domain_source_model": source_model(gw.load_surrogate("nrphm")), "waveform_arguments": WAVEFORM}
    lal = {"frequency_domain_source_model": bilby.gw.source.lal_binary_black_hole}
    return {
        "own": bilby.gw.WaveformGenerator(**grid, **own),
        "gwsignal": GWSignalWaveformGenerator(**grid, waveform_arguments=WAVEFORM | {"waveform_approximant": NAME}),
        "lal": bilby.gw.WaveformGenerator(**grid, **lal, waveform_arguments=WAVEFORM | {"waveform_approximant": "IMRPhenomTPHM"}),
    }


def test_bilbys_angles_are_those_of_its_lal_source_in_both_our_ways() -> None:
    h = {name: w.frequency_domain_strain(dict(BILBY)) for name, w in generators().items()}
    for kind in ("plus", "cross"):  # below the minimum frequency bilby sets gwsignal's to zero
        assert np.abs(h["own"][kind] - h["gwsignal"][kind])[80:].max() < 1e-4 * np.abs(h["own"][kind]).max()
    found = complex_overlaps(*([x["plus"], x["cross"]] for x in (h["own"], h["lal"])), 0.25)
    assert np.abs(found).min() > 0.99
    assert np.abs(np.angle(found)).max() < 0.3  # no phase is free


def test_bilbys_angles_are_the_spins_that_its_conversion_gives() -> None:
    own = generators()["own"]
    h = own.frequency_domain_strain(dict(BILBY))
    total = BILBY["chirp_mass"] * (1 + BILBY["mass_ratio"]) ** 1.2 / BILBY["mass_ratio"] ** 0.6
    masses = total / (1 + BILBY["mass_ratio"]), total * BILBY["mass_ratio"] / (1 + BILBY["mass_ratio"])
    angles = {name: BILBY[name] for name in ("theta_jn", "phi_jl", "tilt_1", "tilt_2", "phi_12", "a_1", "a_2", "phase")}
    kilograms = {f"mass_{i}": m * bilby.core.utils.solar_mass for i, m in enumerate(masses, start=1)}
    iota, *spins = bilby_to_lalsimulation_spins(**angles, **kilograms, reference_frequency=30.0)
    assert abs(iota - BILBY["theta_jn"]) > 0.05  # J and L do differ
    names = [f"spin{i}{axis}" for i in (1, 2) for axis in "xyz"]
    cartesian = dict(zip(names, spins, strict=True)) | {"mass1": masses[0], "mass2": masses[1], "distance": 410.0}
    call = {**cartesian, "inclination": iota, "coa_phase": 1.0, "f_lower": 20.0, "f_ref": 30.0, "delta_f": 0.25, "f_final": 1024.0}
    for kind, other in zip(("plus", "cross"), get_fd_waveform(approximant=NAME, **call), strict=True):
        assert np.abs(h[kind] - other.numpy()[: len(h[kind])])[80:].max() < 1e-4 * np.abs(h[kind]).max()


@pytest.mark.parametrize("name", ["own", "gwsignal"])
@pytest.mark.parametrize(
    "point", [{"mass_ratio": 0.1}, {"chirp_mass": 3.0}, {"a_1": 0.95}, {"tilt_1": np.nan}, {"luminosity_distance": 0.0}]
)
def test_points_beyond_the_model_are_caught_where_that_is_asked_for(name: str, point: dict[str, float]) -> None:
    from gwsurrogate_ml.errors import DomainError

    w = generators()[name]
    with pytest.raises((NoWaveformError, DomainError)):
        w.frequency_domain_strain(BILBY | point)
    w.waveform_arguments = w.waveform_arguments | {"catch_waveform_errors": True}
    assert w.frequency_domain_strain(BILBY | point) is None


def test_an_aligned_source_refuses_spins_in_the_plane_that_bilby_would_drop() -> None:
    w = bilby.gw.WaveformGenerator(
        duration=4.0, sampling_frequency=2048.0, frequency_domain_source_model=source_model(gw.load_surrogate("nr22"))
    )
    place = {name: BILBY[name] for name in ("chirp_mass", "mass_ratio", "luminosity_distance", "theta_jn", "phase")}
    for chi in (0.0, 0.3, -0.2):
        assert np.abs(w.frequency_domain_strain(place | {"chi_1": chi, "chi_2": chi})["plus"]).max() > 0
    with pytest.raises(ConfigError, match="nrphm"):
        w.frequency_domain_strain(place | {"chi_1": 0.3, "chi_2": 0.1, "chi_1_in_plane": 0.4, "chi_2_in_plane": 0.0})


def test_an_aligned_source_takes_angles_of_precessing_priors_where_they_are_aligned_and_else_names_nrphm() -> None:
    w = bilby.gw.WaveformGenerator(
        duration=4.0, sampling_frequency=2048.0, frequency_domain_source_model=source_model(gw.load_surrogate("nrhm"))
    )
    place = {name: BILBY[name] for name in ("chirp_mass", "mass_ratio", "luminosity_distance", "theta_jn", "phase")}
    angles = {"a_1": 0.3, "a_2": 0.2, "tilt_1": 0.0, "tilt_2": np.pi, "phi_12": 0.3, "phi_jl": 1.0}
    theirs = w.frequency_domain_strain(place | {"chi_1": 0.3, "chi_2": -0.2})
    np.testing.assert_array_equal(w.frequency_domain_strain(place | angles)["plus"], theirs["plus"])
    with pytest.raises(ConfigError, match=r"components in the orbital plane.*nrphm"):
        w.frequency_domain_strain(place | angles | {"tilt_1": 1.0})


def test_a_precessing_source_of_lal_takes_one_reference_alone() -> None:
    from gwsurrogate_ml.waveform.lal import LalModel

    frequencies, masses = np.arange(1025) * 1.0, {"mass_1": 38.0, "mass_2": 27.0}
    parameters = masses | {k: v for k, v in BILBY.items() if k not in ("chirp_mass", "mass_ratio")}
    source = source_model(LalModel("IMRPhenomXPHM"))
    with pytest.raises(ConfigError, match="reference_frequency is 50 Hz"):
        source(frequencies, **parameters)
    theirs = bilby.gw.source.lal_binary_black_hole(
        frequencies, **parameters, waveform_approximant="IMRPhenomXPHM", reference_frequency=20.0, minimum_frequency=20.0
    )
    ours = source(frequencies, **parameters, reference_frequency=20.0)
    assert np.abs(ours["cross"] - theirs["cross"])[20:].max() < 1e-5 * np.abs(theirs["cross"]).max()
