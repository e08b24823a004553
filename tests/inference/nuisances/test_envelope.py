"""Envelope files: as bilby reads them, and what is refused before any work."""

from __future__ import annotations

import bilby
import numpy as np
import pytest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.inference.nuisances.envelope import CalibrationEnvelope, envelopes
from gwsurrogate_ml.inference.nuisances.prior import Nuisances, requested

BAND = (20.0, 1024.0)


def write(path, low: float = 10.0, high: float = 2000.0, change=lambda table: table):
    f = np.geomspace(low, high, 60)
    x = np.log(f / 100)
    median, phase = 1 + 0.02 * np.sin(x), 0.03 * np.cos(x)
    a, p = 0.03 + 0.01 * x**2 / 4, 0.02 + 0.005 * x**2 / 4
    np.savetxt(path, change(np.column_stack([f, median, phase, median - a, phase - p, median + 1.2 * a, phase + 0.9 * p])))
    return path


@pytest.mark.peer
@pytest.mark.parametrize("correction", ["data", "template"])
def test_nodes_are_bilbys(tmp_path, correction: str) -> None:
    path = write(tmp_path / "H1.txt")
    theirs = bilby.gw.prior.CalibrationPriorDict.from_envelope_file(str(path), *BAND, 10, "H1", correction_type=correction)
    ours = Nuisances.of(("H1",), BAND, {"H1": CalibrationEnvelope.read(path, correction)})
    for k, name in enumerate(ours.columns):
        assert ours.mean.ravel()[k] == pytest.approx(theirs[name].mu, abs=1e-12)
        assert ours.sigma.ravel()[k] == pytest.approx(theirs[name].sigma, abs=1e-12)
    assert ours.splines.nodes == pytest.approx([theirs[f"recalib_H1_frequency_{k}"].peak for k in range(10)])
    assert np.array_equal(Nuisances.from_record(ours.record()).mean, ours.mean)


def test_prefix_says_what_is_corrected(tmp_path) -> None:
    path = write(tmp_path / "H1.txt")
    data, template = (envelopes({"H1": source}, ("H1",))["H1"] for source in (path, f"template:{path}"))
    assert data.phase == pytest.approx(-template.phase)
    assert (1 + data.amplitude) * (1 + template.amplitude) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t[:, :5], "5 columns"),
        (lambda t: np.where(np.arange(t.size).reshape(t.shape) == 10, np.nan, t), "not finite in row 2"),
        (lambda t: t[::-1], "does not rise"),
        (lambda t: t * np.array([1, -1, 1, 1, 1, 1, 1]), "not all positive"),
        (lambda t: t + np.array([0, 0, 40, 0, 40, 0, 40]), "in rad"),
        (lambda t: t * np.array([1, 1, 57, 1, 57, 1, 57]) + np.array([0, 0, 0, 0, -2, 0, 2]), "not in degrees"),
        (lambda t: t * np.array([1, 100, 1, 100, 1, 100, 1]), "neither per cent nor errors alone"),
        (lambda t: t * np.array([1, 0.01, 1, 0.01, 1, 0.01, 1]), "neither per cent nor errors alone"),
    ],
)
def test_tables_that_are_no_envelope_are_refused(tmp_path, change, said: str) -> None:
    with pytest.raises(DataError, match=said):
        CalibrationEnvelope.read(write(tmp_path / "H1.txt", change=change))


def test_phases_may_be_large_beyond_the_detectors_bands(tmp_path) -> None:
    """20 microseconds of timing are 0.13 rad at 1 kHz and 1.06 at 8."""
    f = np.geomspace(10.0, 8192.0, 60)
    timing, one = 2 * np.pi * f * 2e-5, np.ones(60)
    np.savetxt(tmp_path / "V1.txt", np.column_stack([f, one, timing, one - 0.05, timing - 0.01, one + 0.05, timing + 0.01]))
    found = envelopes({"V1": tmp_path / "V1.txt"}, ("V1",))["V1"].at(np.array([20.0, 1024.0]))
    assert found[2] == pytest.approx(-2 * np.pi * np.array([20.0, 1024.0]) * 2e-5, rel=1e-3)


def test_an_envelope_named_after_another_detector_is_told(tmp_path, caplog) -> None:
    path = write(tmp_path / "L1_CalEnv.txt")
    envelopes({"L1": path}, ("L1",))
    assert not caplog.records
    envelopes({"H1": path}, ("H1",))
    assert "H1: its calibration is taken from" in caplog.text
    assert "named after L1" in caplog.text


def test_what_cannot_be_integrated_is_refused_before_any_work(tmp_path) -> None:
    path = write(tmp_path / "H1.txt")
    short = write(tmp_path / "short.txt", low=30.0)
    good = CalibrationEnvelope.constant(0.05, 0.05)
    with pytest.raises(DataError, match=r"30 to 2000 Hz, the band from 20 to 1024 Hz"):
        requested(("H1",), BAND, {"H1": short}, None)
    with pytest.raises(ConfigError, match="'V1': the data are of H1, L1"):
        requested(("H1", "L1"), BAND, {"H1": path, "L1": path, "V1": path}, None)
    with pytest.raises(ConfigError, match="no calibration envelope for L1"):
        requested(("H1", "L1"), BAND, {"H1": path}, None)
    with pytest.raises(ConfigError, match="by detector"):
        requested(("H1",), BAND, path, None)
    with pytest.raises(ConfigError, match="H1 is a float"):
        requested(("H1",), BAND, {"H1": 0.05}, None)
    with pytest.raises(DataError, match="no file"):
        requested(("H1",), BAND, {"H1": tmp_path / "none.txt"}, None)
    with pytest.raises(ConfigError, match="correction is 'strain'"):
        CalibrationEnvelope.read(path, "strain")
    with pytest.raises(ConfigError, match="standard deviations"):
        CalibrationEnvelope.constant(-0.1, 0.0)
    for wrong in ("yes", (0.1,), (-1.0, 0.1), 3.0):
        with pytest.raises(ConfigError, match="waveform_error is"):
            requested(("H1",), BAND, {"H1": good}, wrong)
    assert not requested(("H1",), BAND, None, None)
    assert requested(("H1",), BAND, None, "surrogate")
