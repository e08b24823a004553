"""Interferometers by name: bilby's, and a user's own from a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork
from gwsurrogate_ml.strain.detectors import bilby_files, interferometer, known_detectors
from gwsurrogate_ml.strain.simulate import simulate

PLACE = 1.375, -1.2108, 1126259462.4


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Virgo's file as a detector R1 whose arms are turned by a right angle, which changes the sign of all that it records."""
    text = bilby_files("detectors", "V1.interferometer")[0].read_text().replace("'V1'", "'R1'")
    turned = [line + (" + 90" if "azimuth" in line else "") for line in text.splitlines()]
    (tmp_path / "R1.interferometer").write_text("\n".join(turned) + "\n")
    monkeypatch.setenv("GWSML_DETECTORS", str(tmp_path))
    return tmp_path


def test_a_detector_of_ones_own_is_known_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"R1", "V1"} <= set(known_detectors())
    turned, known = interferometer("R1"), interferometer("V1")
    for mode in ("plus", "cross"):
        assert turned.antenna_response(*PLACE, 0.3, mode) == pytest.approx(-known.antenna_response(*PLACE, 0.3, mode), abs=1e-12)
    assert turned.time_delay_from_geocenter(*PLACE) == known.time_delay_from_geocenter(*PLACE)
    own, virgo = DetectorNetwork.of(("R1", "H1")), DetectorNetwork.of(("V1", "H1"))
    np.testing.assert_allclose(own.tensors[0], -virgo.tensors[0], atol=1e-15)
    monkeypatch.delenv("GWSML_DETECTORS")
    assert "R1" not in known_detectors()


def test_a_signal_is_simulated_in_it(folder: Path) -> None:
    binary = {"mass_1": 36.0, "mass_2": 29.0, "luminosity_distance": 400.0, "theta_jn": 0.4, "phase": 1.0, "psi": 0.3,
              "ra": PLACE[0], "dec": PLACE[1], "geocent_time": PLACE[2]}  # fmt: skip
    data = simulate(binary, gw.load_surrogate("nr22"), ("R1", "V1"), sampling_frequency=1024, zero_noise=True)
    own, virgo = (data.series[name].value for name in ("R1", "V1"))
    np.testing.assert_allclose(own, -virgo, atol=1e-12 * np.abs(virgo).max())
    assert np.abs(own).max() > 1e-22


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("R1", "name = 'Q1'\n", "describes no interferometer"),
        ("Q1", None, "'R1'"),
        ("Q1", "no file of bilby's", "no interferometer"),
    ],
)
def test_a_file_that_describes_something_else_is_refused(folder: Path, name: str, text: str | None, says: str) -> None:
    (folder / f"{name}.interferometer").write_text((folder / "R1.interferometer").read_text() if text is None else text)
    with pytest.raises(DataError, match=says):
        interferometer(name)


def test_a_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GWSML_DETECTORS", "/no/such/folder")
    with pytest.raises(DataError, match="GWSML_DETECTORS names /no/such/folder"):
        known_detectors()
