"""Sky maps: areas against an independent count, coverage, position and the FITS file read by ligo.skymap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.inference.result import skymap
from gwsurrogate_ml.inference.result.skymap import SkyMap, from_draws

pytestmark = pytest.mark.slow

SIGMA = np.radians(5.0)
CENTRE = 6.1, -1.0  # near the seam of right ascension and in the south, where a mistaken sign or angle would show


def blob(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws of a round Gaussian about CENTRE: offsets in the tangent plane, turned into place."""
    rng = np.random.default_rng(seed)
    r, angle = SIGMA * np.sqrt(-2.0 * np.log(rng.random(n))), 2.0 * np.pi * rng.random(n)
    ra, dec = CENTRE
    axis = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = np.cross(axis, east)
    x, y, z = np.cos(r) * axis[:, None] + np.sin(r) * (np.cos(angle) * east[:, None] + np.sin(angle) * north[:, None])
    return np.arctan2(y, x) % (2 * np.pi), np.arcsin(z)


@pytest.fixture(scope="module")
def sky() -> SkyMap:
    ra, dec = blob(8000, 1)
    distance = 400.0 + 50.0 * np.random.default_rng(2).normal(size=ra.size)
    return from_draws(ra, dec, distance, max_draws=800, meta={"instruments": {"H1", "L1"}, "gps_time": 1126259462.4})


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_area_is_that_of_the_blob_and_of_a_count_of_pixels(sky: SkyMap, level: float) -> None:
    # The region of a round Gaussian is a cap of angle SIGMA sqrt(-2 ln(1 - level)); kernels of 800 draws widen it by some 10 %.
    angle = SIGMA * np.sqrt(-2.0 * np.log(1.0 - level))
    expected = 2.0 * np.pi * (1.0 - np.cos(angle)) * (180.0 / np.pi) ** 2
    assert 0.97 < sky.area(level) / expected < 1.22
    # Counted: random directions, evenly over the sphere, of which so many lie in the region.
    rng = np.random.default_rng(3)
    n = 400_000
    inside = sky.credible_level(2 * np.pi * rng.random(n), np.arcsin(2 * rng.random(n) - 1)) <= level
    counted = inside.mean() * 4.0 * np.pi * (180.0 / np.pi) ** 2
    assert counted == pytest.approx(sky.area(level), rel=5.0 / np.sqrt(inside.sum()))


@pytest.mark.slow
def test_regions_hold_the_share_of_fresh_draws_that_they_claim(sky: SkyMap) -> None:
    level = sky.credible_level(*blob(4000, 9))
    # 0.9 of a Gaussian in a region some 10 % too large is 0.92.
    assert 0.89 < np.mean(level <= 0.9) < 0.95
    assert 0.48 < np.mean(level <= 0.5) < 0.59


@pytest.mark.slow
@pytest.mark.peer
def test_fits_file_is_read_by_ligo_skymap_at_the_right_place(sky: SkyMap, tmp_path: Path) -> None:
    import healpy
    from ligo.skymap.io import read_sky_map

    path = sky.save(tmp_path / "sky.fits")
    assert [entry.name for entry in tmp_path.iterdir()] == ["sky.fits"]
    (probability, mu, *_), meta = read_sky_map(str(path), nest=True, distances=True)
    assert probability.sum() == pytest.approx(1.0, abs=1e-6)
    nside = healpy.get_nside(probability)
    # healpy's longitude is the right ascension in degrees: independent of how the map was made.
    x = healpy.pix2vec(nside, np.arange(probability.size), nest=True) @ probability
    lon, lat = healpy.vec2ang(x, lonlat=True)
    assert lon[0] == pytest.approx(np.degrees(CENTRE[0]), abs=1.0)
    assert lat[0] == pytest.approx(np.degrees(CENTRE[1]), abs=0.5)
    assert mu[np.argmax(probability)] == pytest.approx(400.0, rel=0.05)
    assert meta["instruments"] == {"H1", "L1"}
    assert meta["gps_time"] == pytest.approx(1126259462.4, abs=1e-3)
    assert meta["distmean"] == pytest.approx(400.0, rel=0.01)
    again = SkyMap.load(path)
    assert again.area(0.9) == pytest.approx(sky.area(0.9), rel=1e-9)
    assert np.allclose(again.density(*blob(50, 4)), sky.density(*blob(50, 4)))


def test_same_seed_same_map_and_numpys_own_generator_is_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    draws = blob(300, 5)
    np.random.seed(4)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(4)  # noqa: NPY002
    maps = [from_draws(*draws, max_draws=150, seed=3) for _ in range(2)]
    assert np.random.random() == expected  # noqa: NPY002
    assert np.array_equal(*(np.asarray(a.table["PROBDENSITY"]) for a in maps))
    assert capfd.readouterr().err == ""


def test_figure_shows_the_maps_own_areas(sky: SkyMap) -> None:
    title = sky.plot(truth=CENTRE).axes[0].get_title(loc="left")
    assert f"90 % region {sky.area(0.9):,.0f} deg" in title


def test_bad_draws_levels_and_files_are_refused(sky: SkyMap, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not finite"):
        from_draws(np.array([np.nan, 1.0]), np.zeros(2))
    with pytest.raises(DataError, match="1 different"):
        from_draws(np.ones(1000), np.ones(1000))
    with pytest.raises(ConfigError, match="level is 90"):
        sky.area(90)
    with pytest.raises(ConfigError, match=r"\.fits"):
        sky.save(tmp_path / "sky.png")
    with pytest.raises(ConfigError, match="cannot be written"):
        sky.save(tmp_path / "missing" / "sky.fits")
    (tmp_path / "other.fits").write_bytes(b"no map")
    with pytest.raises(DataError, match="no sky map"):
        SkyMap.load(tmp_path / "other.fits")


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skymap, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install gwsurrogate-ml\[skymap\]"):
        from_draws(*blob(100, 1))


@pytest.mark.peer
def test_the_density_is_ligo_skymaps() -> None:
    from astropy.utils.misc import NumpyRNGContext
    from ligo.skymap.kde import Clustered2DSkyKDE

    rng = np.random.default_rng(1)
    ring = 2 * np.pi * rng.random(400), 0.3 * rng.normal(size=400)  # all around: the seam of longitude counts
    ra, dec = (np.concatenate(x) for x in zip(ring, blob(100, 2), strict=True))
    places = np.column_stack([2 * np.pi * rng.random(100), np.arcsin(2 * rng.random(100) - 1)])
    found = []
    for most in (1, 4):
        for kind in (Clustered2DSkyKDE, skymap._clustered()):
            with NumpyRNGContext(4):
                kde = kind(np.column_stack([ra, dec]), max_k=most, trials=1)
            found.append((kde.k, kde.bic, kde(places)))
    for theirs, ours in (found[:2], found[2:]):
        assert ours[0] == theirs[0]
        assert ours[1] == pytest.approx(theirs[1], rel=1e-5)
        np.testing.assert_allclose(ours[2], theirs[2], rtol=1e-4, atol=1e-6 * theirs[2].max())
