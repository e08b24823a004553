"""Sky maps: the posterior of the position as a multi-order HEALPix map, credible areas, and FITS files.

Density estimate and grid are ligo.skymap's (the extra `skymap`): clustered kernels in (right ascension, sin declination) of
a rotated frame, the number of clusters by the Bayesian information criterion; pixels are divided where the probability is
(Singer & Price 2016, arXiv:1508.03634, section VI). Right ascension and declination are ICRS in rad, as bilby's.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.arguments import whole
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.files import whole_file
from gwsurrogate_ml.kernels.threads import each, one_blas_thread

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.figure import Figure

MAX_DRAWS = 2000
"""Draws that the density is estimated from: its cost grows with their square."""
MAX_CLUSTERS, TRIALS = 12, 1
FEWEST = 50
BLOCK = 512
"""Places whose kernels are added up at a time."""
FARTHEST = 80.0
"""Exponent at which a kernel ends, at 1e-35 of its middle: smaller numbers are slow."""
NEAREST = 100
"""One draw in so many is near a pixel, as far as its distances go."""
SQUARE_DEGREES = (180.0 / np.pi) ** 2


def available() -> bool:
    """Is the extra `skymap` installed?"""
    try:
        return find_spec("ligo.skymap") is not None
    except ModuleNotFoundError:  # of the parent package
        return False


def require() -> None:
    """Raise ConfigError unless the extra `skymap` is installed."""
    if not available():
        raise ConfigError("sky maps need ligo.skymap: pip install gwsurrogate-ml[skymap]")


@dataclass(frozen=True, eq=False)
class SkyMap:
    """Probability over the sky; made by `from_draws` or `SkyMap.load`.

    Parameters
    ----------
    table : astropy Table
        multi-order map with UNIQ and PROBDENSITY (1 / sr), and with distances DISTMU, DISTSIGMA (Mpc), DISTNORM (1 / Mpc^2)
    """

    table: Table

    def _density(self) -> np.ndarray:
        return np.asarray(self.table["PROBDENSITY"], np.float64)

    def _ranked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixels from the densest on: their order, and their cumulative probability and area (deg^2)."""
        from ligo.skymap import moc

        area = moc.uniq2pixarea(self.table["UNIQ"])
        density = self._density()
        order = np.argsort(-density, kind="stable")
        return order, np.cumsum((density * area)[order]), np.cumsum(area[order]) * SQUARE_DEGREES

    def area(self, level: float) -> float:
        """Area in square degrees of the smallest region that holds the probability `level`.

        Raises
        ------
        ConfigError
            if `level` is not between 0 and 1
        """
        if not 0.0 < level < 1.0:
            raise ConfigError(f"level is {level}: give a probability between 0 and 1, such as 0.9")
        _, probability, area = self._ranked()
        return float(np.interp(level, np.append(0.0, probability), np.append(0.0, area)))

    def density(self, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        """Probability per steradian at positions (rad), of the shape of `ra`."""
        return self._density()[self._pixels(ra, dec)]

    def credible_level(self, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        """Probability of the region on whose edge each position (rad) lies: for true positions uniform from 0 to 1."""
        order, probability, _ = self._ranked()
        level = np.empty(order.size)
        level[order] = probability
        return level[self._pixels(ra, dec)]

    def _pixels(self, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        """Rows of the table that hold positions (rad)."""
        from astropy_healpix import lonlat_to_healpix

        top = self._order()
        radians = np.asarray(ra, np.float64), np.asarray(dec, np.float64)
        return self._rows(_in_finest_pixels(lonlat_to_healpix, *radians, 1 << top), top)

    def _order(self) -> int:
        """That of the finest pixels."""
        from ligo.skymap import moc

        return int(moc.uniq2order(self.table["UNIQ"]).max())

    def _firsts(self, top: int) -> np.ndarray:
        """The first pixel of order `top`, nested, within each pixel."""
        from ligo.skymap import moc

        order, pixel = moc.uniq2nest(self.table["UNIQ"])
        return pixel.astype(np.int64) << (2 * (top - order.astype(np.int64)))

    def _rows(self, pixels: np.ndarray, top: int) -> np.ndarray:
        """Rows of the table that hold nested pixels of order `top`."""
        first = self._firsts(top)
        by_first = np.argsort(first)
        return by_first[np.searchsorted(first[by_first], pixels, side="right") - 1]

    def _together(self, other: SkyMap) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The sky in cells that lie in one pixel of either map: both maps' rows, and the cells' areas (sr)."""
        top = max(self._order(), other._order())
        cells = np.union1d(self._firsts(top), other._firsts(top))
        area = np.diff(np.append(cells, 12 << (2 * top))) * (np.pi / (3 << (2 * top)))
        return self._rows(cells, top), other._rows(cells, top), area

    @property
    def distance(self) -> tuple[float, float] | None:
        """Mean and standard deviation (Mpc) over all directions; None for a map without distances."""
        if "distmean" in self.table.meta:
            return float(self.table.meta["distmean"]), float(self.table.meta["diststd"])
        if "DISTMU" not in self.table.colnames:
            return None
        from ligo.skymap import moc
        from ligo.skymap.distance import parameters_to_marginal_moments

        probability = self._density() * moc.uniq2pixarea(self.table["UNIQ"])
        mean, scatter = parameters_to_marginal_moments(probability, self.table["DISTMU"], self.table["DISTSIGMA"])
        return float(mean), float(scatter)

    def overlap(self, other: SkyMap) -> tuple[float, float]:
        """Probability that both maps give to the same places, from 0 to 1, and 4 pi times the integral of both densities.

        The second is the overlap integral of multi-messenger searches (Ashton et al. 2018, arXiv:1712.05392): 1 for maps that do
        not inform each other.
        """
        mine, theirs, area = self._together(other)
        p, q = self._density()[mine], other._density()[theirs]
        return float(np.sum(np.minimum(p, q) * area)), float(4 * np.pi * np.sum(p * q * area))

    def probability_within(self, other: SkyMap, level: float) -> float:
        """Probability that this map gives to the smallest region that holds `level` of another's."""
        order, probability, _ = other._ranked()
        chosen = np.zeros(order.size, bool)
        chosen[order[: int(np.searchsorted(probability, level)) + 1]] = True
        mine, theirs, area = self._together(other)
        return float(np.sum(self._density()[mine] * area * chosen[theirs]))

    def on_grid(self, step: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Edges of cells of `step` degrees in ra (-pi to pi) and dec, and the probability (n_ra, n_dec) of each cell."""
        ra_edges = np.linspace(-np.pi, np.pi, round(360 / step) + 1)
        dec_edges = np.linspace(-np.pi / 2, np.pi / 2, round(180 / step) + 1)
        middle = [0.5 * (edges[1:] + edges[:-1]) for edges in (ra_edges, dec_edges)]
        density = self.density(*np.meshgrid(*middle, indexing="ij"))
        probability = density * np.diff(np.sin(dec_edges))
        return ra_edges, dec_edges, probability / probability.sum()

    def save(self, path: str | Path) -> Path:
        """Write a FITS file as the field exchanges them (multi-order, ICRS), whole or not at all.

        Raises
        ------
        ConfigError
            for a suffix other than .fits and .fits.gz, or a folder that is not there
        """
        from ligo.skymap.io import fits

        path = Path(path)
        if not path.name.endswith((".fits", ".fits.gz")):
            raise ConfigError(f"{path}: name a .fits or .fits.gz file")
        with whole_file(path) as temporary:
            fits.write_sky_map(str(temporary), self.table.copy())
        return path

    @classmethod
    def load(cls, path: str | Path) -> SkyMap:
        """Read a multi-order FITS file, of this or another program.

        Raises
        ------
        ConfigError
            without the extra `skymap`
        DataError
            if the file is none
        """
        return cls.read(str(path), str(path))

    @classmethod
    def read(cls, source: str | io.BytesIO, name: str) -> SkyMap:
        """As `load`, from a path or the bytes of a file, called `name` in messages."""
        require()
        from astropy.utils.exceptions import AstropyUserWarning
        from ligo.skymap.io import fits

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AstropyUserWarning)  # of damage, which ends as the error below
                table = fits.read_sky_map(source, moc=True)
            found = cls(table)
            total, area = found._ranked()[1][-1], found._ranked()[2][-1] / SQUARE_DEGREES
        except Exception as error:  # of astropy, as the damage is
            raise DataError(f"{name} is no sky map that ligo.skymap reads ({error})") from error
        density = found._density()
        if not (density >= 0).all() or not abs(total - 1) < 0.01:
            raise DataError(f"{name} is no sky map: its probability is {total:.3g} in all, or negative or no number somewhere")
        if not abs(area / (4 * np.pi) - 1) < 1e-6:
            raise DataError(
                f"{name} is no whole sky map: its pixels cover {area / (4 * np.pi):.4g} of the sky, once each is needed"
            )
        return found

    def plot(self, truth: tuple[float, float] | None = None) -> Figure:
        """The map in Mollweide projection with its 50 % and 90 % regions: `plot.skymap`; `truth` is (ra, dec) in rad."""
        from gwsurrogate_ml import plot

        return plot.sky_probability(*self.on_grid(), areas={level: self.area(level) for level in (0.5, 0.9)}, truth=truth)


def _in_finest_pixels(to_pixel: Any, ra: np.ndarray, dec: np.ndarray, nside: int) -> np.ndarray:
    from astropy import units

    return np.asarray(to_pixel(ra * units.rad, dec * units.rad, nside, order="nested"))


@one_blas_thread()
def from_draws(
    ra: np.ndarray,
    dec: np.ndarray,
    luminosity_distance: np.ndarray | None = None,
    *,
    max_draws: int = MAX_DRAWS,
    seed: int = 0,
    meta: Mapping[str, Any] | None = None,
) -> SkyMap:
    """The sky map of equally weighted draws.

    Kernels smooth: the regions of a Gaussian blob come out some 8 % too large with 2000 draws, 4 % with 20,000.

    Parameters
    ----------
    ra, dec : (n,) float64, rad
    luminosity_distance : (n,) float64, Mpc, optional
        adds the distance along every line of sight, from the mean and scatter of the nearest draws, all that are given
    max_draws : int
        of more draws, so many are chosen by chance
    seed : int
        of that choice and the clustering: same seed, same map
    meta : mapping, optional
        for the FITS header: `objid`, `instruments`, `gps_time` and others that `ligo.skymap.io.fits` knows

    Raises
    ------
    ConfigError
        without the extra `skymap`
    DataError
        if a draw is not finite, or there are too few different ones

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sky = from_draws(1.0 + 0.1 * rng.normal(size=500), 0.1 * rng.normal(size=500), max_draws=300)
    >>> bool(0.8 < sky.area(0.9) / (2 * np.pi * np.log(10) * 0.1**2 * SQUARE_DEGREES) < 1.4)
    True
    """
    require()
    from astropy.time import Time
    from astropy.utils.misc import NumpyRNGContext

    from gwsurrogate_ml.artifacts import package_versions

    columns = [ra, dec] if luminosity_distance is None else [ra, dec, luminosity_distance]
    points = np.column_stack([np.asarray(column, np.float64) for column in columns])
    if not np.isfinite(points).all():
        raise DataError("the draws of the sky position hold numbers that are not finite: remove those draws")
    if np.abs(points[:, 1]).max(initial=0.0) > 0.5 * np.pi + 1e-9:
        raise DataError(f"dec reaches {np.abs(points[:, 1]).max():g}: give positions in rad, dec from -pi/2 to pi/2")
    seed = whole(seed, "seed")
    if (different := len(np.unique(points[:, :2], axis=0))) < FEWEST:
        raise DataError(f"{different} different sky positions: a sky map needs {FEWEST}, draw more")
    every = points
    points = points[:, :2]
    if len(points) > max_draws:
        points = points[np.sort(np.random.default_rng(seed).choice(len(points), max_draws, replace=False))]
    # numpy's global generator is the one the clustering draws from: it is set, and put back afterwards.
    with NumpyRNGContext(seed % 2**32), _quiet():
        table = _clustered()(points, max_k=MAX_CLUSTERS, trials=TRIALS).as_healpix()
    if luminosity_distance is not None:
        _add_distances(table, *every.T)
    table.meta.update(
        {
            "creator": f"gwsurrogate_ml {package_versions()['gwsurrogate-ml']}",
            "gps_creation_time": Time.now().gps,
            **({} if luminosity_distance is None else _moments(np.asarray(luminosity_distance, np.float64))),
            **(meta or {}),
        }
    )
    return SkyMap(table)


@cache
def _clustered() -> Any:
    """ligo.skymap's density estimate, whose kernels torch adds up in single precision: several times faster, and good to 1e-5.

    As there, each kernel also counts a turn of longitude to the left and to the right.
    """
    import torch
    from ligo.skymap.kde import Clustered2DSkyKDE

    from gwsurrogate_ml.inference.threads import one_torch_thread

    class Clustered(Clustered2DSkyKDE):
        def eval_kdes(self, pts: np.ndarray) -> np.ndarray:
            density = np.zeros(len(pts))
            places = np.concatenate([np.add(pts, (turn, 0.0)) for turn in (0.0, 2 * np.pi, -2 * np.pi)])
            for weight, kde in zip(self.weights, self.kdes, strict=True):
                root, middle = np.linalg.cholesky(2 * kde.covariance), kde.dataset.mean(axis=1)[:, None]
                here, there = (torch.from_numpy(np.linalg.solve(root, x - middle)).float() for x in (places.T, kde.dataset))

                @one_torch_thread()
                def added(some: torch.Tensor, there: torch.Tensor = there) -> torch.Tensor:
                    x, y = some[..., None]
                    square = (x - there[0]).square_().add_((y - there[1]).square_())
                    return square.clamp_(max=FARTHEST).neg_().exp_().sum(dim=1)

                sums = each(added, here.split(BLOCK, dim=1))
                total = torch.cat(sums).double().numpy().reshape(3, -1).sum(axis=0)
                density += weight / (np.pi * root[0, 0] * root[1, 1] * kde.n) * total
            return density

    return Clustered


def _add_distances(table: Table, ra: np.ndarray, dec: np.ndarray, distance: np.ndarray) -> None:
    """DISTMU, DISTSIGMA and DISTNORM of every pixel, whose distances have the mean and scatter of the draws nearest to its centre.

    The form is that of Singer et al. 2016 (arXiv:1603.07333): r^2 times a Gaussian along each line of sight.
    """
    from astropy import units
    from ligo.skymap import moc
    from ligo.skymap.distance import moments_to_parameters
    from scipy.spatial import cKDTree

    theta, phi = moc.uniq2ang(table["UNIQ"])
    tree = cKDTree(_directions(ra, dec))
    k = int(np.clip(len(distance) // NEAREST, FEWEST, 10 * FEWEST))
    _, nearest = tree.query(_directions(phi, 0.5 * np.pi - theta), k)
    some = distance[nearest]
    for name, values, unit in zip(
        ("DISTMU", "DISTSIGMA", "DISTNORM"),
        moments_to_parameters(some.mean(axis=1), some.std(axis=1)),
        (units.Mpc, units.Mpc, units.Mpc**-2),
        strict=True,
    ):
        table[name] = values * unit


def _directions(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 3)."""
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def _moments(distance: np.ndarray) -> dict[str, float]:
    return {"distmean": float(distance.mean()), "diststd": float(distance.std())}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """ligo.skymap shows a progress bar for every clustering it tries: keep them off the terminal."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield
