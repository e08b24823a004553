"""Lengths and end frequencies as pycbc asks for them, and that a length does not cost an approximant its own series."""

from __future__ import annotations

import numpy as np
import pytest
from pycbc.waveform import (
    get_fd_waveform,
    get_td_waveform,
    get_waveform_end_frequency,
    get_waveform_filter_length_in_time,
)
from pycbc.waveform.waveform import cpu_td, get_td_waveform_from_fd

from gwsurrogate_ml.errors import ConfigError, NoWaveformError
from gwsurrogate_ml.plugins import pycbc as plugin

pytestmark = pytest.mark.peer

NAMES = ["GWSML_NR22", "GWSML_NRHM", "GWSML_NRPHM"]
CASES = [
    {"mass1": 36.0, "mass2": 29.0, "spin1z": 0.3, "spin2z": -0.1, "f_lower": 20.0},
    {"mass1": 60.0, "mass2": 90.0, "spin1z": -0.4, "spin2z": 0.7, "f_lower": 12.0},
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", CASES)
def test_no_waveform_is_longer_and_none_much_shorter(name: str, case: dict[str, float]) -> None:
    length = get_waveform_filter_length_in_time(name, **case)
    series = get_td_waveform(approximant=name, delta_t=1 / 4096, **case)[0]
    assert series.duration - 2 / 4096 < length < series.duration + 0.5
    # All of a transform lies in the last `length` seconds of its segment, the ringdown at its start.
    spectrum = get_fd_waveform(approximant=name, delta_f=1 / 16, f_final=2048.0, **case)[0]
    peak = np.abs(spectrum.to_timeseries().numpy()).max()
    if name != "GWSML_NRPHM":  # its transforms hold modes of higher m from further back
        ringdown = series.end_time
        silent = spectrum.to_timeseries().numpy()[round(4096 * (float(ringdown) + 0.5)) : round(-4096 * (length + 0.5))]
        assert np.abs(silent).max() < 0.05 * peak  # what the edge at f_lower leaves


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", CASES)
def test_nothing_lies_above_the_end_frequency(name: str, case: dict[str, float]) -> None:
    end = get_waveform_end_frequency(approximant=name, inclination=1.3, **case)
    for h in get_fd_waveform(approximant=name, delta_f=1 / 8, f_final=4096.0, inclination=1.3, **case):
        power = np.abs(h.numpy()) ** 2
        assert power[round(8 * end) :].sum() < 1e-4 * power.sum()
    heavier = {**case, "mass1": 2 * case["mass1"], "mass2": 2 * case["mass2"]}
    assert get_waveform_end_frequency(approximant=name, **heavier) == pytest.approx(end / 2)


def test_a_choice_of_modes_ends_earlier() -> None:
    case = {"approximant": "GWSML_NRHM", **CASES[0]}
    whole, some = get_waveform_end_frequency(**case), get_waveform_end_frequency(**case, mode_array=[(2, 2)])
    assert some == pytest.approx(whole * 2 / 5)


@pytest.mark.parametrize("name", NAMES)
def test_series_are_our_own_although_pycbc_puts_transforms_in_their_place(name: str) -> None:
    assert cpu_td[name] is plugin.td
    assert cpu_td["IMRPhenomD"] is get_td_waveform_from_fd  # what it does where there is a length and a transform


@pytest.mark.parametrize("name", NAMES)
def test_pycbcs_interpolated_transforms_work(name: str) -> None:
    call = {**CASES[0], "delta_f": 1 / 16, "f_final": 1024.0}
    a, b = (get_fd_waveform(approximant=x, **call)[0].numpy()[: 16 * 1000] for x in (name, f"{name}_INTERP"))
    band = slice(16 * 30, None)
    assert np.linalg.norm((a - b)[band]) < 0.02 * np.linalg.norm(a[band])  # IMRPhenomD's: 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_template_bank_takes_them_as_filters(name: str) -> None:
    from pycbc.types import zeros
    from pycbc.waveform import get_waveform_filter

    h = get_waveform_filter(zeros(8193, dtype=np.complex128), approximant=name, delta_f=1 / 8, delta_t=1 / 2048, **CASES[0])
    assert h.length_in_time == h.chirp_length == get_waveform_filter_length_in_time(name, **CASES[0])
    direct = get_fd_waveform(approximant=name, delta_f=1 / 8, f_final=1024.0, **CASES[0])[0]
    np.testing.assert_allclose(h.numpy()[:8000], direct.numpy()[:8000], atol=1e-4 * np.abs(direct.numpy()).max())


@pytest.mark.parametrize("name", NAMES)
def test_series_from_transforms_are_the_models_own(name: str) -> None:
    """Asked for by hand, pycbc's way through the transform gives our series, but for the taper of its start.

    It begins lower than `f_lower`, and so the spins and the phase must be those at an `f_ref` that is named.
    """
    call = {"approximant": name, "delta_t": 1 / 2048, "f_ref": 20.0, **CASES[0]}
    own, made = get_td_waveform(**call)[0], get_td_waveform_from_fd(**call)[0]
    times = np.arange(-0.15, 0.02, 1 / 2048)
    a, b = (np.interp(times, h.sample_times.numpy(), h.numpy()) for h in (own, made))
    assert np.linalg.norm(a - b) < 0.02 * np.linalg.norm(a)


@pytest.mark.parametrize("name", NAMES)
def test_generators_of_pycbcs_inference_give_the_same_strain(name: str) -> None:
    from pycbc.waveform.generator import FDomainCBCGenerator, FDomainDetFrameGenerator

    static = {"approximant": name, "f_lower": 20.0, "delta_f": 1 / 8, "f_final": 1024.0, "f_ref": 20.0}
    place = {"ra": 1.375, "dec": -1.21, "polarization": 0.3, "tc": 1126259462.4}
    point = (
        {k: v for k, v in CASES[0].items() if k != "f_lower"} | {"distance": 410.0, "inclination": 0.4, "coa_phase": 1.2} | place
    )
    generator = FDomainDetFrameGenerator(
        FDomainCBCGenerator, 1126259458.0, detectors=["H1", "L1"], variable_args=list(point), recalib=None, gates=None, **static
    )
    found = generator.generate(**point)
    from pycbc.detector import Detector

    own = {k: v for k, v in point.items() if k not in place}
    plus, cross = (h.numpy() for h in get_fd_waveform(**own, **static))
    for detector, h in found.items():
        fp, fc = Detector(detector).antenna_pattern(place["ra"], place["dec"], place["polarization"], place["tc"])
        expected = np.abs(fp * plus + fc * cross)
        np.testing.assert_allclose(np.abs(h.numpy())[:8000], expected[:8000], rtol=1e-6, atol=1e-9 * expected.max())


def test_lengths_and_ends_refuse_what_waveforms_refuse() -> None:
    with pytest.raises(NoWaveformError, match="smallest total mass"):
        get_waveform_filter_length_in_time("GWSML_NRHM", mass1=8.0, mass2=6.0, f_lower=10.0)
    with pytest.raises(NoWaveformError, match="total masses of"):
        get_waveform_filter_length_in_time("GWSML_NRPHM", mass1=8.0, mass2=6.0, f_lower=10.0)
    with pytest.raises(ConfigError, match="spin1x"):
        get_waveform_filter_length_in_time("GWSML_NR22", **CASES[0], spin1x=0.2)
    with pytest.raises(ConfigError, match="lambda1"):
        get_waveform_end_frequency(approximant="GWSML_NR22", **CASES[0], lambda1=300.0)
