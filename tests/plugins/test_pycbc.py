"""The pycbc plug-ins through pycbc's own functions, beside LAL's Phenom models through the same calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pycbc.filter import match
from pycbc.waveform import FailedWaveformError, get_fd_waveform, get_td_waveform
from pycbc.waveform.generator import TDomainCBCGenerator

from gwsurrogate_ml.errors import ConfigError

pytestmark = pytest.mark.peer

CASES = [
    {"mass1": 36.0, "mass2": 29.0, "spin1z": 0.3, "spin2z": -0.1, "inclination": 0.4, "coa_phase": 1.2},
    {"mass1": 20.0, "mass2": 60.0, "spin1z": 0.5, "spin2z": -0.3, "inclination": 2.2, "coa_phase": 0.3},
]
COMMON = {"f_lower": 20.0, "distance": 410.0, "f_ref": 70.0}


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b).real / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("long_asc_nodes", [0.0, 0.4])
def test_td_agrees_with_phenom_t_in_epoch_norm_and_sign_of_both_polarizations(
    case: dict[str, float], long_asc_nodes: float
) -> None:
    call = {**COMMON, **case, "long_asc_nodes": long_asc_nodes, "delta_t": 1 / 4096}
    ours, theirs = (get_td_waveform(approximant=name, **call) for name in ("GWSML_NR22", "IMRPhenomT"))
    for a, b in zip(ours, theirs, strict=True):
        assert float(a.start_time) == pytest.approx(float(b.start_time), abs=5e-3)
        assert a.delta_t == b.delta_t
        t = np.arange(-0.3, 0.01, 1 / 4096)
        h = [np.interp(t, x.sample_times.numpy(), x.numpy()) for x in (a, b)]
        assert overlap(*h) > 0.995  # no alignment: 0.9986 at worst
        assert np.linalg.norm(h[0]) / np.linalg.norm(h[1]) == pytest.approx(1, abs=0.02)
    peak = ours[0].numpy() ** 2 + ours[1].numpy() ** 2
    if np.cos(case["inclination"]) > 0.9:
        assert abs(ours[0].sample_times[int(np.argmax(peak))]) < 1e-3


def test_higher_modes_agree_with_phenom_thm() -> None:
    call = {**COMMON, **CASES[1], "delta_t": 1 / 4096}
    full, other, bare = (get_td_waveform(approximant=name, **call) for name in ("GWSML_NRHM", "IMRPhenomTHM", "GWSML_NR22"))
    t = np.arange(-0.3, -0.005, 1 / 4096)
    for a, b, plain in zip(full, other, bare, strict=True):
        x, y, z = (np.interp(t, h.sample_times.numpy(), h.numpy()) for h in (a, b, plain))
        assert 1 - overlap(x, y) < 0.5 * (1 - overlap(z, y))  # no alignment
        assert overlap(x, y) > 0.985
        assert np.linalg.norm(x) / np.linalg.norm(y) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("delta_f", "f_final"), [(1 / 8, 0.0), (0.5, 500.0), (2.0, 1024.0)])
def test_fd_agrees_with_phenom_xas_in_grid_epoch_norm_and_shape(case: dict[str, float], delta_f: float, f_final: float) -> None:
    call = {**COMMON, **case, "delta_f": delta_f, "f_final": f_final}
    ours, theirs = (get_fd_waveform(approximant=name, **call) for name in ("GWSML_NR22", "IMRPhenomXAS"))
    for a, b in zip(ours, theirs, strict=True):
        assert a.delta_f == b.delta_f
        assert a.epoch == b.epoch
        if f_final:
            assert len(a) == len(b)
            assert (np.flatnonzero(a.numpy())[[0, -1]] == np.flatnonzero(b.numpy())[[0, -1]]).all() or f_final > 500
        n = min(len(a), len(b))
        x, y = a.numpy()[:n], b.numpy()[:n]
        f = np.arange(n) * delta_f
        # XAS places its peak within a few M of t = 0 and so a little phase: let a shift in time and one phase be free.
        shifts = np.arange(-3e-3, 3e-3, 5e-5)
        inner = np.array([np.vdot(x, y * np.exp(2j * np.pi * f * s)) for s in shifts])
        best = np.abs(inner).max() / np.linalg.norm(x) / np.linalg.norm(y)
        assert best > 0.997
        assert np.linalg.norm(x) / np.linalg.norm(y) == pytest.approx(1, abs=0.02)
    for a, b in (ours, theirs):  # h_cross = -i cos(theta) h_plus / ((1 + cos^2) / 2): the same sign in both
        c = np.cos(case["inclination"])
        assert overlap(a.numpy(), 1j * b.numpy()) == pytest.approx(np.sign(c), abs=1e-3)


@pytest.mark.parametrize("approximant", ["GWSML_NR22", "GWSML_NRHM"])
def test_fd_is_the_transform_of_td_at_any_spacing(approximant: str) -> None:
    call: dict[str, Any] = {"approximant": approximant, **COMMON, **CASES[0]}
    series = get_td_waveform(**call, delta_t=1 / 4096)
    # a window that leaves the ringdown alone; the two conditionings differ only near f_lower
    for i, h in enumerate(series):
        t, x = h.sample_times.numpy(), h.numpy().copy()
        x[:400] *= np.linspace(0, 1, 400)
        for delta_f in (0.25, 1.0, 4.0):
            ours = get_fd_waveform(**call, delta_f=delta_f, f_final=512.0)[i]
            band = np.arange(round(60 / delta_f), round(500 / delta_f))
            direct = np.array([np.sum(x * np.exp(-2j * np.pi * k * delta_f * t)) / 4096 for k in band])
            assert np.abs(ours.numpy()[band] - direct).max() < 2e-2 * np.abs(direct).max()


def test_order_of_the_bodies_does_not_matter() -> None:
    a = get_td_waveform(approximant="GWSML_NR22", **COMMON, **CASES[1], delta_t=1 / 2048)
    swapped = {**CASES[1], "mass1": 60.0, "mass2": 20.0, "spin1z": -0.3, "spin2z": 0.5}
    b = get_td_waveform(approximant="GWSML_NR22", **COMMON, **swapped, delta_t=1 / 2048)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_pycbc_match_with_phenom_t_over_the_aligo_band() -> None:
    from pycbc.psd import aLIGOZeroDetHighPower

    call = {**COMMON, **CASES[0], "delta_t": 1 / 2048, "f_lower": 13.0}
    ours, theirs = (get_td_waveform(approximant=name, **call)[0] for name in ("GWSML_NR22", "IMRPhenomT"))
    for h in (ours, theirs):
        h.resize(8192)
    psd = aLIGOZeroDetHighPower(4097, 0.25, 15.0)
    assert match(ours, theirs, psd=psd, low_frequency_cutoff=20.0)[0] > 0.999


def test_without_f_ref_the_phase_is_that_at_the_peak() -> None:
    call = {**COMMON, **CASES[0], "f_ref": 0.0, "approximant": "GWSML_NR22", "delta_t": 1 / 8192}
    call |= {"inclination": 0.0, "coa_phase": 0.6}
    plus, cross = get_td_waveform(**call)
    at_peak = int(np.argmin(np.abs(plus.sample_times.numpy())))
    h = plus.numpy()[at_peak] - 1j * cross.numpy()[at_peak]
    # in direction (0, pi/2 - phase) the (2,2) mode A > 0 gives A Y22 exp(2i (pi/2 - phase)) = -|A Y22| exp(-2i phase)
    assert np.angle(-h * np.exp(2j * 0.6)) == pytest.approx(0, abs=1e-6)


BEYOND: list[dict[str, float]] = [
    {"mass1": 4.0, "mass2": 3.0},  # begins above f_lower
    {"mass1": 900.0, "mass2": 700.0},  # ends below it
    {"mass1": 90.0, "mass2": 3.0},
    {"spin2z": 0.99},
    {"mass2": float("nan")},
    {"spin1z": float("nan")},
    {"spin1x": float("nan")},
    {"distance": float("nan")},
    {"distance": 0.0},
    {"inclination": float("inf")},
    {"coa_phase": float("nan")},
]


@pytest.mark.slow
@pytest.mark.parametrize("approximant", ["GWSML_NR22", "GWSML_NRHM"])
def test_points_of_the_prior_beyond_the_model_have_likelihood_zero_and_a_run_goes_on(approximant: str) -> None:
    from pycbc.inference import models
    from pycbc.noise.gaussian import frequency_noise_from_psd
    from pycbc.psd import aLIGOZeroDetHighPower

    psd = aLIGOZeroDetHighPower(2049, 0.25, 20)
    data = {d: frequency_noise_from_psd(psd, seed=i) for i, d in enumerate(("H1", "L1"))}
    for strain in data.values():
        strain._epoch = 1126259460
    sky = {"ra": 1.0, "dec": 0.5, "polarization": 0.2, "tc": 1126259462.4}
    varied = ["mass1", "mass2", "spin1z", "spin2z", "spin1x", "distance", "inclination", "coa_phase"]

    def model(ignore: bool) -> Any:
        return models.GaussianNoise(
            varied,
            data,
            dict.fromkeys(data, 20.0),
            psds=dict.fromkeys(data, psd),
            static_params={"approximant": approximant, "f_lower": 20.0, **sky},
            ignore_failed_waveforms=ignore,
        )

    inside = {"distance": 400.0, "spin1x": 0.0, **CASES[0]}
    run, strict = model(True), model(False)
    strict.update(**inside)
    expected = strict.loglr
    for point in BEYOND:
        run.update(**inside | point)
        assert run.loglr == -np.inf, point
        run.update(**inside)
        assert run.loglr == expected
        strict.update(**inside | point)
        with pytest.raises(FailedWaveformError, match="Input domain error"):
            strict.loglr  # noqa: B018
    run.update(**inside | {"spin1x": 0.3})  # no point of any prior would do: the settings are wrong
    with pytest.raises(ConfigError, match="spin1x"):
        run.loglr  # noqa: B018


@pytest.mark.parametrize("point", BEYOND)
def test_generators_in_time_fail_at_a_point_as_lals_do(point: dict[str, float]) -> None:
    fixed = {"approximant": "GWSML_NR22", "delta_t": 1 / 4096, "spin1x": 0.0, **COMMON, **CASES[0]}
    generator = TDomainCBCGenerator(variable_args=list(point), **{k: v for k, v in fixed.items() if k not in point})
    with pytest.raises(FailedWaveformError, match="Input domain error"):
        generator.generate(**point)
