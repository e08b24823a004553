"""Real data end to end: GW150914's SNRs and times, and the whole matched filter against pycbc's."""

from __future__ import annotations

import lal
import lalsimulation
import numpy as np
import pytest

from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.strain.data import StrainData
from gwsurrogate_ml.strain.filtering import matched_filter, own_excess
from gwsurrogate_ml.waveform.model import Grid, QuadrupoleModel

GPS = 1126259462.4
BINARY = {"mass_1": 38.0, "mass_2": 33.0}


class PhenomD(QuadrupoleModel):
    """IMRPhenomD of lalsimulation behind the interface of a surrogate, its amplitude peak moved to t = 0."""

    name = "phenom-d"

    def quadrupole(self, binaries, grid):
        return np.array([self._one(*row, *grid) for row in zip(binaries.mass_1, binaries.mass_2, strict=True)])

    def _one(self, mass_1, mass_2, duration, rate, f_min):
        n = round(duration * rate)
        h, _ = lalsimulation.SimInspiralChooseFDWaveform(
            mass_1 * lal.MSUN_SI,
            mass_2 * lal.MSUN_SI,
            *np.zeros(6),
            1e6 * lal.PC_SI,
            *np.zeros(5),
            1 / duration,
            f_min,
            rate / 2,
            20.0,
            lal.CreateDict(),
            lalsimulation.IMRPhenomD,
        )
        h = h.data.data
        k = np.argmax(np.abs(np.fft.ifft(h, n)))
        return h * np.exp(2j * np.pi * k * np.arange(h.size) / n)


@pytest.fixture(scope="module")
def data(data_dir) -> StrainData:
    files = {d: data_dir(f"strain/{d[0]}-{d}_LOSC_4_V2-1126259446-32.hdf5") for d in ("H1", "L1")}
    return StrainData.from_files(files, gps=GPS, name="GW150914")


@pytest.fixture(scope="module")
def result(data):
    return matched_filter(data, PhenomD(), BINARY)


def test_snrs_and_times_of_gw150914(result):
    """Independent codes: H1 18.6 to 19.7 at 1126259462.423, L1 13.2 to 14.2 at ..416, by PSD and template."""
    h1, l1 = result.detectors["H1"], result.detectors["L1"]
    assert 18.6 < h1.peak_snr < 19.7  # 19.07
    assert 13.2 < l1.peak_snr < 14.2  # 13.99
    assert abs(h1.time - 1126259462.423) < 0.0015
    assert abs(l1.time - 1126259462.416) < 0.0015
    assert 0.4 < h1.chisq_per_dof < 1.6  # 0.88
    assert 0.3 < l1.chisq_per_dof < 1.6  # 0.49


def test_snrs_with_the_catalogues_own_psd(data, data_dir, result):
    psds = {d: data_dir(f"psd/GWTC1_GW150914_PSD_{d}.dat") for d in data.detectors}
    catalogue = matched_filter(data, PhenomD(), BINARY, psd=psds)
    assert catalogue.detectors["H1"].peak_snr == pytest.approx(result.detectors["H1"].peak_snr, rel=0.04)
    assert catalogue.detectors["L1"].peak_snr == pytest.approx(result.detectors["L1"].peak_snr, rel=0.04)
    assert catalogue.detectors["H1"].time == pytest.approx(result.detectors["H1"].time, abs=2e-4)


def test_gw151012_is_found_at_its_faint_snr(data_dir):
    files = {d: data_dir(f"strain/{d[0]}-{d}_LOSC_4_V2-1128678884-32.hdf5") for d in ("H1", "L1")}
    faint = StrainData.from_files(files, gps=1128678900.44)
    found = matched_filter(faint, PhenomD(), {"mass_1": 30.0, "mass_2": 14.0})
    assert 4.5 < found.detectors["H1"].peak_snr < 7.5
    assert 4.5 < found.detectors["L1"].peak_snr < 7.5


@pytest.mark.peer
def test_the_whole_filter_is_pycbcs(data, result):
    """pycbc from the same strain: its PSD estimate without the event, its truncation, its filter, its chi-squared."""
    from pycbc.filter import matched_filter as pycbc_filter
    from pycbc.psd import interpolate, inverse_spectrum_truncation
    from pycbc.types import FrequencySeries, TimeSeries
    from pycbc.vetoes import power_chisq

    template = FrequencySeries(PhenomD().quadrupole(Binaries.aligned(38.0, 33.0, 0.0, 0.0), Grid(32.0, 4096.0, 20.0))[0], 1 / 32)
    for name, found in result.detectors.items():
        strain = TimeSeries(data.series[name].value, 1 / 4096, epoch=0)
        (_, values), _ = data.off_source_psd(name, (GPS - 2, GPS + 2), segment_duration=2.0)
        psd = interpolate(FrequencySeries(np.pad(values, (4097 - values.size, 0), mode="edge"), 0.5), 1 / 32)
        psd = inverse_spectrum_truncation(psd, 4 * 4096, low_frequency_cutoff=20.0, trunc_method="hann")
        options = {"psd": psd, "low_frequency_cutoff": 20.0, "high_frequency_cutoff": 1024.0}
        snr = pycbc_filter(template, strain, **options)
        near = slice(int(16.3 * 4096), int(16.5 * 4096))
        theirs = np.abs(snr.numpy()[near])
        ours = np.abs(found.snr.value[near.start - 4 * 4096 : near.stop - 4 * 4096])
        np.testing.assert_allclose(ours, theirs, atol=0.005 * theirs.max())
        assert found.peak_snr == pytest.approx(theirs.max(), rel=5e-3)
        chisq = power_chisq(template, strain, 16, psd, 20.0, 1024.0).numpy()[near][np.argmax(theirs)] / 30
        # Ours is taken at the peak between the samples, pycbc's at the loudest sample: 0.06 apart.
        assert found.chisq_per_dof == pytest.approx(chisq, abs=0.12)


@pytest.mark.peer
def test_whitened_data_agree_with_gwpys(data):
    white = data.whiten()["H1"]
    series = data.series["H1"]
    theirs = series.whiten(4, 2, fduration=2).crop(*white.span)
    # gwpy leaves in what the scatter of 15 periodograms does to the scale.
    excess = own_excess(series.size, 4096.0, segment_duration=4.0, fduration=2.0)
    assert 1.02 < excess < 1.05
    np.testing.assert_allclose(white.value, theirs.value / excess, atol=2e-3)
    # The event stands out at its time.
    middle = white.crop(GPS - 5, GPS + 5).bandpass(40, 300)
    peak = middle.t0.value + np.argmax(np.abs(middle.value)) / 4096
    assert abs(peak - 1126259462.42) < 0.02
