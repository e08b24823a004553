"""The analysis segment, the detector response and injections against bilby; angles and signs against LAL."""

from __future__ import annotations

import bilby
import lal
import lalsimulation
import numpy as np
import pytest

from gwsurrogate_ml.strain import detectors
from gwsurrogate_ml.strain.data import StrainData
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.waveform.model import Grid, QuadrupoleModel, evaluate, oriented

pytestmark = pytest.mark.peer

bilby.core.utils.logger.setLevel("ERROR")

GPS = 1126259462.4
PARAMETERS = {
    "mass_1": 38.0,
    "mass_2": 32.0,
    "chi_1": 0.3,
    "chi_2": -0.2,
    "luminosity_distance": 450.0,
    "theta_jn": 2.1,
    "phase": 1.2,
    "psi": 0.7,
    "ra": 1.375,
    "dec": -1.2108,
    "geocent_time": GPS + 0.013,
}


class PhenomD(QuadrupoleModel):
    """IMRPhenomD of lalsimulation behind the interface of a surrogate."""

    name = "phenom-d"

    def quadrupole(self, binaries, grid):
        rows = zip(*binaries.aligned_columns(self.name), strict=True)
        return np.array([lal_phenom(*row, 0.0, 0.0, 1.0, grid.duration, grid.f_min, grid.n_f)[0] for row in rows])


def turned(h, parameters):
    place = (np.array([parameters[name]]) for name in ("theta_jn", "phase", "luminosity_distance"))
    return oriented(h[None], *place)[0]


def lal_phenom(mass_1, mass_2, chi_1, chi_2, inclination, phase, distance, duration, f_min, n_f):
    h = lalsimulation.SimInspiralChooseFDWaveform(
        mass_1 * lal.MSUN_SI,
        mass_2 * lal.MSUN_SI,
        *(0.0, 0.0, chi_1, 0.0, 0.0, chi_2),
        distance * 1e6 * lal.PC_SI,
        inclination,
        phase,
        *(0.0, 0.0, 0.0),
        1 / duration,
        f_min,
        (n_f - 1) / duration,
        20.0,
        lal.CreateDict(),
        lalsimulation.IMRPhenomD,
    )
    return [series.data.data[:n_f] for series in h]


@pytest.fixture(scope="module")
def data() -> StrainData:
    return simulate(PARAMETERS, PhenomD(), seed=7)


@pytest.fixture(scope="module")
def segment(data) -> AnalysisSegment:
    return data.segment()


def bilby_interferometer(name, series, segment):
    """bilby's own way from the time series to the data: crop, window, transform."""
    detector = bilby.gw.detector.get_empty_interferometer(name)
    detector.minimum_frequency, detector.maximum_frequency = segment.f_min, segment.f_max
    detector.strain_data.roll_off = segment.roll_off
    piece = series.crop(segment.start_time, segment.start_time + segment.duration)
    detector.set_strain_data_from_gwpy_timeseries(piece)
    return detector


def assert_is_bilbys(segment, data):
    for i, name in enumerate(segment.detectors):
        theirs = bilby_interferometer(name, data.series[name], segment)
        n_f = segment.frequencies.size
        np.testing.assert_array_equal(theirs.frequency_array[:n_f], segment.frequencies)
        np.testing.assert_array_equal(theirs.frequency_mask[:n_f], segment.mask)
        assert not theirs.frequency_mask[n_f:].any()
        ours, held = segment.strain[i, segment.mask], theirs.frequency_domain_strain[theirs.frequency_mask]
        np.testing.assert_allclose(ours, held, rtol=1e-12, atol=1e-12 * np.abs(held).min())


def test_segment_is_what_bilby_makes_of_the_same_series(segment, data):
    assert_is_bilbys(segment, data)


def test_segment_of_real_data_is_bilbys(data_dir):
    files = {d: data_dir(f"strain/{d[0]}-{d}_LOSC_4_V2-1126259446-32.hdf5") for d in ("H1", "L1")}
    data = StrainData.from_files(files, gps=GPS)
    assert_is_bilbys(data.segment(f_min=25.0, f_max=900.0, roll_off=0.2), data)


def test_to_bilby_holds_the_same_numbers(segment):
    for i, detector in enumerate(segment.to_bilby()):
        assert detector.name == segment.detectors[i]
        assert detector.strain_data.start_time == segment.start_time
        assert detector.duration == segment.duration
        assert (detector.minimum_frequency, detector.maximum_frequency) == (segment.f_min, segment.f_max)
        np.testing.assert_array_equal(detector.frequency_array, segment.frequencies)
        np.testing.assert_array_equal(detector.frequency_mask, segment.mask)
        np.testing.assert_array_equal(detector.frequency_domain_strain[segment.mask], segment.strain[i, segment.mask])
        np.testing.assert_allclose(detector.power_spectral_density_array[segment.mask], segment.psd[i, segment.mask], rtol=1e-12)


def test_noise_log_likelihood_is_bilbys(segment):
    generator = bilby.gw.WaveformGenerator(
        duration=segment.duration,
        sampling_frequency=segment.sampling_frequency,
        start_time=segment.start_time,
        frequency_domain_source_model=bilby.gw.source.lal_binary_black_hole,
    )
    likelihood = bilby.gw.GravitationalWaveTransient(segment.to_bilby(), generator)
    assert segment.noise_log_likelihood() == pytest.approx(likelihood.noise_log_likelihood(), rel=1e-12)


def test_an_injection_is_bilbys():
    """The signal in simulated data, against bilby injecting the same polarizations into the same empty stretch."""
    names = ("H1", "L1", "V1")
    data = simulate(PARAMETERS, PhenomD(), names, zero_noise=True)
    h = evaluate(PhenomD(), PARAMETERS, Grid(32.0, 4096.0, 20.0))
    plus, cross = turned(h, PARAMETERS)
    for name in names:
        series = data.series[name]
        detector = bilby.gw.detector.get_empty_interferometer(name)
        detector.minimum_frequency, detector.maximum_frequency = 0.0, 2048.0
        detector.set_strain_data_from_zero_noise(4096.0, 32.0, start_time=series.t0.value)
        detector.inject_signal_from_waveform_polarizations(PARAMETERS, {"plus": plus, "cross": cross})
        theirs = detector.time_domain_strain
        np.testing.assert_allclose(series.value, theirs, rtol=0, atol=1e-10 * np.abs(theirs).max())


@pytest.mark.parametrize(("theta_jn", "phase"), [(0.0, 0.0), (0.4, 1.2), (1.5, 3.0), (2.6, 5.1)])
def test_polarizations_have_lals_signs_and_sizes(theta_jn, phase):
    h = evaluate(PhenomD(), PARAMETERS, Grid(4.0, 2048.0, 20.0))
    ours = turned(h, PARAMETERS | {"theta_jn": theta_jn, "phase": phase})
    theirs = lal_phenom(38.0, 32.0, 0.3, -0.2, theta_jn, phase, 450.0, 4.0, 20.0, h.size)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6 * np.abs(h).max() / 450)


@pytest.mark.parametrize("name", ["H1", "L1", "V1", "K1"])
def test_response_is_lals(name):
    ra, dec, psi = 1.375, -1.2108, 0.7
    lals = {d.frDetector.prefix: d for d in lal.CachedDetectors}[name]
    time = lal.LIGOTimeGPS(GPS)
    gmst = lal.GreenwichMeanSiderealTime(time)
    expected = lal.ComputeDetAMResponse(lals.response, ra, dec, psi, gmst)
    # bilby's sidereal time and LAL's agree to about 1e-5 rad.
    place = {"ra": ra, "dec": dec, "psi": psi, "geocent_time": GPS}
    one, none, f = np.ones(2, complex), np.zeros(2, complex), np.array([0.0, 10.0])
    plus, cross = (detectors.project(name, *h, place, f, GPS) for h in ((one, none), (none, one)))
    np.testing.assert_allclose([plus[0], cross[0]], expected, atol=1e-4)
    delay = lal.TimeDelayFromEarthCenter(lals.location, ra, dec, time)
    assert -np.angle(plus[1] / plus[0]) / (2 * np.pi * f[1]) == pytest.approx(delay, abs=1e-6)
