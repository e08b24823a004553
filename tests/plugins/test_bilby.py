"""The source model for bilby: all modes of the model it is given, and sent to other processes as pools do."""

from __future__ import annotations

import multiprocessing
import pickle

import bilby
import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.plugins.bilby import source_model
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.waveform.lal import LalModel

pytestmark = pytest.mark.peer

FREQUENCIES = np.arange(4097) * 0.25
CASES = [
    (40.0, 12.0, 0.3, -0.1, 410.0, 1.3, 1.2),
    (36.0, 29.0, 0.0, 0.5, 800.0, 2.6, 4.1),
    (70.0, 20.0, -0.4, 0.1, 100.0, 0.0, 0.0),
]
NAMES = ("mass_1", "mass_2", "chi_1", "chi_2", "luminosity_distance", "theta_jn", "phase")


def direct(values: tuple[float, ...]) -> tuple[float, ...]:
    """The case as the source's own arguments: magnitudes and tilts."""
    m_1, m_2, chi_1, chi_2, distance, theta_jn, phase = values
    spins = (x for chi in (chi_1, chi_2) for x in (abs(chi), np.pi if chi < 0 else 0.0))
    return m_1, m_2, distance, *spins, theta_jn, phase


def difference(ours: np.ndarray, theirs: np.ndarray, low: float, high: float) -> float:
    """Norm of the difference between `low` and `high` (Hz), relative to that of `theirs`."""
    band = (low < FREQUENCIES) & (high > FREQUENCIES)
    return float(np.linalg.norm((ours - theirs)[band]) / np.linalg.norm(theirs[band]))


@pytest.mark.parametrize("values", CASES)
def test_all_modes_of_the_time_domain_are_there(values: tuple[float, ...]) -> None:
    """Against the modes summed in the time domain, tapered and transformed here."""
    model, rate = gw.load_surrogate(), 2048.0
    ours = source_model(model)(FREQUENCIES, *direct(values), minimum_frequency=20.0)
    pair = model.polarizations(**dict(zip(NAMES, values, strict=True)), f_min=16.0, sampling_frequency=rate)
    for key, series in zip(("plus", "cross"), pair, strict=True):
        x, rise = series.value.copy(), round(0.2 * rate)
        x[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
        turn = np.exp(-2j * np.pi * FREQUENCIES * float(series.t0.value))
        theirs = np.fft.rfft(x, round(4 * rate))[: FREQUENCIES.size] / rate * turn
        # (5, 5) begins at 50 Hz where (2, 2) does at 20.
        assert difference(ours[key], theirs, 60.0, 500.0) < 0.01


@pytest.mark.parametrize("values", CASES)
def test_several_modes_are_what_the_surrogate_itself_says(values: tuple[float, ...]) -> None:
    model = gw.load_surrogate()
    ours = source_model(model)(FREQUENCIES, *direct(values))
    grid = {"f_min": 20.0, "sampling_frequency": 2048.0, "duration": 4.0}
    theirs = model.frequency_domain_polarizations(**dict(zip(NAMES, values, strict=True)), **grid)
    np.testing.assert_array_equal(ours["plus"][80:], theirs[0][80:])
    np.testing.assert_array_equal(ours["cross"][80:], theirs[1][80:])


@pytest.mark.parametrize("values", CASES)
def test_the_quadrupole_alone_is_turned_and_inclined(values: tuple[float, ...]) -> None:
    model = gw.load_surrogate("nr22")
    ours = source_model(model)(FREQUENCIES, *direct(values))
    grid = {"f_min": 20.0, "sampling_frequency": 2048.0, "duration": 4.0}
    theirs = model.frequency_domain_polarizations(**dict(zip(NAMES, values, strict=True)), **grid)
    assert difference(ours["plus"], theirs[0], 20.0, 200.0) < 3e-4  # observed 1e-4: what the sine lacks of the cosine
    assert difference(ours["cross"], theirs[1], 20.0, 200.0) < 3e-4


def strain_of(generator: bilby.gw.WaveformGenerator) -> np.ndarray:
    return generator.frequency_domain_strain(dict(zip(NAMES, CASES[0], strict=True)))["plus"]


@pytest.mark.process
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_bilbys_generator_works_in_a_pool(method: str) -> None:
    models = (gw.load_surrogate(), gw.load_surrogate("nr22"), LalModel())
    generators = [
        bilby.gw.WaveformGenerator(
            duration=4.0,
            sampling_frequency=2048.0,
            frequency_domain_source_model=source_model(model),
            parameter_conversion=bilby.gw.conversion.convert_to_lal_binary_black_hole_parameters,
            waveform_arguments={"minimum_frequency": 20.0},
        )
        for model in models
    ]
    with multiprocessing.get_context(method).Pool(1) as pool:
        there = pool.map(strain_of, generators)
    for generator, found in zip(generators, there, strict=True):
        np.testing.assert_array_equal(found, strain_of(generator))


def test_it_is_pickled_whole() -> None:
    source = source_model(gw.load_surrogate())
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again(FREQUENCIES, *direct(CASES[0]))["plus"], source(FREQUENCIES, *direct(CASES[0]))["plus"])


def test_a_binary_beyond_the_model_is_caught_only_where_that_is_asked_for() -> None:
    light = dict(zip(NAMES, (8.0, 6.0, *CASES[0][2:]), strict=True))
    for catch in (False, True):
        generator = bilby.gw.WaveformGenerator(
            duration=4.0,
            sampling_frequency=2048.0,
            frequency_domain_source_model=source_model(gw.load_surrogate("nr22")),
            waveform_arguments={"minimum_frequency": 20.0, "catch_waveform_errors": catch},
        )
        if catch:
            assert generator.frequency_domain_strain(light) is None  # bilby's likelihood of it: 0
        else:
            with pytest.raises(DomainError, match="f_min"):
                generator.frequency_domain_strain(light)


def test_waveform_arguments_are_honoured_or_refused() -> None:
    model = gw.load_surrogate("nrhm")
    source, f = source_model(model), np.arange(0, 1025) * 1.0
    binary = (60.0, 20.0, 400.0, 0.3, 0.0, 0.1, 0.0, 1.2, 0.4)
    whole = source(f, *binary)
    two = source(f, *binary, mode_array=[[2, 2]], reference_frequency=20.0, waveform_approximant="GWSML_NRHM")
    given = {
        "mass_1": 60.0,
        "mass_2": 20.0,
        "chi_1": 0.3,
        "chi_2": 0.1,
        "luminosity_distance": 400.0,
        "theta_jn": 1.2,
        "phase": 0.4,
    }
    plus, _ = model.frequency_domain_polarizations(**given, f_min=20.0, sampling_frequency=2048.0, duration=1.0, modes=[(2, 2)])
    np.testing.assert_allclose(two["plus"][20:], plus[20:])
    assert np.linalg.norm(two["plus"] - whole["plus"]) > 0.1 * np.linalg.norm(two["plus"])
    cut = source(f, *binary, maximum_frequency=200.0)
    np.testing.assert_array_equal(cut["cross"][f <= 200], whole["cross"][f <= 200])
    assert not cut["cross"][f > 200].any()
    with pytest.raises(ConfigError, match="the waveform argument minimum_frequncy is none"):
        source(f, *binary, minimum_frequncy=30.0)
    tilted = source_model(gw.load_surrogate("nrphm"))
    with pytest.raises(ConfigError, match="nrphm sums all its modes here"):
        tilted(f, 60.0, 20.0, 400.0, 0.3, 0.4, 0.1, 0.1, 0.2, 0.3, 1.2, 0.4, mode_array=[[2, 2]])


@pytest.mark.parametrize("name", ["nr22", "nrhm", "nrphm", "lal:IMRPhenomXAS"])
def test_below_the_minimum_frequency_all_is_zero_as_in_bilbys_lal_source(name: str) -> None:
    spins = (0.0, 0.0) if name != "nrphm" else (0.0, 0.0, 0.0)
    source, arguments = source_model(load_model(name)), (36.0, 29.0, 400.0, *spins, *spins, 0.4, 1.2)
    given = {"minimum_frequency": 30.0, "reference_frequency": 30.0}
    found = source(FREQUENCIES, *arguments, **given)
    theirs = bilby.gw.source.lal_binary_black_hole(
        FREQUENCIES, 36.0, 29.0, 400.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.4, 1.2, waveform_approximant="IMRPhenomXAS", **given
    )
    for key in ("plus", "cross"):
        assert np.flatnonzero(found[key])[0] == np.flatnonzero(theirs[key])[0] == 120


def test_an_aligned_source_of_lal_takes_one_reference_alone() -> None:
    source = source_model(LalModel("IMRPhenomXHM"))
    binary = (60.0, 20.0, 400.0, 0.3, 0.0, 0.1, 0.0, 1.2, 0.4)
    with pytest.raises(ConfigError, match="reference_frequency is 50 Hz: lal:IMRPhenomXHM takes phase at minimum_frequency, 20 Hz"):
        source(FREQUENCIES, *binary, reference_frequency=50.0)
    ours = source(FREQUENCIES, *binary, reference_frequency=20.0)
    for same in ({}, {"reference_frequency": 0.0}):  # 0 means f_min in LAL's models
        np.testing.assert_array_equal(source(FREQUENCIES, *binary, **same)["plus"], ours["plus"])
    theirs = bilby.gw.source.lal_binary_black_hole(
        FREQUENCIES, *binary[:5], 0.0, *binary[5:7], 0.0, *binary[7:],
        waveform_approximant="IMRPhenomXHM", reference_frequency=20.0, minimum_frequency=20.0,
    )  # fmt: skip
    assert difference(ours["cross"], theirs["cross"], 20.0, 1000.0) < 1e-12


@pytest.mark.parametrize("change", [{"luminosity_distance": x} for x in (-400.0, 0.0, np.nan)] + [{"theta_jn": np.nan}])
@pytest.mark.parametrize("name", ["nr22", "nrhm", "nrphm", "lal:IMRPhenomXAS"])
def test_places_that_no_binary_has_are_points_without_a_waveform(name: str, change: dict[str, float]) -> None:
    spins = ("a_1", "tilt_1", "a_2", "tilt_2", *(("phi_12", "phi_jl") if name == "nrphm" else ()))
    place = {"luminosity_distance": 400.0, "theta_jn": 0.4, "phase": 1.2} | change
    point = {"mass_1": 36.0, "mass_2": 29.0} | dict.fromkeys(spins, 0.0) | place
    source = source_model(load_model(name))
    assert source(FREQUENCIES, **point, reference_frequency=20.0, catch_waveform_errors=True) is None
    with pytest.raises(DomainError, match=next(iter(change))):
        source(FREQUENCIES, **point, reference_frequency=20.0)
