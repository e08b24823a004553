"""The noise spectrum beside an event, from files as they are: tapered at their ends, gated, short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal.windows import tukey

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.data import StrainData
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.strain.spectrum import ROUGH, load_psd, off_source_psd

GPS = 1187008882.4
RATE = 1024


@pytest.fixture(scope="module")
def data() -> StrainData:
    return simulate(None, duration=128.0, sampling_frequency=float(RATE), gps=GPS, seed=8)


def changed(data: StrainData, factor: np.ndarray) -> StrainData:
    """The same with H1 multiplied by `factor` (n,)."""
    h1 = data.series["H1"].copy()
    h1.value[:] *= factor
    return replace(data, series={**data.series, "H1": h1})


def gate(at: float, width: float, taper: float = 0.0) -> np.ndarray:
    """A gate (n,) about `at` s from the event: zero for `width` s, `taper` s of raised cosine on either side."""
    t = np.arange(128 * RATE) / RATE - 64.4 - at
    outside = np.clip((np.abs(t) - width / 2) / max(taper, 1e-9), 0.0, 1.0)
    return 0.5 - 0.5 * np.cos(np.pi * outside)


def power(segment: AnalysisSegment) -> float:
    """Mean power of noise of the true spectrum over H1's measured one: 1 where that is right (`off_source_psd`)."""
    true = np.interp(segment.frequencies, *load_psd("aLIGO"))
    return float(np.mean((true / segment.psd[0])[segment.mask & np.isfinite(segment.psd[0])]))


@pytest.mark.parametrize(("alpha", "off"), [(0.1, 0.02), (0.25, 0.03), (0.5, 0.04)])
def test_a_tapered_file_gives_the_spectrum_of_its_untouched_middle(data, alpha: float, off: float) -> None:
    whole, faded = data.segment(f_max=512.0), changed(data, tukey(128 * RATE, alpha)).segment(f_max=512.0)
    assert power(faded) == pytest.approx(1.0, abs=off)
    assert faded.psd_segments[0] <= whole.psd_segments[0] - 64 * alpha / 3
    assert faded.psd_segments[1] == whole.psd_segments[1]


def test_steady_noise_loses_no_stretch(data) -> None:
    assert data.segment(f_max=512.0).psd_segments == (59, 59)


@pytest.mark.parametrize("taper", [0.0, 0.25])
def test_gated_stretches_do_not_count(data, taper: float) -> None:
    gates = np.prod([gate(at, 0.02, taper) for at in range(-60, 20, 5) if at], axis=0)
    gated = changed(data, gates).segment(f_max=512.0)
    assert power(gated) == pytest.approx(1.0, abs=0.03)
    assert ROUGH < gated.psd_segments[0] < 45
    assert gated.flags == ()


def test_gates_that_filters_have_filled_are_gates(data) -> None:
    from scipy.signal import resample

    filtered = data.series["H1"].copy()
    gates = np.prod([gate(at, 0.25) for at in np.arange(-62.0, 62.0, 1.0) if abs(at) > 2.2], axis=0)
    filtered.value[:] = resample(resample(filtered.value * gates, 64 * RATE * 3), 128 * RATE)
    with pytest.raises(DataError, match="hold gates"):
        replace(data, series={**data.series, "H1": filtered}).segment(f_max=512.0)


def test_gates_do_not_end_the_matched_filter(data) -> None:
    gates = np.prod([gate(at, 0.12) for at in range(-60, 60, 8) if abs(at) > 3], axis=0)
    gated = changed(data, gates)
    assert gated.segment(f_max=512.0).flags == ()
    assert gated.stretch("H1").size > 60 * RATE


def test_gates_everywhere_are_refused_and_the_remedies_serve(data) -> None:
    everywhere = changed(data, np.prod([gate(at, 0.01) for at in np.arange(-63.0, 63.0, 1.5) if abs(at) > 2.2], axis=0))
    with pytest.raises(DataError, match=r"H1: 0 usable .* hold gates \(stretches set to zero\).* or a PSD"):
        everywhere.segment(f_max=512.0)
    assert everywhere.segment(f_max=512.0, psd="aLIGO").flags == ()


def test_a_dead_channel_is_not_called_gated(data) -> None:
    with pytest.raises(DataError, match="are constant or saturated: the channel is dead"):
        changed(data, (np.abs(np.arange(128 * RATE) / RATE - 64.4) < 3).astype(float)).segment(f_max=512.0)


def test_a_gate_in_the_analysed_segment_is_flagged(data) -> None:
    (flag,) = changed(data, gate(-0.7, 0.01)).segment(f_max=512.0).flags
    assert flag.startswith("gated data: H1's segment holds stretches set to zero")


def test_a_spectrum_of_few_periodograms_is_flagged(data) -> None:
    short = {name: x.crop(GPS - 8.0, GPS + 8.0) for name, x in data.series.items()}
    flags = replace(data, series=short).segment(f_max=512.0).flags
    assert [flag.partition(" is the")[0] for flag in flags] == [f"rough spectrum: {d}'s" for d in ("H1", "L1")]
    assert data.segment(f_max=512.0).flags == ()


@pytest.mark.parametrize(("share", "power_there"), [(0.27, 4.0), (0.3, 2.0), (0.3, 1.5)])
def test_noise_that_is_louder_for_a_while_does_not_take_over_the_spectrum(share: float, power_there: float) -> None:
    n = 256 * RATE
    level = np.where(np.arange(n) < share * n, np.sqrt(power_there), 1.0)
    x = level * np.random.default_rng(5).normal(size=n)
    f, psd, count = off_source_psd(x, float(RATE), 0.0, exclude=(126.0, 130.0), segment_duration=4.0)
    assert count > 118
    # The median of a mixture: somewhat above that of the quieter part.
    assert 1.0 < np.mean(psd[(f > 30) & (f < 400)]) / (2 / RATE) < 1.4


def test_real_noise_that_changes_by_a_fifth_is_all_kept() -> None:
    rng = np.random.default_rng(3)
    level = 1 + 0.08 * np.sin(np.arange(64 * RATE) / RATE / 8)
    *_, count = off_source_psd(level * rng.normal(size=64 * RATE), float(RATE), 0.0, exclude=(30.0, 34.0), segment_duration=4.0)
    assert count == 28
