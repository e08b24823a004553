"""Scattered light, found from the motion alone whatever its unit, against a mock that the package has no part in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.witness_units import NULL, RATE, SURFACE, VARIANTS, Setup, draw, judged, shares
from gwsurrogate_ml.denoise.witness import scattering
from gwsurrogate_ml.denoise.witness.channels import read_channels
from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
from gwsurrogate_ml.denoise.witness.features import slow_channels
from gwsurrogate_ml.denoise.witness.pursuit import told
from gwsurrogate_ml.denoise.witness.scattering import Motion, metres

NOMINAL = 4 * np.pi / 1.064e-6
BAND = (10.0, 60.0)


@pytest.mark.parametrize(
    ("unit", "length"),
    [
        *(("m", 1.0), ("meters", 1.0), ("metres", 1.0), ("cm", 1e-2), ("mm", 1e-3), ("um", 1e-6), ("micron", 1e-6)),
        *(("micrometres", 1e-6), ("µm", 1e-6), ("nm", 1e-9), ("MICRONS", 1e-6), ("MM", 1e-3), ("1e-06 m", 1e-6), ("0.3 um", 3e-7)),
        *((unit, None) for unit in ("", "ct", "counts", "um/s", "urad", "V", "strain", "no such unit", "dimensionless")),
    ],
)
def test_units_of_length_and_no_others_are_lengths(unit: str, length: float | None) -> None:
    assert metres(unit) == (None if length is None else pytest.approx(length, rel=1e-12))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("metres", 0.90),
        ("micrometres", 0.90),
        ("counts, recorded at 16 Hz", 0.85),
        ("micrometres at 64 Hz, 60 ms late", 0.85),
        ("counts, as much light reflected twice as once", 0.85),
        ("metres by its label, micrometres in truth", 0.85),
    ],
)
def test_the_attainable_gain_is_reached_after_the_fit_and_by_the_surface_alone(name: str, least: float) -> None:
    result = judged(VARIANTS[name], 41, 256.0, 128.0)
    for band in ("10-30 Hz", "10-60 Hz", "by frequency, 10-100 Hz"):
        (share,) = shares([result], band)
        assert share > least, band  # observed 0.95 and more
    assert result["wrong"] == 0
    found = [entry for entry in result["found"] if entry["accepted"]]
    assert all(entry["held_back_power"] < 0.997 for entry in found)


@pytest.mark.slow
def test_a_unit_is_a_hint_and_the_strain_is_cleaned_alike_in_all() -> None:
    cleaned = []
    for unit in ("m", "nm", ""):
        data = draw(Setup(unit, twice=0.3), 160.0, 5)
        cleaner = WitnessCleaner.fit(data.strain, {SURFACE: data.witnesses[SURFACE]}, [BAND])
        cleaned.append(cleaner.apply(data.strain, data.witnesses).strain)
        (record,) = cleaner.card["scattering"]
        scale = {"m": 1.0, "nm": 1e-9, "": 0.81e-6}[unit]
        found = sorted(entry["wavenumber"] for entry in record["found"] if entry["accepted"])
        assert found == pytest.approx([NOMINAL * scale, 2 * NOMINAL * scale], rel=1e-3)
        assert record["metres_per_unit"] == (scale if unit else None)
        assert "subtracted" in told(record)
    removed = np.abs(draw(Setup("m"), 160.0, 5).strain.value - cleaned[0]).max()
    for other in cleaned[1:]:
        assert np.abs(other - cleaned[0]).max() < 0.01 * removed


@pytest.mark.slow
def test_where_nothing_couples_all_is_tried_nothing_taken_and_the_strain_stays() -> None:
    data = draw(NULL, 160.0, 9)
    cleaner = WitnessCleaner.fit(data.strain, data.witnesses, [BAND])
    assert [record["channel"] for record in cleaner.card["scattering"]] == slow_channels(
        {name: series.value for name, series in data.witnesses.items()}, RATE
    )
    for record in cleaner.card["scattering"]:
        low, high = record["tried"]
        assert 0 < low < high
        assert not any(entry["accepted"] for entry in record["found"])
    assert np.array_equal(cleaner(data.strain, data.witnesses).value, data.strain.value)


def test_noise_stands_out_about_as_rarely_as_is_claimed() -> None:
    """Of strain and motions that know nothing of each other, 60 pairs: the threshold is passed by chance alone."""
    rng = np.random.default_rng(3)
    n = round(64 * RATE)
    f = np.fft.rfftfreq(n, 1 / RATE)
    shape = np.exp(-0.5 * ((f - 0.2) / 0.05) ** 2)
    passed, largest = 0, []
    for _ in range(60):
        x = np.fft.irfft(np.fft.rfft(rng.normal(size=n)) * shape, n)
        x *= 5.0 / x.std()
        limits = scattering.wavenumbers(x, RATE, BAND)
        k, z = scattering.significance(x, rng.normal(size=n), limits)
        assert limits[0] <= k[0] * 1.01
        assert k[-1] <= limits[1]
        largest.append(z.max())
        passed += z.max() > scattering.FREE
    # Thousands of wavenumbers, of which neighbours are alike: the largest of so many exponential variates.
    assert 6.0 < np.median(largest) < 12.0
    assert passed <= 1


def test_a_lag_of_the_channel_is_found_and_the_wavenumber_beside_it() -> None:
    data = draw(Setup("um", lag=0.04, linear=False), 100.0, 12)
    series = data.witnesses[SURFACE].value
    reach = round(scattering.smoothing_filter(RATE).size // 2)
    strain = data.strain.value[reach : series.size - reach]
    motion = Motion(SURFACE, "", series, 2.0)
    weights = scattering.over_whitened(strain, np.ones(strain.size, bool), RATE, BAND)
    peak = scattering.strongest(motion, weights, RATE, BAND)
    assert peak is not None
    assert peak.lag == pytest.approx(-0.04, abs=0.006)  # the strain comes first
    fringes = scattering.refined(motion, weights, RATE, BAND, peak)
    assert fringes.wavenumber == pytest.approx(NOMINAL * 1e-6, rel=2e-3)


def test_a_surface_that_rests_has_no_wavenumbers() -> None:
    assert scattering.wavenumbers(np.full(100, 2.0), RATE, BAND) == (0.0, 0.0)
    motion = Motion("A", "m", np.full(round(8 * RATE), 1.0), 0.5)
    n = round(8 * RATE) - 2 * round(RATE)
    assert scattering.strongest(motion, np.ones(n), RATE, BAND) is None


def test_the_unit_that_a_frame_file_has_is_kept(tmp_path: Path) -> None:
    from tests.hostile.material import frame

    values = np.random.default_rng(0).normal(size=1024)
    for i, (written, length) in enumerate(
        (("um", 1e-6), ("nm", 1e-9), ("m", 1.0), ("10^-6 m", 1e-6), ("counts", None), ("", None))
    ):
        path = frame(tmp_path / f"{i}.gwf", {"H1:STAGE": (values, 256.0, written)})
        assert metres(str(read_channels(path, ["H1:STAGE"])["H1:STAGE"].unit)) == length
